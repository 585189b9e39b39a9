"""The ASGI adapter: messages in, messages out, effects run in a worker thread. No decision is made here.

Pure ASGI: nothing is buffered but a response's start, contextvars and disconnects are the app's own.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import ConfigError, Fault
from consent_middleware.exchange import WELL_KNOWN, Exchange
from consent_middleware.replies import MAX_BODY
from consent_middleware.reporting import logger
from consent_middleware.response import Response
from consent_middleware.site import ConfigSource, Hooks, Site
from consent_middleware.stack import escapes, is_added, is_behind_router, root_path, takes, way_out

if TYPE_CHECKING:
    from consent_middleware.caching import Headers
    from consent_middleware.choices import Outcome
    from consent_middleware.records import ConsentRecord
    from consent_middleware.replies import Reply
    from consent_middleware.request import ConsentRequest

__all__ = ["ConsentMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]  # frameworks have types of their own for these three

_MARK = "consent_middleware.active"
_PATH_EXTENSIONS = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_SOCKET_STARTS = frozenset({"websocket.accept", "websocket.http.response.start"})


class ConsentMiddleware:
    """Add consent to an ASGI app.

    Args:
        app: The app to wrap.
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
        ConfigError: The configuration cannot be used, the app is wrapped twice, or it is no whole ASGI app.
    """

    def __init__(
        self,
        app: App,
        config: ConfigSource = None,
        secret_key: str | Iterable[str] | None = None,
        *,
        region: Callable[[ConsentRequest], str | Awaitable[str | None] | None] | None = None,
        age_class: Callable[[ConsentRequest], str | Awaitable[str | None] | None] | None = None,
        subject: Callable[[ConsentRequest], str | Awaitable[str | None] | None] | None = None,
        skip: Callable[[ConsentRequest], bool | Awaitable[bool]] | None = None,
        nonce: Callable[[ConsentRequest], str | Awaitable[str | None] | None] | None = None,
        on_change: Callable[[ConsentRecord], object] | None = None,
        on_opt_out: Callable[[ConsentRecord], object] | None = None,
    ) -> None:
        inside = getattr(app, "asgi_app", None)  # of Quart
        if (
            isinstance(app, ConsentMiddleware)
            or isinstance(inside, ConsentMiddleware)
            or is_added(app, ConsentMiddleware)
        ):
            hint = "Add the middleware once, or wrap the app once, not both."
            raise ConfigError("ConsentMiddleware", [Fault("app", "is wrapped already.", hint)])
        if not takes(app, 3) or hasattr(app, "wsgi_app"):
            hint = way_out(app, "Use consent_middleware.wsgi for Flask, Django's WSGI and the like.")
            raise ConfigError("ConsentMiddleware", [Fault("app", "is no ASGI app.", hint)])
        if is_behind_router(app):
            problem = "is a single route: Litestar's middleware stands behind its router, which answers 404 to /_consent/."
            hint = "Leave ConsentMiddleware out of middleware=[...], and wrap the whole app: ConsentMiddleware(app, ...)."
            raise ConfigError("ConsentMiddleware", [Fault("app", problem, hint)])
        self.app = app
        self._root_path = root_path(app)
        hooks = Hooks(region, age_class, subject, skip, nonce, on_change, on_opt_out)
        self.site = Site(config, secret_key, hooks=hooks)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # as with `App`
        """Serve one connection."""
        kind = scope["type"]
        if kind not in {"http", "websocket"} or _MARK in scope:
            if kind == "lifespan":  # nothing can be added to the app any more
                for words in escapes(scope.get("app"), ConsentMiddleware):
                    self.site.reporter.once(logging.WARNING, ("outside", words), words)
            await self.app(scope, receive, send)
            return
        given = scope.get("headers")
        if type(given) is list:
            headers = given
        else:  # it may be one that can be read only once
            headers = scope["headers"] = _listed(given)
        found = dict(headers)
        header = (found if len(found) == len(headers) else _joined(headers)).get
        base, path = (self._root_path or scope.get("root_path") or "").rstrip("/"), scope["path"]
        if base and path.startswith(base + "/"):  # servers differ in whether `path` holds both
            path = path[len(base) :]
        site = self.site
        exchange = Exchange(
            site, scope.get("method", "GET"), scope.get("scheme") or "http", base, path, header, site.clock()
        )
        if site.sources.are_kept and (client := scope.get("client")):
            exchange.client = client[0]
        if site.looks and not path.startswith(site.files):
            await _look(scope, exchange)
        if path.startswith(site.prefix) and kind == "http":
            await self._answer(exchange, scope, receive, send)
        else:
            await self._pass_on(exchange, headers, scope, receive, send)
        if site.outbox is not None and site.outbox.is_due:
            await _deliver(site)

    async def _pass_on(
        self, exchange: Exchange, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the app answer."""
        site = self.site
        if site.hooks.skip is not None:
            exchange.skip = bool(await _settled(site.hooks.skip(_hook_request(scope, exchange))))
        reply = exchange.well_known() if exchange.path.startswith(WELL_KNOWN) else None
        if reply is not None:
            send = _Fallback(exchange, reply, send).send
        edited = exchange.edit_request(headers)
        extensions = scope.get("extensions")
        inner = _inner_scope(scope, exchange, edited) if edited is not None or extensions else scope
        state = inner.get("state")
        if state is None:
            inner["state"] = {"consent": exchange.consent}
        else:
            state["consent"] = exchange.consent
        inner[_MARK] = True
        try:
            await self.app(inner, receive, _Responder(exchange, scope, send).send)
        finally:
            inner.pop(_MARK, None)
            if inner is not scope:  # what the router found out is for outer layers too
                for key in inner.keys() - scope.keys():
                    scope[key] = inner[key]

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one of our own resources."""
        site, method = self.site, scope["method"]
        body = await _read_body(receive) if site.endpoints.wants_body(method) else b""
        if body is None:
            return
        reply = site.endpoints.answer(exchange.own_request(scope.get("query_string", b""), body))
        if reply.outcome is not None and not await _commit(site, reply.outcome):
            reply = reply.otherwise or reply
        if reply.then is not None:
            from anyio import to_thread  # noqa: PLC0415 - as in `_commit`

            reply = await to_thread.run_sync(site.fulfil, reply)
        await _reply(exchange, reply, send)


class _Responder:
    """The `send` the app gets: holds back a document's start until its headers can be final."""

    _held: Message | None = None
    _response: Response | None = None

    def __init__(self, exchange: Exchange, scope: Scope, send: Send) -> None:
        self._exchange = exchange
        self._scope = scope
        self._send = send

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            if self._response is None:
                await self._send(message)
            else:
                await self._body(message, self._response)
        elif kind == "http.response.start":
            exchange, given = self._exchange, message.get("headers")
            if message["status"] >= 200 and (
                exchange.staged or exchange.identifies or exchange.site.hooks.nonce
            ):
                await self._prepare()
            headers = given if type(given) is list else _listed(given)
            answer = exchange.respond(message["status"], headers)
            if answer is given:
                await self._send(message)
            elif isinstance(answer, Response):
                self._held, self._response = message, answer
            else:
                await self._send({**message, "headers": answer})
        elif kind in _SOCKET_STARTS:
            await self._prepare()
            headers = self._exchange.respond_socket(_listed(message.get("headers")))
            await self._send({**message, "headers": headers})
        else:
            if self._response is not None and self._held is not None and kind in _PATH_EXTENSIONS:
                self._response.abandon()
                await self._release(self._response)
            await self._send(message)

    async def _prepare(self) -> None:
        """Settle what the exchange needs before the headers: a staged choice, the app's nonce."""
        exchange, nonce = self._exchange, self._exchange.site.hooks.nonce
        if exchange.identifies and exchange.seen.unbound:
            await _bind(exchange)
        if exchange.staged is not None and not await _commit(exchange.site, exchange.staged):
            exchange.drop_staged()
        if nonce is not None:
            exchange.use_nonce(await _settled(nonce(_hook_request(self._scope, exchange))))

    async def _body(self, message: Message, response: Response) -> None:
        more = message.get("more_body", False)
        body = message.get("body", b"")
        out = response.feed(body if type(body) is bytes else bytes(body), last=not more)
        if self._held is not None and response.headers is not None:
            await self._release(response)
        if out or not more:
            await self._send({"type": "http.response.body", "body": out, "more_body": more})

    async def _release(self, response: Response) -> None:
        held, self._held = self._held, None
        await self._send({**(held or {}), "headers": response.headers})


