"""The files the page loads: guard.js with the site's table compiled in, banner.js, banner.css; receipt.css, policy.css.

All are served below one hash of their bytes, immutable and pre-compressed, as `make assets` builds them.
The guard repeats no decision: what it is given here is `decide` as a table a unit (signals that deny it), which the
tests compare with `decide` exhaustively, and the patterns that say whose a host, a cookie or a storage name is.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent_middleware.catalog.hosts import HostIndex
from consent_middleware.codec import state_size, token
from consent_middleware.policy import OPT_IN, Circumstances, Rules, denied_by
from consent_middleware.resources import read_bytes
from consent_middleware.signals import Signals, WhenOn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from consent_middleware.catalog import Catalog
    from consent_middleware.visitor import CookieNames

__all__ = ["Asset", "Assets", "guard_mode", "site_table"]

_TYPES = {"js": b"text/javascript; charset=utf-8", "css": b"text/css; charset=utf-8"}
_GPC, _DNT = Signals(gpc=True), Signals(dnt=True)
# Bits of a unit: the signals that deny it, whether it is asked about or always on, and where silence allows it: the
# same bits in the mode of a page.
_BOTH_SIGNALS, _DNT_ONLY = 3, 2
_ASKED, _ALWAYS, _SHARED, _UNSHARED, _BY_OBJECTION = 4, 8, 16, 32, 64
# What begins the text that stands for a cookie, for a name in storage; a host's text begins with the host.
_COOKIE, _STORED = "=", "#"


THEMES = ("paper", "ocean", "forest", "berry", "contrast")
_AS_BUILT = ("banner.js", "banner.css", "preferences.js", "form.css", "receipt.css", "policy.css")


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, plain and compressed."""

    name: str
    media_type: bytes
    plain: bytes
    compressed: bytes


class Assets:
    """The static files of one site.

    Attributes:
        hash: Changes with any byte of any file; part of their URLs.
    """

    def __init__(
        self,
        catalog: Catalog,
        rules: Rules,
        names: CookieNames,
        *,
        hold: bool = True,
        allow_unknown: bool = False,
        reload: bool = False,
        consent_mode: Mapping[str, Any] | None = None,
        gpp: bool = False,
        circumstances: Circumstances = OPT_IN,
        theme: str = "auto",
        style: bytes = b"",
    ) -> None:
        """Compile the files of one site.

        Args:
            catalog: What the site declares.
            rules: How a choice and the signals count.
            names: The consent cookie's names.
            hold: False (mode `report`): the guard intercepts nothing.
            allow_unknown: Whether scripts may create cookies that nobody declares.
            reload: Whether the page is loaded anew after a change.
            consent_mode: What vendors are told beside the state: ``wait_for_update_ms``, ``ads_data_redaction``,
                ``url_passthrough``.
            gpp: Whether the page has a ``__gpp`` function (CONFORMANCE IAB-2).
            circumstances: What holds for everyone: what the guard goes by where a page does not say.
            theme: Its colours are joined to the style sheet, if it is one of `THEMES`.
            style: The site's own rules, which come after all of ours.
        """
        site = site_table(
            catalog,
            rules,
            names,
            hold=hold,
            allow_unknown=allow_unknown,
            reload=reload,
            circumstances=circumstances,
        )
        modes = _modes(catalog)
        if modes:
            site |= {"modes": modes, "mode": dict(consent_mode or {})}
        parts = ("guard.js", *(("signals.js",) if modes else ()), *(("gpp.js",) if gpp else ()))
        files = {"guard.js": _with_table(parts, site)} | {name: _built(name) for name in _AS_BUILT}
        if theme in THEMES:
            files["banner.css"] += _built(f"theme-{theme}.css")
        files["banner.css"] += style
        self.hash = hashlib.sha256(b"".join(files.values())).hexdigest()[:12]
        self._files = {name: _asset(name, data) for name, data in files.items()}

    def get(self, name: str) -> Asset | None:
        """Return a file by name."""
        return self._files.get(name)


