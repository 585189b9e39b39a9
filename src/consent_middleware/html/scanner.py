"""Find the start tags of a document that may load something, in one pass over its bytes, in pieces of any size.

Theory of operation: the caller says at which places something of interest may stand (`hot`). Markup is cut at what
switches the tokenizer: comments, raw text, ``<svg>``. A piece between two switches is proven to be plain, that is, no
attribute value in it holds ``<`` or ``>``, by one regular expression; then every place behind it is known to be
markup, and a tag need only be read where something hot stands in it. A piece that is not plain is read tag by tag.

===========  ==========================================================================================
``_quick``   from switch to switch; the usual way
``_exact``   tag by tag, inside ``<svg>`` and ``<math>``, in XHTML, and where a piece is not plain
===========  ==========================================================================================

What is cut off at the end of the bytes is held back until it is whole; past `HOLD` bytes it passes, and only where it
ends is still looked for.

As browsers do: comments, bogus comments, CDATA in foreign content only, RCDATA and raw text, escaped and doubly escaped
script data, ``<template>`` read like any element, raw text that is none in ``<svg>`` and ``<math>``, and the tags that
break out of them. ``<noscript>`` is read as markup, as browsers with scripts off do, but ends at its first
``</noscript``, as it does with scripts on. Sources: WHATWG HTML 13.2.5 (tokenization), 13.2.6.5 (foreign content).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, cast

from consent_middleware.html.foreign import FOREIGN, NOTED, Foreign
from consent_middleware.html.grammar import COMMENT, SIMPLE_TAG, TAG

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    _Read = Generator["StartTag", None, int]

__all__ = ["HOLD", "LOADING", "Scanner", "StartTag"]

HOLD = 16_384

LOADING = frozenset(
    b"script iframe frame img image link video audio source track embed object input use feimage base "
    b"body table thead tbody tfoot tr th td".split()
)
"""Elements that load something by a URL among their attributes, and ``<base>``."""

_RAW = frozenset(b"style title textarea xmp noembed noframes iframe".split())


def _one_of(names: Iterable[bytes]) -> bytes:
    """Return the pattern of any of these names, by first letters, so that most text fails at the first one."""
    tree: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        tree.setdefault(name[:1], []).append(name[1:])
    branches = (letter + rb"(?:" + b"|".join(rest) + rb")" for letter, rest in tree.items())
    return rb"(?=[!" + b"".join(tree) + rb"])(?:" + b"|".join(branches) + rb")"


def _skip(stops: frozenset[bytes], ends: frozenset[bytes] = frozenset()) -> re.Pattern[bytes]:
    """Return the pattern of everything up to the next tag with one of these names, or one that is unusual."""
    tag = _but(stops) + SIMPLE_TAG
    end = rb"/" + (_but(ends) if ends else b"") + SIMPLE_TAG
    return re.compile(rb"(?:[^<]++|<(?:" + tag + rb"|" + end + rb"|(?![a-z/!?]|\Z)))*+", re.IGNORECASE)


def _but(names: frozenset[bytes]) -> bytes:
    """Return the pattern of a place at which none of these names stands."""
    return rb"(?!(?:" + b"|".join(sorted(names)) + rb")[\t\n\f\r />])"


_STOPS = LOADING | _RAW | FOREIGN | {b"noscript", b"plaintext"}
_SKIP = _skip(_STOPS)
_SKIP_FOREIGN = _skip(_STOPS | NOTED, _STOPS | NOTED)
# The same, stopping at templates too.
_TEMPLATE = frozenset({b"template"})
_SKIP_ALL = _skip(_STOPS | _TEMPLATE, _TEMPLATE)
_SKIP_ALL_FOREIGN = _skip(_STOPS | NOTED | _TEMPLATE, _STOPS | NOTED | _TEMPLATE)
_SWITCH = re.compile(
    rb"<(?:!--|" + _one_of(_RAW | FOREIGN | {b"script", b"noscript", b"plaintext"}) + rb"[\t\n\f\r />])",
    re.IGNORECASE,
)
_LOAD = re.compile(rb"<" + _one_of(LOADING) + rb"[\t\n\f\r />]", re.IGNORECASE)
_LOAD_ALL = re.compile(rb"<(?:/template|" + _one_of(LOADING | _TEMPLATE) + rb")[\t\n\f\r />]", re.IGNORECASE)
# A value that holds "<" or ">", or does not end.
_CROOKED = re.compile(rb"=[\t\n\f\r ]*+(?:\"[^\"<>]*+(?:[<>]|\Z)|'[^'<>]*+(?:[<>]|\Z))")
_COMMENT = re.compile(COMMENT, re.DOTALL)
_COMMENT_END = re.compile(rb"--!?>")
_SHORT = (b"<!---", b"<![CDATA[")  # what cannot be told from its beginning
_BOGUS_END = re.compile(rb">")
_CDATA_END = re.compile(rb"\]\]>")
_ENDS = {
    name: re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in (*_RAW, b"noscript", b"script")
}
# What changes how the text of a script is read: WHATWG 13.2.5.15 to 13.2.5.31.
_SCRIPT = re.compile(rb"<!--|--!?>|<(/?)script(?=[\t\n\f\r />])", re.IGNORECASE)
_LONGEST_MARK = len(b"</textarea ") + 1


class StartTag(NamedTuple):
    """A start tag, as places in the bytes that were given to `Scanner.tags`.

    Attributes:
        name: In lower case.
        start: Of its ``<``.
        end: Behind its ``>``.
        text_end: Of a script, where its text ends, or at least how far of it is here.
    """

    name: bytes
    start: int
    end: int
    text_end: int


class Scanner:
    """Read one document. One object a response; never reused.

    Args:
        xml: It is XHTML: no raw text, CDATA anywhere, ``/>`` closes.

    Attributes:
        done: How much of the bytes last given needs no second look; what is behind it must be given again.
        templates: Whether the tags of ``<template>`` are yielded, too: an end tag as one called ``/template``.
    """

    def __init__(self, *, xml: bool = False) -> None:
        self.done = 0
        self.templates = False
        self._xml = xml
        self._until: re.Pattern[bytes] | None = None
        self._script: _ScriptText | None = None
        self._tag: _LongTag | None = None
        self._foreign = Foreign()
        self._hot: Sequence[int] | None = None
        self._closes: dict[bytes, int] = {}
        self._is_over = False

    def read_all(self) -> None:
        """From here on, yield every tag in `LOADING` of the bytes being read, whatever is hot."""
        self._hot = None

    def tags(self, data: bytes, hot: Sequence[int] | None, *, final: bool) -> Iterator[StartTag]:
        """Yield start tags of the next bytes; afterwards `done` says where to go on.

        Args:
            data: What was not `done` last time, and what came since.
            hot: The places, in order, at which something of interest stands; None: anywhere. Every script and
                every tag in `LOADING` with such a place in it is yielded, others may be.
            final: Whether the document ends here.
        """
        if self._is_over:
            self.done = len(data)
            return
        at = self._resume(data)
        self._closes = {}
        if at >= 0:
            self._hot = hot
            yield from self._read(data, at, len(data), final=final)

    @property
    def waits(self) -> bool:
        """Whether what is not `done` is a tag or an inline script whose end has not come."""
        return self._tag is None and self._script is None and self._until is None

    def _resume(self, data: bytes) -> int:
        """Go on in what was too long to hold back; return where markup begins again, -1 where it does not."""
        if self._tag is not None:
            at = self._tag.end(data)
            self.done = len(data)
            self._tag = None if at >= 0 else self._tag
            return at
        if self._script is not None:
            at = self._script.end(data, 0, len(data))
            self.done = self._script.read
            self._script = None if at >= 0 else self._script
            return at
        return self._skip_until(data, self._until, 0, len(data)) if self._until else 0

    def _skip_until(self, data: bytes, end: re.Pattern[bytes], at: int, stop: int) -> int:
        """Return where text ends that nothing is looked for in, -1 where it goes on."""
        found = end.search(data, at, stop)
        if found:
            self._until = None
            # An end tag is then read like any other.
            return found.start() if found[0].startswith(b"</") else found.end()
        self._until = end
        self.done = max(at, stop - _LONGEST_MARK)
        return -1

    def _read(self, data: bytes, at: int, stop: int, *, final: bool) -> Iterator[StartTag]:
        """Read markup between two places, the first of which is known to be markup."""
        while 0 <= at < stop and not self._is_over:
            if self._xml or self._foreign.open:
                at = yield from self._exact(data, at, stop, stop, final=final)
            else:
                at = yield from self._quick(data, at, stop, final=final)
        if at >= 0:
            self.done = at

    def _quick(self, data: bytes, at: int, stop: int, *, final: bool) -> _Read:
        """Read up to the next switch and over it; return where to go on, -1 to wait for more."""
        hot = self._hot
        switch = _SWITCH.search(data, at, stop)
        until = switch.start() if switch else stop
        for start in self._candidates(data, at, until):
            if start < at:
                continue
            if not _is_plain(data, at, start):
                return (yield from self._exact(data, at, until, stop, final=final))
            second = data[start + 1 : start + 2]
            if not (second.isalpha() or (second == b"/" and self.templates)):  # "a < b", or an end tag
                continue
            at = yield from self._token(data, start, stop, final=final)
            if not start < at <= until or self._hot is not hot:  # cut off, or it reached beyond
                return at
        if switch is None:  # what stands last may be cut off
            last = data.rfind(b"<", at, stop)
            until = last if last > data.rfind(b">", at, stop) else stop
        if not _is_plain(data, at, until):
            return (yield from self._exact(data, at, until, stop, final=final))
        if until == stop:
            return stop
        return (yield from self._token(data, until, stop, final=final))

    def _candidates(self, data: bytes, at: int, until: int) -> Sequence[int]:
        """Return where the tags would begin, were all of it plain, that have something hot in them."""
        hot = self._hot
        if hot is None:
            load = _LOAD_ALL if self.templates else _LOAD
            return [match.start() for match in load.finditer(data, at, until)]
        low = bisect_left(hot, at)
        high = bisect_left(hot, until, low)
        found = {data.rfind(b"<", at, place + 1): None for place in hot[low:high]}
        return [start for start in found if start >= 0]

    def _exact(self, data: bytes, at: int, until: int, stop: int, *, final: bool) -> _Read:
        """Read tag by tag until a place is passed; return where to go on, -1 to wait for more."""
        while 0 <= at < until and not self._is_over:
            if self.templates:
                skip = _SKIP_ALL_FOREIGN if self._foreign.open else _SKIP_ALL
            else:
                skip = _SKIP_FOREIGN if self._foreign.open else _SKIP
            at = cast("re.Match[bytes]", skip.match(data, at, stop)).end()  # it matches nothing at all, too
            if at < stop:
                at = yield from self._token(data, at, stop, final=final)
        return at

    def _token(self, data: bytes, at: int, stop: int, *, final: bool) -> _Read:
        """Read what begins with this ``<``; return where to go on, -1 to wait for more."""
        kind = data[at + 1 : min(at + 2, stop)]
        if not kind or (kind == b"/" and at + 2 == stop):  # at the very end
            self.done = at
            return stop if final else -1
        if kind in b"!?" or (kind == b"/" and not data[at + 2 : at + 3].isalpha()):
            return self._declaration(data, at, stop, final=final)
        tag = TAG.match(data, at, stop)
        if tag is None:
            self._cut_off(data, at, stop, final=final)
            return -1
        name = tag[2].lower()
        if tag[1]:
            self._foreign.close(name)
            if name == b"template" and self.templates:
                yield StartTag(b"/template", *tag.span(), tag.end())
            return tag.end()
        return (yield from self._start_tag(data, tag, name, stop, final=final))

    def _cut_off(self, data: bytes, at: int, stop: int, *, final: bool) -> None:
        """Wait for the rest of a tag, or let it pass where it is too long."""
        self.done = at
        if not final and stop - at >= HOLD:
            self._tag = _LongTag()
            self._tag.begin(data, at)
            self.done = stop

    def _declaration(self, data: bytes, at: int, stop: int, *, final: bool) -> int:
        """Return where a comment, a doctype, CDATA or a bogus comment ends; -1 to wait for it."""
        rest = data[at : min(at + 9, stop)]
        if not final and len(rest) < 9 and any(mark.startswith(rest) for mark in _SHORT):
            self.done = at
            return -1
        if rest.startswith(b"<!--"):
            whole = _COMMENT.match(data, at, stop)
            return whole.end() if whole else self._skip_until(data, _COMMENT_END, at + 4, stop)
        if rest == b"<![CDATA[" and (self._xml or self._foreign.is_inside):
            return self._skip_until(data, _CDATA_END, at + 9, stop)
        return self._skip_until(data, _BOGUS_END, at + 2, stop)

    # -- tags

    def _start_tag(self, data: bytes, tag: re.Match[bytes], name: bytes, stop: int, *, final: bool) -> _Read:
        """Yield a start tag where it may load something; return where markup goes on, -1 where it does not."""
        start, end = tag.span()
        is_html = not self._xml and self._foreign.enter(name, data[start:end])
        if name == b"script":
            read = self._script_tag if is_html else self._foreign_script
            return (yield from read(data, start, end, stop, final=final))
        if name in LOADING or (name == b"template" and self.templates):
            yield StartTag(name, start, end, end)
        if not is_html:
            return end
        if name in _RAW:
            return self._skip_until(data, _ENDS[name], end, stop)
        if name == b"noscript":
            return (yield from self._noscript(data, start, end, stop, final=final))
        if name == b"plaintext":
            self._is_over = True
            self.done = stop
        return end

    def _script_tag(self, data: bytes, start: int, end: int, stop: int, *, final: bool) -> _Read:
        """Yield a script with its text, or with the first `HOLD` bytes of it."""
        text = _ScriptText()
        close = text.end(data, end, stop)
        limit = max(end, start + HOLD)
        if close < 0 and not final and stop < limit:
            self.done = start
            return -1
        yield StartTag(b"script", start, end, min(close if close >= 0 else stop, limit))
        if close < 0:
            self._script = text
            self.done = text.read
        return close

    def _foreign_script(self, data: bytes, start: int, end: int, stop: int, *, final: bool) -> _Read:
        """Yield a script whose text is read as markup."""
        close = end if data.startswith(b"/>", end - 2) else self._close_of(b"script", data, end, stop)
        limit = max(end, start + HOLD)
        if close < 0 and not final and stop < limit:
            self.done = start
            return -1
        nested = data.find(b"<script", end, max(close, end))
        yield StartTag(b"script", start, end, min(nested if nested >= 0 else max(close, end), limit))
        return end

    def _close_of(self, name: bytes, data: bytes, at: int, stop: int) -> int:
        """Return where the next end tag stands, -1 for nowhere; looked for once, however many elements begin."""
        if self._closes.get(name, -1) < at:
            found = _ENDS[name].search(data, at)
            self._closes[name] = found.start() if found else len(data)
        close = self._closes[name]
        return close if close < stop else -1

    def _noscript(self, data: bytes, start: int, end: int, stop: int, *, final: bool) -> _Read:
        """Yield the tags in a ``<noscript>``."""
        close = self._close_of(b"noscript", data, end, stop)
        if close < 0:
            if final or stop - start >= HOLD:
                return end  # so long, or never closed: read on as markup
            self.done = start
            return -1
        opened = self._foreign.open.copy()
        yield from self._read(data, end, close, final=True)
        # What is open there with scripts off is raw text with scripts on.
        self._until = self._script = self._tag = None
        self._is_over = False
        self._foreign.open = opened
        return close


def _is_plain(data: bytes, start: int, end: int) -> bool:
    """Return whether ``end`` is sure to be markup if ``start`` is.

    Were it inside a tag, then either no ">" would stand between that tag's "<" and there, or each of them in a quoted
    value.
    """
    if data.rfind(b"<", start, end) > data.rfind(b">", start, end):
        return False
    return _CROOKED.search(data, start, end) is None


class _ScriptText:
    """The text of a script, which may be cut into pieces: plain, escaped, or doubly escaped.

    Attributes:
        read: How much of the bytes last given needs no second look.
    """

    __slots__ = ("_depth", "read")

    def __init__(self) -> None:
        self._depth = 0
        self.read = 0

    def end(self, data: bytes, at: int, stop: int) -> int:
        """Return where the script's end tag begins, -1 where it has not come yet."""
        while mark := _SCRIPT.search(data, at, stop):
            at = mark.end()
            text = mark[0]
            if text == b"<!--":
                self._depth = self._depth or 1
                at -= 2  # "<!-->" is closed at once
            elif text.startswith(b"-"):
                if not text.endswith(b"!>"):
                    self._depth = 0
            elif mark[1]:
                if self._depth < 2:
                    return mark.start()
                self._depth = 1
            elif self._depth == 1:
                self._depth = 2
        self.read = max(at, stop - _LONGEST_MARK)
        return -1


