"""Insert markup into a streamed HTML document: one pass, every other byte as it came.

Where things go:

=========  ===========================================================================================
``head``   right after ``<head>``; without one, before the first tag that implies it. Behind an early
           ``<meta charset>`` where it would push that past the first 1,024 bytes.
``body``   right after ``<body>``; where none shows in the first 16 KB (that is legal), at the end.
``tail``   before the last ``</body>`` if only white space, comments and ``</html>`` follow, else at the end.
=========  ===========================================================================================

Theory of operation: a complete page in one piece is located by one regular expression (`whole`). A stream is
read by a small scanner that knows comments, quotes and raw text (`feed`, `close`); it emits what it has read
at once and holds back at most one unfinished token. Behind ``<body>`` chunks pass by reference, but for what
may be the end of the document. Every byte is looked at a bounded number of times.

Decides where, not whether or what: `choose` is asked once, with the page's language, for the snippets, and
may decline. Sources: WHATWG HTML 13.2.5 (tokenization), 13.2.3.2 (the first 1,024 bytes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from consent_middleware.html.grammar import (
    BEFORE_CHARSET,
    CHARSET_LIMIT,
    CLOSE_PREFIX,
    LEAD,
    LEAD_SO_FAR,
    PROLOGUE,
    RAW_NAMES,
    TAG,
    TAIL,
    WHOLE,
    insertion,
    page_language,
)
from consent_middleware.html.whole import Snippets, insert_whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Injector"]


class _State(Enum):
    LEAD = auto()  # nothing has left; not even what the page gets is settled
    SCAN = auto()  # looking for <head> and <body>, token by token
    MIDDLE = auto()  # everything passes, but for what may be the end of the document
    PASS = auto()  # the rest is not ours


@dataclass(frozen=True, slots=True)
class _Until:
    """Text that ends at a pattern; its last bytes may be the beginning of it."""

    pattern: re.Pattern[bytes]
    keep: int


class Injector:
    """Insert snippets into one response body. One object a response; never reused.

    Args:
        choose: Given the page's language (lower-case, empty if it names none), returns what to insert, or
            None to leave the page alone. Called once, before the first byte leaves.
        require_document: Leave everything alone that does not begin with a doctype or ``<html``: without
            ``Sec-Fetch-Mode``, a fragment must be told from a page by its look.
        keep_charset: The response names no charset, so a ``<meta charset>`` must stay early.
        appendable: False for XHTML: everything goes before ``</body>``, and nowhere without one.

    Attributes:
        decided: Whether it is settled what is inserted. Nothing leaves before.
        snippets: What is inserted, None if nothing.
    """

    # Class attributes, not slots: most objects only ever set a few of them.
    _state = _State.LEAD
    _carry = b""
    _read = 0
    _until: _Until | None = None
    _head = b""
    _tail = b""
    _held: list[bytes] | None = None
    _held_size = 0
    _anchored = False
    decided = False
    snippets: Snippets | None = None

    def __init__(
        self,
        choose: Callable[[str], Snippets | None],
        *,
        require_document: bool = False,
        keep_charset: bool = False,
        appendable: bool = True,
    ) -> None:
        self._choose: Callable[[str], Snippets | None] | None = choose
        self._require = require_document
        self._keep_charset = keep_charset
        self._appendable = appendable

    @property
    def untouched(self) -> bool:
        """Whether the body passes as it came, once `decided`."""
        return self.decided and self.snippets is None

    def whole(self, body: bytes) -> bytes:
        """Return a complete document with everything inserted; `feed` and `close` in one."""
        if self._appendable and not self._keep_charset and self._choose:
            done = insert_whole(body, self._choose)
            if done is not None:
                self.decided, self._state, self._choose = True, _State.PASS, None
                out, self.snippets = done
                return out
        out = self.feed(body)
        rest = self.close()
        return out + rest if rest else out

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the body; return what can leave now (empty: wait for more)."""
        if self._state is _State.PASS or not chunk:
            return chunk
        if self._state is _State.MIDDLE:
            return self._middle(chunk)
        if self._carry and self._until is None and b">" not in chunk and self._fits(chunk):
            self._carry += chunk  # no token ends here: reading again would find nothing new
            return b""
        return self._begin(self._carry + chunk, final=False)

    def close(self) -> bytes:
        """End the body; return what was held back, with whatever has not found its place yet."""
        out = b""
        if self._state in (_State.LEAD, _State.SCAN):
            out = self._begin(self._carry, final=True)
        if self._state is _State.PASS:
            return out
        self._state = _State.PASS
        held = b"".join(self._held or ())
        at = insertion(held)
        if at == len(held) and not self._appendable:
            return out + held
        return b"".join((out, held[:at], self._tail, held[at:]))

    def _fits(self, chunk: bytes) -> bool:
        return len(self._carry) + len(chunk) < PROLOGUE

    def _decide(self, html_tag: bytes) -> Snippets | None:
        self.decided = True
        choose, self._choose = self._choose, None  # it knows who holds us: a cycle would outlive the response
        self.snippets = choose(page_language(html_tag)) if choose else None
        return self.snippets

    # -- from the first byte to <body>

    def _begin(self, data: bytes, *, final: bool) -> bytes:
        self._carry = b""
        if self._state is _State.LEAD and self._appendable and not self._keep_charset:
            match = WHOLE.match(data, 0, PROLOGUE)
            if match:
                return self._placed(data, self._decide(match[1]), match.end(2), match.end(3))
        # Exactly the first 16 KB are read, so that the places do not depend on how the body is cut.
        data, rest = data[: PROLOGUE - self._read], data[PROLOGUE - self._read :]
        final = final or self._read + len(data) >= PROLOGUE
        if self._state is _State.LEAD and not self._lead(data, final=final):
            self._carry = data
            return b""
        if self._state is _State.PASS:
            return data + rest
        if self._state is _State.MIDDLE:
            return self._middle(data + rest)
        return self._scan(data, rest, final=final)

    def _placed(self, data: bytes, snippets: Snippets | None, head_at: int, body_at: int) -> bytes:
        """Return the first piece of a page with head and body in place."""
        if snippets is None:
            self._state = _State.PASS
            return data
        self._state = _State.MIDDLE
        self._tail = snippets.tail
        rest = self._middle(data[body_at:])
        return b"".join((data[:head_at], snippets.head, data[head_at:body_at], snippets.body, rest))

    def _lead(self, data: bytes, *, final: bool) -> bool:
        """Settle from the first tag whether the page gets anything; return False to wait for more."""
        match = cast("re.Match[bytes]", LEAD.match(data))  # every part of it is optional
        doctype, tag = match["doctype"], match["tag"]
        if tag is None:
            settled = doctype is not None and (final or data[match.end() :][:1] not in b"<")
            if not settled and not final and LEAD_SO_FAR.fullmatch(data):
                return False
            if not settled:
                self._refuse()
                return True
        is_html = tag is not None and match["name"].lower() == b"html"
        is_xml = b"<?" in data[: match.start("tag")]
        if (self._require or is_xml) and doctype is None and not is_html:
            self._refuse()
        elif self._decide(tag if is_html else b"") is None:
            self._state = _State.PASS
        else:
            self._place()
        return True

    def _refuse(self) -> None:
        self._choose = None
        self.decided = True
        self._state = _State.PASS

    def _place(self) -> None:
        """Start to look for the places of the snippets."""
        snippets = self.snippets or Snippets()
        self._state = _State.SCAN
        self._head = snippets.head
        self._tail = snippets.body + snippets.tail
        if not self._appendable:
            self._tail = snippets.head + self._tail
            self._state = _State.MIDDLE

    def _scan(self, data: bytes, rest: bytes, *, final: bool) -> bytes:
        """Read tokens until <body>; emit them with the snippets in place, hold back an unfinished one.

        Where no <body> shows to the end of ``data``, ``rest`` passes as what follows one.
        """
        out: list[bytes] = []
        done = at = 0
        while self._state is _State.SCAN:
            token = self._token(data, at, final=final)
            if token is None:
                break
            insert_at, snippet, at = token
            if snippet:
                out += (data[done:insert_at], snippet)
                done = insert_at
        if self._state is _State.MIDDLE:
            return b"".join((*out, data[done:at], self._middle(data[at:] + rest)))
        if self._until:
            at = max(at, len(data) - self._until.keep)
        if final:
            self._tail, self._head = self._head + self._tail, b""
            self._state = _State.MIDDLE
            return b"".join((*out, data[done:at], self._middle(data[at:] + rest)))
        self._carry = data[at:]
        self._read += at
        return b"".join((*out, data[done:at]))

    def _token(self, data: bytes, at: int, *, final: bool) -> tuple[int, bytes, int] | None:
        """Read one token: (where to insert, what, where the next token begins), or None to wait."""
        if self._until:
            end = self._until.pattern.search(data, at)
            if end is None:
                return None
            self._until = None
            return end.end(), b"", end.end()
        at = data.find(b"<", at)
        if at < 0:
            return None
        if data.startswith(b"<!--", at):
            self._until = _COMMENT_END
            return at, b"", at + 2  # "<!-->" is a whole comment
        tag = TAG.match(data, at)
        if tag:
            return self._tag(data, tag, final=final)
        kind = data[at + 1 : at + 2]
        if kind.isalpha() or not kind or b"<!--".startswith(data[at:]):
            return None
        if kind not in b"!?/":
            return at, b"", at + 1
        end_at = data.find(b">", at)
        return (at, b"", end_at + 1) if end_at >= 0 else None

    def _tag(self, data: bytes, tag: re.Match[bytes], *, final: bool) -> tuple[int, bytes, int] | None:
        name, start, end = tag[2].lower(), tag.start(), tag.end()
        if tag[1] or name == b"html":
            return end, b"", end
        head = self._head
        if name == b"head":
            place = self._behind_charset(data, end, final=final)
            if place is None:
                return None
            self._head = b""
            return place, head, place
        if head:
            self._head = b""  # <head> was left out: a script here opens it
            return start, head, start
        if name == b"body":
            body, self._tail = self._take_body()
            self._state = _State.MIDDLE
            return end, body, end
        if name in _RAW:
            self._until = _RAW[name]
        return end, b"", end

    def _take_body(self) -> tuple[bytes, bytes]:
        snippets = self.snippets or Snippets()
        return snippets.body, snippets.tail

    def _behind_charset(self, data: bytes, at: int, *, final: bool) -> int | None:
        """Return where the head snippet goes so that an early <meta charset> stays early; None to wait."""
        if not self._keep_charset or self._read + at >= CHARSET_LIMIT:
            return at
        window = data[at : CHARSET_LIMIT - self._read]
        if not final and self._read + len(data) < CHARSET_LIMIT:
            return None
        found = BEFORE_CHARSET.finditer(window)
        # Something that stands open, or a script, ends the search: the guard comes first.
        meta = next((m for m in found if m["meta"] or m[0] == b"<!--" or m[0][1:].lower() in _RAW), None)
        if meta is None or not meta["meta"]:
            return at
        pushed = self._read + at + meta.end() + len(self._head)
        return at + meta.end() if pushed > CHARSET_LIMIT else at

    # -- from <body> to the last byte

    def _middle(self, chunk: bytes) -> bytes:
        """Let a chunk pass; hold back from a ``</body`` in the last 2 KB, or a true beginning of one."""
        if self._held:
            self._held.append(chunk)
            self._held_size += len(chunk)
            if self._anchored and self._held_size <= TAIL:
                return b""
            chunk = b"".join(self._held)
            self._held = None
        size = len(chunk)
        start = size - TAIL if size > TAIL else 0
        at = chunk[start:].lower().find(b"</body")
        self._anchored = at >= 0
        if at >= 0:
            at += start
        else:
            partial = CLOSE_PREFIX.search(chunk, max(size - len(b"</body") + 1, 0))
            if partial is None:
                return chunk
            at = partial.start()
        self._held = [chunk[at:]]
        self._held_size = size - at
        return chunk[:at]


_COMMENT_END = _Until(re.compile(rb"-->|(?<!<!)--!>"), 5)
_RAW = {
    name: _Until(re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])", re.IGNORECASE), len(name) + 2)
    for name in RAW_NAMES.split(b"|")
}
