from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib.resources import files
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.regions import (
    REGION_HEADERS,
    Regime,
    RegionRules,
    StateStatus,
    read_region,
    region_from_headers,
    region_header_problem,
    region_rules,
)
from helpers_core import modest

if TYPE_CHECKING:
    from collections.abc import Callable

EUROPE = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO", "AX", "GF", "GP", "MQ", "MF", "RE", "YT", "GB",
    "GI", "CH",
}  # fmt: skip


# --- read_region


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("de", "DE"), ("DE", "DE"), ("us-ca", "US-CA"), ("US_CA", "US-CA"), ("US-CA", "US-CA"), (" us-ca\t", "US-CA"),
        ("gb-eng", "GB-ENG"), ("fr-974", "FR-974"), ("at-9", "AT-9"), ("XK", "XK"),
    ],
)  # fmt: skip
def test_a_region_has_one_form(text: str, region: str) -> None:
    """Case, underscore and blanks at the ends make no difference."""
    assert read_region(text) == region


@pytest.mark.parametrize(
    "word", ["", "XX", "xx", "T1", "t1", "ZZ", "A1", "A2", "O1", "?", "??", "XX-CA", "ZZ_1"]
)
def test_the_words_for_unknown_are_no_region(word: str) -> None:
    """What CDNs and databases send for unknown, Tor, proxies and satellites reads as nothing."""
    assert read_region(word) == ""


@pytest.mark.parametrize(
    "text",
    [
        "D", "USA", "U5", "US-", "-CA", "US--CA", "US-CALI", "US-CA-1", "US CA", "US,US", "US.CA", "US/CA", "US\n",
        "US\r", "\u00a0US", "\u00b5S", "\u017fE", "\u212ap", "\u00df", "\uff24\uff25", "US-\u0662", "de;q=1", "U" * 70_000,
    ],
)  # fmt: skip
def test_a_malformed_region_is_no_region(text: str) -> None:
    """Whatever is no ISO 3166 code reads as nothing, letters that only become ASCII in upper case included."""
    assert read_region(text) == ""


@modest
@given(st.text(max_size=8) | st.from_regex(r"[a-zA-Z]{2}[-_][a-zA-Z0-9]{1,4}", fullmatch=True))
def test_reading_a_region_is_total_and_settles(text: str) -> None:
    """Any text reads as nothing or as a well-formed region, which reads as itself."""
    region = read_region(text)
    assert re.fullmatch(r"|[A-Z]{2}(-[A-Z0-9]{1,3})?", region)
    assert read_region(region) == region


# --- RegionRules


@pytest.mark.parametrize("country", sorted(EUROPE))
@pytest.mark.conformance("EU-9")
def test_eu_9_europe_is_listed_as_opt_in(country: str) -> None:
    """EU-9: each country of the EEA, its territories, GB, GI and CH is opt-in by an entry of its own."""
    assert region_rules().regimes[country] is Regime.OPT_IN


@pytest.mark.conformance("EU-9")
def test_eu_9_the_us_is_opt_out() -> None:
    """EU-9: a visitor from the US, with or without a state, is under opt-out."""
    assert [region_rules().regime(region) for region in ("US", "US-CA", "US-WY")] == [Regime.OPT_OUT] * 3


def test_nothing_else_is_listed() -> None:
    """The table makes no claim beyond Europe and the US."""
    assert region_rules().regimes.keys() == {*EUROPE, "US"}


@pytest.mark.parametrize("region", ["", "BR", "CA", "PR", "XK", "UK", "JP-13", "EU", "U", "us"])
@pytest.mark.conformance("EU-9")
def test_eu_9_unknown_is_opt_in(region: str) -> None:
    """EU-9: no region, an unlisted one, and one that was not normalised are all under opt-in."""
    assert region_rules().regime(region) is Regime.OPT_IN


def test_a_part_follows_its_country() -> None:
    """A sub-division without an entry has its country's regime."""
    assert region_rules().regime("DE-BY") is Regime.OPT_IN
    assert region_rules().regime("US-TX") is Regime.OPT_OUT


