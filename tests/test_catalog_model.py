from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.catalog import (
    Basis,
    Catalog,
    Category,
    CookieSpec,
    Service,
    builtin_services,
    known_cookie_owners,
)
from consent_middleware.catalog.builtin import service_from_table
from consent_middleware.catalog.model import CookieIndex, base_name
from consent_middleware.errors import UnknownIdError
from helpers_core import make_catalog, modest, service

SHOP = make_catalog(
    service("shop", "essential", "basket"),
    service("map", "functional", sells_or_shares=False),
    service("stats", "analytics", CookieSpec("st", "P1D", "Counts."), sells_or_shares=False),
    service("share", "analytics"),
    service("own-ads", "marketing", sells_or_shares=False),
)


@pytest.mark.conformance("COOKIE-3")
@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("__Host-a", "a"),
        ("__host-a", "a"),
        ("__SECURE-a", "a"),
        ("__Secure-__Host-a", "__Host-a"),
        ("__Hosta", "__Hosta"),
        ("a__Host-", "a__Host-"),
        ("__Host-", ""),
        ("", ""),
    ],
)
def test_prefixes_are_taken_off_in_any_case(name: str, bare: str) -> None:
    """COOKIE-3: the two prefixes match case-insensitively, and only at the front."""
    assert base_name(name) == bare


INDEX = CookieIndex(
    {
        "session": ("plain",),
        "__Host-session": ("hosted",),
        "_ga": ("ga",),
        "_ga_*": ("ga-family",),
        "_g*": ("g",),
        "*_id": ("suffix",),
        "a*c*e": ("holes",),
        ".AspNet.Cookies": ("aspnet",),
        "x.1": ("exact-chunk",),
        "x": ("x",),
        "both": ("one", "two"),
    }
)


@pytest.mark.parametrize(
    ("name", "owners"),
    [
        ("session", ("plain",)),
        ("__Secure-session", ("plain",)),
        ("__secure-session", ("plain",)),
        ("__Host-session", ("hosted",)),
        ("__host-session", ("plain",)),
        ("session-0", ("plain",)),
        ("session-12", ("plain",)),
        ("session.1", ("plain",)),
        ("session-999", ("plain",)),
        ("session-1000", ()),
        ("session-x", ()),
        ("session-", ()),
        ("sessionC1", ("plain",)),
        ("sessionC100", ()),
        ("__Secure-session-0", ("plain",)),
        ("__Host-session.3", ("hosted",)),
        (".AspNet.Cookies", ("aspnet",)),
        (".AspNet.CookiesC1", ("aspnet",)),
        (".AspNet.CookiesC12", ("aspnet",)),
        ("_ga", ("ga",)),
        ("_ga_XYZ", ("ga-family",)),
        ("_ga_", ("ga-family",)),
        ("_gid", ("g",)),
        ("_g", ("g",)),
        ("my_id", ("suffix",)),
        ("_gx_id", ("suffix",)),
        ("ace", ("holes",)),
        ("abcde", ("holes",)),
        ("abcd", ()),
        ("a\nc\ne", ("holes",)),
        ("x.1", ("exact-chunk",)),
        ("x.2", ("x",)),
        ("both", ("one", "two")),
        ("Session", ()),
        ("xsession", ()),
        ("", ()),
        ("-1", ()),
        ("__Host-", ()),
    ],
)
def test_who_owns_a_name(name: str, owners: tuple[str, ...]) -> None:
    """Exact beats pattern, longer pattern beats shorter, then without prefix, then as a chunk."""
    assert INDEX.find(name) == owners


def test_of_equally_long_patterns_the_first_by_name_counts() -> None:
    """Which of two patterns wins does not depend on the order of the file."""
    forwards = CookieIndex({"*ab": ("b",), "ab*": ("a",)})
    backwards = CookieIndex({"ab*": ("a",), "*ab": ("b",)})
    assert forwards.find("abab") == backwards.find("abab") == ("b",)


@modest
@given(st.text(max_size=30))
def test_look_up_is_total(name: str) -> None:
    """Every name, whatever it holds, has an answer."""
    assert isinstance(INDEX.find(name), tuple)


@modest
@given(
    st.from_regex(r"[a-z_*]{1,6}", fullmatch=True).filter(lambda p: "*" in p),
    st.text("abz_*.\n(", max_size=8),
)
def test_a_star_is_any_run_and_nothing_else_is_special(pattern: str, name: str) -> None:
    """Patterns match as a plain matcher without regular expressions says."""

    def matches(at: int, left: int) -> bool:
        if at == len(pattern):
            return left == len(name)
        if pattern[at] == "*":
            return any(matches(at + 1, end) for end in range(left, len(name) + 1))
        return left < len(name) and name[left] == pattern[at] and matches(at + 1, left + 1)

    assert bool(CookieIndex({pattern: ("x",)})._lookup(name)) == matches(0, 0)


