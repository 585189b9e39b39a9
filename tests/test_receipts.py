from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rdflib import RDF, Graph, Literal, Namespace

from consent_middleware.catalog import Basis, builtin_services
from consent_middleware.choices import Method
from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import NO_SOURCE, NoticeText, Source, build_record, declare
from consent_middleware.records.formats import CSV_FIELDS, to_csv_row, to_json_ld, to_kantara
from consent_middleware.records.receipts import build_receipt, history, receipt_schema
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from helpers_core import NOW, make_config, modest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.config import ConsentConfig

DOCS = Path(__file__).resolve().parents[1] / "docs" / "receipts.md"
SCHEMA = receipt_schema()
RECEIPT = Draft202012Validator(SCHEMA)
HISTORY = Draft202012Validator({**SCHEMA, "$ref": "#/$defs/history"})
reads_json_ld = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # rdflib's own parser
DPV = Namespace("https://w3id.org/dpv#")
DCT = Namespace("http://purl.org/dc/terms/")
NOTICE = NoticeText.of("<section>We use cookies.</section>", "en")

CONFIG = make_config(
    site={"languages": ["en", "de"]},
    controller={"address": "1 Example Street, Berlin"},
    categories=[
        {"id": "analytics", "title": {"en": "Statistics", "de": "Statistik"}},
        {"id": "functional", "basis": "exempt_with_objection"},
    ],
    services=[
        {
            "id": "counter",
            "name": "Counter",
            "category": "analytics",
            "provider": "Count Ltd",
            "country": "US",
            "storage": ["ct_*"],
            "cookies": [{"name": "ct", "retention": "P13M"}, {"name": "ct_day", "retention": "P1D"}],
        },
        {
            "id": "heat",
            "name": "Heat map",
            "category": "analytics",
            "provider": "Count Ltd",
            "country": "US",
            "cookies": [{"name": "ct", "retention": "P13M"}, {"name": "heat"}],
        },
        {"id": "house", "name": "House statistics", "category": "analytics", "provider": "Example GmbH"},
        {
            "id": "ads",
            "name": "Adverts",
            "category": "marketing",
            "cookies": [{"name": "ad", "retention": "P2W"}],
        },
    ],
)
CONFIGS = [CONFIG, make_config(), make_config(use=sorted(builtin_services()))]


def make_record(
    *granted: str,
    config: ConsentConfig = CONFIG,
    id_: str = "r1",
    principal: str | None = "p1",
    method: str = "prefs",
    before: frozenset[str] = frozenset(),
    circumstances: Circumstances | None = None,
    notice: NoticeText = NOTICE,
    source: Source = NO_SOURCE,
) -> dict[str, Any]:
    """Return the record of an answer that grants these units and refuses all others."""
    given_ = frozenset(granted)
    return build_record(
        config.catalog,
        Choice(given_, config.catalog.asked - given_, NOW, Signals(gpc=True)),
        principal=principal,
        before=before,
        method=method,
        circumstances=circumstances or Circumstances(Regime.OPT_IN, "DE"),
        notice=notice,
        declaration=declare(config),
        now=NOW,
        valid_until=NOW + 86_400,
        new_id=lambda: id_,
        source=source,
    ).to_dict()


def declared(config: ConsentConfig = CONFIG) -> dict[str, Any]:
    """Return what a site declares, as it is read back from the store."""
    found: dict[str, Any] = json.loads(declare(config).text)
    return found


def make_receipt(*granted: str, **facts: Any) -> dict[str, Any]:
    """Return the receipt of such a record, put together with its declaration."""
    return build_receipt(make_record(*granted, **facts), declared(facts.get("config", CONFIG)))


def purpose(receipt: dict[str, Any], id_: str) -> dict[str, Any]:
    """Return one purpose of a receipt."""
    found: dict[str, Any] = next(p for p in receipt["purposes"] if p["id"] == id_)
    return found


