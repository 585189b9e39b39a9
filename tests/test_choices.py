from __future__ import annotations

import json
from itertools import count

import pytest

from consent_middleware.choices import Answer, Choices, Method, Outcome
from consent_middleware.codec import ChoiceCodec
from consent_middleware.policy import Choice, Rules
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.visitor import Visitor, Visitors
from helpers_core import NOW, SECRET, make_config

CONFIG = make_config(
    services=[
        {"id": "stats", "category": "analytics", "sells_or_shares": False},
        {"id": "ads", "category": "marketing"},
    ]
)
ASKED = CONFIG.catalog.asked
CODEC = ChoiceCodec(CONFIG.catalog, [SECRET])
VISITORS = Visitors(CONFIG, Rules(), CODEC)
EVERYTHING = Answer(ASKED, Method.ACCEPT_ALL)
STATS = Answer(frozenset({"stats", "analytics"}), Method.PREFS)
NOTHING = Answer(frozenset(), Method.REJECT_ALL)


def visitor(choice: Choice | None = None, signals: Signals = NO_SIGNALS) -> Visitor:
    """Return a visitor with a stored answer."""
    return VISITORS.with_choice(choice, signals, NOW)


def take(who: Visitor, answer: Answer, *, now: float = NOW) -> Outcome:
    """Return what an answer leads to; ids are counted, not random."""
    numbers = count(1)
    choices = Choices(
        CONFIG,
        CODEC,
        VISITORS,
        Rules(),
        notice=lambda language, regime: f"shown {language} under {regime}",
        new_id=lambda: f"id-{next(numbers):013}",
    )
    return choices.take(who, answer, language="en", secure=True, now=now)


def stored(outcome: Outcome) -> Choice:
    """Return the choice in the cookie that an outcome sets."""
    assert outcome.set_cookie is not None
    found = CODEC.decode(outcome.set_cookie.partition(b";")[0].partition(b"=")[2])
    assert found is not None
    return found


@pytest.mark.parametrize("answer", [EVERYTHING, STATS, NOTHING])
def test_an_answer_is_in_the_cookie(answer: Answer) -> None:
    """What was said is what the next request says."""
    found = stored(take(visitor(), answer))
    assert (found.granted, found.refused) == (answer.granted, ASKED - answer.granted)


def test_the_first_grant_makes_an_id() -> None:
    """Who grants something is given a pseudonym, in cookie and record alike."""
    outcome = take(visitor(), STATS)
    assert stored(outcome).principal == outcome.effects[0].record.principal_id == "id-0000000000001"


def test_a_refusal_makes_no_id() -> None:
    """Who grants nothing is given none, and the hour alone."""
    outcome = take(visitor(), NOTHING)
    assert stored(outcome).principal is None
    assert outcome.effects[0].record.principal_id is None
    assert stored(outcome).at % 3600 == 0


def granted(answer: Answer = STATS) -> Visitor:
    """Return a visitor who has granted something."""
    return visitor(stored(take(visitor(), answer)))


def test_a_changed_grant_keeps_its_id() -> None:
    """One visitor's records belong together."""
    outcome = take(granted(), EVERYTHING, now=NOW + 60)
    assert stored(outcome).principal == "id-0000000000001"


@pytest.mark.conformance("REC-1")
def test_a_withdrawal_is_recorded_under_the_id_and_drops_it() -> None:
    """The record says whose grant ended; the cookie forgets."""
    outcome = take(granted(), NOTHING, now=NOW + 60)
    (effect,) = outcome.effects
    assert (effect.record.principal_id, effect.record.state) == ("id-0000000000001", "withdrawn")
    assert stored(outcome).principal is None


@pytest.mark.parametrize("answer", [EVERYTHING, STATS, NOTHING])
@pytest.mark.conformance("GPC-6")
def test_the_same_answer_again_writes_nothing(answer: Answer) -> None:
    """GPC-6: a record is a change of state; repeating one is none."""
    outcome = take(granted(answer), answer, now=NOW + 60)
    assert (outcome.set_cookie, outcome.effects, outcome.grants) == (None, (), False)


def test_the_same_answer_under_a_new_signal_is_a_change() -> None:
    """Saying yes again while a signal is on is a newer yes."""
    before = granted(EVERYTHING).choice
    outcome = take(visitor(before, Signals(gpc=True)), EVERYTHING, now=NOW + 60)
    assert stored(outcome).signals == Signals(gpc=True)
    assert outcome.grants


def test_the_same_answer_to_changed_processing_is_a_change() -> None:
    """An answer to another declaration does not stand for this one."""
    stale = Choice(frozenset(), ASKED, NOW, stale=True)
    assert take(visitor(stale), NOTHING).effects


@pytest.mark.parametrize(
    ("before", "answer", "grants"),
    [
        (None, EVERYTHING, True),
        (None, NOTHING, False),
        (EVERYTHING, STATS, False),
        (STATS, EVERYTHING, True),
        (STATS, NOTHING, False),
    ],
)
def test_what_allows_something_new(*, before: Answer | None, answer: Answer, grants: bool) -> None:
    """Only an outcome that allows more than before needs its proof first."""
    who = granted(before) if before else visitor()
    assert take(who, answer, now=NOW + 60).grants is grants


@pytest.mark.conformance("REC-1")
def test_the_record_says_how_and_what_was_shown() -> None:
    """REC-1: the way of answering, the text shown and the end of validity are in the record."""
    outcome = take(visitor(), EVERYTHING)
    (effect,) = outcome.effects
    assert (effect.record.method, effect.notice.text) == ("banner.accept_all", "shown en under opt-in")
    assert effect.record.valid_until == "2026-11-24T20:26:40Z"
    assert json.loads(effect.declaration.text)["controller"]["name"] == "Example GmbH"


@pytest.mark.conformance("ENF-2")
def test_the_state_from_now_on() -> None:
    """ENF-2: from the very answer on the visitor counts as having given it."""
    outcome = take(granted(EVERYTHING), NOTHING, now=NOW + 60)
    assert outcome.visitor.decision.withdrawn == ASKED
