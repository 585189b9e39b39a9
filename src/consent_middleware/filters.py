"""Which cookies may be set, which the app may see, and which must go.

One `CookieFilter` is compiled for a set of granted and withdrawn units and shared by every visitor in that
state. Three states, three rules (DESIGN.md "Three states"): unanswered blocks creation and hides what is
declared, but deletes nothing; refused or withdrawn also expires what is declared; granted passes. What
nobody declares is never hidden and never expired, and is created only where marketing is granted or the
site says so. A `Set-Cookie` that deletes always passes.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from consent_middleware.catalog.model import ESSENTIAL, MARKETING, Catalog, name_forms
from consent_middleware.cookies import cookie_pairs, deletion, is_deletion, pair_name, set_cookie_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from consent_middleware.catalog.model import CookieSpec

__all__ = ["CookieFilter", "Verdict", "expire", "parent_domains", "path_variants"]

_EXPIRY_BUDGET = 3_000
_LINE = len("set-cookie: \r\n")
_MAX_PATHS = 6
_MAX_PATH = 256
_MAX_HOST = 253
_MAX_DOMAINS = 5
_MAX_NAME = 256
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\Z", re.ASCII)
_BREAKS = re.compile(rb"[\r\n\0]")


class Verdict(Enum):
    """What happens to a `Set-Cookie`, and why."""

    PASS = "pass"  # noqa: S105 - no password
    HOLD_DECLARED = "declared, and its service is not granted"
    HOLD_UNKNOWN = "declared by nobody"


class CookieFilter:
    """The cookie rules for one set of granted and withdrawn units.

    Args:
        catalog: What the site declares.
        granted: Units that may run.
        withdrawn: Units whose declared cookies are expired.
        allow_unknown: Whether cookies nobody declares may be created anyway (`[cookies] unknown`).
        own_names: The consent cookie's names; the app never sees them.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        granted: frozenset[str],
        withdrawn: frozenset[str],
        allow_unknown: bool,
        own_names: frozenset[str],
    ) -> None:
        self._catalog = catalog
        self._granted = granted | {ESSENTIAL}
        self._withdrawn = withdrawn
        self._unknown = Verdict.PASS if allow_unknown or MARKETING in granted else Verdict.HOLD_UNKNOWN
        self._own = own_names
        self.verdict = lru_cache(maxsize=2048)(self._verdict)
        self._written = lru_cache(maxsize=2048)(lambda head: self._verdict(pair_name(head)))
        self._hidden = lru_cache(maxsize=2048)(self._hides)

    def _verdict(self, name: str) -> Verdict:
        """Return what happens to the creation of a cookie of this name."""
        owners = self._catalog.owners(name)
        if not owners:
            return self._unknown
        return Verdict.PASS if self._allowed(owners) else Verdict.HOLD_DECLARED

    def hides(self, name: str) -> bool:
        """Return whether the app must not see a request cookie of this name; long ones are not remembered."""
        return self._hidden(name) if len(name) <= _MAX_NAME else self._hides(name)

    def _hides(self, name: str) -> bool:
        """Return whether the app must not see a request cookie of this name."""
        if name in self._own:
            return True
        owners = self._catalog.owners(name)
        return bool(owners) and not self._allowed(owners)

    def _allowed(self, owners: tuple[str, ...]) -> bool:
        return not self._granted.isdisjoint(owners)

    def set_cookie(self, value: bytes, now: float) -> Verdict:
        """Return what happens to one `Set-Cookie` header value; deletions pass, what could be two headers never."""
        if _BREAKS.search(value):
            return Verdict.HOLD_UNKNOWN
        # Remembered by the bytes up to the first "=", so that the usual cookie is not parsed at all.
        head, equals, _ = value.partition(b"=")
        if head.strip(b" \t") and b";" not in head:
            verdict = self._written(head + equals)
        else:  # nameless: "=_ga=1" comes back as "_ga=1", so it may be held as that, but never passes as that
            verdict = self.verdict(set_cookie_name(value.lstrip(b"= \t")))
            verdict = self._unknown if verdict is Verdict.PASS else verdict
        return Verdict.PASS if verdict is not Verdict.PASS and is_deletion(value, now) else verdict

    def request(self, header: bytes) -> bytes:
        """Return a `Cookie` header without what the app must not see; the same object if nothing goes."""
        pieces = header.split(b";")
        kept = [piece for piece in pieces if not self.hides(pair_name(piece))]
        return header if len(kept) == len(pieces) else b";".join(kept).lstrip(b" \t")

    def without_own(self, header: bytes) -> bytes:
        """Return a `Cookie` header without the consent cookie only: what mode `report` hides."""
        pieces = header.split(b";")
        return b";".join(piece for piece in pieces if pair_name(piece) not in self._own).lstrip(b" \t")

    def withdrawn_in(self, headers: Iterable[bytes]) -> tuple[str, ...]:
        """Return the names in the request's `Cookie` headers that must be expired."""
        if not self._withdrawn:
            return ()
        names = dict.fromkeys(name for header in headers for name, _ in cookie_pairs(header))
        return tuple(name for name in names if self._expires(name))

    def _expires(self, name: str) -> bool:
        owners = self._catalog.owners(name)
        return bool(owners) and not self._allowed(owners) and not self._withdrawn.isdisjoint(owners)


