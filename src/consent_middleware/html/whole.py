"""Insert markup into a complete, usual document at one go: what most pages are.

What is unusual (no head, quotes in odd places, a ``<body>`` beyond 16 KB) is left to the `Injector`, which puts
everything in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.html.grammar import MEMORABLE, PROLOGUE, TAIL, WHOLE, insertion, page_language

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Snippets", "insert_whole"]


@dataclass(frozen=True, slots=True)
class Snippets:
    """What goes in: ASCII bytes, so that they read the same in every ASCII-compatible charset."""

    head: bytes = b""
    body: bytes = b""
    tail: bytes = b""

    @property
    def size(self) -> int:
        """Return how many bytes a page grows by, wherever the parts land."""
        return len(self.head) + len(self.body) + len(self.tail)


def insert_whole(
    body: bytes, choose: Callable[[str], Snippets | None]
) -> tuple[bytes, Snippets | None] | None:
    """Insert into a complete, usual document at one go.

    Args:
        body: All of it; ASCII-compatible, its charset named in the headers.
        choose: As `Injector` takes it.

    Returns:
        The new body and what went in; None where only an `Injector` can tell the places.
    """
    found = _find_places(body)
    if found is None:
        return None
    language, head_at, body_at = found
    snippets = choose(language)
    if snippets is None:
        return body, None
    size = len(body)
    start = max(size - TAIL, body_at)
    tail_at = start + insertion(body[start:])
    view = memoryview(body)
    parts = (
        view[:head_at],
        snippets.head,
        view[head_at:body_at],
        snippets.body,
        view[body_at:tail_at],
        snippets.tail,
        view[tail_at:],
    )
    return b"".join(parts), snippets


def _find_places(body: bytes) -> tuple[str, int, int] | None:
    """Return a usual page's language and where its head and its body begin; None where it takes a scanner.

    What stands before ``<body>`` is the same each time a page is asked for, so it is read once.
    """
    start = body.find(b"<body", 0, MEMORABLE)
    end = body.find(b">", start) + 1
    if start >= 0 and 0 < end <= MEMORABLE:
        found = _prologue_places(body[:end])
        if found is not None:
            return found
    match = WHOLE.match(body, 0, PROLOGUE)
    return (page_language(match[1]), match.end(2), match.end(3)) if match else None


@lru_cache(maxsize=512)
def _prologue_places(prologue: bytes) -> tuple[str, int, int] | None:
    match = WHOLE.match(prologue)
    return (page_language(match[1]), match.end(2), match.end(3)) if match else None
