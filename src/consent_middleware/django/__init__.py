"""Consent for Django: an app, a middleware for WSGI and ASGI alike, template tags and system checks.

::

    INSTALLED_APPS = [..., "consent_middleware.django"]
    MIDDLEWARE = ["consent_middleware.django.ConsentMiddleware", ...]  # first
    CONSENT = {"config": "consent.toml"}

Nothing here reads Django's settings before the app is loaded or the middleware is made.
"""

from consent_middleware.django.access import get_consent
from consent_middleware.django.conf import ConsentSettings, consent_options
from consent_middleware.django.middleware import ConsentMiddleware

__all__ = ["ConsentMiddleware", "ConsentSettings", "consent_options", "get_consent"]
