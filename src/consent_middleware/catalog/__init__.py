"""The catalogue: the model of what a site declares, and the services the package knows."""

from consent_middleware.catalog.builtin import (
    builtin_services,
    consent_managers,
    known_cookie_owners,
    preset_cookies,
)
from consent_middleware.catalog.model import (
    ESSENTIAL,
    MARKETING,
    Basis,
    Catalog,
    Category,
    CookieSpec,
    Service,
)

__all__ = [
    "ESSENTIAL",
    "MARKETING",
    "Basis",
    "Catalog",
    "Category",
    "CookieSpec",
    "Service",
    "builtin_services",
    "consent_managers",
    "known_cookie_owners",
    "preset_cookies",
]
