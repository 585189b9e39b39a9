"""What a page's tags say that they wait for: ``data-category``, ``data-service`` or ``data-name`` on what the page lifts.

A quick look for words to the site's developer, nothing more: a tag whose id is wrong never runs, and only the visitor's
browser would say so. It reads no comments or scripts apart, and misses a tag that a stream splits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.html.attributes import attributes, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["marks"]

_WORDS = (b"data-category", b"data-service", b"data-name")
_KEPT = frozenset(
    {b"data-src", b"data-srcset", b"data-href", b"data-poster", b"data-data", b"data-background"}
)
_LONGEST = 2_048
_NAME = re.compile(rb"<([a-z]+)", re.IGNORECASE)


def marks(page: bytes) -> Iterator[str]:
    """Yield what each marked tag of a page waits for: the ids of its attribute, as they are written."""
    for word in _WORDS:
        at = page.find(word)
        while at >= 0:
            start = page.rfind(b"<", max(0, at - _LONGEST), at)
            end = page.find(b">", at, at + _LONGEST) + 1
            if start >= 0 and end and (mark := _mark(page[start:end])):
                yield mark
            at = page.find(word, at + 1)


@lru_cache(maxsize=1024)
def _mark(tag: bytes) -> str:
    """Return what a tag waits for, empty where it is none that a page lifts; the service decides where one is named."""
    name = _NAME.match(tag)
    if name is None:
        return ""
    values = {a.name: a.value for a in reversed(attributes(tag))}
    if name[1].lower() == b"script":
        lifted = text_of(values.get(b"type", b"")).strip().lower() == "text/plain"
    else:
        lifted = name[1].lower() == b"template" or not _KEPT.isdisjoint(values)
    mark = values.get(b"data-service") or values.get(b"data-name") or values.get(b"data-category", b"")
    return text_of(mark).strip() if lifted else ""
