"""One harness for both adapters: a framework-neutral app, served over ASGI or WSGI, asked without a network.

An app is a status, headers and a body, or a function of the request that returns them. WSGI runs with
`wsgiref.validate` on both sides of the middleware.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import sqlite3
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes, urlencode
from wsgiref.validate import validator

import anyio
import pytest
from jinja2 import BytecodeCache, Environment

from consent_middleware import asgi, assets, banner, site, wsgi
from consent_middleware.choices import Answer, Method
from consent_middleware.holding import Holdings
from helpers_tutorial import Tutorial

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2.bccache import Bucket

    from consent_middleware.catalog import Catalog
    from consent_middleware.consent import Consent
    from consent_middleware.site import Site

NOW = 1_800_000_123
SECRET = "a-secret-of-32-characters-length"
HOST = "shop.example"

Pairs = list[tuple[str, str]]
Reply = tuple[int, Pairs, Iterable[bytes]]
Hook = Callable[..., Any]
Made = TypeVar("Made")

_CONSENT_KEY = "consent_middleware.consent"

# The report on conformance and what tests it, the database servers and a store on each.
pytest_plugins = ["conformance_report", "servers", "helpers_records", "pytester"]


def pytest_collection_finish() -> None:
    """Spare the garbage collector thousands of tests that stay to the end: it would go through them each time."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the app saw it; header names in lower case."""

    method: str
    path: str
    headers: Pairs
    consent: Consent

    def get(self, name: str) -> str | None:
        """Return a header's value, None where the app saw none; repeated ones joined by a bar."""
        values = [value for key, value in self.headers if key == name]
        return "|".join(values) if values else None


Handler = Callable[[Seen], Reply]


@dataclass(slots=True)
class Response:
    """What the browser got; header names in lower case."""

    status: int = 0
    headers: Pairs = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        """The whole body, read as UTF-8."""
        return self.body.decode()

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


