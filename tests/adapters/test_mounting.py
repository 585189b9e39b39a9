"""Below a mount point, behind a proxy, inside a framework: the same promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import anyio
import flask
import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from consent_middleware import asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.websockets import WebSocket

    from conftest import Client, Serve

SECRET = "a-secret-of-32-characters-length"
HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = "<!doctype html><html><head></head><body>" + "<p>Hello</p>" * 100 + "</body></html>"
NAVIGATION = {"sec-fetch-mode": "navigate", "accept": "text/html", "accept-encoding": "gzip, br"}


@pytest.fixture
def mounted(serve: Serve) -> Client:
    """Serve a page that tells what the app reads of its address."""

    def app(seen: Any) -> Any:
        return 200, [HTML, ("X-Preferences", seen.consent.preferences_url)], [PAGE.encode()]

    return serve(app)


@pytest.mark.parametrize("mount", ["", "/shop", "/a/b"])
def test_every_url_in_a_page_starts_at_the_mount_point(mounted: Client, mount: str) -> None:
    """`root_path` / `SCRIPT_NAME` stands before every address we write."""
    response = mounted.visit("/page", mount=mount)
    urls = re.findall(r'(?:href|src|action|formaction)="([^"]*_consent[^"]*)"', response.text)
    assert len(urls) >= 5
    assert all(url.startswith(f"{mount}/_consent/") for url in urls)
    assert response.get("x-preferences") == f"{mount}/_consent/preferences"


def test_the_endpoints_answer_below_the_mount_point(mounted: Client) -> None:
    """The addresses in the page work."""
    page = mounted.visit("/page", mount="/shop").text
    for url in re.findall(r'(?:href|src)="/shop(/_consent/[^"]*)"', page):
        assert mounted.get(url, mount="/shop").status == 200


def test_a_choice_goes_home_to_the_mount_point(mounted: Client) -> None:
    """Without a page to go back to, home is where the app is mounted."""
    response = mounted.choose("accept_all", mount="/shop")
    assert response.get("location") == "/shop/"


def test_the_own_referer_is_not_a_page_to_go_back_to(mounted: Client) -> None:
    """From the preferences page the visitor goes home, not round in a circle."""
    headers = {"referer": "https://shop.example/shop/_consent/preferences"}
    assert mounted.choose("accept_all", headers=headers, mount="/shop").get("location") == "/shop/"


def test_an_odd_mount_point_is_escaped(mounted: Client) -> None:
    """A mount point with a quote or a space cannot break out of an attribute."""
    text = mounted.visit(mount='/a"b c').text
    assert 'href="/a%22b%20c/_consent/preferences"' in text


@pytest.mark.parametrize("path", ["/app/_consent/state.json", "/_consent/state.json"])
def test_servers_differ_in_whether_the_path_holds_the_root_path(declaration: Any, path: str) -> None:
    """Old and new ASGI servers alike."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("the app was asked")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "GET", "path": path, "root_path": "/app", "headers": []}
    middleware: Any = asgi.ConsentMiddleware(app, declaration(), SECRET)
    anyio.run(middleware, scope, None, send)
    assert sent[0]["status"] == 200


def test_a_slash_at_the_end_of_the_root_path_is_no_part_of_it(declaration: Any) -> None:
    """`--root-path /app/` is a common slip."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("the app was asked")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/app/_consent/preferences",
        "root_path": "/app/",
        "headers": [],
    }
    middleware: Any = asgi.ConsentMiddleware(app, declaration(), SECRET)
    anyio.run(middleware, scope, None, send)
    assert b'action="/app/_consent/choice"' in sent[1]["body"]


# -- frameworks


async def _page(request: Request) -> HTMLResponse:
    """Answer with a page, and a cookie of each kind."""
    allowed = request.state.consent.allows("analytics")
    response = HTMLResponse(PAGE.replace("Hello", str(allowed), 1))
    response.set_cookie("_ga", "1")
    response.set_cookie("session", "2")
    return response


async def _hop(_request: Request) -> RedirectResponse:
    """Answer with a redirect that tracks."""
    response = RedirectResponse("/")
    response.set_cookie("_fbp", "1")
    return response


async def _stream(_request: Request) -> StreamingResponse:
    """Answer in pieces."""

    async def pieces() -> AsyncIterator[str]:
        for start in range(0, len(PAGE), 100):
            yield PAGE[start : start + 100]

    return StreamingResponse(pieces(), media_type="text/html")


async def _fail(_request: Request) -> JSONResponse:
    """Fail."""
    raise RuntimeError("inside")


async def _socket(websocket: WebSocket) -> None:
    """Hang up."""
    await websocket.close()


ROUTES = [
    Route("/", _page),
    Route("/hop", _hop),
    Route("/stream", _stream),
    Route("/fail", _fail),
    WebSocketRoute("/ws", _socket),
]


def fetch(app: Any, path: str, **headers: str) -> httpx.Response:
    """Ask an ASGI app as a browser that navigates."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
            return await client.get(path, headers={**NAVIGATION, **headers})

    return anyio.run(ask)


