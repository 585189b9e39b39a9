"""A document on its way out: which responses are one, and its body with our markup put in.

Decides from the response alone (TRAPS "The injection algorithm that measured best", step 2); whose page it is
and what it gets is for `exchange`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from consent_middleware.html import Chain, GzipTranscoder, Injector

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.html import Rewriter, Snippets

__all__ = ["STALE", "Page", "PageKind", "has_page", "page_kind"]

_GZIP = frozenset({b"gzip", b"x-gzip"})
# Each says something about the very bytes that change.
STALE = frozenset(
    {
        b"content-length",
        b"accept-ranges",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"last-modified",
    }
)
_BODILESS = frozenset({204, 205, 206})
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_WIDE = re.compile(rb"utf-?16|utf-?32|ucs-?[24]|utf-?7|ebcdic|cp037|iso-10646|iso-?2022|hz-gb", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageKind:
    """What an HTML response's headers say about its body.

    Attributes:
        rewritable: A page that is shown, in a charset that holds ASCII; no download.
        coding: Its content coding, empty for none.
        names_charset: Whether the content type does; else a ``<meta charset>`` must stay early.
        xhtml: Whether it must be well-formed.
        is_stream: Whether it is a Turbo Stream, which is a fragment whoever asks.
    """

    rewritable: bool
    coding: bytes
    names_charset: bool
    xhtml: bool
    is_stream: bool

    @property
    def gzipped(self) -> bool:
        """Whether the body can be opened and closed again."""
        return self.coding in _GZIP

    @property
    def plain(self) -> bool:
        """Whether a complete body can be rewritten at one go."""
        return self.names_charset and not self.xhtml and not self.coding


@lru_cache(maxsize=512)
def page_kind(content_type: bytes, content_encoding: bytes, disposition: bytes) -> PageKind:
    """Read the headers of an HTML response; remembered, since a site's pages repeat a few values."""
    charset = _CHARSET.search(content_type)
    coding = content_encoding.strip().lower()
    return PageKind(
        rewritable=not (charset and _WIDE.search(charset[1])) and disposition[:10].lower() != b"attachment",
        coding=b"" if coding == b"identity" else coding,
        names_charset=charset is not None,
        xhtml=content_type[:5].lower() != b"text/",
        is_stream=content_type[:9].lower() == b"text/vnd.",
    )


def has_page(status: int) -> bool:
    """Return whether a response of this status shows a page; error pages are pages, redirects are not."""
    return status >= 200 and status not in _BODILESS and not 300 <= status < 400


class Page:
    """One document's body, rewritten as it passes.

    Args:
        snippets: Given the page's language, returns what goes in; None for a fragment, which gets nothing.
        rewriter: Makes held tags inert; None where nothing is held.
        kind: What its headers say.
        length: The app's Content-Length, None if it gives none.
        require_document: Leave alone what does not begin like a document.
    """

    __slots__ = ("_body", "_fed", "_injector", "_length")

    def __init__(
        self,
        snippets: Callable[[str], Snippets | None] | None,
        rewriter: Rewriter | None,
        kind: PageKind,
        length: int | None,
        *,
        require_document: bool,
    ) -> None:
        self._injector = snippets and Injector(
            snippets,
            require_document=require_document,
            keep_charset=not kind.names_charset,
            appendable=not kind.xhtml,
        )
        body: Chain | Injector = (
            Chain(rewriter, self._injector) if rewriter else cast("Injector", self._injector)
        )
        self._body = GzipTranscoder(body) if kind.gzipped else body
        # Of a rewritten page, of XHTML and of a gzip stream it is not known beforehand by how much it grows.
        self._length = None if rewriter or kind.xhtml or kind.gzipped else length
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
        snippets = self._injector.snippets if self._injector else None
        if whole is not None or self._length is None or snippets is None:
            return whole
        return self._length + snippets.size
