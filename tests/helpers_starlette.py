"""What the tests of Starlette and FastAPI share: a browser that keeps its cookies, and one raw exchange, message by message."""

from __future__ import annotations

from typing import Any

import anyio
import httpx

__all__ = ["DETAILS", "ORIGIN", "PAGE", "SECRET", "SOCKET", "Browser", "converse", "plain"]

SECRET = "a-secret-of-32-characters-length"
ORIGIN = "https://shop.example"
PAGE = "<!doctype html><html lang='en'><head><title>Shop</title></head><body><p>Hello</p></body></html>"
NAVIGATION = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FETCH = {"accept": "application/json", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
DETAILS = {
    "use": ["google-analytics", "meta-pixel"],
    "site": {"name": "Example Shop"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "records": {"url": "none"},
}

SOCKET = {
    "type": "websocket",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "scheme": "wss",
    "path": "/chat",
    "raw_path": b"/chat",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"shop.example")],
    "subprotocols": [],
    "client": ("192.0.2.1", 50000),
    "server": ("shop.example", 443),
    "extensions": {},
}
"""A handshake for `/chat`."""


def plain(**changes: Any) -> dict[str, Any]:
    """Return a declaration that keeps no records, so that nothing needs to be closed."""
    return {**DETAILS, **changes}


class Browser:
    """Ask an ASGI app as a browser does; its cookies stay from one request to the next."""

    def __init__(self, app: Any, *, loop: str = "asyncio", mount: str = "", origin: str = ORIGIN) -> None:
        self.app = app
        self.cookies = httpx.Cookies()
        self._loop = loop
        self._mount = mount
        self._origin = origin

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request; an exception of the app's is an answer 500, as behind a server."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, root_path=self._mount)
            async with httpx.AsyncClient(
                transport=transport, base_url=self._origin, cookies=self.cookies
            ) as client:
                response = await client.request(method, path, **options)
                self.cookies = client.cookies
                return response

        return anyio.run(ask, backend=self._loop)

    def visit(self, path: str = "/", **headers: str) -> httpx.Response:
        """Go to a page."""
        return self.request("GET", path, headers=NAVIGATION | headers)

    def fetch(self, path: str = "/", **headers: str) -> httpx.Response:
        """Ask as a page's script does."""
        return self.request("GET", path, headers=FETCH | headers)

    def choose(self, action: str = "accept_all", path: str = "/_consent/choice") -> httpx.Response:
        """Answer the banner."""
        return self.request("POST", path, data={"action": action}, headers={"sec-fetch-site": "same-origin"})


async def converse(app: Any, scope: dict[str, Any], received: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every message an app sends over one scope, given what it receives; then the visitor is gone."""
    sent: list[dict[str, Any]] = []
    gone = "websocket.disconnect" if scope["type"] == "websocket" else "http.disconnect"

    async def receive() -> dict[str, Any]:
        return received.pop(0) if received else {"type": gone, "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent
