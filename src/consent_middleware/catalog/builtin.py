"""The built-in catalogue: one TOML file a service, written from public facts, consent managers, and cookie presets.

Reads the files that ship with the package; decides nothing about a site.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from consent_middleware.catalog.model import ESSENTIAL, CookieIndex, CookieSpec, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "builtin_services",
    "consent_managers",
    "known_cookie_owners",
    "preset_cookies",
    "service_from_table",
]


def service_from_table(service_id: str, table: Mapping[str, Any]) -> Service:
    """Build a service from a validated table of the same shape as ``[[services]]`` in consent.toml."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    fields["cookies"] = tuple(CookieSpec(**cookie) for cookie in table.get("cookies", ()))
    fields.setdefault("name", service_id)
    return Service(**{**fields, "id": service_id})


def _in_english(table: dict[str, Any]) -> dict[str, Any]:
    """Say of what visitors read that it is English, so that pages in other languages can tell."""
    for part, key in ((table, "description"), *((cookie, "purpose") for cookie in table.get("cookies", ()))):
        if key in part:
            part[key] = {"en": part[key]}
    return table


@cache
def builtin_services() -> Mapping[str, Service]:
    """Return every service the package knows, by id."""
    folder = files(__package__).joinpath("services")
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            service_id = entry.name.removesuffix(".toml")
            table = _in_english(tomllib.loads(entry.read_text("utf-8")))
            found[service_id] = service_from_table(service_id, table)
    return MappingProxyType(found)


@cache
def consent_managers() -> Mapping[str, Service]:
    """Return the other consent managers that a page may load, by id; nobody declares one, and none is held."""
    tables = tomllib.loads(files(__package__).joinpath("managers.toml").read_text("utf-8"))
    return MappingProxyType(
        {id_: service_from_table(id_, {**table, "category": ESSENTIAL}) for id_, table in tables.items()}
    )


@cache
def preset_cookies() -> Mapping[str, tuple[str, ...]]:
    """Return the essential cookies of known software: ``{"django": ("csrftoken", ...), ...}``."""
    text = files(__package__).joinpath("presets.toml").read_text("utf-8")
    return MappingProxyType({name: tuple(cookies) for name, cookies in tomllib.loads(text).items()})


@cache
def _known() -> CookieIndex:
    entries: dict[str, tuple[str, ...]] = {}
    for service in builtin_services().values():
        for cookie in service.cookies:
            entries[cookie.name] = (*entries.get(cookie.name, ()), service.id)
    return CookieIndex(entries)


def known_cookie_owners(name: str) -> tuple[Service, ...]:
    """Return the non-essential built-in services that are known to set a cookie of this name."""
    owners = (builtin_services()[owner] for owner in _known().find(name))
    return tuple(service for service in owners if service.category != ESSENTIAL)
