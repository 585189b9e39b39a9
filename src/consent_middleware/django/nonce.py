"""The nonce of Django's own Content-Security-Policy (6.0) and of django-csp.

Both make a nonce only when something reads it while the page is made, and write their header before our markup goes
in. Where the site's policy asks for nonces, one is read in time; `response` then finds it in the header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest

__all__ = ["asks_for_nonce", "make_nonce", "make_nonce_async"]

_SETTINGS = ("SECURE_CSP", "CONTENT_SECURITY_POLICY")
_NAMES = ("csp_nonce", "_csp_nonce")  # django-csp; Django


def asks_for_nonce() -> bool:
    """Return whether the site's policy has a place for a nonce, and no inline code that one would switch off."""
    for setting in _SETTINGS:
        policy = getattr(settings, setting, None) or {}
        for sources in policy.get("DIRECTIVES", policy).values():
            if isinstance(sources, (list, tuple, set)) and _has_nonce(sources):
                return True
    return False


def _has_nonce(sources: Iterable[object]) -> bool:
    texts = [str(source) for source in sources]
    return any("NONCE" in text for text in texts) and "'unsafe-inline'" not in texts


def make_nonce(request: HttpRequest, *_: Any) -> None:
    """Have a request's nonce made."""
    for name in _NAMES:
        if (nonce := getattr(request, name, None)) is not None:
            str(nonce)
            return


async def make_nonce_async(request: HttpRequest, *_: Any) -> None:
    """Do the same where views are asynchronous: a plain function would cost a change of threads."""
    make_nonce(request)
