"""The middleware's own pages and resources below `path` (DESIGN.md "Contract: HTTP").

Each takes a request as data and returns a `Reply`, with what must be made durable first as effects. Bad input
is answered in words with a 4xx, and changes nothing.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from consent_middleware.assets import guard_mode
from consent_middleware.banner import Page, Shape
from consent_middleware.choices import Answer, Choices, Method
from consent_middleware.csp import parse_reports
from consent_middleware.replies import (
    FRAMING,
    HTML,
    JSON,
    PERSONAL,
    OwnRequest,
    Reply,
    local_path,
    parse_form,
    refusal,
    see_other,
    way_back,
    words,
)
from consent_middleware.wellknown import dnt_status, gpc_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.assets import Assets
    from consent_middleware.banner import Banner
    from consent_middleware.caching import Headers
    from consent_middleware.config import ConsentConfig
    from consent_middleware.csp import Violations
    from consent_middleware.reporting import Reporter
    from consent_middleware.rights import Rights
    from consent_middleware.visitor import Visitor

__all__ = ["CSP_REPORT", "Endpoints"]

CSP_REPORT = "csp-report"
GPC_PATH, DNT_PATH = "/.well-known/gpc.json", "/.well-known/dnt/"
_READ, _SENT = frozenset({"GET", "HEAD"}), frozenset({"POST"})
_IMMUTABLE = b"public, max-age=31536000, immutable"
# A changed declaration is to be seen soon.
_PUBLIC: Headers = [(b"cache-control", b"public, max-age=300"), (b"vary", b"Accept-Language")]


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
        rights: Rights,
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
        self._rights = rights
        self._prefix = config.site.path + "/"
        self._origins = frozenset(config.site.origins)
        self._routes: Mapping[str, tuple[frozenset[str], Callable[[OwnRequest], Reply]]] = {
            "preferences": (_READ, self._preferences),
            "opt-out": (_READ, self._opt_out),
            "policy": (_READ, self._policy),
            "static": (_READ, self._static),
            "state.json": (_READ, self._state),
            "choice": (_SENT, self._choice),
            "covered": (_SENT, self._covered),
            "records.json": (_READ, rights.download),
            "receipt": (_READ, rights.receipt),
            "erase": (_SENT, rights.erase),
            **({CSP_REPORT: (_SENT, self._csp_report)} if violations else {}),
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
            return words(404, "There is no such page here.")
        methods, handler = route
        if request.method not in methods:
            allow = (b"allow", ", ".join(sorted(methods)).encode("ascii"))
            return words(405, f"This address answers {' and '.join(sorted(methods))} only.", allow)
        return handler(request)

    # -- pages

    def _preferences(self, request: OwnRequest) -> Reply:
        query = parse_form(request.query) or {}
        back = way_back(request, query.get("next", [""])[0], self._prefix)
        page = Page(next=back)
        visitor = request.visitor
        changes = self._banner.changes(request.language, visitor.choice)
        html = self._banner.preferences(request.language, request.base, visitor, page, changes=changes)
        return Reply(200, [HTML, *PERSONAL, *FRAMING], html)

    def _opt_out(self, request: OwnRequest) -> Reply:
        query = parse_form(request.query) or {}
        page = Page(next=way_back(request, query.get("next", [""])[0], self._prefix))
        html = self._banner.opt_out(request.language, request.base, request.visitor, page)
        return Reply(200, [HTML, *PERSONAL, *FRAMING], html)

    def _policy(self, request: OwnRequest) -> Reply:
        """Return the cookie policy: nothing in it is the visitor's, so not even the Referer may alter it."""
        query = parse_form(request.query) or {}
        home = local_path(request.base + "/") or "/"
        page = Page(next=local_path(query.get("next", [""])[0]) or home)
        return Reply(
            200, [HTML, *_PUBLIC, *FRAMING], self._banner.policy(request.language, request.base, page)
        )

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
        return Reply(200, [JSON, *PERSONAL, *self._cors(request)], state)

    def _state_json(self, visitor: Visitor, request: OwnRequest, receipt: str = "") -> bytes:
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
            **({"receipt": receipt} if receipt else {}),
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

    def _covered(self, _request: OwnRequest) -> Reply:
        """Hear that a page covered the banner's Reject, which has moved above it; nothing of the visitor is told (ENF-6)."""
        words = (
            "something on a page covers the banner's buttons; the banner now stands above it. Look at what your pages "
            "put at the banner's place, or give it another ([banner] position)."
        )
        self._reporter.once(logging.WARNING, ("covered",), words)
        return Reply(204, [(b"cache-control", b"no-store")])

    def _static(self, request: OwnRequest) -> Reply:
        wanted, _, name = request.rest.removeprefix("static/").partition("/")
        asset = self._assets.get(name)
        if asset is None:
            return words(404, "There is no such file here.")
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
        problem = refusal(request, self._origins)
        if problem:
            return problem
        form = parse_form(request.body)
        answer = self._read(form) if form is not None else None
        if form is None or answer is None:
            return words(400, self._banner.message(request.language, "bad_request"))
        secure = request.scheme == "https"
        outcome = self._choices.take(
            request.visitor,
            answer,
            language=request.language,
            secure=secure,
            now=request.now,
            source=request.source,
        )
        headers: Headers = [(b"cache-control", b"private, no-store"), *self._cors(request)]
        if outcome.set_cookie:
            headers.append((b"set-cookie", outcome.set_cookie))
        sorry = words(503, self._banner.message(request.language, "not_saved"), (b"retry-after", b"30"))
        # Who withdraws gets the only key to what was recorded: from now on the cookie names nobody.
        receipt = self._rights.handed_out(request, outcome)
        if request.wants_json:
            state = self._state_json(outcome.visitor, request, receipt)
            return Reply(200, [JSON, *headers], state, outcome=outcome, otherwise=sorry)
        back = way_back(request, form.get("next", [""])[0], self._prefix)
        if receipt and not answer.opts_out:
            back = f"{receipt}&next={quote(back, safe='/')}"
        return see_other(back, *headers).acknowledging(outcome, otherwise=sorry)

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

    def _cors(self, request: OwnRequest) -> Headers:
        origin = (request.header(b"origin") or b"").decode("latin-1").lower()
        if origin not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("ascii")),
            (b"access-control-allow-credentials", b"true"),
        ]


def _accepts_gzip(accept_encoding: bytes) -> bool:
    for part in accept_encoding.lower().split(b","):
        coding, _, weight = part.partition(b";")
        if coding.strip() in {b"gzip", b"*"}:
            return not re.fullmatch(rb"q\s*=\s*0(\.0*)?", weight.strip())
    return False
