from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_network
from typing import TYPE_CHECKING

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.errors import ConfigError
from consent_middleware.geo import _CACHED, GeoRegions
from helpers_core import modest
from mmdb import write_mmdb

if TYPE_CHECKING:
    from pathlib import Path


def place(country: object, *parts: object) -> dict[str, object]:
    """Return a record of the shape that GeoIP2 databases hold."""
    names = {"names": {"en": "A place", "de": "Ein Ort"}}
    record: dict[str, object] = {"country": {"iso_code": country, "geoname_id": 6252001, **names}}
    if parts:
        record["subdivisions"] = [{"iso_code": part, **names} for part in parts]
    return record


NETWORKS: dict[str, object] = {
    "8.0.0.0/8": place("US", "CA", "037"),
    "8.8.0.0/16": place("US"),
    "8.8.8.0/24": place("US", "TX"),
    "81.2.69.0/24": place("GB", "ENG"),
    "104.0.0.0/8": place("US", "WA"),
    "2a01::/16": place("FR"),
    "2600::/12": place("US", "NY"),
    "10.0.0.0/8": place("DE"),
    "100.64.0.0/10": place("DE"),
    "127.0.0.0/8": place("DE"),
    "fc00::/7": place("DE"),
    "9.0.0.0/16": {"registered_country": {"iso_code": "US"}},
    "9.1.0.0/16": {"continent": {"code": "EU"}},
    "9.2.0.0/16": place("xx"),
    "9.3.0.0/16": place("US", "California"),
    "9.4.0.0/16": place(840, 6),
    "9.5.0.0/16": {"country": "US"},
    "9.6.0.0/16": "US",
    "9.7.0.0/16": {"country": {"iso_code": "US"}, "subdivisions": []},
    "9.8.0.0/16": {"country": {"iso_code": "US"}, "subdivisions": ["CA"]},
    "9.9.0.0/16": {"country": {"iso_code": "us"}, "subdivisions": {"iso_code": "CA"}},
    "9.10.0.0/16": {"subdivisions": [{"iso_code": "CA"}]},
    "9.11.0.0/16": ["US"],
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of a few networks."""
    return write_mmdb(tmp_path_factory.mktemp("geo") / "test.mmdb", NETWORKS)


@pytest.fixture(params=["extension", "python"])
def geo(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, database: Path) -> GeoRegions:
    """The database, read by the package's C extension and by its Python code."""
    if request.param == "python":
        monkeypatch.setattr(maxminddb, "_extension", None)
    elif maxminddb._extension is None:
        pytest.skip("maxminddb is installed without its extension")
    return GeoRegions(database)


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("8.1.2.3", "US-CA"), ("8.8.4.4", "US"), ("8.8.8.8", "US-TX"), ("81.2.69.160", "GB-ENG"),
        ("2a01:e0a::1", "FR"), ("2600:0:0:0:0:0:0:1", "US-NY"), ("::ffff:81.2.69.160", "GB-ENG"),
        ("::ffff:5102:45a0", "GB-ENG"), ("0000:0000:0000:0000:0000:FFFF:5102:45A0", "GB-ENG"),
        ("0000:0000:0000:0000:0000:ffff:104.132.107.160", "US-WA"),
    ],
)  # fmt: skip
def test_an_address_has_a_region(geo: GeoRegions, address: str, region: str) -> None:
    """The narrowest network decides; the first sub-division is taken; mapped IPv4 is IPv4."""
    assert geo.region(address) == region


@pytest.mark.parametrize("address", ["7.7.7.7", "2c0f::1", "255.255.255.255", "::"])
def test_a_missing_address_has_no_region(geo: GeoRegions, address: str) -> None:
    """What the database does not hold is unknown."""
    assert geo.region(address) == ""


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "100.64.0.1", "127.0.0.1", "fd00::1", "::ffff:10.1.2.3", "::ffff:127.0.0.1"]
)
def test_a_private_address_has_no_region(geo: GeoRegions, address: str) -> None:
    """An address that is not routed on the internet is nowhere, whatever the database says of it."""
    assert geo.region(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "", "unknown", "8.8.8", "8.8.8.8:443", "[2a01::1]", "8.8.8.8, 8.8.4.4", " 8.8.8.8", "8.8.8.8/24", "0x08080808",
        "134744072", "08.8.8.8", "8.8.8.8\x00", "\uff18.8.8.8", "fe80::1%eth0", "2a01::1%" + "x" * 70_000, "8" * 70_000,
    ],
)  # fmt: skip
def test_a_malformed_address_has_no_region(geo: GeoRegions, address: str) -> None:
    """Whatever is no plain address is unknown, and never an error."""
    assert geo.region(address) == ""


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("9.0.0.1", ""), ("9.1.0.1", ""), ("9.2.0.1", ""), ("9.3.0.1", "US"), ("9.4.0.1", ""), ("9.5.0.1", ""),
        ("9.6.0.1", ""), ("9.7.0.1", "US"), ("9.8.0.1", "US"), ("9.9.0.1", "US"), ("9.10.0.1", ""), ("9.11.0.1", ""),
    ],
)  # fmt: skip
def test_a_record_of_another_shape_says_what_it_can(geo: GeoRegions, address: str, region: str) -> None:
    """A record without a readable country is unknown; one without a readable sub-division is its country."""
    assert geo.region(address) == region


