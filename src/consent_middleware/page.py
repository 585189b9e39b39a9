"""A document on its way out: which responses are one, and its body with our markup put in.

Decides from the response alone (TRAPS "The injection algorithm that measured best", step 2); whose page it is
and what it gets is for `exchange`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from consent_middleware.html import GzipTranscoder, Injector, Snippets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["GZIP", "STALE", "Page", "content_coding", "is_rewritable"]

GZIP = frozenset({b"gzip", b"x-gzip"})
# Each says something about the very bytes that change.
STALE = (
    b"content-length",
    b"accept-ranges",
    b"content-md5",
    b"digest",
    b"content-digest",
    b"repr-digest",
    b"last-modified",
)
_BODILESS = frozenset({204, 205, 206})
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_WIDE = re.compile(rb"utf-?16|utf-?32|ucs-?[24]|utf-?7|ebcdic|cp037|iso-10646", re.IGNORECASE)


def content_coding(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the response's content coding, empty for none; ``identity`` is none."""
    coding = headers.get(b"content-encoding", b"").strip().lower()
    return b"" if coding == b"identity" else coding


def is_rewritable(status: int, headers: Mapping[bytes, bytes], content_type: bytes) -> bool:
    """Return whether an HTML response is a whole page that is shown: no redirect, part, download or wide charset.

    Error pages are pages.
    """
    if status < 200 or status in _BODILESS or 300 <= status < 400:
        return False
    charset = _CHARSET.search(content_type)
    if charset and _WIDE.search(charset[1]):
        return False
    return headers.get(b"content-disposition", b"")[:10].lower() != b"attachment"


class Page:
    """One document's body, rewritten as it passes.

    Args:
        snippets: Given the page's language, returns what goes in.
        headers: The response's headers, by lower-case name.
        content_type: Its content type.
        nonce: The nonce that goes into it; with one, validators go.
        require_document: Leave alone what does not begin like a document.
    """

    __slots__ = ("_body", "_fed", "_injector", "_length", "nonce")

    def __init__(
        self,
        snippets: Callable[[str], Snippets | None],
        headers: Mapping[bytes, bytes],
        content_type: bytes,
        *,
        nonce: str,
        require_document: bool,
    ) -> None:
        xhtml = content_type[:9].lower() != b"text/html"
        self.nonce = nonce
        self._injector = Injector(
            snippets,
            require_document=require_document,
            keep_charset=_CHARSET.search(content_type) is None,
            appendable=not xhtml,
        )
        gzipped = content_coding(headers) in GZIP
        self._body = GzipTranscoder(self._injector) if gzipped else self._injector
        length = headers.get(b"content-length", b"")
        self._length = int(length) if length.isdigit() and not xhtml and not gzipped else None
        self._fed = False

    @property
    def decided(self) -> bool:
        """Whether it is settled what the page gets; nothing is emitted before."""
        return self._body.decided

    @property
    def untouched(self) -> bool:
        """Whether the body passes as it came, once `decided`."""
        return self._body.untouched

    def feed(self, chunk: bytes, *, last: bool) -> bytes:
        """Take a piece of the body; return what can be sent."""
        if last and not self._fed:
            return self._body.whole(chunk)
        self._fed = True
        out = self._body.feed(chunk)
        return out + self._body.close() if last else out

    def length(self, whole: int | None) -> int | None:
        """Return the Content-Length: of the whole body if it is here, else the app's plus ours, if known."""
        snippets = self._injector.snippets
        if whole is not None or self._length is None or snippets is None:
            return whole
        return self._length + snippets.size
