"""Starlette in real apps: state, templates, mounts, websockets, jobs, streams, files, sign-in, and the order of middlewares."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import pickle
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
import uvicorn
from asgi_lifespan import LifespanManager
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket, WebSocketDisconnect

from consent_middleware import ConfigError, ConsentError, UnknownIdError
from consent_middleware import starlette as ours
from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.consent import unanswered
from consent_middleware.starlette import ConsentRequired, consent_context, get_consent, requires_consent
from helpers_starlette import NAVIGATION, ORIGIN, PAGE, SECRET, Browser, converse, plain

if TYPE_CHECKING:
    from pathlib import Path

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "trio"])
BANNER = 'id="consent-banner"'


def added(*routes: Any, middleware: tuple[Middleware, ...] = (), **options: Any) -> Starlette:
    """Return an app with the middleware in its list, outermost."""
    consent = Middleware(ConsentMiddleware, config=plain(**options.pop("declared", {})), secret_key=SECRET)
    return Starlette(routes=routes, middleware=[consent, *middleware], **options)


def wrapped(*routes: Any, declared: dict[str, Any] | None = None, **options: Any) -> ConsentMiddleware:
    """Return an app with the middleware round it."""
    return ConsentMiddleware(Starlette(routes=routes, **options), plain(**declared or {}), SECRET)


def cookie_names(response: httpx.Response) -> list[str]:
    """Return the names of the cookies that a response sets."""
    return [value.partition("=")[0] for value in response.headers.get_list("set-cookie")]


async def page(_request: Request) -> HTMLResponse:
    """Answer with a page, a tracker's cookie and the site's own."""
    response = HTMLResponse(PAGE)
    response.set_cookie("_ga", "1")
    response.set_cookie("session", "1")
    return response


async def told(request: Request) -> JSONResponse:
    """Answer with what the app knows of consent."""
    consent = await get_consent(request)
    return JSONResponse(
        {
            "analytics": consent.allows("analytics"),
            "answered": consent.answered,
            "same": consent.granted == request.state.consent.granted,
            "url": consent.preferences_url,
        }
    )


# -- the app's own view


@pytest.mark.parametrize("build", [added, wrapped])
@LOOPS
def test_an_endpoint_reads_consent(build: Callable[..., Any], loop: str) -> None:
    """`get_consent(request)` is `request.state.consent`, before and after an answer."""
    browser = Browser(build(Route("/", told)), loop=loop)
    before = browser.fetch().json()
    browser.choose()
    assert (before, browser.fetch().json()) == (
        {"analytics": False, "answered": False, "same": True, "url": "/_consent/preferences"},
        {"analytics": True, "answered": True, "same": True, "url": "/_consent/preferences"},
    )


def test_the_lifespans_state_stays_beside_consent() -> None:
    """What start-up put into the state is there, and consent is each request's own."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"pool": "open"}

    async def endpoint(request: Request) -> JSONResponse:
        return JSONResponse([request.state.pool, request.state.consent.allows("analytics")])

    app = wrapped(Route("/", endpoint), lifespan=lifespan)

    async def go() -> list[Any]:
        async with LifespanManager(app) as manager:
            transport = httpx.ASGITransport(manager.app)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                before = (await client.get("/")).json()
                await client.post(
                    "/_consent/choice",
                    data={"action": "accept_all"},
                    headers={"sec-fetch-site": "same-origin"},
                )
                return [before, (await client.get("/")).json()]

    assert anyio.run(go) == [["open", False], ["open", True]]


def test_update_in_an_endpoint_is_a_choice() -> None:
    """A choice from the site's own account page holds from that response on."""

    async def account(request: Request) -> JSONResponse:
        (await get_consent(request)).update({"analytics": True})
        return JSONResponse({})

    browser = Browser(wrapped(Route("/account", account, methods=["POST"]), Route("/", told)))
    assert cookie_names(browser.request("POST", "/account")) == ["__Host-consent"]
    assert browser.fetch().json()["analytics"] is True


