"""docs/promises.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "promises.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_shows_a_promise_is_there(path: str, name: str) -> None:
    """Nobody renames or drops the test of a promise without saying so in the table."""
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


def test_every_promise_names_a_test() -> None:
    """No row of a table is left without one."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "the policy says" not in line]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []
