"""What the tests of the core share: a small declaration, a fixed clock and modest hypothesis settings."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from consent_middleware.catalog import Basis, Catalog, Category, CookieSpec, Service
from consent_middleware.config import ConsentConfig, load_config

__all__ = [
    "CATEGORIES",
    "NOW",
    "SECRET",
    "declaration",
    "make_catalog",
    "make_config",
    "modest",
    "service",
]

NOW = 1_780_000_000
SECRET = "a secret key that only the tests use"
CATEGORIES = ("essential", "functional", "analytics", "performance", "marketing")

modest = settings(
    max_examples=80,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def declaration(**sections: Any) -> dict[str, Any]:
    """Return the smallest declaration, with sections laid over it key by key."""
    base: dict[str, Any] = {
        "site": {"name": "Example Shop"},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    }
    for name, value in sections.items():
        base[name] = {**base.get(name, {}), **value} if isinstance(value, dict) else value
    return base


def make_config(**sections: Any) -> ConsentConfig:
    """Return a checked declaration that no environment variable touches."""
    return load_config(declaration(**sections), {})


def service(id_: str, category: str, *cookies: str | CookieSpec, **fields: Any) -> Service:
    """Return a service that declares these cookies."""
    specs = tuple(cookie if isinstance(cookie, CookieSpec) else CookieSpec(cookie) for cookie in cookies)
    return Service(id=id_, name=fields.pop("name", id_), category=category, cookies=specs, **fields)


def make_catalog(
    *services: Service,
    essential: tuple[str, ...] = (),
    declared: tuple[str, ...] = (),
    basis: dict[str, Basis] | None = None,
    controller: str = "Example GmbH",
) -> Catalog:
    """Return a catalogue of the default categories and these services."""
    bases = basis or {}
    return Catalog(
        categories={id_: Category(id_, bases.get(id_, Basis.CONSENT)) for id_ in CATEGORIES},
        services={s.id: s for s in services},
        essential_cookies=essential,
        declared_categories=frozenset(declared),
        controller=controller,
    )
