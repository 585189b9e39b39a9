"""The decision table, row by row (CONFORMANCE "The decision table"): what is allowed, what the page shows, ``Tk``.

N, F, A and M stand for the units of the small site below, as they do in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from consent_middleware.policy import (
    Choice,
    Circumstances,
    DntScope,
    Notice,
    Rules,
    WhenOn,
    decide,
    lasting_opt_out,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, Signals
from helpers_core import NOW, make_catalog, service

CATALOG = make_catalog(
    service("shop", "essential", "basket"),
    service("prefs", "functional", "prefs", sells_or_shares=False),
    service("stats", "analytics", "st", sells_or_shares=False),
    service("ads", "marketing", "ad"),
)
N = frozenset({"essential", "shop"})
F = frozenset({"functional", "prefs"})
A = frozenset({"analytics", "stats"})
M = frozenset({"marketing", "ads"})
ALL = F | A | M

NONE, GPC, DNT = NO_SIGNALS, Signals(gpc=True), Signals(dnt=True)
BOTH = Signals(gpc=True, dnt=True)
HONORED, DESPITE = (Notice.SIGNAL_HONORED,), (Notice.ALLOWED_DESPITE_SIGNAL,)

TRACKING = Rules()
EVERYTHING = Rules(dnt_scope=DntScope.ALL)
ASK = Rules(when_on=WhenOn.ASK)
DAY = 86_400


def said(granted: frozenset[str], under: Signals = NONE, *, days_ago: int = 1, stale: bool = False) -> Choice:
    """Return a stored answer: these units granted, every other one refused."""
    refused = ALL - granted
    return Choice(frozenset() if stale else granted, refused, NOW - days_ago * DAY, under, None, stale)


@dataclass(frozen=True)
class Row:
    """One row: what comes in, and what the table says."""

    name: str
    signals: Signals
    stored: Choice | None
    allowed: frozenset[str]
    prompt: bool = False
    notices: tuple[Notice, ...] = ()
    rules: Rules = TRACKING
    tk: str = "N"
    known: bool = False
    minor: bool = False
    unreadable: bool = False
    writes: frozenset[str] | None = (
        None  # what is refused in the answer that is stored; None: nothing is stored
    )

    def circumstances(self, regime: Regime) -> Circumstances:
        """Return who it is."""
        return Circumstances(regime, known=self.known, minor=self.minor, unreadable=self.unreadable)


NOTHING: frozenset[str] = frozenset()

ROWS = [
    Row("no signal, no choice: N, banner", NONE, None, NOTHING, prompt=True),
    Row("no signal, expired accept: N, banner", NONE, said(ALL, days_ago=180), NOTHING, prompt=True),
    Row("no signal, expired reject: N, banner", NONE, said(NOTHING, days_ago=181), NOTHING, prompt=True),
    Row("GPC, no choice: N, no banner", GPC, None, NOTHING, notices=HONORED),
    Row("DNT, no choice: N, no banner", DNT, None, NOTHING, notices=HONORED),
    Row("both, no choice: N, no banner", BOTH, None, NOTHING, notices=HONORED),
    Row("GPC, no choice, ask: N, banner", GPC, None, NOTHING, prompt=True, notices=HONORED, rules=ASK),
    Row("DNT, no choice, ask: N, banner", DNT, None, NOTHING, prompt=True, notices=HONORED, rules=ASK),
    Row("GPC, expired accept: N, no banner", GPC, said(ALL, days_ago=180), NOTHING, notices=HONORED),
    Row("no signal, accept: as stored", NONE, said(ALL), ALL),
    Row("no signal, granular F A: as stored", NONE, said(F | A), F | A),
    Row("no signal, granular M: as stored", NONE, said(M), M),
    Row("no signal, accept on its last day: as stored", NONE, said(ALL, days_ago=179), ALL),
    Row("no signal, reject: N, no re-ask", NONE, said(NOTHING, days_ago=179), NOTHING),
    Row("GPC, reject: N", GPC, said(NOTHING), NOTHING, notices=HONORED),
    Row("DNT, reject: N", DNT, said(NOTHING), NOTHING, notices=HONORED),
    Row("both, reject: N", BOTH, said(NOTHING), NOTHING, notices=HONORED),
    Row("both, reject, ask: N, no re-ask", BOTH, said(NOTHING), NOTHING, notices=HONORED, rules=ASK),
    Row("GPC, older accept: stored - M", GPC, said(ALL), F | A, notices=HONORED),
    Row("GPC, older granular A M: stored - M", GPC, said(A | M), A, notices=HONORED),
    Row("GPC, older granular M: nothing left", GPC, said(M), NOTHING, notices=HONORED),
    Row("GPC, older accept, DNT scope all: stored - M", GPC, said(ALL), F | A, notices=HONORED, rules=EVERYTHING),
    Row("DNT, older accept: stored - M", DNT, said(ALL), F | A, notices=HONORED),
    Row("DNT, older accept, scope all: N", DNT, said(ALL), NOTHING, notices=HONORED, rules=EVERYTHING),
    Row("both, older accept: stored - M", BOTH, said(ALL), F | A, notices=HONORED),
    Row("both, older accept, scope all: N", BOTH, said(ALL), NOTHING, notices=HONORED, rules=EVERYTHING),
    Row("none now, GPC earlier, accept: as stored", NONE, said(ALL, GPC), ALL),
    Row("none now, both earlier, granular: as stored", NONE, said(A, BOTH), A),
    Row("none now, DNT earlier, reject: as stored", NONE, said(NOTHING, DNT), NOTHING),
    Row("GPC, newer accept: as stored", GPC, said(ALL, GPC), ALL, notices=DESPITE),
    Row("DNT, newer accept: as stored", DNT, said(ALL, DNT), ALL, notices=DESPITE),
    Row("both, newer accept: as stored", BOTH, said(ALL, BOTH), ALL, notices=DESPITE),
    Row("both, newer accept, scope all: as stored", BOTH, said(ALL, BOTH), ALL, notices=DESPITE, rules=EVERYTHING),
    Row("GPC, newer granular A: as stored, nothing overruled", GPC, said(A, GPC), A, notices=HONORED),
    Row("both, newer than GPC, older than DNT: stored - M", BOTH, said(ALL, GPC), F | A, notices=HONORED),
    Row("both, newer than DNT, older than GPC: stored - M", BOTH, said(ALL, DNT), F | A, notices=HONORED),
    Row("both, newer than GPC only, scope all: N", BOTH, said(ALL, GPC), NOTHING, notices=HONORED, rules=EVERYTHING),
    Row("GPC not honoured, no choice: banner", GPC, None, NOTHING, prompt=True, rules=Rules(honour_gpc=False)),
    Row("GPC not honoured, accept: as stored", GPC, said(ALL), ALL, rules=Rules(honour_gpc=False)),
    Row("DNT not honoured, accept: as stored", DNT, said(ALL), ALL, rules=Rules(honour_dnt=False)),
    Row("both, DNT not honoured: stored - M", BOTH, said(ALL), F | A, notices=HONORED, rules=Rules(honour_dnt=False)),
    Row("processing changed, accept: grants fall, asked again", NONE, said(ALL, stale=True), NOTHING, prompt=True),
    Row("processing changed, reject: stands, not asked", NONE, said(NOTHING, stale=True), NOTHING),
    Row("processing changed, GPC, accept: quiet", GPC, said(ALL, stale=True), NOTHING, notices=HONORED),
]  # fmt: skip


def number(regime: Regime, row: Row) -> int:  # noqa: C901, PLR0911 - the table, line by line
    """Return the row of CONFORMANCE's table that a case belongs to; 0 for what stands in the text above it."""
    stored, sent = row.stored, row.signals
    if (
        row.rules.honour_gpc is False
        or row.rules.honour_dnt is False
        or row.unreadable
        or (stored and stored.stale)
    ):
        return 0
    has_ended = stored is not None and row.rules.expires(stored) <= NOW
    if regime is Regime.OPT_IN:
        if stored is None or has_ended:
            return 2 if sent else 1
        if not stored.granted:
            return 4
        if not sent:
            return 7 if stored.signals else 3
        new = sent.since(stored.signals)
        return 8 if not new else 5 if sent == GPC else 6
    if regime is Regime.NONE:
        return 22 if sent else 21
    if row.minor:
        return 20
    if stored is None:
        return {NONE: 9, GPC: 10, DNT: 11, BOTH: 12}[sent]
    if not stored.granted:
        return 14 if stored.by_signal and not sent else 15
    if has_ended:
        return 0
    if not sent:
        return 13
    if sent == DNT:
        return 19
    return (17 if row.known else 18) if stored.signals.gpc else 16


