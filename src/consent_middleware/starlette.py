"""Starlette and FastAPI: the visitor's consent as a dependency, in templates, and as a condition of a route.

The middleware itself is `consent_middleware.asgi.ConsentMiddleware`; what it found out stands in `request.state.consent`
as well. Importing this module needs Starlette alone; `ConsentDep` needs FastAPI.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection  # noqa: TC002 - FastAPI reads the annotation

from consent_middleware.consent import Consent, unanswered
from consent_middleware.reporting import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import Depends

__all__ = ["ConsentDep", "ConsentRequired", "consent_context", "get_consent", "requires_consent"]


class ConsentRequired(HTTPException):
    """The answer 403: what was asked for needs a consent that is not given.

    An exception handler for it can answer with a page of the site's own.

    Attributes:
        unit: The category or service.
        preferences_url: Where the visitor changes the choice.
    """

    def __init__(self, unit: str, preferences_url: str) -> None:
        super().__init__(403, f"This needs the visitor's consent: {unit}.")
        self.unit = unit
        self.preferences_url = preferences_url


async def get_consent(connection: HTTPConnection) -> Consent:
    """Return the visitor's consent; for FastAPI's `Depends`.

    Where no middleware ran, nobody has answered and nothing is granted.

    Args:
        connection: A request or a websocket; a websocket keeps the consent of its handshake.
    """
    return _consent_of(connection)


def consent_context(connection: HTTPConnection) -> dict[str, Any]:
    """Return what templates are given: `consent`, and `consent_link()`, a link to the preferences.

    For ``Jinja2Templates(context_processors=[consent_context])``.
    """
    consent = _consent_of(connection)
    return {"consent": consent, "consent_link": consent.link}


def requires_consent(unit: str) -> Callable[[HTTPConnection], Awaitable[Consent]]:
    """Return a dependency that lets a request pass only if a category or service is granted.

    Others are answered with 403 (`ConsentRequired`), a websocket is closed with 1008.

    Args:
        unit: The category or service; one that the site does not declare raises `UnknownIdError` when it is asked for.
    """

    async def required(connection: HTTPConnection) -> Consent:
        consent = _consent_of(connection)
        if consent.allows(unit):
            return consent
        if connection.scope["type"] == "websocket":
            raise WebSocketException(1008, f"This needs the visitor's consent: {unit}.")
        raise ConsentRequired(unit, consent.preferences_url)

    return required


def _consent_of(connection: HTTPConnection) -> Consent:
    found = connection.scope.get("state", {}).get("consent")
    if isinstance(found, Consent):
        return found
    _say_that_none_ran()
    return unanswered()


@cache
def _say_that_none_ran() -> None:
    """Warn once."""
    logger.warning(
        "consent_middleware: consent was asked for where no ConsentMiddleware ran; nothing is granted there. Wrap the app: "
        "app = ConsentMiddleware(app, ...), from consent_middleware.asgi."
    )


if TYPE_CHECKING:
    ConsentDep = Annotated[Consent, Depends(get_consent)]


def __getattr__(name: str) -> Any:
    """Make `ConsentDep` when it is asked for: FastAPI may not be there."""
    if name != "ConsentDep":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastapi import Depends as Dependency  # noqa: PLC0415 - see above

    return Annotated[Consent, Dependency(get_consent)]
