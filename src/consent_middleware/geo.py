"""Where a network address is, by a MaxMind database that the site brings along (the extra ``[geo]``).

For the ``region`` hook of a site with no proxy that states the region. Decides nothing about regimes, fetches
nothing, and keeps addresses only in memory, in a bounded cache.
"""

from __future__ import annotations

from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from consent_middleware.errors import ConfigError, Fault
from consent_middleware.regions import read_region

if TYPE_CHECKING:
    from pathlib import Path

    from maxminddb import Reader

__all__ = ["GeoRegions"]

_CACHED = 4096
_MAX_ADDRESS = 45  # an IPv4-mapped IPv6 address written out in full; longer keys would let the cache grow


class GeoRegions:
    """Find the region of an address in a MaxMind database, such as GeoLite2-Country or GeoLite2-City.

    The file is mapped into memory: put a newer one in its place by renaming it, never by writing into it, and
    construct again to use it. Safe under threads and after a fork.

    Args:
        path: The database file (``.mmdb``), IPv4 or IPv6.

    Raises:
        ConfigError: The package maxminddb is not installed, or the file cannot be read as a database.

    Source: MaxMind DB file format 2.0; ``country.iso_code`` and ``subdivisions`` of the GeoIP2 databases.
    """

    def __init__(self, path: Path) -> None:
        self._find = lru_cache(maxsize=_CACHED)(partial(_find, _open(path)))

    def region(self, address: str) -> str:
        """Return where an address is.

        Args:
            address: IPv4, IPv6 or IPv4-mapped IPv6, as text without port or brackets.

        Returns:
            The country, with its first sub-division where the database has one: ``"DE"``, ``"US-CA"``. ``""``
            for an address that is malformed, private or otherwise not routed on the internet, or not in the
            database.
        """
        return self._find(address) if len(address) <= _MAX_ADDRESS else ""


def _open(path: Path) -> Reader:
    try:
        from maxminddb import open_database  # noqa: PLC0415 - an extra; loads only where a database is opened
    except ImportError as error:
        raise ConfigError(
            str(path),
            [
                Fault(
                    "",
                    "a MaxMind database can only be read with the package maxminddb, which is not installed.",
                    "Run: pip install 'consent-middleware[geo]'",
                )
            ],
        ) from error
    try:
        return open_database(path)
    except (OSError, ValueError, RuntimeError) as error:  # a broken database is a RuntimeError
        raise ConfigError(
            str(path),
            [
                Fault(
                    "",
                    f"the file cannot be read as a MaxMind database ({error}).",
                    "Check the path, and that it is an unpacked .mmdb file this process may read.",
                )
            ],
        ) from error


def _find(reader: Reader, address: str) -> str:
    try:
        ip = ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        # ValueError too: an IPv6 address in a database of IPv4 alone. RuntimeError: a damaged record.
        return _region(reader.get(ip)) if ip.is_global else ""
    except (ValueError, RuntimeError):
        return ""


def _region(record: object) -> str:
    """Return the region of a database record; ``registered_country`` is where the network's owner is, so not it."""
    if not isinstance(record, dict):
        return ""
    country = read_region(_iso_code(record.get("country")))
    parts = record.get("subdivisions")
    part = _iso_code(parts[0]) if isinstance(parts, list) and parts else ""
    return read_region(f"{country}-{part}") or country


def _iso_code(place: object) -> str:
    code = place.get("iso_code") if isinstance(place, dict) else None
    return code if isinstance(code, str) else ""
