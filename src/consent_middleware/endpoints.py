"""The middleware's own pages and resources below `path` (DESIGN.md "Contract: HTTP").

Each takes a request as data and returns a `Reply`, with what must be made durable first as effects. Bad input
is answered in words with a 4xx, and changes nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from consent_middleware.assets import guard_mode
from consent_middleware.banner import Page, Shape
from consent_middleware.choices import Answer, Choices, Method, Outcome
from consent_middleware.csp import parse_reports
from consent_middleware.wellknown import dnt_status, gpc_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.assets import Assets
    from consent_middleware.banner import Banner
    from consent_middleware.caching import Headers
    from consent_middleware.config import ConsentConfig
    from consent_middleware.csp import Violations
    from consent_middleware.records.model import AppendRecord
    from consent_middleware.reporting import Reporter
    from consent_middleware.visitor import Visitor

__all__ = ["CSP_REPORT", "MAX_BODY", "Endpoints", "OwnRequest", "Reply", "local_path"]

CSP_REPORT = "csp-report"
GPC_PATH, DNT_PATH = "/.well-known/gpc.json", "/.well-known/dnt/"
MAX_BODY = 16_384
_MAX_FIELDS = 1_000
_MAX_PATH = 2_048
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*\Z")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_PERSONAL: Headers = [
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Cookie, Sec-GPC, DNT, Accept-Language"),
]
_FRAMING: Headers = [
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]
_IMMUTABLE = b"public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request for one of our own resources.

    Attributes:
        method: In capitals.
        scheme: ``http`` or ``https``, as `origins` or the server says.
        host: With port, as the browser sees it.
        base: Where the app is mounted; empty at the root.
        rest: The path below `path`, without its leading slash.
        query: Raw.
        header: Looks up a request header by lower-case name.
        visitor: Who asks.
        language: One of the site's, chosen by Accept-Language.
        now: Seconds since the epoch.
        body: None while it has not been read; at most `MAX_BODY` + 1 bytes.
    """

    method: str
    scheme: str
    host: str
    base: str
    rest: str
    query: bytes
    header: Callable[[bytes], bytes | None]
    visitor: Visitor
    language: str
    now: float
    body: bytes = b""

    @property
    def wants_json(self) -> bool:
        """Whether the answer is for a script: JSON is accepted and HTML is not."""
        accept = (self.header(b"accept") or b"").lower()
        return b"application/json" in accept and b"text/html" not in accept


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response, and the effects that come before it.

    Attributes:
        outcome: The choice this reply acknowledges, if any.
        otherwise: What is sent instead where the effects cannot be made durable.
        is_personal: It was made for one visitor.
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    effects: tuple[AppendRecord, ...] = ()
    outcome: Outcome | None = None
    otherwise: Reply | None = None

    @property
    def is_personal(self) -> bool:
        """Whether it was made for one visitor."""
        return any(name == b"cache-control" and value.startswith(b"private") for name, value in self.headers)


