"""The files the page loads: guard.js with the site's table compiled in, banner.js, banner.css.

All are served below one hash of their bytes, immutable and pre-compressed; comments and indentation stay here.
The guard repeats no decision: what it is given here is `decide` as a table a unit (signals that deny it), which the
tests compare with `decide` exhaustively, and the patterns that say whose a host, a cookie or a storage name is.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent_middleware.catalog.hosts import HostIndex
from consent_middleware.codec import token
from consent_middleware.policy import Rules, denied_by
from consent_middleware.resources import read_bytes
from consent_middleware.signals import Signals, WhenOn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consent_middleware.catalog import Catalog
    from consent_middleware.visitor import CookieNames

__all__ = ["Asset", "Assets", "site_table", "strip_script"]

_TYPES = {"js": b"text/javascript; charset=utf-8", "css": b"text/css; charset=utf-8"}
_FILES = ("guard.js", "banner.js", "banner.css")
_BLOCK_COMMENT = re.compile(r"/\*\*.*?\*/[ \t]*", re.DOTALL)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*$", re.MULTILINE)
_GPC, _DNT = Signals(gpc=True), Signals(dnt=True)


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
        """
        site = site_table(catalog, rules, names, hold=hold, allow_unknown=allow_unknown, reload=reload)
        sources = ["guard.js"]
        modes = _modes(catalog)
        if modes:
            site["modes"] = modes
            site["mode"] = dict(consent_mode or {})
            sources.append("signals.js")
        if gpp:
            sources.append("gpp.js")
        table = json.dumps(site, separators=(",", ":"), ensure_ascii=True)
        # "<" of the site never stands in the file, in case someone puts it into a page.
        guard = b"".join(map(_script, sources)).replace(
            b'"__SITE__"', table.replace("<", "\\u003c").encode("ascii")
        )
        files = {
            "guard.js": guard,
            "banner.js": _script("banner.js"),
            "banner.css": read_bytes("static", "banner", "banner.css"),
        }
        digest = hashlib.sha256()
        for name in _FILES:
            digest.update(files[name])
        self.hash = digest.hexdigest()[:12]
        self._files = {
            name: Asset(name, _TYPES[name.rpartition(".")[2]], data, gzip.compress(data, 9, mtime=0))
            for name, data in files.items()
        }

    def get(self, name: str) -> Asset | None:
        """Return a file by name."""
        return self._files.get(name)


def strip_script(source: str) -> str:
    """Return one of our own scripts without its comments and indentation.

    Knows our style only: comments of a line stand on lines of their own, ``/** */`` never stands in a string, and no
    text or template goes over several lines.
    """
    bare = _BLOCK_COMMENT.sub("", _LINE_COMMENT.sub("", source))
    return "".join(f"{line.strip()}\n" for line in bare.splitlines() if line.strip())


def _script(name: str) -> bytes:
    return strip_script(read_bytes("static", "banner", name).decode("utf-8")).encode("utf-8")


def site_table(
    catalog: Catalog,
    rules: Rules,
    names: CookieNames,
    *,
    hold: bool = True,
    allow_unknown: bool = False,
    reload: bool = False,
) -> dict[str, Any]:
    """Return what the guard needs to know of a site; nothing in it is about a visitor."""
    denied = {1: denied_by(catalog, rules, _GPC), 2: denied_by(catalog, rules, _DNT)}
    honour = rules.honoured(Signals(gpc=True, dnt=True))
    table = {
        "names": {"https": names.name(secure=True), "http": names.name(secure=False)},
        "fp": catalog.fingerprint,
        "units": list(catalog.units),
        "tokens": [token(unit) for unit in catalog.units],
        "category": {service.id: service.category for service in catalog.services.values()},
        "always": sorted(catalog.always),
        "asked": [i for i, unit in enumerate(catalog.units) if unit in catalog.asked],
        "deny": [sum(bit for bit, units in denied.items() if unit in units) for unit in catalog.units],
        "days": rules.consent_days,
        "quiet": rules.when_on is WhenOn.QUIET,
        "honour": (1 if honour.gpc else 0) | (2 if honour.dnt else 0),
    }
    if hold:
        table |= {
            "hosts": _hosts(catalog),
            "cookies": _cookies(catalog),
            "storage": _by_unit(
                (s.id, s.storage) for s in catalog.services.values() if s.id not in catalog.always
            ),
        }
    if allow_unknown:
        table["unknown"] = True
    if reload:
        table["reload"] = True
    return table


def _by_unit(entries: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Return patterns by the unit that lets them through, separated by spaces."""
    found: dict[str, dict[str, None]] = {}
    for unit, patterns in entries:
        found.setdefault(unit, {}).update(dict.fromkeys(patterns))
    return {unit: " ".join(patterns) for unit, patterns in found.items() if patterns}


def _hosts(catalog: Catalog) -> dict[str, str]:
    """Return the hosts that wait, by unit; of the free ones (unit ``""``) only what a held pattern covers too."""
    waiting = HostIndex((pattern, unit) for unit, s in catalog.reach if unit for pattern in s.hosts)

    def covered(pattern: str) -> bool:
        host, slash, path = pattern.partition("/")
        # A wildcard stands for any host below; what is held there only is more specific, and stays so.
        return bool(waiting.find(host.replace("*", "a"), slash + path or "/"))

    return _by_unit((unit, s.hosts if unit else filter(covered, s.hosts)) for unit, s in catalog.reach)


def _cookies(catalog: Catalog) -> dict[str, str]:
    """Return cookie patterns by unit, the essential ones under ``""``; a tie in the catalogue goes as `owners` says."""
    essential = set(catalog.essential_cookies)
    entries = [("", catalog.essential_cookies)]
    for service in catalog.services.values():
        unit = "" if service.id in catalog.always else service.id
        entries.append((unit, tuple(c.name for c in service.cookies if c.name not in essential)))
    return _by_unit(entries)


def _modes(catalog: Catalog) -> dict[str, str]:
    """Return the keys of vendors' consent modes with the declared services that list them, separated by spaces."""
    found: dict[str, list[str]] = {}
    for service in catalog.services.values():
        for key in service.consent_mode:
            found.setdefault(key, []).append(service.id)
    return {key: " ".join(ids) for key, ids in found.items()}
