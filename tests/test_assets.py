from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.assets import Assets, site_table
from consent_middleware.catalog import Catalog, builtin_services
from consent_middleware.catalog.hosts import HostIndex
from consent_middleware.codec import token
from consent_middleware.policy import DntScope, Rules, WhenOn
from consent_middleware.resources import read_bytes
from consent_middleware.visitor import CookieNames
from helpers_core import make_catalog, make_config, service
from tools import build_assets as build

if TYPE_CHECKING:
    from pathlib import Path

CATALOG = make_catalog(
    service("shop", "essential"),
    service("map", "functional", sells_or_shares=False),
    service("ads", "marketing"),
)
FILES = ["guard.js", "banner.js", "banner.css"]


def assets(rules: Rules = Rules()) -> Assets:  # noqa: B008 - frozen
    """Return the static files of a site."""
    return Assets(CATALOG, rules, CookieNames())


def table(rules: Rules = Rules(), names: CookieNames = CookieNames()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Return what the guard is told of the site."""
    return site_table(CATALOG, rules, names)


@pytest.mark.parametrize("name", FILES)
def test_each_file_comes_plain_and_compressed(name: str) -> None:
    """Both forms hold the same bytes."""
    found = assets().get(name)
    assert found is not None
    assert gzip.decompress(found.compressed) == found.plain


@pytest.mark.parametrize("name", ["", "../guard.js", "guard.js/", "icons", "GUARD.JS"])
def test_other_names_find_nothing(name: str) -> None:
    """Only the three files are served."""
    assert assets().get(name) is None


@pytest.mark.parametrize(("name", "media"), [("guard.js", b"text/javascript"), ("banner.css", b"text/css")])
def test_media_types(name: str, media: bytes) -> None:
    """Scripts and styles say what they are, and in which charset."""
    found = assets().get(name)
    assert found is not None
    assert found.media_type == media + b"; charset=utf-8"


def test_the_table_is_compiled_in() -> None:
    """The guard holds this site's table, and no place is left for one."""
    found = assets().get("guard.js")
    assert found is not None
    assert json.dumps(table(), separators=(",", ":")).encode() in found.plain
    assert b"__SITE__" not in found.plain


def test_no_angle_of_the_site_stands_in_the_guard() -> None:
    """A service id cannot open a tag, whoever puts the file into a page."""
    evil = make_catalog(service("a</script><script>", "marketing"))
    found = Assets(evil, Rules(), CookieNames()).get("guard.js")
    assert found is not None
    assert b"</script" not in found.plain
    assert found.plain.count(b"<") == read_bytes("static", "banner", "min", "guard.js").count(b"<")


def test_the_hash_is_short_and_stable() -> None:
    """The same files have the same address, in every process."""
    assert re.fullmatch(r"[0-9a-f]{12}", assets().hash)
    assert assets().hash == assets().hash


@pytest.mark.parametrize(
    "rules",
    [
        Rules(consent_days=30),
        Rules(honour_dnt=False),
        Rules(when_on=WhenOn.ASK),
        Rules(dnt_scope=DntScope.ALL),
    ],
)
def test_the_hash_changes_with_the_site(rules: Rules) -> None:
    """Another table is another file, so that no browser keeps an old one."""
    assert assets(rules).hash != assets().hash


def test_compression_is_the_same_every_time() -> None:
    """No clock is in the compressed bytes: two workers serve the same."""
    assert assets().get("banner.js") == assets().get("banner.js")


def test_the_table_of_a_site() -> None:
    """Everything the guard decides by, and nothing about a visitor."""
    found = table(Rules(dnt_scope=DntScope.ALL), CookieNames("-shop", ""))
    assert found["names"] == {"https:": "__Host-consent-shop=v1", "http:": "consent-shop=v1"}
    rows = [(unit, category) for unit, _, _, *category in found["units"]]
    assert rows == [
        *((unit, []) for unit in sorted(CATALOG.units) if unit not in CATALOG.services),
        ("ads", ["marketing"]),
        ("map", ["functional"]),
        ("essential", []),
        ("shop", ["essential"]),
    ]
    assert [unit for unit, _, bits, *_ in found["units"] if bits & 8] == ["essential", "shop"]
    assert (found["life"], found["quiet"], found["unknown"]) == (180 * 86_400, 3, ["marketing"])


def test_the_first_rows_are_the_digits_of_the_cookie() -> None:
    """The guard reads the state by position, so the order is the codec's; a token is the codec's too."""
    found = table()["units"][: len(CATALOG.units)]
    assert [(unit, said) for unit, said, *_ in found] == [(unit, token(unit)) for unit in CATALOG.units]


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (Rules(), {"functional": 0, "marketing": 3, "ads": 3, "map": 0}),
        (Rules(dnt_scope=DntScope.ALL), {"functional": 2, "marketing": 3, "ads": 3, "map": 2}),
        (Rules(honour_gpc=False), {"functional": 0, "marketing": 2, "ads": 2, "map": 0}),
        (Rules(honour_dnt=False), {"functional": 0, "marketing": 1, "ads": 1, "map": 0}),
    ],
)
@pytest.mark.conformance("DNT-4")
def test_what_each_signal_denies(rules: Rules, denied: dict[str, int]) -> None:
    """A bit a signal for every unit: 1 for GPC, 2 for DNT."""
    found = site_table(CATALOG, rules, CookieNames())
    by_unit = {unit: bits & 3 for unit, _, bits, *_ in found["units"]}
    assert {unit: by_unit[unit] for unit in denied} == denied


