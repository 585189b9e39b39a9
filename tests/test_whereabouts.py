from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.config import load_config
from consent_middleware.errors import ConfigError
from consent_middleware.policy import Circumstances
from consent_middleware.regions import Regime
from consent_middleware.reporting import Reporter
from consent_middleware.whereabouts import HOOKS, Whereabouts
from helpers_core import make_config, modest
from mmdb import write_mmdb

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLOUDFLARE = ["cf-ipcountry", "cf-region-code"]
CALIFORNIA = {b"cf-ipcountry": b"US", b"cf-region-code": b"CA"}
FRENCH = "81.2.69.160"  # globally routed, and in the database below


def whereabouts(regime: str = "by-region", **site: Any) -> Whereabouts:
    """Return what knows of the visitors of a site with these settings."""
    return Whereabouts(make_config(site={"regime": regime, **site}), Reporter(report_only=False))


def ask(
    subject: Whereabouts,
    headers: Mapping[bytes, bytes] | None = None,
    client: str | None = None,
    /,
    **said: object,
) -> Circumstances:
    """Return what is known of a request's visitor."""
    return subject.circumstances(said, (headers or {}).get, client)


PLAIN = whereabouts()
HEADED = whereabouts(region_headers=[*CLOUDFLARE, "x-country"])


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database that knows one network in France, and one that is routed nowhere."""
    networks = {
        "81.2.69.0/24": {"country": {"iso_code": "FR"}},
        "10.0.0.0/8": {"country": {"iso_code": "US"}},
    }
    return str(write_mmdb(tmp_path / "geo.mmdb", networks))


# -- where


@pytest.mark.parametrize(
    ("said", "headers", "client", "region"),
    [
        ({"region": "US-TX"}, CALIFORNIA, FRENCH, "US-TX"),
        ({"region": "us_tx"}, {}, None, "US-TX"),
        ({"region": None}, CALIFORNIA, FRENCH, "US-CA"),
        ({"region": ""}, CALIFORNIA, FRENCH, "US-CA"),
        ({"region": "XX"}, CALIFORNIA, FRENCH, "US-CA"),
        ({}, CALIFORNIA, FRENCH, "US-CA"),
        ({}, {b"cf-ipcountry": b"US"}, FRENCH, "US"),
        ({}, {b"cf-ipcountry": b"XX"}, FRENCH, "FR"),
        ({}, {b"cf-ipcountry": b"US,DE"}, FRENCH, "FR"),
        ({}, {b"x-country": b"US"}, FRENCH, "FR"),
        ({}, {}, FRENCH, "FR"),
        ({}, {}, "::ffff:" + FRENCH, "FR"),
        ({}, {}, "10.1.2.3", ""),
        ({}, {}, "9.9.9.9", ""),
        ({}, {}, "unix:", ""),
        ({}, {}, None, ""),
    ],
)
@pytest.mark.conformance("EU-9")
def test_the_first_that_knows_is_believed(
    database: str, said: dict[str, object], headers: dict[bytes, bytes], client: str | None, region: str
) -> None:
    """EU-9: the site's hook, then a named header, then the database; what none of them knows is unknown."""
    subject = whereabouts(region_headers=CLOUDFLARE, geo_database=database)
    assert ask(subject, headers, client, **said).region == region


def test_nothing_is_looked_up_that_is_not_named() -> None:
    """Without headers, database and hook everybody is nowhere, and no header is even asked for."""

    def header(name: bytes) -> bytes | None:
        raise AssertionError(name)

    subject = whereabouts()
    assert subject.circumstances({}, header, FRENCH) is subject.usual
    assert not subject.looks


@pytest.mark.parametrize("site", [{"region_headers": CLOUDFLARE}, {"geo_database": "geo.mmdb"}], ids=str)
def test_who_looks(site: dict[str, Any], database: str) -> None:
    """A named header, or a database, is reason enough to look at every request."""
    named = {**site, "geo_database": database} if "geo_database" in site else site
    assert whereabouts(**named).looks


