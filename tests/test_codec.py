from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from consent_middleware.codec import ChoiceCodec, token
from consent_middleware.policy import Choice, make_choice
from consent_middleware.signals import NO_SIGNALS, Signals
from helpers_core import NOW, SECRET, make_catalog, modest, service

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog

PRINCIPAL = "abcdefghijklmnop"
SHOP = make_catalog(
    service("map", "functional"),
    service("stats", "analytics"),
    service("count", "analytics"),
    service("ads", "marketing"),
)
CATEGORY_IDS = ("functional", "analytics", "performance", "marketing")
service_ids = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True).filter(
    lambda id_: id_ not in {*CATEGORY_IDS, "essential"}
)


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Draw a declaration of up to 24 services."""
    ids = draw(st.lists(service_ids, unique=True, max_size=24))
    return make_catalog(*(service(id_, draw(st.sampled_from(CATEGORY_IDS))) for id_ in ids))


@st.composite
def stored(draw: st.DrawFn) -> tuple[Catalog, Choice]:
    """Draw a declaration and an answer to it."""
    catalog = draw(catalogs())
    granted = draw(st.frozensets(st.sampled_from(sorted(catalog.asked))))
    signals = Signals(draw(st.booleans()), draw(st.booleans()))
    choice = make_choice(catalog, granted, now=draw(st.integers(0, 2**35)), signals=signals)
    principal = PRINCIPAL if choice.granted else None
    by_signal, pending = draw(st.booleans()), draw(st.booleans())
    return catalog, replace(choice, principal=principal, by_signal=by_signal, pending=pending)


def codec(catalog: Catalog = SHOP, *keys: str, site_id: str = "") -> ChoiceCodec:
    """Return a codec; with the tests' key unless others are given."""
    return ChoiceCodec(catalog, list(keys) or [SECRET], site_id)


def answer(*granted: str, catalog: Catalog = SHOP, at: int = NOW) -> Choice:
    """Return an answer that grants these units."""
    choice = make_choice(catalog, frozenset(granted), now=at, signals=NO_SIGNALS)
    principal = PRINCIPAL if granted else None
    return Choice(choice.granted, choice.refused, choice.at, choice.signals, principal)


def sign(payload: str, key: str = SECRET) -> bytes:
    """Return a payload with a true signature."""
    salt = "consent-middleware.choice.v1."
    return Signer(key, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256).sign(payload)


@modest
@given(stored())
def test_what_is_written_is_read(given_: tuple[Catalog, Choice]) -> None:
    """A choice comes back from its cookie as it went in."""
    catalog, choice = given_
    value = codec(catalog).encode(choice)
    assert codec(catalog).decode(value.encode()) == choice


@modest
@given(stored())
def test_the_value_is_plain_ascii(given_: tuple[Catalog, Choice]) -> None:
    """A cookie value holds nothing that a browser or proxy quotes, and seven fields parted by dots."""
    value = codec(given_[0]).encode(given_[1])
    assert value.isascii()
    assert not set(value) & set(' ",;\\=')
    assert value.count(".") == 6


def forty() -> Catalog:
    """Return a declaration of 40 services in four categories."""
    return make_catalog(*(service(f"service-{i:02}", CATEGORY_IDS[i % 4]) for i in range(40)))


@pytest.mark.parametrize("granted_each", [1, 2, 5, 9, 10])
def test_forty_services_stay_under_200_bytes(granted_each: int) -> None:
    """In every mixed case, the worst included, name and value of the cookie are under 200 bytes."""
    catalog = forty()
    granted = [f"service-{i:02}" for i in range(4 * granted_each)]
    choice = answer(*granted, catalog=catalog, at=2**33)
    assert len("__Host-consent=" + codec(catalog).encode(choice)) < 200


def test_one_grant_among_forty_stays_under_200_bytes() -> None:
    """One service granted, all others refused one by one: still under 200 bytes."""
    catalog = make_catalog(*(service(f"service-{i:02}", "marketing") for i in range(40)))
    choice = answer("service-00", catalog=catalog, at=2**33)
    assert len("__Host-consent=" + codec(catalog).encode(choice)) < 200


def test_a_refusal_holds_no_id() -> None:
    """Who grants nothing gets no identifier: the id's field is empty."""
    assert codec().encode(answer()).split(".")[5] == ""


def test_two_refusals_in_one_hour_are_the_same_bytes() -> None:
    """Refusing never makes a visitor recognisable: everybody's refusal of an hour is one value."""
    hour = NOW // 3600 * 3600
    assert codec().encode(answer(at=hour + 5)) == codec().encode(answer(at=hour + 3599))


