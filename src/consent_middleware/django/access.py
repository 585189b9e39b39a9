"""Where a view or a template finds the visitor's consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from weakref import ref

from consent_middleware.consent import Consent
from consent_middleware.django import conf

if TYPE_CHECKING:
    from django.http import HttpRequest

    from consent_middleware.visitor import Visitor

__all__ = ["asked_of", "get_consent"]


def get_consent(request: HttpRequest) -> Consent:
    """Return the consent of a request's visitor: ``request.consent``, also where the handler itself is wrapped.

    Where no `ConsentMiddleware` has seen the request, as in a unit test of a view, nobody has answered: only what
    needs no consent is allowed, and to change it is an error.
    """
    scope = getattr(request, "scope", None) or {}
    own = getattr(request, "consent", None)
    if isinstance(own, Consent):
        return own
    for found in (request.META.get("consent_middleware.consent"), (scope.get("state") or {}).get("consent")):
        if isinstance(found, Consent):
            return asked_of(found._exchange, request)  # noqa: SLF001 - the same consent, asked through Django
    return Consent.of_nobody(conf.site(), request.META.get("SCRIPT_NAME", "").rstrip("/"))


def asked_of(exchange: Any, request: HttpRequest) -> Consent:
    """Return the consent that a view of this request reads."""
    return Consent(cast("Any", _Asked(exchange, request)))


class _Asked:
    """An exchange, asked by a view: what then comes of the view is this visitor's, so `cache_page` must not keep it.

    Our own `Cache-Control` is set outside of the site's caches, where these do not see it.
    """

    __slots__ = ("_exchange", "_request")

    def __init__(self, exchange: Any, request: HttpRequest) -> None:
        self._exchange = exchange
        self._request = ref(request)  # the request holds us: no work for the garbage collector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def read(self) -> Visitor:
        self._keep_out()
        seen: Visitor = self._exchange.read()
        return seen

    def identify(self, subject: str | None) -> None:
        self._keep_out()
        self._exchange.identify(subject)

    def _keep_out(self) -> None:
        request: Any = self._request()
        if request is not None:
            request._cache_update_cache = False  # noqa: SLF001 - how Django's cache middleware is told
