"""The code of a page of the docs, pasted as a reader would."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from helpers_starlette import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).resolve().parents[2] / "docs" / "frameworks"


class Tutorial:
    """A page's blocks, in a module of their own."""

    def __init__(self, page: str) -> None:
        self.text = (DOCS / page).read_text("utf-8")
        self.module = ModuleType("tutorial")

    def blocks(self, language: str) -> list[str]:
        """Return every fenced block of a language."""
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)

    def paste(self, containing: str) -> Any:
        """Run the block that holds a text, below what was pasted before; return what it calls `site`, or `app`."""
        code = next(block for block in self.blocks("python") if containing in block)
        names = vars(self.module)
        exec(compile(code, "tutorial.py", "exec", dont_inherit=True), names)
        return names.get("site") or names["app"]


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tutorial]:
    """Stand in a folder with a page's consent.toml and template, and with a key."""

    def begin(page: str) -> Tutorial:
        found = Tutorial(page)
        monkeypatch.setitem(sys.modules, "tutorial", found.module)
        (tmp_path / "consent.toml").write_text(found.blocks("toml")[0] + '[records]\nurl = "none"\n', "utf-8")
        (tmp_path / "templates").mkdir()
        for html in found.blocks("html"):
            for name in ("home.html", "page.html"):
                (tmp_path / "templates" / name).write_text(html, "utf-8")
        return found

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEY", SECRET)
    return begin
