from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    denied_by,
    lasting_opt_out,
    make_choice,
    opt_out,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, Signals
from helpers_core import NOW, SECRET, make_catalog, modest, service

SERVICES = (
    service("shop", "essential", "basket"),
    service("map", "functional", sells_or_shares=False),
    service("video", "functional"),
    service("stats", "analytics", sells_or_shares=False),
    service("ads", "marketing"),
    service("own-ads", "marketing", sells_or_shares=False),
)
CATALOG = make_catalog(*SERVICES, declared=("performance",))
BY_OBJECTION = make_catalog(
    *SERVICES, declared=("performance",), basis={"analytics": Basis.EXEMPT_WITH_OBJECTION}
)
# Written out, so that the properties do not trust what they test.
NEEDED = frozenset({"essential", "shop"})
SHARING = frozenset({"functional", "video", "marketing", "ads", "own-ads"})
OBJECTED = frozenset({"analytics", "stats"})
DAY = 86_400
PRINCIPAL = "abcdefghijklmnop"
EVERY_SIGNALS = [Signals(gpc=gpc, dnt=dnt) for gpc, dnt in product((False, True), repeat=2)]
OPEN = [Regime.OPT_OUT, Regime.NONE]

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


@dataclass(frozen=True)
class Case:
    """Everything that the table depends on; what a property needs of it is worked out here anew."""

    catalog: Catalog
    who: Circumstances
    signals: Signals
    choice: Choice | None
    rules: Rules

    def but(self, **changes: bool | Regime) -> Case:
        """Return the same case of somebody else."""
        return replace(self, who=replace(self.who, **changes))  # type: ignore[arg-type]

    def decide(self) -> Decision:
        """Apply the table."""
        return decide(self.catalog, self.who, self.signals, self.choice, NOW, self.rules)

    def lasting(self) -> Choice | None:
        """Return what is stored."""
        return lasting_opt_out(self.catalog, self.who, self.signals, self.choice, NOW, self.rules)

    @property
    def silence_allows(self) -> bool:
        """Whether the regime is opt-out or none."""
        return self.who.regime in OPEN

    @property
    def has_ended(self) -> bool:
        """Whether the answer is older than `consent_days`."""
        return self.choice is not None and NOW - self.choice.at >= self.rules.consent_days * DAY

    @property
    def yes(self) -> frozenset[str]:
        """The units of a living yes."""
        counts = self.choice and not self.choice.stale and not self.has_ended
        return self.choice.granted if self.choice and counts else frozenset()

    @property
    def no(self) -> frozenset[str]:
        """The units of a living no: it ends with the yes, or after 400 days where silence allows."""
        if self.choice is None:
            return frozenset()
        days = 400 if self.silence_allows else self.rules.consent_days
        return self.choice.refused if NOW - self.choice.at < days * DAY else frozenset()

    @property
    def gpc(self) -> bool:
        """Whether GPC is on and counts."""
        return self.signals.gpc and self.rules.honour_gpc

    @property
    def dnt(self) -> bool:
        """Whether DNT is on and counts."""
        return self.signals.dnt and self.rules.honour_dnt


@st.composite
def choices(draw: st.DrawFn) -> Choice | None:
    """Draw a stored answer of any age, or none."""
    if draw(st.booleans()):
        return None
    stale = draw(st.booleans())
    granted = frozenset[str]() if stale else draw(subsets)
    return Choice(
        granted=granted,
        refused=draw(subsets) - granted,
        at=NOW - draw(st.integers(0, 500 * DAY)),
        signals=draw(signals),
        principal=PRINCIPAL if granted else None,
        stale=stale,
        by_signal=draw(st.booleans()),
        pending=draw(st.booleans()),
    )


def somebody(*regimes: Regime) -> st.SearchStrategy[Circumstances]:
    """Draw who it is."""
    flags = {name: st.booleans() for name in ("known", "minor", "unreadable")}
    return st.builds(Circumstances, st.sampled_from(regimes or tuple(Regime)), st.just(""), **flags)


def cases(*regimes: Regime, catalog: Catalog | None = None) -> st.SearchStrategy[Case]:
    """Draw a case under these regimes, or any."""
    catalogs = st.just(catalog) if catalog else st.sampled_from([CATALOG, BY_OBJECTION])
    return st.builds(Case, catalogs, somebody(*regimes), signals, choices(), rules)


# -- what holds under every regime