def test_the_database_stands_beside_the_declaration(tmp_path: Path, database: str) -> None:
    """A relative path starts at the folder of `consent.toml`."""
    assert database.startswith(str(tmp_path))
    (tmp_path / "consent.toml").write_text(
        '[site]\nname = "Shop"\nregime = "by-region"\ngeo_database = "geo.mmdb"\n'
        '[controller]\nname = "Example GmbH"\ncontact = "privacy@example.com"\n',
        "utf-8",
    )
    subject = Whereabouts(load_config(tmp_path / "consent.toml", {}), Reporter(report_only=False))
    assert ask(subject, {}, FRENCH).region == "FR"


def test_a_missing_database_is_an_error_at_the_start(tmp_path: Path) -> None:
    """A site that relies on it never starts without it."""
    with pytest.raises(ConfigError, match="cannot be read as a MaxMind database"):
        whereabouts(geo_database=str(tmp_path / "nowhere.mmdb"))


# -- which law


@pytest.mark.parametrize(
    ("region", "regime"),
    [("DE", "opt-in"), ("GB", "opt-in"), ("US", "opt-out"), ("US-CA", "opt-out"), ("JP", "opt-in"), (None, "opt-in")],
)  # fmt: skip
@pytest.mark.conformance("EU-9")
def test_the_region_decides(region: str | None, regime: str) -> None:
    """EU-9: by-region reads the table of regions; what is not in it, or unknown, is opt-in."""
    assert ask(whereabouts(), region=region).regime == regime


@pytest.mark.parametrize("regime", list(Regime))
@pytest.mark.parametrize("region", ["DE", "US-CA", None])
def test_a_fixed_regime_holds_everywhere(regime: Regime, region: str | None) -> None:
    """The region is kept for the record and changes nothing else."""
    found = ask(whereabouts(regime.value), region=region)
    assert (found.regime, found.region) == (regime, region or "")


@pytest.mark.parametrize(
    ("regime", "usual"),
    [
        ("by-region", Regime.OPT_IN),
        ("opt-in", Regime.OPT_IN),
        ("opt-out", Regime.OPT_OUT),
        ("none", Regime.NONE),
    ],
)
def test_who_nothing_is_known_of(regime: str, usual: Regime) -> None:
    """What a page for everyone is made for: the site's regime, and opt-in where there is none."""
    assert whereabouts(regime).usual == Circumstances(usual)


# -- who


@pytest.mark.parametrize(
    ("age", "is_minor"),
    [("under_13", True), ("13_15", True), ("adult", False), ("unknown", False), (None, False), ("", False)],
)
@pytest.mark.conformance("CA-9")
def test_the_age_class(age: str | None, is_minor: bool) -> None:  # noqa: FBT001 - a column
    """CA-9: the two below 16 are minors, under every regime."""
    assert [ask(whereabouts(regime), age_class=age).minor for regime in ("opt-out", "opt-in")] == [
        is_minor,
        is_minor,
    ]


@pytest.mark.parametrize(
    ("subject", "known"), [("user-42", True), (42, True), (None, False), ("", False), (0, False)]
)
def test_who_is_logged_in_is_known(subject: object, known: bool) -> None:  # noqa: FBT001 - a column
    """Any account will do; without one the visitor is unknown."""
    assert ask(PLAIN, subject=subject).known is known


def test_the_hooks_that_are_asked() -> None:
    """Each by its name."""
    assert HOOKS == ("region", "age_class", "subject")


# -- answers that mean nothing


@pytest.mark.parametrize(
    "answer", ["Deutschland", " ", "U", "US-", "US-CALI", b"US", 49, ["US"], {"country": "US"}, object()]
)  # fmt: skip
def test_a_region_that_is_none_is_unknown(log: pytest.LogCaptureFixture, answer: object) -> None:
    """It counts as unknown, a header does not stand in for it, and the log says so once."""
    subject = whereabouts(region_headers=CLOUDFLARE)
    found = [ask(subject, CALIFORNIA, region=answer) for _ in range(3)]
    assert found == [Circumstances()] * 3
    (line,) = [r.getMessage() for r in log.records]
    assert "the region hook returned" in line
    assert "counts as unknown" in line


@pytest.mark.parametrize("answer", ["child", "Under_13", b"under_13", 12, True, ("13_15",), object()])
def test_an_age_class_that_is_none_is_unknown(log: pytest.LogCaptureFixture, answer: object) -> None:
    """A typo in the site's own code is told once, with what is accepted."""
    subject = whereabouts()
    assert [ask(subject, age_class=answer) for _ in range(3)] == [Circumstances()] * 3
    (line,) = [r.getMessage() for r in log.records]
    assert "accepted: 13_15, adult, under_13, unknown" in line


