from __future__ import annotations

import pytest

from consent_middleware.catalog.hosts import HostIndex

INDEX = HostIndex(
    [
        ("stats.example", "exact"),
        ("*.stats.example", "below"),
        ("*.deep.stats.example", "deeper"),
        ("stats.example/shop", "path"),
        ("stats.example/shop/pixel", "longer path"),
        ("*.maps.example/embed", "wildcard path"),
        ("both.example", "first"),
        ("both.example", "second"),
        ("/own", "own"),
        ("/own/stats.js", "own script"),
    ]
)

FOUND = {
    "exact": ("stats.example", "/", ("exact",)),
    "a path": ("stats.example", "/shop", ("path",)),
    "a path's prefix": ("stats.example", "/shopping", ("path",)),
    "the longest path": ("stats.example", "/shop/pixel.gif", ("longer path",)),
    "a name below": ("a.stats.example", "/shop", ("below",)),
    "a name further below": ("a.b.stats.example", "/", ("below",)),
    "the longest name": ("a.deep.stats.example", "/", ("deeper",)),
    "the name of a wildcard itself is below the next": ("deep.stats.example", "/", ("below",)),
    "a wildcard with a path": ("www.maps.example", "/embed/1", ("wildcard path",)),
    "a wildcard with another path": ("www.maps.example", "/other", ()),
    "a wildcard does not hold its own name": ("maps.example", "/embed", ()),
    "several owners": ("both.example", "/", ("first", "second")),
    "a path of the site's own": ("", "/own/x", ("own",)),
    "the longest path of the site's own": ("", "/own/stats.js", ("own script",)),
    "another path of the site's own": ("", "/other", ()),
    "a name that only ends alike": ("mystats.example", "/", ()),
    "a top-level name": ("example", "/", ()),
    "a name no one can have": ("a." * 200_000 + "stats.example", "/", ()),
}


@pytest.mark.parametrize(("host", "path", "owners"), FOUND.values(), ids=FOUND.keys())
def test_the_most_specific_pattern_decides(host: str, path: str, owners: tuple[str, ...]) -> None:
    """An exact host before a wildcard, a longer name before a shorter one, a longer path before a shorter one."""
    assert INDEX.find(host, path) == owners


@pytest.mark.parametrize(
    ("host", "owners"),
    [
        ("stats.example", {"exact", "path", "longer path"}),
        ("a.deep.stats.example", {"deeper", "below"}),
        ("www.maps.example", {"wildcard path"}),
        ("maps.example", set()),
        ("other.example", set()),
    ],
)
def test_everybody_on_a_host_is_found_whatever_the_path(host: str, owners: set[str]) -> None:
    """The quick look asks by host alone."""
    assert set(INDEX.on_host(host)) == owners
