"""What a personal page does to caching headers, and which pages are shared (RFC 9110, RFC 9111, RFC 9213).

Works on lists of ``(name, value)`` byte pairs with lower-case names; never loosens what the app says.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SHARED_HEADERS",
    "Headers",
    "is_shared",
    "joined",
    "make_private",
    "private_control",
    "suffix_etag",
    "unsuffix_etags",
    "vary_with",
]

Headers = list[tuple[bytes, bytes]]

SHARED_HEADERS = (b"cdn-cache-control", b"surrogate-control")
_CACHING = frozenset({b"cache-control", b"vary", *SHARED_HEADERS})
_PRIVATE = re.compile(rb"(?:^|,)\s*(?:private|no-store)\b", re.IGNORECASE)
# private="x-name" is about one header only, and leaves the rest to shared caches.
_ALL_PRIVATE = re.compile(rb"(?:^|,)\s*(?:private|no-store)\s*(?:,|\Z)", re.IGNORECASE)
_SHARED = re.compile(rb"(?:^|,)\s*(?:public|s-maxage)\b", re.IGNORECASE)
_LOOSE = re.compile(
    rb"\s*(?:public|s-maxage\s*=.*|proxy-revalidate|stale-while-revalidate\s*=.*)\s*\Z", re.IGNORECASE
)
_ETAG = re.compile(rb'(W/)?"([^"]*)"')
_MARK = b";consent-"


def joined(headers: Headers) -> dict[bytes, bytes]:
    """Return the headers by name, repeated ones joined with a comma (RFC 9110 5.3)."""
    values = dict(headers)
    if len(values) != len(headers):
        values = {}
        for name, value in headers:
            values[name] = values[name] + b", " + value if name in values else value
    return values


def is_shared(values: Mapping[bytes, bytes]) -> bool:
    """Return whether the app says that one copy may serve everybody, and sets no cookie."""
    control = values.get(b"cache-control")
    if control is None:
        return any(name in values for name in SHARED_HEADERS) and b"set-cookie" not in values
    if b"set-cookie" in values or _PRIVATE.search(control):
        return False
    return bool(_SHARED.search(control)) or any(name in values for name in SHARED_HEADERS)


@lru_cache(maxsize=512)
def vary_with(vary: bytes, names: tuple[bytes, ...]) -> bytes:
    """Return a ``Vary`` value with these names added, each once; ``*`` stays ``*`` (RFC 9110 12.5.5)."""
    present = [part.strip() for part in vary.split(b",") if part.strip()]
    lowered = {part.lower() for part in present}
    if b"*" in lowered:
        return vary
    return b", ".join([*present, *(name for name in names if name.lower() not in lowered)])


@lru_cache(maxsize=512)
def private_control(control: bytes) -> bytes:
    """Return a ``Cache-Control`` value made private; stricter directives stay, shared ones go."""
    directives = [part.strip() for part in control.split(b",") if part.strip() and not _LOOSE.match(part)]
    if not _ALL_PRIVATE.search(control):
        directives.insert(0, b"private")
    return b", ".join(directives)


def make_private(headers: Headers, vary: tuple[bytes, ...]) -> Headers:
    """Return the headers of a personal response: ``Cache-Control: private``, and what it varies by.

    Directives that only speak to shared caches, and their own headers, go.
    """
    kept: Headers = []
    caching: Headers = []
    for header in headers:
        (caching if header[0] in _CACHING else kept).append(header)
    values = joined(caching)
    kept.append((b"vary", vary_with(values.get(b"vary", b""), vary)))
    kept.append((b"cache-control", private_control(values.get(b"cache-control", b""))))
    return kept


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
