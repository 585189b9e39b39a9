"""One request and its response, without I/O: what both adapters do, in one place.

An adapter makes an `Exchange` a request and calls, in this order:

=====================  ====================================================================================
``own_request``        for a path below `path`: the request our endpoints answer; the app is not called
``edit_request``       the headers the app is to see
``staged``             at the response's start: an `Outcome` of `consent.update()` to make durable, if any
``respond``            the headers to send now; or a `Response`, whose ``headers`` are known once a piece of
                       the body has been fed to it
=====================  ====================================================================================

Headers are lists of ``(name, value)`` byte pairs. A response that nothing is done to comes back as the very
object that went in; what is done to the others stands in `response`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.caching import make_private, unsuffix_etags
from consent_middleware.choices import Answer, Method, Outcome
from consent_middleware.consent import Consent
from consent_middleware.cookies import cookie_pairs, set_cookie_name
from consent_middleware.errors import LateChangeError
from consent_middleware.filters import Verdict, expire
from consent_middleware.rendering import Rendering
from consent_middleware.replies import OwnRequest, Reply, parse_form
from consent_middleware.reporting import is_login
from consent_middleware.request import ConsentRequest
from consent_middleware.response import Response
from consent_middleware.texts import best_language, preferred_languages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.caching import Headers
    from consent_middleware.policy import Choice, Circumstances
    from consent_middleware.records import Source
    from consent_middleware.site import Site
    from consent_middleware.visitor import Seen, Visitor

__all__ = ["WELL_KNOWN", "Exchange"]

_WORKERS = frozenset({b"worker", b"sharedworker", b"serviceworker"})
# The last one is what Turbo Streams are: fragments, whose tags wait like any other's.
_HTML = (b"text/html", b"application/xhtml+xml", b"text/vnd.turbo-stream.html")
_NO_GZIP = re.compile(rb"gzip\s*;\s*q\s*=\s*0(?:\.0*)?\s*(?:,|\Z)")
_NONCE = re.compile(r"[A-Za-z0-9+/_=-]{1,256}\Z")
_PORT = re.compile(r":\d+\Z")
WELL_KNOWN = "/.well-known/"


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

    Attributes:
        skip: The site's `skip` hook said so: no banner here.
        nonce: The nonce of the site's `nonce` hook, or the one found in the app's own policy.
        was_read: The app has read consent, so the response is personal.
        unsuffixed: The app was given back an entity tag of its own.
        circumstances: What is known of the visitor; None: nothing but the site's regime.
        client: The peer's address, where the site keeps something of it.
        identifies: The app has said who is logged in, after the request began.
    """

    # Class attributes, not slots: most requests only ever set those of `__init__`.
    skip = False
    nonce = ""
    was_read = False
    unsuffixed = False
    staged: Outcome | None = None
    circumstances: Circumstances | None = None
    identifies = False
    client: str | None = None
    _started = False
    _seen: Seen | None = None
    _binding: Headers | None = None

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
        self.method = method
        self._scheme = scheme
        self.base = base
        self.path = path
        self.header = header
        self.now = now

    @property
    def started(self) -> bool:
        """Whether the response has begun."""
        return self._started

    # -- who asks

    @property
    def seen(self) -> Seen:
        """What the request's cookies and signals say; read when first needed."""
        seen = self._seen
        if seen is None:
            header = self.header
            seen = self._seen = self.site.visitors.see(
                header(b"cookie"),
                header(b"sec-gpc"),
                header(b"dnt"),
                secure=self.secure,
                now=self.now,
                circumstances=self.circumstances,
            )
        return seen

    @property
    def visitor(self) -> Visitor:
        """The visitor's state."""
        return self.staged.visitor if self.staged and self._started else self.seen.visitor

    @property
    def secure(self) -> bool:
        """Whether the browser sees HTTPS."""
        return self.origin[0] in {"https", "wss"}

    @property
    def origin(self) -> tuple[str, str]:
        """The scheme and the host (with port) the browser sees: pinned by `origins`, else the server's word."""
        return self.site.origin(self._scheme, (self.header(b"host") or b"").decode("latin-1"))

    @property
    def consent(self) -> Consent:
        """What the app reads."""
        return Consent(self)

    def read(self) -> Visitor:
        """Return the visitor's state to the app; the response is personal from now on."""
        self.was_read = True
        return self.staged.visitor if self.staged else self.visitor

    def stage(self, granted: frozenset[str]) -> None:
        """Take a server-side choice; it is committed before the headers go.

        Raises:
            LateChangeError: They have gone.
        """
        if self._started:
            raise LateChangeError(
                "consent.update() came after the response's headers had left; call it before."
            )
        self.staged = self.site.choices.take(
            self.seen.visitor,
            Answer(granted, Method.API),
            language=self.visitor_language,
            secure=self.secure,
            now=self.now,
            source=self.source,
        )

    @property
    def source(self) -> Source:
        """From where this request came, as far as the site keeps it."""
        return self.site.sources.of(self.client, self.header)

    def identify(self, subject: str | None) -> None:
        """Take the app's word for who is logged in; the account is looked up before the headers go.

        Raises:
            LateChangeError: They have gone.
        """
        if self._started:
            raise LateChangeError(
                "consent.identify() came after the response's headers had left; call it before."
            )
        usual = self.circumstances or self.site.whereabouts.usual
        account = (subject or "") if self.site.config.keeps_records else None
        self.circumstances = replace(usual, known=bool(subject), subject=account)
        self._seen = None
        self.identifies = self.was_read = True

    def bind(self, account: Choice | None) -> None:
        """Take what the visitor's account says: from now on it holds in this browser, with what the browser itself said."""
        cookie = self.header(b"cookie") or b""
        self._seen, self._binding = self.site.visitors.bind(
            self.seen, account, cookie, secure=self.secure, now=self.now
        )

    @property
    def binding(self) -> Headers:
        """The cookies that bind a browser to an account, or let it go; most responses have none."""
        if self.circumstances is None or self.circumstances.subject is None:
            return []
        if self._binding is None:
            leaves = self.seen.leaves
            cookie = self.header(b"cookie") or b""
            self._binding = self.site.visitors.unbind(self.seen, cookie, secure=self.secure) if leaves else []
        # An answer given in this very request is the account's already.
        return self._binding[1:] if self.staged and self.staged.set_cookie else self._binding

    def use_nonce(self, nonce: object) -> None:
        """Take the `nonce` hook's word; what is no nonce is left out, since it goes into the page."""
        text = str(nonce or "")
        if text and not _NONCE.match(text):
            words = "the nonce hook returned something that is no nonce; it was left out."
            self.site.reporter.once(logging.ERROR, ("nonce",), words)
            text = ""
        self.nonce = text

    def drop_staged(self) -> None:
        """Forget the server-side choice: it grants something and could not be made durable."""
        self.staged = None

    def hook_request(self, headers: Mapping[bytes, bytes], client: str | None, raw: object) -> ConsentRequest:
        """Return this request as the site's hooks see it."""
        cookies: dict[str, str] = {}
        for name, value in cookie_pairs(headers.get(b"cookie", b"")):
            cookies.setdefault(name, value.decode("latin-1"))
        scheme, host = self.origin
        text = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        return ConsentRequest(self.method, scheme, host, self.path, text, cookies, client, raw)

    # -- our own resources

    def own_request(self, query: bytes, body: bytes = b"") -> OwnRequest:
        """Return this request as our endpoints take it; only for a path below `path`."""
        scheme, host = self.origin
        return OwnRequest(
            method=self.method,
            scheme=scheme,
            host=host,
            base=self.base,
            rest=self.path[len(self.site.prefix) :],
            query=query,
            header=self.header,
            visitor=self.visitor,
            language=self._own_language(body or query),
            now=self.now,
            body=body,
            source=self.source,
        )

    def _own_language(self, form: bytes) -> str:
        """Return the language that our page or form says it is in, so that what follows it, and its record, is too."""
        languages = self.site.languages
        told = (parse_form(form) or {}).get("lang", [""])[0] if len(languages) > 1 else ""
        return told if told in languages else self.visitor_language

    def well_known(self) -> Reply | None:
        """Return what answers this request if the app does not: it is asked first, and its 404 is replaced."""
        if self.base or self.method not in {"GET", "HEAD"}:
            return None
        return self.site.endpoints.well_known(self.path, self.own_request(b""))

    def finish(self, reply: Reply) -> Headers:
        """Return a reply's final headers: its length, and deletions where a choice was refused."""
        headers = list(reply.headers)
        # The tracking status resource sets no cookie (DNT-3).
        if reply.is_personal and not self.path.startswith(WELL_KNOWN):
            has_answer = any(name == b"set-cookie" for name, _ in headers)
            headers += self.binding[1:] if has_answer else self.binding
            if reply.outcome is None:
                headers += self.lasting_cookie()
        if reply.outcome is not None:
            headers += self.deletions(reply.outcome.visitor, path="/")
        if self.site.tk and reply.is_personal:
            headers.append((b"tk", self._tk(reply)))
        return [*headers, (b"content-length", str(len(reply.body)).encode("ascii"))]

    def _tk(self, reply: Reply) -> bytes:
        """Return the tracking status; ``U`` where this very response changes it (DNT-2)."""
        status = self.visitor.decision.tracking
        if reply.outcome is None:
            return status.encode("ascii")
        return b"U" if reply.outcome.visitor.decision.tracking != status else status.encode("ascii")

    # -- the request on its way in

    def edit_request(self, headers: Headers) -> Headers | None:
        """Return the headers the app is to see, None if it may see them as they are."""
        edits: dict[bytes, bytes] = {}
        if self.wants_document:
            self._narrow_encoding(edits)
            self._restore_validators(edits)
        cookie = self.header(b"cookie")
        if cookie is not None:
            seen = self.seen
            if seen.hides:
                self._report_hidden(cookie)
            if seen.visible != cookie:
                edits[b"cookie"] = seen.visible
        if not edits:
            return None
        edited: Headers = []
        for header in headers:
            name, value = header
            if name not in edits:
                edited.append(header)
                continue
            kept = edits[name] if name != b"cookie" or value == cookie else self._visible(value)
            if kept or not value:
                edited.append((name, kept))
        return edited

    def _visible(self, value: bytes) -> bytes:
        """Return one ``Cookie`` header as the app may see it; a request may carry several."""
        seen = self.seen
        return (
            seen.visible
            if value == self.header(b"cookie")
            else self.site.visitors.visible(value, seen.visitor)
        )

    def _report_hidden(self, cookie: bytes) -> None:
        site, rules = self.site, self.visitor.cookies
        if not site.reporter.listens:
            return
        for name, _ in cookie_pairs(cookie):
            if rules.hides(name) and (owners := site.catalog.owners(name)):
                site.reporter.hidden_cookie(name, owners)

    @property
    def wants_document(self) -> bool:
        """Whether the answer may be a page that gets our markup."""
        mode = self.header(b"sec-fetch-mode")
        if mode is None:
            return b"text/html" in (self.header(b"accept") or b"")
        return mode == b"navigate" or self.is_prefetch

    @property
    def is_prefetch(self) -> bool:
        """Whether the browser fetches ahead what a navigation may then show from its cache."""
        purpose = self.header(b"sec-purpose")
        return purpose is not None and b"prefetch" in purpose

    def _narrow_encoding(self, edits: dict[bytes, bytes]) -> None:
        """Ask the app for what we can open: gzip, or nothing."""
        accepted = self.header(b"accept-encoding")
        if accepted and self.site.transcode and (narrowed := _narrowed(accepted)) != accepted:
            edits[b"accept-encoding"] = narrowed

    def _restore_validators(self, edits: dict[bytes, bytes]) -> None:
        """Give the app its own entity tags back; a date cannot tell our variants apart, so it goes."""
        tags = self.header(b"if-none-match")
        if tags is not None:
            variants = [Rendering(self, is_shared=is_shared).variant_tag for is_shared in (False, True)]
            own = unsuffix_etags(tags, (*variants,))
            self.unsuffixed = bool(own)
            edits[b"if-none-match"] = own
        if self.header(b"if-modified-since") is not None:
            edits[b"if-modified-since"] = b""

    # -- the response on its way out

    def respond(self, status: int, headers: Headers) -> Headers | Response:
        """Take the response's status and headers.

        Returns:
            The headers to send now, the very object that came in where nothing is done to them; or a
            `Response`, whose headers wait for its body to be fed to it.
        """
        if status < 200:  # the answer proper is still to come
            return self.filter_set_cookies(headers)
        self._started = True
        content_type = b""
        cookies = False
        for name, value in headers:
            lowered = name.lower()
            if lowered == b"content-type":
                content_type = value
            elif lowered.strip() == b"set-cookie":
                cookies = True
        html = content_type.lower().startswith(_HTML)
        sent = self.filter_set_cookies(headers) if cookies else headers
        if self.site.policies.is_on and self.header(b"sec-fetch-dest") in _WORKERS:
            sent = self._with_worker_policy(sent)
        if not (html or self.was_read or self.unsuffixed or self.staged is not None or self.binding):
            return sent
        # The response knows its exchange, never the other way round: a cycle would be the collector's work.
        response = Response(self, status, sent, content_type if html else b"", sets_cookie=cookies)
        return response if response.headers is None else response.headers

    def _with_worker_policy(self, headers: Headers) -> Headers:
        """Return the headers of a worker's script with our policy: a worker obeys its own response's, not the page's."""
        policy = self.site.policies.headers(self.visitor.decision.granted, self.base)
        lowered = [(name.lower(), value) for name, value in headers]
        return [*make_private(lowered, self.site.vary), *policy]

    def respond_socket(self, headers: Headers) -> Headers:
        """Take the headers of a websocket's acceptance or denial; nothing but its cookies is ours."""
        self._started = True
        return [*self.filter_set_cookies(headers), *self.staged_cookies()]

    def filter_set_cookies(self, headers: Headers) -> Headers:
        """Return a response's headers without the cookies that are held back; the same object if none is."""
        site, rules, now, login = self.site, self.visitor.cookies, self.now, is_login(self.path)
        kept: Headers = []
        for header in headers:
            if header[0].strip().lower() == b"set-cookie":
                verdict = rules.set_cookie(header[1], now)
                if verdict is not Verdict.PASS:
                    if site.reporter.is_news(header[1], login=login):
                        self._report_held(header[1], verdict, login=login)
                    if site.enforce:
                        continue
            kept.append(header)
        return headers if len(kept) == len(headers) else kept

    def _report_held(self, set_cookie: bytes, verdict: Verdict, *, login: bool) -> None:
        site, name = self.site, set_cookie_name(set_cookie)
        site.reporter.held_cookie(name, verdict, site.catalog.owners(name), login=login)

    def staged_cookies(self) -> Headers:
        """Return the cookies of a server-side choice; the same choice again sets none."""
        if self.staged is None or self.staged.set_cookie is None:
            return []
        gone = self.deletions(self.staged.visitor, path=self.base + self.path)
        return [(b"set-cookie", self.staged.set_cookie), *gone]

    def lasting_cookie(self) -> Headers:
        """Return the consent cookie that makes an opt-out last, or says that it is recorded; most need none."""
        site, visitor = self.site, self.seen.visitor
        if not (visitor.circumstances.is_open and site.enforce) or self.staged is not None:
            return []
        choice = site.visitors.lasting(visitor, self.now)
        if choice is None:
            effect = site.choices.signalled(
                visitor, language=self.visitor_language, now=self.now, source=self.source
            )
            if effect is None or visitor.choice is None or not site.background.add(effect):
                return []
            recorded = visitor.choice
            principal = recorded.principal if recorded.granted else None
            choice = replace(recorded, pending=False, principal=principal)
        cookie = site.choices.cookie(choice, visitor.circumstances.regime, secure=self.secure)
        return [(b"set-cookie", cookie)]

    def deletions(self, visitor: Visitor, *, path: str) -> Headers:
        """Expire what the browser still shows of what the visitor refused."""
        cookie = self.header(b"cookie")
        if not cookie or not self.site.enforce:
            return []
        names = visitor.cookies.withdrawn_in((cookie,))
        if not names:
            return []
        host = _PORT.sub("", self.origin[1])
        written = expire(self.site.catalog, names, host=host, path=path, secure=self.secure, now=self.now)
        return [(b"set-cookie", value) for value in written]

    # -- the visitor's language

    @property
    def accepted_languages(self) -> list[str]:
        """The visitor's languages, best first."""
        return preferred_languages(self.header(b"accept-language") or b"")

    @property
    def visitor_language(self) -> str:
        """The site's language that suits the visitor best."""
        languages = self.site.languages
        if len(languages) == 1:
            return languages[0]
        return best_language(self.accepted_languages, languages) or languages[0]


@lru_cache(maxsize=256)
def _narrowed(accept_encoding: bytes) -> bytes:
    lowered = accept_encoding.lower()
    return b"gzip" if b"gzip" in lowered and not _NO_GZIP.search(lowered) else b"identity"