@pytest.mark.parametrize(
    ("region", "regime"),
    [("US-CA", Regime.OPT_IN), ("US-NY", Regime.NONE), ("US", Regime.NONE), ("CA", Regime.OPT_IN), ("CA-QC", Regime.OPT_OUT)],
)  # fmt: skip
def test_the_most_specific_entry_decides(region: str, regime: Regime) -> None:
    """An entry for a sub-division goes before its country's, and says nothing about the country."""
    regimes = {"US": Regime.NONE, "US-CA": Regime.OPT_IN, "CA-QC": Regime.OPT_OUT}
    assert RegionRules("2026-01-01", regimes, {}).regime(region) is regime


@pytest.mark.parametrize(
    ("status", "states"),
    [
        (StateStatus.YES, "CA CO CT DE MN MT OR NH NJ"),
        (StateStatus.CONDITIONAL, "TX NE"),
        (StateStatus.DISPUTED, "MD"),
    ],
)
@pytest.mark.conformance("CA-10")
def test_ca_10_the_states_are_data(status: StateStatus, states: str) -> None:
    """CA-10: each state with a law on opt-out signals is listed with its status."""
    found = {state for state, its in region_rules().states.items() if its is status}
    assert found == {f"US-{state}" for state in states.split()}


@pytest.mark.conformance("CA-10")
def test_ca_10_the_table_is_dated() -> None:
    """CA-10: the version is a full date."""
    assert date.fromisoformat(region_rules().version) >= date(2026, 11, 22)


def test_the_table_is_consistent() -> None:
    """Every region is written as it is looked up and listed once; every group says where it comes from."""
    table = tomllib.loads(files("consent_middleware.regions").joinpath("rules.toml").read_text("utf-8"))
    listed = [region for group in table["groups"] for region in group["regions"]]
    states = [state for status in StateStatus for state in table["states"][status]]
    assert [region for region in listed + states if read_region(region) != region] == []
    assert len(set(listed)) == len(listed)
    assert len(set(states)) == len(states)
    assert [group["id"] for group in table["groups"] if not group["source"]] == []
    assert table["states"].keys() == {"source", *StateStatus}


def test_the_table_is_read_once() -> None:
    """Everybody gets the same table, and nobody can change it."""
    assert region_rules() is region_rules()
    with pytest.raises(TypeError):
        region_rules().regimes["DE"] = Regime.NONE  # type: ignore[index]


# --- region_from_headers


def lookup(**headers: bytes) -> Callable[[bytes], bytes | None]:
    """Return a look-up of request headers, named here with underscores."""
    return {name.replace("_", "-").encode(): value for name, value in headers.items()}.get


def test_no_named_header_is_no_region() -> None:
    """A header that the site does not name is not believed."""
    assert region_from_headers([], lookup(cf_ipcountry=b"US")) == ""
    assert region_from_headers(["x-country"], lookup(cf_ipcountry=b"US")) == ""


@pytest.mark.parametrize("name", [*REGION_HEADERS, "x-country"])
def test_a_named_header_gives_the_country(name: str) -> None:
    """Known and unknown names alike are country headers."""
    assert region_from_headers([name], {name.encode(): b"de"}.get) == "DE"


@pytest.mark.parametrize(("country", "part"), [pair for pair in REGION_HEADERS.items() if pair[1]])
def test_a_named_companion_gives_the_part(country: str, part: str) -> None:
    """A country's sub-division counts where its header is named too, before or after the country."""
    headers = {country.encode(): b"US", part.encode(): b"ca"}
    assert [region_from_headers(names, headers.get) for names in permutations((country, part))] == [
        "US-CA"
    ] * 2
    assert region_from_headers([country], headers.get) == "US"


@pytest.mark.parametrize("part", [part for part in REGION_HEADERS.values() if part])
def test_a_part_alone_is_useless(part: str) -> None:
    """CA in a sub-division header is California, never Canada."""
    assert region_from_headers([part], {part.encode(): b"CA"}.get) == ""


def test_a_part_of_an_unknown_country_is_useless() -> None:
    """Tor's pseudo-country has no states."""
    names = ["cf-ipcountry", "cf-region-code"]
    assert region_from_headers(names, lookup(cf_ipcountry=b"T1", cf_region_code=b"CA")) == ""