# -- the receipt


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a record that the site could have written, and its declaration."""
    config = draw(st.sampled_from(CONFIGS))
    units = list(config.catalog.units)
    subsets = st.frozensets(st.sampled_from(units))
    granted, asked = draw(subsets), draw(subsets)
    words = st.text(max_size=20)
    record = build_record(
        config.catalog,
        Choice(granted, asked - granted, NOW, Signals(gpc=draw(st.booleans()), dnt=draw(st.booleans()))),
        principal=draw(st.sampled_from([None, "p1"])),
        before=draw(subsets),
        method=draw(st.sampled_from([*Method, "erase"])),
        circumstances=Circumstances(
            draw(st.sampled_from(Regime)),
            draw(st.sampled_from(["", "DE", "US-CA"])),
            subject=draw(st.sampled_from([None, "", "user-42"])),
        ),
        notice=NoticeText.of(draw(words), draw(st.sampled_from(["en", "de", "pt-BR"]))),
        declaration=declare(config),
        now=draw(st.integers(0, 2**32)),
        valid_until=draw(st.integers(0, 2**32)),
        new_id=lambda: "-r_1",
        source=Source(draw(words), draw(words), draw(words)),
    )
    return record.to_dict(), declared(config)


@pytest.mark.conformance("REC-1")
@modest
@given(cases(), st.booleans())
def test_every_record_gives_a_valid_receipt(case: tuple[dict[str, Any], dict[str, Any]], kept: bool) -> None:  # noqa: FBT001
    """REC-1: whatever was answered, with its declaration or without, in all formats."""
    record, declaration = case
    receipt = build_receipt(record, declaration if kept else None, "r0")
    RECEIPT.validate(receipt)
    HISTORY.validate(history([receipt], {}))
    assert json.loads(json.dumps([receipt, to_kantara(receipt), to_json_ld(receipt)]))
    assert set(to_csv_row(receipt)) == set(CSV_FIELDS)


@pytest.mark.conformance("REC-1")
def test_a_receipt_has_every_field() -> None:
    """REC-1: what a purpose stores, where, for how long and for whom; how to withdraw; the record before."""
    found = build_receipt(make_record("counter", circumstances=Circumstances(subject="u1")), declared(), "r0")
    assert {name: found[name] for name in ("record_id", "principal_id", "subject_id", "prev_record")} == {
        "record_id": "r1",
        "principal_id": "p1",
        "subject_id": "u1",
        "prev_record": "r0",
    }
    assert found["notice"] == {
        "version": CONFIG.catalog.fingerprint,
        "sha256": NOTICE.sha256,
        "url": "/privacy",
        "language": "en",
    }
    assert found["policy_sha256"] == declare(CONFIG).sha256
    assert found["controller"] == {
        "name": "Example GmbH",
        "address": "1 Example Street, Berlin",
        "contact": "privacy@example.com",
        "type": "controller",
    }
    assert found["withdrawal"] == "/_consent/preferences"
    assert found["event"] == {
        "time": "2026-05-28T20:26:40Z",
        "type": "explicit",
        "state": "custom",
        "entity": "principal",
        "method": "prefs",
        "valid_until": "2026-05-29T20:26:40Z",
    }
    assert purpose(found, "counter") == {
        "id": "counter",
        "title": "Counter",
        "category": "analytics",
        "basis": "consent",
        "pii": ["ct", "ct_day", "ct_*"],
        "recipients": [{"name": "Count Ltd", "country": "US"}],
        "storage": ["US"],
        "retention": ["P13M", "P1D"],
        "state": "given",
    }


@pytest.mark.conformance("EU-5")
def test_a_receipt_leads_to_what_was_shown() -> None:
    """EU-5: the text stands beside it, under the hash that the receipt names."""
    notices = {NOTICE.sha256: {"language": "en", "text": NOTICE.text}}
    found = history([make_receipt("counter")], notices)
    text = found["notices"][found["receipts"][0]["notice"]["sha256"]]["text"]
    assert hashlib.sha256(text.encode()).hexdigest() == NOTICE.sha256


def test_a_category_stands_for_its_services() -> None:
    """What its services store and who receives it, each once; the controller is nobody's recipient."""
    found = purpose(make_receipt("analytics"), "analytics")
    assert found["pii"] == ["ct", "ct_day", "heat", "ct_*"]
    assert found["recipients"] == [{"name": "Count Ltd", "country": "US"}]
    assert found["storage"] == ["US"]
    assert found["retention"] == ["P13M", "P1D", "session"]