def cases(regime: Regime, rows: list[Row]) -> list[Any]:
    """Return rows as pytest's parameters, each marked with its number."""
    return [
        pytest.param(
            regime,
            row,
            id=f"{regime}: {row.name}",
            marks=[pytest.mark.conformance(f"ROW-{n}")] if (n := number(regime, row)) else [],
        )
        for row in rows
    ]


@pytest.mark.parametrize(("regime", "row"), cases(Regime.OPT_IN, ROWS))
def test_allowed(regime: Regime, row: Row) -> None:
    """What the row allows is granted, and nothing else."""
    decision = decide(CATALOG, row.circumstances(regime), row.signals, row.stored, NOW, row.rules)
    assert decision.granted == N | row.allowed


@pytest.mark.parametrize(("regime", "row"), cases(Regime.OPT_IN, ROWS))
def test_page(regime: Regime, row: Row) -> None:
    """The page shows the banner, or only the link and a status, as the row says."""
    decision = decide(CATALOG, row.circumstances(regime), row.signals, row.stored, NOW, row.rules)
    assert (decision.prompt, decision.notices) == (row.prompt, row.notices)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_withdrawn(row: Row) -> None:
    """Only what was refused, or granted and then denied by a signal, is expired; silence deletes nothing."""
    decision = decide(CATALOG, row.circumstances(Regime.OPT_IN), row.signals, row.stored, NOW, row.rules)
    live = row.stored if row.stored and row.rules.expires(row.stored) > NOW else None
    expected = (live.refused | live.granted) - row.allowed if live else frozenset[str]()
    assert decision.withdrawn == expected


