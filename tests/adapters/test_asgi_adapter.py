"""What only ASGI has: messages of every kind, scopes, websockets, lifespan, both event loops."""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import flask
import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from consent_middleware import Records
from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECRET = "a-secret-of-32-characters-length"
HTML = (b"content-type", b"text/html; charset=utf-8")
TEXT = (b"content-type", b"text/plain")
PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"
NAVIGATION = [(b"host", b"shop.example"), (b"sec-fetch-mode", b"navigate"), (b"accept", b"text/html")]
GA = (b"set-cookie", b"_ga=1")
BOTH = pytest.mark.parametrize("loop", ["asyncio", "trio"])


def http(**changes: Any) -> dict[str, Any]:
    """Return a scope."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/",
        "query_string": b"",
        "headers": list(NAVIGATION),
    }
    return scope | changes


def start(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """Return a start message."""
    return {"type": "http.response.start", "status": 200, "headers": list(headers), **more}


def body(data: bytes = b"", *, more_body: bool = False) -> dict[str, Any]:
    """Return a body message."""
    return {"type": "http.response.body", "body": data, "more_body": more_body}


class Bench:
    """A middleware over an app that sends given messages; keeps the scopes the app saw."""

    def __init__(self, declaration: Callable[..., Any], messages: Iterable[Any] = ()) -> None:
        self.messages = list(messages)
        self.scopes: list[dict[str, Any]] = []
        self.middleware = ConsentMiddleware(self.app, declaration(), SECRET)

    async def app(self, scope: Any, _receive: Any, send: Any) -> None:
        """Send the messages."""
        self.scopes.append(scope)
        for message in self.messages:
            await send(message)

    def run(self, scope: Any = None, *, loop: str = "asyncio", received: Iterable[Any] = ()) -> list[Any]:
        """Return what the server got for a scope."""
        sent: list[Any] = []
        waiting = list(received)

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        anyio.run(self.middleware, http() if scope is None else scope, receive, send, backend=loop)
        return sent


@BOTH
def test_a_response_nothing_is_done_to_passes_as_the_same_objects(declaration: Any, loop: str) -> None:
    """A stylesheet's messages are the app's own, not copies."""
    messages = [start((b"content-type", b"text/css")), body(b"a", more_body=True), body(b"b")]
    sent = Bench(declaration, messages).run(loop=loop)
    assert [got is given for got, given in zip(sent, messages, strict=True)] == [True] * 3


@BOTH
def test_unknown_messages_are_forwarded(declaration: Any, loop: str) -> None:
    """Early hints, debug, trailers and what comes tomorrow reach the server, in order."""
    messages: list[Any] = [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        start(HTML, trailers=True),
        body(PAGE),
        {"type": "http.response.trailers", "headers": [(b"x", b"y")], "more_trailers": False},
        {"type": "http.response.tomorrow"},
    ]
    sent = Bench(declaration, messages).run(loop=loop)
    assert [message["type"] for message in sent] == [message["type"] for message in messages]
    assert sent[2]["trailers"] is True
    assert [sent[i] is messages[i] for i in (0, 1, 4, 5)] == [True] * 4


@pytest.mark.parametrize("name", [b"Set-Cookie", b"SET-COOKIE", b"set-cookie"])
def test_response_header_names_need_not_be_lower_case(declaration: Any, name: bytes) -> None:
    """Some apps send `Set-Cookie`: it is filtered all the same."""
    sent = Bench(declaration, [start((b"Content-Type", b"text/html"), (name, b"_ga=1")), body(PAGE)]).run()
    assert not [pair for pair in sent[0]["headers"] if pair[0].lower() == b"set-cookie"]
    assert b"guard.js" in sent[1]["body"]


def test_response_headers_may_be_a_generator(declaration: Any) -> None:
    """Headers that can be read only once are read once."""
    messages = [
        {"type": "http.response.start", "status": 200, "headers": (pair for pair in [TEXT, GA])},
        body(b"x"),
    ]
    assert Bench(declaration, messages).run()[0]["headers"] == [TEXT]


def test_response_headers_may_be_lists_or_tuples(declaration: Any) -> None:
    """A tuple of lists is as good as a list of tuples."""
    messages = [{"type": "http.response.start", "status": 200, "headers": ([*TEXT], [*GA])}, body(b"x")]
    assert [tuple(pair) for pair in Bench(declaration, messages).run()[0]["headers"]] == [TEXT]


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.body"}],
        [{"type": "http.response.start", "status": 200, "headers": [HTML]}, {"type": "http.response.body"}],
        [start(HTML), {"type": "http.response.body", "body": PAGE}],
    ],
    ids=["no-headers", "no-body", "no-more-body"],
)
def test_optional_keys_may_be_absent(declaration: Any, messages: list[Any]) -> None:
    """`headers`, `body` and `more_body` have defaults."""
    sent = Bench(declaration, messages).run()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert not sent[-1].get("more_body", False)


def test_request_headers_may_be_a_generator(declaration: Any) -> None:
    """The app still sees every header after we have read them."""
    bench = Bench(declaration, [start(TEXT), body(b"x")])
    bench.run(http(headers=(pair for pair in [(b"host", b"shop.example"), (b"x-own", b"1")])))
    assert (b"x-own", b"1") in list(bench.scopes[0]["headers"])


@pytest.mark.parametrize("absent", ["headers", "root_path", "scheme", "query_string", "state", "extensions"])
def test_optional_scope_keys_may_be_absent(declaration: Any, absent: str) -> None:
    """A scope with the bare minimum is served."""
    scope = http(root_path="", state={}, extensions={})
    del scope[absent]
    assert Bench(declaration, [start(HTML), body(PAGE)]).run(scope)[0]["status"] == 200


def test_the_scope_is_copied_only_where_it_must_differ(declaration: Any) -> None:
    """Outer layers and the app share one scope unless a header is hidden."""
    bench = Bench(declaration, [start(TEXT), body(b"x")])
    plain = http(headers=[(b"host", b"shop.example")])
    cookie = http(headers=[(b"host", b"shop.example"), (b"cookie", b"_ga=1")])
    bench.run(plain)
    bench.run(cookie)
    assert [bench.scopes[0] is plain, bench.scopes[1] is cookie] == [True, False]
    assert (b"cookie", b"_ga=1") in cookie["headers"]


@pytest.mark.parametrize("cookie", [[], [(b"cookie", b"_ga=1")]], ids=["same-scope", "copied-scope"])
def test_a_reused_scope_is_filtered_each_time(declaration: Any, cookie: list[Any]) -> None:
    """An outer layer that tries the same scope again gets a filtered response again."""
    bench = Bench(declaration, [start(TEXT, GA), body(b"x")])
    scope = http(headers=[(b"host", b"shop.example"), *cookie])
    assert [bench.run(scope)[0]["headers"] for _ in range(3)] == [[TEXT]] * 3


@pytest.mark.parametrize("cookie", [[], [(b"cookie", b"_ga=1")]], ids=["same-scope", "copied-scope"])
def test_outer_layers_see_what_the_router_found(declaration: Any, cookie: list[Any]) -> None:
    """`route`, `endpoint` and `path_params`, set on the inner scope, reach the layers outside."""

    async def router(scope: Any, _receive: Any, send: Any) -> None:
        scope["path_params"] = {"id": 7}
        scope["endpoint"] = router
        await send(start(TEXT))
        await send(body(b"x"))

    bench = Bench(declaration)
    bench.middleware.app = router
    scope = http(headers=[(b"host", b"shop.example"), *cookie])
    bench.run(scope)
    assert (scope["path_params"], scope["endpoint"]) == ({"id": 7}, router)
    assert scope["headers"] == [(b"host", b"shop.example"), *cookie]


def test_an_app_that_fails_leaves_no_mark(declaration: Any) -> None:
    """After an exception the same scope is filtered again."""

    async def failing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("inside")

    bench = Bench(declaration, [start(TEXT, GA), body(b"x")])
    scope, bench.middleware.app = http(), failing
    with pytest.raises(RuntimeError, match="inside"):
        bench.run(scope)
    bench.middleware.app = bench.app
    assert bench.run(scope)[0]["headers"] == [TEXT]


def test_consent_stands_in_the_state(declaration: Any) -> None:
    """`scope["state"]["consent"]`, beside what lifespan put there."""
    bench = Bench(declaration, [start(TEXT), body(b"x")])
    bench.run(http(state={"db": "pool"}))
    assert bench.scopes[0]["state"]["db"] == "pool"
    assert bench.scopes[0]["state"]["consent"].allows("essential")


# -- pathsend

PATHSEND: dict[str, Any] = {
    "http.response.pathsend": {},
    "http.response.zerocopysend": {},
    "http.response.push": {},
}


def test_pathsend_is_taken_from_navigations(declaration: Any) -> None:
    """A file sent by its path would leave without the banner, so the app must send bytes."""
    bench = Bench(declaration, [start(HTML), body(PAGE)])
    scope = http(extensions=dict(PATHSEND))
    bench.run(scope)
    assert list(bench.scopes[0]["extensions"]) == ["http.response.push"]
    assert scope["extensions"] == PATHSEND


def test_pathsend_stays_for_everything_else(declaration: Any) -> None:
    """An image or a download is still sent by its path."""
    bench = Bench(
        declaration,
        [start((b"content-type", b"image/png")), {"type": "http.response.pathsend", "path": "/x"}],
    )
    scope = http(headers=[(b"sec-fetch-mode", b"no-cors")], extensions=PATHSEND)
    sent = bench.run(scope)
    assert bench.scopes[0]["extensions"] == PATHSEND
    assert sent[1] is bench.messages[1]


def test_pathsend_of_a_page_all_the_same_is_forwarded_behind_its_start(declaration: Any) -> None:
    """An app that does not look at the extensions still gets its page out, with its own headers."""
    messages = [start(HTML, (b"content-length", b"9")), {"type": "http.response.pathsend", "path": "/x.html"}]
    sent = Bench(declaration, messages).run()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.pathsend"]
    assert (b"content-length", b"9") in sent[0]["headers"]


# -- bodies


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_a_body_may_be_any_bytes(declaration: Any, wrap: Any) -> None:
    """Servers take bytearray and memoryview, so must we."""
    sent = Bench(
        declaration, [start(HTML), body(wrap(PAGE[:30]), more_body=True), body(wrap(PAGE[30:]))]
    ).run()
    assert b"guard.js" in b"".join(bytes(message.get("body", b"")) for message in sent)


def test_the_last_message_ends_the_body_once(declaration: Any) -> None:
    """However a page is cut, exactly one message says that it is over."""
    chunks = [body(PAGE[i : i + 5], more_body=True) for i in range(0, len(PAGE), 5)]
    sent = Bench(declaration, [start(HTML), *chunks, body()]).run()
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(sent) - 2) + [False]


# -- a choice


def choice(*chunks: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Return a choice's scope, and its body in pieces."""
    headers = [(b"host", b"shop.example"), (b"sec-fetch-site", b"same-origin")]
    headers.append((b"content-type", b"application/x-www-form-urlencoded"))
    scope = http(method="POST", path="/_consent/choice", headers=headers)
    last = len(chunks) - 1
    return scope, [
        {"type": "http.request", "body": chunk, "more_body": i != last} for i, chunk in enumerate(chunks)
    ]