def test_a_category_without_services_is_empty() -> None:
    """It was declared, and nothing is in it: that is known."""
    found = purpose(make_receipt(), "functional")
    assert (found["basis"], found["pii"], found["recipients"]) == ("exempt_with_objection", [], [])


def test_a_service_without_provider_receives_under_its_own_name() -> None:
    """Where it stands is not known then."""
    found = purpose(make_receipt("ads"), "ads")
    assert found["recipients"] == [{"name": "Adverts", "country": None}]


@pytest.mark.parametrize(("language", "title"), [("de", "Statistik"), ("fr", "Statistics")])
def test_titles_are_in_the_language_of_the_receipt(language: str, title: str) -> None:
    """As far as the site has them; else in English, or in whichever there is."""
    found = make_receipt(notice=NoticeText.of("x", language))
    assert purpose(found, "analytics")["title"] == title


def test_a_category_without_title_has_none() -> None:
    """What the package calls it stands in the notice."""
    assert "title" not in purpose(make_receipt(), "marketing")


def test_without_its_declaration_a_receipt_says_what_is_known() -> None:
    """Null is not known; the answer itself always is."""
    found = build_receipt(make_record("counter"), None)
    assert (found["controller"], found["withdrawal"], found["notice"]["url"]) == (None, None, None)
    assert purpose(found, "counter") == {
        "id": "counter",
        "category": "analytics",
        "basis": None,
        "pii": None,
        "recipients": None,
        "storage": None,
        "retention": None,
        "state": "given",
    }


def test_a_service_that_is_not_declared_is_not_known() -> None:
    """An empty list would claim that it stores nothing."""
    declaration = {**declared(), "services": []}
    found = purpose(build_receipt(make_record("counter"), declaration), "counter")
    assert (found["basis"], found["pii"]) == ("consent", None)


def test_a_record_of_an_earlier_version_gives_a_receipt() -> None:
    """What came later is not known; what went is not told."""
    record = {**make_record("counter"), "controller": {"name": "Example GmbH"}}
    for name in ("policy_sha256", "subject_id", "jurisdiction", "conflict_notice_shown"):
        del record[name]
    found = build_receipt(record, None)
    RECEIPT.validate(found)
    assert (found["policy_sha256"], found["subject_id"], found["jurisdiction"]) == (None, None, None)


def test_where_it_came_from_is_told_only_where_it_is_kept() -> None:
    """A field that is not kept is not there."""
    assert {"ip", "user_agent", "page"} & set(make_receipt()) == set()
    found = make_receipt(source=Source(ip="192.0.2.0", page="/shop"))
    assert (found["ip"], found["page"], "user_agent" in found) == ("192.0.2.0", "/shop", False)


@pytest.mark.parametrize(
    ("method", "type_", "entity"),
    [
        ("banner.accept_all", "explicit", "principal"),
        ("opt_out", "explicit", "principal"),
        ("erase", "explicit", "principal"),
        ("api", "explicit", "controller"),
        ("signal:gpc", "signal", "principal"),
        ("signal:dnt", "signal", "principal"),
        ("lapsed", "lapsed", "controller"),
    ],
)
def test_who_did_what(method: str, type_: str, entity: str) -> None:
    """A signal is the visitor's own; an answer that ended is nobody's."""
    event = make_receipt(method=method)["event"]
    assert (event["type"], event["entity"]) == (type_, entity)