@modest
@given(cases())
def test_decide_is_total(case: Case) -> None:
    """Every category and service has a reason, and it says what the decision does."""
    decision = case.decide()
    ids = {*case.catalog.categories, *case.catalog.services}
    assert decision.reasons.keys() == ids
    assert {id_ for id_ in ids if decision.reasons[id_].startswith("allowed: ")} == decision.granted


@modest
@given(cases())
def test_what_is_needed_always_runs(case: Case) -> None:
    """No signal and no answer stops the essential."""
    assert case.decide().granted >= NEEDED


@modest
@given(cases())
def test_what_was_refused_never_runs(case: Case) -> None:
    """A living no beats everything."""
    assert case.decide().granted.isdisjoint(case.no)


@modest
@given(cases(*OPEN))
@pytest.mark.conformance("EU-7")
def test_the_end_of_a_no_never_turns_sale_back_on(case: Case) -> None:
    """EU-7: what sells or shares and was refused stays off, however long ago that was."""
    refused = case.choice.refused if case.choice else frozenset[str]()
    assert case.decide().granted.isdisjoint(refused & SHARING)


@modest
@given(cases(Regime.OPT_IN))
@pytest.mark.conformance("EU-1")
def test_under_opt_in_only_a_yes_allows(case: Case) -> None:
    """EU-1: beyond what needs no consent, nothing runs without a living yes under today's declaration."""
    silent = OBJECTED if case.catalog is BY_OBJECTION else frozenset[str]()
    assert case.decide().granted - NEEDED - silent <= case.yes


@modest
@given(cases())
def test_a_signal_newer_than_the_yes_beats_it(case: Case) -> None:
    """What a signal denies runs only by a yes that was given while it was on."""
    granted = case.decide().granted
    before = case.choice.signals if case.choice and case.yes else NO_SIGNALS
    if (case.gpc and not before.gpc) or (case.dnt and not before.dnt):
        assert granted.isdisjoint(SHARING)
    if case.dnt and not before.dnt and case.rules.dnt_scope is DntScope.ALL:
        assert granted == NEEDED


@modest
@given(cases())
def test_a_signal_leaves_nothing_to_silence(case: Case) -> None:
    """While a signal is on, what it denies runs by a yes or not at all."""
    if case.gpc or case.dnt:
        assert case.decide().granted & SHARING <= case.yes
    if case.dnt and case.rules.dnt_scope is DntScope.ALL:
        assert case.decide().granted - NEEDED <= case.yes


@modest
@given(cases(*OPEN).map(lambda case: case.but(known=False)), st.booleans())
@pytest.mark.conformance("CA-1")
def test_with_gpc_nothing_of_an_unknown_visitor_is_shared(case: Case, dnt: bool) -> None:  # noqa: FBT001 - drawn
    """CA-1: whatever they said, and whenever."""
    sent = replace(case, signals=Signals(gpc=True, dnt=dnt), rules=replace(case.rules, honour_gpc=True))
    assert sent.decide().granted.isdisjoint(SHARING)


@modest
@given(cases().map(lambda case: case.but(minor=True)))
@pytest.mark.conformance("CA-9")
def test_nothing_of_a_minor_is_shared_without_a_yes(case: Case) -> None:
    """CA-9: a living yes, under every regime."""
    assert case.decide().granted & SHARING <= case.yes


@modest
@given(cases(*OPEN))
def test_what_can_no_longer_be_read_shares_nothing(case: Case) -> None:
    """An answer that has ended, or that nobody can read, may have been a no."""
    if case.who.unreadable or case.has_ended:
        assert case.decide().granted & SHARING <= case.yes


@modest
@given(cases())
def test_nothing_is_both_granted_and_withdrawn(case: Case) -> None:
    """What may run is never expired."""
    decision = case.decide()
    assert decision.granted.isdisjoint(decision.withdrawn)


@modest
@given(cases())
def test_who_has_answered_is_never_asked(case: Case) -> None:
    """The banner never shows to a visitor whose answer covers everything."""
    decision = case.decide()
    assert not (decision.answered and decision.prompt)


@modest
@given(cases(*OPEN))
@pytest.mark.conformance("CA-7")
def test_where_silence_allows_only_minors_are_asked(case: Case) -> None:
    """CA-7: nobody else, and not after a no to what sells or shares."""
    if case.decide().prompt:
        assert case.who.minor
        assert not case.no >= SHARING


