from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import (
    AppendRecord,
    ConsentRecord,
    NoticeText,
    NullStore,
    Person,
    Source,
    build_record,
    declare,
    recorded_choice,
    resolve_url,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from helpers_core import NOW, make_catalog, make_config, service
from helpers_records import CATALOG, DECLARATION, NOTICE, effect, record

if TYPE_CHECKING:
    from pathlib import Path

    from consent_middleware.records import Declaration

# -- the record


@pytest.mark.parametrize(
    ("granted", "principal", "state"),
    [
        ((), None, "refused"),
        ((), "p1", "withdrawn"),
        (("stats",), "p1", "custom"),
        (tuple(CATALOG.asked), "p1", "given"),
    ],
)
def test_the_state_of_an_answer(granted: tuple[str, ...], principal: str | None, state: str) -> None:
    """Everything, nothing, something, or nothing any more."""
    assert record(*granted, principal=principal).state == state


@pytest.mark.conformance("REC-2")
def test_a_record_that_names_nobody_keeps_only_the_hour() -> None:
    """REC-2: who never granted anything is not named, and not dated to the second."""
    found = record()
    assert (found.principal_id, found.subject_id) == (None, None)
    assert found.time == "2026-05-28T20:00:00Z"


@pytest.mark.conformance("REC-1")
@pytest.mark.parametrize("who", [{"principal": "p1"}, {"subject": "user-42"}])
def test_a_record_that_names_somebody_keeps_the_second(who: dict[str, Any]) -> None:
    """REC-1: what is about a pseudonym or an account is dated exactly, in UTC."""
    assert record("stats", **who).time == "2026-05-28T20:26:40Z"


@pytest.mark.conformance("REC-1")
def test_the_purposes_are_what_was_asked() -> None:
    """REC-1: for every unit asked about its category and its answer; nothing of what was not asked."""
    purposes = {purpose["id"]: purpose for purpose in record("stats", principal="p1").purposes}
    assert purposes.keys() == CATALOG.asked
    assert purposes["stats"] == {"id": "stats", "category": "analytics", "state": "given"}
    assert purposes["marketing"] == {"id": "marketing", "category": "marketing", "state": "refused"}


def test_what_is_taken_back_is_withdrawn() -> None:
    """A unit that was granted until now is withdrawn, another one refused."""
    states = {p["id"]: p["state"] for p in record(principal="p1", before=frozenset({"stats"})).purposes}
    assert (states["stats"], states["ads"]) == ("withdrawn", "refused")


@pytest.mark.conformance("EU-5", "REC-1")
def test_a_record_names_what_was_shown_and_declared() -> None:
    """EU-5: a record refers to the very text, and to the very declaration, by its hash."""
    found = record()
    assert (found.notice_sha256, found.policy_sha256) == (NOTICE.sha256, DECLARATION.sha256)
    assert found.policy_fingerprint == CATALOG.fingerprint
    assert found.signals == {"gpc": True, "dnt": False}


@pytest.mark.parametrize(
    ("granted", "signals", "shown"),
    [
        (("ads", "marketing"), Signals(gpc=True), True),
        (("ads", "marketing"), Signals(), False),
        ((), Signals(gpc=True), False),
    ],
)
def test_a_yes_against_a_signal_is_told(*, granted: tuple[str, ...], signals: Signals, shown: bool) -> None:
    """CA-2: the conflict is recorded where somebody grants a sale while a signal says no, and nowhere else."""
    assert record(*granted, principal="p1", signals=signals).conflict_notice_shown is shown


@pytest.mark.parametrize(
    ("who", "persons"),
    [
        ({}, ()),
        ({"principal": "p1"}, (Person(principal="p1"),)),
        ({"subject": "u"}, (Person(subject="u"),)),
        ({"principal": "p1", "subject": "u"}, (Person(principal="p1"), Person(subject="u"))),
    ],
)
def test_whose_record_it_is(who: dict[str, Any], persons: tuple[Person, ...]) -> None:
    """A record is about a pseudonym, an account, both or nobody."""
    assert record(**who).persons == persons


@pytest.mark.parametrize("given", [{}, {"principal": "p", "subject": "s"}, {"principal": ""}])
def test_a_person_is_one(given: dict[str, Any]) -> None:
    """Exactly one of pseudonym and account names a person."""
    with pytest.raises(ValueError, match="by a principal or by a subject"):
        Person(**given)


# -- from where an answer came


@pytest.mark.conformance("REC-2")
def test_nothing_is_kept_of_where_it_came_from() -> None:
    """REC-2: unless the site asks for it no address, user agent or page is in a record."""
    assert not {"ip", "user_agent", "page"} & record().to_dict().keys()


def test_what_the_site_asks_for_is_kept() -> None:
    """Each part of a source stands in the record where it is given, and only there."""
    found = record(source=Source(ip="203.0.113.0", page="/shop"))
    assert found.to_dict()["ip"] == "203.0.113.0"
    assert found.to_dict()["page"] == "/shop"
    assert "user_agent" not in found.to_dict()


# -- plain data


@pytest.mark.parametrize(
    "found",
    [
        record("stats", principal="p1", subject="u"),
        record(),
        record(source=Source("1.2.3.0", "Firefox", "/")),
    ],
    ids=["named", "unnamed", "with-source"],
)
def test_a_record_is_plain_data(found: ConsentRecord) -> None:
    """A record goes through JSON and comes back the same."""
    assert ConsentRecord.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_record_of_version_1_is_read() -> None:
    """What came later is empty, and what is no more is left out."""
    later = ("subject_id", "jurisdiction", "conflict_notice_shown", "policy_sha256")
    old = {name: value for name, value in record().to_dict().items() if name not in later}
    found = ConsentRecord.from_dict({**old, "schema_version": "1", "controller": {"name": "Example GmbH"}})
    assert found == replace(
        record(),
        schema_version="1",
        subject_id=None,
        jurisdiction="",
        conflict_notice_shown=False,
        policy_sha256="",
    )


@pytest.mark.parametrize("given", [{}, {"purposes": None}, {"purposes": []}])
def test_what_is_no_record(given: dict[str, Any]) -> None:
    """Other data is refused by name."""
    with pytest.raises((KeyError, TypeError)):
        ConsentRecord.from_dict(given)


# -- what a record proves


def test_an_answer_comes_back_from_its_record() -> None:
    """Under the same declaration the whole answer does, with what it was made under."""
    found = recorded_choice(CATALOG, record("stats", principal="p1"))
    wanted = Choice(
        frozenset({"stats"}), CATALOG.asked - {"stats"}, NOW, Signals(gpc=True), principal="p1", stale=False
    )
    assert found == wanted


def test_a_signals_answer_is_known_as_one() -> None:
    """An opt-out by a signal is no answer of the visitor's own."""
    assert recorded_choice(CATALOG, record(method="signal:gpc")).by_signal
    assert not recorded_choice(CATALOG, record()).by_signal


@pytest.mark.conformance("EU-6")
def test_grants_fall_under_another_declaration() -> None:
    """EU-6: changed processing voids what was granted; what was refused stays refused."""
    later = make_catalog(
        service("stats", "analytics", "st", provider="Another Ltd"), service("ads", "marketing")
    )
    found = recorded_choice(later, record("stats", principal="p1"))
    assert found.stale
    assert found.granted == frozenset()
    assert found.refused == later.asked - {"stats"}


@pytest.mark.conformance("EU-6")
@pytest.mark.parametrize(("granted", "stands"), [((), True), (("stats", "analytics"), False)])
def test_a_refused_category_covers_later_services(*, granted: tuple[str, ...], stands: bool) -> None:
    """EU-6: who refused a category as a whole has refused a service that came later; who granted some of it has not."""
    later = make_catalog(service("stats", "analytics"), service("heat", "analytics"))
    assert ("heat" in recorded_choice(later, record(*granted, principal="p1")).refused) is stands


# -- what was declared


def declared(**sections: Any) -> tuple[Declaration, dict[str, Any]]:
    """Return the declaration of a configuration, and its JSON."""
    found = declare(make_config(**sections))
    return found, json.loads(found.text)


@pytest.mark.conformance("EU-5")
def test_a_declaration_holds_all_that_a_record_leaves_out() -> None:
    """EU-5: who answers for it, every service that is asked about, its cookies and who receives what."""
    cookies = [{"name": "hs_*", "retention": "P13M", "purpose": "Counts visits."}]
    own = {"id": "house", "name": "House", "category": "analytics", "provider": "Count Ltd", "country": "US"}
    found, said = declared(services=[{**own, "cookies": cookies, "hosts": ["h.example"], "storage": ["x"]}])
    assert found.fingerprint == said["fingerprint"]
    assert said["controller"]["contact"] == "privacy@example.com"
    assert said["preferences_url"] == "/_consent/preferences"
    assert {category["id"] for category in said["categories"]} >= {"analytics"}
    (service_,) = said["services"]
    assert service_.items() >= own.items()
    assert service_["cookies"] == cookies
    assert (service_["hosts"], service_["storage"]) == (["h.example"], ["x"])


def test_the_same_declaration_has_the_same_hash() -> None:
    """Nothing in it depends on when or where it was written down."""
    assert declared(use=["stripe", "youtube"])[0] == declared(use=["stripe", "youtube"])[0]


def test_another_wording_is_another_declaration_under_the_same_fingerprint() -> None:
    """A record points to the wording; whether somebody is asked again depends on the processing only."""
    one, _ = declared(categories=[{"id": "analytics", "title": "Statistics"}])
    two, _ = declared(categories=[{"id": "analytics", "title": "Counting"}])
    assert one.sha256 != two.sha256
    assert one.fingerprint == two.fingerprint


# -- where it goes


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///records.db", "sqlite:////srv/site/records.db"),
        ("sqlite:///data/records.db", "sqlite:////srv/site/data/records.db"),
        ("sqlite:////var/records.db", "sqlite:////var/records.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+psycopg://u:p@db/x", "postgresql+psycopg://u:p@db/x"),
    ],
)
def test_a_relative_file_starts_from_the_declaration(url: str, resolved: str, tmp_path: Path) -> None:
    """Only a relative SQLite path is changed."""
    assert resolve_url(url, type(tmp_path)("/srv/site")) == resolved


def test_no_store_keeps_nothing() -> None:
    """`records.url = "none"` takes records and forgets them."""
    nothing = NullStore()
    assert nothing.append([effect("r1", subject="u")]) == [0]
    assert nothing.latest("u") is None
    assert nothing.history([Person(subject="u")])["receipts"] == []
    nothing.close()


def test_the_id_comes_from_outside() -> None:
    """The record is pure: whoever builds it makes its id and tells the time."""
    found = build_record(
        CATALOG,
        Choice(frozenset(), CATALOG.asked, NOW, Signals()),
        principal=None,
        before=frozenset(),
        method="banner.reject_all",
        circumstances=Circumstances(Regime.OPT_OUT, "US-CA"),
        notice=NoticeText.of("Wir verwenden Cookies.", "de"),
        declaration=DECLARATION,
        now=NOW,
        valid_until=NOW + 60,
        new_id=lambda: "made-outside",
    )
    assert (found.record_id, found.language, found.jurisdiction) == ("made-outside", "de", "US-CA")
    assert (found.regime, found.valid_until) == ("opt-out", "2026-05-28T20:27:40Z")
    assert isinstance(effect("r1"), AppendRecord)
