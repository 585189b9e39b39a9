"""Where a document is in ``<svg>`` and ``<math>``, where the same bytes mean something else.

Only what changes the meaning is followed: elements in which HTML begins again, and what a tag of HTML closes. An end
tag that names no element of foreign content is taken for that of an HTML element around it. Source: WHATWG HTML
13.2.6.5 (foreign content), 13.2.6 (integration points).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from consent_middleware.html.attributes import attributes

__all__ = ["BREAKOUT", "FOREIGN", "NOTED", "Foreign"]

FOREIGN = frozenset({b"svg", b"math"})
BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta "
    b"nobr ol p pre ruby s small span strong strike sub sup table tt u ul var font".split()
)
"""Start tags that end foreign content."""

_SVG_INTEGRATION = frozenset({b"foreignobject", b"desc", b"title"})
_MATH_INTEGRATION = frozenset({b"mi", b"mo", b"mn", b"ms", b"mtext"})
_MATH_IN_TEXT = frozenset({b"mglyph", b"malignmark"})
# Elements of HTML that end with their own tag, and so take foreign content inside of them along.
_AROUND = (BREAKOUT - frozenset(b"body br embed head hr img meta".split())) | frozenset(
    b"a article aside button details fieldset figcaption figure footer form header label legend main nav section summary "
    b"tbody td tfoot th thead tr".split()
)
NOTED = (
    BREAKOUT | FOREIGN | _AROUND | _SVG_INTEGRATION | _MATH_INTEGRATION | _MATH_IN_TEXT | {b"annotation-xml"}
)
"""Every name that means something in foreign content."""

_DEEPEST = 512  # as deep as browsers go
_FONT = re.compile(rb"[\t\n\f\r /\"'](?:color|face|size)[\t\n\f\r =/>]", re.IGNORECASE)
_HTML_ENCODING = re.compile(
    rb"encoding[\t\n\f\r ]*=[\t\n\f\r ]*[\"']?(?:text/html|application/xhtml\+xml)(?=[\t\n\f\r \"'/>])",
    re.IGNORECASE,
)


class _Inside(Enum):
    """What a start tag is inside of an element."""

    HTML = auto()
    SVG = auto()
    MATH = auto()
    MATH_TEXT = auto()  # HTML, but for two names
    ANNOTATION = auto()  # MathML, but for <svg>


_OPENED = {b"svg": _Inside.SVG, b"math": _Inside.MATH}
_IS_FOREIGN = frozenset({_Inside.SVG, _Inside.MATH, _Inside.ANNOTATION})


class _Open(NamedTuple):
    name: bytes
    inside: _Inside


class Foreign:
    """The open elements of foreign content.

    Attributes:
        open: What is open, the innermost last; empty in plain HTML.
    """

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: list[_Open] = []

    @property
    def is_inside(self) -> bool:
        """Whether the innermost element is foreign, and HTML does not begin again in it."""
        return bool(self.open) and self.open[-1].inside in _IS_FOREIGN

    def enter(self, name: bytes, tag: bytes) -> bool:
        """Follow a start tag; return whether it is an HTML element."""
        if self.is_inside and name in BREAKOUT and (name != b"font" or _FONT.search(tag)):
            self._leave()
        inside = self.open[-1].inside if self.open else _Inside.HTML
        is_html = _is_html(inside, name)
        opened = self._html_opens(name) if is_html else _foreign_opens(name, tag, inside)
        if (
            opened is not None
            and len(self.open) < _DEEPEST
            and ((is_html and name == b"title") or not _is_self_closing(tag))
        ):
            self.open.append(_Open(name, opened))
        return is_html and name not in FOREIGN

    def close(self, name: bytes) -> None:
        """Follow an end tag."""
        if not self.open:
            return
        if self.is_inside and name in (b"p", b"br"):
            self._leave()
        elif any(one.name == name for one in self.open):
            while self.open.pop().name != name:
                pass
        elif self.is_inside and name in _AROUND:
            self._leave()

    def _html_opens(self, name: bytes) -> _Inside | None:
        """Return what begins with this tag of HTML, None for nothing of note."""
        if name == b"title" and self.open:  # its end tag is not that of the SVG title around it
            return _Inside.HTML
        return _OPENED.get(name)

    def _leave(self) -> None:
        while self.is_inside:
            self.open.pop()


def _is_html(inside: _Inside, name: bytes) -> bool:
    if inside is _Inside.MATH_TEXT:
        return name not in _MATH_IN_TEXT
    return inside is _Inside.HTML or (inside is _Inside.ANNOTATION and name == b"svg")


def _foreign_opens(name: bytes, tag: bytes, inside: _Inside) -> _Inside | None:
    """Return what begins with this foreign element, None for nothing of note."""
    if inside is _Inside.SVG:
        if name in _SVG_INTEGRATION:
            return _Inside.HTML
        return inside if name in NOTED else None
    if name in _MATH_INTEGRATION:
        return _Inside.MATH_TEXT
    if name == b"annotation-xml":
        return _Inside.HTML if _HTML_ENCODING.search(tag) else _Inside.ANNOTATION
    return _Inside.MATH if name in NOTED else None


def _is_self_closing(tag: bytes) -> bool:
    """Return whether a tag ends with a slash of its own, not that of a value without quotes."""
    if not tag.endswith(b"/>"):
        return False
    found = attributes(tag) if b"=" in tag else []
    return not found or found[-1].end < len(tag) - 1
