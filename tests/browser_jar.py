"""A small model of a browser's cookies, written from RFC 6265bis: the oracle of the cookie tests.

Independent of the package on purpose: nothing of it is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = ["Jar", "SetCookie", "cookie_date", "pieces", "read_set_cookie"]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_PUBLIC = frozenset({"example", "com", "co.uk", "uk"})


@dataclass
class SetCookie:
    """One parsed `Set-Cookie` header."""

    name: str
    value: str
    attributes: dict[str, str] = field(default_factory=dict)

    def gone_at(self, now: float) -> bool:
        """Tell whether a browser would remove the cookie at once."""
        if "max-age" in self.attributes:
            return int(self.attributes["max-age"][:20]) <= 0
        if "expires" in self.attributes:
            return float(self.attributes["expires"]) <= now
        return False


def pieces(header: str) -> list[tuple[str, str, str]]:
    """Split a `Cookie` header: each raw piece with its name and value; no "=" means no name."""
    found = []
    for raw in header.split(";"):
        at = raw.find("=")
        name, value = ("", raw) if at < 0 else (raw[:at], raw[at + 1 :])
        found.append((raw, name.strip(" \t"), value.strip(" \t")))
    return found


def _number(text: str, low: int, high: int) -> int | None:
    """Read leading digits, low to high of them, with no further digit behind."""
    digits = ""
    while len(digits) < len(text) and text[len(digits)] in "0123456789":
        digits = text[: len(digits) + 1]
    return int(digits) if low <= len(digits) <= high else None


def _is_delimiter(char: str) -> bool:
    code = ord(char)
    return (
        code == 0x09
        or 0x20 <= code <= 0x2F
        or 0x3B <= code <= 0x40
        or 0x5B <= code <= 0x60
        or 0x7B <= code <= 0x7E
    )


def _time(part: str) -> tuple[int, int, int] | None:
    fields = part.split(":", 2)
    if len(fields) != 3:
        return None
    hour, minute = ((int(f) if f.isdigit() and f.isascii() and len(f) <= 2 else None) for f in fields[:2])
    second = _number(fields[2], 1, 2)
    return None if hour is None or minute is None or second is None else (hour, minute, second)


def cookie_date(text: str) -> float | None:
    """Read a date by the algorithm of RFC 6265bis 5.6.1, character by character."""
    parts = "".join(" " if _is_delimiter(char) else char for char in text).split(" ")
    found: dict[str, int] = {}
    clock: tuple[int, int, int] | None = None
    for part in filter(None, parts):
        if clock is None and (read := _time(part)) is not None:
            clock = read
        elif "day" not in found and (day := _number(part, 1, 2)) is not None:
            found["day"] = day
        elif "month" not in found and part[:3].lower() in _MONTHS:
            found["month"] = _MONTHS.index(part[:3].lower()) + 1
        elif "year" not in found and (year := _number(part, 2, 4)) is not None:
            found["year"] = year + 1900 if 70 <= year <= 99 else year + 2000 if year <= 69 else year
    if clock is None or len(found) != 3 or found["year"] < 1601:
        return None
    try:
        moment = datetime(found["year"], found["month"], found["day"], *clock, tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp()


def read_set_cookie(header: str) -> SetCookie:
    """Parse a `Set-Cookie` header (RFC 6265bis 5.6); the last valid attribute of a name counts."""
    head, *rest = header.split(";")
    if "=" in head:
        name, value = head[: head.index("=")], head[head.index("=") + 1 :]
    else:
        name, value = "", head
    found = SetCookie(name.strip(" \t"), value.strip(" \t"))
    for attribute in rest:
        at = attribute.find("=")
        key, text = (attribute, "") if at < 0 else (attribute[:at], attribute[at + 1 :])
        key, text = key.strip(" \t").lower(), text.strip(" \t")
        if len(text) > 1024:
            continue
        if key == "max-age":
            digits = text.removeprefix("-")
            if digits and all(char in "0123456789" for char in digits):
                found.attributes[key] = text
        elif key == "expires":
            moment = cookie_date(text)
            if moment is not None:
                found.attributes[key] = str(moment)
        else:
            found.attributes[key] = text
    return found


Key = tuple[str, str, bool, str, bool]


class Jar:
    """What a browser holds, and when it takes, replaces and sends it (RFC 6265bis 5.7, CHIPS)."""

    def __init__(self) -> None:
        self.held: dict[Key, tuple[str, bool]] = {}

    def take(self, header: str, *, host: str, path: str, secure: bool, now: float) -> bool:
        """Store, replace or delete; tell whether the browser heeded the header at all."""
        cookie = read_set_cookie(header)
        attributes = cookie.attributes
        domain = attributes.get("domain", "").removeprefix(".").lower()
        if domain in _PUBLIC and domain == host:
            domain = ""
        place = attributes.get("path", "")
        place = place if place.startswith("/") else self._default_path(path)
        refused = (
            not self._is_sound(header, cookie)
            or domain in _PUBLIC
            or bool(domain and not self._domain_match(host, domain))
            or not self._attributes_agree(cookie, secure=secure, host_only=not domain)
        )
        if refused:
            return False
        key = (cookie.name, domain or host, not domain, place, "partitioned" in attributes)
        if cookie.gone_at(now):
            self.held.pop(key, None)
        else:
            self.held[key] = (cookie.value, "secure" in attributes)
        return True

    @staticmethod
    def _is_sound(header: str, cookie: SetCookie) -> bool:
        if any((ord(char) < 32 and char != "\t") or ord(char) == 127 for char in header):
            return False
        return 0 < len(cookie.name) + len(cookie.value) <= 4096

    @staticmethod
    def _attributes_agree(cookie: SetCookie, *, secure: bool, host_only: bool) -> bool:
        attributes, lowered = cookie.attributes, cookie.name.lower()
        if "secure" not in attributes:
            wanting = attributes.get("samesite", "").lower() == "none" or "partitioned" in attributes
            return not (wanting or lowered.startswith(("__secure-", "__host-")))
        hosted = host_only and attributes.get("path") == "/"
        return secure and (hosted or not lowered.startswith("__host-"))

    def header(self, *, host: str, path: str, secure: bool) -> str:
        """Return the `Cookie` header of a request."""
        sent = [
            (place, f"{name}={value}")
            for (name, domain, host_only, place, _), (value, is_secure) in self.held.items()
            if (host == domain if host_only else self._domain_match(host, domain))
            and self._path_match(path, place)
            and (secure or not is_secure)
        ]
        return "; ".join(text for _, text in sorted(sent, key=lambda item: -len(item[0])))

    @staticmethod
    def _domain_match(host: str, domain: str) -> bool:
        return host == domain or (host.endswith("." + domain) and not host.replace(".", "").isdigit())

    @staticmethod
    def _default_path(path: str) -> str:
        return path.rpartition("/")[0] or "/"

    @staticmethod
    def _path_match(path: str, place: str) -> bool:
        return path == place or (path.startswith(place) and (place.endswith("/") or path[len(place)] == "/"))
