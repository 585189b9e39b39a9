"""consent.toml: its shape, its defaults, and one error that names every fault.

Reads a file, a dict of the same shape or a `ConsentConfig`, and builds the `Catalog` from it. Every fault is
found in one go, each with its path, what was found, what is accepted and the nearest known name.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PrivateAttr, ValidationError

from consent_middleware.catalog import (
    ESSENTIAL,
    Basis,
    Catalog,
    Category,
    CookieSpec,
    Service,
    builtin_services,
    known_cookie_owners,
    preset_cookies,
)
from consent_middleware.errors import ConfigError, Fault
from consent_middleware.regions import Regime
from consent_middleware.signals import DntScope, WhenOn
from consent_middleware.texts import available_languages

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["ConsentConfig", "load_config", "load_secret_keys"]

DEFAULT_CATEGORIES = (ESSENTIAL, "functional", "analytics", "performance", "marketing")
_TRACKING = frozenset({"analytics", "marketing"})

_ID = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_SITE_ID = re.compile(r"[a-z0-9-]{0,32}\Z")
_DURATION = re.compile(r"session\Z|P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?\Z")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?\Z|https?://\[[0-9a-f:]+\](:\d{1,5})?\Z")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+\Z")
_HOST = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+\Z|localhost\Z")
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
    str, _matches(_HOST, "a host such as 'stats.example.com' or '*.example.com', without scheme or path")
]
Text = str | dict[str, str]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteSection(_Section):
    """``[site]``: what the site is, and how the middleware behaves on it."""

    name: str
    id: Annotated[str, _matches(_SITE_ID, "up to 32 lower-case letters, digits and '-'")] = ""
    origins: list[Annotated[str, _matches(_ORIGIN, "an origin such as 'https://shop.example'")]] = []
    cookie_domain: Annotated[str, _matches(_DOMAIN, "a domain such as 'shop.example', or nothing")] = ""
    policy_url: str = "/privacy"
    path: Annotated[str, _matches(_PATH, "a path such as '/_consent', without a slash at its end")] = (
        "/_consent"
    )
    regime: Literal["opt-in", "opt-out", "none", "by-region"] = "opt-in"
    region_headers: list[str] = []
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

    name: str
    address: str = ""
    contact: str


class SignalsSection(_Section):
    """``[signals]``: which opt-out signals count, and for what."""

    gpc: bool = True
    dnt: bool = True
    dnt_scope: Literal["tracking", "all"] = "tracking"
    when_on: Literal["quiet", "ask"] = "quiet"
    tk: bool = False


class CookiesSection(_Section):
    """``[cookies]``: the site's own essential cookies, and what happens to the unknown."""

    essential: list[CookieName] = []
    unknown: Literal["block", "allow"] = "block"


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


class BannerSection(_Section):
    """``[banner]``: how it looks and where it does not show."""

    position: Literal["bottom", "top", "center", "corner"] = "bottom"
    theme: Literal["auto", "light", "dark"] = "auto"
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
    purpose: str = ""
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
    def regime(self) -> Regime:
        """The regime in force."""
        return Regime(self.site.regime)

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
        return Catalog(
            categories=categories,
            services=services,
            essential_cookies=tuple(dict.fromkeys((*presets, *self.cookies.essential))),
            controller=self.controller.name,
            declared_categories=frozenset(listed) - {ESSENTIAL},
        )

    def at(self, folder: Path) -> Self:
        """Return this configuration with relative paths starting from another folder."""
        copy = self.model_copy()
        copy._folder = folder  # noqa: SLF001 - its own attribute
        return copy


def _between(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"accepted: {low} to {high}")
    return value


# -- reading


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | ConsentConfig | None = None,
    environ: Mapping[str, str] | None = None,
) -> ConsentConfig:
    """Read and check a declaration.

    Args:
        source: A path, a dict of the same shape, or a `ConsentConfig`; None: ``CONSENT_CONFIG``, else
            ``consent.toml`` in the current folder.
        environ: Stands for ``os.environ``: ``CONSENT_RECORDS_URL`` and ``CONSENT_MODE`` override the file.

    Raises:
        ConfigError: With every fault found.
    """
    env = os.environ if environ is None else environ
    if isinstance(source, ConsentConfig):
        label, raw, folder = "ConsentConfig", source.model_dump(exclude_unset=True), source.folder
    elif isinstance(source, Mapping):
        label, raw, folder = "dict", dict(source), Path.cwd()
    else:
        path = Path(source or env.get("CONSENT_CONFIG") or "consent.toml")
        label, raw, folder = str(path), _read(path), path.resolve().parent
    raw = _overridden(raw, env)
    faults: list[Fault] = []
    config: ConsentConfig | None = None
    try:
        config = ConsentConfig.model_validate(raw)
    except ValidationError as error:
        found = [_fault(details) for details in error.errors(include_url=False)]
        # A value that may be of two shapes is reported once, not once a shape.
        faults += {fault.path: fault for fault in reversed(found)}.values()
        faults.reverse()
    faults += _cross_faults(raw)
    if faults or config is None:
        raise ConfigError(label, faults)
    return config.at(folder)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        hint = (
            "Give config=..., set CONSENT_CONFIG, or write consent.toml with at least:\n"
            '      [site]\n      name = "Example Shop"\n'
            '      [controller]\n      name = "Example GmbH"\n      contact = "privacy@example.com"'
        )
        raise ConfigError(str(path), [Fault("", f"there is no file {str(path)!r}.", hint)]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Fault("", f"the file is not valid TOML: {error}.")]) from None
    except OSError as error:
        raise ConfigError(str(path), [Fault("", f"the file cannot be read: {error.strerror}.")]) from None