def test_asked_units_have_their_bit() -> None:
    """The guard knows which of the units must have an answer."""
    assert {unit for unit, _, bits, *_ in table()["units"] if bits & 4} == CATALOG.asked


@pytest.mark.parametrize(
    ("rules", "quiet"),
    [
        (Rules(), 3),
        (Rules(honour_dnt=False), 1),
        (Rules(honour_gpc=False), 2),
        (Rules(when_on=WhenOn.ASK), 0),
    ],
)
def test_which_signals_keep_the_banner_away(rules: Rules, quiet: int) -> None:
    """The bits of the signals that are honoured, none where the banner asks all the same."""
    assert table(rules)["quiet"] == quiet


# -- what the guard costs

CODE_LIMIT = 3_000
SERVICE_LIMIT = 45
PAGE_LIMIT = 9_000


def guard_size(catalog: Catalog, **settings: Any) -> int:
    """Return the compressed size of guard.js as it is served."""
    found = Assets(catalog, Rules(), CookieNames(), **settings).get("guard.js")
    assert found is not None
    return len(found.compressed)


def test_the_guards_code_stays_small() -> None:
    """Comments and indentation cost nothing; what is left is weighed with the smallest table."""
    size = guard_size(Catalog(categories={}, services={}))
    print(f"guard.js: {size} bytes of code")  # noqa: T201 - the number is the point
    assert size <= CODE_LIMIT


def test_what_every_page_loads_stays_small() -> None:
    """The guard with the smallest table, the banner's script and its style, as they are served."""
    found = Assets(Catalog(categories={}, services={}), Rules(), CookieNames())
    sizes = {name: len(asset.compressed) for name in FILES if (asset := found.get(name))}
    print(f"every page: {sum(sizes.values())} bytes, {sizes}")  # noqa: T201 - the number is the point
    assert len(sizes) == len(FILES)
    assert sum(sizes.values()) <= PAGE_LIMIT


def test_a_service_costs_little() -> None:
    """What the catalogue's services add to guard.js, by service."""
    alone = make_config(site={"catalog_hosts": False}).catalog
    full = make_config().catalog
    count = sum(1 for unit, _ in full.reach if unit)
    cost = (guard_size(full) - guard_size(alone)) / count
    print(f"guard.js: {cost:.1f} bytes for each of {count} services")  # noqa: T201 - the number is the point
    assert cost <= SERVICE_LIMIT


def test_a_declared_service_costs_what_it_says() -> None:
    """A declared one also brings its cookies and storage: told, beside what the visitor's table needs of it."""
    known = [s for s in builtin_services().values() if s.category != "essential" and not s.consent_mode][:40]
    alone, full = (
        make_config(use=[s.id for s in known][:n], site={"catalog_hosts": False}).catalog for n in (1, 40)
    )
    cost = (guard_size(full) - guard_size(alone)) / (len(known) - 1)
    print(f"guard.js: {cost:.1f} bytes for each of {len(known)} declared services")  # noqa: T201 - as above
    assert cost <= SERVICE_LIMIT