def test_a_long_answer_is_cut(log: pytest.LogCaptureFixture) -> None:
    """A hook that returns a whole document fills no log."""
    ask(whereabouts(), region="x" * 10_000)
    assert len(log.records[0].getMessage()) < 250


def test_each_hook_is_told_of(log: pytest.LogCaptureFixture) -> None:
    """One faulty hook never hides another."""
    ask(whereabouts(), region="nowhere", age_class="child")
    assert [r.levelno for r in log.records] == [logging.ERROR] * 2


answers = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), st.text(max_size=20),
    st.from_regex(r"[A-Za-z]{2}([-_][A-Za-z0-9]{1,3})?", fullmatch=True),
    st.tuples(st.text(max_size=3)),
)  # fmt: skip


@modest
@given(region=answers, age_class=answers, subject=answers)
def test_no_answer_raises(region: object, age_class: object, subject: object) -> None:
    """Whatever the site's code returns, there is an answer, and the region in it is well-formed or none."""
    found = ask(PLAIN, region=region, age_class=age_class, subject=subject)
    assert found.region == "" or found.region.replace("-", "").isalnum()
    assert found.region.isascii()
    assert found.known is bool(subject)


@modest
@given(
    st.dictionaries(st.sampled_from([*(name.encode() for name in CLOUDFLARE), b"x-country"]), st.binary(max_size=12)),
    st.one_of(st.none(), st.text(max_size=50)),
)  # fmt: skip
def test_no_header_raises(headers: dict[bytes, bytes], client: str | None) -> None:
    """Whatever bytes come in, a region is well-formed or unknown, and only a known one is not opt-in."""
    found = ask(HEADED, headers, client)
    assert len(found.region) in {0, 2, 4, 5, 6}
    assert found.regime is Regime.OPT_IN or found.region.startswith("US")


@modest
@given(st.text(max_size=60))
def test_no_address_raises(shared_database: Whereabouts, client: str) -> None:
    """A server may give anything as the peer's address: a socket's path, a name, nothing."""
    assert ask(shared_database, {}, client).region in {"", "FR"}


@pytest.fixture(scope="module")
def shared_database(tmp_path_factory: pytest.TempPathFactory) -> Whereabouts:
    """Knows one network."""
    path = tmp_path_factory.mktemp("geo") / "geo.mmdb"
    write_mmdb(path, {"81.2.69.0/24": {"country": {"iso_code": "FR"}}})
    return whereabouts(geo_database=str(path))


# -- what is remembered


def test_the_same_facts_are_the_same_object() -> None:
    """What follows from them is remembered by them, so a second visitor from there costs a look-up."""
    subject = whereabouts(region_headers=CLOUDFLARE)
    by_header = ask(subject, CALIFORNIA)
    assert ask(subject, {b"cf-ipcountry": b" us "}, region="us_ca", age_class="adult") is by_header
    assert ask(subject, CALIFORNIA, age_class="13_15") is not by_header
    assert ask(subject, age_class="unknown") is subject.usual


def test_regions_fill_no_memory() -> None:
    """A visitor who makes up regions is not remembered for ever."""
    subject = whereabouts(region_headers=["x-country"])
    for number in range(2_000):
        ask(
            subject,
            {b"x-country": b"US-%03d" % (number % 1_000)},
            age_class="adult" if number % 2 else "13_15",
        )
    info = subject._made.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize


@pytest.mark.parametrize("answer", [["13_15"], {"age": 13}, {13}])
def test_an_age_class_of_any_type_is_unknown(answer: object) -> None:
    """What cannot be looked up in a set is no age class either, and nothing is raised."""
    assert ask(PLAIN, age_class=answer) == Circumstances()


def test_the_log_does_not_repeat_what_a_hook_returned(log: pytest.LogCaptureFixture) -> None:
    """It may be an address."""
    ask(whereabouts(region_headers=CLOUDFLARE), region="203.0.113.7")
    assert [r for r in log.records if "203.0.113.7" in r.getMessage()] == []
    assert any("a str" in r.getMessage() for r in log.records)
