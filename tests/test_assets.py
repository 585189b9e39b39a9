from __future__ import annotations

import gzip
import json
import re

import pytest

from consent_middleware.assets import Assets, site_table
from consent_middleware.policy import DntScope, Rules, WhenOn
from consent_middleware.resources import read_bytes
from consent_middleware.visitor import CookieNames
from helpers_core import make_catalog, service

CATALOG = make_catalog(
    service("shop", "essential"),
    service("map", "functional", sells_or_shares=False),
    service("ads", "marketing"),
)
FILES = ["guard.js", "banner.js", "banner.css"]


def assets(rules: Rules = Rules()) -> Assets:  # noqa: B008 - frozen
    """Return the static files of a site."""
    return Assets(CATALOG, rules, CookieNames())


def table(rules: Rules = Rules(), names: CookieNames = CookieNames()) -> dict[str, object]:  # noqa: B008 - frozen
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
    source = read_bytes("static", "banner", "guard.js")
    assert found.plain.count(b"<") == source.count(b"<")


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
    assert found["names"] == {"https": "__Host-consent-shop", "http": "consent-shop"}
    assert found["units"] == list(CATALOG.units)
    assert found["always"] == ["essential", "shop"]
    assert found["category"] == {"shop": "essential", "map": "functional", "ads": "marketing"}
    assert (found["days"], found["quiet"], found["honour"]) == (180, True, 3)


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (Rules(), {"functional": 0, "marketing": 3, "ads": 3, "map": 0}),
        (Rules(dnt_scope=DntScope.ALL), {"functional": 2, "marketing": 3, "ads": 3, "map": 2}),
        (Rules(honour_gpc=False), {"functional": 0, "marketing": 2, "ads": 2, "map": 0}),
        (Rules(honour_dnt=False), {"functional": 0, "marketing": 1, "ads": 1, "map": 0}),
    ],
)
def test_what_each_signal_denies(rules: Rules, denied: dict[str, int]) -> None:
    """A bit a signal for every unit: 1 for GPC, 2 for DNT."""
    found = site_table(CATALOG, rules, CookieNames())
    by_unit = dict(zip(found["units"], found["deny"], strict=True))
    assert {unit: by_unit[unit] for unit in denied} == denied


def test_asked_units_are_named_by_their_place() -> None:
    """The guard knows which of the units must have an answer."""
    found = site_table(CATALOG, Rules(), CookieNames())
    assert {found["units"][i] for i in found["asked"]} == CATALOG.asked