class Endpoints:
    """Answer requests below `path` for one site."""

    def __init__(
        self,
        config: ConsentConfig,
        banner: Banner,
        assets: Assets,
        choices: Choices,
        violations: Violations | None,
        reporter: Reporter,
        *,
        updated: str = "",
    ) -> None:
        """Answer for one site.

        Args:
            updated: When what the site does with signals last changed, as ``2026-11-22``.
        """
        self._config = config
        self._catalog = config.catalog
        self._banner = banner
        self._assets = assets
        self._choices = choices
        self._origins = frozenset(config.site.origins)
        self._routes: Mapping[str, tuple[frozenset[str], Callable[[OwnRequest], Reply]]] = {
            "preferences": (frozenset({"GET", "HEAD"}), self._preferences),
            "opt-out": (frozenset({"GET", "HEAD"}), self._opt_out),
            "static": (frozenset({"GET", "HEAD"}), self._static),
            "state.json": (frozenset({"GET", "HEAD"}), self._state),
            "choice": (frozenset({"POST"}), self._choice),
            **({CSP_REPORT: (frozenset({"POST"}), self._csp_report)} if violations else {}),
        }
        self._updated = updated
        self._violations = violations
        self._reporter = reporter

    @staticmethod
    def wants_body(method: str) -> bool:
        """Return whether a request's body must be read before `answer`."""
        return method == "POST"

    def answer(self, request: OwnRequest) -> Reply:
        """Return the reply to one request; never raises for what a visitor sends."""
        route = self._routes.get("static" if request.rest.startswith("static/") else request.rest)
        if route is None or request.rest == "static":
            return _words(404, "There is no such page here.")
        methods, handler = route
        if request.method not in methods:
            allow = (b"allow", ", ".join(sorted(methods)).encode("ascii"))
            return _words(405, f"This address answers {' and '.join(sorted(methods))} only.", allow)
        return handler(request)

    # -- pages

    def _preferences(self, request: OwnRequest) -> Reply:
        query = _parse_form(request.query) or {}
        back = self._next(request, query.get("next", [""])[0])
        page = Page(next=back)
        visitor = request.visitor
        changes = self._banner.changes(request.language, visitor.choice)
        html = self._banner.preferences(request.language, request.base, visitor, page, changes=changes)
        return Reply(200, [_HTML, *_PERSONAL, *_FRAMING], html)

    def _opt_out(self, request: OwnRequest) -> Reply:
        query = _parse_form(request.query) or {}
        page = Page(next=self._next(request, query.get("next", [""])[0]))
        html = self._banner.opt_out(request.language, request.base, request.visitor, page)
        return Reply(200, [_HTML, *_PERSONAL, *_FRAMING], html)

    def well_known(self, path: str, request: OwnRequest) -> Reply | None:
        """Return the resource of the origin at a path, None where there is none."""
        if path == GPC_PATH and self._config.signals.gpc:
            return Reply(200, *gpc_json(self._updated))
        if path == DNT_PATH and self._config.signals.tk:
            own = request.base + self._config.site.path
            status = request.visitor.decision.tracking
            return Reply(
                200, *dnt_status(status, policy=self._config.site.policy_url, config=f"{own}/preferences")
            )
        return None

    def _state(self, request: OwnRequest) -> Reply:
        state = self._state_json(request.visitor, request)
        return Reply(200, [_JSON, *_PERSONAL, *self._cors(request)], state)

    def _state_json(self, visitor: Visitor, request: OwnRequest) -> bytes:
        """Return the decision; nothing in it identifies anybody."""
        decision, catalog = visitor.decision, self._catalog
        state = {
            "regime": visitor.circumstances.regime.value,
            "region": visitor.circumstances.region,
            "answered": decision.answered,
            "prompt": decision.prompt,
            "categories": {id_: id_ in decision.granted for id_ in catalog.categories},
            "services": {id_: id_ in decision.granted for id_ in catalog.services},
            "granted": sorted(decision.granted),
            "reasons": dict(decision.reasons),
            "signals": {"gpc": visitor.signals.gpc, "dnt": visitor.signals.dnt},
            "notices": [notice.value for notice in decision.notices],
            "status": self._banner.status(request.language, decision.notices),
            "mode": guard_mode(visitor.circumstances),
            "link": self._link(visitor, request),
            "fingerprint": catalog.fingerprint,
        }
        return json.dumps(state, ensure_ascii=False).encode()

    def _link(self, visitor: Visitor, request: OwnRequest) -> str:
        """Return the standing link where a page for everyone holds another regime's."""
        circumstances = visitor.circumstances
        if circumstances.regime is self._config.regime:
            return ""
        notices = visitor.decision.notices
        found = self._banner.snippets(
            request.language, request.base, Shape.LINK, notices, circumstances=circumstances
        )
        return found.tail.decode("ascii")

    def _csp_report(self, request: OwnRequest) -> Reply:
        """Count what browsers say a policy stopped. Anybody may send it, so it is only ever told in a log."""
        for violation in parse_reports(request.header(b"content-type") or b"", request.body):
            finding = self._violations.add(violation) if self._violations else None
            if finding is not None:
                self._reporter.once(finding.level, finding.key, finding.text)
        return Reply(204, [(b"cache-control", b"no-store")])

    def _static(self, request: OwnRequest) -> Reply:
        wanted, _, name = request.rest.removeprefix("static/").partition("/")
        asset = self._assets.get(name)
        if asset is None:
            return _words(404, "There is no such file here.")
        # A page older than today's files gets today's, and asks again next time.
        control = _IMMUTABLE if wanted == self._assets.hash else b"no-cache"
        headers: Headers = [
            (b"content-type", asset.media_type),
            (b"cache-control", control),
            (b"vary", b"Accept-Encoding"),
            (b"x-content-type-options", b"nosniff"),
            (b"cross-origin-resource-policy", b"same-site"),
        ]
        if _accepts_gzip(request.header(b"accept-encoding") or b""):
            return Reply(200, [*headers, (b"content-encoding", b"gzip")], asset.compressed)
        return Reply(200, headers, asset.plain)

    # -- the choice

    def _choice(self, request: OwnRequest) -> Reply:
        problem = self._refusal(request)
        if problem:
            return problem
        form = _parse_form(request.body)
        answer = self._read(form) if form is not None else None
        if form is None or answer is None:
            return _words(400, self._banner.message(request.language, "bad_request"))
        secure = request.scheme == "https"
        outcome = self._choices.take(
            request.visitor, answer, language=request.language, secure=secure, now=request.now
        )
        headers: Headers = [(b"cache-control", b"private, no-store"), *self._cors(request)]
        if outcome.set_cookie:
            headers.append((b"set-cookie", outcome.set_cookie))
        if request.wants_json:
            reply = Reply(
                200,
                [_JSON, *headers],
                self._state_json(outcome.visitor, request),
                outcome.effects,
                outcome,
            )
        else:
            back = self._next(request, form.get("next", [""])[0])
            location = (b"location", quote(back, safe="/%?#:@!$&'()*+,;=[]~-._").encode("ascii"))
            reply = Reply(303, [location, _TEXT, *headers], b"", outcome.effects, outcome)
        sorry = _words(503, self._banner.message(request.language, "not_saved"), (b"retry-after", b"30"))
        return Reply(reply.status, reply.headers, reply.body, reply.effects, outcome, sorry)

    def _refusal(self, request: OwnRequest) -> Reply | None:
        """Return the answer to a request that may not make a choice, None if it may."""
        if not self._same_origin(request):
            return _words(403, "This choice did not come from this site. Nothing changed.")
        media_type = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media_type != b"application/x-www-form-urlencoded":
            return _words(
                415, "A choice is sent as a form (application/x-www-form-urlencoded). Nothing changed."
            )
        if len(request.body) > MAX_BODY:
            return _words(413, f"A choice is at most {MAX_BODY} bytes. Nothing changed.")
        return None

    def _same_origin(self, request: OwnRequest) -> bool:
        """Return whether the browser says that the request came from this site's own pages."""
        if request.header(b"sec-fetch-site") == b"same-origin":
            return True  # holds even with Origin: null, which a no-referrer policy makes of it
        origin = (request.header(b"origin") or b"").decode("latin-1").lower()
        if not origin:
            parts = _http_url((request.header(b"referer") or b"").decode("latin-1"))
            origin = f"{parts[0]}://{parts[1]}".lower() if parts else ""
        own = f"{request.scheme}://{request.host}".lower()
        if request.header(b"sec-fetch-site"):
            return origin in self._origins and origin != own
        return bool(request.host) and (origin == own or origin in self._origins)

    def _read(self, form: Mapping[str, list[str]]) -> Answer | None:
        """Return the answer a form holds, None if it is not one we understand."""
        actions = form.get("action", [])
        if len(actions) != 1:
            return None
        match actions[0]:
            case "accept_all":
                return Answer(self._catalog.asked, Method.ACCEPT_ALL)
            case "reject_all":
                return Answer(frozenset(), Method.REJECT_ALL)
            case "opt_out":
                return Answer(frozenset(), Method.OPT_OUT, opts_out=True)
            case "withdraw":
                return Answer(frozenset(), Method.PREFS, withdraws=True)
            case "save":
                return self._saved(form)
            case _:
                return None

    def _saved(self, form: Mapping[str, list[str]]) -> Answer | None:
        categories, services = set(form.get("category", [])), set(form.get("service", []))
        catalog = self._catalog
        if not categories <= catalog.categories.keys() or not services <= catalog.services.keys():
            return None
        if form.get("detail") == ["1"]:
            bare = {c for c in categories if not catalog.services_of(c)}
            whole = {
                c
                for c in catalog.categories
                if (own := catalog.services_of(c)) and all(s.id in services for s in own)
            }
            return Answer(frozenset(bare | whole | services), Method.PREFS)
        below = {s.id for s in catalog.services.values() if s.category in categories}
        return Answer(frozenset(categories | below), Method.PREFS)

    def _next(self, request: OwnRequest, wanted: str) -> str:
        """Return where the visitor goes on: a local path, else the same-origin Referer, else the front page."""
        found = local_path(wanted)
        if found:
            return found
        home = local_path(request.base + "/") or "/"
        referer = (request.header(b"referer") or b"").decode("latin-1")
        parts = _http_url(referer)
        own = request.base + self._config.site.path + "/"
        if parts and parts[1].lower() == request.host.lower() and not parts[2].startswith(own):
            return local_path(parts[2] + (f"?{parts[3]}" if parts[3] else "")) or home
        return home

    def _cors(self, request: OwnRequest) -> Headers:
        origin = (request.header(b"origin") or b"").decode("latin-1").lower()
        if origin not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("ascii")),
            (b"access-control-allow-credentials", b"true"),
        ]


def local_path(text: str) -> str:
    """Return ``text`` if it is a path on this very site, else nothing: no open redirect.

    One slash at the start, no backslash (browsers read it as a slash), no white space or control character
    (browsers drop some before they look).
    """
    return text if len(text) <= _MAX_PATH and _LOCAL.match(text) else ""


def _http_url(url: str) -> tuple[str, str, str, str] | None:
    """Return scheme, host with port, path and query of an http URL, None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return (
        (parts.scheme, host, parts.path or "/", parts.query)
        if parts.scheme in {"http", "https"} and host
        else None
    )


def _parse_form(body: bytes) -> dict[str, list[str]] | None:
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None


def _accepts_gzip(accept_encoding: bytes) -> bool:
    for part in accept_encoding.lower().split(b","):
        coding, _, weight = part.partition(b";")
        if coding.strip() in {b"gzip", b"*"}:
            return not re.fullmatch(rb"q\s*=\s*0(\.0*)?", weight.strip())
    return False


def _words(status: int, text: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, [_TEXT, (b"cache-control", b"no-store"), *headers], text.encode())
