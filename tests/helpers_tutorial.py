"""The code of a page of the docs, pasted as a reader would."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs" / "frameworks"


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
