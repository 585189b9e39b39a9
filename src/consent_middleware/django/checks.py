"""What `manage.py check` says of consent: every fault with its place and its remedy, before a visitor meets it.

================  ==================================================================================
``consent.E001``  the declaration (``consent.toml``) cannot be used; one line a fault
``consent.E002``  the setting ``CONSENT`` cannot be used, or one of its hooks
``consent.E003``  there is no secret to sign with
``consent.E004``  the middleware is listed twice
``consent.E005``  a cache stands outside of the middleware
``consent.E006``  the app is not in ``INSTALLED_APPS``
``consent.W001``  the middleware is not in ``MIDDLEWARE``
``consent.W002``  something that may set cookies stands outside of the middleware
================  ==================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from consent_middleware.django import conf
from consent_middleware.django.order import first_fault, order_faults
from consent_middleware.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_consent"]


def check_consent(**_: Any) -> list[CheckMessage]:
    """Return all that is wrong with the site's consent."""
    found: list[CheckMessage] = [
        Error(f"{fault.where} {fault.problem}", hint=fault.hint, id=fault.id) for fault in order_faults()
    ]
    if fault := first_fault():
        found.append(CheckWarning(f"{fault.where} {fault.problem}", hint=fault.hint, id=fault.id))
    setting = _tried("consent.E002", conf.given)
    if setting:
        return [*found, *setting]
    parts = [
        *_tried("consent.E001", conf.declaration),
        *_tried("consent.E002", conf.hooks),
        *_tried("consent.E003", conf.keys),
    ]
    return [*found, *(parts or _tried("consent.E001", conf.site))]  # what only shows once all is put together


def _tried(id_: str, make: Callable[[], object]) -> list[CheckMessage]:
    """Return why something cannot be made, one message a fault."""
    try:
        make()
    except ConfigError as error:
        return [
            Error(f"{error.source}: {_placed(fault.path)}{fault.problem}", hint=fault.hint or None, id=id_)
            for fault in error.faults
        ]
    except ImproperlyConfigured as error:
        hint = "Set SECRET_KEY, or CONSENT['secret_key'], or CONSENT_SECRET_KEY in the environment."
        return [Error(str(error), hint=hint, id=id_)]
    return []


def _placed(path: str) -> str:
    return f"{path}: " if path else ""
