"""Django's request, as an `Exchange` reads and edits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import UnreadablePostError, parse_cookie
from django.utils.translation import get_language_from_request

from consent_middleware.environ import (
    EDITABLE,
    EnvironHeader,
    all_headers,
    edited_headers,
    inner_environ,
    is_whole,
)
from consent_middleware.exchange import Exchange
from consent_middleware.replies import MAX_BODY

if TYPE_CHECKING:
    from django.http import HttpRequest

    from consent_middleware.request import ConsentRequest
    from consent_middleware.site import Site

__all__ = ["client_of", "edit_request", "hook_request", "open_exchange", "read_body"]

_LOCALE = "django.middleware.locale.LocaleMiddleware"


class _Header:
    """Look up a request header, the host and the language as Django understands them."""

    __slots__ = ("_get", "_request")

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._get = EnvironHeader(request.META).get

    def get(self, name: bytes) -> bytes | None:
        if name == b"host":
            return self._host()
        value = self._get(name)
        if name == b"accept-language" and settings.USE_I18N and _LOCALE in settings.MIDDLEWARE:
            # First what the visitor has chosen on this site; then what the browser says.
            # Django 4.2.0 may say None.
            chosen = (get_language_from_request(self._request) or "").encode("ascii", "replace")
            return b", ".join(filter(None, (chosen, value))) or None
        return value

    def _host(self) -> bytes | None:
        """Return the host with its port; settings say whether a proxy's word counts."""
        try:
            return self._request.get_host().encode("latin-1", "replace")
        except DisallowedHost:  # Django says so itself where it matters
            return self._get(b"host")


def open_exchange(site: Site, request: HttpRequest) -> Exchange:
    """Return the exchange of a request; the scheme is Django's word, which knows of proxies by the settings."""
    meta = request.META
    exchange = Exchange(
        site,
        request.method or "GET",
        request.scheme or "http",
        meta.get("SCRIPT_NAME", "").rstrip("/"),
        request.path_info,
        _Header(request).get,
        site.clock(),
    )
    if site.sources.are_kept:
        exchange.client = meta.get("REMOTE_ADDR")
    return exchange


def client_of(request: HttpRequest) -> str | None:
    """Return the peer's address, None where the server does not say."""
    return request.META.get("REMOTE_ADDR") or None


def hook_request(request: HttpRequest, exchange: Exchange) -> ConsentRequest:
    """Return the request as hooks see it; ``raw`` is Django's."""
    return exchange.hook_request(all_headers(request.META), client_of(request), request)


def edit_request(request: HttpRequest, exchange: Exchange) -> None:
    """Take from a request what the app may not see, in every place where it could be read."""
    edited = edited_headers(request.META, exchange)
    if edited is None:
        return
    meta = request.META = inner_environ(request.META, edited)
    request.COOKIES = parse_cookie(meta.get("HTTP_COOKIE", ""))
    request.__dict__.pop("headers", None)  # made from META when next asked for
    raw: Any = request
    if hasattr(raw, "environ"):
        raw.environ = meta
    if hasattr(raw, "scope"):
        kept = [header for header in raw.scope.get("headers", ()) if header[0].lower() not in EDITABLE]
        raw.scope = {**raw.scope, "headers": [*kept, *edited]}


def read_body(request: HttpRequest) -> bytes:
    """Return a request's body, but no more than shows that it is too long."""
    try:
        data = request.read(MAX_BODY + 1)
    except UnreadablePostError:
        return b""
    return data if is_whole(data, request.META, MAX_BODY + 1) else b""