def opted_out(
    under: Signals = NONE, *, days_ago: int = 1, stale: bool = False, by_signal: bool = False
) -> Choice:
    """Return a stored answer that says no to selling and sharing, and nothing else."""
    return Choice(frozenset(), M, NOW - days_ago * DAY, under, None, stale, by_signal)


OUT, CONFLICT = (Notice.OPTED_OUT,), (Notice.CONFLICT,)

OPEN_ROWS = [
    Row("no signal, no answer: N F A M", NONE, None, ALL, tk="T"),
    Row("GPC, no answer: N F A", GPC, None, F | A, notices=HONORED, writes=M),
    Row("DNT, no answer: all - dnt_scope", DNT, None, F | A, notices=HONORED, writes=M),
    Row("DNT, no answer, dnt_scope all", DNT, None, NOTHING, notices=HONORED, rules=EVERYTHING, writes=ALL),
    Row("both, no answer: union", BOTH, None, F | A, notices=HONORED, writes=M),
    Row("both, no answer, dnt_scope all: union", BOTH, None, NOTHING, notices=HONORED, rules=EVERYTHING, writes=ALL),
    Row("accept: as stored", NONE, said(ALL), ALL, tk="C"),
    Row("granular: as stored", NONE, said(F | A), F | A, tk="C", notices=OUT),
    Row("only M said no to, by hand: all - M", NONE, opted_out(), F | A, notices=OUT),
    Row("opted out by an earlier signal: still out", NONE, opted_out(GPC, by_signal=True), F | A, notices=OUT),
    Row("the same after 200 days, when a yes would have ended", NONE, opted_out(GPC, days_ago=200), F | A, notices=OUT,
        writes=M),
    Row("the same after the processing changed", NONE, opted_out(GPC, stale=True), F | A, notices=OUT),
    Row("reject: N", NONE, said(NOTHING), NOTHING, notices=OUT),
    Row("reject, any signal: N", BOTH, said(NOTHING), NOTHING, notices=HONORED),
    Row("opted out, GPC: all - M", GPC, opted_out(), F | A, notices=HONORED),
    Row("GPC, older accept: stored - M", GPC, said(ALL), F | A, notices=HONORED, tk="C", writes=M),
    Row("both, older accept, dnt_scope all: nothing", BOTH, said(ALL), NOTHING, notices=HONORED, rules=EVERYTHING,
        writes=ALL),
    Row("GPC, older granular: stored - M", GPC, said(A | M), A, notices=HONORED, tk="C", writes=F | M),
    Row("GPC, newer accept, known user: as stored", GPC, said(ALL, GPC), ALL, notices=CONFLICT, tk="C", known=True),
    Row("both, newer accept, known user: as stored", BOTH, said(ALL, BOTH), ALL, notices=CONFLICT, tk="C", known=True),
    Row("GPC, newer accept, anonymous: stored - M", GPC, said(ALL, GPC), F | A, notices=HONORED, tk="C", writes=M),
    Row("both, newer accept, anonymous: stored - M", BOTH, said(ALL, BOTH), F | A, notices=HONORED, tk="C", writes=M),
    Row("DNT, older accept: stored - dnt_scope", DNT, said(ALL), F | A, notices=HONORED, tk="C", writes=M),
    Row("DNT, newer accept: stored", DNT, said(ALL, DNT), ALL, notices=CONFLICT, tk="C"),
    Row("under 16, no opt-in: no M, opt-in flow", NONE, None, F | A, prompt=True, minor=True),
    Row("under 16, GPC: no M, quiet", GPC, None, F | A, notices=HONORED, minor=True, writes=M),
    Row("under 16, opted in: as stored", NONE, said(ALL), ALL, tk="C", minor=True),
    Row("under 16, opted out: not asked again", NONE, opted_out(), F | A, notices=OUT, minor=True),
    Row("a cookie that cannot be read: no M", NONE, None, F | A, unreadable=True, writes=M),
    Row("an accept that has ended: no M", NONE, said(ALL, days_ago=180), F | A, writes=M),
    Row("a reject after 180 days: stands, and is written anew", NONE, said(NOTHING, days_ago=180), NOTHING, notices=OUT,
        writes=ALL),
    Row("processing changed, accept: its grants fall back to silence", NONE, said(ALL, stale=True), ALL, tk="T"),
    Row("processing changed, reject: stands", NONE, said(NOTHING, stale=True), NOTHING, notices=OUT),
    Row("GPC not honoured: as without", GPC, None, ALL, tk="T", rules=Rules(honour_gpc=False)),
]  # fmt: skip
OPEN = [*cases(Regime.OPT_OUT, OPEN_ROWS), *cases(Regime.NONE, OPEN_ROWS)]


