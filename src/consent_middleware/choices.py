"""An answer becoming a choice: the new cookie, and the record that proves it.

Used by the choice endpoint and by `consent.update()`. Opens nothing: what must be made durable comes back as
an effect. Who grants nothing gets no identifier; the same state again writes nothing (DESIGN.md "Proof").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from consent_middleware.policy import Choice, make_choice, opt_out
from consent_middleware.records import NO_SOURCE, AppendRecord, NoticeText, Source, build_record, declare
from consent_middleware.visitor import ACCOUNT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.codec import ChoiceCodec
    from consent_middleware.config import ConsentConfig
    from consent_middleware.policy import Rules
    from consent_middleware.records import EraseRecords
    from consent_middleware.regions import Regime
    from consent_middleware.visitor import Visitor, Visitors

__all__ = ["Answer", "Choices", "Method", "Outcome"]


class Method(StrEnum):
    """How an answer was given (REC-1)."""

    OPT_OUT = "opt_out"
    GPC = "signal:gpc"
    DNT = "signal:dnt"
    LAPSED = "lapsed"  # an answer that ended, or cannot be read any more

    ACCEPT_ALL = "banner.accept_all"
    REJECT_ALL = "banner.reject_all"
    PREFS = "prefs"
    API = "api"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a visitor said: the units granted; every other one that is asked about is refused.

    Attributes:
        opts_out: Nothing else was said than no to what sells, shares or targets; the rest stays as it is.
    """

    granted: frozenset[str]
    method: Method
    withdraws: bool = False
    opts_out: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an answer.

    Attributes:
        visitor: The state from now on.
        set_cookie: The consent cookie to set, None where nothing changed.
        effects: What must be durable before the answer is acknowledged.
        grants: Something new is allowed: then, without proof, the answer must not take effect.
        opts_out: What sells, shares or targets is refused from now on where it was allowed before.
        erases: Whose records are blanked, once the answer is durable.
    """

    visitor: Visitor
    set_cookie: bytes | None
    effects: tuple[AppendRecord, ...]
    grants: bool = False
    opts_out: bool = False
    erases: tuple[EraseRecords, ...] = ()


class Choices:
    """Take answers for one site.

    Args:
        config: The declaration.
        codec: Writes the cookie.
        visitors: Knows what a choice leads to.
        rules: The site's settings.
        notice: Returns the text shown in a language, under a regime.
        new_id: Returns 16 random characters of base64url.
    """

    def __init__(
        self,
        config: ConsentConfig,
        codec: ChoiceCodec,
        visitors: Visitors,
        rules: Rules,
        *,
        notice: Callable[[str, Regime], str],
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._catalog = config.catalog
        self._codec = codec
        self._visitors = visitors
        self._notice = notice
        self._new_id = new_id
        self._rules = rules
        self._declaration = declare(config)

    def take(
        self,
        visitor: Visitor,
        answer: Answer,
        *,
        language: str,
        secure: bool,
        now: float,
        source: Source = NO_SOURCE,
    ) -> Outcome:
        """Return what an answer leads to.

        Args:
            visitor: Who answers, as known before.
            answer: What they say.
            language: In which language they were asked.
            secure: Whether the request came over HTTPS.
            now: Seconds since the epoch.
            source: From where the answer came, as far as the site keeps it.
        """
        before = visitor.choice
        choice = (
            opt_out(self._catalog, self._living(visitor, now), now=now, signals=visitor.signals)
            if answer.opts_out
            else make_choice(self._catalog, answer.granted, now=now, signals=visitor.signals)
        )
        if before and not before.stale and _same(before, choice):
            return Outcome(visitor, None, ())
        earlier = before.principal if before else None
        principal = earlier or self._new_id() if choice.granted else None
        choice = replace(choice, principal=principal, account=self._account(visitor))
        record = self._record(
            visitor,
            choice,
            answer.method,
            earlier=earlier,
            before=before.granted if before else frozenset(),
            language=language,
            now=now,
            source=source,
        )
        cookie = self.cookie(choice, visitor.circumstances.regime, secure=secure)
        circumstances = replace(visitor.circumstances, unreadable=False)
        after = self._visitors.with_choice(choice, visitor.signals, now, circumstances)
        grants = not after.decision.granted <= visitor.decision.granted
        opts_out = self._is_opt_out(visitor, choice)
        return Outcome(after, cookie, (record,), grants, opts_out)

    def _living(self, visitor: Visitor, now: float) -> Choice | None:
        return self._rules.living(visitor.choice, visitor.circumstances.regime, now)[0]

    def _is_opt_out(self, visitor: Visitor, choice: Choice) -> bool:
        """Return whether an answer ends selling and sharing where the law lets them begin unasked."""
        shared = self._catalog.shares & self._catalog.asked
        before = visitor.choice.refused if visitor.choice else frozenset[str]()
        return visitor.circumstances.is_open and bool(shared & (choice.refused - before))

    def cookie(self, choice: Choice, regime: Regime, *, secure: bool) -> bytes:
        """Write the `Set-Cookie` value that stores an answer."""
        return self._visitors.names.set_cookie(
            self._codec.encode(choice),
            secure=secure,
            max_age_s=ACCOUNT_S if choice.account else self._rules.lifetime_s(regime),
        )

    def _account(self, visitor: Visitor) -> str:
        """Return the mark of the account that an answer is given for; empty for the browser's own."""
        subject = visitor.circumstances.subject
        if subject is None:
            return visitor.choice.account if visitor.choice else ""
        return self._codec.account(subject) if subject else ""

    def signalled(
        self, visitor: Visitor, *, language: str, now: float, source: Source = NO_SOURCE
    ) -> AppendRecord | None:
        """Return the record of an opt-out that a signal made, None where nothing is left to record.

        It is written when the browser shows the answer for the first time, so that a client that keeps no cookies
        leaves no records (GPC-6).
        """
        choice = visitor.choice
        if choice is None or not choice.pending:
            return None
        method = Method.LAPSED
        if choice.by_signal:
            method = Method.GPC if choice.signals.gpc else Method.DNT
        earlier = choice.principal
        return self._record(
            visitor, choice, method, earlier=earlier, language=language, now=now, source=source
        )

    def _record(
        self,
        visitor: Visitor,
        choice: Choice,
        method: Method,
        *,
        earlier: str | None,
        before: frozenset[str] = frozenset(),
        language: str,
        now: float,
        source: Source = NO_SOURCE,
    ) -> AppendRecord:
        notice = NoticeText.of(self._notice(language, visitor.circumstances.regime), language)
        record = build_record(
            self._catalog,
            choice,
            principal=earlier or choice.principal,
            before=before,
            method=method.value,
            circumstances=visitor.circumstances,
            notice=notice,
            declaration=self._declaration,
            now=now,
            valid_until=choice.at + self._rules.lifetime_s(visitor.circumstances.regime),
            new_id=self._new_id,
            source=source,
        )
        return AppendRecord(record, notice, self._declaration)


def _same(before: Choice, after: Choice) -> bool:
    return (before.granted, before.refused, before.signals) == (after.granted, after.refused, after.signals)