@pytest.mark.parametrize(
    "position",
    range(len(codec().encode(answer("stats")))),
)
@pytest.mark.conformance("COOKIE-6")
def test_one_changed_character_is_no_choice(position: int) -> None:
    """A value changed at any place is not trusted."""
    value = codec().encode(answer("stats"))
    changed = "A" if value[position] != "A" else "B"
    forged = value[:position] + changed + value[position + 1 :]
    read = codec().decode(forged.encode())
    # The signature's last character carries two bits that base64 does not use.
    last = position == len(value) - 1
    assert read is None or (last and read == codec().decode(value.encode()))


def test_every_truncation_is_no_choice() -> None:
    """A value cut at any place is not trusted, and nothing is raised."""
    value = codec().encode(answer("stats")).encode()
    assert [codec().decode(value[:end]) for end in range(len(value))] == [None] * len(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"......",
        b"v1",
        b"\xff" * 20,
        "v1.\u20ac".encode(),
        b"\x00" * 40,
        b"v1.AAAAAAAA.A..0..AAAA",
        b"a" * 5_000,
    ],
)
def test_garbage_is_no_choice(value: bytes) -> None:
    """Bytes that nobody signed are no choice and no error."""
    assert codec().decode(value) is None


def test_an_oversized_value_is_no_choice() -> None:
    """A value over 1 KB is not even verified, be it signed."""
    assert codec().decode(sign("v1." + "A" * 2_000)) is None


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "v1",
        "v2.{fp}.0000..1.",
        "v1.{fp}.0..1.",
        "v1.{fp}.g000..1.",
        "v1.{fp}.000r..1.",
        "v1.{fp}.000000000000..1.",
        "v1.{fp}.00000..1.",
        "v1.{fp}.0000.x.1.",
        "v1.{fp}.0000..g.",
        "v1.{fp}.0000..12345678901.",
        "v1.{fp}.0000..1.short",
        "v1.{fp}.0000..1..",
        "v1.{fp}.00\u00e40..1.",
        "v1.{fp}.0000..1.\n",
        "v1..0000..1.",
    ],
)
def test_a_signed_value_of_another_layout_is_no_choice(payload: str) -> None:
    """A true signature over something this version does not write is no choice and no error."""
    assert codec().decode(sign(payload.format(fp=SHOP.fingerprint))) is None


def test_a_signed_value_of_this_layout_is_read() -> None:
    """The shape the table above breaks piece by piece is the shape that counts."""
    assert codec().decode(sign(f"v1.{SHOP.fingerprint}.0000..1.")) == Choice(frozenset(), frozenset(), 1)


@pytest.mark.parametrize("flags", range(16))
def test_every_digit_of_flags_is_read(flags: int) -> None:
    """Four bits: GPC, DNT, made by a signal, still to be recorded; each is written as it was read."""
    gpc, dnt, by_signal, pending = (bool(flags & bit) for bit in (1, 2, 4, 8))
    choice = Choice(
        frozenset(), frozenset(), 1, Signals(gpc=gpc, dnt=dnt), by_signal=by_signal, pending=pending
    )
    value = sign(f"v1.{SHOP.fingerprint}.{flags:x}000..1.")
    assert codec().decode(value) == choice
    assert codec().encode(choice) == value.decode()


def test_a_seventeenth_flag_is_no_choice() -> None:
    """What this version does not write is not guessed at, though it is a digit elsewhere in the state."""
    assert codec().decode(sign(f"v1.{SHOP.fingerprint}.g000..1.")) is None


def test_a_non_ascii_payload_is_no_choice() -> None:
    """Signed bytes that are no ASCII are no choice and no error."""
    signer = Signer(
        SECRET, salt="consent-middleware.choice.v1.", key_derivation="hmac", digest_method=hashlib.sha256
    )
    assert codec().decode(signer.sign(b"v1.\xff")) is None


def test_another_key_is_no_choice() -> None:
    """A value signed with a key this site does not have is not trusted."""
    assert codec(SHOP, "another key").decode(codec().encode(answer()).encode()) is None


def test_another_sites_salt_is_no_choice() -> None:
    """Two sites that share a key do not read each other's choices."""
    value = codec(site_id="blog").encode(answer("stats"))
    assert codec(site_id="shop").decode(value.encode()) is None


def test_a_rotated_key_still_verifies() -> None:
    """Every key of the list verifies, so that rotating asks nobody again."""
    value = codec(SHOP, "old key").encode(answer("stats"))
    assert codec(SHOP, "old key", "new key").decode(value.encode()) == answer("stats")