@modest
@given(cases())
def test_a_category_is_granted_only_with_all_its_services(case: Case) -> None:
    """`allows("marketing")` never overstates."""
    granted = case.decide().granted
    for category in case.catalog.categories:
        if category in granted:
            assert {s.id for s in case.catalog.services_of(category)} <= granted


# -- what takes away only


@modest
@given(cases(), signals)
def test_another_signal_never_grants_more(case: Case, extra: Signals) -> None:
    """Adding a signal to a request only ever takes away."""
    more = Signals(case.signals.gpc or extra.gpc, case.signals.dnt or extra.dnt)
    assert replace(case, signals=more).decide().granted <= case.decide().granted


@pytest.mark.parametrize(
    "worse", [{"minor": True}, {"unreadable": True}, {"known": False}], ids=lambda worse: next(iter(worse))
)
@modest
@given(case=cases())
def test_who_it_turns_out_to_be_never_grants_more(case: Case, worse: dict[str, bool]) -> None:
    """Being a minor, sending what cannot be read, and being unknown only ever take away."""
    assert case.but(**worse).decide().granted <= case.decide().granted


@modest
@given(cases(), st.frozensets(st.sampled_from(sorted(SHARING | OBJECTED))))
def test_another_no_never_grants_more(case: Case, more: frozenset[str]) -> None:
    """Refusing something only ever takes away."""
    before = case.choice or Choice(frozenset(), frozenset(), NOW)
    after = replace(before, granted=before.granted - more, refused=before.refused | more)
    fewer = replace(case, choice=after).decide().granted
    assert fewer <= replace(case, choice=before).decide().granted


@modest
@given(cases(Regime.OPT_IN, catalog=CATALOG), st.sampled_from(OPEN))
def test_opt_in_is_the_strictest_regime(case: Case, regime: Regime) -> None:
    """Opt-in grants nothing that opt-out and none deny, but for one thing.

    A yes given while GPC was on stands for everybody under opt-in, and only for known users elsewhere.
    """
    more = case.decide().granted - case.but(regime=regime).decide().granted
    assert more <= case.yes & SHARING
    assert not more or (case.gpc and not case.who.known)


@modest
@given(cases(Regime.OPT_IN, catalog=BY_OBJECTION), st.sampled_from(OPEN))
def test_what_runs_until_objected_runs_where_silence_allows(case: Case, regime: Regime) -> None:
    """An objection counts for longer there, and is the only other thing that opt-in lets run beyond it."""
    elsewhere = case.but(regime=regime)
    more = case.decide().granted - elsewhere.decide().granted
    assert more <= (case.yes & SHARING) | (OBJECTED & (elsewhere.no | {"analytics"}))


@modest
@given(cases(Regime.OPT_OUT))
def test_opt_out_and_none_allow_the_same(case: Case) -> None:
    """They differ in what the page is called upon to show, not in what runs or is stored."""
    other = case.but(regime=Regime.NONE)
    assert other.decide().granted == case.decide().granted
    assert other.lasting() == case.lasting()


# -- opt-outs that last


@modest
@given(cases(Regime.OPT_IN))
@pytest.mark.conformance("GPC-6")
def test_under_opt_in_no_opt_out_is_written(case: Case) -> None:
    """GPC-6: silence denies already, so a signal changes nothing that is stored."""
    assert case.lasting() is None


@modest
@given(cases(*OPEN))
@pytest.mark.conformance("CA-3")
def test_what_is_written_outlives_its_cause(case: Case) -> None:
    """CA-3: without the signal, what it denied stays off, and nothing runs that did not run under it."""
    written = case.lasting()
    if written is not None:
        later = replace(case.but(unreadable=False), signals=NO_SIGNALS, choice=written).decide()
        assert later.granted.isdisjoint(written.refused)
        assert later.granted <= case.decide().granted


@modest
@given(cases(*OPEN))
@pytest.mark.conformance("CA-3")
def test_every_signal_is_written(case: Case) -> None:
    """CA-3: once stored, the answer denies by itself all that the signal denies and no yes outweighs."""
    stored = case.lasting() or case.choice
    if case.gpc or case.dnt:
        assert stored is not None
        assert stored.refused | stored.granted >= SHARING
    if case.dnt and case.rules.dnt_scope is DntScope.ALL:
        assert stored is not None
        assert stored.refused | stored.granted >= case.catalog.asked


