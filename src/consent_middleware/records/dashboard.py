"""The owner's view of the records: one page of figures and drawings, without scripts and without any other resource.

Renders what it is given; reads no record, and names no visitor. Fits a policy of
``default-src 'none'; style-src 'unsafe-inline'``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from consent_middleware.records.statistics import Rates, State, Step, group_days, read_day
from consent_middleware.resources import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consent_middleware.records.statistics import Periods, Statistics

__all__ = ["render_dashboard"]

_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_THIN = "\u202f"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TICKS = 5
_LABELS = 7
# Of few bars each stays slim, so that they read as one row.
_FEWEST = 7
_FILLED, _WIDEST = 0.72, 6.0
# How many rows of a table show at once; the others are folded away.
_SHOWN = 8

_STATES = {
    State.GIVEN: "Accepted all",
    State.CUSTOM: "Own choice",
    State.REFUSED: "Rejected",
    State.WITHDRAWN: "Withdrawn",
}
_REGIMES = {"opt-in": "Opt-in", "opt-out": "Opt-out", "none": "No regime"}
_METHODS = {
    "banner.accept_all": "Accept all, on the banner",
    "banner.reject_all": "Reject all, on the banner",
    "prefs": "Preferences",
    "opt_out": "Opt-out page",
    "api": "By the site itself",
    "signal:gpc": "Global Privacy Control",
    "signal:dnt": "Do Not Track",
    "erase": "Erased on request",
    "lapsed": "Answer ended",
}
_STEPS = {Step.DAY: "Day", Step.WEEK: "Week from", Step.MONTH: "Month"}


def render_dashboard(site_name: str, statistics: Statistics, *, names: Mapping[str, str] = _NO_NAMES) -> str:
    """Return the page, complete.

    Args:
        site_name: As the site calls itself.
        statistics: What the page tells.
        names: Of services and categories, by their ids; one without a name shows its id.
    """
    return (
        _environment()
        .get_template("dashboard.html")
        .render(
            site_name=site_name,
            statistics=statistics,
            overall=statistics.overall,
            states=_STATES,
            style=_style(),
            chart=_chart(group_days(statistics.days)),
            tables=_tables(statistics),
            signals=(("Global Privacy Control", statistics.gpc), ("Do Not Track", statistics.dnt)),
            refused=_refused(statistics, names),
            shown=_SHOWN,
        )
    )


# -- what the template is given


@dataclass(frozen=True, slots=True)
class _Part:
    """One colour of a bar, in percent of its length."""

    state: State
    start: float
    size: float

    @property
    def end(self) -> float:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a table."""

    name: str
    rates: Rates
    parts: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    head: str
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """One bar over time, in percent of the drawing; `label` stands below, `year` below that."""

    name: str
    rates: Rates
    slot: float
    breadth: float
    x: float
    width: float
    parts: tuple[_Part, ...]
    label: str = ""
    year: str = ""
    is_minor: bool = False

    @property
    def middle(self) -> float:
        return self.slot + self.breadth / 2


@dataclass(frozen=True, slots=True)
class _Chart:
    step: Step
    head: str
    ticks: tuple[int, ...]
    columns: tuple[_Column, ...]

    @property
    def top(self) -> int:
        return self.ticks[-1]

    @property
    def height(self) -> int:
        """How much of the drawing the bars take, in percent; the dates below take the rest."""
        return 82 if self.columns[0].year else 88

    @property
    def busiest(self) -> _Column:
        return max(self.columns, key=lambda column: column.rates.total)


@dataclass(frozen=True, slots=True)
class _RefusedRow:
    """`code` is what the records call it, where it has a name."""

    name: str
    code: str
    asked: int
    refused: int


def _tables(statistics: Statistics) -> tuple[_Table, ...]:
    return (
        _table("By language", "Language", statistics.languages, {}),
        _table("By region", "Region", statistics.regions, {}),
        _table("By regime", "Regime", statistics.regimes, _REGIMES),
        _table("By way of answering", "Way", statistics.methods, _METHODS),
    )