@pytest.mark.parametrize(("regime", "row"), OPEN)
def test_allowed_where_silence_allows(regime: Regime, row: Row) -> None:
    """What the row allows is granted, and nothing else; whatever cannot run leaves nothing behind."""
    decision = decide(CATALOG, row.circumstances(regime), row.signals, row.stored, NOW, row.rules)
    assert decision.granted == N | row.allowed
    assert decision.withdrawn.isdisjoint(decision.granted)


@pytest.mark.parametrize(("regime", "row"), OPEN)
def test_page_where_silence_allows(regime: Regime, row: Row) -> None:
    """Nobody is asked but who is known to be under 16; the status says what was honoured; ``Tk`` says what is left."""
    decision = decide(CATALOG, row.circumstances(regime), row.signals, row.stored, NOW, row.rules)
    assert (decision.prompt, decision.notices, decision.tracking) == (row.prompt, row.notices, row.tk)


@pytest.mark.parametrize(("regime", "row"), OPEN)
@pytest.mark.conformance("CA-3")
def test_what_an_opt_out_leaves(regime: Regime, row: Row) -> None:
    """A signal, and what can no longer be read, become a refusal that stands when they are gone (CA-3)."""
    circumstances = row.circumstances(regime)
    written = lasting_opt_out(CATALOG, circumstances, row.signals, row.stored, NOW, row.rules)
    assert (written.refused if written else None) == row.writes
    if written is not None:
        later = decide(CATALOG, Circumstances(regime, minor=row.minor), NONE, written, NOW, row.rules)
        assert later.granted <= N | row.allowed


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
@pytest.mark.conformance("GPC-6")
def test_under_opt_in_nothing_is_written(row: Row) -> None:
    """A signal writes nothing under opt-in: silence denies already."""
    circumstances = row.circumstances(Regime.OPT_IN)
    assert lasting_opt_out(CATALOG, circumstances, row.signals, row.stored, NOW, row.rules) is None


TK = [
    (NONE, None, "N"), (GPC, None, "N"), (NONE, said(ALL), "C"), (NONE, said(A), "C"), (NONE, said(NOTHING), "N"),
    (GPC, said(ALL), "C"), (GPC, said(M), "N"), (BOTH, said(ALL, BOTH), "C"), (NONE, said(ALL, days_ago=180), "N"),
    (NONE, said(ALL, stale=True), "N"),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "stored", "tk"), TK)
@pytest.mark.conformance("DNT-2")
def test_tk_under_opt_in(signals: Signals, stored: Choice | None, tk: str) -> None:
    """C where something is allowed by consent, else N: nothing tracks without it (DNT-2)."""
    assert decide(CATALOG, Circumstances(), signals, stored, NOW, TRACKING).tracking == tk