def parent_domains(host: str) -> tuple[str, ...]:
    """Return the domains a cookie seen by this host can have been set for, the host's own first.

    An address and a single label have none. A public suffix may be among them: browsers ignore those.
    """
    if len(host) > _MAX_HOST:
        return ()
    name = host.lower().rstrip(".")
    if not _HOST.match(name) or _is_address(name):
        return ()
    labels = name.split(".")
    suffixes = [".".join(labels[i:]) for i in range(len(labels) - 1)]
    # Of a very deep host its own name and the widest domains: there trackers set theirs.
    return (suffixes[0], *suffixes[1:][-_MAX_DOMAINS:])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def path_variants(path: str) -> tuple[str, ...]:
    """Return the `Path` attributes under which a cookie sent to this path can stand; `/` first.

    A path with characters that would end the attribute is left out, not escaped: no browser stores one.
    """
    found = ["/"]
    steps = path.split("/")[1:]
    for i in range(min(len(steps), _MAX_PATHS)):
        prefix = "/" + "/".join(steps[: i + 1])
        if len(prefix) > _MAX_PATH or not all(" " < c < "\x7f" and c != ";" for c in prefix):
            break
        found += [prefix, prefix + "/"] if i + 1 < len(steps) else [prefix]
    return tuple(dict.fromkeys(p for p in found if not p.endswith("//")))


def expire(
    catalog: Catalog, names: tuple[str, ...], *, host: str, path: str, secure: bool, now: float
) -> list[bytes]:
    """Write the `Set-Cookie` values that expire these cookies, 3 kB a response at most.

    Whatever variant the browser holds, its next document request shows the name again until it is gone. The
    first name changes with the time, so that one cookie that cannot be deleted never keeps the others.

    Args:
        catalog: Names the paths and the `Partitioned` cookies declared.
        names: Names found in the request.
        host: The request's host, without port.
        path: The request's path, as the browser sees it.
        secure: Whether the request came over HTTPS.
        now: Seconds since the epoch.
    """
    written: list[bytes] = []
    room = _EXPIRY_BUDGET
    start = int(now) % len(names) if names else 0
    for name in names[start:] + names[:start]:
        variants = _fitting(list(_variants(catalog, name, host=host, path=path, secure=secure)), now)
        if written and _size(variants) > room:
            break
        room -= _size(variants)
        written += variants
    return written


def _size(values: list[bytes]) -> int:
    return sum(len(value) + _LINE for value in values)


def _fitting(variants: list[bytes], now: float) -> list[bytes]:
    """Return as many variants as fit in one response; where some do not, other ones each time."""
    if _size(variants) <= _EXPIRY_BUDGET:
        return variants
    first = len(variants) // 3  # the likeliest stand first and go every time
    turn = first + int(now) % (len(variants) - first)
    ordered = (*variants[:first], *variants[turn:], *variants[first:turn])
    ends = accumulate(len(variant) + _LINE for variant in ordered)
    return [variant for variant, end in zip(ordered, ends, strict=True) if end <= _EXPIRY_BUDGET]


def _variants(catalog: Catalog, name: str, *, host: str, path: str, secure: bool) -> Iterator[bytes]:
    if not name or not all(" " <= c <= "\xff" and c not in ";=\x7f" for c in name):
        return
    if name.lower().startswith("__host-"):
        yield deletion(name, secure=True)
        if secure:
            yield deletion(name, secure=True, partitioned=True)
        return
    specs = tuple(_specs(catalog, name))
    domains = ("", *parent_domains(host))
    # The shortest path first, and for each the cookie of this very host: the likeliest come first.
    for variant in dict.fromkeys((*path_variants(path), *(spec.path for spec in specs))):
        for domain in domains:
            yield deletion(name, path=variant, domain=domain, secure=secure)
    for variant in dict.fromkeys(spec.path for spec in specs if spec.partitioned and secure):
        for domain in domains:
            yield deletion(name, path=variant, domain=domain, secure=True, partitioned=True)


def _specs(catalog: Catalog, name: str) -> Iterator[CookieSpec]:
    """Yield the declarations that a cookie of this name can stand for; one too many does no harm."""
    forms = name_forms(name)
    for owner in catalog.owners(name):
        service = catalog.services.get(owner)
        for spec in service.cookies if service else ():
            if spec.name in forms or "*" in spec.name:
                yield spec
