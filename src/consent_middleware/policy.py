"""What a visitor's signals and stored choice allow: the decision table, as one pure function.

Source: CONFORMANCE "The decision table", GPC-1 to GPC-3, DNT-1, DNT-2, DNT-4, CA-1 to CA-3, CA-7, CA-9, EU-1, EU-6 to
EU-8. Knows no header, cookie or clock: `now` is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from consent_middleware.catalog.model import Basis, Catalog
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, DntScope, Signals, WhenOn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "OPT_IN",
    "Choice",
    "Circumstances",
    "Decision",
    "DntScope",
    "Notice",
    "Rules",
    "WhenOn",
    "decide",
    "denied_by",
    "lasting_opt_out",
    "make_choice",
    "opt_out",
    "stricter",
]

_HOUR_S, _DAY_S = 3_600, 86_400
OPT_OUT_DAYS = 400  # what browsers keep a cookie for at most (RFC 6265bis)
_REFRESH_DAYS = 30


class Notice(StrEnum):
    """What the page tells the visitor beside the link to the settings."""

    SIGNAL_HONORED = "signal-honored"
    ALLOWED_DESPITE_SIGNAL = "allowed-despite-signal"
    CONFLICT = "conflict"  # the same, said to a known user under a regime that lets it stand for these only
    OPTED_OUT = "opted-out"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the table depends on beside signals and choice.

    Attributes:
        regime: The law that applies.
        region: Where the visitor is, as ISO 3166 says it; empty where unknown.
        known: The visitor is logged in: an explicit answer given in spite of a signal may stand (CA-2).
        subject: Their account; empty where the site says that there is none, None where it does not say.
        minor: The visitor is known to be under 16: nothing is sold or shared without a yes (CA-9).
        unreadable: A consent cookie is there that cannot be read: nothing is sold or shared, since what it said
            may have been no.
    """

    regime: Regime = Regime.OPT_IN
    region: str = ""
    known: bool = False
    subject: str | None = field(default=None, repr=False)
    minor: bool = False
    unreadable: bool = False

    @property
    def is_open(self) -> bool:
        """Whether silence allows."""
        return self.regime is not Regime.OPT_IN