@modest
@given(cases(*OPEN))
def test_what_is_written_only_ever_refuses(case: Case) -> None:
    """No grant is added, no living refusal is lost, and no unit is in both."""
    written = case.lasting()
    if written is not None:
        assert written.granted <= case.yes
        assert written.refused >= case.no
        assert written.granted.isdisjoint(written.refused)


@modest
@given(cases(*OPEN))
@pytest.mark.conformance("GPC-6")
def test_an_opt_out_is_written_once(case: Case) -> None:
    """GPC-6: the same request with what was written leads to nothing more."""
    written = case.lasting()
    if written is not None:
        assert replace(case, choice=written).lasting() is None
        assert replace(case.but(unreadable=False), choice=written).lasting() is None


@modest
@given(cases(*OPEN))
def test_what_grants_nothing_keeps_the_hour(case: Case) -> None:
    """An opt-out that leaves no grant is dated by the hour; grants keep their own time, so that they end."""
    written = case.lasting()
    if written is not None and case.choice is not None and written.granted:
        assert written.at == case.choice.at
    elif written is not None:
        assert written.at == NOW // 3600 * 3600


@modest
@given(cases(*OPEN))
def test_an_opt_out_makes_no_id(case: Case) -> None:
    """An opt-out never gives a pseudonym to who has none."""
    written = case.lasting()
    before = case.choice.principal if case.choice else None
    assert written is None or written.principal in {None, before}


@modest
@given(cases(*OPEN))
def test_nothing_is_written_without_a_cause(case: Case) -> None:
    """No signal, no end, nothing unreadable, and an answer that is not a month old: no cookie."""
    is_young = case.choice is None or NOW - case.choice.at < 30 * DAY
    if is_young and not (case.gpc or case.dnt or case.has_ended or case.who.unreadable):
        assert case.lasting() is None


@modest
@given(cases(*OPEN))
def test_what_is_written_fits_the_cookie(case: Case) -> None:
    """It comes back as it went in; it answers today's declaration, so it is never stale."""
    written = case.lasting()
    if written is not None:
        codec = ChoiceCodec(case.catalog, [SECRET])
        assert codec.decode(codec.encode(written).encode()) == replace(written, stale=False)


