"""What only WSGI has: lazy starts, `write()`, `exc_info`, `close()`, file wrappers and threads (PEP 3333)."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from fastapi import FastAPI

from consent_middleware import Records
from consent_middleware.errors import ConfigError
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "a-secret-of-32-characters-length"
HTML = ("Content-Type", "text/html; charset=utf-8")
TEXT = ("Content-Type", "text/plain")
GA = ("Set-Cookie", "_ga=1")
PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"


class Server:
    """A strict WSGI server for one request; `chunks` is what went out."""

    def __init__(self) -> None:
        self.starts: list[tuple[str, list[tuple[str, str]]]] = []
        self.chunks: list[bytes] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take a start; raise where the first bytes have gone already."""
        if exc_info and self.chunks:
            raise exc_info[1]
        assert exc_info or not self.starts, "started twice without exc_info"
        self.starts.append((status, headers))
        return self.chunks.append

    def run(self, app: Any, environ: dict[str, Any] | None = None) -> bytes:
        """Serve one request; every item of the body comes behind a start."""
        iterable = app(browsing() if environ is None else environ, self.start_response)
        try:
            for chunk in iterable:
                assert self.starts, "an item of the body before the start"
                if chunk:
                    self.chunks.append(chunk)
        finally:
            if hasattr(iterable, "close"):
                iterable.close()
        return b"".join(self.chunks)

    @property
    def names(self) -> list[str]:
        """The names of the last start's headers."""
        return [name.lower() for name, _ in self.starts[-1][1]]


def browsing(**changes: Any) -> dict[str, Any]:
    """Return the environ of a navigation."""
    environ: dict[str, Any] = {
        "HTTP_HOST": "shop.example",
        "HTTP_SEC_FETCH_MODE": "navigate",
        "QUERY_STRING": "",
    }
    setup_testing_defaults(environ)
    return environ | changes


@pytest.fixture
def wrap(declaration: Callable[..., Any]) -> Iterator[Callable[[Any], ConsentMiddleware]]:
    """Put an app behind the middleware."""
    made: list[ConsentMiddleware] = []

    def wrap(app: Any, **hooks: Any) -> ConsentMiddleware:
        made.append(ConsentMiddleware(app, declaration(), SECRET, **hooks))
        return made[-1]

    yield wrap
    for middleware in made:
        middleware.site.store.close()


class Body:
    """An iterable that knows whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    def close(self) -> None:
        """Count."""
        self.closed += 1


def sending(body: Any, *headers: tuple[str, str]) -> Any:
    """Return an app that returns a body object."""

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(headers))
        return body

    return app


# -- the body object


@pytest.mark.parametrize("headers", [[TEXT], [TEXT, GA]], ids=["untouched", "cookie-held"])
def test_the_apps_own_body_object_is_returned(wrap: Any, headers: list[Any]) -> None:
    """What is not rewritten goes to the server as it is, so `wsgi.file_wrapper` keeps working."""
    wrapper = FileWrapper(io.BytesIO(b"data"))
    app = wrap(sending(wrapper, *headers))
    assert app(browsing(), Server().start_response) is wrapper


@pytest.mark.parametrize(("kind", "is_own"), [(HTML, False), (TEXT, True)], ids=["page", "untouched"])
@pytest.mark.parametrize("item", [b"", b"<!doctype html><p>As for GET"], ids=["empty", "whole"])
def test_a_server_cannot_measure_a_head(
    wrap: Any, kind: tuple[str, str], item: bytes, *, is_own: bool
) -> None:
    """Of a list of one, waitress makes the item's length that of the page, which GET would answer with more."""
    server, body = Server(), [item]
    found = wrap(sending(body, kind, ("Content-Length", "43")))(
        browsing(REQUEST_METHOD="HEAD"), server.start_response
    )
    assert (found is body, hasattr(found, "__len__"), "content-length" in server.names) == (is_own,) * 3
    assert list(found) == [item]


def test_a_file_wrapper_of_html_is_rewritten(wrap: Any) -> None:
    """A page sent as a file gets the banner; the file is closed."""
    file = io.BytesIO(PAGE)
    assert b"guard.js" in Server().run(wrap(sending(FileWrapper(file), HTML)))
    assert file.closed


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_close_is_called_once(wrap: Any, kind: tuple[str, str]) -> None:
    """The app's iterable is closed, whatever was done to it."""
    body = Body(PAGE)
    Server().run(wrap(sending(body, kind)))
    assert body.closed == 1


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_close_is_called_on_an_early_abort(wrap: Any, taken: int) -> None:
    """A browser that goes away in the middle still closes the app's iterable."""
    body = Body(PAGE[:45], b"<p>one", b"<p>two", b"</body></html>")
    iterable = wrap(sending(body, HTML))(browsing(), Server().start_response)
    chunks = iter(iterable)
    for _ in range(taken):
        next(chunks)
    iterable.close()
    assert body.closed == 1


