"""What a site declares: categories, services and their cookies, compiled for look-up by name.

Decides which declaration a cookie name belongs to, and what a visitor can be asked about (the *units*).
Knows nothing of visitors, signals or choices: those are `policy`'s.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType

from consent_middleware.errors import UnknownIdError

__all__ = [
    "ANALYTICS",
    "ESSENTIAL",
    "MARKETING",
    "Basis",
    "Catalog",
    "Category",
    "CookieIndex",
    "CookieSpec",
    "Service",
    "base_name",
    "name_forms",
]

ANALYTICS = "analytics"
ESSENTIAL = "essential"
MARKETING = "marketing"

Text = str | Mapping[str, str]
"""A text, or one a language: ``{"en": "...", "de": "..."}``. A table cannot be hashed, so what has one leaves it out."""


class Basis(StrEnum):
    """On what ground a category may be used (CONFORMANCE EU-8)."""

    CONSENT = "consent"
    EXEMPT = "exempt"
    EXEMPT_WITH_OBJECTION = "exempt_with_objection"


@dataclass(frozen=True, slots=True)
class CookieSpec:
    """A declared cookie.

    Attributes:
        name: The exact name, or a pattern with ``*`` for any run of characters.
        retention: An ISO 8601 duration (``P13M``) or ``session``.
        purpose: One plain sentence for visitors.
        path: The path it is set on; needed to delete it.
        partitioned: Whether it is set with ``Partitioned``; needed to delete it.
    """

    name: str
    retention: str = "session"
    purpose: Text = field(default="", hash=False)
    path: str = "/"
    partitioned: bool = False


@dataclass(frozen=True, slots=True)
class Category:
    """A purpose the visitor can agree to. ``title`` and ``description`` fall back to the built-in texts."""

    id: str
    basis: Basis = Basis.CONSENT
    title: Text = field(default="", hash=False)
    description: Text = field(default="", hash=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A third party, or a part of the site, that stores or reads something.

    Attributes:
        sells_or_shares: True unless the site declares the vendor a service provider (CONFORMANCE CA-11).
        hold: False lets its tags load before consent; they are told to hold back by their own consent mode.
        hosts: ``host``, ``*.host`` (below it), ``host/path-prefix``, or ``/path-prefix`` on the site's own hosts.
        inline: Texts that tell an inline script to be this service's.
        storage: Names in localStorage, sessionStorage and IndexedDB, with ``*`` for any run of characters.
        consent_mode: Which keys of a vendor's consent mode it obeys, e.g. ``google.ad_storage`` (GCM-1 to GCM-4).
    """

    id: str
    name: str
    category: str
    provider: str = ""
    country: str = ""
    policy_url: str = ""
    description: Text = field(default="", hash=False)
    sells_or_shares: bool = True
    hold: bool = True
    hosts: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    storage: tuple[str, ...] = ()
    consent_mode: tuple[str, ...] = ()
    cookies: tuple[CookieSpec, ...] = ()

    @property
    def processing(self) -> list[object]:
        """What it does, without its wording (EU-6)."""
        return [
            self.id,
            self.category,
            self.provider,
            self.country,
            self.sells_or_shares,
            sorted(self.hosts),
            sorted(self.storage),
            sorted([c.name, c.retention] for c in self.cookies),
        ]


_MAX_NAME = 256
_PREFIX = re.compile(r"__(?:secure|host)-", re.IGNORECASE)
_CHUNK = re.compile(r"(?:[-.]\d{1,3}|C\d{1,2})\Z")


def base_name(name: str) -> str:
    """Return a cookie's name without its ``__Host-`` / ``__Secure-`` prefix (case-insensitive, COOKIE-3)."""
    match = _PREFIX.match(name)
    return name[match.end() :] if match else name


def name_forms(name: str) -> tuple[str, ...]:
    """Return the names a cookie can be declared under: its own, without prefix, as the head of its chunks."""
    bare = base_name(name)
    return tuple(dict.fromkeys((name, bare, _CHUNK.sub("", name), _CHUNK.sub("", bare))))


