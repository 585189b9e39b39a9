"""Whose tags wait for consent: URLs and inline scripts, judged for one set of granted units.

One `Holding` is compiled for a set of granted units and shared by every visitor in that state; where nothing waits
there is none, so that a page costs nothing. Knows nothing of HTML: `html.rewriter` asks it about what it finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.catalog import MARKETING, Service
from consent_middleware.catalog.hosts import HostIndex
from consent_middleware.urls import Location, read_host

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog

__all__ = ["Held", "Holding", "Holdings"]

_MAX_HOST = 512
_MAX_LOOKS = 8_192
_TELLINGS = 3


@dataclass(frozen=True, slots=True)
class Held:
    """Something that waits.

    Attributes:
        units: What lets it through once granted: any one of them.
        service: Whose it is, to be named to the visitor and in logs.
        declared: Whether the site declares that service.
    """

    units: tuple[str, ...]
    service: Service
    declared: bool


@dataclass(frozen=True, slots=True)
class _Owner:
    unit: str
    service: Service
    declared: bool


class Holdings:
    """What waits, for every set of granted units. One object a site.

    Args:
        catalog: What the site declares, and what is known beside it.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        declared = catalog.services
        entries: list[tuple[str, _Owner]] = []
        taken: set[str] = set()
        for unit, service in catalog.reach:
            is_declared = service.id in declared
            for pattern in service.hosts:
                if is_declared:
                    taken.add(pattern)
                elif pattern in taken:  # the site's word about a host it shares with others
                    continue
                entries.append((pattern, _Owner(unit, service, is_declared)))
        self._index = HostIndex(entries)
        self._units = catalog.asked | {unit for unit, _ in catalog.reach if unit}
        self._compiled = lru_cache(maxsize=512)(self._compile)
        self._of = lru_cache(maxsize=512)(lambda granted: self._compiled(granted & self._units))

    def of(self, granted: frozenset[str]) -> Holding | None:
        """Return what waits where these units are granted, None where nothing does; the same object each time."""
        return self._of(granted)

    def _compile(self, granted: frozenset[str]) -> Holding | None:
        if granted == self._units:
            return None
        inline = [
            (text, unit, service)
            for unit, service in self._catalog.reach
            if unit and unit not in granted and service.id in self._catalog.services
            for text in service.inline
        ]
        return Holding(self._catalog, self._index, granted, inline)


class Holding:
    """What waits for one set of granted units.

    Args:
        catalog: What the site declares.
        index: Every known host and path.
        granted: The units that may run.
        inline: Texts of inline scripts that wait, with their unit and service.

    Attributes:
        has_inline: Whether inline scripts are.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: HostIndex[_Owner],
        granted: frozenset[str],
        inline: list[tuple[str, str, Service]],
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._granted = granted
        self._inline = {
            text.encode(): Held((unit,), service, declared=True) for text, unit, service in inline
        }
        self._texts = re.compile(b"|".join(map(re.escape, self._inline))) if inline else None
        self.has_inline = bool(inline)
        self._judge = lru_cache(maxsize=1024)(self._judged)
        self.has_own = lru_cache(maxsize=256)(self._has_own)
        self._looks: dict[bytes, int] = {}

    def at(self, location: Location, own_host: str = "") -> Held | None:
        """Return what waits behind a URL, None where it may be asked for.

        Args:
            location: Where the URL points.
            own_host: The page's; what is only known, not declared, never holds a site's own pages.
        """
        host = "" if location.host == own_host else location.host
        owners = self._index.find(host, location.path)
        if not host and not owners and own_host:
            owners = tuple(o for o in self._index.find(own_host, location.path) if o.declared)
        return self._judge(owners)

    def inline(self, text: bytes) -> Held | None:
        """Return the service whose inline script this is, None where it is nobody's who waits."""
        match = self._texts.search(text) if self._texts else None
        return self._inline[match[0]] if match else None

    def named(self, name: str) -> Held | None:
        """Return what a tag waits for that names a category or a declared service, None if it need not wait."""
        catalog = self._catalog
        services = (catalog.services[name],) if name in catalog.services else catalog.services_of(name)
        waiting = [s for s in services if s.id not in catalog.always and s.id not in self._granted]
        return Held((name,), waiting[0], declared=name in catalog.services) if waiting else None

    def marked(self, names: str) -> Held | None:
        """Return what waits inside an element that the page marked up, for any one of these names, declared or not."""
        units = tuple(names.split())
        if any(unit in self._catalog.always or unit in self._granted for unit in units):
            return None
        first = units[0] if units else ""
        service = self._catalog.services.get(first) or Service(id=first, name=first, category=first)
        return Held(units, service, declared=True) if units else None

    def passing(self, location: Location) -> Service | None:
        """Return a known service behind a URL that nobody declared and that passes all the same."""
        owners = self._index.find(location.host, location.path)
        return next((o.service for o in owners if not o.declared and not o.unit), None)

    def _has_own(self, host: str) -> bool:
        """Return whether something on the page's own host is held, so that relative URLs must be read too."""
        own = (o for o in (*self._index.on_host(""), *self._index.on_host(host)) if o.declared)
        return any(o.unit and o.unit not in self._granted for o in own)

    def _judged(self, owners: tuple[_Owner, ...]) -> Held | None:
        if not owners or any(not o.unit or o.unit in self._granted for o in owners):
            return None
        # Of several that nobody declared the one that is no marketing is proposed, as `init` does (gtag.js is Google's for both).
        first = (
            owners[0] if owners[0].declared else min(owners, key=lambda o: o.service.category == MARKETING)
        )
        return Held(tuple(dict.fromkeys(o.unit for o in owners)), first.service, first.declared)

    def concerns(self, authority: bytes) -> bool:
        """Return whether what stands behind ``//`` makes it worth reading a page's tags: a quick look, remembered."""
        looks = self._looks.get(authority)
        if looks is None:
            looks = self._look(authority)
            if len(self._looks) < _MAX_LOOKS and len(authority) <= _MAX_HOST:
                self._looks[authority] = looks
        elif looks > 0:
            self._looks[authority] = looks - 1
        return looks != 0

    def _look(self, authority: bytes) -> int:
        """Return how often a host is worth a look: each time where something waits, seldom where it is only told."""
        owners = self._index.on_host(read_host(authority.decode("utf-8", "replace")))
        if any(o.unit and o.unit not in self._granted for o in owners):
            return -1
        return _TELLINGS if any(not o.declared and not o.unit for o in owners) else 0
