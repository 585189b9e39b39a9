"""What is done to one response: cookies held back, caching made honest, a document's markup put in.

Made only for a response that something may be done to. Sources: TRAPS "The injection algorithm that measured
best", RFC 9110, RFC 9111, CONFORMANCE GPC-5.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from consent_middleware.banner import Shape
from consent_middleware.caching import is_shared, joined, make_private, suffix_etag
from consent_middleware.cookies import set_cookie_name
from consent_middleware.filters import Verdict
from consent_middleware.page import STALE, Page, PageKind, has_page, page_kind
from consent_middleware.reporting import is_login
from consent_middleware.texts import best_language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_middleware.caching import Headers
    from consent_middleware.exchange import Exchange
    from consent_middleware.html import Snippets

__all__ = ["Response"]

_VARY = (b"Sec-GPC", b"DNT", b"Cookie")
_VARY_LANGUAGE = (*_VARY, b"Accept-Language")
_FRAGMENT = (
    b"hx-request",
    b"turbo-frame",
    b"x-up-version",
    b"x-up-target",
    b"x-pjax",
    b"x-requested-with",
    b"x-inertia",
)
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_=-]{4,256})'")


class Response:
    """The editing of one response.

    Args:
        exchange: The request it answers.
        status: Its status.

    Attributes:
        headers: Final, once they are known.
    """

    headers: Headers | None = None
    _page: Page | None = None
    _shared = False
    _personal = False
    _pending: Headers

    def __init__(self, exchange: Exchange, status: int) -> None:
        self._exchange = exchange
        self._status = status

    def start(self, headers: Headers, content_type: bytes) -> Headers | None:
        """Take the headers; return those to send now, or None where they wait for the body.

        Args:
            headers: As the app sent them.
            content_type: Of a response that is HTML; empty for any other.
        """
        exchange = self._exchange
        lowered = [(name.lower(), value) for name, value in headers]
        values = joined(lowered)
        self._shared = self._is_shared(values)
        if b"set-cookie" in values:
            held = self._held_cookies(lowered)
            if held:
                headers = [header for i, header in enumerate(headers) if i not in held]
                lowered = [header for i, header in enumerate(lowered) if i not in held]
        own = self._own_cookies()
        self._personal = bool(own) or (exchange.was_read and self._status != 101)
        self._pending = headers = [*headers, *own] if own else headers
        if content_type:
            kind = self._kind(values, content_type)
            if kind is not None:
                return self._hold(kind, values)
        if exchange.unsuffixed and self._status == 304:
            self._pending = self._tagged([*lowered, *own])
        self.headers = self.plain()
        return self.headers

    def feed(self, chunk: bytes, *, last: bool) -> bytes:
        """Take a piece of the body; return what can be sent. `headers` is set before the first byte is."""
        page = self._page
        if page is None:
            return chunk
        out = page.feed(chunk, last=last)
        if self.headers is None and page.decided:
            whole = len(out) if last else None
            self.headers = self.plain() if page.untouched else self._rewritten(page, whole=whole)
        return out

    def plain(self) -> Headers:
        """Return the headers of a response whose body is left alone."""
        if not self._personal:
            return self._pending
        return make_private([(name.lower(), value) for name, value in self._pending], self._vary)

    # -- cookies

    def _held_cookies(self, headers: Headers) -> set[int]:
        """Return the places of the `Set-Cookie` headers that are held back."""
        exchange = self._exchange
        site, rules = exchange.site, exchange.visitor.cookies
        held = set()
        for index, (name, value) in enumerate(headers):
            if name != b"set-cookie" or (verdict := rules.set_cookie(value, exchange.now)) is Verdict.PASS:
                continue
            cookie, login = set_cookie_name(value), is_login(exchange.path)
            if site.reporter.is_news(cookie, login=login):
                site.reporter.held_cookie(cookie, verdict, site.catalog.owners(cookie), login=login)
            if site.enforce:
                held.add(index)
        return held

    def _own_cookies(self) -> Headers:
        """Return the cookies of a server-side choice."""
        exchange = self._exchange
        cookie = exchange.staged.set_cookie if exchange.staged else None
        if not cookie:
            return []
        return [(b"set-cookie", cookie), *exchange.deletions(exchange.visitor, path=self._browser_path)]

    @property
    def _browser_path(self) -> str:
        return self._exchange.base + self._exchange.path

    # -- whose page it is

    def _is_shared(self, values: Mapping[bytes, bytes]) -> bool:
        exchange = self._exchange
        rendering = exchange.site.config.site.rendering
        if rendering != "auto":
            return rendering == "shared" and exchange.staged is None
        if not is_shared(values):
            return False
        if exchange.was_read or exchange.staged:
            text = "the app read consent while answering with a publicly cacheable response; it was made private."
            exchange.site.reporter.once(logging.WARNING, ("read-on-shared",), text)
            return False
        return True

    def _kind(self, values: Mapping[bytes, bytes], content_type: bytes) -> PageKind | None:
        """Return what kind of page this is, None where it is none that gets our markup."""
        if not has_page(self._status):
            return None
        header = self._exchange.header
        if not self._shared:  # a shared page must not depend on who asks for it
            mode = header(b"sec-fetch-mode")
            if mode is not None and mode != b"navigate":
                return None
            for name in _FRAGMENT:
                if header(name) is not None:
                    return None
        kind = page_kind(
            content_type, values.get(b"content-encoding", b""), values.get(b"content-disposition", b"")
        )
        return kind if kind.rewritable and self._can_open(kind) else None

    def _can_open(self, kind: PageKind) -> bool:
        site = self._exchange.site
        if not kind.coding or (kind.gzipped and site.config.site.transcode):
            return True
        text = (
            f"a page left with Content-Encoding {kind.coding.decode('latin-1')!r}, so it got no banner: put the "
            "compressing middleware outside of ConsentMiddleware, or let it compress with gzip."
        )
        site.reporter.once(logging.WARNING, ("encoding",), text)
        return False

    # -- a document

    def _hold(self, kind: PageKind, values: Mapping[bytes, bytes]) -> Headers | None:
        exchange = self._exchange
        page = Page(
            self._snippets,
            kind,
            values.get(b"content-length", b""),
            nonce=self._nonce(values),
            require_document=self._shared or exchange.header(b"sec-fetch-mode") is None,
        )
        if exchange.method == "HEAD":
            self.headers = self._rewritten(page, whole=None)
            return self.headers
        self._page = page
        return None

    def _nonce(self, values: Mapping[bytes, bytes]) -> str:
        """Reuse the app's nonce; a page for everyone must not hold one."""
        exchange = self._exchange
        policy = values.get(b"content-security-policy")
        if self._shared:
            exchange.nonce = ""
        elif not exchange.nonce and policy:
            found = _NONCE.search(policy)
            exchange.nonce = found[1].decode("ascii") if found else ""
        return exchange.nonce

    def _rewritten(self, page: Page, *, whole: int | None) -> Headers:
        """Return a document's headers: nothing stale, its own entity tag, private unless shared."""
        headers = [
            (lowered, value) for name, value in self._pending if (lowered := name.lower()) not in STALE
        ]
        headers = self._tagged(headers, drop=bool(page.nonce))
        length = page.length(whole)
        if length is not None:
            headers.append((b"content-length", str(length).encode("ascii")))
        if self._shared:
            return headers
        exchange = self._exchange
        headers += exchange.deletions(exchange.visitor, path=self._browser_path)
        if exchange.seen.unreadable and exchange.staged is None:
            # The page cannot check signatures: what the server does not believe must be gone before it looks.
            names = exchange.site.visitors.names
            headers.append((b"set-cookie", names.deletion(secure=exchange.secure)))
        return make_private(headers, self._vary)

    def _tagged(self, headers: Headers, *, drop: bool = False) -> Headers:
        """Return the headers with the entity tag of our variant, or without it."""
        for index, (name, value) in enumerate(headers):
            if name == b"etag":
                tag = suffix_etag(value, self._exchange.variant_tag(shared=self._shared))
                return [*headers[:index], *([] if drop else [(name, tag)]), *headers[index + 1 :]]
        return headers

    @property
    def _vary(self) -> tuple[bytes, ...]:
        return _VARY if len(self._exchange.site.config.site.languages) == 1 else _VARY_LANGUAGE

    def _snippets(self, page_language: str) -> Snippets | None:
        """Choose what goes into the page; called with the page's language."""
        exchange = self._exchange
        banner, language = exchange.site.banner, self._language(page_language)
        if self._shared:
            return banner.snippets(
                language, exchange.base, Shape.LOADER if exchange.is_excluded else Shape.ASK
            )
        notices = exchange.visitor.decision.notices
        return banner.snippets(language, exchange.base, exchange.shape, notices, exchange.nonce)

    def _language(self, page_language: str) -> str:
        exchange = self._exchange
        site = exchange.site.config.site
        if len(site.languages) == 1:
            return site.languages[0]
        page = best_language([page_language], site.languages) if page_language else None
        if self._shared:  # Accept-Language would make it another page for everyone
            return page or site.languages[0]
        if site.language_from == "visitor":
            return best_language(exchange.accepted_languages, site.languages) or page or site.languages[0]
        return page or exchange.visitor_language
