"""Asks the shop as a server does, through Django's real WSGI or ASGI handler, without a network."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOST = "shop.example"
BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@dataclass(slots=True)
class Answer:
    """What the browser got; header names in lower case."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        """The whole body, read as UTF-8."""
        return self.body.decode()

    @property
    def has_banner(self) -> bool:
        """Whether the visitor is asked."""
        return 'id="consent-banner"' in self.text

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """Return a header's only value, None where there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def set_names(self) -> list[str]:
        """The names of the cookies that are set or deleted."""
        return [value.partition("=")[0] for value in self.all("set-cookie")]

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.body)


class Shop:
    """The shop behind one of Django's handlers."""

    def __init__(self, kind: str, wrap: Callable[[Any], Any] = lambda handler: handler) -> None:
        self.kind = kind
        self._handler: Any = wrap(WSGIHandler() if kind == "wsgi" else ASGIHandler())
        self.file_wrapper: Any = None

    def visit(self, target: str = "/", cookie: str = "", **headers: str) -> Answer:
        """Send a GET as a browser sends it that navigates; ``_`` in a header's name means ``-``."""
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", target, BROWSER | ({"cookie": cookie} if cookie else {}) | own)

    def choose(self, action: str, cookie: str = "", **headers: str) -> Answer:
        """Send the banner's form."""
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        sent |= ({"cookie": cookie} if cookie else {}) | own
        return self.request("POST", "/_consent/choice", sent, urlencode({"action": action}).encode())

    def granting(self) -> str:
        """Return the `Cookie` header of a visitor who has accepted all."""
        return self.choose("accept_all").all("set-cookie")[0].partition(";")[0]

    def refusing(self) -> str:
        """Return the `Cookie` header of a visitor who has refused all."""
        return self.choose("reject_all").all("set-cookie")[0].partition(";")[0]

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, mount: str = ""
    ) -> Answer:
        """Send one request; `mount` is what the server calls root_path or SCRIPT_NAME."""
        path, _, query = target.partition("?")
        pairs = {"host": HOST, **headers}
        if body:
            pairs.setdefault("content-length", str(len(body)))
        if self.kind == "wsgi":
            return self._wsgi(method, path, query, pairs, body, mount)
        return asyncio.run(self._asgi(method, path, query, pairs, body, mount))

    def _wsgi(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, mount: str
    ) -> Answer:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": mount,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "203.0.113.7",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if self.file_wrapper:
            environ["wsgi.file_wrapper"] = self.file_wrapper
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
        answer = Answer()

        def start_response(status: str, given: list[tuple[str, str]], _exc_info: Any = None) -> None:
            answer.status = int(status[:3])
            # Django writes a space before each cookie, which a server's line swallows.
            answer.headers = [(name.lower(), value.strip()) for name, value in given]

        iterable = self._handler(environ, start_response)
        try:
            answer.chunks = [chunk for chunk in iterable if chunk]
        finally:
            if hasattr(iterable, "close"):
                iterable.close()
        return answer

    async def _asgi(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, mount: str
    ) -> Answer:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": mount + path,
            "raw_path": (mount + path).encode(),
            "query_string": query.encode(),
            "root_path": mount,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("203.0.113.7", 50_000),
            "server": ("127.0.0.1", 443),
        }
        answer = Answer()
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        gone = asyncio.Event()

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = [(k.decode().lower(), v.decode("latin-1")) for k, v in message["headers"]]
            elif message.get("body"):
                answer.chunks.append(message["body"])

        await self._handler(scope, receive, send)
        return answer
