"""The shape of consent.toml, as pydantic models, and the `Catalog` it compiles to.

Every key has a default but ``site.name`` and ``controller``; unknown keys are errors.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PrivateAttr

from consent_middleware.catalog import (
    ESSENTIAL,
    Basis,
    Catalog,
    Category,
    CookieSpec,
    Service,
    builtin_services,
    consent_managers,
    preset_cookies,
)
from consent_middleware.errors import ConfigError
from consent_middleware.regions import Regime
from consent_middleware.signals import DntScope, WhenOn
from consent_middleware.texts import OWN_TEXTS, Texts, load_texts, read_own

__all__ = ["DEFAULT_CATEGORIES", "SECTIONS", "ConsentConfig"]

DEFAULT_CATEGORIES = (ESSENTIAL, "functional", "analytics", "performance", "marketing")

_ID = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_SITE_ID = re.compile(r"[a-z0-9-]{0,32}\Z")
_DURATION = re.compile(r"session\Z|P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?\Z")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?\Z|https?://\[[0-9a-f:]+\](:\d{1,5})?\Z")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+\Z")
_PATH_CHARACTERS = r"[A-Za-z0-9._~!$&'()+,;=:@%/-]"
_HOST = re.compile(
    rf"((\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+|localhost)(/{_PATH_CHARACTERS}*)?\Z|/{_PATH_CHARACTERS}+\Z"
)
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+\Z|\Z")
_COOKIE_NAME = re.compile(r"[^\s;,=\x00-\x1f\x7f]+\Z")


def _matches(pattern: re.Pattern[str], accepted: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.match(value):
            raise ValueError(f"accepted: {accepted}")
        return value

    return AfterValidator(check)


def _no_bare_wildcard(value: str) -> str:
    if not value.strip("*"):
        raise ValueError("'*' alone would match everything; name at least a part")
    return value


Id = Annotated[str, _matches(_ID, "lower-case letters, digits, '-' and '_'")]
Duration = Annotated[str, _matches(_DURATION, "an ISO 8601 duration such as 'P13M' or 'P1D', or 'session'")]
CookieName = Annotated[
    str, _matches(_COOKIE_NAME, "a cookie name, '*' for any characters"), AfterValidator(_no_bare_wildcard)
]
Host = Annotated[
    str,
    _matches(
        _HOST,
        "a host such as 'stats.example.com' or '*.example.com', with a path if only that is meant "
        "('www.example.com/stats/'), or a path of this site ('/stats/'); without scheme or port",
    ),
]
ConsentKey = Literal[
    "google.ad_storage",
    "google.ad_user_data",
    "google.ad_personalization",
    "google.analytics_storage",
    "google.functionality_storage",
    "google.personalization_storage",
    "uet.ad_storage",
    "clarity.ad_Storage",
    "clarity.analytics_Storage",
    "meta",
]
Text = str | dict[str, str]


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; visitors and records need it")
    return value


def _between(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"accepted: {low} to {high}")
    return value


def _full_date(value: str) -> str:
    with suppress(ValueError):
        if not value or date.fromisoformat(value).isoformat() == value:
            return value
    raise ValueError("accepted: a day such as '2026-11-22', or nothing")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteSection(_Section):
    """``[site]``: what the site is, and how the middleware behaves on it."""

    name: Annotated[str, AfterValidator(_not_empty)]
    id: Annotated[str, _matches(_SITE_ID, "up to 32 lower-case letters, digits and '-'")] = ""
    origins: list[Annotated[str, _matches(_ORIGIN, "an origin such as 'https://shop.example'")]] = []
    cookie_domain: Annotated[str, _matches(_DOMAIN, "a domain such as 'shop.example', or nothing")] = ""
    policy_url: str = "/privacy"
    path: Annotated[str, _matches(_PATH, "a path such as '/_consent', without a slash at its end")] = (
        "/_consent"
    )
    regime: Literal["opt-in", "opt-out", "none", "by-region"] = "opt-in"
    region_headers: list[str] = []
    geo_database: str = ""
    updated: Annotated[str, AfterValidator(_full_date)] = ""
    languages: list[str] = ["en"]
    language_from: Literal["page", "visitor"] = "page"
    consent_days: Annotated[int, AfterValidator(lambda days: _between(days, 1, 400))] = 180
    mode: Literal["enforce", "report"] = "enforce"
    rendering: Literal["auto", "personal", "shared"] = "auto"
    transcode: bool = True
    replay_on_grant: bool = False
    reload_on_change: bool = False
    templates: str = ""
    catalog_hosts: bool = True


class ControllerSection(_Section):
    """``[controller]``: who answers for the processing."""

    name: Annotated[str, AfterValidator(_not_empty)]
    address: str = ""
    contact: Annotated[str, AfterValidator(_not_empty)]


class SignalsSection(_Section):
    """``[signals]``: which opt-out signals count, and for what."""

    gpc: bool = True
    dnt: bool = True
    dnt_scope: Literal["tracking", "all"] = "tracking"
    when_on: Literal["quiet", "ask"] = "quiet"
    tk: bool = False
    gpp: bool = False


class CookiesSection(_Section):
    """``[cookies]``: the site's own essential cookies, and what happens to the unknown."""

    essential: list[CookieName] = []
    unknown: Literal["block", "allow"] = "block"


