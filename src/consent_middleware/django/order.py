"""Where the middleware may stand in ``MIDDLEWARE``, and why: what the system checks say, and what stops the start."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from consent_middleware.errors import Fault

__all__ = ["APP", "MIDDLEWARE", "OrderFault", "first_fault", "order_faults"]

APP = "consent_middleware.django"
MIDDLEWARE = "consent_middleware.django.ConsentMiddleware"
_NAMES = {MIDDLEWARE, "consent_middleware.django.middleware.ConsentMiddleware"}
_CACHES = {
    "django.middleware.cache.CacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
}
# They set no cookie, and read none.
_HARMLESS = {
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
}


@dataclass(frozen=True, slots=True)
class OrderFault:
    """One thing that is wrong with where the middleware stands.

    Attributes:
        id: Of the system check that says so.
        where: The setting.
        problem: What is wrong.
        hint: How to mend it.
    """

    id: str
    where: str
    problem: str
    hint: str

    def as_fault(self) -> Fault:
        """Return it as what an error names."""
        return Fault(self.where, self.problem, self.hint)


def order_faults() -> list[OrderFault]:
    """Return what cannot work: each would break the site, or let one visitor's answer reach another."""
    listed = list(settings.MIDDLEWARE)
    places = [index for index, name in enumerate(listed) if name in _NAMES]
    found: list[OrderFault] = []
    if len(places) > 1:
        problem, hint = "names ConsentMiddleware more than once.", "Keep the first of them."
        found.append(OrderFault("consent.E004", "MIDDLEWARE", problem, hint))
    caches = [name for name in listed[: places[0]] if name in _CACHES] if places else []
    if caches:
        problem = (
            f"has {', '.join(caches)} outside of ConsentMiddleware, so a cached response of one visitor, cookies "
            "included, would be served to others unfiltered."
        )
        hint = f"Put {MIDDLEWARE!r} before it, first in the list."
        found.append(OrderFault("consent.E005", "MIDDLEWARE", problem, hint))
    if not _is_installed():
        problem = (
            f"does not hold {APP!r}, so there are no template tags, and `manage.py check` finds nothing."
        )
        found.append(OrderFault("consent.E006", "INSTALLED_APPS", problem, f"Add {APP!r}."))
    return found


def first_fault() -> OrderFault | None:
    """Return what works, but filters less than it could."""
    listed = list(settings.MIDDLEWARE)
    place = next((index for index, name in enumerate(listed) if name in _NAMES), None)
    if place is None:
        hint = (
            f"Put {MIDDLEWARE!r} first. Where the handler is wrapped in consent_middleware.wsgi or .asgi, put it there "
            "too if you want `request.consent`, or silence this check."
        )
        return OrderFault("consent.W001", "MIDDLEWARE", "does not name ConsentMiddleware.", hint)
    outside = [name for name in listed[:place] if name not in _HARMLESS]
    if not outside:
        return None
    problem = (
        f"has {', '.join(outside)} outside of ConsentMiddleware: cookies that these set are not filtered."
    )
    return OrderFault("consent.W002", "MIDDLEWARE", problem, f"Put {MIDDLEWARE!r} first.")


def _is_installed() -> bool:
    return any(name == APP or name.startswith(APP + ".") for name in settings.INSTALLED_APPS)