def test_what_is_no_record_raises() -> None:
    """A mistake of the caller is loud."""
    with pytest.raises(KeyError):
        build_receipt({}, None)


# -- the schema


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a document, the outermost first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def test_the_schema_is_a_schema() -> None:
    """Its own rules hold for it, and it is a copy for each caller."""
    Draft202012Validator.check_schema(SCHEMA)
    assert receipt_schema() is not receipt_schema()


def test_the_schema_is_strict() -> None:
    """A field that is not documented is refused wherever it stands, and so is one that is missing."""
    receipt = make_receipt("counter")
    for number, original in enumerate(list(objects(receipt))):
        for change in ("extra", next(iter(original))):
            copy = json.loads(json.dumps(receipt))
            place = list(objects(copy))[number]
            place["extra"] = 1
            if change != "extra":
                del place["extra"], place[change]
            assert not RECEIPT.is_valid(copy), original


def test_the_schema_knows_all_values() -> None:
    """A new method, regime or basis is not forgotten there."""
    event, receipt = SCHEMA["$defs"]["event"]["properties"], SCHEMA["$defs"]["receipt"]["properties"]
    assert set(event["method"]["enum"]) >= set(Method)
    assert set(receipt["regime"]["enum"]) == set(Regime)
    assert set(SCHEMA["$defs"]["purpose"]["properties"]["basis"]["enum"]) == {*Basis, None}


# -- the history


def test_a_history_links_each_receipt_with_the_one_before() -> None:
    """Of the same principal or account; a refusal that names nobody belongs to no one."""
    whose: list[tuple[str | None, str | None]] = [
        ("p1", None), (None, None), ("p2", "u1"), ("p1", None), (None, "u1"), ("p1", "u1"),
    ]  # fmt: skip
    receipts = [
        make_receipt(id_=f"r{number}", principal=principal, circumstances=Circumstances(subject=subject))
        for number, (principal, subject) in enumerate(whose)
    ]
    found = history(iter(receipts), {})
    HISTORY.validate(found)
    assert [r["record_id"] for r in found["receipts"]] == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert [r["prev_record"] for r in found["receipts"]] == [None, None, None, "r0", "r2", "r4"]
    assert all(r["prev_record"] is None for r in receipts), "what was given is left alone"


def test_a_history_keeps_what_a_receipt_says_of_the_one_before() -> None:
    """That may be one which is not among these."""
    receipts = [make_receipt(), build_receipt(make_record(id_="r9"), None, "r8")]
    assert [r["prev_record"] for r in history(receipts, {})["receipts"]] == [None, "r8"]


def test_a_history_holds_each_notice_once() -> None:
    """Those that its receipts name, and no others."""
    notices = {
        NOTICE.sha256: {"language": "en", "text": NOTICE.text},
        "0" * 64: {"language": "en", "text": ""},
    }
    found = history([make_receipt(), make_receipt(id_="r2")], notices)
    HISTORY.validate(found)
    assert found["notices"] == {NOTICE.sha256: {"language": "en", "text": NOTICE.text}}


def test_no_history_is_an_empty_one() -> None:
    """A visitor without records gets the same shape."""
    assert history([], {}) == {"schema_version": "1", "receipts": [], "notices": {}}


# -- Kantara


def test_kantara_names_who_when_and_how() -> None:
    """The fields of version 1.1, with its types."""
    found = to_kantara(make_receipt("counter"))
    del found["services"]
    assert found == {
        "version": "KI-CR-v1.1.0",
        "jurisdiction": "DE",
        "consentTimestamp": NOW,
        "collectionMethod": "prefs",
        "consentReceiptID": "r1",
        "language": "en",
        "piiPrincipalId": "p1",
        "piiControllers": [
            {
                "piiController": "Example GmbH",
                "contact": "privacy@example.com",
                "address": {"streetAddress": "1 Example Street, Berlin"},
                "email": "privacy@example.com",
                "phone": "",
            }
        ],
        "policyUrl": "/privacy",
        "sensitive": False,
        "spiCat": [],
    }


