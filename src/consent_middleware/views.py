"""What templates are told of the declaration: its categories, services and partners, in a visitor's language.

Decides which of them a visitor is shown and under what name; knows no markup, address or choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consent_middleware.catalog import ESSENTIAL
from consent_middleware.texts import country, duration, duration_parts, foreign, localised, plural

if TYPE_CHECKING:
    from consent_middleware.catalog import Category, Service
    from consent_middleware.config import ConsentConfig

__all__ = ["EEA", "Views"]

EEA = frozenset({
    "AT", "BE", "BG", "HR", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HU", "IE", "IS", "IT", "LI", "LT",
    "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
})  # fmt: skip


FUNCTIONAL = "functional"
_IN_DAYS = {
    "years": 365.25,
    "months": 30.44,
    "weeks": 7,
    "days": 1,
    "hours": 1 / 24,
    "minutes": 1 / 1440,
    "seconds": 0,
}


def _days(retention: str) -> float:
    """Return about how many days a retention is; 0 for a session."""
    return sum(_IN_DAYS[unit] * count for unit, count in duration_parts(retention).items())


class Views:
    """Put one site's declaration into words.

    Args:
        config: The declaration.
    """

    def __init__(self, config: ConsentConfig) -> None:
        self._catalog = config.catalog
        self._controller = config.controller.name
        self._fallback = config.site.languages[0]
        self._texts = config.texts

    # -- what the banner sums up

    def purposes(self, language: str) -> list[str]:
        """Return what is asked about, as phrases that go on "we would like to"."""
        return [self._phrase(c, language) for c in self._shown() if c.id in self._catalog.asked]

    def partners(self) -> list[str]:
        """Return the names of the others who would receive data."""
        found = (s.provider or s.name for s in self._asked_services() if s.provider != self._controller)
        return list(dict.fromkeys(found))

    def facts(self, language: str) -> list[str]:
        """Return in short what accepting everything brings with it: partners, cookies, and how long the longest is kept."""
        cookies = [cookie for service in self._asked_services() for cookie in service.cookies]
        partners = len(self.partners())
        found = [plural(language, "partners", partners)] if partners else []
        if cookies:
            found.append(plural(language, "cookies", len(cookies)))
            longest = max((cookie.retention for cookie in cookies), key=_days)
            if _days(longest):
                texts = self._texts(language)
                found.append(texts["facts_longest"].format(time=duration(longest, texts)))
        return found

    def embeds(self) -> bool:
        """Return whether something is asked about that would stand in a page: videos, maps, chat."""
        return any(service.category == FUNCTIONAL for service in self._asked_services())

    def third_countries(self, language: str) -> list[str]:
        """Return the names of the countries outside the EEA that data goes to."""
        codes = {s.country for s in self._asked_services()} - EEA - {""}
        return sorted(country(language, code) for code in codes)

    # -- what the pages list

    def sharing(self) -> list[dict[str, str]]:
        """Return the services that sell or share, with who provides them."""
        shares = self._catalog.shares
        return [
            {"name": s.name, "provider": s.provider}
            for s in self._catalog.services.values()
            if s.id in shares
        ]

    def categories(self, language: str, granted: frozenset[str]) -> list[dict[str, Any]]:
        """Return the categories a visitor sees, with their services and what is granted of them."""
        return [self._category(c, language, granted) for c in self._shown()]

    def title(self, category: str, language: str) -> str:
        """Return what a category is called."""
        return self._title(self._catalog.categories[category], language)

    def _shown(self) -> list[Category]:
        """Return the categories a visitor sees: what is asked about, and what is always on and in use."""
        in_use = {s.category for s in self._catalog.services.values()} | {ESSENTIAL}
        return [
            c
            for c in self._catalog.categories.values()
            if c.id in self._catalog.asked or (c.id in self._catalog.always and c.id in in_use)
        ]

    def _asked_services(self) -> list[Service]:
        return [s for s in self._catalog.services.values() if s.id in self._catalog.asked]

    def _phrase(self, category: Category, language: str) -> str:
        return str(self._words(category, language).get("phrase") or self._title(category, language))

    def _words(self, category: Category, language: str) -> dict[str, str]:
        if category.title:  # the site's own wording: our phrase might not fit it
            return {}
        found: dict[str, str] = self._texts(language)["categories"].get(category.id, {})
        return found

    def _title(self, category: Category, language: str) -> str:
        own = localised(category.title, language, self._fallback)
        return own or self._words(category, language).get("title", category.id)

    def _category(self, category: Category, language: str, granted: frozenset[str]) -> dict[str, Any]:
        own = localised(category.description, language, self._fallback)
        builtin = self._texts(language)["categories"].get(category.id, {})
        return {
            "id": category.id,
            "title": self._title(category, language),
            "description": own or builtin.get("description", ""),
            "foreign": foreign(category.description, language, self._fallback),
            "always": category.id in self._catalog.always,
            "needed": category.id == ESSENTIAL and bool(own),
            "granted": category.id in granted,
            "services": [self._service(s, language, granted) for s in self._catalog.services_of(category.id)],
        }

    def _service(self, service: Service, language: str, granted: frozenset[str]) -> dict[str, Any]:
        return {
            "id": service.id,
            "name": service.name,
            "provider": service.provider,
            "country": country(language, service.country),
            "policy_url": service.policy_url,
            "description": localised(service.description, language, self._fallback),
            "foreign": foreign(service.description, language, self._fallback),
            "granted": service.id in granted,
            "cookies": [
                {
                    "name": c.name,
                    "retention": duration(c.retention, self._texts(language)),
                    "purpose": localised(c.purpose, language, self._fallback),
                    "foreign": foreign(c.purpose, language, self._fallback),
                }
                for c in service.cookies
            ],
        }
