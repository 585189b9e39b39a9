"""A third party, played by a small server on this machine: it logs who comes, and sets its cookies.

It stands for the hosts of Google, Meta and YouTube, so that the demo needs no network. Its scripts do what
theirs do: write cookies on the page's own domain, use its storage, send what they saw home.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import secrets
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from socket import socket

__all__ = ["Tracker"]

_KEPT = 20_000  # the browser tests count what comes
_ID = re.compile(r"tracker_id=(\w+)")
_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
# As real tags do, the widest domain that the browser takes: shop.example for www.shop.example.
_SCRIPT = """\
(() => {{
  const {{ src }} = document.currentScript;
  const host = location.hostname;
  const domain = /^[\\d.]+$|^[^.]*$/.test(host) ? "" : "; domain=" + host.split(".").slice(-2).join(".");
  const known = document.cookie.match(/(?:^|; ){cookie}=([^;]*)/);
  const visitor = known ? known[1] : crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  document.cookie = "{cookie}=" + visitor + "; path=/; max-age=31536000; samesite=lax" + domain;
  localStorage.setItem("{item}", new Date().toISOString());
  (window.shopTags ||= []).push("{name}");
  const page = encodeURIComponent(location.pathname);
  new Image().src = new URL("/collect.gif?by={name}&page=" + page + "&visitor=" + visitor, src);
}})();
"""
_VIDEO = b"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>How a cup is thrown</title>
<style>
html, body { height: 100%; margin: 0; }
body { display: grid; place-items: center; background: #14110f; color: #f4ede4; font: 1rem/1.5 system-ui, sans-serif; }
i { display: block; width: 5rem; height: 5rem; margin: 0 auto 1rem; border: .5rem solid #c8794f; border-radius: 50%;
    border-right-color: transparent; }
@media (prefers-reduced-motion: no-preference) { i { animation: spin 3s linear infinite; } }
@keyframes spin { to { transform: rotate(1turn); } }
p { text-align: center; padding: 1rem; margin: 0; }
</style></head>
<body><p><i></i>This is the video, from a third party.<br>It now knows that you are watching.</p></body></html>
"""
_ANSWERS: dict[str, tuple[str, bytes]] = {
    "/analytics.js": (
        "text/javascript",
        _SCRIPT.format(name="analytics.js", cookie="_ga_DEMO", item="hs_analytics").encode(),
    ),
    "/stats.js": (
        "text/javascript",
        _SCRIPT.format(name="stats.js", cookie="hs_visitor", item="hs_last").encode(),
    ),
    "/collect.gif": ("image/gif", _PIXEL),
    "/pixel.gif": ("image/gif", _PIXEL),
    "/embed/cup": ("text/html; charset=utf-8", _VIDEO),
    "/embed/film": ("text/html; charset=utf-8", _VIDEO.replace(b"How a cup is thrown", b"A film")),
}


class Tracker:
    """The server, in threads of its own, and what it has seen.

    Args:
        listener: A bound socket.
    """

    def __init__(self, listener: socket) -> None:
        self._log: list[dict[str, str]] = []
        self._lock = threading.Lock()
        tracker = self

        class Handler(_Handler):
            """Binds the handler to this tracker."""

            owner = tracker

        self._server = ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        self._server.server_activate()
        self.port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being answered is answered."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def join(self) -> None:
        """Wait until it is stopped."""
        self._thread.join()

    def note(self, entry: dict[str, str]) -> None:
        """Remember a request."""
        with self._lock:
            self._log.append(entry)
            del self._log[:-_KEPT]

    def log(self) -> list[dict[str, str]]:
        """Return what has been seen, oldest first."""
        with self._lock:
            return list(self._log)


class _Handler(BaseHTTPRequestHandler):
    owner: Tracker
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, remember, recognise."""
        url = urlsplit(self.path)
        if url.path == "/log.json":
            self._send(200, "application/json", json.dumps(self.owner.log()).encode())
            return
        if url.path not in _ANSWERS:
            self._send(404, "text/plain", b"Nothing here.\n")
            return
        cookie = _ID.search(self.headers.get("Cookie", ""))
        told = parse_qs(url.query).get("visitor", [""])[0]  # scripts tell what they know, cookie or not
        self.owner.note(
            {
                "time": time.strftime("%H:%M:%S"),
                "what": self.path,
                "visitor": told or (cookie[1] if cookie else ""),
            }
        )
        media_type, body = _ANSWERS[url.path]
        self._send(200, media_type, body, "" if cookie else f"tracker_id={secrets.token_hex(6)}")

    def _send(self, status: int, media_type: str, body: bytes, cookie: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if cookie:  # browsers take a cross-site cookie only like this, and trust localhost without TLS
            self.send_header("Set-Cookie", f"{cookie}; Path=/; Max-Age=31536000; SameSite=None; Secure")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the terminal for the shop."""


def main() -> None:
    """Run a tracker alone, for several shops: ``python -m examples.shop.tracker``."""
    from examples.shop.ports import listen  # noqa: PLC0415 - only where it runs alone

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(description="A third party, for the example shop.")
    parser.add_argument("--port", type=int, default=8100)
    tracker = Tracker(listen(parser.parse_args().port))
    tracker.start()
    print(f"Tracker   http://localhost:{tracker.port}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        tracker.join()
    tracker.stop()


if __name__ == "__main__":
    main()
