"""What a personal page does to caching headers, and which pages are shared (RFC 9110, RFC 9111, RFC 9213).

Works on lists of ``(name, value)`` byte pairs with lower-case names; never loosens what the app says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Headers", "is_shared", "make_private", "merge_vary", "suffix_etag", "unsuffix_etags", "without"]

Headers = list[tuple[bytes, bytes]]

_SHARED_HEADERS = frozenset({b"cdn-cache-control", b"surrogate-control"})
_PRIVATE = re.compile(rb"(?:^|,)\s*(?:private|no-store)\b", re.IGNORECASE)
_SHARED = re.compile(rb"(?:^|,)\s*(?:public|s-maxage)\b", re.IGNORECASE)
_LOOSE = re.compile(
    rb"\s*(?:public|s-maxage\s*=.*|proxy-revalidate|stale-while-revalidate\s*=.*)\s*\Z", re.IGNORECASE
)
_ETAG = re.compile(rb'(W/)?"([^"]*)"')
_MARK = b";consent-"


def without(headers: Headers, *names: bytes) -> Headers:
    """Return the headers without the named ones."""
    return [header for header in headers if header[0] not in names]


def _joined(headers: Headers, name: bytes) -> bytes:
    return b", ".join(value for key, value in headers if key == name)


def is_shared(headers: Headers) -> bool:
    """Return whether the app says that one copy may serve everybody, and sets no cookie."""
    names = {name for name, _ in headers}
    if b"set-cookie" in names:
        return False
    control = _joined(headers, b"cache-control")
    if _PRIVATE.search(control):
        return False
    return bool(_SHARED.search(control)) or not names.isdisjoint(_SHARED_HEADERS)


def merge_vary(headers: Headers, names: Iterable[bytes]) -> Headers:
    """Return the headers with these names added to ``Vary``, each once; ``*`` stays ``*`` (RFC 9110 12.5.5)."""
    present = [part.strip() for part in _joined(headers, b"vary").split(b",") if part.strip()]
    lowered = {part.lower() for part in present}
    if b"*" in lowered:
        return headers
    missing = [name for name in names if name.lower() not in lowered]
    return [*without(headers, b"vary"), (b"vary", b", ".join([*present, *missing]))]


def make_private(headers: Headers) -> Headers:
    """Return the headers with ``Cache-Control: private``; stricter directives stay, shared ones go."""
    control = _joined(headers, b"cache-control")
    kept = without(headers, b"cache-control", *_SHARED_HEADERS)
    directives = [part.strip() for part in control.split(b",") if part.strip() and not _LOOSE.match(part)]
    if not _PRIVATE.search(control):
        directives.insert(0, b"private")
    return [*kept, (b"cache-control", b", ".join(directives))]


def suffix_etag(etag: bytes, variant: bytes) -> bytes:
    """Return an entity tag for our variant of a page; weak, since the bytes are no longer the app's."""
    match = _ETAG.fullmatch(etag.strip())
    return b'W/"' + match[2] + _MARK + variant + b'"' if match else etag


def unsuffix_etags(if_none_match: bytes, variants: tuple[bytes, ...]) -> bytes:
    """Return ``If-None-Match`` as the app knows its tags.

    Tags of other variants go, so that a 304 never revives a page in another state; so do tags without a
    variant, which were given out before this middleware was there. Empty when none is left.
    """
    kept = [
        b'"' + tag.removesuffix(_MARK + variant) + b'"'
        for _, tag in _ETAG.findall(if_none_match)
        for variant in variants
        if tag.endswith(_MARK + variant)
    ]
    return b", ".join(kept)