def test_close_is_called_where_the_body_fails(wrap: Any) -> None:
    """An exception inside the iteration reaches the server, and the iterable is closed."""
    closed: list[bool] = []

    class Failing(Body):
        def __iter__(self) -> Iterator[bytes]:
            yield PAGE[:45]
            raise RuntimeError("inside")

        def close(self) -> None:
            closed.append(True)

    with pytest.raises(RuntimeError, match="inside"):
        Server().run(wrap(sending(Failing(), HTML)))
    assert closed == [True]


def test_a_body_without_close_is_no_error(wrap: Any) -> None:
    """A list has no `close`."""
    assert b"guard.js" in Server().run(wrap(sending([PAGE], HTML)))


@pytest.mark.parametrize("body", [[], (), iter([]), [b""], [b"", b""]], ids=repr)
@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_an_empty_body_still_starts_the_response(wrap: Any, body: Any, kind: tuple[str, str]) -> None:
    """Without one byte the status and headers go out all the same."""
    server = Server()
    assert server.run(wrap(sending(body, kind, GA))) == b""
    assert server.starts == [("200 OK", [kind])]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_no_item_comes_before_the_start(wrap: Any, size: int) -> None:
    """While a page's start waits, not even an empty string may be yielded (checked by the server and validator)."""
    chunks = [PAGE[i : i + size] for i in range(0, len(PAGE), size)]
    assert b"guard.js" in Server().run(validator(wrap(sending(Body(*chunks), HTML))))


# -- lazy starts


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_a_generator_app_starts_late(wrap: Any, kind: tuple[str, str]) -> None:
    """`start_response` called at the first iteration is decided then."""

    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [kind, GA])
        yield PAGE[:20]
        yield PAGE[20:]

    server = Server()
    body = server.run(wrap(validator(app)))
    assert (b"guard.js" in body, "set-cookie" in server.names) == (kind is HTML, False)


def test_a_generator_app_may_yield_nothing(wrap: Any) -> None:
    """A start without any item is a start."""

    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("204 No Content", [GA])
        yield from ()

    server = Server()
    server.run(wrap(app))
    assert server.starts == [("204 No Content", [])]


# -- exc_info


def fail() -> None:
    """Fail as an app does."""
    raise ValueError("inside")


def failing_late(first: tuple[str, str], second: tuple[str, str]) -> Any:
    """Return an app that starts, fails, and starts again with `exc_info`."""

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [first])
        try:
            fail()
        except ValueError:
            start_response("500 Internal Server Error", [second, GA], sys.exc_info())
        return [PAGE]

    return app


@pytest.mark.parametrize(
    ("first", "second"),
    [(HTML, HTML), (HTML, TEXT), (TEXT, HTML), (TEXT, TEXT)],
    ids=["page-page", "page-text", "text-page", "text-text"],
)
def test_a_second_start_replaces_the_first(wrap: Any, first: Any, second: Any) -> None:
    """With `exc_info`, before any byte: the error's status and headers count, filtered, and its page is a page."""
    server = Server()
    body = server.run(wrap(failing_late(first, second)))
    assert server.starts[-1][0] == "500 Internal Server Error"
    assert "set-cookie" not in server.names
    assert (b"guard.js" in body) is (second is HTML)


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_a_second_start_in_the_body_is_filtered_too(wrap: Any, kind: tuple[str, str]) -> None:
    """A generator that fails before its first byte and answers with an error: filtered, and complete."""

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])

        def body() -> Iterator[bytes]:
            try:
                fail()
            except ValueError:
                start_response("500 Internal Server Error", [kind, GA], sys.exc_info())
            yield b"<p>Sorry"

        return body()

    server = Server()
    assert b"Sorry" in server.run(wrap(app))
    assert (server.starts[-1][0], "set-cookie" in server.names) == ("500 Internal Server Error", False)


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_a_second_start_behind_the_first_byte_raises(wrap: Any, kind: tuple[str, str]) -> None:
    """Once bytes have gone the server raises the app's own error."""

    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [kind])
        yield b"<!doctype html><html><head></head><body>" + b"x" * 5000
        try:
            fail()
        except ValueError:
            start_response("500 Internal Server Error", [kind], sys.exc_info())
        yield b"never"

    with pytest.raises(ValueError, match="inside"):
        Server().run(wrap(app))