@BOTH
def test_a_choice_may_come_in_pieces(declaration: Any, loop: str) -> None:
    """A body in several messages is one form."""
    scope, received = choice(b"act", b"", b"ion=reject", b"_all")
    bench = Bench(declaration)
    assert bench.run(scope, received=received, loop=loop)[0]["status"] == 303
    bench.middleware.site.store.close()


def test_an_endless_choice_is_not_read_to_its_end(declaration: Any) -> None:
    """Behind the limit nothing more is asked for."""
    scope, received = choice(*[b"x" * 8000] * 10)
    bench = Bench(declaration)
    assert bench.run(scope, received=received)[0]["status"] == 413
    assert bench.scopes == []


def test_a_choice_cut_off_by_a_disconnect_is_none(declaration: Any, tmp_path: Any) -> None:
    """Half a form might grant more than the whole would."""
    scope, received = choice(b"action=save&category=analytics&", b"detail=1")
    received[-1] = {"type": "http.disconnect"}
    bench = Bench(declaration)
    sent = bench.run(scope, received=received)
    assert not [pair for message in sent for pair in message.get("headers", []) if pair[0] == b"set-cookie"]
    assert not (tmp_path / "records.db").exists()


# -- websockets


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
@BOTH
def test_websocket_answers_are_filtered(declaration: Any, kind: str, loop: str) -> None:
    """Accepted or denied: a tracking cookie is held, an essential one passes."""
    headers = [GA, (b"set-cookie", b"session=1"), (b"x", b"y")]
    bench = Bench(declaration, [{"type": kind, "status": 403, "headers": headers}])
    scope = http(
        type="websocket", scheme="wss", headers=[(b"host", b"shop.example"), (b"cookie", b"_ga=1; a=2")]
    )
    del scope["method"]
    sent = bench.run(scope, loop=loop)
    assert sent[0]["headers"] == headers[1:]
    assert (b"cookie", b"a=2") in bench.scopes[0]["headers"]


