from __future__ import annotations

from typing import Any

import pytest

from consent_middleware.holding import Holding, Holdings
from consent_middleware.urls import Location
from helpers_core import make_catalog, make_config, service

OWN = "shop.example"
SERVICES: list[dict[str, Any]] = [
    {"id": "stats", "name": "Stats", "category": "analytics", "hosts": ["stats.example", "/stats"], "inline": ["houseStats("]},
    {"id": "maps", "name": "Maps", "category": "functional", "hosts": ["maps.example/embed"]},
    {"id": "twin-a", "name": "A", "category": "analytics", "hosts": ["twin.example"]},
    {"id": "twin-b", "name": "B", "category": "marketing", "hosts": ["twin.example"]},
    {"id": "mode", "name": "Mode", "category": "analytics", "hosts": ["mode.example"], "hold": False},
    {"id": "login", "name": "Log-in", "category": "essential", "hosts": ["login.example"], "inline": ["logIn("]},
]  # fmt: skip


def holdings(**sections: Any) -> Holdings:
    """Return what a site's declaration holds."""
    sections.setdefault("use", ["google-analytics"])
    sections.setdefault("services", SERVICES)
    return Holdings(make_config(**sections).catalog)


def holding(*granted: str, **sections: Any) -> Holding:
    """Return what waits where these units are granted."""
    found = holdings(**sections).of(frozenset(granted))
    assert found is not None
    return found


WAITING: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "declared": ("stats.example", "/x.js", ("stats",)),
    "from the catalogue": ("www.google-analytics.com", "/ga.js", ("google-analytics",)),
    "a path of the site's own": ("", "/stats/x.js", ("stats",)),
    "a path of the page's own host": (OWN, "/stats/x.js", ("stats",)),
    "a path on a host": ("maps.example", "/embed/1", ("maps",)),
    "another path on that host": ("maps.example", "/tiles/1", ()),
    "shared by two": ("twin.example", "/", ("twin-a", "twin-b")),
    "held back by its own consent mode": ("mode.example", "/", ()),
    "essential": ("login.example", "/", ()),
    "nobody's": ("other.example", "/", ()),
    "known marketing that nobody declared": ("connect.facebook.net", "/en_US/fbevents.js", ("marketing",)),
    "a known font that nobody declared": ("fonts.googleapis.com", "/css", ()),
    "the page's own": (OWN, "/", ()),
}


@pytest.mark.parametrize(("host", "path", "units"), WAITING.values(), ids=WAITING.keys())
def test_what_waits_behind_a_url(host: str, path: str, units: tuple[str, ...]) -> None:
    """Declared services wait for themselves, known trackers for the category that covers them."""
    held = holding().at(Location(host, path), OWN)
    assert (held.units if held else ()) == units


def test_of_several_that_nobody_declared_the_least_intrusive_is_named() -> None:
    """A host that analytics and marketing of the catalogue share is proposed as analytics, and waits as before."""
    held = holding(use=[]).at(Location("www.googletagmanager.com", "/gtag/js"), OWN)
    assert held is not None
    assert (held.service.id, held.declared, held.units) == ("google-analytics", False, ("marketing",))


def test_a_granted_service_waits_no_more() -> None:
    """Granting one lets it through and leaves the others."""
    subject = holding("stats")
    assert subject.at(Location("stats.example", "/"), OWN) is None
    assert subject.at(Location("maps.example", "/embed"), OWN) is not None


def test_one_of_two_owners_is_enough() -> None:
    """What two services share passes with either."""
    assert holding("twin-b").at(Location("twin.example", "/"), OWN) is None


def test_the_sites_word_about_a_host_counts() -> None:
    """A host that the site declares for a service of its own is no longer the catalogue's."""
    own = {"id": "proxy", "name": "Proxy", "category": "functional", "hosts": ["connect.facebook.net"]}
    held = holding(services=[own]).at(Location("connect.facebook.net", "/"), OWN)
    assert (held.units if held else ()) == ("proxy",)


def test_a_site_that_is_known_itself_does_not_hold_its_own_pages() -> None:
    """The catalogue's word about a host says nothing on that very host."""
    subject = holding()
    assert subject.at(Location("www.facebook.com", "/tr"), "www.facebook.com") is None


def test_without_the_catalogues_hosts_only_what_is_declared_waits() -> None:
    """`catalog_hosts = false` leaves what nobody declares alone."""
    subject = holding(site={"catalog_hosts": False})
    assert subject.at(Location("connect.facebook.net", "/"), OWN) is None


def test_where_everything_is_granted_nothing_waits() -> None:
    """There is no holding at all, so that a page costs nothing."""
    catalog = make_config(use=["google-analytics"], services=SERVICES).catalog
    subject = Holdings(catalog)
    assert subject.of(catalog.asked | {unit for unit, _ in catalog.reach if unit}) is None


def test_what_no_host_tells_waits_all_the_same() -> None:
    """A category without a service that has hosts is still what an element can be marked up with."""
    subject = Holdings(make_config(site={"catalog_hosts": False}).catalog)
    found = subject.of(frozenset())
    assert found is not None
    held = found.marked("functional")
    assert held is not None
    assert held.units == ("functional",)