class CookieIndex:
    """Find the owner of a cookie name: exact names first, then the longest matching pattern.

    A name is tried as it is, then without its ``__Host-`` or ``__Secure-`` prefix, then as a chunk of a
    family that software splits when it grows too long: ``session-0``, ``session.1``, ``.AspNet.CookiesC2``.
    """

    def __init__(self, entries: Mapping[str, tuple[str, ...]]) -> None:
        self._exact = {name: owners for name, owners in entries.items() if "*" not in name}
        patterns = sorted((name for name in entries if "*" in name), key=lambda n: (-len(n), n))
        self._patterns = tuple(
            (re.compile(".*".join(map(re.escape, name.split("*"))) + r"\Z", re.DOTALL), entries[name])
            for name in patterns
        )
        self._found = lru_cache(maxsize=2048)(self._find)

    def find(self, name: str) -> tuple[str, ...]:
        """Return the owners of ``name``, empty when nobody declares it; long names are not remembered."""
        return self._found(name) if len(name) <= _MAX_NAME else self._find(name)

    def _find(self, name: str) -> tuple[str, ...]:
        for candidate in name_forms(name):
            owners = self._lookup(candidate) if candidate else ()
            if owners:
                return owners
        return ()

    def _lookup(self, name: str) -> tuple[str, ...]:
        exact = self._exact.get(name)
        if exact:
            return exact
        for pattern, owners in self._patterns:
            if pattern.match(name):
                return owners
        return ()