def test_a_choice_is_committed_once_over_two_starts(wrap: Any) -> None:
    """A second start writes no second record and tells the hook once."""
    told: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        environ["consent_middleware.consent"].update({"analytics": True})
        return failing_late(HTML, HTML)(environ, start_response)

    server = Server()
    server.run(wrap(app, on_change=told.append))
    assert (len(told), "set-cookie" in server.names) == (1, True)


# -- the imperative way


@pytest.mark.parametrize("kind", [HTML, TEXT], ids=["page", "text"])
def test_write_sends_at_once_and_ends_rewriting(wrap: Any, kind: tuple[str, str]) -> None:
    """The imperative way: the app's headers and bytes, its cookies filtered."""

    def app(_environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [kind, ("Content-Length", str(len(PAGE))), GA])
        write(PAGE[:10])
        write(PAGE[10:20])
        return [PAGE[20:]]

    server = Server()
    assert server.run(wrap(validator(app))) == PAGE
    assert server.starts == [("200 OK", [kind, ("Content-Length", str(len(PAGE)))])]


# -- the environ


def test_the_environ_is_copied_only_where_it_must_differ(wrap: Any) -> None:
    """The app shares the server's environ unless a header is hidden."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        return sending([b"x"], TEXT)(environ, start_response)

    plain, cookie = browsing(), browsing(HTTP_COOKIE="_ga=1")
    Server().run(wrap(app), plain)
    Server().run(wrap(app), cookie)
    assert [seen[0] is plain, seen[1] is cookie] == [True, False]
    assert (cookie["HTTP_COOKIE"], "HTTP_COOKIE" in seen[1]) == ("_ga=1", False)


@pytest.mark.parametrize("cookie", [{}, {"HTTP_COOKIE": "_ga=1"}], ids=["same-environ", "copied-environ"])
def test_a_reused_environ_is_filtered_each_time(wrap: Any, cookie: dict[str, str]) -> None:
    """An outer layer that tries the same environ again gets a filtered response again."""
    app, environ = wrap(sending([b"x"], TEXT, GA)), browsing(**cookie)
    servers = [Server() for _ in range(3)]
    for server in servers:
        server.run(app, environ)
    assert [server.starts for server in servers] == [[("200 OK", [TEXT])]] * 3


def test_an_app_that_fails_leaves_no_mark(wrap: Any) -> None:
    """After an exception the same environ is filtered again."""

    def failing(_environ: Any, _start_response: Any) -> Any:
        raise RuntimeError("inside")

    middleware, environ = wrap(failing), browsing()
    with pytest.raises(RuntimeError, match="inside"):
        Server().run(middleware, environ)
    middleware.app = sending([b"x"], TEXT, GA)
    server = Server()
    server.run(middleware, environ)
    assert server.starts == [("200 OK", [TEXT])]


def choice(body: bytes, **changes: Any) -> dict[str, Any]:
    """Return the environ of a choice."""
    own = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/_consent/choice",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "wsgi.input": io.BytesIO(body),
    }
    return browsing(**(own | changes))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, "303", id="length"),
        pytest.param({"CONTENT_LENGTH": "", "wsgi.input_terminated": True}, "303", id="chunked"),
        pytest.param({"CONTENT_LENGTH": ""}, "400", id="no-length"),
        pytest.param({"CONTENT_LENGTH": "abc"}, "400", id="odd-length"),
        pytest.param({"CONTENT_LENGTH": "-5"}, "400", id="negative-length"),
        pytest.param({"CONTENT_LENGTH": "\xb2"}, "400", id="superscript-length"),
        pytest.param({"CONTENT_LENGTH": "90000"}, "400", id="cut-off"),
        pytest.param({"CONTENT_LENGTH": "9" * 5000}, "400", id="endless-length"),
    ],
)
def test_a_choice_is_read_as_far_as_it_reaches(wrap: Any, changes: dict[str, Any], status: str) -> None:
    """By its length, or to its end where the server says there is one; half a form is none."""
    server = Server()
    server.run(wrap(sending([b""], TEXT)), choice(b"action=accept_all", **changes))
    assert server.starts[0][0][:3] == status


def test_the_host_may_be_missing(wrap: Any) -> None:
    """Without a Host header the server's name stands in."""
    environ = choice(b"action=accept_all", HTTP_ORIGIN="http://127.0.0.1:80")
    del environ["HTTP_HOST"], environ["HTTP_SEC_FETCH_SITE"]
    server = Server()
    server.run(wrap(sending([b""], TEXT)), environ)
    assert server.starts[0][0] == "303 See Other"


