"""A WSGI environ, read and edited as an `Exchange` needs it; Django's ``request.META`` is one too, over ASGI as well.

Source: PEP 3333.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consent_middleware.caching import Headers
    from consent_middleware.exchange import Exchange

__all__ = [
    "EDITABLE",
    "Environ",
    "EnvironHeader",
    "all_headers",
    "edited_headers",
    "inner_environ",
    "is_whole",
]

Environ = dict[str, Any]

# What `edit_request` may change, and what it looks at.
EDITABLE = {
    b"cookie": "HTTP_COOKIE",
    b"accept-encoding": "HTTP_ACCEPT_ENCODING",
    b"if-none-match": "HTTP_IF_NONE_MATCH",
    b"if-modified-since": "HTTP_IF_MODIFIED_SINCE",
}


class EnvironHeader:
    """Look up a request header in an environ by its lower-case name."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def get(self, name: bytes) -> bytes | None:
        """Return a header's value, None where there is none."""
        environ = self._environ
        key = _KEYS.get(name) or _key(name)
        value = environ.get(key)
        if value is None and name == b"host":
            value = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
        return None if value is None else value.encode("latin-1", "replace")


def _key(name: bytes) -> str:
    text = name.decode("latin-1").upper().replace("-", "_")
    key = text if text in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{text}"
    if len(_KEYS) < 64:
        _KEYS[name] = key
    return key


_KEYS: dict[bytes, str] = {}


def all_headers(environ: Environ) -> dict[bytes, bytes]:
    """Return a request's headers by lower-case name."""
    return {
        key[5:].replace("_", "-").lower().encode("latin-1"): value.encode("latin-1", "replace")
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }


def edited_headers(environ: Environ, exchange: Exchange) -> Headers | None:
    """Return what the app is to see of the headers in `EDITABLE`; None where it may see them as they are."""
    given = [
        (name, environ[key].encode("latin-1", "replace")) for name, key in EDITABLE.items() if key in environ
    ]
    return exchange.edit_request(given) if given else None


def inner_environ(environ: Environ, edited: Headers) -> Environ:
    """Return a copy of an environ with `edited_headers` in it."""
    kept = dict(edited)
    inner = dict(environ)
    for name, key in EDITABLE.items():
        if name in kept:
            inner[key] = kept[name].decode("latin-1")
        else:
            inner.pop(key, None)
    return inner


def is_whole(data: bytes, environ: Environ, limit: int) -> bool:
    """Return whether a request's body is all there, or too long: half a form might grant more than the whole would.

    Args:
        data: What was read of it.
        environ: Says how long it is.
        limit: No more than this many bytes was read.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        return True
    return len(data) >= min(int(length[:10]), limit)  # ten digits say enough
