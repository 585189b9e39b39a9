"""The sections of consent.toml, as pydantic models: keys, defaults, and what each key is for.

The descriptions are the one source of the JSON Schema that editors read and of the reference in the documentation.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from consent_middleware.catalog import CookieSpec, Service

__all__ = [
    "BannerSection",
    "CategorySection",
    "ConsentModeSection",
    "ControllerSection",
    "CookieSection",
    "CookiesSection",
    "CspSection",
    "RecordsSection",
    "Section",
    "ServiceSection",
    "SignalsSection",
    "SiteSection",
]

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


class Section(BaseModel):
    """What all sections have in common: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SiteSection(Section):
    """``[site]``: what the site is, and how the middleware behaves on it."""

    name: Annotated[str, AfterValidator(_not_empty)] = Field(
        description="The site's name, as visitors read it."
    )
    id: Annotated[str, _matches(_SITE_ID, "up to 32 lower-case letters, digits and '-'")] = Field(
        "",
        description="Tells apart several sites on one domain: the cookie is then called `consent-<id>` and signed with a salt of its own.",
    )
    origins: list[Annotated[str, _matches(_ORIGIN, "an origin such as 'https://shop.example'")]] = Field(
        [],
        description="The site's addresses, such as `https://shop.example`. They pin scheme, host and the cookie's name, say which `Origin` may send an answer, and let each other's pages read `state.json` and send `choice`. Left out: the request's own scheme and host count.",
    )
    cookie_domain: Annotated[str, _matches(_DOMAIN, "a domain such as 'shop.example', or nothing")] = Field(
        "",
        description="A domain such as `shop.example`: its sub-domains share the consent cookie, then called `__Secure-consent`. Left out: each host has its own.",
    )
    policy_url: str = Field(
        "/privacy",
        description="The privacy policy that the banner links to: a path of the site's own, or an address.",
    )
    path: Annotated[str, _matches(_PATH, "a path such as '/_consent', without a slash at its end")] = Field(
        "/_consent", description="Where the middleware's own pages stand."
    )
    regime: Literal["opt-in", "opt-out", "none", "by-region"] = Field(
        "opt-in",
        description="What silence means: `opt-in` allows only what is needed, `opt-out` and `none` allow everything until the visitor says no, `by-region` goes by where the visitor is.",
    )
    region_headers: list[str] = Field(
        [],
        description="Headers that say where a visitor is, such as `cf-ipcountry`. Believed only because they are named here.",
    )
    geo_database: str = Field(
        "", description="A MaxMind database of addresses, relative to this file. Needs the extra `geo`."
    )
    updated: Annotated[str, AfterValidator(_full_date)] = Field(
        "",
        description="The day on which the declaration was last looked through, such as `2026-11-22`. Stands on the policy page and in `gpc.json`.",
    )
    languages: list[str] = Field(
        ["en"], description="The languages that are offered; the first is the fallback."
    )
    language_from: Literal["page", "visitor"] = Field(
        "page",
        description="`page`: the language of the page (`<html lang>`), else `Accept-Language`. `visitor`: `Accept-Language` first.",
    )
    consent_days: Annotated[int, AfterValidator(lambda days: _between(days, 1, 400))] = Field(
        180,
        description="How many days a yes holds, and under opt-in a no. 1 to 400. Opt-outs hold 400 days and are refreshed.",
    )
    mode: Literal["enforce", "report"] = Field(
        "enforce",
        description="`report`: the banner shows, nothing is held back, and the log says what would be. `CONSENT_MODE` overrides it.",
    )
    rendering: Literal["auto", "personal", "shared"] = Field(
        "auto",
        description="`auto`: what the app calls public is the same for everyone, everything else is made for its visitor. `personal`, `shared`: always so.",
    )
    transcode: bool = Field(
        default=True,
        description="Open the app's gzip bodies, so that the banner can go into them, and close them again.",
    )
    replay_on_grant: bool = Field(
        default=False,
        description="Set the cookies of the first page, which were held back, once they are allowed.",
    )
    reload_on_change: bool = Field(
        default=False, description="Reload the page after each answer that changes something."
    )
    templates: str = Field(
        "",
        description="A folder, relative to this file, whose templates, texts, icons and styles take the place of ours.",
    )
    catalog_hosts: bool = Field(
        default=True,
        description="Hold back what the catalogue knows as marketing or analytics even where nobody declared it.",
    )