@dataclass(frozen=True)
class Catalog:
    """Everything a site declares, compiled.

    Attributes:
        categories: By id, in the order shown; ``essential`` first.
        services: By id, in the order shown.
        essential_cookies: Names and patterns that pass without any choice.
        controller: The controller's name; part of the fingerprint.
        declared_categories: Categories the site lists itself; they are asked about even without services.
        undeclared: Services that are known without being declared; nobody is asked about them.
    """

    categories: Mapping[str, Category]
    services: Mapping[str, Service]
    essential_cookies: tuple[str, ...] = ()
    controller: str = ""
    declared_categories: frozenset[str] = frozenset()
    undeclared: tuple[Service, ...] = ()
    _cookies: CookieIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", MappingProxyType(dict(self.categories)))
        object.__setattr__(self, "services", MappingProxyType(dict(self.services)))
        entries: dict[str, tuple[str, ...]] = {}
        for service in self.services.values():
            for cookie in service.cookies:
                entries[cookie.name] = (*entries.get(cookie.name, ()), service.id)
        entries.update(dict.fromkeys(self.essential_cookies, (ESSENTIAL,)))
        object.__setattr__(self, "_cookies", CookieIndex(entries))

    def owners(self, cookie_name: str) -> tuple[str, ...]:
        """Return the ids of the services that declare a cookie, ``("essential",)``, or ``()`` for nobody."""
        return self._cookies.find(cookie_name)

    @cached_property
    def always(self) -> frozenset[str]:
        """Units that need no consent: essential and exempt categories, and their services."""
        exempt = {c.id for c in self.categories.values() if c.id == ESSENTIAL or c.basis is Basis.EXEMPT}
        return frozenset(exempt | {s.id for s in self.services.values() if s.category in exempt})

    @cached_property
    def units(self) -> tuple[str, ...]:
        """What a choice says yes or no to: categories, then services, each sorted by id.

        The order is that of the bits in the consent cookie, so it is part of what the fingerprint covers.
        """
        return (
            *sorted(c for c in self.categories if c not in self.always),
            *sorted(s for s in self.services if s not in self.always),
        )

    @cached_property
    def asked(self) -> frozenset[str]:
        """The units a visitor is asked about: services, and categories that are in use.

        A category is in use when a service belongs to it or the site lists it. A site that declares nothing
        at all is asked about by all default categories, so that tags marked up by category still work.
        """
        listed = {s.category for s in self.services.values()} | self.declared_categories
        categories = {c for c in self.categories if c not in self.always}
        in_use = categories & listed if self.services or self.declared_categories else categories
        return frozenset(in_use | {s for s in self.services if s not in self.always})

    @cached_property
    def unasked(self) -> frozenset[str]:
        """The categories that no visitor is ever asked about: no service is in them, and the site does not list them."""
        return frozenset(c for c in self.categories if c not in self.asked and c not in self.always)

    @cached_property
    def prompted(self) -> frozenset[str]:
        """The units that the banner asks about: an objection is offered, not asked for (EU-8)."""
        by_objection = {c.id for c in self.categories.values() if c.basis is Basis.EXEMPT_WITH_OBJECTION}
        return frozenset(
            unit
            for unit in self.asked
            if (self.services[unit].category if unit in self.services else unit) not in by_objection
        )

    @cached_property
    def shares(self) -> frozenset[str]:
        """The units that sell, share or target (M in the decision table): what GPC denies."""
        services = {s.id for s in self.services.values() if s.sells_or_shares and s.id not in self.always}
        whole = {
            c
            for c in self.categories
            if c == MARKETING or any(s.category == c and s.id in services for s in self.services.values())
        }
        marketing = {s.id for s in self.services.values() if s.category == MARKETING}
        return frozenset((services | whole | marketing) - self.always)

    @cached_property
    def reach(self) -> tuple[tuple[str, Service], ...]:
        """Every service that is known by its hosts, with the unit that lets its tags through.

        That unit is the service itself where it is declared, empty where its tags need no consent. A service
        that measures or advertises without being declared waits for the category that covers it: marketing if
        it sells or shares, like a cookie that nobody declares. Any other that nobody declared passes.
        """
        declared = ((self._gate(s), s) for s in self.services.values())
        undeclared = ((self._undeclared_gate(s), s) for s in self.undeclared)
        return (*declared, *undeclared)

    def _gate(self, service: Service) -> str:
        return "" if service.id in self.always or not service.hold else service.id

    def _undeclared_gate(self, service: Service) -> str:
        if service.category not in (ANALYTICS, MARKETING):
            return ""
        gate = MARKETING if service.sells_or_shares else service.category
        return "" if gate in self.always else gate

    def services_of(self, category: str) -> tuple[Service, ...]:
        """Return the services of one category, in the order shown."""
        return tuple(s for s in self.services.values() if s.category == category)

    def check_id(self, unit: str) -> str:
        """Return ``unit`` if it is a category or service of this site.

        Raises:
            UnknownIdError: It is neither.
        """
        if unit in self.categories or unit in self.services:
            return unit
        known = (*self.categories, *self.services)
        nearest = get_close_matches(unit, known, n=1)
        raise UnknownIdError(unit, known, nearest[0] if nearest else None)

    def why_never(self, unit: str) -> str:
        """Return why nobody can ever grant what is called ``unit``, and how to mend it; empty where somebody can."""
        if unit in self.asked or unit in self.always:
            return ""
        if unit not in self.unasked:
            try:
                self.check_id(unit)
            except UnknownIdError as error:
                return str(error)
        return (
            f"{unit!r} is a category without any service, so visitors are not asked about it, and it is never granted. In "
            f"consent.toml, declare the service that it is for, or, where there is none, list the category itself:\n"
            f'[[categories]]\nid = "{unit}"'
        )

    @cached_property
    def fingerprint(self) -> str:
        """Eight characters that change when the *processing* changes, never with the wording (EU-6)."""
        processing = {
            "controller": self.controller,
            "categories": sorted(
                (c.id, c.basis.value) for c in self.categories.values() if c.id in self.asked
            ),
            "units": self.units,
            "services": sorted(s.processing for s in self.services.values()),
        }
        digest = hashlib.sha256(json.dumps(processing, sort_keys=True).encode()).digest()
        return urlsafe_b64encode(digest[:6]).decode()
