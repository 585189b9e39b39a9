"""How visitors answered, counted: the figures that the site's owner sees, and how they are grouped over time.

Holds numbers only. They are read by `reading` and shown by `dashboard`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

__all__ = ["Periods", "Rates", "Refused", "State", "Statistics", "Step", "group_days", "read_day"]

# The longest spans that are still shown by day and by week.
_DAYS_BY_DAY = 92
_DAYS_BY_WEEK = 732


class State(StrEnum):
    """How somebody answered, as records name it."""

    GIVEN = "given"
    CUSTOM = "custom"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """For how long one figure over time stands."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Rates:
    """How a group of visitors answered.

    Attributes:
        label: ``de``, ``US-CA``, ``2026-11-22``, ``signal:gpc``; empty where unknown.
        given: Everything was accepted.
        custom: Some of it was.
        refused: Nothing was, and nothing had been before.
        withdrawn: Nothing is any more.
    """

    label: str
    given: int = 0
    custom: int = 0
    refused: int = 0
    withdrawn: int = 0

    @property
    def total(self) -> int:
        """All answers of the group."""
        return self.given + self.custom + self.refused + self.withdrawn

    def count(self, state: str) -> int:
        """Return how many answered so."""
        return {
            State.GIVEN: self.given,
            State.CUSTOM: self.custom,
            State.REFUSED: self.refused,
            State.WITHDRAWN: self.withdrawn,
        }[State(state)]

    def share(self, state: str) -> float:
        """Return which part answered so, from 0 to 1; 0 where nobody answered."""
        return self.count(state) / self.total if self.total else 0.0

    def plus(self, other: Rates) -> Rates:
        """Return both together, under this one's label."""
        return Rates(
            self.label,
            self.given + other.given,
            self.custom + other.custom,
            self.refused + other.refused,
            self.withdrawn + other.withdrawn,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """How often a service or category was refused of those who were asked about it."""

    id: str
    asked: int
    refused: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the records of a time tell.

    Attributes:
        since: The first answer, RFC 3339; empty without records.
        until: The last one.
        total: All answers.
        days: By day, oldest first; days without answers are missing.
        languages: By the language of the notice.
        regions: By where the visitors were, as ISO 3166 says it.
        regimes: By the legal regime.
        methods: By how they answered: ``banner.accept_all``, ``signal:gpc``.
        gpc: Answers given while that signal was on; -1 where unknown.
        dnt: The same for the other signal.
        refused: Most refused first.
        sampled: Of how many records, the latest, `refused`, `gpc` and `dnt` tell.
        erased: Records that were erased, and are not counted above.
        restricted: Records that are put aside, and are not counted above.
    """

    since: str
    until: str
    total: int
    days: tuple[Rates, ...]
    languages: tuple[Rates, ...]
    regions: tuple[Rates, ...]
    regimes: tuple[Rates, ...]
    methods: tuple[Rates, ...]
    gpc: int
    dnt: int
    refused: tuple[Refused, ...]
    sampled: int
    erased: int
    restricted: int

    @property
    def overall(self) -> Rates:
        """All days together."""
        return _sum("", self.days)


@dataclass(frozen=True, slots=True)
class Periods:
    """Answers over time.

    Attributes:
        step: How long one period is.
        rates: Every period from the first to the last, labelled with its first day; those without answers too.
    """

    step: Step
    rates: tuple[Rates, ...]


def group_days(days: tuple[Rates, ...]) -> Periods:
    """Return days as a row without holes: by day up to about three months, by week up to two years, else by month.

    Args:
        days: Labelled with a date; those that are not are left out.
    """
    dated = [(day, rates) for rates in days if (day := read_day(rates.label))]
    if not dated:
        return Periods(Step.DAY, ())
    first, last = min(day for day, _ in dated), max(day for day, _ in dated)
    step = _step((last - first).days + 1)
    found = {day: Rates(day.isoformat()) for day in _starts(first, last, step)}
    for day, rates in dated:
        start = _start(day, step)
        found[start] = found[start].plus(rates)
    return Periods(step, tuple(found.values()))


def read_day(text: str) -> date | None:
    """Return the day that an RFC 3339 date or time begins with, or nothing."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _step(span_days: int) -> Step:
    if span_days <= _DAYS_BY_DAY:
        return Step.DAY
    return Step.WEEK if span_days <= _DAYS_BY_WEEK else Step.MONTH


def _starts(first: date, last: date, step: Step) -> list[date]:
    """Return the first days of all periods, from the one of `first` to the one of `last`."""
    found, end = [_start(first, step)], _start(last, step)
    while found[-1] < end:
        found.append(_next(found[-1], step))
    return found


def _start(day: date, step: Step) -> date:
    if step is Step.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if step is Step.WEEK else day


def _next(start: date, step: Step) -> date:
    if step is Step.MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + timedelta(days=7 if step is Step.WEEK else 1)


def _sum(label: str, many: tuple[Rates, ...]) -> Rates:
    found = Rates(label)
    for one in many:
        found = found.plus(one)
    return found
