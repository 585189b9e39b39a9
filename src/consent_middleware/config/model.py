"""The shape of consent.toml, as pydantic models, and the `Catalog` it compiles to.

Every key has a default but ``site.name`` and ``controller``; unknown keys are errors.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, PrivateAttr

from consent_middleware.catalog import (
    ESSENTIAL,
    Basis,
    Catalog,
    Category,
    builtin_services,
    consent_managers,
    preset_cookies,
)
from consent_middleware.config.sections import (
    BannerSection,
    CategorySection,
    ConsentModeSection,
    ControllerSection,
    CookieSection,
    CookiesSection,
    CspSection,
    RecordsSection,
    Section,
    ServiceSection,
    SignalsSection,
    SiteSection,
)
from consent_middleware.errors import ConfigError
from consent_middleware.regions import Regime
from consent_middleware.signals import DntScope, WhenOn
from consent_middleware.texts import OWN_TEXTS, Texts, load_texts, read_own

__all__ = ["DEFAULT_CATEGORIES", "SECTIONS", "ConsentConfig"]

DEFAULT_CATEGORIES = (ESSENTIAL, "functional", "analytics", "performance", "marketing")


class ConsentConfig(Section):
    """A site's whole declaration; the same shape as consent.toml."""

    site: SiteSection = Field(description="What the site is, and how the middleware behaves on it.")
    controller: ControllerSection = Field(description="Who answers for the processing.")
    use: list[str] = Field(
        [],
        description="Services from the built-in catalogue, by id (`consent-middleware catalog` lists them).",
    )
    signals: SignalsSection = Field(
        SignalsSection(), description="Which opt-out signals count, and for what."
    )
    cookies: CookiesSection = Field(
        CookiesSection(), description="The site's own essential cookies, and what happens to the unknown."
    )
    consent_mode: ConsentModeSection = Field(
        ConsentModeSection(), description="Settings of the consent modes that vendors offer."
    )
    csp: CspSection = Field(CspSection(), description="A Content-Security-Policy per consent state.")
    records: RecordsSection = Field(RecordsSection(), description="Where the proof is kept.")
    banner: BannerSection = Field(
        BannerSection(), description="How the banner looks, and where it does not show."
    )
    categories: list[CategorySection] = Field(
        [],
        description="What visitors are asked about: tables laid over the default categories, or further ones.",
    )
    services: list[ServiceSection] = Field(
        [], description="What the catalogue does not know, or knows otherwise."
    )
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the declaration start from."""
        return self._folder

    @property
    def overrides(self) -> Path | None:
        """The folder of what the site has in place of ours; None where it has none."""
        return self._folder / self.site.templates if self.site.templates else None

    @property
    def regime(self) -> Regime:
        """The regime of a visitor of whom nothing is known."""
        return Regime.OPT_IN if self.by_region else Regime(self.site.regime)

    @property
    def keeps_records(self) -> bool:
        """Whether there is a store: without one nothing is proven, and an account has nothing to say."""
        return self.records.url != "none"

    @property
    def by_region(self) -> bool:
        """Whether the regime is the visitor's own."""
        return self.site.regime == "by-region"

    @property
    def dnt_scope(self) -> DntScope:
        """What Do Not Track denies."""
        return DntScope(self.signals.dnt_scope)

    @property
    def when_on(self) -> WhenOn:
        """Whether a visitor whose signal is on is still asked."""
        return WhenOn(self.signals.when_on)

    @cached_property
    def catalog(self) -> Catalog:
        """The declaration, compiled for look-up."""
        listed = {c.id: c for c in self.categories}
        categories = {
            id_: Category(id_, Basis(c.basis), c.title, c.description)
            if (c := listed.get(id_))
            else Category(id_)
            for id_ in (*DEFAULT_CATEGORIES, *(id_ for id_ in listed if id_ not in DEFAULT_CATEGORIES))
        }
        known = builtin_services()
        services = {id_: known[id_] for id_ in self.use}
        for section in self.services:
            services[section.id] = section.over(services.get(section.id))
        presets = (name for names in preset_cookies().values() for name in names)
        undeclared = [s for s in known.values() if s.id not in services and self.site.catalog_hosts]
        return Catalog(
            categories=categories,
            services=services,
            essential_cookies=tuple(dict.fromkeys((*presets, *self.cookies.essential))),
            controller=self.controller.name,
            declared_categories=frozenset(listed) - {ESSENTIAL},
            undeclared=(*undeclared, *consent_managers().values()),
        )

    @cached_property
    def own_texts(self) -> dict[str, Texts]:
        """The texts of each language that the site has own ones in.

        Raises:
            ConfigError: Some of them cannot take the place of ours.
        """
        if self.overrides is None:
            return {}
        own, faults = read_own(self.overrides / OWN_TEXTS, self.site.languages)
        if faults:
            raise ConfigError(str(self.overrides), faults)
        return {language: load_texts(language).over(texts) for language, texts in own.items()}

    def texts(self, language: str) -> Texts:
        """Return what visitors read in a language: the site's own texts, and ours where it has none.

        Raises:
            ConfigError: The site's own texts cannot take the place of ours.
        """
        return self.own_texts.get(language) or load_texts(language)

    def at(self, folder: Path) -> Self:
        """Return this configuration with relative paths starting from another folder."""
        copy = self.model_copy()
        copy.__dict__.pop("own_texts", None)  # was read from the other folder
        copy._folder = folder  # noqa: SLF001 - its own attribute
        return copy


SECTIONS: dict[str, type[Section]] = {
    "": ConsentConfig,
    "site": SiteSection,
    "controller": ControllerSection,
    "signals": SignalsSection,
    "cookies": CookiesSection,
    "consent_mode": ConsentModeSection,
    "csp": CspSection,
    "records": RecordsSection,
    "banner": BannerSection,
    "categories[]": CategorySection,
    "services[]": ServiceSection,
    "services[].cookies[]": CookieSection,
}
"""Which model stands at which place of the file."""
