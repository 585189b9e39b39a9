"""The trackers and the site of the layer tests, on this machine, in this process.

One server plays every tracker: it notes who was asked for what, and answers with something that loads. It is a
forward proxy too, for browsers that map hosts only that way.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from werkzeug.serving import make_server

from browser.ways import OWN_PATH, link_header, page, script
from consent_middleware import asgi, wsgi
from consent_middleware.holding import Holdings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack

__all__ = ["SITE_HOST", "Hits", "Site", "Tracker", "serve"]

SITE_HOST = "www.shop.localhost"
"""Trusted without TLS, so that scripts get what needs a secure context."""

_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_SILENCE = b"RIFF&\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\2\0\0\0\x80\x80"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect id="a" width="1" height="1" /></svg>'
_ANSWERS = {
    "js": ("text/javascript", b'(self.ran ||= []).push("%s");'),
    "gif": ("image/gif", _PIXEL),
    "css": ("text/css", b"body { color: black }"),
    "html": ("text/html", b"<!doctype html><title>Tracker</title>"),
    "json": ("application/json", b"{}"),
    "es": ("text/event-stream", b"data: seen\n\n"),
    "wav": ("audio/wav", _SILENCE),
    "mp4": ("video/mp4", b""),
    "vtt": ("text/vtt", b"WEBVTT\n"),
    "svg": ("image/svg+xml", _SVG),
    "woff2": ("font/woff2", b""),
}


def _answer(path: str) -> tuple[str, bytes]:
    """Return what a tracker answers, by the ending of what it is asked for."""
    id_, _, ending = path.rpartition("/")[2].rpartition(".")
    media_type, body = _ANSWERS.get(ending, ("text/plain", b""))
    return media_type, body.replace(b"%s", id_.encode())


class Hits:
    """Which ways have reached a tracker."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._lock = threading.Lock()

    def note(self, path: str) -> None:
        """Remember a request by the way that its path names."""
        with self._lock:
            self._ids.append(path.rpartition("/")[2].partition(".")[0])

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._ids.clear()

    def count(self) -> int:
        """Return how many there were."""
        with self._lock:
            return len(self._ids)

    def ids(self) -> set[str]:
        """Return the ids of the ways."""
        with self._lock:
            return set(self._ids)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hits: Hits

    def do_GET(self) -> None:
        """Note the way, answer with what loads."""
        path = urlsplit(self.path).path
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = path.startswith("/hit/")
        if known:
            self.hits.note(path)
        media_type, body = _answer(path)
        self.send_response(200 if known and not path.endswith(".ws") else 400)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.send_header("Timing-Allow-Origin", "*")
        self.send_header("Set-Cookie", "tracker=1; Path=/; Max-Age=999")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_OPTIONS = do_GET  # noqa: N815 - the names that the base class looks for

    def do_CONNECT(self) -> None:
        """As a proxy: what is said in the tunnel is read here, as if it were asked of this server."""
        is_plain = self.path.endswith(":80")
        self.send_response(200 if is_plain else 403)
        self.end_headers()
        self.close_connection = not is_plain

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Browsers hang up when a page goes; that is no error."""


class Tracker:
    """Every tracker there is.

    Attributes:
        port: Where they are asked, as a proxy too.
        hits: Which ways have reached one.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.hits = Hits()
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hits": self.hits}))
        stack.enter_context(_running(server))
        self.port: int = server.server_address[1]

    def rules(self, *hosts: str) -> str:
        """Return Chromium's rules that lead these hosts here, and every other nowhere."""
        names = [form for host in hosts for form in (host, f"{host}.")]
        mapped = [f"MAP {name} 127.0.0.1:{self.port}" for name in names]
        return ", ".join([*mapped, "MAP * ~NOTFOUND", "EXCLUDE *.localhost", "EXCLUDE 127.0.0.1"])


