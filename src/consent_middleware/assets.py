"""The files the page loads: guard.js with the site's table compiled in, banner.js, banner.css.

All are served below one hash of their bytes, immutable and pre-compressed. The guard repeats no decision:
what it is given here is `decide` as a table a unit (signals that deny it), which the tests compare with
`decide` exhaustively.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent_middleware.codec import token
from consent_middleware.policy import Rules, denied_by
from consent_middleware.resources import read_bytes
from consent_middleware.signals import Signals, WhenOn

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog
    from consent_middleware.visitor import CookieNames

__all__ = ["Asset", "Assets", "site_table"]

_TYPES = {"js": b"text/javascript; charset=utf-8", "css": b"text/css; charset=utf-8"}
_FILES = ("guard.js", "banner.js", "banner.css")
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

    def __init__(self, catalog: Catalog, rules: Rules, names: CookieNames) -> None:
        table = json.dumps(site_table(catalog, rules, names), separators=(",", ":"), ensure_ascii=True)
        # "<" never stands in the file, in case someone puts it into a page.
        guard = read_bytes("static", "banner", "guard.js").replace(
            b'"__SITE__"', table.replace("<", "\\u003c").encode("ascii")
        )
        files = {
            name: guard if name == "guard.js" else read_bytes("static", "banner", name) for name in _FILES
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


def site_table(catalog: Catalog, rules: Rules, names: CookieNames) -> dict[str, Any]:
    """Return what the guard needs to know of a site; nothing in it is about a visitor."""
    denied = {1: denied_by(catalog, rules, _GPC), 2: denied_by(catalog, rules, _DNT)}
    honour = rules.honoured(Signals(gpc=True, dnt=True))
    return {
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