def test_kantara_lists_what_was_agreed_to() -> None:
    """One service for each category, and in it each of ours once."""
    services = to_kantara(make_receipt("analytics", "counter", "functional"))["services"]
    assert [(s["service"], [p["purpose"] for p in s["purposes"]]) for s in services] == [
        ("functional", ["functional"]),
        ("Statistics", ["Counter"]),
    ]
    assert services[0]["purposes"][0]["consentType"] == "IMPLICIT"
    assert services[1]["purposes"][0] == {
        "purpose": "Counter",
        "purposeCategory": ["analytics"],
        "consentType": "EXPLICIT",
        "piiCategory": ["ct", "ct_day", "ct_*"],
        "primaryPurpose": False,
        "termination": "2026-05-29T20:26:40Z, or earlier when withdrawn at /_consent/preferences",
        "thirdPartyDisclosure": True,
        "thirdPartyName": "Count Ltd",
    }


def test_kantara_knows_no_refusal() -> None:
    """What was refused or withdrawn must not be read as consent."""
    assert to_kantara(make_receipt(before=frozenset({"counter"})))["services"] == []


def test_kantara_takes_no_category_for_its_services() -> None:
    """A yes to the category says nothing of a service in it that was refused by itself."""
    services = to_kantara(make_receipt("analytics", "heat"))["services"]
    assert [p["purpose"] for s in services for p in s["purposes"]] == ["Heat map"]
    assert to_kantara(make_receipt("analytics"))["services"] == []


def test_kantara_claims_nothing_that_is_not_known() -> None:
    """Without the declaration it names no controller, and does not say that nobody receives data."""
    found = to_kantara(build_receipt(make_record("counter", principal=None), None))
    assert (found["piiControllers"], found["policyUrl"], found["piiPrincipalId"]) == ([], "", "")
    assert "thirdPartyDisclosure" not in found["services"][0]["purposes"][0]
    house = to_kantara(make_receipt("house"))["services"][0]["purposes"][0]
    assert (house["thirdPartyDisclosure"], "thirdPartyName" in house) == (False, False)


# -- DPV

# Each looked up in the vocabulary's version 2.2.
TERMS = {
    "Consent", "ConsentGiven", "ConsentNotice", "ConsentRecord", "ConsentRefused", "ConsentWithdrawn", "Country",
    "DataController", "DataSubject", "Location", "PersonalData", "Process", "Purpose", "Recipient", "StorageDuration",
    "StorageLocation", "TemporalDuration", "UntilEventDuration", "UntilTimeDuration", "WithdrawConsent",
    "hasAddress", "hasConsentControl", "hasConsentStatus", "hasContact", "hasCountry", "hasDataController",
    "hasDataSubject", "hasDuration", "hasIdentifier", "hasIndicationMethod", "hasJurisdiction", "hasLegalBasis",
    "hasLocation", "hasName", "hasNotice", "hasPersonalData", "hasProcess", "hasPurpose", "hasRecipient",
    "hasStorageCondition", "isExercisedAt", "isIndicatedAtTime", "isIndicatedBy",
}  # fmt: skip


def graph_of(receipt: dict[str, Any]) -> Graph:
    """Return what a reader of JSON-LD makes of a receipt."""
    return Graph().parse(data=json.dumps(to_json_ld(receipt)), format="json-ld")


@reads_json_ld
def test_json_ld_uses_only_terms_that_exist() -> None:
    """Every DPV term that a full receipt uses is one of the vocabulary's."""
    full = build_receipt(make_record("counter", "ads", before=frozenset({"heat"})), declared(), "r0")
    used = {
        str(term).removeprefix(DPV)
        for triple in graph_of(full)
        for term in triple
        if str(term).startswith(DPV)
    }
    assert used <= TERMS
    assert TERMS - used == set(), "the list holds nothing that is not used"