OPT_IN = Circumstances()


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
        by_signal: A signal said no, not the visitor's own hand.
        pending: Nothing is recorded of it yet.
        account: A mark of the account it was given for; empty for the browser's own.
        fingerprint: Of the declaration it was made under; empty for today's.
    """

    granted: frozenset[str]
    refused: frozenset[str]
    at: int
    signals: Signals = NO_SIGNALS
    principal: str | None = None
    stale: bool = False
    by_signal: bool = False
    pending: bool = False
    account: str = ""
    fingerprint: str = field(default="", compare=False)


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

    def lifetime_s(self, regime: Regime) -> int:
        """Return the seconds that an answer is kept: an opt-out's end must never turn sale back on (EU-7, CA-7)."""
        return (self.consent_days if regime is Regime.OPT_IN else OPT_OUT_DAYS) * _DAY_S

    def expires(self, choice: Choice) -> int:
        """Return when a choice must be asked for again, in seconds since the epoch (EU-7)."""
        return choice.at + self.consent_days * _DAY_S

    def living(self, choice: Choice | None, regime: Regime, now: float) -> tuple[Choice | None, bool]:
        """Return what of a choice still counts, and whether something of it has lapsed.

        Grants end with `consent_days`; where silence allows, refusals stand for 400 days.
        """
        if choice is None or now < self.expires(choice):
            return choice, False
        if regime is not Regime.OPT_IN and now < choice.at + self.lifetime_s(regime):
            return replace(choice, granted=frozenset()), True
        return None, True


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
        tracking: Where the visitor stands, in the words of DNT's ``Tk`` header (DNT-2): ``C`` something is allowed
            by consent, ``T`` something sells, shares or targets without, ``N`` nothing does.
    """

    granted: frozenset[str]
    withdrawn: frozenset[str]
    reasons: Mapping[str, str]
    prompt: bool
    answered: bool
    notices: tuple[Notice, ...] = ()
    tracking: str = "N"


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
    at = int(now) if given else _hour(now)
    return Choice(granted=given, refused=asked - given, at=at, signals=signals)


def opt_out(catalog: Catalog, before: Choice | None, *, now: float, signals: Signals) -> Choice:
    """Return the answer that says no to what sells, shares or targets, and to nothing else (CA-1, CA-6)."""
    shared = catalog.shares & catalog.asked
    granted = before.granted - shared if before else frozenset[str]()
    refused = before.refused | shared if before else shared
    if before and granted:  # what is kept was said then, under the signals of then
        return Choice(granted, refused, before.at, before.signals)
    return Choice(granted, refused, _hour(now), signals)


def stricter(one: Choice | None, other: Choice | None) -> Choice | None:
    """Return what two answers allow both: of a browser and an account, until the visitor answers again (ENF-9)."""
    if one is None or other is None:
        return one or other
    granted = one.granted & other.granted
    return Choice(
        granted=granted,
        refused=one.refused | other.refused,
        at=min(one.at, other.at) if granted else max(one.at, other.at),
        signals=Signals(one.signals.gpc and other.signals.gpc, one.signals.dnt and other.signals.dnt),
        principal=other.principal or one.principal,
        stale=one.stale or other.stale,
        by_signal=one.by_signal or other.by_signal,
    )


def decide(
    catalog: Catalog,
    circumstances: Circumstances,
    signals: Signals,
    choice: Choice | None,
    now: float,
    rules: Rules,
) -> Decision:
    """Apply the decision table.

    Args:
        catalog: What the site declares.
        circumstances: The regime, and who it is.
        signals: What the request carried.
        choice: The stored answer, or None where there is none or it cannot be read.
        now: Seconds since the epoch.
        rules: The site's settings.

    Returns:
        A total decision: every unit is either granted or not, with its reason.
    """
    case = _Case.of(catalog, circumstances, signals, choice, now, rules)
    stored = case.stored
    reasons: dict[str, str] = {}
    granted = set(catalog.always)
    for unit in (*catalog.categories, *catalog.services):
        allowed, reasons[unit] = case.judge(unit)
        if allowed:
            granted.add(unit)
    _close_categories(catalog, granted, reasons)
    said = stored.granted | stored.refused if stored else frozenset[str]()
    prompt = case.prompts(said)
    answered = stored is not None and catalog.prompted <= said and not prompt
    return Decision(
        granted=frozenset(granted),
        withdrawn=case.withdrawn - granted,
        reasons=reasons,
        prompt=prompt,
        answered=answered,
        notices=case.notices(frozenset(granted)),
        tracking=case.tracking(frozenset(granted)),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """One visitor's row of the table.

    Attributes:
        honoured: The signals that are on and count.
        stored: What still counts of the stored answer.
        lapsed: Something of it does not any more.
    """

    catalog: Catalog
    circumstances: Circumstances
    rules: Rules
    honoured: Signals
    stored: Choice | None
    lapsed: bool

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        circumstances: Circumstances,
        signals: Signals,
        choice: Choice | None,
        now: float,
        rules: Rules,
    ) -> _Case:
        """Return the row of a visitor, as `decide` is told of one."""
        stored, lapsed = rules.living(choice, circumstances.regime, now)
        return cls(catalog, circumstances, rules, rules.honoured(signals), stored, lapsed)

    @property
    def signalled(self) -> frozenset[str]:
        """What the signals deny where nothing was said."""
        return denied_by(self.catalog, self.rules, self.honoured)

    @property
    def overruled(self) -> frozenset[str]:
        """What they deny even where the visitor said yes, since the yes is older than the signal.

        Where silence allows, an anonymous yes never outweighs GPC: the strict reading of CA-2.
        """
        if self.stored is None:
            return self.signalled
        strict = self.circumstances.is_open and not self.circumstances.known
        earlier = Signals(self.stored.signals.gpc and not strict, self.stored.signals.dnt)
        return denied_by(self.catalog, self.rules, self.honoured.since(earlier))

    def judge(self, unit: str) -> tuple[bool, str]:
        """Return whether a unit is allowed, and why."""
        catalog, stored = self.catalog, self.stored
        if unit in catalog.always:
            return True, "allowed: essential or exempt"
        agreed = stored is not None and unit in stored.granted and not stored.stale
        if unit in (self.overruled if agreed else self.signalled):
            return False, "denied: the visitor's browser sends an opt-out signal"
        if agreed:
            return True, "allowed: the visitor agreed"
        if stored and unit in stored.refused:
            if stored.by_signal:
                return False, "denied: the visitor's browser sent an opt-out signal before"
            return False, "denied: the visitor refused"
        return self._silence(unit)

    def _silence(self, unit: str) -> tuple[bool, str]:
        """Return whether a unit is allowed that nobody said anything about, and why."""
        service = self.catalog.services.get(unit)
        category = self.catalog.categories[service.category if service else unit]
        if self.circumstances.is_open:
            if unit not in self.catalog.asked:
                return False, "denied: the site declares nothing of this category"
            if unit in self.catalog.shares:
                if self.circumstances.unreadable or self.lapsed:
                    return False, "denied: the visitor's answer cannot be read any more"
                if self.circumstances.minor:
                    return False, "denied: the visitor is under 16 and has not opted in"
            return True, f"allowed: the visitor did not object (regime {self.circumstances.regime})"
        if self.circumstances.minor and unit in self.catalog.shares:
            return False, "denied: the visitor is under 16 and has not opted in"
        if category.basis is Basis.EXEMPT_WITH_OBJECTION:
            return True, "allowed: exempt, and the visitor did not object"
        if self.stored and self.stored.stale:
            return False, "denied: the processing changed since the visitor's answer"
        return False, "denied: the visitor has not been asked or has not answered"

    def prompts(self, said: frozenset[str]) -> bool:
        """Return whether the banner asks."""
        catalog = self.catalog
        if self.honoured and self.rules.when_on is WhenOn.QUIET:
            return False
        young = catalog.shares & catalog.asked if self.circumstances.minor else frozenset[str]()
        if not self.circumstances.is_open:
            return not catalog.prompted | young <= said
        lost = self.lapsed or self.circumstances.unreadable  # then a refusal is written
        return not lost and not young <= said

    @property
    def withdrawn(self) -> frozenset[str]:
        """What may have left something behind that must go; what is allowed all the same is for the caller to keep."""
        stored = self.stored
        if self.circumstances.is_open:  # what was allowed by silence leaves traces too
            return self.signalled | (stored.refused if stored else frozenset())
        return stored.refused | (stored.granted & self.overruled) if stored else frozenset()

    def notices(self, granted: frozenset[str]) -> tuple[Notice, ...]:
        """Return what the page says about signals and opt-outs."""
        if self.honoured:
            if not self.signalled & granted - self.catalog.always:
                return (Notice.SIGNAL_HONORED,)
            return (Notice.CONFLICT if self.circumstances.is_open else Notice.ALLOWED_DESPITE_SIGNAL,)
        shared = self.catalog.shares & self.catalog.asked
        if self.circumstances.is_open and self.stored and shared and shared <= self.stored.refused:
            return (Notice.OPTED_OUT,)
        return ()

    def tracking(self, granted: frozenset[str]) -> str:
        """Return where the visitor stands, as ``Tk`` says it."""
        agreed = self.stored.granted if self.stored and not self.stored.stale else frozenset()
        if (self.catalog.shares & granted) - agreed:
            return "T"
        return "C" if agreed & granted else "N"


def _close_categories(catalog: Catalog, granted: set[str], reasons: dict[str, str]) -> None:
    """Keep a category granted only while all its services are: `allows("marketing")` must not overstate."""
    for service in catalog.services.values():
        if service.category in granted and service.id not in granted:
            granted.discard(service.category)
            reasons[service.category] = f"denied: not all of its services are allowed ({service.id} is not)"


def lasting_opt_out(
    catalog: Catalog,
    circumstances: Circumstances,
    signals: Signals,
    choice: Choice | None,
    now: float,
    rules: Rules,
) -> Choice | None:
    """Return the answer to store so that an opt-out outlives its cause, None where what is stored will do.

    Where silence allows, a signal, a lapsed answer and an unreadable one each become a refusal that stands by itself
    (CA-3), and a refusal is written anew before the browser forgets it (EU-7). Under opt-in nothing is written:
    silence denies.
    """
    if not circumstances.is_open:
        return None
    case = _Case.of(catalog, circumstances, signals, choice, now, rules)
    stored = case.stored
    granted = stored.granted - case.overruled if stored else frozenset[str]()
    refused = stored.refused if stored else frozenset[str]()
    denied = (case.signalled & catalog.asked) - granted - refused
    by_signal = stored.by_signal if stored and refused else bool(denied)
    if case.lapsed or circumstances.unreadable:
        denied |= (catalog.shares & catalog.asked) - granted - refused
    if denied:
        return Choice(
            granted=granted,
            refused=refused | denied,
            at=stored.at if stored and granted else _hour(now),
            signals=_either(stored.signals if stored else NO_SIGNALS, case.honoured),
            principal=stored.principal if stored else None,
            by_signal=by_signal,
            pending=True,
            account=stored.account if stored else "",
        )
    if stored and refused and not granted and now >= stored.at + _REFRESH_DAYS * _DAY_S:
        # Who grants nothing has no identifier, once it is recorded what became of their grants.
        return replace(stored, at=_hour(now), principal=stored.principal if stored.pending else None)
    return None


def _either(one: Signals, other: Signals) -> Signals:
    return Signals(one.gpc or other.gpc, one.dnt or other.dnt)


def _hour(now: float) -> int:
    """Return the hour: all that is kept of who grants nothing."""
    return int(now) // _HOUR_S * _HOUR_S