def _overridden(raw: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    for variable, section, key in (
        ("CONSENT_RECORDS_URL", "records", "url"),
        ("CONSENT_MODE", "site", "mode"),
    ):
        value = env.get(variable)
        if value and isinstance(raw.get(section, {}), Mapping):
            raw = {**raw, section: {**raw.get(section, {}), key: value}}
    return raw


def load_secret_keys(
    secret_key: str | Iterable[str] | None, environ: Mapping[str, str] | None = None
) -> list[str]:
    """Return the signing keys: the last signs, all verify.

    Raises:
        ConfigError: There is none.
    """
    env = os.environ if environ is None else environ
    given = env.get("CONSENT_SECRET_KEY", "").split(",") if secret_key is None else secret_key
    keys = [key.strip() for key in ([given] if isinstance(given, str) else given) if key and key.strip()]
    if not keys:
        hint = (
            "Make one with:  consent-middleware keys new\n"
            "    and pass it as secret_key=... or set CONSENT_SECRET_KEY (several, comma-separated: the last signs)."
        )
        raise ConfigError(
            "secret_key", [Fault("secret_key", "there is no secret to sign the consent cookie with.", hint)]
        )
    return keys


# -- faults

_SECTIONS: dict[str, type[BaseModel]] = {
    "": ConsentConfig,
    "site": SiteSection,
    "controller": ControllerSection,
    "signals": SignalsSection,
    "cookies": CookiesSection,
    "csp": CspSection,
    "records": RecordsSection,
    "banner": BannerSection,
    "categories[]": CategorySection,
    "services[]": ServiceSection,
    "services[].cookies[]": CookieSection,
}

# Accepted by the file's shape, refused with a clear word until the version that acts on them.
_NOT_YET: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("site", "regime", ("opt-in",)),
    ("site", "replay_on_grant", (False,)),
    ("site", "reload_on_change", (False,)),
    ("signals", "tk", (False,)),
    ("csp", "mode", ("off",)),
    ("records", "ip", ("none",)),
    ("records", "user_agent", ("none",)),
)


