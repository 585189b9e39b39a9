"""What visitors may do with the records about them: read, take along, erase (GDPR articles 15, 17 and 20; REC-3).

Their signed cookie is all that it takes, or the signed token that a withdrawal hands out, since a cookie that grants
nothing names nobody. Who is signed in sees what their account said too.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from consent_middleware.banner import Page
from consent_middleware.choices import Answer, Method, Outcome
from consent_middleware.records import EraseRecords, Person
from consent_middleware.replies import HTML, JSON, Reply, parse_form, refusal, see_other, way_back, words

if TYPE_CHECKING:
    from consent_middleware.banner import Banner
    from consent_middleware.caching import Headers
    from consent_middleware.choices import Choices
    from consent_middleware.codec import ChoiceCodec
    from consent_middleware.config import ConsentConfig
    from consent_middleware.replies import OwnRequest

__all__ = ["Rights"]

_NOTHING: dict[str, Any] = {"receipts": [], "notices": {}}
# A token may stand in the address: no Referer may tell it, not even to the site itself, and nobody keeps the page. With
# "no-referrer" a browser would not say where the form that erases came from.
_PRIVATE: Headers = [
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Cookie, Accept-Language"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin"),
]


class Rights:
    """Answer visitors who ask for the records about them.

    Args:
        config: The declaration.
        banner: Its words and pages.
        choices: Withdraws before anything is erased.
        codec: Signs and reads the tokens.
    """

    def __init__(self, config: ConsentConfig, banner: Banner, choices: Choices, codec: ChoiceCodec) -> None:
        self._banner = banner
        self._choices = choices
        self._codec = codec
        self._keeps = config.keeps_records
        self._origins = frozenset(config.site.origins)
        self._prefix = config.site.path + "/"

    def handed_out(self, request: OwnRequest, outcome: Outcome) -> str:
        """Return the address under which who has just withdrawn still finds the history; empty where nobody did."""
        for record in (effect.record for effect in outcome.effects if self._keeps):
            if record.state == "withdrawn" and record.principal_id:
                token = self._codec.history_token(record.principal_id)
                return f"{request.base}{self._prefix}receipt?withdrawn=1&token={quote(token)}"
        return ""

    def download(self, request: OwnRequest) -> Reply:
        """Return ``records.json``: everything about who asks, to take along."""
        query = parse_form(request.query) or {}
        token = query.get("token", [""])[0]
        persons = self._persons(request, token)
        if persons is None:
            return words(403, self._banner.message(request.language, "receipt_bad_link"))

        def then(history: dict[str, Any]) -> Reply:
            body = json.dumps(history, ensure_ascii=False, indent=1).encode()
            name = (b"content-disposition", b'attachment; filename="consent-records.json"')
            return Reply(200, [JSON, *_PRIVATE, name], body)

        return Reply(200, persons=persons, then=then, otherwise=self._away(request))

    def receipt(self, request: OwnRequest) -> Reply:
        """Return the same as a page to read and to print."""
        query = parse_form(request.query) or {}
        token = query.get("token", [""])[0]
        persons = self._persons(request, token)
        page = Page(next=way_back(request, query.get("next", [""])[0], self._prefix))
        state = next((name for name in ("erased", "withdrawn") if name in query), "")
        if persons is None:
            problem = self._banner.message(request.language, "receipt_bad_link")
            html = self._banner.receipt(
                request.language, request.base, replace(page, problem=problem), _NOTHING
            )
            return Reply(403, [HTML, *_PRIVATE], html)

        def then(history: dict[str, Any]) -> Reply:
            html = self._banner.receipt(
                request.language, request.base, page, history, token=token, state=state
            )
            return Reply(200, [HTML, *_PRIVATE], html)

        return Reply(200, persons=persons, then=then, otherwise=self._away(request))

    def erase(self, request: OwnRequest) -> Reply:
        """Withdraw, and then blank everything about who asks."""
        problem = refusal(request, self._origins)
        if problem:
            return problem
        form = parse_form(request.body)
        if form is None:
            return words(400, self._banner.message(request.language, "bad_request"))
        persons = self._persons(request, form.get("token", [""])[0])
        if persons is None:
            return words(403, self._banner.message(request.language, "receipt_bad_link"))
        outcome = self._withdrawn(request)
        headers = [(b"cache-control", b"private, no-store")]
        headers += [(b"set-cookie", outcome.set_cookie)] if outcome.set_cookie else []
        erased = replace(outcome, erases=tuple(EraseRecords(person, "visitor") for person in persons))
        back = way_back(request, form.get("next", [""])[0], self._prefix)
        if request.wants_json:
            reply = Reply(200, [JSON, *headers], b'{"erased": true}')
        else:
            there = f"{request.base}{self._prefix}receipt?erased=1&next={quote(back, safe='/')}"
            reply = see_other(there, *headers)
        sorry = self._away(request, *headers)
        return reply.acknowledging(erased, otherwise=sorry)

    def _withdrawn(self, request: OwnRequest) -> Outcome:
        """Return what withdrawing leads to; nothing where nothing is granted."""
        visitor = request.visitor
        if visitor.choice is None or not visitor.choice.granted:
            return Outcome(visitor, None, ())
        return self._choices.take(
            visitor,
            Answer(frozenset(), Method.ERASE, withdraws=True),
            language=request.language,
            secure=request.scheme == "https",
            now=request.now,
            source=request.source,
        )

    def _persons(self, request: OwnRequest, token: str) -> tuple[Person, ...] | None:
        """Return whose records somebody may see; None where a token is none of ours."""
        if not self._keeps:
            return ()
        found: list[Person] = []
        if token:
            principal = self._codec.read_history_token(token)
            if principal is None:
                return None
            found.append(Person(principal=principal))
        visitor = request.visitor
        if visitor.choice is not None and visitor.choice.principal:
            found.append(Person(principal=visitor.choice.principal))
        if visitor.circumstances.subject:
            found.append(Person(subject=visitor.circumstances.subject))
        return tuple(dict.fromkeys(found))

    def _away(self, request: OwnRequest, *headers: tuple[bytes, bytes]) -> Reply:
        text = self._banner.message(request.language, "receipt_away")
        return words(503, text, (b"retry-after", b"30"), *headers)
