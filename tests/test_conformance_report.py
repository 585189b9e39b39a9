"""The report on conformance: what is run, what is told of each id, and when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import conformance_report
from conformance.ids import IDS, PARTS, REQUIRED, ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = """
    import pytest

    @pytest.mark.conformance("AB-1")
    @pytest.mark.parametrize("number", [1, 2])
    def test_one(number):
        pass

    @pytest.mark.conformance("AB-1", "ROW-1")
    def test_both():
        pass

    def test_unmarked():
        raise AssertionError
"""
FAILING = """
    import pytest

    @pytest.mark.conformance("AB-2")
    def test_two():
        raise AssertionError

    @pytest.mark.conformance("AB-2")
    def test_two_again():
        pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run pytest on a file of tests, with a list of ids of its own."""
    pytester.makeini(
        """
        [pytest]
        addopts = --strict-markers
        markers =
            browser: drives a browser
            conformance(*ids): shows these ids
        """
    )
    # Finding other plugins takes seconds a run.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(conformance_report, "IDS", {"AB-1": "The first rule", "AB-2": "The second rule"})
    monkeypatch.setattr(conformance_report, "ROWS", {"ROW-1": "A row"})
    monkeypatch.setattr(conformance_report, "PARTS", {})
    monkeypatch.setattr(conformance_report, "REQUIRED", frozenset())

    def run(tests: str, *arguments: str, **settings: Any) -> pytest.RunResult:
        pytester.makepyfile(test_it=tests)
        for name, value in settings.items():
            monkeypatch.setattr(conformance_report, name.upper(), value)
        plugins = ("-p", "conformance_report", "-p", "no:cacheprovider")
        return pytester.runpytest_inprocess(*plugins, *arguments)

    return run


def test_without_the_option_nothing_changes(run: Callable[..., pytest.RunResult]) -> None:
    """Every test runs, marked or not, and no table is printed."""
    result = run(TESTS)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.no_fnmatch_line("*The first rule*")


def test_only_what_is_marked_runs(run: Callable[..., pytest.RunResult]) -> None:
    """With the option a test without marker is left out, be it a failing one."""
    result = run(TESTS, "--conformance")
    result.assert_outcomes(passed=3, deselected=1)
    assert result.ret == pytest.ExitCode.OK


def test_every_id_is_told_and_then_every_row(run: Callable[..., pytest.RunResult]) -> None:
    """Id, state, number of tests and summary, in the order of the list."""
    result = run(TESTS, "--conformance")
    result.stdout.re_match_lines(
        [
            r"=+ conformance =+",
            r"AB-1 +pass +3  The first rule$",
            r"AB-2 +no test yet +0  The second rule$",
            r"=+ decision table =+",
            r"ROW-1 +pass +1  A row$",
            r"2 pass, 0 in part, 0 fail, 1 no test yet$",
        ],
        consecutive=False,
    )


def test_one_failing_test_fails_its_id(run: Callable[..., pytest.RunResult]) -> None:
    """However many others pass."""
    result = run(FAILING, "--conformance")
    result.stdout.re_match_lines([r"AB-2 +fail +2  The second rule$"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_fixture_that_fails_fails_the_id_once(run: Callable[..., pytest.RunResult]) -> None:
    """A test that passes and cannot be cleaned up behind counts as one that failed."""
    result = run(
        """
        import pytest

        @pytest.fixture
        def broken():
            yield
            raise RuntimeError

        @pytest.mark.conformance("AB-1")
        def test_one(broken):
            pass
        """,
        "--conformance",
    )
    result.stdout.re_match_lines([r"AB-1 +fail +1  The first rule$"])


def test_a_skipped_test_shows_nothing(run: Callable[..., pytest.RunResult]) -> None:
    """An id whose only test did not run has none."""
    skipped = TESTS.replace("pass", "pytest.skip()")
    run(skipped, "--conformance").stdout.re_match_lines([r"AB-1 +no test yet +0  The first rule$"])


def test_a_lost_test_is_a_failure(run: Callable[..., pytest.RunResult]) -> None:
    """An id that must have a test and has none ends the run with an error, though all that ran passed."""
    result = run(TESTS, "--conformance", required={"AB-1", "AB-2"})
    result.stdout.re_match_lines([r"AB-2 +no test yet +0  The second rule \(it had one\)$"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_nothing_to_run_is_no_failure_by_itself(run: Callable[..., pytest.RunResult]) -> None:
    """Where no id must have a test, a suite without markers is told and passes."""
    assert run("def test_unmarked(): pass", "--conformance").ret == pytest.ExitCode.OK


def test_a_run_that_breaks_off_tells_nothing(run: Callable[..., pytest.RunResult]) -> None:
    """Where a file cannot be collected no id is said to be without a test."""
    result = run("import no_such_module", "--conformance", required={"AB-1"})
    result.stdout.no_fnmatch_line("*AB-1*")
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_what_is_not_shown_yet_is_told(run: Callable[..., pytest.RunResult]) -> None:
    """An id whose tests pass and show only a part says what is left."""
    result = run(TESTS, "--conformance", parts={"AB-1": "the rest"})
    result.stdout.re_match_lines([r"AB-1 +in part +3  The first rule \(not yet shown: the rest\)$"])


@pytest.mark.parametrize("option", ["--conformance", "-v"])
@pytest.mark.parametrize(("ids", "told"), [('"AB-9"', "AB-9"), ("", "no id")], ids=["unknown", "none"])
def test_an_unknown_id_is_an_error(
    run: Callable[..., pytest.RunResult], ids: str, told: str, option: str
) -> None:
    """A slip in a marker is found when tests are collected, with the file and with or without the option."""
    result = run(TESTS.replace('"AB-1"', ids, 1), option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*unknown id in *test_it.py: {told}"])


def test_browser_tests_come_last(run: Callable[..., pytest.RunResult]) -> None:
    """The order of all others stays."""
    marked = TESTS.replace(
        "    @pytest.mark.parametrize", "    @pytest.mark.browser\n    @pytest.mark.parametrize"
    )
    result = run(marked, "--conformance", "-v")
    result.stdout.fnmatch_lines(["*::test_both PASSED*", "*::test_one?1? PASSED*", "*::test_one?2? PASSED*"])


# -- the list itself


def test_what_must_have_a_test_is_in_the_list() -> None:
    """Neither REQUIRED nor PARTS names an id that there is not."""
    assert (REQUIRED | set(PARTS)) - set(IDS) - set(ROWS) == set()


def test_the_list_is_whole() -> None:
    """Each area's ids and the rows are numbered without a gap."""
    areas: dict[str, list[int]] = {}
    for id_ in (*IDS, *ROWS):
        area, _, number = id_.rpartition("-")
        areas.setdefault(area, []).append(int(number))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in areas.values())
    assert {area: len(numbers) for area, numbers in areas.items()} == {
        "GPC": 7, "DNT": 5, "CA": 11, "EU": 9, "REC": 3, "GCM": 4, "IAB": 3, "COOKIE": 6, "A11Y": 4, "ENF": 11, "ROW": 22,
    }  # fmt: skip
