from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.catalog import Basis, Catalog
from consent_middleware.policy import OPT_IN, Choice, DntScope, Rules, WhenOn, decide, denied_by, make_choice
from consent_middleware.signals import NO_SIGNALS, Signals
from helpers_core import NOW, make_catalog, modest, service

CATALOG = make_catalog(
    service("shop", "essential", "basket"),
    service("map", "functional", sells_or_shares=False),
    service("video", "functional"),
    service("stats", "analytics", sells_or_shares=False),
    service("ads", "marketing"),
    service("own-ads", "marketing", sells_or_shares=False),
    declared=("performance",),
)
DAY = 86_400
EVERY_SIGNALS = [Signals(gpc=gpc, dnt=dnt) for gpc, dnt in product((False, True), repeat=2)]

subsets = st.frozensets(st.sampled_from(CATALOG.units))
signals = st.sampled_from(EVERY_SIGNALS)
rules = st.builds(
    Rules,
    honour_gpc=st.booleans(),
    honour_dnt=st.booleans(),
    dnt_scope=st.sampled_from(DntScope),
    when_on=st.sampled_from(WhenOn),
    consent_days=st.integers(1, 400),
)


@st.composite
def choices(draw: st.DrawFn) -> Choice | None:
    """Draw a stored answer of any age, or none."""
    if draw(st.booleans()):
        return None
    granted = draw(subsets)
    at = NOW - draw(st.integers(0, 401 * DAY))
    stale = draw(st.booleans())
    return Choice(frozenset() if stale else granted, draw(subsets) - granted, at, draw(signals), None, stale)


@modest
@given(choices(), signals, rules)
def test_decide_is_total(choice: Choice | None, sent: Signals, settings: Rules) -> None:
    """Every category and service has a reason, and it says what the decision does."""
    decision = decide(CATALOG, OPT_IN, sent, choice, NOW, settings)
    ids = {*CATALOG.categories, *CATALOG.services}
    assert decision.reasons.keys() == ids
    assert {id_ for id_ in ids if decision.reasons[id_].startswith("allowed: ")} == decision.granted


@modest
@given(choices(), signals, rules)
def test_decide_grants_only_what_was_said_yes_to(
    choice: Choice | None, sent: Signals, settings: Rules
) -> None:
    """Beyond what needs no consent, nothing runs without a living yes under today's declaration."""
    decision = decide(CATALOG, OPT_IN, sent, choice, NOW, settings)
    live = choice is not None and not choice.stale and settings.expires(choice) > NOW
    said_yes = choice.granted if choice and live else frozenset[str]()
    assert decision.granted - CATALOG.always <= said_yes


@modest
@given(choices(), signals, rules)
def test_decide_never_grants_what_a_new_signal_denies(
    choice: Choice | None, sent: Signals, settings: Rules
) -> None:
    """A signal that was off when the visitor answered beats the answer."""
    decision = decide(CATALOG, OPT_IN, sent, choice, NOW, settings)
    new = sent.since(choice.signals) if choice else sent
    assert decision.granted.isdisjoint(denied_by(CATALOG, settings, new))


@modest
@given(choices(), signals, signals, rules)
def test_another_signal_never_grants_more(
    choice: Choice | None, sent: Signals, extra: Signals, settings: Rules
) -> None:
    """Adding a signal to a request only ever takes away."""
    more = Signals(sent.gpc or extra.gpc, sent.dnt or extra.dnt)
    fewer = decide(CATALOG, OPT_IN, more, choice, NOW, settings).granted
    assert fewer <= decide(CATALOG, OPT_IN, sent, choice, NOW, settings).granted


@modest
@given(choices(), signals, rules)
def test_nothing_is_both_granted_and_withdrawn(choice: Choice | None, sent: Signals, settings: Rules) -> None:
    """What may run is never expired."""
    decision = decide(CATALOG, OPT_IN, sent, choice, NOW, settings)
    assert decision.granted.isdisjoint(decision.withdrawn)


@modest
@given(choices(), signals, rules)
def test_who_has_answered_is_never_asked(choice: Choice | None, sent: Signals, settings: Rules) -> None:
    """The banner never shows to a visitor whose answer covers everything."""
    decision = decide(CATALOG, OPT_IN, sent, choice, NOW, settings)
    assert not (decision.answered and decision.prompt)


@modest
@given(choices(), signals, rules)
def test_a_category_is_granted_only_with_all_its_services(
    choice: Choice | None, sent: Signals, settings: Rules
) -> None:
    """`allows("marketing")` never overstates."""
    granted = decide(CATALOG, OPT_IN, sent, choice, NOW, settings).granted
    for category in CATALOG.categories:
        if category in granted:
            assert {s.id for s in CATALOG.services_of(category)} <= granted


