"""The attributes of one start tag, as places in its bytes.

Source: WHATWG HTML 13.2.5.32 to 13.2.5.39 (attribute states).
"""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5
from typing import NamedTuple

__all__ = ["Attribute", "attributes", "escape", "text_of"]

_WS = rb"[\t\n\f\r ]"
_NAME = re.compile(rb"<[^\t\n\f\r />]*+")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+(=[^\t\n\f\r />=]*+|[^\t\n\f\r />=]++)"
    rb"(?:" + _WS + rb"*+=" + _WS + rb"*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >]*+)))?+",
    re.DOTALL,
)


_REFERENCE = re.compile(
    r"&(?:#(?:([xX])(?=[0-9a-fA-F])|(?=[0-9]))((?(1)[0-9a-fA-F]|[0-9])++);?+|([a-zA-Z][a-zA-Z0-9]*+(?:;|(?![=;]))))"
)
_BEYOND_ASCII = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_DIGITS = 7


class Attribute(NamedTuple):
    """One attribute.

    Attributes:
        name: In lower case.
        start: Where its name begins in the tag's bytes.
        value: As it is written, without quotes.
        value_start: Where what is written for a value begins, quotes included.
        end: Where the attribute ends.
    """

    name: bytes
    start: int
    value: bytes
    value_start: int
    end: int


def attributes(tag: bytes) -> list[Attribute]:
    """Return the attributes of a start tag, in order, repeated ones too; only the first of a name counts."""
    head = _NAME.match(tag)
    at, stop = head.end() if head else 1, len(tag) - 1
    found = []
    while match := _ATTRIBUTE.match(tag, at, stop):
        at = match.end()
        which = match.lastindex or 1
        value = match[which] if which > 1 else b""
        quoted = 1 if which in (2, 3) else 0
        start = match.start(which) - quoted if which > 1 else at
        found.append(Attribute(match[1].lower(), match.start(1), value, start, at))
    return found


def text_of(value: bytes) -> str:
    """Return an attribute's value as the page's scripts see it; bytes that are no UTF-8 as lone surrogates."""
    text = value.decode("utf-8", "surrogateescape")
    return _REFERENCE.sub(_resolved, text) if "&" in text else text


def _resolved(reference: re.Match[str]) -> str:
    """Return what a character reference stands for in an attribute (WHATWG HTML 13.2.5.73: not before a "=")."""
    base, digits, name = reference.groups()
    if digits is not None:
        significant = digits.lstrip("0")
        return unescape(f"&#{base or ''}{significant or '0'};") if len(significant) <= _DIGITS else "\ufffd"
    return reference[0] if name is None else html5.get(name, reference[0])


def escape(text: str) -> bytes:
    """Return a text as the value of an attribute in double quotes, good in XML too.

    ASCII, but for the bytes that `text_of` could not read: they come back as they were.
    """
    escaped = text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    if not escaped.isascii():
        escaped = _BEYOND_ASCII.sub(lambda found: f"&#{ord(found[0])};", escaped)
    return escaped.encode("ascii", "surrogateescape")
