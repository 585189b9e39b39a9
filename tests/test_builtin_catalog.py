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

each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=IDS)


def table(service: Service) -> dict[str, Any]:
    """Read a service's file as it ships."""
    path = files("consent_middleware.catalog").joinpath("services", f"{service.id}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def matches(pattern: str, name: str) -> bool:
    """Tell whether a pattern, with ``*`` for any run of characters, matches a cookie name."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


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
    assert isinstance(service.description, dict)
    assert list(service.description) == ["en"]
    assert re.fullmatch(r"[A-Z][^.\n]{10,118}\.", service.description["en"])


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
    """Every cookie says what it is for, as a sentence, and in which language."""
    said = [dict(c.purpose) for c in service.cookies if not isinstance(c.purpose, str)]
    assert len(said) == len(service.cookies)
    assert [p for p in said if list(p) != ["en"] or not re.fullmatch(r"[A-Z].{5,}\.", p["en"])] == []


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
def test_a_host_is_a_lower_case_name_with_or_without_a_path(service: Service) -> None:
    """Hosts have no scheme, port or query, and a wildcard only in front of a registrable name."""
    assert service.hosts
    parts = [host.partition("/") for host in service.hosts]
    assert [name for name, _, _ in parts if not HOST.fullmatch(name)] == []
    assert [slash + path for _, slash, path in parts if slash and not PATH.fullmatch(slash + path)] == []


@each_service
def test_a_path_stands_below_an_exact_host(service: Service) -> None:
    """A path prefix is claimed on one host, never on all hosts below a name."""
    assert [host for host in service.hosts if "/" in host and host.startswith("*.")] == []


@each_service
def test_no_shared_host_is_claimed_as_a_whole(service: Service) -> None:
    """A host that serves ordinary pages, or many services, is claimed by path only."""
    assert {host.removeprefix("*.") for host in service.hosts} & SHARED_HOSTS == set()


@each_service
def test_no_claim_of_a_service_holds_another(service: Service) -> None:
    """A service does not list a path below a host it claims as a whole."""
    paths = [host for host in service.hosts if "/" in host]
    assert [(a, b) for a in service.hosts for b in paths if a != b and b.startswith(a)] == []


@pytest.mark.parametrize("passing", sorted(PASSING))
@pytest.mark.parametrize("tracking", sorted(TRACKING))
def test_no_host_both_passes_and_tracks(passing: str, tracking: str) -> None:
    """What is needed or wanted by the visitor is not loaded from where a tracker is."""

    def claimed(category: str) -> set[str]:
        return {host for s in SERVICES.values() if s.category == category for host in s.hosts}

    assert claimed(passing) & claimed(tracking) - CLAIMED_BY_BOTH.keys() == set()


@each_service
def test_an_inline_text_is_not_too_short(service: Service) -> None:
    """A text that tells a script's owner is long enough not to stand in other scripts by chance."""
    assert [text for text in service.inline if len(text) < 4] == []


def test_no_two_services_share_an_inline_text() -> None:
    """An inline script has one owner: no service's text stands in another's."""
    texts = [(text, service.id) for service in SERVICES.values() for text in service.inline]
    assert [(a, b, o) for a, i in texts for b, o in texts if i != o and a in b] == []


@each_service
def test_a_consent_mode_is_one_that_vendors_read(service: Service) -> None:
    """A service obeys only keys that its vendor's consent mode has, each listed once."""
    modes = table(service).get("consent_mode", [])
    assert set(modes) <= CONSENT_MODES
    assert len(set(modes)) == len(modes)
    assert service.consent_mode == tuple(modes)


def test_the_vendors_with_a_consent_mode_have_their_keys() -> None:
    """Exactly the vendors that read consent themselves are told, each by its own keys."""
    assert {s.id: s.consent_mode for s in SERVICES.values() if s.consent_mode} == OBEYING


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