async def _look(scope: Scope, exchange: Exchange) -> None:
    """Ask the site's hooks who this is, and where; one that fails knows nothing."""
    site = exchange.site
    said: dict[str, object] = {}
    if site.about_visitor:
        request = _hook_request(scope, exchange)
        for name, hook in site.about_visitor:
            try:
                said[name] = await _settled(hook(request))
            except Exception:  # noqa: BLE001 - what the site's own code does not know is unknown
                logger.exception("consent_middleware: the %s hook failed; it counts as unknown", name)
    client = scope.get("client")
    address = client[0] if client else None
    exchange.circumstances = site.whereabouts.circumstances(said, exchange.header, address)
    if exchange.seen.unbound:
        await _bind(exchange)


async def _bind(exchange: Exchange) -> None:
    """Look the visitor's account up, in a worker thread."""
    from anyio import to_thread  # noqa: PLC0415 - as in `_commit`

    await to_thread.run_sync(exchange.site.bind, exchange)


async def _reply(exchange: Exchange, reply: Reply, send: Send) -> None:
    body = b"" if exchange.method == "HEAD" else reply.body
    await send({"type": "http.response.start", "status": reply.status, "headers": exchange.finish(reply)})
    await send({"type": "http.response.body", "body": body})


async def _deliver(site: Site) -> None:
    """Tell the site of the opt-outs that it has not been told of yet."""
    from anyio import to_thread  # noqa: PLC0415 - as in `_commit`

    outbox, hook = site.outbox, site.hooks.on_opt_out
    if outbox is None or hook is None:
        return
    for record in await to_thread.run_sync(outbox.waiting):
        try:
            await _settled(hook(record))
        except Exception:  # noqa: BLE001 - it is told again
            logger.exception("consent_middleware: the on_opt_out hook failed; it is called again later")
        else:
            await to_thread.run_sync(outbox.done, record)


