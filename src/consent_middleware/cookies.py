"""The syntax of ``Cookie`` and ``Set-Cookie`` as browsers read it (RFC 6265bis sections 5.6 and 5.7).

Parses names and expiry and writes deletions. Decides nothing about who may set what: that is `filters`.
Values are bytes as they stand on the wire; names are decoded as latin-1, so every byte survives.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cookie_pairs", "deletion", "is_deletion", "pair_name", "set_cookie_name"]

_WHITE = b" \t"
_LIFETIME = re.compile(rb";[ \t]*(max-age|expires)[ \t]*(?:=([^;]*)|(?=;|\Z))", re.IGNORECASE)
_INTEGER = re.compile(rb"-?\d+\Z")
_MAX_ATTRIBUTE = 1_024
_DATE_TOKEN = re.compile(rb"[^\t -/;-@\[-`{-~]+")
_CLOCK = re.compile(rb"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)")
_DAY = re.compile(rb"(\d{1,2})(?!\d)")
_YEAR = re.compile(rb"(\d{2,4})(?!\d)")
_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_EPOCH = b"Thu, 01 Jan 1970 00:00:00 GMT"


def pair_name(piece: bytes) -> str:
    """Return the name of one ``name=value`` piece; a piece without ``=`` is a nameless value."""
    name, equals, _ = piece.partition(b"=")
    return name.strip(_WHITE).decode("latin-1") if equals else ""


def cookie_pairs(header: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each name and raw value of a ``Cookie`` header, duplicates included, in order."""
    for piece in header.split(b";"):
        name, equals, value = piece.partition(b"=")
        if equals:
            yield name.strip(_WHITE).decode("latin-1"), value.strip(_WHITE)


def set_cookie_name(value: bytes) -> str:
    """Return the name a ``Set-Cookie`` header sets."""
    return pair_name(value.partition(b";")[0])


def is_deletion(value: bytes, now: float) -> bool:
    """Return whether a ``Set-Cookie`` header removes its cookie.

    ``Max-Age`` beats ``Expires`` (COOKIE-1). Browsers differ in what they make of one that is repeated or
    cannot be read, so a deletion is only what every one of them says is past.

    Args:
        value: The header's value.
        now: Seconds since the epoch.
    """
    attributes = value.partition(b";")[2]
    if not attributes:
        return False
    ages, dates = _lifetime(attributes)
    if ages:
        return all(age is not None and age <= 0 for age in ages)
    return bool(dates) and all(date is not None and date <= now for date in dates)


@lru_cache(maxsize=1024)
def _lifetime(attributes: bytes) -> tuple[tuple[int | None, ...], tuple[float | None, ...]]:
    """Return every ``Max-Age`` (its sign) and ``Expires``, None for one that cannot be read.

    A site's cookies repeat their attributes, so they are remembered.
    """
    ages: list[int | None] = []
    dates: list[float | None] = []
    for key, argument in _LIFETIME.findall(b";" + attributes):
        text = argument.strip(_WHITE)
        readable = len(text) <= _MAX_ATTRIBUTE
        if key[:1] in b"eE":
            dates.append(_http_date(text) if readable else None)
        elif readable and _INTEGER.match(text):
            # Only the sign matters, and a browser may be sent hundreds of digits.
            ages.append(-1 if text.startswith(b"-") or not text.strip(b"0") else 1)
        else:
            ages.append(None)
    return tuple(ages), tuple(dates)


def _http_date(text: bytes) -> float | None:
    """Read a date as browsers do: any order of tokens, any zone ignored (RFC 6265bis 5.6.1)."""
    clock = day = month = year = None
    for part in _DATE_TOKEN.findall(text):
        if clock is None and (match := _CLOCK.match(part)):
            clock = (int(match[1]), int(match[2]), int(match[3]))
        elif day is None and (match := _DAY.match(part)):
            day = int(match[1])
        elif month is None and part[:3].lower() in _MONTHS:
            month = _MONTHS.index(part[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(part)):
            year = int(match[1]) + (1900 if 70 <= int(match[1]) <= 99 else 2000 if int(match[1]) < 70 else 0)
    if clock is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, *clock, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def deletion(
    name: str, *, path: str = "/", domain: str = "", secure: bool, partitioned: bool = False
) -> bytes:
    """Write the ``Set-Cookie`` value that deletes one variant of a cookie.

    A browser replaces by name, domain, host-only flag and path, and ignores a deletion that breaks the rules
    of a ``__Secure-`` or ``__Host-`` name, so those always get ``Secure`` (COOKIE-2, COOKIE-3).
    """
    parts = [f"{name}=; Path={path}".encode("latin-1"), b"Expires=" + _EPOCH, b"Max-Age=0"]
    if domain:
        parts.append(b"Domain=" + domain.encode("latin-1"))
    if secure or partitioned or name.lower().startswith(("__secure-", "__host-")):
        parts.append(b"Secure")
    if partitioned:
        parts += [b"SameSite=None", b"Partitioned"]
    return b"; ".join(parts)