def test_identify_in_a_log_in_binds_the_account(declaration: Any) -> None:
    """What an account answered on one device holds on the next, from the log-in on."""

    async def log_in(request: Request) -> JSONResponse:
        consent = await get_consent(request)
        consent.identify("user-42")
        return JSONResponse({})

    async def opt_out(request: Request) -> JSONResponse:
        consent = await get_consent(request)
        consent.identify("user-42")
        consent.update({"analytics": False})
        return JSONResponse({})

    routes = [Route("/log-in", log_in), Route("/opt-out", opt_out), Route("/", told)]
    app = ConsentMiddleware(Starlette(routes=routes), declaration(), SECRET)
    first, second = Browser(app), Browser(app)
    first.fetch("/opt-out")
    second.choose("accept_all")
    assert second.fetch().json()["analytics"] is True
    second.fetch("/log-in")
    after = second.fetch().json()["analytics"]
    app.site.store.close()
    assert after is False


# -- where no middleware ran


def test_without_a_middleware_nobody_has_answered(log: pytest.LogCaptureFixture) -> None:
    """No error, nothing granted, and one warning that says what is missing."""
    ours._say_that_none_ran.cache_clear()
    browser = Browser(Starlette(routes=[Route("/", told)]))
    expected = {"analytics": False, "answered": False, "same": True, "url": ""}

    async def endpoint(request: Request) -> JSONResponse:
        request.state.consent = await get_consent(request)
        return await told(request)

    browser.app = Starlette(routes=[Route("/", endpoint)])
    assert [browser.fetch().json() for _ in range(2)] == [expected] * 2
    assert [record.levelname for record in log.records if "no ConsentMiddleware ran" in record.message] == [
        "WARNING"
    ]


def test_nobodys_consent_answers_like_any_other() -> None:
    """Every attribute is there; an essential service runs, everything else does not."""
    nobody = unanswered()
    snapshot = pickle.loads(pickle.dumps(nobody.snapshot()))
    nobody.identify("user-42")
    assert nobody.allows("essential")
    assert not nobody.allows("anything")
    assert (nobody.answered, nobody.granted, bool(nobody.signals)) == (False, frozenset({"essential"}), False)
    assert (nobody.regime, nobody.reasons["x"]) == ("opt-in", "denied: no ConsentMiddleware ran")
    assert (str(nobody.link()), nobody.preferences_url) == ("", "")
    assert [snapshot.allows("essential"), snapshot.allows("anything")] == [True, False]


def test_a_choice_that_nobody_would_keep_raises() -> None:
    """`update()` where no middleware ran would be lost without a word."""
    with pytest.raises(ConsentError, match="no ConsentMiddleware ran"):
        unanswered().update({"analytics": True})


@pytest.mark.parametrize("state", [{}, {"consent": "something of the app's own"}])
def test_a_strangers_state_is_no_consent(state: dict[str, Any]) -> None:
    """Without a middleware, what an app itself calls consent is not believed."""
    connection = HTTPConnection({"type": "http", "headers": [], "state": state})
    assert anyio.run(get_consent, connection).answered is False