@pytest.mark.parametrize("source", build.sources(), ids=lambda source: source.name)
def test_what_is_served_is_built_from_its_source(source: Path) -> None:
    """Nobody edits what is built, and nobody forgets to build it."""
    served = source.parent / "min" / source.name
    assert served.read_text("utf-8") == build.built(source), "run make assets"


def test_the_table_says_who_holds_what() -> None:
    """Patterns by the unit that lets them through; of the free only what a held pattern covers, and before it."""
    catalog = make_catalog(
        service("ads", "marketing", "ad_id", hosts=("*.ads.example",), storage=("ad_*",)),
        service("chat", "essential", "chat_id", hosts=("chat.ads.example", "chat.example")),
        essential=("basket",),
    )
    found = site_table(catalog, Rules(), CookieNames())
    assert found["rules"] == [
        ["", r"chat\.ads\.example/|=basket$|=chat_id$"],
        ["ads", r"[^/]*\.ads\.example/|=ad_id$|#ad_"],
    ]


def test_patterns_are_joined_only_where_their_order_means_nothing() -> None:
    """What stands between two patterns of a unit and could match the same text keeps them apart."""
    catalog = make_catalog(
        service("one", "marketing", "a_*", "a_long_*", hosts=("b.example", "*.example")),
        service("two", "analytics", "a_lo*", hosts=("a.b.example",)),
    )
    assert site_table(catalog, Rules(), CookieNames())["rules"] == [
        ["two", r"a\.b\.example/"],
        ["one", r"b\.example/|[^/]*\.example/|=a_long_"],
        ["two", "=a_lo"],
        ["one", "=a_"],
    ]


def owners_in(rules: list[list[str]], text: str) -> set[str]:
    """Return the units that the guard finds for a text."""
    return next((set(units.split(" ")) for units, source in rules if re.match(f"(?:{source})", text)), set())


FULL = make_config(
    use=["google-analytics", "google-ads", "youtube", "recaptcha", "stripe", "google-maps"]
).catalog
PLACES = sorted(
    {
        (host.partition("/")[0].replace("*", part), "/" + host.partition("/")[2] + end)
        for _, one in FULL.reach
        for host in one.hosts
        for part in ("a", "a.b")
        for end in ("", "x.js")
    }
)


def test_the_table_finds_hosts_as_the_index_does() -> None:
    """Each host and path of the whole catalogue, and something behind it, has the same owners on the server."""
    found = site_table(FULL, Rules(), CookieNames())["rules"]
    declared = {pattern for one in FULL.services.values() for pattern in one.hosts}
    index = HostIndex(
        (pattern, unit)
        for unit, one in FULL.reach
        for pattern in one.hosts
        if one.id in FULL.services or pattern not in declared
    )
    wrong = [
        (host, path)
        for host, path in PLACES
        if set(index.find(host, path)) - {""} != owners_in(found, host + path) - {""}
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "name", ["_ga", "_ga_X", "_gax", "NID", "PREF", "sessionid", "csrftoken", "nobody", "VISITOR_INFO1_LIVE"]
)
def test_the_table_finds_cookies_as_the_catalogue_does(name: str) -> None:
    """Exact names first, then the longest pattern; what needs no consent is nobody's."""
    found = site_table(FULL, Rules(), CookieNames())["rules"]
    owners = {"" if owner in FULL.always else owner for owner in FULL.owners(name)}
    assert owners_in(found, f"={name}") == owners


def test_in_report_mode_the_guard_holds_nothing() -> None:
    """Without a table of hosts nothing is intercepted."""
    found = site_table(CATALOG, Rules(), CookieNames(), hold=False)
    assert "rules" not in found


@pytest.mark.parametrize("setting", ["allow_unknown", "reload", "gpp"])
@pytest.mark.conformance("GCM-2")
def test_settings_are_compiled_in(setting: str) -> None:
    """A setting is another file."""
    settings: dict[str, Any] = {setting: True}
    changed = Assets(CATALOG, Rules(), CookieNames(), **settings)
    assert changed.hash != assets().hash


def test_vendors_are_only_told_where_one_listens() -> None:
    """The code for consent modes is served where a declared service has one."""
    listening = make_catalog(service("ga", "analytics", consent_mode=("google.analytics_storage",)))
    found = [Assets(catalog, Rules(), CookieNames()).get("guard.js") for catalog in (CATALOG, listening)]
    assert [b"dataLayer" in asset.plain for asset in found if asset] == [False, True]