@reads_json_ld
def test_json_ld_says_what_was_agreed_to() -> None:
    """Who, when, by whom it is processed, and each purpose with its own status."""
    graph = graph_of(make_receipt("counter", before=frozenset({"ads"})))
    record = graph.value(predicate=RDF.type, object=DPV.ConsentRecord)
    assert graph.value(record, DCT.identifier) == Literal("r1")
    assert str(graph.value(record, DCT.created)) == "2026-05-28T20:26:40+00:00"
    assert graph.value(graph.value(record, DPV.hasDataSubject), DPV.hasIdentifier) == Literal("p1")
    assert graph.value(graph.value(record, DPV.hasDataController), DPV.hasName) == Literal("Example GmbH")
    states = {
        str(graph.value(process, DCT.identifier)): graph.value(process, DPV.hasConsentStatus)
        for process in graph.objects(record, DPV.hasProcess)
    }
    assert states["counter"] == DPV.ConsentGiven
    assert states["heat"] == DPV.ConsentRefused
    assert states["ads"] == DPV.ConsentWithdrawn
    assert {graph.value(s, RDF.type) for s in graph.objects(record, DPV.hasConsentStatus)} == set(
        states.values()
    )


def test_json_ld_needs_nothing_from_elsewhere() -> None:
    """The context stands in the document."""
    assert isinstance(to_json_ld(make_receipt())["@context"], dict)


def test_json_ld_leaves_out_what_is_not_known() -> None:
    """A bare receipt has no controller, no recipients, no null."""
    found = to_json_ld(build_receipt(make_record("counter", principal=None), None))
    assert {"dpv:hasDataController", "dct:replaces"} & set(found) == set()
    assert "null" not in json.dumps(found)


# -- CSV


def test_a_row_is_flat() -> None:
    """Ids of purposes side by side, yes and no in words, nothing for what is not known."""
    row = to_csv_row(make_receipt("counter", "heat", before=frozenset({"ads"})))
    assert (row["given"], row["withdrawn"]) == ("counter heat", "ads")
    assert (row["gpc"], row["dnt"], row["subject_id"], row["ip"]) == ("true", "false", "", "")
    assert (row["controller_name"], row["notice_url"]) == ("Example GmbH", "/privacy")


def test_a_row_goes_through_the_csv_module() -> None:
    """What was written is what is read."""
    row = to_csv_row(make_receipt(source=Source(user_agent='a "b", c')))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, CSV_FIELDS)
    writer.writeheader()
    writer.writerow(row)
    assert list(csv.DictReader(io.StringIO(file.getvalue(), newline=""))) == [row]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_row_is_no_formula(first: str) -> None:
    """What a spreadsheet would calculate is marked as text."""
    row = to_csv_row(make_receipt(source=Source(user_agent=f"{first}HYPERLINK()", page="a=b")))
    assert (row["user_agent"], row["page"]) == (f"'{first}HYPERLINK()", "a=b")


@modest
@given(cases())
def test_no_cell_begins_a_formula(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Whatever a visitor or a declaration says."""
    cells = to_csv_row(build_receipt(*case)).values()
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))] == []


# -- the documentation


def blocks() -> list[dict[str, Any]]:
    """Return the JSON examples of docs/receipts.md, in their order."""
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)]


def test_the_documented_example_is_valid() -> None:
    """And its other forms are what the exports make of it."""
    receipt, kantara, json_ld = blocks()
    RECEIPT.validate(receipt)
    assert to_kantara(receipt) == kantara
    assert to_json_ld(receipt) == json_ld


def test_every_field_is_documented() -> None:
    """Of the receipt, of what is in it, of the history and of the table."""
    text = DOCS.read_text("utf-8")
    names = {name for part in SCHEMA["$defs"].values() for name in part.get("properties", ())}
    assert sorted(name for name in names | set(CSV_FIELDS) if f"`{name}`" not in text) == []