@pytest.mark.parametrize(("after_s", "answered"), [(0, True), (180 * DAY - 1, True), (180 * DAY, False)])
@pytest.mark.conformance("EU-7")
def test_a_choice_ends_after_consent_days(*, after_s: int, answered: bool) -> None:
    """EU-7: at the very second it expires a choice counts no more."""
    choice = make_choice(CATALOG, frozenset(), now=NOW, signals=NO_SIGNALS)
    later = choice.at + after_s
    assert decide(CATALOG, OPT_IN, NO_SIGNALS, choice, later, Rules()).answered is answered


@pytest.mark.conformance("EU-6")
def test_changed_processing_asks_about_the_rest() -> None:
    """EU-6: of a stale answer the refusals stand, and what was granted is asked about again."""
    stale = Choice(frozenset(), frozenset({"ads", "marketing"}), NOW, stale=True)
    decision = decide(CATALOG, OPT_IN, NO_SIGNALS, stale, NOW, Rules())
    assert decision.prompt
    assert decision.withdrawn == {"ads", "marketing"}
    assert decision.reasons["stats"] == "denied: the processing changed since the visitor's answer"


def test_a_site_without_questions_never_asks() -> None:
    """Where only essential services are declared there is nothing to ask."""
    catalog = make_catalog(service("shop", "essential", "basket"))
    decision = decide(catalog, OPT_IN, NO_SIGNALS, None, NOW, Rules())
    assert not decision.prompt


@pytest.mark.conformance("EU-8")
def test_exempt_categories_need_no_answer() -> None:
    """EU-8: an exempt category and its services run from the first visit on."""
    catalog = make_catalog(service("stats", "analytics"), basis={"analytics": Basis.EXEMPT})
    decision = decide(catalog, OPT_IN, Signals(gpc=True), None, NOW, Rules())
    assert decision.granted == {"essential", "analytics", "stats"}


def objection_catalog() -> Catalog:
    """Return a site whose statistics run until the visitor objects."""
    return make_catalog(
        service("stats", "analytics", sells_or_shares=False),
        basis={"analytics": Basis.EXEMPT_WITH_OBJECTION},
    )


@pytest.mark.conformance("EU-8")
def test_objection_basis_runs_until_objected() -> None:
    """EU-8: with information and a simple objection, silence allows."""
    decision = decide(objection_catalog(), OPT_IN, NO_SIGNALS, None, NOW, Rules())
    assert {"analytics", "stats"} <= decision.granted


@pytest.mark.conformance("EU-8")
def test_objection_basis_stops_once_objected() -> None:
    """EU-8: an objection is a refusal."""
    refusal = Choice(frozenset(), frozenset({"analytics", "stats"}), NOW)
    decision = decide(objection_catalog(), OPT_IN, NO_SIGNALS, refusal, NOW, Rules())
    assert decision.granted == {"essential"}


def test_one_refused_service_closes_its_category() -> None:
    """A category is off while one of its services is, and the reason names that service."""
    choice = make_choice(CATALOG, frozenset({"functional", "map"}), now=NOW, signals=NO_SIGNALS)
    decision = decide(CATALOG, OPT_IN, NO_SIGNALS, choice, NOW, Rules())
    assert "functional" not in decision.granted
    assert "video is not" in decision.reasons["functional"]


@pytest.mark.parametrize(
    ("sent", "scope", "denied"),
    [
        (Signals(), DntScope.TRACKING, frozenset()),
        (Signals(gpc=True), DntScope.TRACKING, CATALOG.shares),
        (Signals(gpc=True), DntScope.ALL, CATALOG.shares),
        (Signals(dnt=True), DntScope.TRACKING, CATALOG.shares),
        (Signals(dnt=True), DntScope.ALL, frozenset(CATALOG.units)),
        (Signals(gpc=True, dnt=True), DntScope.ALL, frozenset(CATALOG.units)),
    ],
)
@pytest.mark.conformance("DNT-4", "CA-11")
def test_denied_by(sent: Signals, scope: DntScope, denied: frozenset[str]) -> None:
    """DNT-4: GPC denies what shares; DNT that or everything; both the union."""
    assert denied_by(CATALOG, Rules(dnt_scope=scope), sent) == denied


def test_a_grant_keeps_the_second() -> None:
    """An answer that grants something is dated exactly."""
    assert make_choice(CATALOG, frozenset({"stats"}), now=NOW + 0.7, signals=NO_SIGNALS).at == NOW


def test_a_refusal_keeps_only_the_hour() -> None:
    """Refusing never makes a visitor recognisable: only the hour stays, and no pseudonym."""
    choice = make_choice(CATALOG, frozenset(), now=NOW + 0.7, signals=Signals(gpc=True))
    assert choice.at == NOW // 3600 * 3600
    assert choice.principal is None


def test_a_choice_covers_exactly_what_is_asked() -> None:
    """What is not asked about is neither granted nor refused."""
    choice = make_choice(CATALOG, frozenset({"stats", "shop", "nobody"}), now=NOW, signals=NO_SIGNALS)
    assert choice.granted == {"stats"}
    assert choice.granted | choice.refused == CATALOG.asked
