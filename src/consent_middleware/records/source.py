"""From where an answer came, as far as the site keeps it: nothing, shortened, or hashed with its key (REC-2).

Shortened: an address to its network (IPv4 /24, IPv6 /48), a browser's name to its main versions, a page to its path.
Hashed: 32 characters that tell whether two records came from the same place, and to nobody but the site's key's holder.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consent_middleware.records.model import NO_SOURCE, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.config.sections import RecordsSection

__all__ = ["Sources"]

_MAX = 256
_VERSION = re.compile(r"(?<=\d)[._]\w[\w.]*")
_COMMENT = re.compile(r"\([^)]*\)")


class Sources:
    """Take from a request what `[records]` says.

    Args:
        settings: ``ip``, ``user_agent`` and ``page``: ``none``, ``truncate`` or ``hash``.
        key: The site's secret key.

    Attributes:
        are_kept: Whether anything is.
    """

    def __init__(self, settings: RecordsSection, key: str) -> None:
        self._settings = settings
        self._key = key.encode()
        self.are_kept = {settings.ip, settings.user_agent, settings.page} != {"none"}

    def of(self, client: str | None, header: Callable[[bytes], bytes | None]) -> Source:
        """Return what is kept of a request.

        Args:
            client: The peer's address.
            header: Looks up a request header by lower-case name.
        """
        if not self.are_kept:
            return NO_SOURCE
        settings = self._settings
        return Source(
            ip=self._kept(settings.ip, "ip", _address(client or ""), _network),
            user_agent=self._kept(
                settings.user_agent, "user_agent", _text(header(b"user-agent")), _main_versions
            ),
            page=self._kept(settings.page, "page", _path(_text(header(b"referer"))), str),
        )

    def _kept(self, how: str, kind: str, value: str, shorten: Callable[[str], str]) -> str:
        if how == "none" or not value:
            return ""
        if how == "truncate":
            return shorten(value)[:_MAX]
        return hmac.digest(self._key, f"consent-middleware {kind}:{value}".encode(), "sha256").hex()[:32]


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1")


def _address(client: str) -> str:
    """Return an address in its one spelling, nothing for what is none."""
    try:
        found = ip_address(client.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _network(address: str) -> str:
    return str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))


def _main_versions(user_agent: str) -> str:
    """Return a browser's name without what tells one from its neighbours: comments, and all but the main versions."""
    return " ".join(_VERSION.sub("", _COMMENT.sub("", user_agent)).split())


def _path(referer: str) -> str:
    """Return the path of a page; what stands behind it may name somebody."""
    try:
        return urlsplit(referer).path
    except ValueError:
        return ""
