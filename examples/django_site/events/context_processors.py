"""What every template is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest


def tracker(_request: HttpRequest) -> dict[str, str]:
    """Return where the third party listens."""
    return {"tracker": settings.TRACKER}
