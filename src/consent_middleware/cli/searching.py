"""What a site's templates and scripts seem to use, by the hosts and texts that the catalogue knows.

A modest help for who begins: it reads files, not pages, and misses what a database or a tag manager puts in.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from consent_middleware.catalog import MARKETING, builtin_services, consent_managers
from consent_middleware.catalog.hosts import HostIndex
from consent_middleware.html.marks import marks
from consent_middleware.texts import available_languages
from consent_middleware.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.catalog import Service

__all__ = ["Found", "asked_for", "search"]

_SUFFIXES = frozenset({
    ".html", ".htm", ".jinja", ".jinja2", ".j2", ".djhtml", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte",
})  # fmt: skip
_SKIPPED = frozenset(
    {"node_modules", "site-packages", "__pycache__", "build", "dist", "tests", "test", "docs"}
)
_MAX_FILES = 1_000
_MAX_BYTES = 262_144
_MAX_ALL = 8_388_608
_MAX_SEEN = 50_000  # names, in a folder that is more than a site
_COMPUTED = re.compile(r"[{}$%<]")
_URL = re.compile(r"""(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\s"'`<>()]*""", re.IGNORECASE)
# A link to somebody's page loads nothing from there.
_NOT_LOADED = re.compile(r"<!--.*?-->|<(?:a|meta|form)\b[^>]*>|\{#.*?#\}", re.IGNORECASE | re.DOTALL)
# What asks for a category or a service: decorators, dependencies, template tags, the page's own functions.
_ASKS = re.compile(
    r"""(?:\brequires_consent\(|\bconsent\.allows\(|\bconsent_placeholder\(|\baccepted(?:Category|Service)\("""
    r"""|\{%-?\s*consent(?:_template|_placeholder)?\s)\s*["']([^"'\n]+)["']"""
)
_LANGUAGE = re.compile(r"""<html\b[^>]*\blang=["']?([a-zA-Z]{2,3}(?:-[a-zA-Z0-9]+)*)""")


@dataclass(slots=True)
class Found:
    """What was found, each with the first file that shows it.

    Attributes:
        services: By id of the catalogue.
        managers: Names of other consent managers.
        languages: Tags that pages say they are in, and that there are texts for.
    """

    services: dict[str, str] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)
    languages: dict[str, str] = field(default_factory=dict)


def search(folder: Path) -> Found:
    """Look through a folder's templates and scripts: at most 1,000 files, 256 kB of each, 8 MB in all."""
    found = Found()
    services, managers = builtin_services(), consent_managers()
    known = [*services.values(), *managers.values()]
    hosts = HostIndex((host, s) for s in known for host in s.hosts if not host.startswith("/"))
    inline: dict[str, tuple[Service, ...]] = {}
    for service in services.values():
        inline |= {one: (*inline.get(one, ()), service) for one in service.inline}
    for name, text in _texts(folder):
        for tag in _LANGUAGE.findall(text):
            if tag in available_languages():
                found.languages.setdefault(tag, name)
        loaded = _NOT_LOADED.sub("", text)
        places = (read_url(url) for url in dict.fromkeys(_URL.findall(loaded)))
        told = [hosts.find(place.host, place.path) for place in places if place]
        told += [owners for one, owners in inline.items() if one in loaded]
        for service in _meant(told):
            if managers.get(service.id) is service:
                found.managers.setdefault(service.name, name)
            else:
                found.services.setdefault(service.id, name)
    return found


def asked_for(folder: Path) -> dict[str, str]:
    """Return the categories and services that a folder's code, templates and scripts ask for, each with the first file.

    Within the bounds of `search`; what a template puts together is left out.
    """
    found: dict[str, str] = {}
    for name, text in _texts(folder, _SUFFIXES | {".py"}):
        known = (mark.removeprefix("!") for mark in marks(text.encode()) if not _COMPUTED.search(mark))
        for unit in (*_ASKS.findall(text), *" ".join(known).split()):
            found.setdefault(unit, name)
    return found


def _meant(told: list[tuple[Service, ...]]) -> list[Service]:
    """Return who is meant where several share a host or a text: who shows otherwise too, else the least intrusive."""
    certain = {owners[0].id: owners[0] for owners in told if len(owners) == 1}
    shared = [owners for owners in told if len(owners) > 1 and not any(s.id in certain for s in owners)]
    guessed = [min(owners, key=lambda s: (s.category == MARKETING, s.id)) for owners in shared]
    return list({s.id: s for s in (*certain.values(), *guessed)}.values())


def _texts(folder: Path, suffixes: frozenset[str] = _SUFFIXES) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file that may be part of a page, within the bounds."""
    left, files = _MAX_ALL, 0
    for path in _files(folder, suffixes):
        if files >= _MAX_FILES or left <= 0:
            return
        try:
            with path.open("rb") as file:
                data = file.read(min(_MAX_BYTES, left))
        except OSError:
            continue
        files, left = files + 1, left - len(data)
        yield path.relative_to(folder).as_posix(), data.decode("utf-8", "replace")


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    seen = 0
    for top, folders, names in os.walk(folder):
        kept = (name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        folders[:] = sorted(name for name in kept if not (Path(top) / name / "pyvenv.cfg").exists())
        seen += len(names)
        if seen > _MAX_SEEN:
            return
        for name in sorted(names):
            path = Path(top) / name
            if path.suffix.lower() in suffixes and path.is_file():
                yield path