def _path_of(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not step.startswith(("function-", "constrained-")) and step not in {"str", "dict[str,str]"}:
            text += f".{step}" if text else step
    return text


def _nearest(found: object, accepted: Iterable[str]) -> str:
    close = get_close_matches(str(found), list(accepted), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def _fault(details: ErrorDetails) -> Fault:
    path = _path_of(details["loc"])
    kind, found = details["type"], details["input"]
    if kind == "missing":
        return Fault(path, "is required and missing.")
    if kind == "extra_forbidden":
        section = _SECTIONS.get(re.sub(r"\[\d+\]", "[]", _path_of(details["loc"][:-1])))
        known = list(section.model_fields) if section else []
        key = str(details["loc"][-1])
        if key == "use" and section is not ConsentConfig:  # in TOML it belongs to the table it stands below
            return Fault(
                path, "'use' is not a known key here.", "It stands at the top, above the first [section]."
            )
        return Fault(
            path, f"{key!r} is not a known key.", _nearest(key, known) or f"Known here: {', '.join(known)}."
        )
    # A store's URL may hold a password, which an error message must not repeat.
    shown = "" if path == "records.url" else f" Found {found!r}."
    if kind == "literal_error":
        expected = details.get("ctx", {}).get("expected", "")
        return Fault(
            path, f"accepted: {expected}.{shown}", _nearest(found, re.findall(r"'([^']+)'", expected))
        )
    message = details["msg"].removeprefix("Value error, ")
    return Fault(path, f"{message[:1].lower()}{message[1:]}.{shown}")


def _tables(raw: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    value = raw.get(key)
    for index, table in enumerate(value if isinstance(value, list) else []):
        if isinstance(table, Mapping):
            yield index, table


def _strings(raw: Mapping[str, Any], section: str, key: str) -> list[str]:
    table = raw.get(section) if section else raw
    value = table.get(key) if isinstance(table, Mapping) else None
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _cross_faults(raw: Mapping[str, Any]) -> list[Fault]:
    """Find what no single value shows. Works on the raw table, so that it reports beside other faults."""
    return [
        *_use_faults(raw),
        *_service_faults(raw),
        *_essential_faults(raw),
        *_essential_service_faults(raw),
        *_language_faults(raw),
        *_version_faults(raw),
    ]


def _use_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    known = builtin_services()
    for index, id_ in enumerate(_strings(raw, "", "use")):
        if id_ not in known:
            hint = _nearest(id_, known) or "Declare it in [[services]] instead."
            yield Fault(f"use[{index}]", f"{id_!r} is not in the built-in catalogue.", hint)


def _service_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    categories = [*DEFAULT_CATEGORIES, *(str(t.get("id")) for _, t in _tables(raw, "categories"))]
    used = set(_strings(raw, "", "use"))
    yield from _repeated(raw, "categories")
    yield from _repeated(raw, "services")
    for index, table in _tables(raw, "services"):
        path, id_, category = f"services[{index}]", str(table.get("id")), table.get("category")
        if id_ in categories:
            yield Fault(f"{path}.id", f"{id_!r} is the id of a category; a service needs one of its own.")
        if id_ in builtin_services() and id_ not in used:
            yield Fault(
                f"{path}.id",
                f"{id_!r} is in the built-in catalogue.",
                f'Add "{id_}" to use, or choose another id.',
            )
        elif category is None and id_ not in used:
            yield Fault(f"{path}.category", "is required and missing.", f"One of: {', '.join(categories)}.")
        if isinstance(category, str) and category not in categories:
            hint = _nearest(category, categories) or f"Known: {', '.join(categories)}."
            yield Fault(f"{path}.category", f"{category!r} is not a category.", hint)


def _repeated(raw: Mapping[str, Any], key: str) -> Iterator[Fault]:
    seen = set[str]()
    for index, table in _tables(raw, key):
        id_ = table.get("id")
        if isinstance(id_, str) and id_ in seen:
            yield Fault(f"{key}[{index}].id", f"{id_!r} is declared twice.", "Merge the two tables.")
        seen.add(str(id_))


def _essential_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """A cookie that is known to track cannot be called essential (CONFORMANCE ENF-1)."""
    declared = [
        (str(cookie.get("name")), str(table.get("id")))
        for _, table in _tables(raw, "services")
        if table.get("category") != ESSENTIAL
        for _, cookie in _tables(table, "cookies")
    ]
    for index, name in enumerate(_strings(raw, "cookies", "essential")):
        owners = [service.name for service in known_cookie_owners(name)] or [
            service.name
            for service in builtin_services().values()
            if service.category != ESSENTIAL
            and any(fnmatchcase(cookie.name, name) for cookie in service.cookies)
        ]
        path = f"cookies.essential[{index}]"
        if owners:
            yield Fault(
                path,
                f"{name!r} is a tracking cookie of {', '.join(owners)}; it cannot be essential.",
                "Remove it.",
            )
        for other, service_id in declared:
            if name == other:
                yield Fault(
                    path,
                    f"{name!r} is also declared by the service {service_id!r}.",
                    "Remove one of the two.",
                )


def _essential_service_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Nor can a service that measures or advertises, whatever it is called (CONFORMANCE ENF-1)."""
    for index, table in _tables(raw, "services"):
        if table.get("category") != ESSENTIAL:
            continue
        known = builtin_services().get(str(table.get("id")))
        if known and known.category in _TRACKING:
            problem = f"{known.id!r} is {known.category} software; it cannot be essential."
            yield Fault(f"services[{index}].category", problem, "Leave the category out.")
        for position, cookie in _tables(table, "cookies"):
            name = str(cookie.get("name"))
            owners = [s.name for s in known_cookie_owners(name) if s.category in _TRACKING]
            if owners:
                problem = f"{name!r} is a tracking cookie of {', '.join(owners)}; it cannot be essential."
                path = f"services[{index}].cookies[{position}].name"
                yield Fault(path, problem, "Declare the service in a category that is asked about.")


def _language_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    languages = available_languages()
    found = _strings(raw, "site", "languages")
    for index, language in enumerate(found):
        if language not in languages:
            hint = _nearest(language, languages) or f"Available: {', '.join(sorted(languages))}."
            yield Fault(
                f"site.languages[{index}]", f"there are no texts in {language!r} in this version.", hint
            )
    site = raw.get("site")
    if isinstance(site, Mapping) and site.get("languages") == []:
        yield Fault("site.languages", "is empty.", 'At least one is needed, e.g. ["en"].')


def _version_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    for section, key, accepted in _NOT_YET:
        table = raw.get(section)
        value = table.get(key, accepted[0]) if isinstance(table, Mapping) else accepted[0]
        model = _SECTIONS[section].model_fields[key]
        if value not in accepted and _is_valid(model.annotation, value):
            yield Fault(
                f"{section}.{key}",
                f"{value!r} is not available in this version yet.",
                f"Leave it at {accepted[0]!r}.",
            )
    for index, table in _tables(raw, "categories"):
        if table.get("basis") == Basis.EXEMPT_WITH_OBJECTION:
            path = f"categories[{index}].basis"
            yield Fault(
                path, "'exempt_with_objection' is not available in this version yet.", "Use 'consent'."
            )
    for index, table in _tables(raw, "services"):
        if table.get("hold") is False:
            yield Fault(
                f"services[{index}].hold",
                "False is not available in this version yet.",
                "Leave it out: the service is held.",
            )


def _is_valid(annotation: Any, value: object) -> bool:
    options = getattr(annotation, "__args__", None)
    return value in options if options else isinstance(value, annotation)
