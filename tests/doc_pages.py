"""The documentation's pages as tests read them: headings, links, fenced blocks, and how a page's Python is run."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DOCS", "ROOT", "Block", "anchors", "blocks", "completed", "declared", "links", "pages", "run"]

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]*)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        page: Its page, from the repository's root.
        language: What stands behind the fence; may be empty.
        text: What is in it, without the fence's indentation.
        line: Where it begins.
    """

    page: str
    language: str
    text: str
    line: int


@cache
def pages() -> tuple[Path, ...]:
    """Return every page that people read, in the repository or on the site."""
    top = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")]
    return (*top, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "examples").rglob("README.md")))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """Return a page's fenced blocks, in order."""
    text, name = page.read_text("utf-8"), page.relative_to(ROOT).as_posix()
    return tuple(
        Block(name, match[2], textwrap.dedent(match[3]), text.count("\n", 0, match.start()) + 2)
        for match in _FENCE.finditer(text)
    )


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as they are made where it is shown."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text("utf-8"))):
        words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return frozenset(found)


def links(page: Path) -> list[str]:
    """Return what a page links to that is not on another site."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", page.read_text("utf-8"))))


def run(page: Path, namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a page's Python, block after block, in one namespace; return it."""
    space: dict[str, Any] = {"__name__": "pasted", **(namespace or {})}
    for block in blocks(page):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.text  # so that an error names the page's own line
            exec(compile(code, str(page), "exec", dont_inherit=True), space)
    return space


def declared(page: Path) -> str:
    """Return a page's first declaration, made whole."""
    text = next((block.text for block in blocks(page) if block.language == "toml"), "")
    return completed(text)


def completed(text: str) -> str:
    """Return a part of a declaration with what every one must have."""
    minimum: Mapping[str, str] = {
        "[site]": 'name = "Example Shop"',
        "[controller]": 'name = "Example GmbH"\ncontact = "privacy@example.com"',
    }
    for section, lines in minimum.items():
        if f"\n{section}\n" not in f"\n{text}":
            text = f"{text}\n{section}\n{lines}\n"
        elif not re.search(rf"^{re.escape(section)}\n(?:[^\[\n][^\n]*\n|\n)*?name\b", text, re.MULTILINE):
            text = text.replace(f"{section}\n", f"{section}\n{lines}\n", 1)
    return text