@pytest.mark.parametrize(
    ("names", "waits"),
    [
        ("stats", True),
        ("marketing", True),
        ("stats marketing", True),
        ("stats essential", False),
        ("essential", False),
        ("maps", False),
        ("stats maps", False),
        ("nobody", True),
        ("!analytics", True),
        ("", False),
        (" ", False),
    ],
)
def test_what_is_marked_up_waits_for_any_of_its_names(names: str, waits: bool) -> None:  # noqa: FBT001 - a column
    """A name that is granted or always on lets it through; one that nobody declares never does."""
    found = holdings().of(frozenset({"maps"}))
    assert found is not None
    assert (found.marked(names) is not None) is waits


def test_the_same_grants_share_one_holding() -> None:
    """It is compiled once; units that hold no tags make no difference."""
    subject = holdings()
    assert subject.of(frozenset({"stats"})) is subject.of(frozenset({"stats", "nothing-to-do-with-tags"}))


def test_an_inline_script_is_known_by_its_text() -> None:
    """The declared text tells whose script it is."""
    held = holding().inline(b"var a; houseStats('x')")
    assert held is not None
    assert (held.units, held.declared) == (("stats",), True)


@pytest.mark.parametrize("text", [b"", b"house_stats()", b"logIn()"])
def test_other_inline_scripts_run(text: bytes) -> None:
    """Nobody's script, and an essential one, do not wait."""
    assert holding().inline(text) is None


def test_a_granted_inline_script_runs() -> None:
    """With its service granted nothing is looked for in it."""
    assert holding("stats").inline(b"houseStats()") is None


@pytest.mark.parametrize(("granted", "expected"), [((), True), (("stats",), False)], ids=["waits", "granted"])
def test_relative_urls_are_read_only_where_own_paths_wait(granted: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    """A path of the site's own makes every relative URL a candidate."""
    assert holding(*granted).has_own("shop.example") is expected


def test_a_host_of_the_pages_own_that_waits_makes_relative_urls_count() -> None:
    """What is declared by its full name is held where a page names it by its path alone, too."""
    catalog = make_catalog(service("stats", "analytics", hosts=("shop.example/stats/",)))
    found = Holdings(catalog).of(frozenset())
    assert found is not None
    assert (found.has_own("shop.example"), found.has_own("other.example")) == (True, False)
    assert found.at(Location("", "/stats/a.js"), "shop.example") is not None


NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "a service": ("stats", ("stats",)),
    "a category": ("marketing", ("marketing",)),
    "a service that need not wait": ("login", ()),
    "a category that need not wait": ("essential", ()),
    "nobody": ("nobody", ()),
    "nothing": ("", ()),
}


@pytest.mark.parametrize(("name", "units"), NAMED.values(), ids=NAMED.keys())
def test_what_the_page_marks_up_waits_by_name(name: str, units: tuple[str, ...]) -> None:
    """A tag may name a service or a category; what is unknown or needs no consent does not wait."""
    held = holding().named(name)
    assert (held.units if held else ()) == units


def test_a_category_waits_until_all_of_it_is_granted() -> None:
    """Marked up by category, a tag waits while one of its services does."""
    assert holding("twin-a", "stats").named("analytics") is not None


CONCERNS = {
    "waiting": (b"stats.example", True),
    "waiting, with a port": (b"stats.example:443", True),
    "waiting on a path": (b"maps.example", True),
    "nobody's": (b"other.example", False),
    "essential": (b"login.example", False),
    "no UTF-8": (b"\xff\xfe", False),
    "endless": (b"a." * 500_000, False),
}


@pytest.mark.parametrize(("authority", "expected"), CONCERNS.values(), ids=CONCERNS.keys())
def test_the_quick_look_tells_hosts_that_matter(authority: bytes, expected: bool) -> None:  # noqa: FBT001
    """A look at the host alone, the same however often it is taken."""
    subject = holding()
    assert [subject.concerns(authority) for _ in range(5)] == [expected] * 5


def test_what_is_only_told_is_looked_at_a_few_times() -> None:
    """A known font that nobody declared is worth one warning, not every page's time."""
    subject = holding()
    looks = [subject.concerns(b"fonts.googleapis.com") for _ in range(10)]
    assert (looks[0], looks[-1]) == (True, False)


def test_what_passes_undeclared_is_named() -> None:
    """The warning says whose it is; what waits or is nobody's is not named."""
    subject = holding()
    service = subject.passing(Location("fonts.googleapis.com", "/css"))
    assert service is not None
    assert service.id == "google-fonts"
    assert subject.passing(Location("other.example", "/")) is None


def test_endless_visits_of_new_hosts_are_not_remembered_for_ever() -> None:
    """What is remembered about hosts is bounded."""
    subject = holding()
    for number in range(9_000):
        subject.concerns(b"h%d.example" % number)
    assert len(subject._looks) <= 8_192