def test_a_path_in_odd_bytes_is_no_error(wrap: Any) -> None:
    """WSGI paths are latin-1 bytes of any encoding."""
    assert Server().run(wrap(sending([b"x"], TEXT)), browsing(PATH_INFO="/caf\xc3\xa9/\xff")) == b"x"


@pytest.mark.parametrize("name", ["skip", "nonce", "on_change"])
def test_a_coroutine_function_is_no_hook_here(wrap: Any, name: str) -> None:
    """WSGI cannot await, so it says so at construction."""

    async def hook(_request: Any) -> bool:
        return True

    with pytest.raises(ConfigError, match=f"{name}: is a coroutine function"):
        wrap(sending([b"x"], TEXT), **{name: hook})


# -- nesting and threads


def test_a_middleware_round_itself_is_an_error(wrap: Any) -> None:
    """Wrapping twice is a mistake, found at construction."""
    with pytest.raises(ConfigError, match="wrapped already") as caught:
        wrap(wrap(sending([b"x"], TEXT)))
    assert caught.value.faults[0].hint == "Add the middleware once, or wrap the app once, not both."


async def asgi_app(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing, in the way of ASGI."""


def plain_asgi(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing, in the way of ASGI, without saying `async`."""


@pytest.mark.parametrize("app", [FastAPI(), asgi_app, plain_asgi], ids=["fastapi", "function", "plain"])
def test_what_is_no_wsgi_app_is_an_error(wrap: Any, app: Any) -> None:
    """An ASGI app is found at construction, with the place of the other adapter."""
    with pytest.raises(ConfigError, match=r"consent_middleware\.asgi"):
        wrap(app)


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_the_start_has_gone_when_the_app_returns(wrap: Any, *, lazy: bool) -> None:
    """A page's status and headers are there before the body is asked for: granian looks for them no later."""

    def site(environ: Any, start_response: Any) -> Any:
        def pieces() -> Iterator[bytes]:
            if lazy:
                start_response("404 Not Found", [HTML, GA])
            yield PAGE

        if not lazy:
            start_response("404 Not Found", [HTML, GA])
        return pieces() if environ else ()

    server = Server()
    body = wrap(site)(browsing(), server.start_response)
    assert [status for status, _ in server.starts] == ["404 Not Found"]
    assert "set-cookie" not in server.names
    assert b"consent-banner" in b"".join(body)
    body.close()


def test_a_page_that_breaks_at_once_is_closed(wrap: Any) -> None:
    """The server gets the error and no body, so closing the app's own is up to the middleware."""
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b""
            raise RuntimeError
        finally:
            closed.append(True)

    def site(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [HTML])
        return pieces()

    with pytest.raises(RuntimeError):
        wrap(site)(browsing(), Server().start_response)
    assert closed == [True]


@pytest.mark.parametrize("lazy", [False, True], ids=["eager", "lazy"])
def test_a_mounted_inner_instance_defers(wrap: Any, *, lazy: bool) -> None:
    """An app with a middleware of its own inside another: the outer one does it all, once."""
    inner = wrap(sending([PAGE], HTML, GA))

    def mount(environ: Any, start_response: Any) -> Any:
        return inner({**environ, "SCRIPT_NAME": "/sub"}, start_response)

    def lazy_mount(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield from mount(environ, start_response)

    server = Server()
    body = server.run(wrap(lazy_mount if lazy else mount))
    assert (body.count(b'id="consent-banner"'), "set-cookie" in server.names) == (1, False)


def test_threads_share_one_middleware(wrap: Any) -> None:
    """Pages and choices from many threads at once: each its own answer, each choice one row."""
    middleware = wrap(sending([PAGE], HTML, GA))

    def visit(index: int) -> tuple[str, bool]:
        server = Server()
        environ = choice(b"action=accept_all") if index % 2 else browsing()
        body = server.run(middleware, environ)
        return server.starts[0][0][:3], b"guard.js" in body

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(visit, range(40)))
    rows = list(Records(middleware.site).receipts())
    assert found == [("200", True), ("303", False)] * 20
    assert len({row["record_id"] for row in rows}) == 20