def starlette_added(config: Any) -> Any:
    """Build Starlette with `add_middleware`."""
    app = Starlette(routes=ROUTES)
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.add_middleware(asgi.ConsentMiddleware, config=config, secret_key=SECRET)
    return app


def starlette_wrapped(config: Any) -> Any:
    """Build Starlette wrapped, mounted apps included."""
    app = Starlette(routes=[Mount("/sub", routes=ROUTES), *ROUTES])
    return asgi.ConsentMiddleware(app, config, SECRET)


def fastapi_wrapped(config: Any) -> Any:
    """Build FastAPI wrapped."""
    app = FastAPI()
    app.router.routes.extend(ROUTES)
    return asgi.ConsentMiddleware(app, config, SECRET)


BUILD = pytest.mark.parametrize("build", [starlette_added, starlette_wrapped, fastapi_wrapped])


@BUILD
@pytest.mark.parametrize("path", ["/", "/stream"])
def test_an_asgi_framework_gets_the_banner(declaration: Any, build: Callable[[Any], Any], path: str) -> None:
    """Added or wrapped, with GZip inside or without: the page asks, in one piece or a stream."""
    response = fetch(build(declaration()), path)
    assert response.text.count('id="consent-banner"') == 1
    assert response.text.endswith("</body></html>")


@BUILD
def test_an_asgi_frameworks_cookies_are_filtered(declaration: Any, build: Callable[[Any], Any]) -> None:
    """On pages and redirects."""
    app = build(declaration())
    assert fetch(app, "/").headers.get_list("set-cookie")[0].startswith("session=")
    assert fetch(app, "/hop").headers.get_list("set-cookie") == []


def test_a_mounted_starlette_app_is_served_by_the_outer_middleware(declaration: Any) -> None:
    """A `Mount` changes root_path inside; our addresses stay those of the outer app."""
    text = fetch(starlette_wrapped(declaration()), "/sub/").text
    assert 'action="/_consent/choice"' in text


def test_a_framework_that_fails_still_answers(declaration: Any) -> None:
    """An exception reaches the framework's own error handler."""
    assert fetch(starlette_wrapped(declaration()), "/fail").status_code == 500


def test_flask_wrapped_in_one_line(declaration: Any) -> None:
    """`app.wsgi_app = ConsentMiddleware(app.wsgi_app)`: banner, filter and the app's own view of consent."""
    app = flask.Flask("shop")
    app.secret_key = "made-up"

    @app.get("/")
    def page() -> flask.Response:
        flask.session["user"] = 7
        allowed = flask.request.environ["consent_middleware.consent"].allows("analytics")
        response = flask.make_response(PAGE.replace("Hello", str(allowed), 1))
        response.set_cookie("_ga", "1")
        return response

    app.wsgi_app = wsgi.ConsentMiddleware(app.wsgi_app, declaration(), SECRET)  # type: ignore[method-assign]
    response = app.test_client().get("/", headers=NAVIGATION, base_url="https://shop.example")
    assert response.text.count('id="consent-banner"') == 1
    assert [value.partition("=")[0] for value in response.headers.getlist("set-cookie")] == ["session"]
    assert int(response.headers["content-length"]) == len(response.data)
