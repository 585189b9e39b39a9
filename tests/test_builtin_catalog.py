"""The shipped catalogue: every service file is well-formed, and no preset lets a tracker pass."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.catalog.builtin import (
    builtin_services,
    consent_managers,
    known_cookie_owners,
    preset_cookies,
)
from consent_middleware.catalog.model import ESSENTIAL, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.catalog.model import Text

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
    "consent_mode",
    "cookies",
}
COOKIE_KEYS = {"name", "retention", "purpose"}
CATEGORIES = {"essential", "functional", "analytics", "performance", "marketing"}
PASSING = {"essential", "functional"}
TRACKING = {"analytics", "marketing"}
CONSENT_MODES = {
    "google.ad_storage",
    "google.ad_user_data",
    "google.ad_personalization",
    "google.analytics_storage",
    "google.functionality_storage",
    "google.personalization_storage",
    "uet.ad_storage",
    "clarity.ad_Storage",
    "clarity.analytics_Storage",
    "meta",
}
GOOGLE_ADS = ("google.ad_storage", "google.ad_user_data", "google.ad_personalization")
OBEYING = {
    "doubleclick": GOOGLE_ADS,
    "google-ads": GOOGLE_ADS,
    "google-adsense": GOOGLE_ADS,
    "google-analytics": ("google.analytics_storage",),
    "google-publisher-tag": GOOGLE_ADS,
    "google-tag-manager": (*GOOGLE_ADS, "google.analytics_storage"),
    "meta-pixel": ("meta",),
    "microsoft-ads": ("uet.ad_storage",),
    "microsoft-clarity": ("clarity.ad_Storage", "clarity.analytics_Storage"),
}

# Hosts that belong to many services and to ordinary pages: only a path below them may be claimed.
SHARED_HOSTS = {
    "cdn.shopify.com",
    "cloudfront.net",
    "docs.google.com",
    "s3.amazonaws.com",
    "t.co",
    "telegram.org",
    "vk.com",
    "www.bing.com",
    "www.facebook.com",
    "www.google.com",
    "www.gstatic.com",
    "www.instagram.com",
    "www.linkedin.com",
    "www.pinterest.com",
    "www.redditstatic.com",
    "www.tiktok.com",
    "www.twitch.tv",
    "yandex.ru",
}

# Patterns that a service which passes and one that tracks may both claim, each with the reason. There is none so far.
CLAIMED_BY_BOTH: dict[str, str] = {}

GROUPS = {
    "a-b-testing": ("ab-tasty", "adobe-target", "convert", "growthbook", "kameleoon", "optimizely", "vwo"),
    "advertising": ("adroll", "google-adsense", "pubmatic", "teads", "the-trade-desk", "xandr"),
    "affiliates": ("awin", "cj-affiliate", "impact", "partnerize", "rakuten-advertising", "tradedoubler"),
    "analytics": (
        "chartbeat",
        "contentsquare",
        "etracker",
        "matomo",
        "mouseflow",
        "simple-analytics",
        "umami",
    ),
    "anti-fraud": ("forter", "riskified", "sift", "signifyd"),
    "audio": ("apple-podcasts", "bandcamp", "mixcloud", "soundcloud", "spotify"),
    "captchas": (
        "arkose-labs",
        "cloudflare-turnstile",
        "friendly-captcha",
        "geetest",
        "hcaptcha",
        "recaptcha",
    ),
    "chat": (
        "chatwoot",
        "freshchat",
        "gorgias",
        "helpscout-beacon",
        "livechat",
        "olark",
        "tidio",
        "userlike",
    ),
    "companies": ("6sense", "albacross", "demandbase", "leadfeeder", "zoominfo"),
    "data-brokers": ("id5", "liveramp", "lotame", "quantcast"),
    "error-tracking": ("bugsnag", "datadog-rum", "dynatrace", "honeybadger", "raygun", "rollbar", "trackjs"),
    "fonts": ("bunny-fonts", "font-awesome", "google-fonts", "monotype-fonts", "typekit"),
    "forms": ("calendly", "google-forms", "jotform", "surveymonkey", "typeform"),
    "libraries": ("bootstrap-cdn", "cdnjs", "google-hosted-libraries", "jquery-cdn", "jsdelivr", "unpkg"),
    "maps": ("bing-maps", "google-maps", "here-maps", "mapbox", "openstreetmap"),
    "newsletters": ("activecampaign", "braze", "brevo", "klaviyo", "marketo", "onesignal", "pardot"),
    "payments": ("adyen", "amazon-pay", "apple-pay", "braintree", "google-pay", "mollie", "paypal", "square"),
    "reviews": ("bazaarvoice", "trusted-shops", "trustpilot", "yotpo"),
    "social-embeds": ("facebook-embed", "linkedin-embed", "pinterest-embed", "sharethis", "tiktok-embed"),
    "tag-managers": ("adobe-launch", "commanders-act", "ensighten", "google-tag-manager", "tealium"),
    "video": (
        "brightcove",
        "dailymotion",
        "jw-player",
        "loom",
        "twitch",
        "vidyard",
        "vimeo",
        "wistia",
        "youtube",
    ),
}

DURATION = re.compile(r"P(?!\Z)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?!\Z)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?")
HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
PATH = re.compile(r"(?:/[A-Za-z0-9@._~-]+)+/?")
KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

# What is asked of every service, cookie and host is one test that names all that differ: a test each is too many.
FOLDER = files("consent_middleware.catalog").joinpath("services")
ALL_COOKIES = [(service.id, cookie) for service in SERVICES.values() for cookie in service.cookies]
ALL_HOSTS = [(service.id, host) for service in SERVICES.values() for host in service.hosts]


@cache
def tables() -> dict[str, dict[str, Any]]:
    """Read every service's file as it ships."""
    return {i: tomllib.loads(FOLDER.joinpath(f"{i}.toml").read_text("utf-8")) for i in IDS}