def test_essential_beats_a_service() -> None:
    """A cookie that known software needs stays essential, whoever else declares it."""
    catalog = make_catalog(service("stats", "analytics", "sessionid"), essential=("sessionid",))
    assert catalog.owners("sessionid") == ("essential",)


def test_a_cookie_of_two_services_has_two_owners() -> None:
    """Either service's grant will let it pass."""
    catalog = make_catalog(service("a", "analytics", "id"), service("b", "marketing", "id"))
    assert catalog.owners("id") == ("a", "b")


def test_units_are_categories_then_services_by_id() -> None:
    """The order of the bits in the cookie is fixed, and what needs no consent has none."""
    assert SHOP.units == (
        "analytics", "functional", "marketing", "performance", "map", "own-ads", "share", "stats"
    )  # fmt: skip


def test_always_are_essential_and_exempt() -> None:
    """Essential and exempt categories and their services need no consent."""
    catalog = make_catalog(
        service("shop", "essential"), service("stats", "analytics"), basis={"analytics": Basis.EXEMPT}
    )
    assert catalog.always == {"essential", "shop", "analytics", "stats"}


def test_asked_are_services_and_categories_in_use() -> None:
    """A default category that nothing belongs to is not asked about."""
    assert SHOP.asked == {"analytics", "functional", "marketing", "map", "own-ads", "share", "stats"}


def test_asked_with_listed_categories() -> None:
    """A category the site lists is asked about even without services."""
    assert make_catalog(declared=("performance",)).asked == {"performance"}


def test_asked_without_any_declaration() -> None:
    """A site that declares nothing is asked about by all default categories."""
    assert make_catalog().asked == {"functional", "analytics", "performance", "marketing"}


def test_prompted_is_asked_where_all_is_by_consent() -> None:
    """The banner asks about everything that can be answered."""
    assert SHOP.prompted == SHOP.asked


@pytest.mark.conformance("EU-8")
def test_prompted_leaves_out_what_runs_until_objected() -> None:
    """EU-8: an objection is offered, not asked for; the category's services go with it."""
    catalog = make_catalog(*SHOP.services.values(), basis={"analytics": Basis.EXEMPT_WITH_OBJECTION})
    assert catalog.asked == SHOP.asked
    assert catalog.asked - catalog.prompted == {"analytics", "stats", "share"}


@pytest.mark.conformance("EU-8")
def test_prompted_leaves_out_what_is_exempt() -> None:
    """EU-8: what is not even asked about is not prompted for."""
    catalog = make_catalog(*SHOP.services.values(), basis={"analytics": Basis.EXEMPT})
    assert catalog.prompted == {"functional", "marketing", "map", "own-ads"}


def test_prompted_with_listed_categories() -> None:
    """A category the site lists follows its basis, with or without services."""
    listed = ("performance", "marketing")
    catalog = make_catalog(declared=listed, basis={"performance": Basis.EXEMPT_WITH_OBJECTION})
    assert catalog.asked == {*listed}
    assert catalog.prompted == {"marketing"}


def test_nothing_is_prompted_where_all_is_by_objection() -> None:
    """Then no banner has a reason to show."""
    catalog = make_catalog(service("stats", "analytics"), basis={"analytics": Basis.EXEMPT_WITH_OBJECTION})
    assert catalog.prompted == frozenset()


@pytest.mark.conformance("CA-11")
def test_shares_are_marketing_and_what_sells() -> None:
    """CA-11: M is marketing, everything that sells or shares, and a category that holds such a service."""
    assert SHOP.shares == {"marketing", "own-ads", "share", "analytics"}


@pytest.mark.conformance("CA-11")
def test_shares_leaves_out_what_needs_no_consent() -> None:
    """An essential service is not denied by a signal, whatever its flag says."""
    assert "shop" not in SHOP.shares


@pytest.mark.parametrize("unit", ["essential", "marketing", "stats"])
def test_known_ids_are_accepted(unit: str) -> None:
    """Categories and services are both known."""
    assert SHOP.check_id(unit) == unit


def test_an_unknown_id_raises_with_the_nearest() -> None:
    """A typo in the app's code is loud and carries its evidence."""
    with pytest.raises(UnknownIdError, match="Did you mean 'analytics'") as caught:
        SHOP.check_id("analytic")
    assert caught.value.id == "analytic"
    assert "stats" in caught.value.known


def test_an_unknown_id_without_a_neighbour() -> None:
    """Where nothing is near the error lists what is known."""
    with pytest.raises(UnknownIdError, match="Known: essential") as caught:
        SHOP.check_id("qqqqqq")
    assert "mean" not in str(caught.value)


