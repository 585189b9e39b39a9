"""guard.js, run under node, against `decide`: the page and the server never differ.

guard.js repeats no decision; it is given a table a unit. Here every choice, under every combination of
signals now and at the choice, fresh and stale, living and expired, goes through both.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from consent_middleware.assets import Assets, guard_mode
from consent_middleware.catalog import Basis, Catalog
from consent_middleware.codec import ChoiceCodec
from consent_middleware.policy import (
    OPT_IN,
    Choice,
    Circumstances,
    Decision,
    DntScope,
    Rules,
    WhenOn,
    decide,
    lasting_opt_out,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from consent_middleware.visitor import CookieNames
from helpers_core import NOW, SECRET, make_catalog, service

HARNESS = Path(__file__).with_name("guard_harness.mjs")
NAMES = CookieNames()
SIGNALS = [Signals(gpc=gpc, dnt=dnt) for gpc, dnt in product((False, True), repeat=2)]
RULES = [
    Rules(),
    Rules(dnt_scope=DntScope.ALL),
    Rules(when_on=WhenOn.ASK, consent_days=30),
    Rules(honour_gpc=False, dnt_scope=DntScope.ALL),
    Rules(honour_dnt=False),
    Rules(honour_gpc=False, honour_dnt=False, when_on=WhenOn.ASK),
]
SERVICES = (
    service("shop", "essential", "basket"),
    service("count", "functional", sells_or_shares=False),
    service("stats", "analytics", sells_or_shares=False),
    service("share", "analytics"),
    service("ads", "marketing"),
)
CATALOG = make_catalog(*SERVICES, declared=("performance",), basis={"functional": Basis.EXEMPT})
# Yesterday's declaration: one service was not there, another one did something else.
OLDER = make_catalog(
    *SERVICES[:3],
    service("ads", "marketing", provider="Somebody else"),
    declared=("performance",),
    basis={"functional": Basis.EXEMPT},
)


@dataclass(frozen=True)
class Case:
    """One visit: what the browser holds and sends, and what the server decides."""

    rules: int
    cookie: str
    signals: Signals
    decision: Decision
    circumstances: Circumstances = OPT_IN

    def row(self) -> list[object]:
        """Return the case as the harness takes it."""
        dnt = "1" if self.signals.dnt else None
        mode = guard_mode(self.circumstances)
        return [self.rules, self.cookie, self.signals.gpc, dnt, NOW * 1000, "https:", False, mode]


def run_guard(guards: list[str], rows: list[list[object]]) -> list[Any]:
    """Run every case in one node process."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("node is not installed: guard.js cannot be compared with decide. apt-get install nodejs")
    done = subprocess.run(
        [node, str(HARNESS)],
        input=json.dumps({"guards": guards, "cases": rows}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def guard_source(
    catalog: Catalog, rules: Rules, names: CookieNames = NAMES, circumstances: Circumstances = OPT_IN
) -> str:
    """Return guard.js with a site's table compiled in."""
    # Without a browser there is nothing to hold back.
    asset = Assets(catalog, rules, names, hold=False, circumstances=circumstances).get("guard.js")
    assert asset is not None
    return asset.plain.decode()


def every_choice(catalog: Catalog) -> list[frozenset[str]]:
    """Return every set of units a visitor can grant."""
    asked = sorted(catalog.asked)
    return [frozenset(some) for size in range(len(asked) + 1) for some in combinations(asked, size)]


def every_cookie(consent_days: int) -> list[str]:
    """Return every cookie a browser can hold: each choice, each signal at it, fresh and stale, young and old."""
    ages = (0, consent_days * 86_400 - 1, consent_days * 86_400)
    found = []
    for catalog in (CATALOG, OLDER):
        codec = ChoiceCodec(catalog, [SECRET])
        for granted, under, age in product(every_choice(catalog), SIGNALS, ages):
            choice = Choice(granted, catalog.asked - granted, NOW - age, under, "p" * 16 if granted else None)
            found.append(codec.encode(choice))
    return found


def every_case() -> list[Case]:
    """Return every visit, with the server's decision."""
    codec = ChoiceCodec(CATALOG, [SECRET])
    cases = []
    for index, rules in enumerate(RULES):
        for cookie in ("", *every_cookie(rules.consent_days)):
            choice = codec.decode(cookie.encode()) if cookie else None
            header = f"a=1; {NAMES.name(secure=True)}={cookie}; b=2" if cookie else "a=1"
            for sent in SIGNALS:
                decision = decide(CATALOG, OPT_IN, sent, choice, NOW, rules)
                cases.append(Case(index, header, sent, decision))
    return cases


def test_guard_and_decide_agree_on_every_visit() -> None:
    """The same units run, the same visitors are asked, the same answers count as complete."""
    cases = every_case()
    guards = [guard_source(CATALOG, rules) for rules in RULES]
    found = run_guard(guards, [case.row() for case in cases])
    ids = set(CATALOG.always) | set(CATALOG.units)
    differing = [
        (RULES[case.rules], case.cookie, case.signals, result)
        for case, result in zip(cases, found, strict=True)
        if result
        != [
            sorted(case.decision.granted & ids),
            "ask" if case.decision.prompt else "decided",
            case.decision.answered,
        ]
    ]
    assert differing == []


OPEN = [
    Circumstances(Regime.OPT_OUT, known=known, minor=minor)
    for known, minor in product((False, True), repeat=2)
]


def every_open_case() -> list[Case]:
    """Return visits where silence allows, with the server's decision and the cookie that its answer leaves."""
    codec = ChoiceCodec(CATALOG, [SECRET])
    shared = CATALOG.shares & CATALOG.asked
    cases = []
    for (index, rules), circumstances in product(enumerate(RULES[:2]), OPEN):
        days = rules.consent_days
        answers = [
            None,
            *(
                Choice(granted, refused, NOW - age, under, stale=False)
                for granted in every_choice(CATALOG)[::3]
                for refused in {CATALOG.asked - granted, shared - granted}
                for under in SIGNALS
                for age in (0, days * 86_400)
            ),
        ]
        for answer, sent in product(answers, SIGNALS):
            decision = decide(CATALOG, circumstances, sent, answer, NOW, rules)
            stored = lasting_opt_out(CATALOG, circumstances, sent, answer, NOW, rules) or answer
            cookie = f"{NAMES.name(secure=True)}={codec.encode(stored)}" if stored else ""
            cases.append(Case(index, cookie, sent, decision, circumstances))
    return cases


def test_guard_and_decide_agree_where_silence_allows() -> None:
    """The same units run on a page whose cookie is the one that came with it; who is asked is asked by both."""
    cases = every_open_case()
    guards = [guard_source(CATALOG, rules, circumstances=Circumstances(Regime.OPT_OUT)) for rules in RULES]
    found = run_guard(guards, [case.row() for case in cases])
    ids = set(CATALOG.always) | set(CATALOG.units)
    differing = [
        (case, result)
        for case, result in zip(cases, found, strict=True)
        if result[0] != sorted(case.decision.granted & ids) or (case.decision.prompt and result[1] != "ask")
    ]
    assert differing[:3] == []


def one(
    cookie: str,
    *,
    gpc: object = None,
    dnt: object = None,
    protocol: str = "https:",
    framed: bool = False,
    names: CookieNames = NAMES,
) -> list[Any]:
    """Return what guard.js decides for one visit."""
    row = [0, cookie, gpc, dnt, NOW * 1000, protocol, framed, guard_mode(OPT_IN)]
    result: list[Any] = run_guard([guard_source(CATALOG, Rules(), names)], [row])[0]
    return result


def accepted_all(at: int = NOW, signals: Signals = SIGNALS[0]) -> str:
    """Return the cookie of a visitor who accepted everything."""
    choice = Choice(CATALOG.asked, frozenset(), at, signals, "p" * 16)
    return ChoiceCodec(CATALOG, [SECRET]).encode(choice)


GARBAGE = [
    "",
    "v1",
    "v1.......",
    "v2." + accepted_all()[3:],
    accepted_all() + ".x",
    accepted_all().replace(CATALOG.fingerprint + ".", CATALOG.fingerprint + ".!"),
    accepted_all().replace(CATALOG.fingerprint + ".", CATALOG.fingerprint + ".AAAA"),
    "%00",
    "\u20ac" * 5,
    "v1.AAAAAAAA.A..zzz..",
    f"v1.{CATALOG.fingerprint}.AAAA....x",
]


def test_guard_reads_garbage_as_no_answer() -> None:
    """Whatever stands in the cookie, the page holds and asks; nothing throws."""
    rows: list[list[object]] = [
        [0, f"__Host-consent={value}", None, None, NOW * 1000, "https:", False, guard_mode(OPT_IN)]
        for value in GARBAGE
    ]
    found = run_guard([guard_source(CATALOG, Rules())], rows)
    assert found == [[sorted(CATALOG.always), "ask", False]] * len(GARBAGE)


def test_guard_takes_the_strictest_of_duplicates() -> None:
    """Of two valid cookies the one that grants less counts."""
    refused = ChoiceCodec(CATALOG, [SECRET]).encode(Choice(frozenset(), CATALOG.asked, NOW))
    both = f"__Host-consent={accepted_all()}; __Host-consent={refused}"
    assert one(both) == [sorted(CATALOG.always), "decided", True]


@pytest.mark.parametrize("newest", ["stats", "ads"])
def test_guard_takes_the_newest_of_equals(newest: str) -> None:
    """Of two cookies that grant as much the page believes the one that the server believes."""
    codec = ChoiceCodec(CATALOG, [SECRET])
    values = [
        codec.encode(
            Choice(
                frozenset({unit}),
                CATALOG.asked - {unit},
                NOW - (60 if unit != newest else 5),
                principal="p" * 16,
            )
        )
        for unit in ("stats", "ads")
    ]
    both = "; ".join(f"__Host-consent={value}" for value in values)
    assert one(both)[0] == sorted(CATALOG.always | {newest})


@pytest.mark.parametrize(
    ("protocol", "names", "cookie"),
    [
        ("https:", CookieNames(), "__Host-consent"),
        ("http:", CookieNames(), "consent"),
        ("https:", CookieNames("-shop"), "__Host-consent-shop"),
        ("http:", CookieNames("-shop"), "consent-shop"),
        ("https:", CookieNames("", "shop.example"), "__Secure-consent"),
    ],
)
def test_guard_reads_the_cookie_of_its_scheme_and_site(
    protocol: str, names: CookieNames, cookie: str
) -> None:
    """The name the server sets is the name the page reads."""
    found = one(f"{cookie}={accepted_all()}", protocol=protocol, names=names)
    assert found[2] is True


@pytest.mark.parametrize("cookie", ["consent", "__host-consent", "x__Host-consent", "__Host-consent-a"])
def test_guard_ignores_other_cookies(cookie: str) -> None:
    """A cookie of another name, be it close, is not this site's."""
    assert one(f"{cookie}={accepted_all()}")[2] is False


def test_guard_never_asks_in_a_frame() -> None:
    """In a frame the guard holds, and the banner does not show."""
    assert one("", framed=True) == [sorted(CATALOG.always), "framed", False]


@pytest.mark.parametrize(
    ("gpc", "dnt", "quiet"),
    [
        (True, None, True),
        (False, None, False),
        ("1", None, False),
        (1, None, False),
        (None, "1", True),
        (None, "0", False),
        (None, "unspecified", False),
        (None, "yes", False),
    ],
)
@pytest.mark.conformance("GPC-7")
def test_guard_reads_the_signals_of_the_page(*, gpc: object, dnt: object, quiet: bool) -> None:
    """GPC-7: `navigator.globalPrivacyControl` and `doNotTrack` count as the headers do."""
    assert one("", gpc=gpc, dnt=dnt)[1] == ("decided" if quiet else "ask")
