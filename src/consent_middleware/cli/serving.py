"""The owner's page on this machine: a small server that answers nobody but a browser here, and writes nothing.

A page of another site whose name was made to point here (DNS rebinding) has that name in its Host header, and is
refused. There is no log-in: whoever has an account on this machine can read the figures while the server runs.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from consent_middleware.cli.opening import read_moment
from consent_middleware.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["dashboard_app", "dashboard_server"]

_HOST = "127.0.0.1"
_OURS = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = [
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]
_PATIENCE_S = 30


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each connection by itself: browsers open some that they do not use."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    """Says nothing on standard error about what it is asked."""

    timeout: ClassVar[float | None] = _PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has above
        """Keep quiet."""


def dashboard_server(page: Callable[..., str], port: int) -> WSGIServer:
    """Return a server on a port of this machine alone.

    Args:
        page: `Records.dashboard`.
        port: 0 for any that is free.

    Raises:
        OSError: The port is not free.
    """
    return make_server(_HOST, port, dashboard_app(page), server_class=_Server, handler_class=_Handler)


def dashboard_app(page: Callable[..., str]) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Return the WSGI app that shows the page.

    Args:
        page: Renders it; given `since` and `until`.
    """

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, text = _answer(page, environ)
        kind = "text/html" if status is HTTPStatus.OK else "text/plain"
        body = text.encode()
        own = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", own + _HEADERS)
        return [body]

    return app


def _answer(page: Callable[..., str], environ: WSGIEnvironment) -> tuple[HTTPStatus, str]:
    if not _is_ours(environ.get("HTTP_HOST", "")):
        return HTTPStatus.FORBIDDEN, "This page is shown under 127.0.0.1 and localhost only.\n"
    if environ["REQUEST_METHOD"] != "GET" or environ.get("PATH_INFO") != "/":
        return HTTPStatus.NOT_FOUND, "There is only one page, at /.\n"
    asked = parse_qs(environ.get("QUERY_STRING", ""))
    try:
        span = {name: read_moment(asked[name][-1]) for name in ("since", "until") if name in asked}
    except ValueError:
        return HTTPStatus.BAD_REQUEST, "since and until are days or moments, such as 2026-11-22.\n"
    try:
        return HTTPStatus.OK, page(**span)
    except StoreError as error:
        return HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n"


def _is_ours(host: str) -> bool:
    """Return whether a Host header names this machine to itself."""
    try:
        found = urlsplit(f"//{host}")
        _ = found.port
    except ValueError:
        return False
    is_plain = not (found.path or found.query or found.fragment) and "@" not in host
    return is_plain and found.hostname in _OURS