def _asset(name: str, data: bytes) -> Asset:
    return Asset(name, _TYPES[name.rpartition(".")[2]], data, gzip.compress(data, 9, mtime=0))


def _with_table(parts: Iterable[str], site: Mapping[str, Any]) -> bytes:
    """Return the guard, of one file or several, with the site's table in its place."""
    table = json.dumps(site, separators=(",", ":"), ensure_ascii=True)
    # "<" of the site never stands in the file, in case someone puts it into a page.
    return b"".join(map(_built, parts)).replace(b'"__SITE__"', table.replace("<", "\\u003c").encode("ascii"))


def _built(name: str) -> bytes:
    """Return a file without comments and long names; `make assets` builds them."""
    return read_bytes("static", "banner", "min", name)


def site_table(
    catalog: Catalog,
    rules: Rules,
    names: CookieNames,
    *,
    hold: bool = True,
    allow_unknown: bool = False,
    reload: bool = False,
    circumstances: Circumstances = OPT_IN,
) -> dict[str, Any]:
    """Return what the guard needs to know of a site; nothing in it is about a visitor."""
    denied = {1: denied_by(catalog, rules, _GPC), 2: denied_by(catalog, rules, _DNT)}
    honour = rules.honoured(Signals(gpc=True, dnt=True))

    def row(unit: str) -> list[str | int]:
        bits = sum(bit for bit, units in denied.items() if unit in units)
        service = catalog.services.get(unit)
        return [
            unit,
            token(unit),
            bits
            | (_ASKED if unit in catalog.prompted else _BY_OBJECTION)
            | (_SHARED if unit in catalog.shares else _UNSHARED)
            if unit in catalog.asked
            else bits,
            *([service.category] if service else []),
        ]

    table: dict[str, Any] = {
        # As the cookie begins, by the page's protocol.
        "names": {f"{scheme}:": f"{names.name(secure=scheme == 'https')}=v1" for scheme in ("https", "http")},
        "fp": catalog.fingerprint,
        "units": [*map(row, catalog.units), *_always_on(catalog)],
        "size": state_size(catalog),
        "life": rules.lifetime_s(circumstances.regime),
        "quiet": ((1 if honour.gpc else 0) | (2 if honour.dnt else 0))
        if rules.when_on is WhenOn.QUIET
        else 0,
    }
    if hold:
        table["rules"] = _rules([*_hosts(catalog), *_cookies(catalog), *_storage(catalog)])
    if not allow_unknown:
        table["unknown"] = ["marketing"]
    if reload:
        table["reload"] = True
    return table


def _always_on(catalog: Catalog) -> Iterator[list[str | int]]:
    """Yield the rows of what nobody is asked about."""
    for unit in sorted(catalog.always.difference(catalog.units)):
        service = catalog.services.get(unit)
        yield [unit, "", _ALWAYS, *([service.category] if service else [])]


def guard_mode(circumstances: Circumstances) -> int:
    """Return what the guard needs to know of a visitor that neither the cookie nor the browser tells it.

    Bits 1 and 2: the signals that an answer given in spite of them outweighs. 16, 32, 64: what silence allows: what
    sells, shares or targets; the rest; what an exemption allows until somebody objects.
    """
    if not circumstances.is_open:
        return _BOTH_SIGNALS | _BY_OBJECTION
    shared = 0 if circumstances.minor or circumstances.unreadable else _SHARED
    return (_BOTH_SIGNALS if circumstances.known else _DNT_ONLY) | shared | _UNSHARED | _BY_OBJECTION


