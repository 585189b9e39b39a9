"""Who is behind a URL: hosts and path prefixes, found by look-up.

A pattern is ``host``, ``*.host`` (every host below it), ``host/path-prefix``, ``*.host/path-prefix`` or
``/path-prefix`` (on the site's own hosts). The most specific one decides: an exact host before a wildcard, a longer
name before a shorter one, a longer path before a shorter one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HostIndex"]

Owner = TypeVar("Owner")
_MAX_HOST = 255


class HostIndex(Generic[Owner]):
    """Find the owners of a host and path.

    Args:
        entries: Pairs of a pattern and its owner; several may own the same pattern.
    """

    def __init__(self, entries: Iterable[tuple[str, Owner]]) -> None:
        # By host, then by path prefix, longest first; the site's own hosts are the empty name.
        self._hosts: dict[str, dict[str, list[Owner]]] = {}
        for pattern, owner in entries:
            host, slash, path = pattern.partition("/")
            below = self._hosts.setdefault(host, {})
            below.setdefault(slash + path, []).append(owner)
        for host, below in self._hosts.items():
            self._hosts[host] = dict(sorted(below.items(), key=lambda item: -len(item[0])))

    def on_host(self, host: str) -> list[Owner]:
        """Return everybody who owns something on this host, whatever the path."""
        return [o for name in _names(host) for owners in self._hosts.get(name, {}).values() for o in owners]

    def find(self, host: str, path: str) -> tuple[Owner, ...]:
        """Return the owners of the most specific pattern, empty for nobody's.

        Args:
            host: Lower-case, without port; empty for the site's own.
            path: With its leading slash.
        """
        for name in _names(host):
            for prefix, owners in self._hosts.get(name, {}).items():
                if path.startswith(prefix):
                    return tuple(owners)
        return ()


def _names(host: str) -> Iterable[str]:
    """Yield what a host can be listed as, the most specific first: itself, then wildcards above it."""
    yield host
    if len(host) > _MAX_HOST:
        return
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"