class ControllerSection(Section):
    """``[controller]``: who answers for the processing."""

    name: Annotated[str, AfterValidator(_not_empty)] = Field(
        description="Who answers for the processing, as visitors and records read it."
    )
    address: str = Field("", description="The postal address.")
    contact: Annotated[str, AfterValidator(_not_empty)] = Field(
        description="An e-mail address, a telephone number or a web address for questions."
    )


class SignalsSection(Section):
    """``[signals]``: which opt-out signals count, and for what."""

    gpc: bool = Field(default=True, description="Obey Global Privacy Control (`Sec-GPC: 1`).")
    dnt: bool = Field(default=True, description="Obey Do Not Track (`DNT: 1`).")
    dnt_scope: Literal["tracking", "all"] = Field(
        "tracking",
        description="What Do Not Track denies. `tracking`: what sells or shares, as GPC does. `all`: everything that is not essential.",
    )
    when_on: Literal["quiet", "ask"] = Field(
        "quiet",
        description="Under opt-in, `quiet` asks nobody whose signal is on; `ask` shows the banner all the same.",
    )
    tk: bool = Field(
        default=False,
        description="Answer Do Not Track with the header `Tk` and the resource `/.well-known/dnt/`.",
    )
    gpp: bool = Field(
        default=False,
        description="Offer the IAB's `__gpp` with a US national section. It makes statements under the MSPA.",
    )


class CookiesSection(Section):
    """``[cookies]``: the site's own essential cookies, and what happens to the unknown."""

    essential: list[CookieName] = Field(
        [],
        description="Cookies of the site's own that need no consent; `*` stands for any characters. Session, CSRF, log-in and load-balancer cookies of known software are essential already.",
    )
    unknown: Literal["block", "allow"] = Field(
        "block",
        description="What becomes of a cookie that nobody declared. `block`: set only where marketing is allowed. `allow`: set.",
    )


class ConsentModeSection(Section):
    """``[consent_mode]``: settings of the consent modes that vendors offer (GCM-2)."""

    wait_for_update_ms: Annotated[int, AfterValidator(lambda ms: _between(ms, 0, 10_000))] = Field(
        0, description="How long Google's tags wait for an answer, in milliseconds. 0 to 10000."
    )
    ads_data_redaction: bool = Field(
        default=False,
        description="Tell Google's tags to leave out what identifies an ad's click where ads are denied.",
    )
    url_passthrough: bool = Field(
        default=False, description="Let Google's tags carry what they know in links where cookies are denied."
    )


class CspSection(Section):
    """``[csp]``: a Content-Security-Policy per consent state."""

    mode: Literal["off", "report-only", "enforce"] = Field(
        "off",
        description="`report-only`: browsers only report what the policy would stop. `enforce`: they stop it.",
    )
    allow: list[str] = Field([], description="Further hosts that the site itself needs.")


class RecordsSection(Section):
    """``[records]``: where the proof is kept."""

    url: str = Field(
        "sqlite:///consent-records.db",
        description="The database, as SQLAlchemy writes it; a SQLite path is relative to this file. `none` keeps no proof. `CONSENT_RECORDS_URL` overrides it, so that no password stands here.",
    )
    retention: Duration = Field(
        "P3Y", description="How long records are kept; `records purge` removes older ones."
    )
    on_store_failure: Literal["journal", "refuse"] = Field(
        "journal",
        description="While the database is away, `journal` takes answers into files; `refuse` answers a yes with 503.",
    )
    journal: str = Field(
        "consent-journal",
        description="The folder of those files, and of what else the site keeps between visits (opt-outs that the hook has not taken yet, earlier declarations); relative to this file, or absolute. `CONSENT_RECORDS_JOURNAL` overrides it.",
    )
    ip: Literal["none", "truncate", "hash"] = Field(
        "none",
        description="What a record keeps of the visitor's address. `truncate`: the network (IPv4 /24, IPv6 /48). `hash`: 32 characters made with the secret key.",
    )
    user_agent: Literal["none", "truncate", "hash"] = Field(
        "none", description="What it keeps of the browser's name. `truncate`: names and main versions."
    )
    page: Literal["none", "truncate", "hash"] = Field(
        "none", description="What it keeps of the page that was answered on. `truncate`: the path."
    )