def test_a_bare_accept_is_no_error(declaration: Any) -> None:
    """`websocket.accept` need not have headers."""
    bench = Bench(declaration, [{"type": "websocket.accept"}, {"type": "websocket.close"}])
    sent = bench.run(http(type="websocket", scheme="ws"))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]


def test_a_websocket_can_make_a_choice_before_it_accepts(declaration: Any) -> None:
    """`update()` sets its cookie on the handshake."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope["state"]["consent"].update({"analytics": True})
        await send({"type": "websocket.accept"})

    bench = Bench(declaration)
    bench.middleware.app = app
    sent = bench.run(http(type="websocket", scheme="wss"))
    assert sent[0]["headers"][0][1].startswith(b"__Host-consent=v1.")
    bench.middleware.site.store.close()


def test_other_scope_types_go_straight_through(declaration: Any) -> None:
    """Lifespan, and what comes tomorrow, is none of our business."""
    for kind in ("lifespan", "tomorrow"):
        bench = Bench(declaration, [{"type": f"{kind}.done"}])
        scope = {"type": kind}
        assert bench.run(scope) == bench.messages
        assert bench.scopes[0] is scope


# -- pure ASGI


@BOTH
def test_contextvars_of_the_app_reach_the_outside(declaration: Any, loop: str) -> None:
    """The app runs in the caller's own task, so what it sets is seen outside."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    found: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        variable.set("inside")
        await send(start(HTML))
        await send(body(PAGE))

    bench = Bench(declaration)
    bench.middleware.app = app

    async def outer() -> None:
        async def send(_message: Any) -> None:
            found.append(variable.get())

        await bench.middleware(http(), _never, send)

    anyio.run(outer, backend=loop)
    assert found == ["inside", "inside"]