def test_importing_needs_no_fastapi() -> None:
    """A Starlette site loads Starlette alone, and is told what `ConsentDep` needs."""
    script = (
        "import sys; sys.modules['fastapi'] = None\n"
        "import consent_middleware.starlette as ours\n"
        "try: ours.ConsentDep\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "fastapi" in done.stdout


# -- templates


def templates(text: str) -> Jinja2Templates:
    """Return templates of one page."""
    environment = Environment(loader=DictLoader({"page.html": text}), autoescape=True)
    return Jinja2Templates(env=environment, context_processors=[consent_context])


def rendering(text: str) -> Route:
    """Return a route that renders a template."""
    found = templates(text)

    async def endpoint(request: Request) -> Response:
        return found.TemplateResponse(request, "page.html")

    return Route("/", endpoint)


def test_templates_know_consent() -> None:
    """`consent` and `consent_link()` are there without a word in the endpoint."""
    text = "<p>{{ consent.allows('analytics') }} {{ consent_link() }} {{ consent_link('<Cookies>') }}</p>"
    browser = Browser(wrapped(rendering(text)))
    link = '<a href="/_consent/preferences" data-consent="preferences">{}</a>'
    before = browser.fetch().text
    browser.choose()
    assert before == f"<p>False {link.format('Cookie settings')} {link.format('&lt;Cookies&gt;')}</p>"
    assert browser.fetch().text.startswith("<p>True ")


@pytest.mark.parametrize(
    ("site", "call", "said"),
    [
        ({"languages": ["de", "en"]}, "consent_link()", ("", "Cookie-Einstellungen")),
        ({"languages": ["de", "en"]}, "consent_link(language='en')", ("?lang=en", "Cookie settings")),
        ({"regime": "opt-out"}, "consent_link()", ("", "Your Privacy Choices")),
    ],
)
def test_the_link_speaks_the_sites_language(site: dict[str, Any], call: str, said: tuple[str, str]) -> None:
    """A language that is asked for goes on to the page it leads to; under opt-out it bears the name the law gives it."""
    app = wrapped(rendering("{{ " + call + " }}"), declared={"site": {"name": "Shop"} | site})
    query, label = said
    expected = f'<a href="/_consent/preferences{query}" data-consent="preferences">{label}</a>'
    assert Browser(app).fetch().text == expected


def test_a_link_in_a_language_that_is_not_there_is_a_clear_error() -> None:
    """It raises, and says which there are."""
    found = templates("{{ consent_link(language='fr') }}")

    async def endpoint(request: Request) -> Response:
        with pytest.raises(ValueError, match="'fr' is none of the site's languages: en"):
            found.TemplateResponse(request, "page.html")
        return PlainTextResponse("raised")

    assert Browser(wrapped(Route("/", endpoint))).fetch().text == "raised"


def test_a_template_that_does_not_ask_stays_as_it_is() -> None:
    """Only what reads consent makes a response personal; the link is the same for everyone."""
    asks, links = (wrapped(rendering(text)) for text in ("{{ consent.answered }}", "{{ consent_link() }}"))
    found = [Browser(app).fetch().headers.get("cache-control") for app in (asks, links)]
    assert [value and "private" in value for value in found] == [True, None]


def test_an_unknown_category_in_a_template_is_a_clear_error() -> None:
    """A misspelt id raises, and says which is meant."""
    found = templates("{{ consent.allows('analitics') }}")

    async def endpoint(request: Request) -> Response:
        with pytest.raises(UnknownIdError, match="Did you mean 'analytics'"):
            found.TemplateResponse(request, "page.html")
        return PlainTextResponse("raised")

    assert Browser(wrapped(Route("/", endpoint))).fetch().text == "raised"


# -- a condition of a route


async def private(request: Request) -> JSONResponse:
    """Answer only those who allow it."""
    consent = await requires_consent("analytics")(request)
    return JSONResponse(sorted(consent.granted))


def test_a_route_may_need_a_consent() -> None:
    """403 in words until it is granted, and the refusal is for this visitor alone."""
    browser = Browser(wrapped(Route("/", private)))
    refused = browser.fetch()
    browser.choose()
    assert (refused.status_code, refused.text) == (403, "This needs the visitor's consent: analytics.")
    assert "private" in refused.headers["cache-control"]
    assert browser.fetch().status_code == 200


def test_a_site_answers_a_missing_consent_with_a_page_of_its_own() -> None:
    """The exception carries what a handler needs."""

    async def ask(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ConsentRequired)
        return HTMLResponse(f"<html><body>{error.unit} {error.preferences_url}</body></html>", 403)

    response = Browser(wrapped(Route("/", private), exception_handlers={ConsentRequired: ask})).visit()
    assert "analytics /_consent/preferences" in response.text
    assert BANNER in response.text


# -- mounted apps, root_path


@pytest.mark.parametrize("mount", ["", "/shop"])
@pytest.mark.parametrize("build", [added, wrapped])
def test_a_mounted_apps_links_start_at_the_outer_app(build: Callable[..., Any], mount: str) -> None:
    """One middleware serves every mounted app; forms and links go to where it answers, behind a root path too."""
    inner = Starlette(routes=[Route("/", page), Route("/told", told)])
    browser = Browser(build(Mount("/sub", app=inner)), mount=mount)
    text = browser.visit(f"{mount}/sub/").text
    assert f'action="{mount}/_consent/choice"' in text
    assert browser.fetch(f"{mount}/sub/told").json()["url"] == f"{mount}/_consent/preferences"
    assert browser.choose(path=f"{mount}/_consent/choice").status_code == 303
    assert browser.fetch(f"{mount}/sub/told").json()["analytics"] is True


def test_a_middleware_in_a_mounted_app_alone_answers_below_its_mount() -> None:
    """Only that part of the site asks, with addresses of its own."""
    inner = added(Route("/", page), Route("/told", told))
    browser = Browser(Starlette(routes=[Mount("/shop", app=inner), Route("/", page)]))
    assert 'action="/shop/_consent/choice"' in browser.visit("/shop/").text
    assert BANNER not in browser.visit("/").text
    browser.choose(path="/shop/_consent/choice")
    assert browser.fetch("/shop/told").json()["analytics"] is True


def test_an_instance_inside_another_defers() -> None:
    """A mounted app that brings a middleware of its own is served by the outer one, once."""
    inner = added(
        Route("/", page), Route("/told", told), declared={"site": {"name": "Inner", "path": "/inner"}}
    )
    browser = Browser(wrapped(Mount("/sub", app=inner)))
    response = browser.visit("/sub/")
    assert (response.text.count(BANNER), cookie_names(response)) == (1, ["session"])
    assert browser.fetch("/sub/told").json()["url"] == "/_consent/preferences"


def test_adding_and_wrapping_is_an_error() -> None:
    """One or the other: found when the app is wrapped."""
    with pytest.raises(ConfigError, match="wrapped already"):
        ConsentMiddleware(added(Route("/", page)), plain(), SECRET)


# -- websockets


def handshake(**more: Any) -> dict[str, Any]:
    """Return a websocket's scope."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "scheme": "wss",
        "path": "/ws",
        "query_string": b"",
        "subprotocols": [],
        "headers": [(b"host", b"shop.example")],
        "extensions": {"websocket.http.response": {}},
        **more,
    }


@LOOPS
def test_a_websocket_reads_the_consent_of_its_handshake(loop: str) -> None:
    """`get_consent(websocket)`; what it sets and sends passes."""

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"set-cookie", b"_ga=1"), (b"set-cookie", b"session=1")])
        consent = await get_consent(websocket)
        await websocket.send_json([await websocket.receive_text(), consent.allows("analytics")])
        with pytest.raises(WebSocketDisconnect):
            await websocket.receive_text()

    app = wrapped(WebSocketRoute("/ws", chat))
    browser = Browser(app)
    browser.choose()
    cookie = "; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar).encode()
    headers = [(b"host", b"shop.example"), (b"cookie", cookie)]
    for scope, allows in ((handshake(), False), (handshake(headers=headers), True)):
        received = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
        sent = anyio.run(functools.partial(converse, app, scope, received), backend=loop)
        held = [] if allows else [(b"set-cookie", b"_ga=1")]
        assert [pair for pair in [(b"set-cookie", b"_ga=1")] if pair not in sent[0]["headers"]] == held
        assert (b"set-cookie", b"session=1") in sent[0]["headers"]
        assert json.loads(sent[1]["text"]) == ["hello", allows]


def test_a_websocket_that_needs_a_consent_is_closed() -> None:
    """1008, the code for a policy, with the reason in words."""

    async def chat(websocket: WebSocket) -> None:
        await requires_consent("marketing")(websocket)

    sent = anyio.run(
        converse, wrapped(WebSocketRoute("/ws", chat)), handshake(), [{"type": "websocket.connect"}]
    )
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1008)]
    assert "marketing" in sent[0]["reason"]


# -- jobs behind the response


@LOOPS
def test_a_background_task_takes_a_snapshot_along(loop: str) -> None:
    """It runs after the response, once, and knows what the visitor had allowed."""
    ran: list[Any] = []

    async def order(request: Request) -> Response:
        snapshot = request.state.consent.snapshot()
        return HTMLResponse(PAGE, background=BackgroundTask(lambda: ran.append(snapshot.allows("marketing"))))

    browser = Browser(wrapped(Route("/order", order)), loop=loop)
    response = browser.visit("/order")
    browser.choose()
    browser.visit("/order")
    assert BANNER in response.text
    assert ran == [False, True]


# -- streams and files


async def chunks_of(app: Any, path: str, **headers: str) -> list[bytes]:
    """Return a body piece by piece as the server gets it."""
    pairs = [(name.encode(), value.encode()) for name, value in {"host": "shop.example", **headers}.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "query_string": b"",
        "headers": pairs,
    }
    never = anyio.Event()
    sent: list[bytes] = []

    async def receive() -> Any:
        await never.wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("build", [added, wrapped])
@LOOPS
def test_server_sent_events_leave_one_by_one(build: Callable[..., Any], loop: str) -> None:
    """Each event has left before the next one is made."""
    made: list[int] = []

    async def feed(_request: Request) -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for number in range(3):
                made.append(number)
                yield b"data: %d\n\n" % number

        return StreamingResponse(events(), media_type="text/event-stream")

    ask = functools.partial(chunks_of, build(Route("/feed", feed)), "/feed", accept="text/event-stream")
    assert anyio.run(ask, backend=loop) == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n", b""]


def test_a_streamed_page_gets_the_banner_in_its_first_piece() -> None:
    """Nothing is held back to the end: pieces in the middle leave as they came."""

    async def stream(_request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            yield "<!doctype html><html><head></head><body><p>one</p>"
            yield "<p>two</p>"
            yield "<p>three</p></body></html>"

        return StreamingResponse(pieces(), media_type="text/html")

    sent = anyio.run(functools.partial(chunks_of, wrapped(Route("/", stream)), "/", **NAVIGATION))
    assert [BANNER.encode() in piece for piece in sent] == [True, False, False, False]
    assert b"<p>two</p>" in sent[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keep a page, a style sheet and a video of a kind."""
    (tmp_path / "index.html").write_text(PAGE, "utf-8")
    (tmp_path / "style.css").write_bytes(b"p { color: red }")
    (tmp_path / "film.mp4").write_bytes(bytes(range(256)) * 4)
    return tmp_path


@pytest.mark.parametrize("build", [added, wrapped])
def test_files_leave_as_they_are(build: Callable[..., Any], folder: Path) -> None:
    """A file, a part of it, its validators: byte for byte what the app alone sends; a page gets the banner."""

    async def film(_request: Request) -> FileResponse:
        return FileResponse(folder / "film.mp4")

    routes = [Route("/film", film), Mount("/static", app=StaticFiles(directory=folder, html=True))]
    ours_, bare = Browser(build(*routes)), Browser(Starlette(routes=routes))
    for path, headers in (
        ("/film", {}),
        ("/film", {"range": "bytes=100-199"}),
        ("/film", {"range": "bytes=0-1,10-11"}),
        ("/static/style.css", {}),
        ("/static/style.css", {"if-none-match": bare.fetch("/static/style.css").headers["etag"]}),
        ("/static/none.css", {}),
    ):
        got, expected = ours_.fetch(path, **headers), bare.fetch(path, **headers)
        assert got.status_code == expected.status_code
        if "," not in headers.get("range", ""):  # the boundary between parts is random
            assert (got.content, dict(got.headers)) == (expected.content, dict(expected.headers))
    assert BANNER in ours_.visit("/static/").text


# -- error pages


async def broken(_request: Request) -> Response:
    """Fail."""
    raise RuntimeError("inside")


async def missing(_request: Request) -> Response:
    """Miss."""
    raise HTTPException(404, "Not here.")


async def error_page(_request: Request, _error: Exception) -> Response:
    """Answer with the site's own error page."""
    response = HTMLResponse(PAGE, 500)
    response.set_cookie("_ga", "1")
    return response


async def error_json(_request: Request, _error: Exception) -> Response:
    """Answer with words for programs."""
    return JSONResponse({"detail": "failed"}, 500)


@pytest.mark.parametrize(("build", "asks"), [(added, False), (wrapped, True)])
def test_only_wrapping_covers_the_page_for_500(build: Callable[..., Any], asks: bool) -> None:  # noqa: FBT001
    """Added, the error handler's page stands outside; wrapped, it gets the banner and its cookies are held."""
    response = Browser(build(Route("/", broken), exception_handlers={500: error_page})).visit()
    assert (response.status_code, BANNER in response.text) == (500, asks)
    assert cookie_names(response) == ([] if asks else ["_ga"])


@pytest.mark.parametrize("build", [added, wrapped])
def test_every_other_error_page_asks(build: Callable[..., Any]) -> None:
    """An `HTTPException` with a page of the site's own, and one in plain words."""
    own = Browser(build(Route("/", missing), exception_handlers={404: error_page})).visit()
    usual = Browser(build(Route("/", missing))).visit()
    assert (BANNER in own.text, cookie_names(own)) == (True, [])
    assert (usual.status_code, usual.text) == (404, "Not here.")


# -- other middlewares, in either order

SESSION = Middleware(SessionMiddleware, secret_key="made-up")
GZIP = Middleware(GZipMiddleware, minimum_size=10)
CORS = Middleware(CORSMiddleware, allow_origins=["https://other.example"], allow_credentials=True)
HOSTS = Middleware(TrustedHostMiddleware, allowed_hosts=["shop.example"])
HTTPS = Middleware(HTTPSRedirectMiddleware)


class Timed(BaseHTTPMiddleware):
    """Adds a header, as many do."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        """Answer."""
        response: Response = await call_next(request)
        response.headers["server-timing"] = "app"
        return response


OTHERS = [SESSION, GZIP, CORS, HOSTS, HTTPS, Middleware(Timed)]


def stacked(order: str, *others: Middleware, routes: Any = (), **declared: Any) -> Any:
    """Return an app with other middlewares outside or inside the consent's, or the consent's round it all."""
    if order == "wrapped":
        return ConsentMiddleware(Starlette(routes=routes, middleware=others), plain(**declared), SECRET)
    consent = Middleware(ConsentMiddleware, config=plain(**declared), secret_key=SECRET)
    stack = [*others, consent] if order == "outside" else [consent, *others]
    return Starlette(routes=routes, middleware=stack)


async def visited(request: Request) -> HTMLResponse:
    """Count visits in the session, and answer with a page."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    response = HTMLResponse(PAGE.replace("Hello", f"Visit {request.session['visits']} " * 20))
    response.set_cookie("_ga", "1")
    return response


ORDERS = pytest.mark.parametrize("order", ["outside", "inside", "wrapped"])


@ORDERS
@LOOPS
def test_usual_middlewares_work_in_either_order(order: str, loop: str, log: pytest.LogCaptureFixture) -> None:
    """Compression, session, CORS, hosts and a header of the site's own: the page asks, nothing escapes, no warning."""
    app = stacked(order, *OTHERS, routes=[Route("/", visited)])
    browser = Browser(app, loop=loop)
    first = browser.visit("/", origin="https://other.example", **{"accept-encoding": "gzip"})
    second = browser.visit("/")
    assert first.text.count(BANNER) == 1
    assert "Visit 2" in second.text
    assert cookie_names(first) == ["session"]
    assert (first.headers["content-encoding"], first.headers["server-timing"]) == ("gzip", "app")
    assert first.headers["access-control-allow-origin"] == "https://other.example"
    assert browser.choose().status_code == 303
    assert cookie_names(browser.visit("/")) == ["_ga", "session"]
    start_up(app)
    assert [record.message for record in log.records if "outside" in record.message] == []


@ORDERS
def test_a_form_is_answered_whatever_stands_around(order: str) -> None:
    """Our own addresses work behind and before every one of them."""
    browser = Browser(stacked(order, *OTHERS))
    page_ = browser.visit("/_consent/preferences", **{"accept-encoding": "gzip"})
    assert 'action="/_consent/choice"' in page_.text
    assert browser.fetch("/_consent/state.json").status_code == 200


@pytest.mark.parametrize(("order", "compressed"), [("outside", True), ("inside", False)])
def test_gzip_outside_compresses_our_pages_too(order: str, compressed: bool) -> None:  # noqa: FBT001
    """The reason for the documented order: outside, nothing is opened again, and our own pages are compressed."""
    response = Browser(stacked(order, GZIP)).visit("/_consent/preferences", **{"accept-encoding": "gzip"})
    assert (response.headers.get("content-encoding") == "gzip") is compressed


def test_a_body_that_may_not_be_opened_is_told_once(log: pytest.LogCaptureFixture) -> None:
    """Compressed inside while `transcode` is off: that page escapes, and the log names the order."""
    site = {"name": "Shop", "transcode": False}
    browser = Browser(stacked("inside", GZIP, routes=[Route("/", page)], site=site))
    texts = [browser.visit("/", **{"accept-encoding": "gzip"}).text for _ in range(2)]
    told_ = [
        record.message
        for record in log.records
        if record.levelno == logging.WARNING and "gzip" in record.message
    ]
    assert [BANNER in text for text in texts] == [False, False]
    assert len(told_) == 1


@pytest.mark.parametrize(("order", "status"), [("outside", 400), ("inside", 200)])
def test_hosts_are_checked_outside(order: str, status: int) -> None:
    """The reason for the documented order: inside, our own addresses answer for every host."""
    browser = Browser(stacked(order, HOSTS), origin="https://evil.example")
    assert browser.fetch("/_consent/state.json").status_code == status


@pytest.mark.parametrize(("order", "allowed"), [("outside", "https://other.example"), ("inside", None)])
def test_cors_outside_covers_our_addresses(order: str, allowed: str | None) -> None:
    """Outside, the app's CORS rules hold for our own addresses; inside, `[site] origins` says who may read them."""
    response = Browser(stacked(order, CORS)).fetch("/_consent/state.json", origin="https://other.example")
    assert response.headers.get("access-control-allow-origin") == allowed


# -- the warning

Outer = Callable[[], Middleware]


class Tracking(BaseHTTPMiddleware):
    """Sets a cookie on its way out."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        """Answer."""
        response: Response = await call_next(request)
        response.set_cookie("_ga", "1")
        return response


class RawTracking:
    """Does the same without a base class."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on."""

        async def with_cookie(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"set-cookie", b"_ga=1")]}
            await send(message)

        await self.app(scope, receive, with_cookie if scope["type"] == "http" else send)


