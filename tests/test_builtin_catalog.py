"""The shipped catalogue: every service file is well-formed, and no preset lets a tracker pass."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest

from consent_middleware.catalog.builtin import builtin_services, known_cookie_owners, preset_cookies
from consent_middleware.catalog.model import ESSENTIAL, CookieSpec, Service

SERVICES = builtin_services()
IDS = sorted(SERVICES)
PRESETS = [(software, name) for software, names in preset_cookies().items() for name in names]

ALLOWED_KEYS = {
    "name",
    "category",
    "provider",
    "country",
    "policy_url",
    "description",
    "sells_or_shares",
    "hosts",
    "inline",
    "storage",
    "cookies",
}
COOKIE_KEYS = {"name", "retention", "purpose"}
CATEGORIES = {"essential", "functional", "analytics", "performance", "marketing"}

DURATION = re.compile(r"P(?!\Z)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?!\Z)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?")
HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=IDS)


def table(service: Service) -> dict[str, Any]:
    """Read a service's file as it ships."""
    path = files("consent_middleware.catalog").joinpath("services", f"{service.id}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def matches(pattern: str, name: str) -> bool:
    """Tell whether a pattern, with ``*`` for any run of characters, matches a cookie name."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def test_at_least_forty_services_ship() -> None:
    """The catalogue covers the services that most sites use."""
    assert len(SERVICES) >= 40


def test_every_file_becomes_a_service() -> None:
    """No file in the folder is left out, and each one parses."""
    folder = files("consent_middleware.catalog").joinpath("services")
    assert {entry.name for entry in folder.iterdir()} == {f"{service_id}.toml" for service_id in IDS}
    assert all(isinstance(service, Service) for service in SERVICES.values())


def test_no_two_services_share_a_name() -> None:
    """Visitors can tell the services apart."""
    repeated = [name for name, count in Counter(s.name for s in SERVICES.values()).items() if count > 1]
    assert repeated == []


@each_service
def test_a_file_has_only_allowed_keys(service: Service) -> None:
    """A service file holds no key that the format does not know."""
    assert table(service).keys() <= ALLOWED_KEYS


@each_service
def test_a_cookie_has_exactly_the_cookie_keys(service: Service) -> None:
    """A cookie states its name, retention and purpose, and nothing else."""
    assert all(cookie.keys() == COOKIE_KEYS for cookie in table(service).get("cookies", []))


@each_service
def test_an_id_is_lower_case_kebab(service: Service) -> None:
    """Ids can be typed, put in attributes and sorted without surprises."""
    assert KEBAB.fullmatch(service.id)


@each_service
def test_a_category_is_one_of_the_defaults(service: Service) -> None:
    """A service belongs to a category that exists without configuration."""
    assert service.category in CATEGORIES


@each_service
def test_a_country_is_two_upper_case_letters(service: Service) -> None:
    """Countries are given as ISO 3166 alpha-2 codes."""
    assert re.fullmatch(r"[A-Z]{2}", service.country)


@each_service
def test_a_service_names_provider_and_description(service: Service) -> None:
    """Visitors read who runs a service and what it does, in one plain sentence."""
    assert service.provider
    assert isinstance(service.description, str)
    assert re.fullmatch(r"[A-Z][^.\n]{10,118}\.", service.description)


@each_service
def test_a_policy_is_linked_over_https(service: Service) -> None:
    """The provider's privacy policy is an https address."""
    assert re.fullmatch(r"https://[^\s/]+\.[^\s/]+/?\S*", service.policy_url)


@each_service
def test_a_retention_is_session_or_a_duration(service: Service) -> None:
    """Every retention can be read by a machine."""
    wrong = [c for c in service.cookies if c.retention != "session" and not DURATION.fullmatch(c.retention)]
    assert wrong == []


@each_service
def test_a_cookie_has_a_purpose(service: Service) -> None:
    """Every cookie says what it is for, as a sentence."""
    assert [c for c in service.cookies if not re.fullmatch(r"[A-Z].{5,}\.", c.purpose)] == []


@each_service
def test_a_cookie_is_listed_once_in_a_service(service: Service) -> None:
    """No service declares the same cookie twice."""
    assert len({cookie.name for cookie in service.cookies}) == len(service.cookies)


@each_service
def test_a_cookie_name_is_a_token_that_is_not_too_wide(service: Service) -> None:
    """A name holds no separator of the Cookie header, and a pattern keeps three characters of its own."""
    names = [cookie.name for cookie in service.cookies]
    assert [name for name in names if re.search(r"[\s;,=]", name)] == []
    assert [name for name in names if "*" in name and len(name.replace("*", "")) < 3] == []


@each_service
def test_a_host_is_a_bare_lower_case_name(service: Service) -> None:
    """Hosts have no scheme, port or path, and a wildcard only in front of a registrable name."""
    assert service.hosts
    assert [host for host in service.hosts if not HOST.fullmatch(host)] == []


@each_service
def test_hosts_inline_and_storage_are_listed_once(service: Service) -> None:
    """No list repeats itself or holds an empty or all-matching entry."""
    for entries in (service.hosts, service.inline, service.storage):
        assert len(set(entries)) == len(entries)
        assert not {"", "*"} & set(entries)


@pytest.mark.parametrize("service_id", [i for i in IDS if SERVICES[i].category == ESSENTIAL])
def test_an_essential_service_neither_sells_nor_shares(service_id: str) -> None:
    """What passes without a choice is run by service providers."""
    assert SERVICES[service_id].sells_or_shares is False


def test_no_cookie_is_essential_in_one_service_and_tracking_in_another() -> None:
    """An essential service declares no cookie that a tracker is known to set."""
    essential = [c.name for s in SERVICES.values() if s.category == ESSENTIAL for c in s.cookies]
    assert [name for name in essential if known_cookie_owners(name.replace("*", "x"))] == []


def test_presets_hold_the_needed_software() -> None:
    """The session and CSRF cookies of common frameworks are essential without configuration."""
    names = {name for _, name in PRESETS}
    assert {"session", "remember_token", "sessionid", "csrftoken", "messages", "PHPSESSID", "AWSALB"} <= names


@pytest.mark.parametrize("software", sorted(preset_cookies()))
def test_a_preset_lists_each_cookie_once(software: str) -> None:
    """A preset is a non-empty list of names that are not too wide and do not repeat."""
    names = preset_cookies()[software]
    assert names
    assert len(set(names)) == len(names)
    assert [name for name in names if "*" in name and len(name.replace("*", "")) < 4] == []
    assert KEBAB.fullmatch(software)


@pytest.mark.parametrize(("software", "name"), PRESETS, ids=[f"{s}-{n}" for s, n in PRESETS])
def test_no_preset_name_is_known_as_tracking(software: str, name: str) -> None:
    """No name that passes without a choice is one that a tracker is known to set."""
    for example in (name, name.replace("*", ""), name.replace("*", "x1")):
        assert known_cookie_owners(example) == (), software


def test_no_preset_pattern_covers_a_tracking_cookie() -> None:
    """No pattern that passes without a choice matches a tracker's cookie."""

    def examples(cookie: CookieSpec) -> tuple[str, ...]:
        return cookie.name, cookie.name.replace("*", ""), cookie.name.replace("*", "x1")

    covered = [
        (software, pattern, service.id, cookie.name)
        for software, pattern in PRESETS
        for service in SERVICES.values()
        if service.category != ESSENTIAL
        for cookie in service.cookies
        if any(matches(pattern, example) for example in examples(cookie))
    ]
    assert covered == []


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("_ga_ABC123", "google-analytics"),
        ("_fbp", "meta-pixel"),
        ("_hjSessionUser_12345", "hotjar"),
        ("intercom-id-abc", "intercom"),
        ("_pk_id.1.1fff", "matomo"),
        ("VISITOR_INFO1_LIVE", "youtube"),
    ],
)
def test_a_well_known_cookie_has_its_owner(name: str, owner: str) -> None:
    """Trackers are found by the cookie names seen on real sites."""
    assert owner in {service.id for service in known_cookie_owners(name)}


def test_a_cookie_that_two_services_set_has_both_as_owners() -> None:
    """Consent for one of two services that share a cookie does not hide the other."""
    assert {service.id for service in known_cookie_owners("NID")} == {"google-ads", "google-maps"}


def test_an_essential_cookie_is_not_known_as_tracking() -> None:
    """A cookie of an essential service has no tracking owner."""
    assert known_cookie_owners("__stripe_mid") == ()
