"""`pytest --conformance`: the tests marked with an id, and a table of every id at the end.

A test says what it shows by `@pytest.mark.conformance("GPC-1", ...)`; the ids stand in conformance/ids.py. Without
the option only the ids of the markers are checked.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.ids import IDS, PARTS, REQUIRED, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OPTION = "--conformance"
PASS, PART, FAIL, NONE = "pass", "in part", "fail", "no test yet"
_WIDTH = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(OPTION, action="store_true", help="run what shows an id of conformance/ids.py, and tell")


def pytest_configure(config: pytest.Config) -> None:
    """Report, where that is asked for."""
    if config.getoption(OPTION):
        config.pluginmanager.register(Report(IDS, ROWS, REQUIRED, PARTS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a marker with an id that there is not."""
    wrong = {
        f"{item.location[0]}: {id_ or 'no id'}"
        for item in items
        if (found := ids_of(item)) is not None
        for id_ in found or ("",)
        if id_ not in IDS and id_ not in ROWS
    }
    if wrong:
        raise pytest.UsageError("conformance marker with an unknown id in " + ", ".join(sorted(wrong)))


def ids_of(item: pytest.Item) -> tuple[str, ...] | None:
    """Return the ids that a test shows, None where it has no marker."""
    found = [mark.args for mark in item.iter_markers("conformance")]
    return tuple(id_ for args in found for id_ in args) if found else None


class Report:
    """Counts what each id's tests say, and prints it.

    Args:
        ids: Summaries by id.
        rows: Summaries of the decision table's rows, by id.
        required: The ids that must have a test which ran and passed.
        parts: What of an id no test shows yet.
    """

    def __init__(
        self,
        ids: Mapping[str, str],
        rows: Mapping[str, str],
        required: Iterable[str],
        parts: Mapping[str, str],
    ) -> None:
        self._ids, self._rows, self._parts = ids, rows, parts
        self._required = frozenset(required)
        self._shown: dict[str, tuple[str, ...]] = {}
        self._outcomes: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what is marked; a browser's event loop blocks others, so its tests come last."""
        shown = {item.nodeid: ids for item in items if (ids := ids_of(item))}
        dropped = [item for item in items if item.nodeid not in shown]
        items[:] = [item for item in items if item.nodeid in shown]
        items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
        self._shown = shown
        config.hook.pytest_deselected(items=dropped)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ran; one that was skipped shows nothing."""
        if report.failed:
            self._outcomes[report.nodeid] = FAIL
        elif report.passed and report.when == "call":
            self._outcomes[report.nodeid] = PASS

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where an id that had a test has lost it."""
        if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            lost = any(self._state(id_) == NONE for id_ in self._required)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if lost else pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Print the table, and the decision table's rows behind it; a run that was broken off shows nothing."""
        if exitstatus not in {
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        }:
            return
        for title, some in (("conformance", self._ids), ("decision table", self._rows)):
            terminalreporter.section(title)
            for id_, summary in some.items():
                terminalreporter.write_line(self._line(id_, summary))
        terminalreporter.write_line(self._total())

    def _ran(self, id_: str) -> list[str]:
        return [outcome for test, outcome in self._outcomes.items() if id_ in self._shown[test]]

    def _state(self, id_: str) -> str:
        outcomes = self._ran(id_)
        if FAIL in outcomes:
            return FAIL
        if not outcomes:
            return NONE
        return PART if id_ in self._parts else PASS

    def _line(self, id_: str, summary: str) -> str:
        state, count = self._state(id_), len(self._ran(id_))
        lost = " (it had one)" if state == NONE and id_ in self._required else ""
        part = f" (not yet shown: {self._parts[id_]})" if state == PART else ""
        return f"{id_:<{_WIDTH}}{state:<12}{count:>5}  {summary}{part}{lost}"

    def _total(self) -> str:
        counted = Counter(self._state(id_) for id_ in (*self._ids, *self._rows))
        return ", ".join(f"{counted[state]} {state}" for state in (PASS, PART, FAIL, NONE))