async def _never() -> Any:
    raise AssertionError("nobody asked for the request's body")


@BOTH
def test_the_app_reads_its_own_messages(declaration: Any, loop: str) -> None:
    """`receive` is the server's own: body and disconnect are the app's."""
    heard: list[Any] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        heard.extend([await receive(), await receive()])
        await send(start(TEXT))
        await send(body(b"x"))

    bench = Bench(declaration)
    bench.middleware.app = app
    message = {"type": "http.request", "body": b"own", "more_body": False}
    bench.run(http(method="POST"), received=[message], loop=loop)
    assert heard == [message, {"type": "http.disconnect"}]


@BOTH
def test_hooks_may_be_awaitable(declaration: Any, loop: str) -> None:
    """`skip`, `nonce` and `on_change` may be coroutine functions."""
    told: list[Any] = []

    async def skip(_request: Any) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    async def nonce(_request: Any) -> str:
        await anyio.lowlevel.checkpoint()
        return "from-hook"

    async def on_change(record: Any) -> None:
        await anyio.lowlevel.checkpoint()
        told.append(record.state)

    bench = Bench(declaration, [start(HTML), body(PAGE)])
    bench.middleware = ConsentMiddleware(
        bench.app, declaration(), SECRET, skip=skip, nonce=nonce, on_change=on_change
    )
    page = bench.run(loop=loop)[1]["body"]
    scope, received = choice(b"action=accept_all")
    bench.run(scope, received=received, loop=loop)
    bench.middleware.site.store.close()
    assert (b'id="consent-banner"' in page, page.count(b'nonce="from-hook"'), told) == (False, 3, ["given"])