class _LongTag:
    """A tag that is too long to hold back: only its end is looked for, quotes and all."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = b"tag"

    def begin(self, data: bytes, at: int) -> None:
        """Read what is there of it; it has no end yet."""
        self.end(data[at:])

    def end(self, data: bytes) -> int:
        """Return the place behind its ``>``, -1 where it has not come yet."""
        at = 0
        while at < len(data):
            if self._state in (b'"', b"'"):
                close = data.find(self._state, at)
                if close < 0:
                    return -1
                self._state, at = b"", close + 1
                continue
            same = _LONG[self._state].match(data, at)
            at = same.end() if same else at
            byte = data[at : at + 1]
            at += 1
            if byte == b">":
                return at
            self._state = _after(self._state, byte) if byte else self._state
        return -1


# What changes nothing: in the tag's name, between attributes, in a name, behind one, behind "=", in a value.
_LONG = {
    b"tag": re.compile(rb"[^\t\n\f\r />]*+"),
    b"": re.compile(rb"[\t\n\f\r /]*+"),
    b"name": re.compile(rb"[^\t\n\f\r />=]*+"),
    b"named": re.compile(rb"[\t\n\f\r ]*+"),
    b"=": re.compile(rb"[\t\n\f\r ]*+"),
    b"value": re.compile(rb"[^>\t\n\f\r ]*+"),
}


def _after(state: bytes, byte: bytes) -> bytes:
    """Return the state of a long tag behind the byte that ends one."""
    if state == b"=":
        return byte if byte in b"\"'" else b"value"
    if state in (b"name", b"named") and byte == b"=":
        return b"="
    if byte == b"/" or state in (b"tag", b"value"):
        return b""
    return b"named" if state == b"name" else b"name"
