"""The decision table's opt-in rows (CONFORMANCE "The decision table"), one case a row.

N, F, A and M stand for the units of the small site below, as they do in the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from consent_middleware.policy import Choice, DntScope, Notice, Rules, WhenOn, decide
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


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_allowed(row: Row) -> None:
    """What the row allows is granted, and nothing else."""
    decision = decide(CATALOG, Regime.OPT_IN, row.signals, row.stored, NOW, row.rules)
    assert decision.granted == N | row.allowed


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_page(row: Row) -> None:
    """The page shows the banner, or only the link and a status, as the row says."""
    decision = decide(CATALOG, Regime.OPT_IN, row.signals, row.stored, NOW, row.rules)
    assert (decision.prompt, decision.notices) == (row.prompt, row.notices)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_withdrawn(row: Row) -> None:
    """Only what was refused, or granted and then denied by a signal, is expired; silence deletes nothing."""
    decision = decide(CATALOG, Regime.OPT_IN, row.signals, row.stored, NOW, row.rules)
    live = row.stored if row.stored and row.rules.expires(row.stored) > NOW else None
    expected = (live.refused | live.granted) - row.allowed if live else frozenset[str]()
    assert decision.withdrawn == expected


@pytest.mark.parametrize("regime", [Regime.OPT_OUT, Regime.NONE])
def test_other_regimes_are_refused_loudly(regime: Regime) -> None:
    """A regime this version cannot decide raises; it is never taken for another."""
    with pytest.raises(ValueError, match="not decided by this version"):
        decide(CATALOG, regime, NONE, None, NOW, TRACKING)
