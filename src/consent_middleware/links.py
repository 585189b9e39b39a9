"""The `Link` header of a page, without what it would have the browser ask of those who wait.

Source: RFC 8288.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from consent_middleware.html import FETCHED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["passing_links"]

_LINK = re.compile(r'\s*+<([^>]*+)>((?:[^,"]|"(?:[^"\\]|\\.)*+"?)*+)(?:,|\Z)')
_REL = re.compile(r';\s*+rel\s*+=\s*+(?:"([^"]*+)|([^\s;,]++))', re.IGNORECASE)


def passing_links(value: str, waits: Callable[[str], bool]) -> str:
    """Return a header's links without those that wait; the rest, and what is no list of links, as it came.

    Args:
        value: A ``Link`` header's.
        waits: Whether a URL does.
    """
    kept: list[str] = []
    at = 0
    while match := _LINK.match(value, at):
        if not (_is_fetched(match[2]) and waits(match[1].strip())):
            kept.append(match[0].strip(", "))
        at = match.end()
    rest = value[at:].strip(", ")
    return ", ".join([*kept, rest] if rest else kept)


def _is_fetched(parameters: str) -> bool:
    """Return whether a browser follows a link with these parameters by itself."""
    rel = _REL.search(parameters)
    return rel is not None and not FETCHED.isdisjoint((rel[1] or rel[2] or "").lower().split())