def test_a_companion_of_another_provider_does_not_count() -> None:
    """A country and a sub-division by two providers may contradict each other."""
    names = ["cf-ipcountry", "x-appengine-region"]
    assert region_from_headers(names, lookup(cf_ipcountry=b"US", x_appengine_region=b"ca")) == "US"


@pytest.mark.parametrize("part", [b"", b"?", b"CA,CA", b"CA, NV", b"California", b"\xff", b"-CA", b"US-CA"])
def test_an_unreadable_part_leaves_the_country(part: bytes) -> None:
    """A bad sub-division does not take the country with it."""
    names = ["cf-ipcountry", "cf-region-code"]
    assert region_from_headers(names, lookup(cf_ipcountry=b"US", cf_region_code=part)) == "US"


@pytest.mark.parametrize(
    "value",
    [
        b"", b" ", b"XX", b"T1", b"ZZ", b"US,US", b"US, DE", b"US,", b"USA", b"\xff\xff", b"\xc3\x9f", b"\xb5S", b"U\x00",
        b"United States", b"US" * 50_000,
    ],
)  # fmt: skip
def test_an_unreadable_country_is_no_region(value: bytes) -> None:
    """Unknown, repeated, overlong and non-ASCII values yield nothing."""
    assert region_from_headers(["cf-ipcountry"], lookup(cf_ipcountry=value)) == ""


def test_the_first_header_that_yields_a_region_decides() -> None:
    """The site's order counts; a header that is absent or cannot be read passes on to the next one."""
    names = ["x-country", "cf-ipcountry", "x-appengine-country"]
    both = lookup(cf_ipcountry=b"FR", x_appengine_country=b"US")
    assert region_from_headers(names, both) == "FR"
    assert region_from_headers(names[::-1], both) == "US"
    assert region_from_headers(names, lookup(cf_ipcountry=b"XX", x_appengine_country=b"US")) == "US"


def test_a_proxys_own_header_may_hold_the_part() -> None:
    """One header of the site's own proxy can say country and state."""
    assert region_from_headers(["x-country"], lookup(x_country=b" us-ca ")) == "US-CA"


@modest
@given(st.binary(max_size=6), st.binary(max_size=6))
def test_reading_headers_is_total(country: bytes, part: bytes) -> None:
    """Whatever bytes arrive, the result is a region in its one form, or nothing."""
    names = ["cf-ipcountry", "cf-region-code"]
    region = region_from_headers(names, lookup(cf_ipcountry=country, cf_region_code=part))
    assert read_region(region) == region


# --- region_header_problem


@pytest.mark.parametrize(
    "name", [*REGION_HEADERS, *filter(None, REGION_HEADERS.values()), "x-country", "geo2"]
)
def test_a_good_header_name_has_no_problem(name: str) -> None:
    """Known headers, their companions and names of the site's own are fine."""
    assert region_header_problem(name) == ""


@pytest.mark.parametrize(("name", "written"), [("CF-IPCountry", "cf-ipcountry"), ("X-Country", "x-country")])
def test_upper_case_gets_a_hint(name: str, written: str) -> None:
    """A header name as its provider writes it is refused with the form that works."""
    problem = region_header_problem(name)
    assert repr(name) in problem
    assert repr(written) in problem
    assert "lower case" in problem


@pytest.mark.parametrize(
    "name", ["", "x_country", "x country", "x-country:", "x-c\u00f6", "\u212a", "x-country\n"]
)
def test_a_bad_header_name_is_refused(name: str) -> None:
    """Anything but a-z, digits and dashes is no header name, letters that are ASCII only in lower case included."""
    assert repr(name) in region_header_problem(name)


def test_a_companion_without_its_country_is_a_problem() -> None:
    """Given the whole list, a sub-division header that can never count is named, with what it lacks."""
    problem = region_header_problem("cf-region-code", ["cf-region-code", "x-country"])
    assert "'cf-region-code'" in problem
    assert "'cf-ipcountry'" in problem
    assert region_header_problem("cf-region-code", ["cf-region-code", "cf-ipcountry"]) == ""
    assert region_header_problem("cf-ipcountry", ["cf-ipcountry"]) == ""