class ConsentModeSection(_Section):
    """``[consent_mode]``: settings of the consent modes that vendors offer (GCM-2)."""

    wait_for_update_ms: Annotated[int, AfterValidator(lambda ms: _between(ms, 0, 10_000))] = 0
    ads_data_redaction: bool = False
    url_passthrough: bool = False


class CspSection(_Section):
    """``[csp]``: a Content-Security-Policy per consent state."""

    mode: Literal["off", "report-only", "enforce"] = "off"
    allow: list[str] = []


class RecordsSection(_Section):
    """``[records]``: where the proof is kept."""

    url: str = "sqlite:///consent-records.db"
    retention: Duration = "P3Y"
    on_store_failure: Literal["journal", "refuse"] = "journal"
    journal: str = "consent-journal"
    ip: Literal["none", "truncate", "hash"] = "none"
    user_agent: Literal["none", "truncate", "hash"] = "none"
    page: Literal["none", "truncate", "hash"] = "none"


class BannerSection(_Section):
    """``[banner]``: how it looks and where it does not show."""

    position: Literal["bottom", "top", "center", "corner"] = "bottom"
    theme: Literal["auto", "light", "dark", "paper", "ocean", "forest", "berry", "contrast"] = "auto"
    close: bool = False
    link: Literal["corner", "footer", "none"] = "corner"
    exclude: list[str] = []


class CategorySection(_Section):
    """One ``[[categories]]`` table."""

    id: Id
    basis: Literal["consent", "exempt", "exempt_with_objection"] = "consent"
    title: Text = ""
    description: Text = ""


class CookieSection(_Section):
    """One entry of a service's ``cookies``."""

    name: CookieName
    retention: Duration = "session"
    purpose: Text = ""
    path: str = "/"
    partitioned: bool = False


class ServiceSection(_Section):
    """One ``[[services]]`` table. What is left out comes from the catalogue, or has `Service`'s default."""

    id: Id
    name: str | None = None
    category: Id | None = None
    provider: str | None = None
    country: (
        Annotated[str, _matches(re.compile(r"[A-Z]{2}\Z|\Z"), "two capital letters, e.g. 'DE'")] | None
    ) = None
    policy_url: str | None = None
    description: Text | None = None
    sells_or_shares: bool | None = None
    hold: bool | None = None
    hosts: list[Host] | None = None
    inline: list[str] | None = None
    storage: list[CookieName] | None = None
    consent_mode: list[ConsentKey] | None = None
    cookies: list[CookieSection] | None = None

    def over(self, base: Service | None) -> Service:
        """Return the service this table declares, laid over one from the catalogue field by field."""
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in self.model_dump(exclude_none=True, exclude={"cookies"}).items()
        }
        if self.cookies is not None:
            given["cookies"] = tuple(CookieSpec(**cookie.model_dump()) for cookie in self.cookies)
        fields = (
            {name: getattr(base, name) for name in Service.__dataclass_fields__}
            if base
            else {"name": self.id}
        )
        return Service(**{**fields, **given})


class ConsentConfig(_Section):
    """A site's whole declaration; the same shape as consent.toml."""

    site: SiteSection
    controller: ControllerSection
    use: list[str] = []
    signals: SignalsSection = SignalsSection()
    cookies: CookiesSection = CookiesSection()
    consent_mode: ConsentModeSection = ConsentModeSection()
    csp: CspSection = CspSection()
    records: RecordsSection = RecordsSection()
    banner: BannerSection = BannerSection()
    categories: list[CategorySection] = []
    services: list[ServiceSection] = []
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


SECTIONS: dict[str, type[BaseModel]] = {
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