async def maintenance(request: Request, call_next: Any, *, closed: bool = True) -> Response:
    """Answer with a page instead of the app."""
    if closed:
        return HTMLResponse(PAGE, 503)
    response: Response = await call_next(request)
    return response


ESCAPING = {
    "Tracking": Middleware(Tracking),
    "RawTracking": Middleware(RawTracking),
    "maintenance": Middleware(BaseHTTPMiddleware, dispatch=functools.partial(maintenance, closed=True)),
}


def start_up(app: Any) -> None:
    """Let an app start and stop."""

    async def go() -> None:
        async with LifespanManager(app):
            pass

    anyio.run(go)


@pytest.mark.parametrize("name", ESCAPING)
def test_a_cookie_or_page_that_escapes_is_told_at_the_start(name: str, log: pytest.LogCaptureFixture) -> None:
    """Outside: it does escape, and one warning names it and the remedy. Inside, and wrapped: neither."""
    found = {}
    for order in ("outside", "inside", "wrapped"):
        app = stacked(order, ESCAPING[name], routes=[Route("/", page)])
        response = Browser(app).visit()
        escaped = "_ga" in cookie_names(response) or BANNER not in response.text
        log.clear()
        start_up(app)
        start_up(app)
        found[order] = escaped, [r.message for r in log.records if f"{name} stands outside" in r.message]
    warned = found.pop("outside")
    assert (warned[0], len(warned[1])) == (True, 1)
    assert "app = ConsentMiddleware(app, ...)" in warned[1][0]
    assert found == {"inside": (False, []), "wrapped": (False, [])}