def test_the_last_key_signs() -> None:
    """After a rotation new values no longer need the old key."""
    value = codec(SHOP, "old key", "new key").encode(answer("stats"))
    assert codec(SHOP, "new key").decode(value.encode()) == answer("stats")


# -- another fingerprint


def reread(before: Catalog, after: Catalog, *granted: str) -> Choice:
    """Return what a choice made under one declaration means under another."""
    found = codec(after).decode(codec(before).encode(answer(*granted, catalog=before)).encode())
    assert found is not None
    return found


@pytest.mark.conformance("EU-6")
def test_changed_processing_voids_grants() -> None:
    """EU-6: under another fingerprint nothing is granted any more."""
    after = make_catalog(*SHOP.services.values(), service("new", "marketing"))
    found = reread(SHOP, after, "stats", "ads")
    assert found.stale
    assert found.granted == frozenset()


@pytest.mark.conformance("EU-6")
def test_changed_processing_keeps_refused_services() -> None:
    """EU-6: a single refused service stays refused, found by its token; what was granted is open again."""
    after = make_catalog(*SHOP.services.values(), service("new", "functional"))
    found = reread(SHOP, after, "stats", "ads", "marketing")
    assert "count" in found.refused
    assert not found.refused & {"stats", "ads", "marketing"}


@pytest.mark.conformance("EU-6")
def test_a_refused_category_covers_a_new_service_in_it() -> None:
    """Who refused all of marketing has refused a later marketing service too."""
    after = make_catalog(*SHOP.services.values(), service("new", "marketing"))
    assert {"marketing", "ads", "new"} <= reread(SHOP, after, "stats").refused


def test_a_refused_service_stays_refused_without_its_siblings() -> None:
    """A refusal stands when other services come and go round it."""
    after = make_catalog(service("count", "analytics"), service("other", "functional"))
    assert "count" in reread(SHOP, after, "stats").refused


def test_a_new_service_in_a_half_refused_category_is_open() -> None:
    """Where one of a category's services was granted, a new one is asked about."""
    after = make_catalog(*SHOP.services.values(), service("new", "analytics"))
    assert "new" not in reread(SHOP, after, "stats").refused


def test_a_stale_choice_keeps_time_signals_and_id() -> None:
    """Only the units are mapped; when, under which signals and whose it is stay."""
    before = Choice(frozenset({"stats"}), SHOP.asked - {"stats"}, NOW, Signals(gpc=True), PRINCIPAL)
    found = codec(make_catalog()).decode(codec().encode(before).encode())
    assert found is not None
    assert (found.at, found.signals, found.principal) == (NOW, Signals(gpc=True), PRINCIPAL)


@pytest.mark.parametrize("by_signal", [False, True])
@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.conformance("CA-3")
def test_a_stale_choice_keeps_what_made_it(*, by_signal: bool, pending: bool) -> None:
    """CA-3: an opt-out by signal stays one, and is still recorded, when the declaration changes."""
    before = replace(answer(), signals=Signals(gpc=True), by_signal=by_signal, pending=pending)
    after = make_catalog(*SHOP.services.values(), service("new", "marketing"))
    found = codec(after).decode(codec().encode(before).encode())
    assert found is not None
    assert (found.stale, found.by_signal, found.pending) == (True, by_signal, pending)
    assert {"marketing", "ads", "new"} <= found.refused


@modest
@given(stored(), catalogs())
@pytest.mark.conformance("EU-6")
def test_refusals_survive_any_change_of_declaration(given_: tuple[Catalog, Choice], after: Catalog) -> None:
    """A unit refused before, and declared in the same category, is refused after; nothing is granted."""
    before, choice = given_
    found = codec(after).decode(codec(before).encode(choice).encode())
    assert found is not None
    if after.fingerprint == before.fingerprint:
        return
    same = {
        unit
        for unit in choice.refused & set(after.units)
        if unit in after.services
        and unit in before.services
        and after.services[unit].category == before.services[unit].category
    }
    assert same <= found.refused
    assert found.granted == frozenset()


def test_a_token_is_two_characters_of_a_hash() -> None:
    """Tokens do not depend on the declaration, so they mean the same under every one."""
    digest = urlsafe_b64encode(hashlib.sha256(b"stats").digest()).decode()
    assert token("stats") == digest[:2]


def test_oversized_values_fill_no_memory() -> None:
    """A visitor's endless cookies are not remembered."""
    subject = codec()
    assert [subject.decode(b"v1." + b"x" * size) for size in (10, 60_000)] == [None, None]
    assert subject._decoded.cache_info().currsize == 1