@contextmanager
def _running(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


class Site:
    """The site's own server: the page, its scripts, and what must keep working.

    Args:
        hits: Where a request for a path that a held service claims counts, as one to the tracker does.

    Attributes:
        hits: The same.
        tried: How often a page has said that it has tried every way.
    """

    def __init__(self, hits: Hits) -> None:
        self.hits = hits
        self.tried = 0
        self._page = page().encode()
        self._script = script().encode()

    def answer(self, path: str, query: str) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body."""
        if path.startswith(OWN_PATH):
            self.hits.note(path)
            media_type, body = _answer(path)
            return "200 OK", [("Content-Type", media_type)], body
        self.tried += path == "/tried"
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        media_type, body = self._own(path, asked)
        headers = [("Content-Type", media_type), ("Cache-Control", "no-store")]
        if path == "/":
            headers += [("Link", link_header()), ("Set-Cookie", "_ga_server=1; Path=/; Max-Age=999")]
        if not media_type:
            return "404 Not Found", [("Content-Type", "text/plain")], b"Nothing here.\n"
        return "200 OK", headers, body

    def _own(self, path: str, asked: Mapping[str, str]) -> tuple[str, bytes]:
        html, javascript = "text/html; charset=utf-8", "text/javascript; charset=utf-8"
        to = f"http://{asked.get('host')}/hit/{asked.get('way')}"
        answers = {
            "/": (html, self._page),
            "/ways.js": (javascript, self._script),
            "/own.js": (
                javascript,
                b"function houseStats(url) { new Image().src = url; }\nvar ownRan = true;",
            ),
            "/own.gif": _ANSWERS["gif"],
            "/favicon.ico": _ANSWERS["gif"],
            "/own.wav": _ANSWERS["wav"],
            "/own.json": _ANSWERS["json"],
            "/tried": _ANSWERS["json"],
            "/empty.html": (html, b"<!doctype html><title>Empty</title><p>Nothing</p>"),
            "/own.html": (html, _OWN),
            "/frame.html": (html, f'<!doctype html><title>Frame</title><img alt="" src="{to}.gif">'.encode()),
            "/sheet.css": ("text/css", f"#{asked.get('way')} {{ background: url({to}.gif) }}".encode()),
            "/worker.js": (javascript, f'importScripts("{asked.get("import")}");'.encode()),
            "/echo-worker.js": (javascript, b'postMessage("file");'),
        }
        return answers.get(path, ("", b""))

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer over WSGI."""
        status, headers, body = self.answer(environ["PATH_INFO"], environ["QUERY_STRING"])
        start_response(status, headers)
        return [body]

    async def asgi(self, scope: Any, _: Any, send: Any) -> None:
        """Answer over ASGI."""
        status, headers, body = self.answer(scope["path"], scope["query_string"].decode())
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": pairs})
        await send({"type": "http.response.body", "body": body})


_OWN = b"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Its own</title>
<style>h1 { background: url(/own.gif) }</style></head>
<body><h1 style="color: green">Its own</h1>
<script src="/own.js"></script>
<script>
document.documentElement.dataset.inline = "";
document.write('<p id="written">Written</p>');
</script>
<img alt="" src="/own.gif"><img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<iframe src="/empty.html"></iframe>
</body></html>
"""


class _NothingWaits(Holdings):
    """The tags of a site that holds none."""

    def of(self, _: frozenset[str]) -> None:
        """Let everything through."""


@contextmanager
def serve(
    site: Site, config: Mapping[str, Any] | None, *, tags: bool = True, server: str = "wsgi"
) -> Iterator[int]:
    """Serve the site; give the port.

    Args:
        site: The site's own answers.
        config: The middleware's; without, the site stands alone.
        tags: False switches the rewriting of tags off.
        server: ``wsgi`` or ``asgi``.
    """
    app: Any = site.asgi if server == "asgi" else site.wsgi
    if config is not None:
        adapter: Any = asgi if server == "asgi" else wsgi
        app = adapter.ConsentMiddleware(app, config, "a key that is long enough for these tests")
        if not tags:
            app.site.holdings = _NothingWaits(app.site.catalog)  # its own: sites that are alike share theirs
    with _uvicorn(app) if server == "asgi" else _werkzeug(app) as port:
        yield port


@contextmanager
def _werkzeug(app: Any) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with _running(server):
        yield server.server_port


@contextmanager
def _uvicorn(app: Any) -> Iterator[int]:
    config = uvicorn.Config(app, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