def not_all(holds: Callable[[Service], object]) -> list[str]:
    """Return the ids of the services of which something does not hold."""
    return [service.id for service in SERVICES.values() if not holds(service)]


def in_english(text: Text, pattern: str) -> bool:
    """Return whether a text says that it is English, and has the form of a sentence."""
    return not isinstance(text, str) and list(text) == ["en"] and bool(re.fullmatch(pattern, text["en"]))


def test_at_least_120_services_ship() -> None:
    """The catalogue covers the services that most sites use."""
    assert len(SERVICES) >= 120


def test_every_category_has_services() -> None:
    """No default category is left without an example."""
    assert {service.category for service in SERVICES.values()} == CATEGORIES


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_services_is_represented(group: str) -> None:
    """The well-known services of each kind ship."""
    assert [service_id for service_id in GROUPS[group] if service_id not in SERVICES] == []


def test_every_file_becomes_a_service() -> None:
    """No file in the folder is left out, and each one parses."""
    assert {entry.name for entry in FOLDER.iterdir()} == {f"{service_id}.toml" for service_id in IDS}
    assert all(isinstance(service, Service) for service in SERVICES.values())


def test_no_two_services_share_a_name() -> None:
    """Visitors can tell the services apart."""
    repeated = [name for name, count in Counter(s.name for s in SERVICES.values()).items() if count > 1]
    assert repeated == []


def test_a_file_has_only_allowed_keys() -> None:
    """A service file holds no key that the format does not know."""
    assert {i: table for i, table in tables().items() if not table.keys() <= ALLOWED_KEYS} == {}


def test_a_cookie_has_exactly_the_cookie_keys() -> None:
    """A cookie states its name, retention and purpose, and nothing else."""
    cookies = [(i, cookie) for i, table in tables().items() for cookie in table.get("cookies", [])]
    assert [(i, cookie) for i, cookie in cookies if cookie.keys() != COOKIE_KEYS] == []


def test_an_id_is_lower_case_kebab() -> None:
    """Ids can be typed, put in attributes and sorted without surprises."""
    assert not_all(lambda service: KEBAB.fullmatch(service.id)) == []


def test_a_category_is_one_of_the_defaults() -> None:
    """A service belongs to a category that exists without configuration."""
    assert not_all(lambda service: service.category in CATEGORIES) == []


