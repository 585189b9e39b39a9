"""Read a URL in a page as a browser does, as far as its host and path.

Decides which host a browser would ask, however the URL is spelt: white space and control characters inside, upper
case, backslashes for slashes, no slashes at all, a user name in front, percent-encoded or full-width letters, a dot
at the end. Source: WHATWG URL 4.4 (basic URL parser), 3.5 (host parsing).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["Location", "read_host", "read_url"]

_DROPPED = re.compile(r"[\t\n\r]")
_EDGES = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_SPECIAL = frozenset({"http", "https", "ws", "wss"})
_AUTHORITY_END = re.compile(r"[/\\?#]")
_SLASHES = re.compile(r"[/\\]*")
# What a browser's host parser drops or reads as a dot (UTS 46).
_IGNORED = re.compile("[\u00ad\u034f\u180b-\u180e\u200b-\u200d\u2060\u2064\ufe00-\ufe0f\ufeff]")
_MAX_HOST = 255
_NOBODY = "."
_MAX_AUTHORITY = 2_048  # a name of that length, percent-encoded
_DOTS = re.compile("[\u3002\uff0e\uff61]")


class Location(NamedTuple):
    """Where a URL points: the host in lower case, without port (empty: the page's own), and the path."""

    host: str
    path: str


def read_host(authority: str) -> str:
    """Return the host of what stands between ``//`` and the path, as a browser understands it.

    What is too long to be a name is nobody's.
    """
    host = authority.rpartition("@")[2]
    return _read_host(host) if len(host) <= _MAX_AUTHORITY else _NOBODY


@lru_cache(maxsize=4096)
def _read_host(host: str) -> str:
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    host = unquote(host[:end] if end > 0 else host)
    if not host.isascii():
        host = _DOTS.sub(".", unicodedata.normalize("NFKC", _IGNORED.sub("", host)))
    host = host.lower().removesuffix(".")
    return host if len(host) <= _MAX_HOST else _NOBODY


def read_url(value: str, base: Location = Location("", "/")) -> Location | None:  # noqa: B008 - immutable
    """Return where a URL points, None where it reaches no server (``data:``, ``about:``, ``javascript:`` ...).

    Args:
        value: The attribute's value, character references resolved.
        base: Where the page is, or its ``<base href>``; its path is what a relative path starts from.
    """
    url = _DROPPED.sub("", value).strip(_EDGES)
    scheme = _SCHEME.match(url)
    if scheme is not None:
        if scheme[1].lower() not in _SPECIAL:
            return None
        url = url[scheme.end() :]
        # "https:stats.js" is relative on an https page, and names a host on any other: the stricter reading holds.
        return _from_authority(_SLASHES.sub("", url, count=1))
    if url[:2].replace("\\", "/") == "//":
        return _from_authority(_SLASHES.sub("", url, count=1))
    return Location(base.host, _path(url, base.path))


def _from_authority(rest: str) -> Location:
    end = _AUTHORITY_END.search(rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    return Location(read_host(authority), _path(path, "/"))


def _path(path: str, base: str) -> str:
    path = re.split(r"[?#]", path, maxsplit=1)[0].replace("\\", "/")
    if not path.startswith("/"):
        path = base[: base.rfind("/") + 1] + path if path else base
    return path if "." not in path else _without_dots(path)


def _without_dots(path: str) -> str:
    """Resolve ``.`` and ``..``, also where they are percent-encoded."""
    kept: list[str] = []
    parts = path.split("/")
    for index, part in enumerate(parts):
        plain = part.lower().replace("%2e", ".")
        if plain == "..":
            if len(kept) > 1:
                kept.pop()
        elif plain != ".":
            kept.append(part)
            continue
        if index == len(parts) - 1:
            kept.append("")
    return "/".join(kept)