class Client(ABC):
    """Asks one app behind one middleware; `seen` holds what reached the app."""

    kind: str
    site: Site

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.on_chunk: Callable[[bytes], None] | None = None

    @abstractmethod
    def request(
        self,
        method: str,
        target: str = "/",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        scheme: str = "https",
        mount: str = "",
    ) -> Response:
        """Send one request; `mount` is what the server calls root_path or SCRIPT_NAME."""

    def get(self, target: str = "/", headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        """Send a GET as a script or a command line sends it."""
        return self.request("GET", target, headers or {}, **options)

    def visit(self, target: str = "/", headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        """Send a GET as a browser sends it that navigates."""
        own = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        return self.request("GET", target, own | dict(headers or {}), **options)

    def choose(
        self,
        action: str,
        fields: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Response:
        """Send the banner's form."""
        form = urlencode({"action": action, **(fields or {})}, doseq=True).encode()
        own = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        target = "/_consent/choice"
        return self.request("POST", target, own | dict(headers or {}), form, **options)

    def granting(self, *units: str, scheme: str = "https", now: float = NOW) -> str:
        """Return the `Cookie` header of a visitor who granted these units, and refused the rest."""
        site, catalog = self.site, self.site.catalog
        wanted = set(units) | {s.id for unit in units for s in catalog.services_of(unit)}
        granted = catalog.asked if units == ("all",) else frozenset(wanted)
        secure = scheme == "https"
        visitor = site.visitors.see(None, None, None, secure=secure, now=now).visitor
        outcome = site.choices.take(
            visitor, Answer(granted, Method.PREFS), language="en", secure=secure, now=now
        )
        assert outcome.set_cookie is not None
        return outcome.set_cookie.decode().partition(";")[0]

    def records(self) -> list[dict[str, Any]]:
        """Return every record in the store, oldest first."""
        database = self.site.config.records.url.removeprefix("sqlite:///")
        connection = sqlite3.connect(database)
        try:
            query = "select document from consent_records where kind = 'consent' and document is not null"
            rows = connection.execute(f"{query} order by sequence").fetchall()
        except sqlite3.OperationalError:  # no record was ever written, so there is no table
            return []
        finally:
            connection.close()
        return [json.loads(row[0]) for row in rows]

    def close(self) -> None:
        """Let go of the store."""
        close = getattr(self.site.store, "close", None)
        if close:
            close()


class AsgiClient(Client):
    """The ASGI adapter on one event loop."""

    def __init__(self, app: Reply | Handler, backend: str, **options: Any) -> None:
        super().__init__()
        self.kind = f"asgi-{backend}"
        self._app = app
        self._backend = backend
        self.middleware = asgi.ConsentMiddleware(self._serve, **options)
        self.site = self.middleware.site

    async def _serve(self, scope: Any, _receive: Any, send: Any) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        seen = Seen(scope["method"], scope["path"], headers, scope["state"]["consent"])
        self.seen.append(seen)
        status, pairs, body = self._app(seen) if callable(self._app) else self._app
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        last = len(body) - 1 if isinstance(body, list) else -1
        for index, chunk in enumerate(body):
            await send({"type": "http.response.body", "body": chunk, "more_body": index != last})
        if last < 0:
            await send({"type": "http.response.body"})

    def request(
        self,
        method: str,
        target: str = "/",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        scheme: str = "https",
        mount: str = "",
    ) -> Response:
        """Send one request."""
        path, _, query = target.partition("?")
        pairs = _pairs(headers)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": scheme,
            "path": mount + unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": mount,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
            "client": ("203.0.113.7", 50_000),
            "server": ("127.0.0.1", 8000),
        }
        response = Response()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert not response.status, "started twice"
                response.status = message["status"]
                response.headers = [
                    (name.decode("latin-1").lower(), value.decode("latin-1"))
                    for name, value in message["headers"]
                ]
            else:
                assert response.status, "a body before the start"
                self._take(response, message.get("body", b""))

        anyio.run(self.middleware, scope, receive, send, backend=self._backend)
        return response

    def _take(self, response: Response, chunk: bytes) -> None:
        if chunk:
            response.chunks.append(chunk)
            if self.on_chunk:
                self.on_chunk(chunk)


class _Sized:
    """The validator's iterator with the length of the list below: what a server sees of most frameworks."""

    def __init__(self, checked: Any, length: int) -> None:
        self._checked = checked
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._checked)

    def close(self) -> None:
        """Close what is below."""
        self._checked.close()


class WsgiClient(Client):
    """The WSGI adapter between two validators."""

    def __init__(self, app: Reply | Handler, **options: Any) -> None:
        super().__init__()
        self.kind = "wsgi"
        self._app = app
        self._lengths: list[int] = []
        checked: Any = validator(self._serve)

        def sized(environ: Any, start_response: Any) -> Any:
            iterable = checked(environ, start_response)
            length = self._lengths.pop()
            return iterable if length < 0 else _Sized(iterable, length)

        self.middleware = wsgi.ConsentMiddleware(sized, **options)
        self.site = self.middleware.site
        self._outer: Any = validator(self.middleware)

    def _serve(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        headers = [
            (key[5:].replace("_", "-").lower(), value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        ]
        seen = Seen(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, environ[_CONSENT_KEY])
        self.seen.append(seen)
        status, pairs, body = self._app(seen) if callable(self._app) else self._app
        start_response(_status_line(status), pairs)
        self._lengths.append(len(body) if isinstance(body, list) else -1)
        return body

    def request(
        self,
        method: str,
        target: str = "/",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        scheme: str = "https",
        mount: str = "",
    ) -> Response:
        """Send one request."""
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": mount,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "203.0.113.7",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in _pairs(headers):
            key = name.upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            glue = "; " if name == "cookie" else ","
            environ[key] = f"{environ[key]}{glue}{value}" if key in environ else value
        return self._run(environ)

    def _run(self, environ: dict[str, Any]) -> Response:
        response = Response()

        def start_response(status: str, pairs: Pairs, exc_info: Any = None) -> Callable[[bytes], None]:
            if exc_info and response.chunks:
                raise exc_info[1].with_traceback(exc_info[2])
            response.status = int(status[:3])
            response.headers = [(name.lower(), value) for name, value in pairs]
            return response.chunks.append

        iterable = self._outer(environ, start_response)
        try:
            for chunk in iterable:
                assert response.status, "a body before the start"
                if chunk:
                    response.chunks.append(chunk)
                    if self.on_chunk:
                        self.on_chunk(chunk)
        finally:
            iterable.close()
        return response


def _pairs(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Pairs:
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    return pairs if any(name == "host" for name, _ in pairs) else [("host", HOST), *pairs]


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _declaration(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "use": ["google-analytics", "meta-pixel"],
        "site": {"name": "Example Shop"},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "cookies": {"essential": ["basket"]},
        "records": {"url": f"sqlite:///{folder}/records.db", "journal": f"{folder}/journal"},
        "services": [
            {
                "id": "house-stats",
                "name": "House statistics",
                "category": "functional",
                "provider": "Example GmbH",
                "cookies": [
                    {"name": "hs_*", "retention": "P13M", "purpose": "Counts visits."},
                    {"name": "hsdeep", "path": "/shop", "partitioned": True},
                    {"name": "__Host-hsid"},
                ],
            }
        ],
    }
    for key, value in changes.items():
        declared[key] = {**declared.get(key, {}), **value} if isinstance(value, Mapping) else value
    return declared


class Serve:
    """Puts an app behind the middleware of one adapter, with a fixed clock and a store of its own."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._clients: list[Client] = []

    def __call__(
        self,
        app: Reply | Handler,
        changes: Mapping[str, Any] | None = None,
        *,
        secret_key: str | list[str] = SECRET,
        **hooks: Hook,
    ) -> Client:
        """Return a client for an app; `changes` are laid over the declaration, section by section."""
        options = {"config": _declaration(self._folder, changes or {}), "secret_key": secret_key, **hooks}
        client: Client
        if self.kind == "wsgi":
            client = WsgiClient(app, **options)
        else:
            client = AsgiClient(app, self.kind.removeprefix("asgi-"), **options)
        client.site.clock = lambda: float(NOW)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Let go of every store."""
        for client in self._clients:
            client.close()


class _CompiledTemplates(BytecodeCache):
    """Compiled templates in memory: compiling them again for each test's site would be most of the run."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill a bucket; the checksum in it tells a changed template."""
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a bucket."""
        self._known[bucket.key] = bucket.bytecode_to_string()


def _once_a_catalog(make: Callable[[Catalog], Made]) -> Callable[[Catalog], Made]:
    """Return a function that gives the same to equal catalogues."""
    known: dict[str, list[tuple[Catalog, Made]]] = {}

    def found(catalog: Catalog) -> Made:
        alike = known.setdefault(catalog.fingerprint, [])
        for other, made in alike:
            if other == catalog and other.reach == catalog.reach:  # in the same order too
                return made
        alike.append((catalog, make(catalog)))
        return alike[-1][1]

    return found


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Let the sites of the run share what is the same for equal declarations: compiling it is most of making one."""
    environment = partial(Environment, bytecode_cache=_CompiledTemplates())
    listed = assets._hosts
    hosts = _once_a_catalog(lambda catalog: tuple(listed(catalog)))
    rules = cache(assets._rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(banner, "Environment", environment)
        patch.setattr(site, "Holdings", _once_a_catalog(Holdings))
        patch.setattr(assets, "_hosts", hosts)
        patch.setattr(assets, "_rules", lambda entries: rules(tuple(entries)))
        yield


@pytest.fixture(params=["asgi-asyncio", "wsgi"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serve]:
    """Run the test over each adapter."""
    serve = Serve(request.param, tmp_path)
    yield serve
    serve.close()


@pytest.fixture(params=["asgi-asyncio", "asgi-trio", "wsgi"])
def serve_loops(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serve]:
    """Run the test over each adapter, and ASGI on each event loop: for what touches threads and the store."""
    serve = Serve(request.param, tmp_path)
    yield serve
    serve.close()


@pytest.fixture
def serve_each(tmp_path: Path) -> Iterator[tuple[Serve, ...]]:
    """Give every adapter at once, to compare what comes out."""
    serves = tuple(Serve(kind, tmp_path) for kind in ("asgi-asyncio", "asgi-trio", "wsgi"))
    yield serves
    for serve in serves:
        serve.close()


@pytest.fixture
def declaration(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Give the test site's declaration as a dict, for tests that build their own middleware."""
    return lambda **changes: _declaration(tmp_path, changes)


@pytest.fixture
def client(serve: Serve) -> Client:
    """Serve a small page."""
    page = b"<!doctype html><html><head><title>Shop</title></head><body><p>Hello</p></body></html>"
    return serve((200, [("Content-Type", "text/html; charset=utf-8")], [page]))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture what the middleware tells the developer."""
    caplog.set_level(logging.INFO, logger="consent_middleware")
    return caplog


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tutorial]:
    """Stand in a folder with a page's consent.toml and template, and with a key."""

    def begin(page: str) -> Tutorial:
        found = Tutorial(page)
        monkeypatch.setitem(sys.modules, "tutorial", found.module)
        (tmp_path / "consent.toml").write_text(found.blocks("toml")[0] + '[records]\nurl = "none"\n', "utf-8")
        (tmp_path / "templates").mkdir()
        for html in found.blocks("html"):
            for name in ("home.html", "page.html"):
                (tmp_path / "templates" / name).write_text(html, "utf-8")
        return found

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_SECRET_KEY", SECRET)
    return begin