@modest
@given(st.text(max_size=50) | st.ip_addresses().map(str))
def test_looking_up_is_total(database: Path, address: str) -> None:
    """Any text at all has a region or none."""
    assert GeoRegions(database).region(address) in {
        "", "US", "US-CA", "US-TX", "US-NY", "US-WA", "GB-ENG", "FR",
    }  # fmt: skip


@modest
@given(st.dictionaries(st.ip_addresses(v=6), st.integers(1, 128), min_size=1, max_size=12), st.data())
def test_the_tests_writer_is_right(
    tmp_path_factory: pytest.TempPathFactory, prefixes: dict[object, int], data: st.DataObject
) -> None:
    """A database written by the tests gives each address the record of the narrowest network around it."""
    networks = {str(ip_network((str(base), bits), strict=False)) for base, bits in prefixes.items()}
    path = write_mmdb(
        tmp_path_factory.mktemp("writer") / "a.mmdb", {network: network for network in networks}
    )
    asked = data.draw(st.sampled_from(sorted(networks)).flatmap(lambda n: st.ip_addresses(network=n)))
    around = [ip_network(n) for n in networks if asked in ip_network(n)]
    with maxminddb.open_database(path) as reader:
        assert reader.get(asked) == str(max(around, key=lambda n: n.prefixlen))


def test_a_database_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    """An IPv6 visitor is unknown there; a mapped one is IPv4."""
    geo = GeoRegions(write_mmdb(tmp_path / "four.mmdb", {"8.0.0.0/8": place("US")}, ip_version=4))
    assert [geo.region(a) for a in ("8.8.8.8", "2a01::1", "::ffff:8.8.8.8")] == ["US", "", "US"]


def test_a_damaged_record_is_unknown(tmp_path: Path) -> None:
    """A database whose data is broken at one place costs the region of that place, not the request."""
    path = write_mmdb(tmp_path / "damaged.mmdb", {"8.0.0.0/8": {"country": "x"}, "9.0.0.0/8": place("US")})
    path.write_bytes(path.read_bytes().replace(b"\x47country\x41x", b"\x47country\x3f\xff"))
    geo = GeoRegions(path)
    assert [geo.region(a) for a in ("8.8.8.8", "9.9.9.9")] == ["", "US"]


def test_an_address_is_looked_up_once(database: Path) -> None:
    """A repeated address comes from the cache, which is bounded and never holds overlong text."""
    geo = GeoRegions(database)
    for address in ("8.8.8.8", "8.8.8.8", "x" * 46):
        geo.region(address)
    found = geo._find.cache_info()
    assert (found.hits, found.misses, found.maxsize) == (1, 1, _CACHED)


def test_databases_do_not_share_their_answers(tmp_path: Path, database: Path) -> None:
    """Two databases may differ about one address."""
    other = GeoRegions(write_mmdb(tmp_path / "other.mmdb", {"8.0.0.0/8": place("CA", "QC")}))
    assert [GeoRegions(database).region("8.8.8.8"), other.region("8.8.8.8")] == ["US-TX", "CA-QC"]


# --- faults


@pytest.mark.parametrize("extension", [True, False])
@pytest.mark.parametrize("content", [None, b"", b"no database", b"\xab\xcd\xefMaxMind.com", "folder"])
def test_an_unreadable_file_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str | None, *, extension: bool
) -> None:
    """A missing, empty, foreign or cut file and a folder are refused at once, with the path and a remedy."""
    if not extension:
        monkeypatch.setattr(maxminddb, "_extension", None)
    path = tmp_path / "GeoLite2.mmdb"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read as a MaxMind database") as caught:
        GeoRegions(path)
    assert caught.value.source == str(path)
    assert "Check the path" in str(caught.value)


def test_a_missing_package_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    """Without maxminddb the error names the file, the package and the command that installs it."""
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(ConfigError, match="maxminddb, which is not installed") as caught:
        GeoRegions(database)
    assert caught.value.source == str(database)
    assert "pip install 'consent-middleware[geo]'" in str(caught.value)


def test_importing_the_module_does_not_import_the_package() -> None:
    """The extra's package loads only where a database is opened."""
    script = "import sys, consent_middleware.geo; print('maxminddb' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