@pytest.mark.parametrize(
    ("build", "handler", "warns"),
    [(added, error_page, True), (added, error_json, False), (wrapped, error_page, False)],
    ids=["page", "json", "wrapped"],
)
@pytest.mark.parametrize("key", [500, Exception])
def test_an_error_page_that_escapes_is_told_at_the_start(
    build: Callable[..., Any],
    handler: Any,
    warns: bool,  # noqa: FBT001
    key: Any,
    log: pytest.LogCaptureFixture,
) -> None:
    """A handler that answers with a page, where the middleware was added: the log names the wrapping form."""
    start_up(build(Route("/", page), exception_handlers={key: handler}))
    told_ = [record.message for record in log.records if "error_page, the handler for" in record.message]
    assert ["Wrap the whole app instead" in message for message in told_] == ([True] if warns else [])


def test_a_failing_start_up_is_the_apps_own(log: pytest.LogCaptureFixture) -> None:
    """Looking at the order changes nothing in how a lifespan goes wrong."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        start_up(added(Route("/", page), lifespan=lifespan))
    assert "outside" not in log.text


# -- signing in


def provider() -> Starlette:
    """Return a small OpenID provider's token and user endpoints; it knows one code."""

    async def token(request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        if form["code"] != ["the-code"] or "code_verifier" not in form:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "t", "token_type": "Bearer", "expires_in": 3600})

    async def user(request: Request) -> Response:
        known = request.headers["authorization"] == "Bearer t"
        return JSONResponse({"sub": "user-42"} if known else {}, 200 if known else 401)

    return Starlette(routes=[Route("/token", token, methods=["POST"]), Route("/user", user)])


