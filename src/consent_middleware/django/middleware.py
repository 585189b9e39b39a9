"""The Django middleware: requests and responses in, the same out, under WSGI and ASGI. No decision is made here.

What may wait (the site's hooks, the store) is plain code: under WSGI it runs in place, under ASGI in a worker thread,
and only where there is something to wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.handlers.base import BaseHandler

from consent_middleware import effects
from consent_middleware.django import conf
from consent_middleware.django.access import asked_of, get_consent
from consent_middleware.django.nonce import asks_for_nonce, make_nonce, make_nonce_async
from consent_middleware.django.order import order_faults
from consent_middleware.django.requests import (
    client_of,
    edit_request,
    hook_request,
    open_exchange,
    read_body,
)
from consent_middleware.django.responses import edit, edit_async, from_reply
from consent_middleware.errors import ConfigError, Fault
from consent_middleware.exchange import WELL_KNOWN, Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

__all__ = ["ConsentMiddleware"]

_ACTIVE = "consent_middleware.active"


class ConsentMiddleware:
    """Add consent to a Django site: put it first in ``MIDDLEWARE``.

    It is set up by the setting ``CONSENT`` (see `consent_middleware.django.conf`), and gives ``request.consent``.
    Where the handler itself is wrapped in `consent_middleware.wsgi` or `consent_middleware.asgi`, it leaves the work
    to that, and only gives ``request.consent``.

    Args:
        get_response: The rest of the chain, plain or a coroutine function.

    Raises:
        ConfigError: The setting or the declaration cannot be used, or the order of ``MIDDLEWARE`` cannot work.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if isinstance(get_response, BaseHandler):
            hint = "Wrap a handler in consent_middleware.wsgi.ConsentMiddleware, or that of consent_middleware.asgi."
            raise ConfigError("ConsentMiddleware", [Fault("get_response", "is a whole handler.", hint)])
        if faults := order_faults():
            raise ConfigError("settings", [fault.as_fault() for fault in faults])
        self.get_response = get_response
        self.site = conf.site()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        if asks_for_nonce():
            self.process_view = make_nonce_async if self._is_async else make_nonce

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._is_async:
            return self._serve_async(request)
        if _is_wrapped(request):
            request.consent = get_consent(request)  # type: ignore[attr-defined]
            served: HttpResponseBase = self.get_response(request)
            return served
        exchange = open_exchange(self.site, request)
        own = self._begin(request, exchange)
        if own is not None:
            return own
        response: HttpResponseBase = self.get_response(request)
        effects.settle(exchange, lambda: hook_request(request, exchange))
        if (instead := self._instead(exchange, response)) is not None:
            return instead
        if response.streaming and getattr(response, "is_async", False) and hasattr(request, "scope"):
            # Plain middleware inside of us has put us into a thread; the stream goes on in the event loop.
            async_to_sync(edit_async)(exchange, response)
        else:
            edit(exchange, response)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        if _is_wrapped(request):
            request.consent = get_consent(request)  # type: ignore[attr-defined]
            served: HttpResponseBase = await self.get_response(request)
            return served
        exchange = open_exchange(self.site, request)
        begin = sync_to_async(self._begin) if self._may_wait(exchange) else self._begin_now
        own = await begin(request, exchange)
        if own is not None:
            return own
        response: HttpResponseBase = await self.get_response(request)
        if exchange.staged or exchange.identifies or self.site.hooks.nonce:
            await sync_to_async(effects.settle)(exchange, lambda: hook_request(request, exchange))
        if (instead := self._instead(exchange, response)) is not None:
            return instead
        await edit_async(exchange, response)
        return response

    def _may_wait(self, exchange: Exchange) -> bool:
        """Return whether the beginning of a request may ask the site's own code, or the store."""
        site = self.site
        due = site.outbox is not None and site.outbox.is_due
        asks = site.looks or site.hooks.skip is not None
        return due or (
            (asks or exchange.path.startswith(site.prefix)) and not exchange.path.startswith(site.files)
        )

    def _begin(self, request: HttpRequest, exchange: Exchange) -> HttpResponse | None:
        """Answer a request for one of our own resources; make any other ready for the app."""
        site = self.site

        def asked() -> Any:
            return hook_request(request, exchange)

        if site.looks and not exchange.path.startswith(site.files):
            effects.look(exchange, asked, client_of(request))
        effects.deliver(site)
        if exchange.path.startswith(site.prefix):
            body = read_body(request) if site.endpoints.wants_body(exchange.method) else b""
            query = request.META.get("QUERY_STRING", "").encode("latin-1", "replace")
            response = from_reply(exchange, effects.answer(exchange, query, body))
            effects.deliver(site)
            return response
        if site.hooks.skip is not None:
            exchange.skip = bool(site.hooks.skip(asked()))
        edit_request(request, exchange)
        request.consent = asked_of(exchange, request)  # type: ignore[attr-defined]
        return None

    async def _begin_now(self, request: HttpRequest, exchange: Exchange) -> HttpResponse | None:
        return self._begin(request, exchange)

    def _instead(self, exchange: Exchange, response: HttpResponseBase) -> HttpResponse | None:
        """Return what stands behind the app: its 404 gives way to a well-known resource of ours."""
        if response.status_code != 404 or not exchange.path.startswith(WELL_KNOWN):
            return None
        reply = exchange.well_known()
        if reply is None:
            return None
        own: Any = from_reply(exchange, reply)
        own._resource_closers += getattr(response, "_resource_closers", ())  # noqa: SLF001 - closed with ours
        return own  # type: ignore[no-any-return]


def _is_wrapped(request: HttpRequest) -> bool:
    """Return whether an adapter outside of Django serves this request."""
    return _ACTIVE in request.META or _ACTIVE in (getattr(request, "scope", None) or {})
