"""What is done to one response: cookies held back, caching made honest, a document's markup put in.

Made only for a response that something may be done to. Sources: TRAPS "The injection algorithm that measured
best", RFC 9110, RFC 9111, CONFORMANCE GPC-5.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from consent_middleware.caching import is_shared, joined, make_private, suffix_etag
from consent_middleware.html import insert_whole
from consent_middleware.page import STALE, Page, PageKind, has_page, page_kind
from consent_middleware.rendering import Rendering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_middleware.caching import Headers
    from consent_middleware.exchange import Exchange
    from consent_middleware.holding import Holding
    from consent_middleware.html import Rewriter, Snippets

__all__ = ["Response"]

_FRAGMENT = (
    b"hx-request",
    b"turbo-frame",
    b"x-up-version",
    b"x-up-target",
    b"x-pjax",
    b"x-requested-with",
    b"x-inertia",
)
_VALIDATORS = frozenset({b"etag", b"last-modified"})
_LENGTH = frozenset({b"content-length", b"Content-Length"})
_VOLATILE = frozenset(
    {b"set-cookie", b"etag", b"content-security-policy", b"last-modified", b"date", b"x-request-id"}
)
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_=-]{4,256})'")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a response's headers say, whoever asked for it.

    Attributes:
        values: By lower-case name, repeated ones joined.
        shared: Whether the app says that one copy may serve everybody.
        kind: What they say about an HTML body.
        kept: Lower-case, without what would be stale once the body is rewritten.
        private: The same, made private.
    """

    values: Mapping[bytes, bytes]
    shared: bool
    kind: PageKind
    kept: tuple[tuple[bytes, bytes], ...]
    private: tuple[tuple[bytes, bytes], ...]


def _read(headers: tuple[tuple[bytes, bytes], ...], content_type: bytes, vary: tuple[bytes, ...]) -> _Reading:
    lowered = [(name.lower(), value) for name, value in headers]
    values = joined(lowered)
    kept = [header for header in lowered if header[0] not in STALE]
    return _Reading(
        values=values,
        shared=is_shared(values),
        kind=page_kind(
            content_type, values.get(b"content-encoding", b""), values.get(b"content-disposition", b"")
        ),
        kept=tuple(kept),
        private=tuple(make_private(kept, vary)),
    )


_remembered = lru_cache(maxsize=512)(_read)