@pytest.mark.parametrize("days_ago", [0, 29, 30, 399])
@pytest.mark.parametrize("regime", OPEN)
@pytest.mark.conformance("EU-7")
def test_a_no_is_refreshed_after_a_month(regime: Regime, days_ago: int) -> None:
    """EU-7: it is written anew before a browser forgets it, and changes in nothing but the hour."""
    refusal = Choice(frozenset(), CATALOG.asked, NOW - days_ago * DAY, Signals(gpc=True), by_signal=True)
    written = lasting_opt_out(CATALOG, Circumstances(regime), NO_SIGNALS, refusal, NOW, Rules())
    expected = replace(refusal, at=NOW // 3600 * 3600) if days_ago >= 30 else None
    assert written == expected


def test_a_yes_is_not_refreshed() -> None:
    """What was agreed to ends with `consent_days`, however often the visitor comes."""
    agreed = make_choice(CATALOG, frozenset({"stats"}), now=NOW - 179 * DAY, signals=NO_SIGNALS)
    who = Circumstances(Regime.OPT_OUT)
    assert lasting_opt_out(CATALOG, who, NO_SIGNALS, agreed, NOW, Rules()) is None


@pytest.mark.parametrize(
    ("regime", "days", "kept", "lapsed"),
    [
        (Regime.OPT_IN, 179, "yes and no", False),
        (Regime.OPT_IN, 180, "nothing", True),
        (Regime.OPT_OUT, 179, "yes and no", False),
        (Regime.OPT_OUT, 180, "no", True),
        (Regime.OPT_OUT, 399, "no", True),
        (Regime.OPT_OUT, 400, "nothing", True),
        (Regime.NONE, 399, "no", True),
        (Regime.NONE, 400, "nothing", True),
    ],
)
@pytest.mark.conformance("EU-7")
def test_what_still_counts(*, regime: Regime, days: int, kept: str, lapsed: bool) -> None:
    """EU-7: grants end with `consent_days`; where silence allows, refusals stand for 400 days."""
    choice = Choice(frozenset({"stats"}), frozenset({"ads"}), NOW, principal=PRINCIPAL)
    found, ended = Rules().living(choice, regime, NOW + days * DAY)
    counts = {"yes and no": choice, "no": replace(choice, granted=frozenset()), "nothing": None}
    assert (found, ended) == (counts[kept], lapsed)


def test_no_answer_is_none_that_ended() -> None:
    """Who never answered has nothing that could lapse."""
    assert [Rules().living(None, regime, NOW) for regime in Regime] == [(None, False)] * 3


# -- an opt-out by hand


@modest
@given(choices(), signals)
@pytest.mark.conformance("CA-6")
def test_an_opt_out_says_no_to_what_shares(before: Choice | None, sent: Signals) -> None:
    """CA-6: to that, and to nothing else."""
    written = opt_out(CATALOG, before, now=NOW, signals=sent)
    granted = before.granted if before else frozenset[str]()
    refused = before.refused if before else frozenset[str]()
    assert (written.granted, written.refused) == (granted - SHARING, refused | SHARING)


@modest
@given(choices().filter(lambda choice: choice is not None and not choice.stale), signals)
def test_an_opt_out_keeps_the_end_of_a_yes(before: Choice, sent: Signals) -> None:
    """What stays granted ends when it would have ended; without a grant only the hour is kept."""
    written = opt_out(CATALOG, before, now=NOW, signals=sent)
    assert written.at == (before.at if written.granted else NOW // 3600 * 3600)


@modest
@given(cases())
@pytest.mark.conformance("CA-1")
def test_an_opt_out_by_hand_is_obeyed(case: Case) -> None:
    """CA-1: from then on nothing is sold or shared, whatever was said before and whatever the signals."""
    written = opt_out(case.catalog, case.choice, now=NOW, signals=case.signals)
    after = replace(case, choice=written).decide().granted
    assert after.isdisjoint(SHARING)


# -- single rows


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


@pytest.mark.conformance("CA-5")
@modest
@given(cases())
def test_saying_no_by_hand_never_allows_more(case: Case) -> None:
    """CA-5: pressing the button that says no switches nothing on."""
    living, _ = case.rules.living(case.choice, case.who.regime, NOW)
    said = opt_out(case.catalog, living, now=NOW, signals=case.signals)
    after = decide(case.catalog, case.who, case.signals, said, NOW, case.rules)
    shared = case.catalog.shares & case.catalog.asked
    assert after.granted.isdisjoint(shared)
    if living is not None and not living.stale:
        assert after.granted - shared <= case.decide().granted


@modest
@given(cases())
def test_who_grants_nothing_has_no_identifier_for_long(case: Case) -> None:
    """Once it is recorded what became of the grants, what is written again names nobody."""
    written = case.lasting()
    if written is not None and not written.granted and not written.pending:
        assert written.principal is None


@pytest.mark.parametrize("unreadable", [True, False])
def test_only_a_signal_is_called_a_signal(unreadable: bool) -> None:  # noqa: FBT001 - a column
    """An answer that ended, or cannot be read, is no word of the browser's."""
    ended = (
        None if unreadable else make_choice(CATALOG, CATALOG.asked, now=NOW - 181 * DAY, signals=NO_SIGNALS)
    )
    who = Circumstances(Regime.OPT_OUT, unreadable=unreadable)
    written = lasting_opt_out(CATALOG, who, NO_SIGNALS, ended, NOW, Rules())
    assert written is not None
    assert not written.by_signal


def test_a_second_signal_keeps_the_word_of_the_first() -> None:
    """GPC, and later DNT with a wider scope: still the browser's word, not the visitor's."""
    who, wide = Circumstances(Regime.OPT_OUT), Rules(dnt_scope=DntScope.ALL)
    first = lasting_opt_out(CATALOG, who, Signals(gpc=True), None, NOW, wide)
    second = lasting_opt_out(CATALOG, who, Signals(gpc=True, dnt=True), first, NOW, wide)
    assert second is not None
    assert second.by_signal


@pytest.mark.conformance("CA-9")
def test_a_minor_is_asked_where_an_exemption_would_share() -> None:
    """CA-9: silence of a visitor under 16 shares nothing, under opt-in neither."""
    catalog = make_catalog(*SERVICES, basis={"marketing": Basis.EXEMPT_WITH_OBJECTION})
    decision = decide(catalog, Circumstances(minor=True), NO_SIGNALS, None, NOW, Rules())
    assert decision.granted.isdisjoint(SHARING)
    assert decision.prompt
    assert not decision.answered
