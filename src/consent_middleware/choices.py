"""An answer becoming a choice: the new cookie, and the record that proves it.

Used by the choice endpoint and by `consent.update()`. Opens nothing: what must be made durable comes back as
an effect. Who grants nothing gets no identifier; the same state again writes nothing (DESIGN.md "Proof").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from consent_middleware.policy import Choice, make_choice
from consent_middleware.records.model import AppendRecord, NoticeText, build_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.codec import ChoiceCodec
    from consent_middleware.config import ConsentConfig
    from consent_middleware.visitor import Visitor, Visitors

__all__ = ["Answer", "Choices", "Method", "Outcome"]

_DAY_S = 86_400


class Method(StrEnum):
    """How an answer was given (REC-1)."""

    ACCEPT_ALL = "banner.accept_all"
    REJECT_ALL = "banner.reject_all"
    PREFS = "prefs"
    API = "api"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a visitor said: the units granted; every other one that is asked about is refused."""

    granted: frozenset[str]
    method: Method
    withdraws: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an answer.

    Attributes:
        visitor: The state from now on.
        set_cookie: The consent cookie to set, None where nothing changed.
        effects: What must be durable before the answer is acknowledged.
        grants: Something new is allowed: then, without proof, the answer must not take effect.
    """

    visitor: Visitor
    set_cookie: bytes | None
    effects: tuple[AppendRecord, ...]
    grants: bool = False


class Choices:
    """Take answers for one site.

    Args:
        config: The declaration.
        codec: Writes the cookie.
        visitors: Knows what a choice leads to.
        notice: Returns the text shown in a language.
        new_id: Returns 16 random characters of base64url.
    """

    def __init__(
        self,
        config: ConsentConfig,
        codec: ChoiceCodec,
        visitors: Visitors,
        *,
        notice: Callable[[str], str],
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._catalog = config.catalog
        self._codec = codec
        self._visitors = visitors
        self._notice = notice
        self._new_id = new_id
        self._lifetime_s = config.site.consent_days * _DAY_S

    def take(self, visitor: Visitor, answer: Answer, *, language: str, secure: bool, now: float) -> Outcome:
        """Return what an answer leads to.

        Args:
            visitor: Who answers, as known before.
            answer: What they say.
            language: In which language they were asked.
            secure: Whether the request came over HTTPS.
            now: Seconds since the epoch.
        """
        before = visitor.choice
        choice = make_choice(self._catalog, answer.granted, now=now, signals=visitor.signals)
        if before and not before.stale and _same(before, choice):
            return Outcome(visitor, None, ())
        earlier = before.principal if before else None
        principal = earlier or self._new_id() if choice.granted else None
        choice = Choice(choice.granted, choice.refused, choice.at, choice.signals, principal)
        record = self._record(choice, answer, earlier=earlier, language=language, now=now)
        cookie = self._visitors.names.set_cookie(
            self._codec.encode(choice), secure=secure, max_age_s=self._lifetime_s
        )
        after = self._visitors.with_choice(choice, visitor.signals, now)
        grants = not after.decision.granted <= visitor.decision.granted
        return Outcome(after, cookie, (record,), grants)

    def _record(
        self, choice: Choice, answer: Answer, *, earlier: str | None, language: str, now: float
    ) -> AppendRecord:
        controller = self._config.controller
        notice = NoticeText.of(self._notice(language), language)
        record = build_record(
            self._catalog,
            choice,
            principal=earlier or choice.principal,
            withdrawn=earlier is not None,
            method=answer.method.value,
            regime=self._config.regime.value,
            controller={
                "name": controller.name,
                "address": controller.address,
                "contact": controller.contact,
            },
            notice=notice,
            now=now,
            valid_until=choice.at + self._lifetime_s,
            new_id=self._new_id,
        )
        return AppendRecord(record, notice)


def _same(before: Choice, after: Choice) -> bool:
    return (before.granted, before.refused, before.signals) == (after.granted, after.refused, after.signals)