@BOTH
def test_concurrent_choices_are_each_recorded(declaration: Any, loop: str) -> None:
    """Many choices at once on one event loop: one row each, and one answer each."""
    bench = Bench(declaration)
    statuses: list[int] = []

    async def choose() -> None:
        scope, received = choice(b"action=accept_all")

        async def receive() -> Any:
            return received.pop(0)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await bench.middleware(scope, receive, send)

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(choose)

    anyio.run(all_at_once, backend=loop)
    rows = list(Records(bench.middleware.site).receipts())
    bench.middleware.site.store.close()
    assert (statuses, len({row["principal_id"] for row in rows})) == ([303] * 20, 20)


# -- nesting


def test_a_middleware_round_itself_is_an_error(declaration: Any) -> None:
    """Wrapping twice is a mistake, found at construction."""
    inner = ConsentMiddleware(Bench(declaration).app, declaration(), SECRET)
    with pytest.raises(ConfigError, match="wrapped already") as caught:
        ConsentMiddleware(inner, declaration(), SECRET)
    assert caught.value.faults[0].hint == "Add the middleware once, or wrap the app once, not both."


@pytest.mark.parametrize(
    "app",
    [flask.Flask("shop"), flask.Flask("shop").wsgi_app, ProxyFix(flask.Flask("shop"))],
    ids=["flask", "method", "wrapped"],
)
def test_what_is_no_asgi_app_is_an_error(declaration: Any, app: Any) -> None:
    """A WSGI app is found at construction, with the place of the other adapter."""
    with pytest.raises(ConfigError, match=r"consent_middleware\.wsgi"):
        ConsentMiddleware(app, declaration(), SECRET)


def _from_a_view(view: Any) -> Any:
    """Make an app of a view, and keep the view's name and, so it looks, its arguments."""

    @functools.wraps(view)
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await view((scope, receive, send))

    return app


@pytest.mark.parametrize(
    "app",
    [
        _from_a_view(lambda request: request),
        functools.partial(print, "one more"),
        lambda *given: given,
        max,
    ],
    ids=["decorated", "partial", "anything", "builtin"],
)
def test_what_may_be_an_asgi_app_is_believed(declaration: Any, app: Any) -> None:
    """Whatever can be called with three arguments is, and what does not tell is believed."""
    assert ConsentMiddleware(app, declaration(), SECRET).app is app


def test_a_mounted_inner_instance_defers(declaration: Any) -> None:
    """An app with a middleware of its own inside another: the outer one does it all, once."""
    inner = Bench(declaration, [start(HTML, GA), body(PAGE)])
    bench = Bench(declaration)

    async def mount(scope: Any, receive: Any, send: Any) -> None:
        await inner.middleware({**scope, "root_path": "/sub"}, receive, send)

    bench.middleware.app = mount
    sent = bench.run()
    assert sent[1]["body"].count(b'id="consent-banner"') == 1
    assert not [pair for pair in sent[0]["headers"] if pair[0] == b"set-cookie"]
