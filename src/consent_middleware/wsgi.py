"""The WSGI adapter: environ in, start_response and an iterable out, effects run in place. No decision is made here.

Source: PEP 3333. The app's own iterable is closed whatever happens; a body that is not rewritten is returned
as the very object the app made, so that `wsgi.file_wrapper` keeps working.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from consent_middleware import effects
from consent_middleware.environ import (
    Environ,
    EnvironHeader,
    all_headers,
    edited_headers,
    inner_environ,
    is_whole,
)
from consent_middleware.errors import ConfigError, Fault
from consent_middleware.exchange import WELL_KNOWN, Exchange
from consent_middleware.replies import MAX_BODY
from consent_middleware.response import Response
from consent_middleware.site import ConfigSource, Hooks, Site
from consent_middleware.stack import takes, way_out

if TYPE_CHECKING:
    from consent_middleware.caching import Headers
    from consent_middleware.records import ConsentRecord
    from consent_middleware.replies import Reply
    from consent_middleware.request import ConsentRequest

__all__ = ["ConsentMiddleware"]

Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_CONSENT = "consent_middleware.consent"
_ACTIVE = "consent_middleware.active"


class ConsentMiddleware:
    """Add consent to a WSGI app.

    Args:
        app: The app to wrap, e.g. ``app.wsgi_app``.
        config: A path, a dict, a `ConsentConfig`; None: ``CONSENT_CONFIG``, else ``consent.toml``.
        secret_key: One key or several (the last signs, all verify); None: ``CONSENT_SECRET_KEY``.
        region: Given a `ConsentRequest`, where the visitor is: ``"DE"``, ``"US-CA"``, None where unknown.
        age_class: Likewise: ``"under_13"``, ``"13_15"``, ``"adult"`` or ``"unknown"``.
        subject: Likewise: the account the visitor is logged in to, None where anonymous.
        skip: Given a `ConsentRequest`, True leaves the banner out; the filter stays.
        nonce: Given a `ConsentRequest`, the CSP nonce of its response.
        on_change: Called with each `ConsentRecord` once it is durable.
        on_opt_out: Called with the record of each opt-out at least once.

    Raises:
        ConfigError: The configuration cannot be used, the app is wrapped twice, or a hook is a coroutine function.
    """

    def __init__(
        self,
        app: App,
        config: ConfigSource = None,
        secret_key: str | Iterable[str] | None = None,
        *,
        region: Callable[[ConsentRequest], str | None] | None = None,
        age_class: Callable[[ConsentRequest], str | None] | None = None,
        subject: Callable[[ConsentRequest], str | None] | None = None,
        skip: Callable[[ConsentRequest], bool] | None = None,
        nonce: Callable[[ConsentRequest], str | None] | None = None,
        on_change: Callable[[ConsentRecord], object] | None = None,
        on_opt_out: Callable[[ConsentRecord], object] | None = None,
    ) -> None:
        inside = getattr(app, "wsgi_app", None)  # of Flask, where Consent(app) puts one too
        if isinstance(app, ConsentMiddleware) or isinstance(inside, ConsentMiddleware):
            hint = "Add the middleware once, or wrap the app once, not both."
            raise ConfigError("ConsentMiddleware", [Fault("app", "is wrapped already.", hint)])
        if not takes(app, 2) or any(map(inspect.iscoroutinefunction, (app, getattr(app, "__call__", None)))):  # noqa: B004 - not whether, but what it is
            hint = way_out(app, "Use consent_middleware.asgi for FastAPI, Starlette and the like.")
            raise ConfigError("ConsentMiddleware", [Fault("app", "is no WSGI app.", hint)])
        hooks = Hooks(region, age_class, subject, skip, nonce, on_change, on_opt_out)
        faults = [
            Fault(field.name, "is a coroutine function, which WSGI cannot await.", "Give a plain function.")
            for field in fields(hooks)
            if inspect.iscoroutinefunction(getattr(hooks, field.name))
        ]
        if faults:
            raise ConfigError("ConsentMiddleware", faults)
        self.app = app
        self.site = Site(config, secret_key, hooks=hooks)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        active = environ.get(_ACTIVE)
        if (
            active is not None and not active.started
        ):  # an environ used again after a response is a new request
            return self.app(environ, start_response)
        site = self.site
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
        base = environ.get("SCRIPT_NAME", "").encode("latin-1", "replace").decode("utf-8", "replace")
        exchange = Exchange(
            site,
            environ["REQUEST_METHOD"],
            environ.get("wsgi.url_scheme", "http"),
            base.rstrip("/"),
            path,
            EnvironHeader(environ).get,
            site.clock(),
        )
        if site.sources.are_kept:
            exchange.client = environ.get("REMOTE_ADDR")
        if site.looks and not path.startswith(site.files):
            client = environ.get("REMOTE_ADDR") or None
            effects.look(exchange, lambda: _hook_request(environ, exchange), client)
        effects.deliver(site)
        if path.startswith(site.prefix):
            return self._answer(exchange, environ, start_response)
        reply = exchange.well_known() if path.startswith(WELL_KNOWN) else None
        if reply is not None:
            fallback = _Fallback(exchange, reply, start_response)
            return fallback.body(self._pass_on(exchange, environ, fallback.start_response))
        return self._pass_on(exchange, environ, start_response)

    def _pass_on(
        self, exchange: Exchange, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let the app answer."""
        site = self.site
        if site.hooks.skip is not None:
            exchange.skip = bool(site.hooks.skip(_hook_request(environ, exchange)))
        edited = edited_headers(environ, exchange)
        if edited is not None:
            environ = inner_environ(environ, edited)
        environ[_CONSENT] = exchange.consent
        environ[_ACTIVE] = exchange
        responder = _Responder(exchange, environ, start_response)
        try:
            return responder.body(self.app(environ, responder.start_response))
        except BaseException:
            environ.pop(_ACTIVE, None)
            raise

    def _answer(self, exchange: Exchange, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request for one of our own resources."""
        site, method = self.site, environ["REQUEST_METHOD"]
        body = _read_body(environ) if site.endpoints.wants_body(method) else b""
        query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
        reply = effects.answer(exchange, query, body)
        start_response(_status_line(reply.status), _strings(exchange.finish(reply)))
        effects.deliver(site)
        return [] if method == "HEAD" else [reply.body]


class _Responder:
    """The `start_response` the app gets, and the body the server gets."""

    __slots__ = (
        "_environ",
        "_exchange",
        "_held",
        "_is_edited",
        "_passed_on",
        "_response",
        "_sent",
        "_server",
        "_started",
        "_writer",
    )

    def __init__(self, exchange: Exchange, environ: Environ, server: StartResponse) -> None:
        self._exchange = exchange
        self._environ = environ
        self._server = server
        self._held: tuple[str, Any] | None = None
        self._writer: Write | None = None
        self._response: Response | None = None
        self._started = self._sent = self._passed_on = self._is_edited = False

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Write:
        """Take the app's status and headers; they go on at once unless a document's must wait."""
        if not self._started:
            exchange = self._exchange
            effects.settle(exchange, lambda: _hook_request(self._environ, exchange))
        given = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        answer = self._exchange.respond(int(status[:3]), given)
        self._started = True
        if isinstance(answer, Response):
            if not self._passed_on and not (self._sent and self._response):
                self._response, self._held = answer, (status, exc_info)
                return self._write
            answer = answer.abandon()  # the body is out of our hands, or has begun: then the server raises
        self._response = self._held = None
        self._sent, self._is_edited = True, answer is not given
        return self._server(status, headers if answer is given else _strings(answer), *_maybe(exc_info))

    def body(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """Return the body for the server: the app's own object, unless it is or may yet be rewritten."""
        if self._started and self._response is None:
            self._passed_on = True
            if self._is_edited and self._exchange.method == "HEAD" and isinstance(iterable, (list, tuple)):
                return iter(iterable)  # of a list of one, servers take the item's length for the page's
            return iterable
        body = _Body(self, iterable)
        body.begin()
        return body

    def rewrite(self, chunk: bytes, *, last: bool) -> bytes:
        """Pass a piece of the body; the held start goes with the first bytes."""
        response = self._response
        if response is None:
            return chunk
        out = response.feed(chunk, last=last)
        if self._held is not None and response.headers is not None:
            self._release(response)
        return out

    @property
    def is_held(self) -> bool:
        """Whether the start still waits: then nothing may be sent, not even an empty string."""
        return self._held is not None or not self._started

    def _release(self, response: Response) -> Write:
        status, exc_info = self._held or ("", None)
        self._held = None
        self._sent = True
        return self._server(status, _strings(response.headers or []), *_maybe(exc_info))

    def _write(self, data: bytes) -> None:
        """The imperative way of PEP 3333: nothing is rewritten any more."""
        if self._response is not None:
            response, self._response = self._response, None
            response.abandon()
            self._writer = self._release(response)
        if self._writer is not None:
            self._writer(data)


class _Body:
    """A body that is rewritten as the server iterates it."""

    __slots__ = ("_chunks", "_done", "_first", "_iterable", "_responder")

    def __init__(self, responder: _Responder, iterable: Iterable[bytes]) -> None:
        self._responder = responder
        self._iterable = iterable
        self._chunks: Iterator[bytes] | None = None
        self._done = False
        self._first: bytes | None = None

    def begin(self) -> None:
        """Take the first piece, so that the start goes before the app returns: granian looks for it no later."""
        try:
            self._first = next(self, None)
        except BaseException:  # the server will never see what it would have to close
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._done:
            raise StopIteration
        if self._chunks is None:
            self._chunks = iter(self._iterable)
        out = self._step(self._chunks)
        # A body's item before its start breaks PEP 3333; behind it, an empty one tells the server to ask again.
        while not out and self._responder.is_held and not self._done:
            out = self._step(self._chunks)
        if self._done and not out:
            raise StopIteration
        return out

    def _step(self, chunks: Iterator[bytes]) -> bytes:
        """Take the app's next item; return what can be sent of it."""
        chunk = next(chunks, None)
        self._done = chunk is None or self._is_whole()
        return self._responder.rewrite(chunk or b"", last=self._done)

    def _is_whole(self) -> bool:
        """Return whether the only chunk is here: a list of one, which is what most frameworks return."""
        try:
            return len(self._iterable) == 1  # type: ignore[arg-type]
        except TypeError:
            return False

    def close(self) -> None:
        """Close the app's own iterable, on an early abort too."""
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


class _Fallback:
    """What stands behind an app that is asked first: its 404 gives way to our reply."""

    __slots__ = ("_exchange", "_is_replaced", "_iterable", "_reply", "_server")

    def __init__(self, exchange: Exchange, reply: Reply, server: StartResponse) -> None:
        self._exchange = exchange
        self._reply = reply
        self._server = server
        self._is_replaced = False
        self._iterable: Iterable[bytes] = ()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Write:
        """Take the app's status and headers, or ours in their place."""
        self._is_replaced = status.startswith("404")
        if self._is_replaced:
            status, headers = _status_line(self._reply.status), _strings(self._exchange.finish(self._reply))
        write = self._server(status, headers, *_maybe(exc_info))
        return (lambda _: None) if self._is_replaced else write

    def body(self, iterable: Iterable[bytes]) -> Iterable[bytes]:
        """Return the body for the server."""
        self._iterable = iterable
        return self

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._iterable:
            if not self._is_replaced:
                yield chunk
        if self._is_replaced and self._exchange.method != "HEAD":
            yield self._reply.body

    def close(self) -> None:
        """Close the app's own iterable."""
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()


def _read_body(environ: Environ) -> bytes:
    """Return a request's body, but no more than shows that it is too long."""
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit():
        wanted = min(int(length[:10]), MAX_BODY + 1)  # ten digits say enough
    elif environ.get("wsgi.input_terminated"):
        wanted = MAX_BODY + 1
    else:
        return b""
    data: bytes = environ["wsgi.input"].read(wanted)
    return data if is_whole(data, environ, MAX_BODY + 1) else b""


def _hook_request(environ: Environ, exchange: Exchange) -> ConsentRequest:
    return exchange.hook_request(all_headers(environ), environ.get("REMOTE_ADDR") or None, environ)


def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _strings(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in headers]


def _maybe(exc_info: Any) -> tuple[Any, ...]:
    return (exc_info,) if exc_info else ()