def test_a_country_is_two_upper_case_letters() -> None:
    """Countries are given as ISO 3166 alpha-2 codes."""
    assert not_all(lambda service: re.fullmatch(r"[A-Z]{2}", service.country)) == []


def test_a_service_names_provider_and_description() -> None:
    """Visitors read who runs a service and what it does, in one plain sentence."""
    assert not_all(lambda service: service.provider) == []
    assert not_all(lambda service: in_english(service.description, r"[A-Z][^.\n]{10,118}\.")) == []


def test_a_policy_is_linked_over_https() -> None:
    """The provider's privacy policy is an https address."""
    assert not_all(lambda s: re.fullmatch(r"https://[^\s/]+\.[^\s/]+/?\S*", s.policy_url)) == []


def test_a_retention_is_session_or_a_duration() -> None:
    """Every retention can be read by a machine."""
    wrong = [
        (i, c) for i, c in ALL_COOKIES if c.retention != "session" and not DURATION.fullmatch(c.retention)
    ]
    assert wrong == []


def test_a_cookie_has_a_purpose() -> None:
    """Every cookie says what it is for, as a sentence, and in which language."""
    assert [(i, c) for i, c in ALL_COOKIES if not in_english(c.purpose, r"[A-Z].{5,}\.")] == []


def test_a_cookie_is_listed_once_in_a_service() -> None:
    """No service declares the same cookie twice."""
    assert not_all(lambda s: len({cookie.name for cookie in s.cookies}) == len(s.cookies)) == []


def test_a_cookie_name_is_a_token_that_is_not_too_wide() -> None:
    """A name holds no separator of the Cookie header, and a pattern keeps three characters of its own."""
    assert [(i, c.name) for i, c in ALL_COOKIES if re.search(r"[\s;,=]", c.name)] == []
    assert [(i, c.name) for i, c in ALL_COOKIES if "*" in c.name and len(c.name.replace("*", "")) < 3] == []


def test_a_host_is_a_lower_case_name_with_or_without_a_path() -> None:
    """Hosts have no scheme, port or query, and a wildcard only in front of a registrable name."""
    assert not_all(lambda service: service.hosts) == []
    parts = [(service_id, *host.partition("/")) for service_id, host in ALL_HOSTS]
    assert [(service_id, name) for service_id, name, _, _ in parts if not HOST.fullmatch(name)] == []
    paths = [(service_id, slash + path) for service_id, _, slash, path in parts if slash]
    assert [(service_id, path) for service_id, path in paths if not PATH.fullmatch(path)] == []


def test_a_path_stands_below_an_exact_host() -> None:
    """A path prefix is claimed on one host, never on all hosts below a name."""
    assert [(i, host) for i, host in ALL_HOSTS if "/" in host and host.startswith("*.")] == []


def test_no_shared_host_is_claimed_as_a_whole() -> None:
    """A host that serves ordinary pages, or many services, is claimed by path only."""
    assert [(i, host) for i, host in ALL_HOSTS if host.removeprefix("*.") in SHARED_HOSTS] == []


def test_no_claim_of_a_service_holds_another() -> None:
    """A service does not list a path below a host it claims as a whole."""
    paths = [(service_id, host) for service_id, host in ALL_HOSTS if "/" in host]
    held = [(i, a, b) for i, b in paths for a in SERVICES[i].hosts if a != b and b.startswith(a)]
    assert held == []


def test_consent_managers_are_no_services() -> None:
    """Nobody declares one; none has a host that the catalogue holds, and none waits for an answer."""
    managers = consent_managers()
    assert len(managers) > 20
    assert managers.keys() & SERVICES.keys() == set()
    held = {host for service in SERVICES.values() for host in service.hosts}
    for service in managers.values():
        assert service.category == ESSENTIAL
        assert service.hosts
        assert service.name
        assert set(service.hosts) & held == set()


@pytest.mark.parametrize("passing", sorted(PASSING))
@pytest.mark.parametrize("tracking", sorted(TRACKING))
def test_no_host_both_passes_and_tracks(passing: str, tracking: str) -> None:
    """What is needed or wanted by the visitor is not loaded from where a tracker is."""

    def claimed(category: str) -> set[str]:
        return {host for s in SERVICES.values() if s.category == category for host in s.hosts}

    assert claimed(passing) & claimed(tracking) - CLAIMED_BY_BOTH.keys() == set()


