"""What a visitor's signals and stored choice allow: the decision table, as one pure function.

Source: CONFORMANCE "The decision table", GPC-1 to GPC-3, DNT-1, DNT-4, EU-1, EU-6, EU-7, EU-8. Knows no
header, cookie or clock: `now` is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from consent_middleware.catalog.model import Basis, Catalog
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, DntScope, Signals, WhenOn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Choice",
    "Decision",
    "DntScope",
    "Notice",
    "Rules",
    "WhenOn",
    "decide",
    "denied_by",
    "make_choice",
]

_DAY_S = 86_400


class Notice(StrEnum):
    """What the page tells the visitor beside the link to the settings."""

    SIGNAL_HONORED = "signal-honored"
    ALLOWED_DESPITE_SIGNAL = "allowed-despite-signal"


@dataclass(frozen=True, slots=True)
class Choice:
    """A visitor's stored answer, in the units of today's catalogue.

    Attributes:
        granted: Units said yes to.
        refused: Units said no to. A unit in neither set was never asked.
        at: When, in seconds since the epoch; only the hour where nothing was granted.
        signals: The signals that were on when it was made.
        principal: A random pseudonym; None where nothing was granted.
        stale: Made under another fingerprint; its grants have fallen, its refusals stand.
    """

    granted: frozenset[str]
    refused: frozenset[str]
    at: int
    signals: Signals = NO_SIGNALS
    principal: str | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The site's settings that the table depends on."""

    honour_gpc: bool = True
    honour_dnt: bool = True
    dnt_scope: DntScope = DntScope.TRACKING
    when_on: WhenOn = WhenOn.QUIET
    consent_days: int = 180

    def honoured(self, signals: Signals) -> Signals:
        """Return the signals this site acts on."""
        return Signals(signals.gpc and self.honour_gpc, signals.dnt and self.honour_dnt)

    def expires(self, choice: Choice) -> int:
        """Return when a choice must be asked for again, in seconds since the epoch (EU-7)."""
        return choice.at + self.consent_days * _DAY_S


@dataclass(frozen=True, slots=True)
class Decision:
    """What is allowed now, and what the page shows.

    Attributes:
        granted: Every unit that may run, essential ones included.
        withdrawn: Units whose declared cookies are expired: refused, or denied by a signal after a grant.
        reasons: For every category and service, why it is on or off, in words fit for a log.
        prompt: Whether the banner asks.
        answered: Whether the visitor has answered about everything that is asked.
        notices: What the page says about signals.
    """

    granted: frozenset[str]
    withdrawn: frozenset[str]
    reasons: Mapping[str, str]
    prompt: bool
    answered: bool
    notices: tuple[Notice, ...] = ()


def denied_by(catalog: Catalog, rules: Rules, signals: Signals) -> frozenset[str]:
    """Return the units that the signals deny: M for GPC, `dnt_scope` for DNT, the union for both."""
    honoured = rules.honoured(signals)
    if honoured.dnt and rules.dnt_scope is DntScope.ALL:
        return frozenset(catalog.units)
    return catalog.shares if honoured else frozenset()


def make_choice(catalog: Catalog, granted: frozenset[str], *, now: float, signals: Signals) -> Choice:
    """Return the answer that grants these units and refuses every other one that is asked about.

    Only an answer that grants something keeps the second; a refusal keeps the hour, so that refusing never
    makes a visitor recognisable. The principal is for the caller to add.
    """
    asked = catalog.asked
    given = granted & asked
    at = int(now) if given else int(now) // 3600 * 3600
    return Choice(granted=given, refused=asked - given, at=at, signals=signals)


def decide(
    catalog: Catalog, regime: Regime, signals: Signals, choice: Choice | None, now: float, rules: Rules
) -> Decision:
    """Apply the decision table.

    Args:
        catalog: What the site declares.
        regime: The law that applies; only opt-in in this version.
        signals: What the request carried.
        choice: The stored answer, or None where there is none or it cannot be read.
        now: Seconds since the epoch.
        rules: The site's settings.

    Returns:
        A total decision: every unit is either granted or not, with its reason.

    Raises:
        ValueError: The regime is not opt-in.
    """
    if regime is not Regime.OPT_IN:
        raise ValueError(
            f"the regime {regime} is not decided by this version; the configuration refuses it too"
        )
    stored = choice if choice is not None and now < rules.expires(choice) else None
    honoured = rules.honoured(signals)
    asked_now = honoured.since(stored.signals) if stored else honoured
    denied = denied_by(catalog, rules, asked_now)
    reasons: dict[str, str] = {}
    granted = set(catalog.always)
    for unit in (*catalog.categories, *catalog.services):
        allowed, reasons[unit] = _opt_in(catalog, unit, stored, denied)
        if allowed:
            granted.add(unit)
    _close_categories(catalog, granted, reasons)
    answered = stored is not None and catalog.asked <= (stored.granted | stored.refused)
    quiet = bool(honoured) and rules.when_on is WhenOn.QUIET
    return Decision(
        granted=frozenset(granted),
        withdrawn=_withdrawn(stored, denied) - granted,
        reasons=reasons,
        prompt=bool(catalog.asked) and not answered and not quiet,
        answered=answered,
        notices=_notices(catalog, rules, honoured, frozenset(granted)),
    )


def _opt_in(catalog: Catalog, unit: str, stored: Choice | None, denied: frozenset[str]) -> tuple[bool, str]:
    """Return whether one unit is allowed under opt-in, and why."""
    if unit in catalog.always:
        return True, "allowed: essential or exempt"
    if unit in denied:
        return False, "denied: the visitor's browser sends an opt-out signal"
    if stored and unit in stored.granted and not stored.stale:
        return True, "allowed: the visitor agreed"
    if stored and unit in stored.refused:
        return False, "denied: the visitor refused"
    service = catalog.services.get(unit)
    category = catalog.categories[service.category if service else unit]
    if category.basis is Basis.EXEMPT_WITH_OBJECTION:
        return True, "allowed: exempt, and the visitor did not object"
    if stored and stored.stale:
        return False, "denied: the processing changed since the visitor's answer"
    return False, "denied: the visitor has not been asked or has not answered"


def _close_categories(catalog: Catalog, granted: set[str], reasons: dict[str, str]) -> None:
    """Keep a category granted only while all its services are: `allows("marketing")` must not overstate."""
    for service in catalog.services.values():
        if service.category in granted and service.id not in granted:
            granted.discard(service.category)
            reasons[service.category] = f"denied: not all of its services are allowed ({service.id} is not)"


def _withdrawn(stored: Choice | None, denied: frozenset[str]) -> frozenset[str]:
    if stored is None:
        return frozenset()
    return stored.refused | (stored.granted & denied)


def _notices(
    catalog: Catalog, rules: Rules, honoured: Signals, granted: frozenset[str]
) -> tuple[Notice, ...]:
    if not honoured:
        return ()
    overruled = denied_by(catalog, rules, honoured) & granted & frozenset(catalog.units)
    return (Notice.ALLOWED_DESPITE_SIGNAL,) if overruled else (Notice.SIGNAL_HONORED,)
