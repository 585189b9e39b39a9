"""The site that the soak tests serve: the middleware around a small page, as `consent.toml` of the folder says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consent_middleware import asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SECRET", "make_asgi", "make_wsgi"]

SECRET = "a-secret-of-32-characters-length"
_CONFIG = "consent.toml"
_PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"


def make_wsgi() -> Any:
    """Return the site for gunicorn."""
    return wsgi.ConsentMiddleware(_wsgi_page, _CONFIG, SECRET)


def make_asgi() -> Any:
    """Return the site for uvicorn."""
    return asgi.ConsentMiddleware(_asgi_page, _CONFIG, SECRET)


def _wsgi_page(_environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [_PAGE]


async def _asgi_page(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": _PAGE})