def test_an_inline_text_is_not_too_short() -> None:
    """A text that tells a script's owner is long enough not to stand in other scripts by chance."""
    assert [(s.id, text) for s in SERVICES.values() for text in s.inline if len(text) < 4] == []


def test_no_two_services_share_an_inline_text() -> None:
    """An inline script has one owner: no service's text stands in another's."""
    texts = [(text, service.id) for service in SERVICES.values() for text in service.inline]
    assert [(a, b, o) for a, i in texts for b, o in texts if i != o and a in b] == []


def test_a_consent_mode_is_one_that_vendors_read() -> None:
    """A service obeys only keys that its vendor's consent mode has, each listed once."""
    modes = {service_id: table.get("consent_mode", []) for service_id, table in tables().items()}
    assert {service_id: some for service_id, some in modes.items() if not set(some) <= CONSENT_MODES} == {}
    assert {service_id: some for service_id, some in modes.items() if len(set(some)) != len(some)} == {}
    assert {service_id: SERVICES[service_id].consent_mode for service_id in IDS} == {
        service_id: tuple(some) for service_id, some in modes.items()
    }


def test_the_vendors_with_a_consent_mode_have_their_keys() -> None:
    """Exactly the vendors that read consent themselves are told, each by its own keys."""
    assert {s.id: s.consent_mode for s in SERVICES.values() if s.consent_mode} == OBEYING


def test_hosts_inline_and_storage_are_listed_once() -> None:
    """No list repeats itself or holds an empty or all-matching entry."""
    lists = [(s.id, entries) for s in SERVICES.values() for entries in (s.hosts, s.inline, s.storage)]
    assert [(i, entries) for i, entries in lists if len(set(entries)) != len(entries)] == []
    assert [(i, entries) for i, entries in lists if {"", "*"} & set(entries)] == []


def test_an_essential_service_neither_sells_nor_shares() -> None:
    """What passes without a choice is run by service providers."""
    assert not_all(lambda s: s.category != ESSENTIAL or s.sells_or_shares is False) == []


def test_no_cookie_is_essential_in_one_service_and_tracking_in_another() -> None:
    """An essential service declares no cookie that a tracker is known to set."""
    essential = [c.name for s in SERVICES.values() if s.category == ESSENTIAL for c in s.cookies]
    assert [name for name in essential if known_cookie_owners(name.replace("*", "x"))] == []


def test_presets_hold_the_needed_software() -> None:
    """The session and CSRF cookies of common frameworks are essential without configuration."""
    names = {name for _, name in PRESETS}
    assert {"session", "remember_token", "sessionid", "csrftoken", "messages", "PHPSESSID", "AWSALB"} <= names


def test_a_preset_lists_each_cookie_once() -> None:
    """A preset is a non-empty list of names that are not too wide and do not repeat."""
    presets = preset_cookies()
    assert [software for software, names in presets.items() if not names] == []
    assert [software for software, names in presets.items() if len(set(names)) != len(names)] == []
    assert [name for _, name in PRESETS if "*" in name and len(name.replace("*", "")) < 4] == []
    assert [software for software in presets if not KEBAB.fullmatch(software)] == []


def test_no_preset_name_is_known_as_tracking() -> None:
    """No name that passes without a choice is one that a tracker is known to set."""
    known = [
        (software, example)
        for software, name in PRESETS
        for example in (name, name.replace("*", ""), name.replace("*", "x1"))
        if known_cookie_owners(example) != ()
    ]
    assert known == []


def test_no_preset_pattern_covers_a_tracking_cookie() -> None:
    """No pattern that passes without a choice matches a tracker's cookie."""
    examples = [
        (service_id, example)
        for service_id, cookie in ALL_COOKIES
        if SERVICES[service_id].category != ESSENTIAL
        for example in {cookie.name, cookie.name.replace("*", ""), cookie.name.replace("*", "x1")}
    ]
    covered = [
        (software, pattern, service_id, example)
        for software, pattern in PRESETS
        for matches in [re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch]
        for service_id, example in examples
        if matches(example)
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