def _is_volatile(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Return whether a header is there that differs from visit to visit."""
    for name, _ in headers:  # noqa: SIM110 - a generator costs more than the loop
        if name in _VOLATILE:
            return True
    return False


class Response:
    """The editing of one response.

    Args:
        exchange: The request it answers.
        status: Its status.
        headers: As the app sent them, without the cookies that are held back.
        content_type: Of a response that is HTML; empty for any other.
        sets_cookie: Whether the app set a cookie, held back or not: then the page is nobody else's.

    Attributes:
        headers: The headers to send, once they are known; the very object that came in if nothing was done.
    """

    headers: Headers | None = None
    _page: Page | None = None
    _kind: PageKind | None = None
    _rewriter: Rewriter | None = None
    _gets_markup = False
    _is_touched = False
    _is_closed = False

    def __init__(
        self, exchange: Exchange, status: int, headers: Headers, content_type: bytes, *, sets_cookie: bool
    ) -> None:
        self._exchange = exchange
        self._status = status
        self._policy: Headers = []
        own = exchange.staged_cookies() if exchange.staged is not None else []
        binding = exchange.binding
        if binding and not is_shared(joined([(name.lower(), value) for name, value in headers])):
            own = [*own, *binding]
        self._pending = [*headers, *own] if own else headers
        lasting = tuple([(name, value) for name, value in self._pending if name not in _LENGTH])
        # What differs from visit to visit would only push out what is worth remembering.
        look = _read if own or sets_cookie or _is_volatile(lasting) else _remembered
        self._reading = reading = look(lasting, content_type, exchange.site.vary)
        self._rendering = Rendering(exchange, is_shared=self._is_shared(reading, sets_cookie=sets_cookie))
        self._personal = bool(own) or exchange.was_read
        if content_type and has_page(status):
            self._add_policy()
            self._gets_markup = self._is_page(reading.kind)
            holding = self._rendering.holding
            if holding and b"link" in reading.values:
                self._drop_links(holding, content_type)
            if reading.kind.rewritable and (holding or self._gets_markup) and self._can_read(reading.kind):
                self._kind = reading.kind
                self._hold()
                if holding:
                    self._rewriter = self._rendering.rewriter(holding, xml=reading.kind.xhtml)
                return
            if not self._rendering.is_shared and self._rendering.differs:
                # Somebody else gets this fragment with its tags held back.
                self._personal = True
                self._pending = [h for h in self._pending if h[0].lower() not in _VALIDATORS]
        # A page that this requester gets without our markup must not become everyone's copy.
        self._personal = self._personal or (self._rendering.is_shared and self._is_closed)
        if exchange.unsuffixed and status == 304:
            # What a 304 says replaces what the browser has stored with the page, so it says the same.
            self._pending = self._tagged(list(reading.kept))
            self._personal = not self._rendering.is_shared
        self.headers = self.plain()

    def feed(self, chunk: bytes, *, last: bool) -> bytes:
        """Take a piece of the body; return what can be sent. `headers` is set before the first byte is."""
        page = self._page
        if page is None:
            if self._kind is None or not (chunk or last):
                return chunk
            # A server that hands over an iterable does not say which piece is the last; its length does.
            last = last or len(chunk) == self._length
            if last and not self._kind.coding:
                chunk = self._rewrite(chunk)
                if not self._gets_markup or self._kind.plain:
                    done = self._insert(chunk)
                    if done is not None:
                        return done
            page = self._page = self._open_page()
        out = page.feed(chunk, last=last)
        if self.headers is None and page.decided:
            is_plain = page.untouched and not self._is_touched
            self.headers = (
                self.plain() if is_plain else self._rewritten(page.length(len(out) if last else None))
            )
        return out

    def _rewrite(self, body: bytes) -> bytes:
        """Return a complete body with held tags made inert."""
        rewriter, self._rewriter = self._rewriter, None
        if rewriter is None:
            return body
        out = rewriter.whole(body)
        self._is_touched = rewriter.touched
        return out

    def _insert(self, body: bytes) -> bytes | None:
        """Return a complete body with our markup in it; None where only an `Injector` can tell the places."""
        is_touched = self._is_touched
        if self._gets_markup:
            done = insert_whole(body, self._snippets)
            if done is None:
                return None
            body, snippets = done
            is_touched = is_touched or snippets is not None
        self.headers = self._rewritten(len(body)) if is_touched else self.plain()
        self._kind = None  # nothing more is to come
        return body

    def abandon(self) -> Headers:
        """Stop rewriting before the first byte (WSGI `write()`); return the headers that go then."""
        self._page = self._kind = None
        self._personal = self._personal or self._rendering.is_shared
        self.headers = self.plain()
        return self.headers

    def plain(self) -> Headers:
        """Return the headers of a response whose body is left alone."""
        policy = self._policy
        if not self._personal:
            return [*self._pending, *policy] if policy else self._pending
        headers = [(name.lower(), value) for name, value in self._pending]
        return make_private(headers, self._exchange.site.vary) + self._tk + policy

    def _drop_links(self, holding: Holding, content_type: bytes) -> None:
        """Keep the page's own headers from having the browser ask those who wait."""
        passing = self._rendering.without_links(self._pending, holding)
        if passing is not self._pending:
            self._pending = passing
            self._reading = _read(
                tuple([header for header in passing if header[0] not in _LENGTH]),
                content_type,
                self._exchange.site.vary,
            )

    @property
    def _tk(self) -> Headers:
        """The tracking status, where the site switched it on (DNT-2)."""
        exchange = self._exchange
        return [(b"tk", exchange.visitor.decision.tracking.encode("ascii"))] if exchange.site.tk else []

    def _add_policy(self) -> None:
        """Put a policy of our own beside the app's, and look at whether the app's lets our files in."""
        exchange = self._exchange
        if not (self._rendering.is_shared or exchange.wants_document):
            return
        self._policy = self._rendering.policy
        self._personal = self._personal or (bool(self._policy) and not self._rendering.is_shared)

    # -- whose page it is

    def _is_shared(self, reading: _Reading, *, sets_cookie: bool) -> bool:
        exchange = self._exchange
        rendering = exchange.site.rendering
        if rendering == "personal" or (rendering == "auto" and (sets_cookie or not reading.shared)):
            return False
        return not self._is_taken_back()

    def _is_taken_back(self) -> bool:
        """Return whether the app read consent for a response it calls public: then it is not."""
        exchange = self._exchange
        if not exchange.was_read and exchange.staged is None:
            return False
        text = (
            "the app read consent while answering with a publicly cacheable response; it was made private. "
            "Do not read consent there, or do not call the response public."
        )
        exchange.site.reporter.once(logging.WARNING, ("read-on-shared",), text)
        return True

    def _is_page(self, kind: PageKind) -> bool:
        """Return whether this is a page that gets our markup."""
        if kind.is_stream:
            return False
        header = self._exchange.header
        if not self._rendering.is_shared:  # a shared page must not depend on who asks for it
            mode = header(b"sec-fetch-mode")
            if mode is None:
                for name in _FRAGMENT:
                    if header(name) is not None:
                        return False
            elif mode != b"navigate" and not self._exchange.is_prefetch:
                return False
        return kind.rewritable and self._can_read(kind)

    def _can_read(self, kind: PageKind) -> bool:
        """Return whether the body is there to be read: not compressed, or in a way that we can open."""
        site = self._exchange.site
        if not kind.coding or (kind.gzipped and site.transcode):
            return True
        text = (
            f"a page left with Content-Encoding {kind.coding.decode('latin-1')!r}, so it got no banner and no tag in it was held back: put the "
            "compressing middleware outside of ConsentMiddleware, or let it compress with gzip."
        )
        site.reporter.once(logging.WARNING, ("encoding",), text)
        self._is_closed = True
        return False

    # -- a document

    def _hold(self) -> None:
        """Make the headers wait for the body; of a HEAD request there is none."""
        policy = self._reading.values.get(b"content-security-policy")
        if policy is not None or self._rendering.is_shared:
            self._find_nonce(policy or b"")
        if policy is not None and self._gets_markup:
            self._exchange.site.check_policy(policy, self._exchange.nonce)
        if self._exchange.method == "HEAD":
            self.headers = self._rewritten(None)

    def _open_page(self) -> Page:
        exchange, kind = self._exchange, cast("PageKind", self._kind)
        navigates = exchange.header(b"sec-fetch-mode") == b"navigate" and not self._rendering.is_shared
        snippets = self._snippets if self._gets_markup else None
        return Page(snippets, self._rewriter, kind, self._length, require_document=not navigates)

    @property
    def _length(self) -> int | None:
        """The app's Content-Length, None if it gives none."""
        length = next((value for name, value in self._pending if name.lower() == b"content-length"), b"")
        return int(length) if length.isdigit() else None

    def _find_nonce(self, policy: bytes) -> None:
        """Reuse the app's nonce; a page for everyone must not hold one."""
        exchange = self._exchange
        if self._rendering.is_shared:
            exchange.nonce = ""
        elif not exchange.nonce:
            found = _NONCE.search(policy)
            exchange.nonce = found[1].decode("ascii") if found else ""

    def _rewritten(self, length: int | None) -> Headers:
        """Return a document's headers: nothing stale, its own entity tag, private unless shared."""
        exchange, reading = self._exchange, self._reading
        headers = [*(reading.kept if self._rendering.is_shared else reading.private), *self._policy]
        if b"etag" in reading.values:
            # Only documents get their own tags back, so a fragment goes without.
            headers = self._tagged(headers, drop=bool(exchange.nonce) or not self._gets_markup)
        if length is not None:
            headers.append((b"content-length", str(length).encode("ascii")))
        if not self._rendering.is_shared:
            lasting = exchange.lasting_cookie()
            headers += lasting + self._tk
            if exchange.header(b"cookie") is not None:
                exchange.site.check_cookie(exchange)
                headers += self._expired(is_replaced=bool(lasting))
        return headers

    def _expired(self, *, is_replaced: bool) -> Headers:
        """Return the deletions of what the visitor refused, and of a consent cookie that is not believed."""
        exchange = self._exchange
        found = exchange.deletions(exchange.visitor, path=exchange.base + exchange.path)
        if exchange.seen.unreadable and exchange.staged is None and not is_replaced:
            # The page cannot check signatures: what the server does not believe must be gone before it looks.
            names = exchange.site.visitors.names
            found.append((b"set-cookie", names.deletion(secure=exchange.secure)))
        return found

    def _tagged(self, headers: Headers, *, drop: bool = False) -> Headers:
        """Return the headers with the entity tag of our variant, or without it."""
        for index, (name, value) in enumerate(headers):
            if name == b"etag":
                tag = suffix_etag(value, self._rendering.variant_tag)
                return [*headers[:index], *([] if drop else [(name, tag)]), *headers[index + 1 :]]
        return headers

    def _snippets(self, page_language: str) -> Snippets | None:
        """Choose what goes into the page; called with the page's language."""
        rendering = self._rendering
        if rendering.is_shared and self._is_taken_back():  # read while the body was made
            rendering.is_shared = False
        return rendering.snippets(page_language)
