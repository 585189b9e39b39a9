"""One request and its response, without I/O: what both adapters do, in one place.

An adapter makes an `Exchange` a request and calls, in this order:

=====================  ====================================================================================
``own_request``        for a path below `path`: the request our endpoints answer; the app is not called
``edit_request``       the headers the app is to see
``staged``             at the response's start: an `Outcome` of `consent.update()` to make durable, if any
``start``              the headers to send now, or None: they wait for the first bytes of the body
``feed``               each piece of the body; then ``headers`` says when the start may be sent
=====================  ====================================================================================

Headers are lists of ``(name, value)`` byte pairs. A response that nothing is done to comes back as the very
object that went in. Source: TRAPS "The injection algorithm that measured best", RFC 9110.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING

from consent_middleware.banner import Shape
from consent_middleware.caching import (
    Headers,
    is_shared,
    make_private,
    merge_vary,
    suffix_etag,
    unsuffix_etags,
    without,
)
from consent_middleware.choices import Answer, Method, Outcome
from consent_middleware.consent import Consent
from consent_middleware.cookies import cookie_pairs, set_cookie_name
from consent_middleware.endpoints import OwnRequest, Reply
from consent_middleware.errors import LateChangeError
from consent_middleware.filters import Verdict, expire
from consent_middleware.page import GZIP, STALE, Page, content_coding, is_rewritable
from consent_middleware.reporting import is_login
from consent_middleware.request import ConsentRequest
from consent_middleware.signals import read_signals
from consent_middleware.texts import best_language, preferred_languages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.html import Snippets
    from consent_middleware.site import Site
    from consent_middleware.visitor import Visitor

__all__ = ["Exchange"]

_VARY = (b"Sec-GPC", b"DNT", b"Cookie")
_FRAGMENT = (
    b"hx-request",
    b"turbo-frame",
    b"x-up-version",
    b"x-up-target",
    b"x-pjax",
    b"x-requested-with",
    b"x-inertia",
)
_FRAMES = frozenset({b"iframe", b"frame", b"embed", b"object", b"fencedframe"})
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_=-]{4,256})'")


class Exchange:
    """One request/response cycle on one site.

    Args:
        site: The compiled site.
        method: In capitals.
        scheme: As the server says.
        base: Where the app is mounted (``root_path`` / ``SCRIPT_NAME``).
        path: Below the mount point.
        header: Looks up a request header by lower-case name; repeated ones joined.
        now: Seconds since the epoch.
    """

    __slots__ = (
        "_header",
        "_method",
        "_now",
        "_page",
        "_path",
        "_pending",
        "_personal",
        "_read",
        "_scheme",
        "_shared",
        "_staged",
        "_started",
        "_status",
        "_unsuffixed",
        "_visitor",
        "base",
        "headers",
        "nonce",
        "site",
        "skip",
    )  # fmt: skip

    def __init__(
        self,
        site: Site,
        method: str,
        scheme: str,
        base: str,
        path: str,
        header: Callable[[bytes], bytes | None],
        now: float,
    ) -> None:
        self.site = site
        self.base = base
        self._scheme = scheme
        self.skip = False
        self.nonce = ""
        self.headers: Headers | None = None
        self._method = method
        self._path = path
        self._header = header
        self._now = now
        self._visitor: Visitor | None = None
        self._read = self._started = self._unsuffixed = False
        self._staged: Outcome | None = None
        self._page: Page | None = None

    # -- who asks

    @property
    def visitor(self) -> Visitor:
        """The visitor's state; recognised when first needed."""
        if self._visitor is None:
            header, site = self._header, self.site
            cookie = header(b"cookie")
            raw: tuple[bytes, ...] = ()
            if cookie and b"consent" in cookie:
                raw = tuple(value.strip() for value in site.own_cookie[self.secure].findall(cookie))
            gpc = header(b"sec-gpc")
            signals = read_signals((gpc,) if gpc else (), header(b"dnt"))
            self._visitor = site.visitors.recognise(raw, signals, self._now)
        return self._visitor

    @property
    def secure(self) -> bool:
        """Whether the browser sees HTTPS."""
        return self.origin[0] in {"https", "wss"}

    @property
    def origin(self) -> tuple[str, str]:
        """The scheme and the host (with port) the browser sees: pinned by `origins`, else the server's word."""
        return self.site.origin(self._scheme, (self._header(b"host") or b"").decode("latin-1"))

    @property
    def consent(self) -> Consent:
        """What the app reads."""
        return Consent(self)

    def read(self) -> Visitor:
        """Return the visitor's state to the app; the response is personal from now on."""
        self._read = True
        return self._staged.visitor if self._staged else self.visitor

    def stage(self, granted: frozenset[str]) -> None:
        """Take a server-side choice; it is committed before the headers go.

        Raises:
            LateChangeError: They have gone.
        """
        if self._started:
            raise LateChangeError(
                "consent.update() came after the response's headers had left; call it before."
            )
        answer = Answer(granted, Method.API)
        self._staged = self.site.choices.take(
            self.visitor, answer, language=self._visitor_language(), secure=self.secure, now=self._now
        )

    @property
    def wants_document(self) -> bool:
        """Whether the answer may be a page that gets our markup."""
        return self._may_be_document()

    @property
    def staged(self) -> Outcome | None:
        """The server-side choice to make durable before `start`, if any."""
        return self._staged

    def drop_staged(self) -> None:
        """Forget the server-side choice: it grants something and could not be made durable."""
        self._staged = None

    def hook_request(self, headers: Mapping[bytes, bytes], client: str | None, raw: object) -> ConsentRequest:
        """Return this request as the site's hooks see it."""
        cookies: dict[str, str] = {}
        for name, value in cookie_pairs(headers.get(b"cookie", b"")):
            cookies.setdefault(name, value.decode("latin-1"))
        scheme, host = self.origin
        text = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        return ConsentRequest(self._method, scheme, host, self._path, text, cookies, client, raw)

    # -- our own resources

    def own_request(self, query: bytes, body: bytes = b"") -> OwnRequest:
        """Return this request as our endpoints take it; only for a path below `path`."""
        scheme, host = self.origin
        return OwnRequest(
            method=self._method,
            scheme=scheme,
            host=host,
            base=self.base,
            rest=self._path[len(self.site.prefix) :],
            query=query,
            header=self._header,
            visitor=self.visitor,
            language=self._visitor_language(),
            now=self._now,
            body=body,
        )

    def finish(self, reply: Reply) -> Headers:
        """Return a reply's final headers: its length, and deletions where a choice was refused."""
        headers = list(reply.headers)
        if reply.outcome is not None:
            headers += self._deletions(reply.outcome.visitor, path="/")
        length = str(len(reply.body)).encode("ascii")
        return [*headers, (b"content-length", length)]

    # -- the request on its way in

    def edit_request(self, headers: Headers) -> Headers | None:
        """Return the headers the app is to see, None if it may see them as they are."""
        edits: dict[bytes, bytes] = {}
        if self._may_be_document():
            self._narrow_encoding(edits)
            self._restore_validators(edits)
        has_cookie = self._header(b"cookie") is not None
        if not edits and not has_cookie:
            return None
        edited: Headers = []
        changed = bool(edits)
        for name, value in headers:
            kept = edits.get(name, value)
            if name == b"cookie":
                kept = self._visible_cookies(value)
                changed = changed or kept is not value
            if kept or not value:
                edited.append((name, kept))
        return edited if changed else None

    def _visible_cookies(self, value: bytes) -> bytes:
        cookies = self.visitor.cookies
        visible = cookies.request(value)
        if visible is value:
            return value
        site = self.site
        for name, _ in cookie_pairs(value):
            if cookies.hides(name) and (owners := site.catalog.owners(name)):
                site.reporter.hidden_cookie(name, owners)
        if site.enforce:
            return visible
        return cookies.without_own(value)

    def _may_be_document(self) -> bool:
        mode = self._header(b"sec-fetch-mode")
        return mode == b"navigate" if mode is not None else b"text/html" in (self._header(b"accept") or b"")

    def _narrow_encoding(self, edits: dict[bytes, bytes]) -> None:
        """Ask the app for what we can open: gzip, or nothing."""
        accepted = self._header(b"accept-encoding")
        if accepted and self.site.config.site.transcode and accepted != b"gzip":
            edits[b"accept-encoding"] = b"gzip" if b"gzip" in accepted.lower() else b"identity"

    def _restore_validators(self, edits: dict[bytes, bytes]) -> None:
        """Give the app its own entity tags back; a date cannot tell our variants apart, so it goes."""
        tags = self._header(b"if-none-match")
        if tags is not None:
            own = unsuffix_etags(tags, (self._variant_tag(shared=False), self._variant_tag(shared=True)))
            self._unsuffixed = bool(own)
            edits[b"if-none-match"] = own
        if self._header(b"if-modified-since") is not None:
            edits[b"if-modified-since"] = b""

    # -- the response's start

    def start(self, status: int, headers: Headers) -> Headers | None:
        """Take the response's status and headers.

        Returns:
            The headers to send now (the same object if nothing is done to them), or None where they wait:
            then `feed` the body until `headers` is set.
        """
        self._started = True
        content_type = b""
        cookies = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-type":
                content_type = value
            elif lowered == b"set-cookie":
                cookies = True
        html = (
            content_type[:9].lower() == b"text/html" or content_type[:21].lower() == b"application/xhtml+xml"
        )
        if not (cookies or html or self._read or self._staged or self._unsuffixed):
            self.headers = headers
            return headers
        self._status = status
        return self._edit_response(headers, content_type, cookies=cookies, html=html)

    def start_socket(self, headers: Headers) -> Headers:
        """Take the headers of a websocket's acceptance or denial; nothing but its cookies is ours."""
        self._started = True
        own = self._own_cookies()
        if any(name.lower() == b"set-cookie" for name, _ in headers):
            headers = self._filter_cookies(headers)
        return [*headers, *own] if own else headers

    def _edit_response(
        self, headers: Headers, content_type: bytes, *, cookies: bool, html: bool
    ) -> Headers | None:
        lowered = [(name.lower(), value) for name, value in headers]
        self._shared = self._is_shared(lowered)
        own = self._own_cookies()
        if cookies:
            headers = self._filter_cookies(headers)
            lowered = [(name.lower(), value) for name, value in headers]
        if own:
            headers = lowered = [*lowered, *own]
        self._personal = bool(own) or self._read
        self._pending = headers
        if html and self._is_document(lowered, content_type):
            return self._hold(dict(lowered), content_type)
        if self._unsuffixed and self._status == 304:
            lowered = headers = self._tagged(lowered)
        self.headers = self._private(lowered) if self._personal else headers
        return self.headers

    def _own_cookies(self) -> Headers:
        if self._staged is None:
            return []
        self._visitor = self._staged.visitor
        cookie = self._staged.set_cookie
        if not cookie:
            return []
        return [(b"set-cookie", cookie), *self._deletions(self.visitor, path=self.base + self._path)]

    def _is_shared(self, headers: Headers) -> bool:
        rendering = self.site.config.site.rendering
        if rendering != "auto":
            return rendering == "shared" and not self._staged
        if not is_shared(headers):
            return False
        if self._read or self._staged:
            text = "the app read consent while answering with a publicly cacheable page; the page was made private."
            self.site.reporter.once(logging.WARNING, ("read-on-shared",), text)
            return False
        return True

    def _filter_cookies(self, headers: Headers) -> Headers:
        site, rules = self.site, self.visitor.cookies
        kept: Headers = []
        for header in headers:
            if header[0].lower() != b"set-cookie":
                kept.append(header)
                continue
            verdict = rules.set_cookie(header[1], self._now)
            if verdict is not Verdict.PASS:
                name = set_cookie_name(header[1])
                login = is_login(self._method, self._path)
                site.reporter.held_cookie(name, verdict, site.catalog.owners(name), login=login)
            if verdict is Verdict.PASS or not site.enforce:
                kept.append(header)
        return headers if len(kept) == len(headers) else kept

    # -- the body

    def feed(self, chunk: bytes, *, last: bool) -> bytes:
        """Take a piece of the body; return what can be sent. Only while `start` returned None.

        `headers` is set before the first byte is returned.
        """
        page = self._page
        if page is None:
            return chunk
        out = page.feed(chunk, last=last)
        if self.headers is None and page.decided:
            self.headers = (
                self._plain() if page.untouched else self._rewritten(page, whole=len(out) if last else None)
            )
        return out

    def abandon(self) -> None:
        """Stop rewriting before the first byte (WSGI `write()`): the app's own headers go."""
        self._page = None
        self.headers = self._plain()

    def _plain(self) -> Headers:
        return self._private(self._pending) if self._personal else self._pending

    def _rewritten(self, page: Page, *, whole: int | None) -> Headers:
        """Return a document's headers: nothing stale, its own entity tag, private unless shared."""
        headers = without([(name.lower(), value) for name, value in self._pending], *STALE)
        headers = without(headers, b"etag") if page.nonce else self._tagged(headers)
        length = page.length(whole)
        if length is not None:
            headers.append((b"content-length", str(length).encode("ascii")))
        return (
            headers
            if self._shared
            else self._private(headers + self._deletions(self.visitor, path=self.base + self._path))
        )

    def _tagged(self, headers: Headers) -> Headers:
        tag = None
        edited: Headers = []
        for name, value in headers:
            if name == b"etag":
                tag = tag or self._variant_tag(shared=self._shared)
                edited.append((name, suffix_etag(value, tag)))
            else:
                edited.append((name, value))
        return edited

    def _private(self, headers: Headers) -> Headers:
        lowered = [(name.lower(), value) for name, value in headers]
        vary = _VARY if self._page_language_only else (*_VARY, b"Accept-Language")
        return make_private(merge_vary(lowered, vary))

    def _deletions(self, visitor: Visitor, *, path: str) -> Headers:
        """Expire what the visitor's browser still shows of what is refused."""
        cookie = self._header(b"cookie")
        if not cookie or not self.site.enforce:
            return []
        names = visitor.cookies.withdrawn_in((cookie,))
        if not names:
            return []
        host = self.origin[1]
        written = expire(
            self.site.catalog,
            names,
            host=host.rpartition(":")[0] if re.search(r":\d+\Z", host) else host,
            path=path,
            secure=self.secure,
            now=self._now,
        )
        return [(b"set-cookie", value) for value in written]

    # -- what the page gets

    def _is_document(self, headers: Headers, content_type: bytes) -> bool:
        """Return whether this response gets our markup. A shared page must not depend on who asks for it."""
        if not self._shared:
            mode = self._header(b"sec-fetch-mode")
            if mode is not None and mode != b"navigate":
                return False
            if any(self._header(name) is not None for name in _FRAGMENT):
                return False
        return is_rewritable(self._status, dict(headers), content_type) and self._can_open(headers)

    def _can_open(self, headers: Headers) -> bool:
        encoding = content_coding(dict(headers))
        if not encoding or (encoding in GZIP and self.site.config.site.transcode):
            return True
        text = (
            f"a page left with Content-Encoding {encoding.decode('latin-1')!r}, so it got no banner: put the "
            "compressing middleware outside of ConsentMiddleware, or let it compress with gzip."
        )
        self.site.reporter.once(logging.WARNING, ("encoding",), text)
        return False

    def _hold(self, values: dict[bytes, bytes], content_type: bytes) -> Headers | None:
        navigates = self._header(b"sec-fetch-mode") is not None and not self._shared
        page = Page(
            self._snippets, values, content_type, nonce=self._nonce(values), require_document=not navigates
        )
        if self._method == "HEAD":
            self.headers = self._rewritten(page, whole=None)
            return self.headers
        self._page = page
        return None

    def _nonce(self, values: dict[bytes, bytes]) -> str:
        """Reuse the app's nonce; a page for everyone must not hold one."""
        if self._shared:
            self.nonce = ""
        elif not self.nonce:
            found = _NONCE.search(values.get(b"content-security-policy", b""))
            self.nonce = found[1].decode("ascii") if found else ""
        return self.nonce

    def _snippets(self, page_language: str) -> Snippets | None:
        """Choose what goes into the page; called with the page's language."""
        banner, language = self.site.banner, self._language(page_language)
        if self._shared:
            return banner.snippets(language, self.base, Shape.LOADER if self._is_excluded else Shape.ASK)
        return banner.snippets(language, self.base, self._shape(), self.visitor.decision.notices, self.nonce)

    def _shape(self) -> Shape:
        """Return how much of us a personal page gets."""
        if self.skip or self._is_excluded or self._header(b"sec-fetch-dest") in _FRAMES:
            return Shape.LOADER
        return Shape.ASK if self.visitor.decision.prompt else Shape.LINK

    @property
    def _is_excluded(self) -> bool:
        excluded = self.site.excluded
        return excluded is not None and excluded(self._path) is not None

    def _language(self, page_language: str) -> str:
        site = self.site.config.site
        if len(site.languages) == 1:
            return site.languages[0]
        page = best_language([page_language], site.languages) if page_language else None
        if self._shared:  # Accept-Language would make it another page for everyone
            return page or site.languages[0]
        if site.language_from == "visitor":
            return best_language(self._accepted(), site.languages) or page or site.languages[0]
        return page or self._visitor_language()

    @property
    def _page_language_only(self) -> bool:
        return len(self.site.config.site.languages) == 1

    def _accepted(self) -> list[str]:
        return preferred_languages(self._header(b"accept-language") or b"")

    def _visitor_language(self) -> str:
        languages = self.site.config.site.languages
        return best_language(self._accepted(), languages) or languages[0]

    def _variant_tag(self, *, shared: bool) -> bytes:
        """Return what tells our renderings of one page apart, so that a 304 never revives another's."""
        parts = [self.site.banner.build]
        if not shared:
            decision = self.visitor.decision
            parts += [self._shape(), *sorted(decision.granted), *decision.notices, self._visitor_language()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12].encode("ascii")
