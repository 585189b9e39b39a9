"""docs/decision-table.md shows the very cases that the decision is tested by."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.test_decision_table import OPEN_ROWS, ROWS, A, F, M, number
from consent_middleware.regions import Regime

if TYPE_CHECKING:
    from conformance.test_decision_table import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decision-table.md"
BEGIN, END = "<!-- cases: generated -->\n\n", "<!-- cases: end -->"


def line(regime: Regime, row: Row) -> str:
    """Return a case as a line of the page's table."""
    allowed = " ".join(letter for letter, units in (("F", F), ("A", A), ("M", M)) if units <= row.allowed)
    shows = ["asked"] if row.prompt else []
    shows += [notice.value.replace("-", " ") for notice in row.notices]
    at = number(regime, row)
    return f"| {at or ''} | {regime} | {row.name} | {allowed or 'nothing'} | {', '.join(shows)} |"


def table() -> str:
    """Return the cases, by the number of their row; those beside the table last."""
    cases = [(Regime.OPT_IN, row) for row in ROWS]
    cases += [(regime, row) for regime in (Regime.OPT_OUT, Regime.NONE) for row in OPEN_ROWS]
    cases.sort(key=lambda case: number(*case) or 99)
    return "\n".join(
        [
            "| row | regime | case | allowed | the page |",
            "|---|---|---|---|---|",
            *(line(*case) for case in cases),
            "",
        ]
    )


def test_the_page_shows_the_cases() -> None:
    """Each with what it allows; UPDATE_DOCS=1 writes them."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    shown, end, after = rest.partition(END)
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(before + BEGIN + table() + end + after, "utf-8")
        return
    assert shown == table()


def test_every_row_of_the_table_has_a_case() -> None:
    """Rows 1 to 22 stand on the page, each with at least one case below."""
    text = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| (?:opt-in|opt-out|none) \|", text.partition(BEGIN)[0], re.MULTILINE)
    cases = re.findall(r"^\| (\d+) \|", text.partition(BEGIN)[2], re.MULTILINE)
    assert rows == [str(n) for n in range(1, 23)]
    assert set(cases) == set(rows)