def _table(title: str, head: str, groups: tuple[Rates, ...], names: Mapping[str, str]) -> _Table:
    rows = (
        _Row(names.get(rates.label, rates.label) or "Not known", rates, _stack(rates, rates.total))
        for rates in groups
    )
    return _Table(title, head, tuple(rows))


def _refused(statistics: Statistics, names: Mapping[str, str]) -> tuple[_RefusedRow, ...]:
    rows = []
    for one in statistics.refused:
        name = names.get(one.id) or one.id
        rows.append(_RefusedRow(name, one.id if name != one.id else "", one.asked, one.refused))
    return tuple(rows)


def _stack(rates: Rates, whole: int) -> tuple[_Part, ...]:
    """Return the colours of a bar, one after the other, as parts of a whole."""
    parts, start = [], 0
    for state in State:
        if count := rates.count(state):
            parts.append(_Part(state, 100 * start / whole, 100 * count / whole))
            start += count
    return tuple(parts)


def _chart(periods: Periods) -> _Chart | None:
    if not periods.rates:
        return None
    ticks = _ticks(max(rates.total for rates in periods.rates))
    return _Chart(periods.step, _STEPS[periods.step], ticks, tuple(_columns(periods, ticks[-1])))


def _columns(periods: Periods, top: int) -> Iterator[_Column]:
    rates = periods.rates
    slots = max(len(rates), _FEWEST)
    breadth = 100 / slots
    width = min(breadth * _FILLED, _WIDEST)
    every = -(-len(rates) // _LABELS)
    years = rates[0].label[:4] != rates[-1].label[:4] or periods.step is Step.MONTH
    for index, one in enumerate(rates):
        slot = breadth * (index + (slots - len(rates)) / 2)
        place, is_off = divmod(index, every)
        short = _day(one.label, periods.step, with_year=False)
        yield _Column(
            name=_day(one.label, periods.step),
            rates=one,
            slot=slot,
            breadth=breadth,
            x=slot + (breadth - width) / 2,
            width=width,
            parts=_stack(one, top),
            label="" if is_off else short,
            year=one.label[:4] if years else "",
            is_minor=bool(place % 2),
        )


def _ticks(most: int) -> tuple[int, ...]:
    """Return round numbers from 0 to at least `most`, and to at least 1."""
    wanted = max(most, 1)
    powers = (10**exponent for exponent in range(len(str(wanted)) + 1))
    steps = chain.from_iterable((power, 2 * power, 5 * power) for power in powers)
    step = next(step for step in steps if step * _TICKS >= wanted)
    return tuple(range(0, wanted + step, step))


# -- words and numbers


def _number(value: int) -> str:
    """Return a number with thin spaces: 12 345."""
    return f"{value:,}".replace(",", _THIN)


def _percent(part: int, whole: int) -> str:
    """Return a share in percent; what is not all, and not nothing, never reads so."""
    if not part or not whole:
        return "0%"
    if part == whole:
        return "100%"
    per_mille = 1000 * part / whole
    if per_mille < 1:
        return "<0.1%"
    return ">99.9%" if per_mille > 999 else f"{per_mille / 10:.1f}%"


def _day(text: str, step: Step = Step.DAY, *, with_year: bool = True) -> str:
    """Return a date in words; what is none is left as it is."""
    day = read_day(text)
    if day is None:
        return text
    month = _MONTHS[day.month - 1]
    short = month if step is Step.MONTH else f"{day.day} {month}"
    return f"{short} {day.year}" if with_year else short


def _length(value: float) -> str:
    """Return a length in percent, as short as the eye allows."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: read_text("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "day": _day, "length": _length}
    environment.globals["percent"] = _percent
    return environment


@cache
def _style() -> Markup:
    return Markup(read_text("static", "dashboard", "dashboard.css"))  # noqa: S704 - our own file