class BannerSection(Section):
    """``[banner]``: how it looks and where it does not show."""

    position: Literal["bottom", "top", "center", "corner"] = Field(
        "bottom", description="Where the banner stands."
    )
    theme: Literal["auto", "light", "dark", "paper", "ocean", "forest", "berry", "contrast"] = Field(
        "auto", description="Its colours. `auto` goes by the visitor's setting, and so do the named themes."
    )
    close: bool = Field(
        default=False, description="A cross at the corner: a recorded refusal, and called so."
    )
    link: Literal["corner", "footer", "none"] = Field(
        "corner", description="Where the standing link to the settings is; with `none` the site places it."
    )
    exclude: list[str] = Field(
        [], description="Paths without a banner, such as `/admin/*`. The filter stays."
    )


class CategorySection(Section):
    """One ``[[categories]]`` table."""

    id: Id = Field(
        description="The category. `essential`, `functional`, `analytics`, `performance` and `marketing` are there already; a table lays its fields over them."
    )
    basis: Literal["consent", "exempt", "exempt_with_objection"] = Field(
        "consent",
        description="On what ground it may be used. `consent`: asked about. `exempt`: on, without a switch. `exempt_with_objection`: on, with a switch, never asked about.",
    )
    title: Text = Field("", description="Its name for visitors: a text, or a table by language.")
    description: Text = Field(
        "", description="What it is for, in a sentence: a text, or a table by language."
    )


class CookieSection(Section):
    """One entry of a service's ``cookies``."""

    name: CookieName = Field(description="The cookie's name; `*` stands for any characters.")
    retention: Duration = Field(
        "session", description="How long it lives: an ISO 8601 duration such as `P13M`, or `session`."
    )
    purpose: Text = Field("", description="What it is for, in a sentence: a text, or a table by language.")
    path: str = Field("/", description="The path it is set on; needed to delete it.")
    partitioned: bool = Field(
        default=False, description="Whether it is set with `Partitioned`; needed to delete it."
    )


class ServiceSection(Section):
    """One ``[[services]]`` table. What is left out comes from the catalogue, or has `Service`'s default."""

    id: Id = Field(
        description="The service. With an id from `use`, the table's fields are laid over the catalogue's one by one."
    )
    name: str | None = Field(None, description="Its name for visitors; by default the id.")
    category: Id | None = Field(
        None, description="The category it belongs to. Needed, unless the catalogue knows the service."
    )
    provider: str | None = Field(None, description="The company behind it.")
    country: (
        Annotated[str, _matches(re.compile(r"[A-Z]{2}\Z|\Z"), "two capital letters, e.g. 'DE'")] | None
    ) = Field(None, description="Where the company processes the data: two capital letters, such as `DE`.")
    policy_url: str | None = Field(None, description="The company's privacy policy.")
    description: Text | None = Field(
        None, description="What it does, in a sentence: a text, or a table by language."
    )
    sells_or_shares: bool | None = Field(
        None,
        description="Whether data is sold or shared through it, which GPC denies. By default it is; `false` where the company works for the site alone.",
    )
    hold: bool | None = Field(
        None,
        description="`false` lets its tags load at once and leaves them to its own consent mode; its cookies and storage wait. By default tags wait.",
    )
    hosts: list[Host] | None = Field(
        None,
        description="What its URLs look like: `stats.example.com`, `*.example.com`, `www.example.com/stats/`, or `/stats/` on the site itself.",
    )
    inline: list[str] | None = Field(None, description="Texts that tell an inline script to be its.")
    storage: list[CookieName] | None = Field(
        None,
        description="Its names in localStorage, sessionStorage and IndexedDB; `*` stands for any characters.",
    )
    consent_mode: list[ConsentKey] | None = Field(
        None, description="Which keys of a vendor's consent mode it obeys."
    )
    cookies: list[CookieSection] | None = Field(None, description="Its cookies.")

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