def test_services_of_a_category_keep_their_order() -> None:
    """Services come as they were declared."""
    assert [s.id for s in SHOP.services_of("analytics")] == ["stats", "share"]


# -- the fingerprint


def changed(id_: str, **fields: Any) -> Catalog:
    """Return the shop with one service changed."""
    return make_catalog(*(replace(s, **fields) if s.id == id_ else s for s in SHOP.services.values()))


@pytest.mark.conformance("EU-6")
@pytest.mark.parametrize(
    "fields",
    [
        {"category": "functional"},
        {"provider": "Somebody"},
        {"country": "US"},
        {"sells_or_shares": True},
        {"hosts": ("stats.example",)},
        {"storage": ("st_*",)},
        {"cookies": ()},
        {"cookies": (CookieSpec("st", "P2D", "Counts."),)},
        {"cookies": (CookieSpec("st2", "P1D", "Counts."),)},
        {"cookies": (CookieSpec("st", "P1D"), CookieSpec("more"))},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_the_processing(fields: dict[str, Any]) -> None:
    """EU-6: another purpose, recipient, country, host, store, cookie or lifetime asks again."""
    assert changed("stats", **fields).fingerprint != SHOP.fingerprint


@pytest.mark.conformance("EU-6")
@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Statistics"},
        {"description": "Other words."},
        {"policy_url": "/elsewhere"},
        {"inline": ("stats(",)},
        {"cookies": (CookieSpec("st", "P1D", "Says it differently."),)},
        {"cookies": (CookieSpec("st", "P1D", path="/app", partitioned=True),)},
    ],
    ids=str,
)
def test_the_fingerprint_stays_with_the_wording(fields: dict[str, Any]) -> None:
    """EU-6: names, descriptions, links and what is only needed to find or delete ask nobody again."""
    assert changed("stats", **fields).fingerprint == SHOP.fingerprint


@pytest.mark.conformance("EU-6")
def test_the_fingerprint_changes_with_the_controller() -> None:
    """EU-6: another controller is another processing."""
    other = make_catalog(*SHOP.services.values(), controller="Other GmbH")
    assert other.fingerprint != SHOP.fingerprint


@pytest.mark.conformance("EU-6")
def test_the_fingerprint_changes_with_the_basis() -> None:
    """EU-6: what was asked and is now exempt is another processing."""
    other = make_catalog(*SHOP.services.values(), basis={"analytics": Basis.EXEMPT})
    assert other.fingerprint != SHOP.fingerprint


@pytest.mark.conformance("EU-6")
def test_the_fingerprint_changes_with_a_new_service() -> None:
    """EU-6: a further recipient asks again."""
    other = make_catalog(*SHOP.services.values(), service("more", "functional"))
    assert other.fingerprint != SHOP.fingerprint


def test_the_fingerprint_does_not_depend_on_the_order() -> None:
    """Moving tables about in the file asks nobody again."""
    other = make_catalog(*reversed(list(SHOP.services.values())))
    assert other.fingerprint == SHOP.fingerprint


def test_the_fingerprint_fits_the_cookie() -> None:
    """Eight characters of base64url."""
    assert len(SHOP.fingerprint) == 8
    assert SHOP.fingerprint.replace("-", "").replace("_", "").isalnum()


# -- what ships


def test_known_owners_leave_out_essential_services() -> None:
    """Only services that need consent make a cookie a tracking one."""
    owners = [
        owner
        for service in builtin_services().values()
        for cookie in service.cookies
        for owner in known_cookie_owners(cookie.name)
    ]
    assert owners
    assert all(owner.category != "essential" for owner in owners)


def test_an_unknown_cookie_has_no_known_owner() -> None:
    """A name no shipped service sets belongs to nobody."""
    assert known_cookie_owners("nobody-sets-this") == ()


def test_a_table_without_a_name_takes_its_id() -> None:
    """A service table's only necessary keys are those of the model."""
    found = service_from_table("stats", {"category": "analytics", "hosts": ["a.example"]})
    assert found == Service("stats", "stats", "analytics", hosts=("a.example",))


def test_what_is_worded_in_several_languages_can_be_looked_up_by() -> None:
    """Services are keys on the way of each request; their words are not part of that."""
    words = {"en": "Counts visits.", "de": "Zählt Besuche."}
    cookie = CookieSpec("visit", purpose=words)
    one = Service("stats", "Stats", "analytics", description=words, cookies=(cookie,))
    assert {one: 1, Category("analytics", title=words, description=words): 2}[one] == 1
    assert one != replace(one, description={"en": "Else."})