def signing_in() -> list[Route]:
    """Return the routes of a site whose visitors sign in by Authlib."""
    with warnings.catch_warnings(record=True):  # it would like httpx2 better
        from authlib.integrations.starlette_client import OAuth  # noqa: PLC0415

    oauth = OAuth()
    oauth.register(
        "idp",
        client_id="shop",
        client_secret="made-up",
        authorize_url="https://idp.example/authorize",
        access_token_url="https://idp.example/token",
        api_base_url="https://idp.example/",
        client_kwargs={
            "scope": "profile",
            "code_challenge_method": "S256",
            "transport": httpx.ASGITransport(provider()),
        },
    )

    async def log_in(request: Request) -> Any:
        return await oauth.idp.authorize_redirect(request, f"{ORIGIN}/auth/callback")

    async def callback(request: Request) -> Response:
        found = await oauth.idp.authorize_access_token(request)
        request.session["user"] = (await oauth.idp.get("user", token=found)).json()["sub"]
        return RedirectResponse("/", 303)

    async def home(request: Request) -> Response:
        return PlainTextResponse(request.session.get("user", "nobody"))

    return [Route("/login", log_in), Route("/auth/callback", callback), Route("/", home)]


@pytest.mark.parametrize("answer", ["", "reject_all", "accept_all"])
@ORDERS
def test_signing_in_by_authlib_goes_through(order: str, answer: str) -> None:
    """State and verifier survive the way to the provider and back, whatever the visitor said to cookies."""
    browser = Browser(stacked(order, SESSION, routes=signing_in()))
    if answer:
        browser.choose(answer)
    assert browser.fetch("/").text == "nobody"
    asked = urlsplit(browser.visit("/login").headers["location"])
    state = parse_qs(asked.query)["state"][0]
    back = browser.visit(f"/auth/callback?code=the-code&state={state}", **{"sec-fetch-site": "cross-site"})
    assert (asked.netloc, back.status_code) == ("idp.example", 303)
    assert browser.fetch("/").text == "user-42"


# -- a real server


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Run uvicorn in a thread; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"  # the backlog waits until it has started
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def test_a_real_server_round_trip(log: pytest.LogCaptureFixture) -> None:
    """uvicorn: page, answer, page; gzip on the wire; the warning comes with the start."""
    app = stacked("outside", Middleware(RawTracking), GZIP, routes=[Route("/", page), Route("/told", told)])
    with served(app) as origin, httpx.Client(base_url=origin, timeout=30, headers=NAVIGATION) as browser:
        first = browser.get("/", headers={"accept-encoding": "gzip"})
        answered = browser.post("/_consent/choice", data={"action": "accept_all"}, headers={"origin": origin})
        after = browser.get("/told").json()
    assert (first.headers["content-encoding"], first.text.count(BANNER)) == ("gzip", 1)
    assert (answered.status_code, after["analytics"]) == (303, True)
    assert [record.message for record in log.records if "RawTracking stands outside" in record.message]