def _rules(entries: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return patterns as regular expressions with the units that let them through; the first that matches counts.

    Args:
        entries: Pairs of a pattern (``*`` stands for anything) and a unit, the most specific first.

    Patterns of the same units are joined where nothing between them could match the same text.
    """
    owners: dict[str, dict[str, None]] = {}
    for pattern, unit in entries:
        owners.setdefault(pattern, {})[unit] = None
    groups: list[tuple[str, list[str]]] = []
    places: dict[str, dict[str, int]] = {}  # by what texts have in common: the group of each pattern
    for pattern, units in owners.items():
        joined, others = " ".join(units), places.setdefault(_kind(pattern), {})
        floor = max((place for other, place in others.items() if _overlap(pattern, other)), default=0)
        place = next((n for n in range(floor, len(groups)) if groups[n][0] == joined), len(groups))
        if place == len(groups):
            groups.append((joined, []))
        groups[place][1].append(_source(pattern))
        others[pattern] = place
    return [[units, "|".join(sources)] for units, sources in groups]


def _kind(pattern: str) -> str:
    """Return what two patterns share if one text can match both: of hosts the domain, of names what they name."""
    if pattern[0] in _COOKIE + _STORED:
        return pattern[0]
    return ".".join(pattern.partition("/")[0].rsplit(".", 2)[-2:])


def _overlap(one: str, other: str) -> bool:
    """Return False where no text can match both patterns."""
    if "*" not in one + other:
        return one == other
    head, start = one.partition("*")[0], other.partition("*")[0]
    return head.startswith(start) or start.startswith(head)


def _source(pattern: str) -> str:
    """Return a pattern in the syntax that Python and JavaScript share, for the beginning of a text."""
    anything = r"[\s\S]*" if pattern[0] in _COOKIE + _STORED else "[^/]*"
    open_end = pattern.endswith("*")
    parts = pattern.removesuffix("*").split("*")
    text = anything.join(re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", part) for part in parts)
    return text if open_end else text + "$"


def _hosts(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the hosts that wait, by unit; of the free ones (unit ``""``) only what a held pattern covers too."""
    waiting = HostIndex((pattern, unit) for unit, s in catalog.reach if unit for pattern in s.hosts)

    def covered(pattern: str) -> bool:
        host, slash, path = pattern.partition("/")
        # A wildcard stands for any host below; what is held there only is more specific, and stays so.
        return bool(waiting.find(host.replace("*", "a"), slash + path or "/"))

    declared = {pattern for service in catalog.services.values() for pattern in service.hosts}
    entries = [
        (pattern, unit)
        for unit, service in catalog.reach
        for pattern in service.hosts
        if (unit or covered(pattern)) and (service.id in catalog.services or pattern not in declared)
    ]
    for pattern, unit in sorted(entries, key=lambda entry: _specific(entry[0])):
        yield f"{pattern}*" if "/" in pattern else f"{pattern}/*", unit


def _specific(pattern: str) -> tuple[bool, int, int]:
    """Return a key that sorts the most specific host first, as `HostIndex` does."""
    host = pattern.partition("/")[0]
    return "*" in host, -len(host), -len(pattern)


def _cookies(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield cookie names by unit, the essential ones under ``""``, as `Catalog.owners` finds them."""
    essential = set(catalog.essential_cookies)
    entries = [(name, "") for name in catalog.essential_cookies]
    for service in catalog.services.values():
        unit = "" if service.id in catalog.always else service.id
        entries += [(cookie.name, unit) for cookie in service.cookies if cookie.name not in essential]
    return _names(_COOKIE, entries)


def _storage(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield names in storage by the declared service that owns them."""
    services = [service for service in catalog.services.values() if service.id not in catalog.always]
    return _names(_STORED, [(name, service.id) for service in services for name in service.storage])


def _names(mark: str, entries: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield names and patterns of names: exact ones first, then the longest pattern."""

    def order(entry: tuple[str, str]) -> int:
        name, _ = entry
        return -len(name) if "*" in name else -sys.maxsize

    for name, unit in sorted(entries, key=order):
        yield mark + name, unit


def _modes(catalog: Catalog) -> dict[str, str]:
    """Return the keys of vendors' consent modes with the declared services that list them, separated by spaces."""
    found: dict[str, list[str]] = {}
    for service in catalog.services.values():
        for key in service.consent_mode:
            found.setdefault(key, []).append(service.id)
    return {key: " ".join(ids) for key, ids in found.items()}