class _Fallback:
    """The `send` behind an app that is asked first: its 404 gives way to our reply."""

    _is_replaced = False

    def __init__(self, exchange: Exchange, reply: Reply, send: Send) -> None:
        self._exchange = exchange
        self._reply = reply
        self._send = send

    async def send(self, message: Message) -> None:
        if self._is_replaced:
            return
        if message["type"] == "http.response.start" and message["status"] == 404:
            self._is_replaced = True
            await _reply(self._exchange, self._reply, self._send)
        else:
            await self._send(message)


def _listed(headers: Iterable[Any] | None) -> Headers:
    """Return headers as a list; the very same one if it is one."""
    return headers if type(headers) is list else [(name, value) for name, value in headers or ()]


def _joined(headers: Headers) -> dict[bytes, bytes]:
    """Return repeated headers joined: cookies with a semicolon, everything else with a comma (RFC 9110 5.3)."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        glue = b"; " if name == b"cookie" else b", "
        found[name] = found[name] + glue + value if name in found else value
    return found


def _inner_scope(scope: Scope, exchange: Exchange, edited: Headers | None) -> Scope:
    """Return the scope the app sees: the very same one unless something in it must differ."""
    extensions = scope.get("extensions") or {}
    sends_paths = not _PATH_EXTENSIONS.isdisjoint(extensions) and exchange.wants_document
    if edited is None and not sends_paths:
        return scope
    inner = dict(scope)
    if edited is not None:
        inner["headers"] = edited
    if sends_paths:  # a file sent by its path would leave without our markup
        inner["extensions"] = {k: v for k, v in extensions.items() if k not in _PATH_EXTENSIONS}
    return inner


async def _read_body(receive: Receive) -> bytes | None:
    """Return a request's body, but no more than shows that it is too long; None where the client has gone.

    Half a form might grant more than the whole would.
    """
    body = b""
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def _commit(site: Site, outcome: Outcome) -> bool:
    """Make a choice durable in a worker thread; return whether it may be acknowledged."""
    if not (outcome.effects or outcome.erases):
        return True
    from anyio import to_thread  # noqa: PLC0415 - loads only where an effect runs

    durable = await to_thread.run_sync(site.commit, outcome)
    if durable is None:
        return False
    if site.hooks.on_change is not None:
        for record in durable:
            try:
                await _settled(site.hooks.on_change(record))
            except Exception:  # noqa: BLE001 - the choice is durable; the site's own code must not undo it
                logger.exception("the on_change hook failed")
    return True


def _hook_request(scope: Scope, exchange: Exchange) -> ConsentRequest:
    client = scope.get("client")
    return exchange.hook_request(_joined(_listed(scope.get("headers"))), client[0] if client else None, scope)
