"""A middleware that knows nothing of consent."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse


def count_visitor(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Mark the visitor, as a tagging server does. It asks nobody: the cookie is held back until it may be set."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "_ga" not in request.COOKIES:
            value = f"GA1.1.{secrets.randbelow(10**9)}.{int(time.time())}"
            response.set_cookie("_ga", value, max_age=730 * 86_400, samesite="Lax")
        return response

    return middleware
