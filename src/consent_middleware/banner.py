"""What visitors see: the banner, the standing link and the preferences page, rendered from the declaration.

Snippets are rendered once per language, mount point and state, and are pure ASCII and well-formed XML, so
that they can go into any page. They hold no visitor's id, token or signature. Decides no consent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError
from markupsafe import Markup, escape

from consent_middleware.catalog import ESSENTIAL
from consent_middleware.errors import ConfigError, Fault
from consent_middleware.html import Snippets
from consent_middleware.resources import resource_root
from consent_middleware.texts import duration, load_texts, localised
from consent_middleware.urls import read_url

if TYPE_CHECKING:
    from consent_middleware.assets import Assets
    from consent_middleware.catalog import Category, Service
    from consent_middleware.config import ConsentConfig
    from consent_middleware.holding import Held
    from consent_middleware.policy import Notice
    from consent_middleware.visitor import Visitor

__all__ = ["Banner", "Page", "Shape"]

_EEA = frozenset(
    {
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HU",
        "IE",
        "IS",
        "IT",
        "LI",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "NO",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    }
)
_RTL = frozenset({"ar", "fa", "he", "ur"})
_NONCE = b' nonce=""'
# What stands for an iframe's address in the rendering of its placeholder, which is kept.
_HELD_HOST, _HELD_URL = "held.host.invalid", "https://held.url.invalid/"
# What a template can raise: its own errors, and those of what it computes or formats.
_BROKEN = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Shape(StrEnum):
    """How much of us a page gets."""

    ASK = "ask"  # loader, banner and link
    LINK = "link"  # loader and link: the visitor has answered, or is not to be asked
    LOADER = "loader"  # frames, excluded paths, skipped requests: the filter stays, nothing shows


@dataclass(frozen=True, slots=True)
class Page:
    """What the preferences page shows beside the declaration."""

    next: str = "/"
    saved: bool = False
    problem: str = ""


class Banner:
    """Render everything a visitor sees on one site.

    Args:
        config: The declaration.
        assets: The static files the markup refers to.

    Raises:
        ConfigError: A template override is broken or lacks one of the twin buttons.
    """

    def __init__(self, config: ConsentConfig, assets: Assets) -> None:
        self._config = config
        self._catalog = config.catalog
        self._assets = assets
        self._overrides = (config.folder / config.site.templates) if config.site.templates else None
        self._env = Environment(
            loader=FunctionLoader(self._source),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._plain = lru_cache(maxsize=256)(self._render_snippets)
        self._head = lru_cache(maxsize=64)(self._render_head)
        self._held = lru_cache(maxsize=256)(self._render_held)
        self.notice = lru_cache(maxsize=256)(self._notice)
        self._check()
        self.build = self._fingerprint()

    def snippets(
        self, language: str, base: str, shape: Shape, notices: tuple[Notice, ...] = (), nonce: str = ""
    ) -> Snippets:
        """Return what goes into a page.

        Args:
            language: One of the site's languages.
            base: Where the app is mounted (``root_path`` / ``SCRIPT_NAME``).
            shape: How much of us the page gets.
            notices: What the link says about signals.
            nonce: The app's CSP nonce, or nothing.
        """
        plain = self._plain(language, base, shape, notices)
        if not nonce:
            return plain
        return Snippets(
            self._head(language, base).replace(_NONCE, b' nonce="' + nonce.encode("ascii") + b'"'),
            plain.body,
            plain.tail,
        )

    def preferences(self, language: str, base: str, visitor: Visitor, page: Page) -> bytes:
        """Return the preferences page, with the visitor's answers filled in; complete without scripts."""
        context = self._context(language, base)
        choice = visitor.choice
        context |= {
            "categories": [self._category(c, language, visitor) for c in self._shown()],
            "answered": choice is not None,
            "decided_on": datetime.fromtimestamp(choice.at, UTC).strftime("%Y-%m-%d") if choice else "",
            "notices": [notice.value for notice in visitor.decision.notices],
            "signals": {"gpc": visitor.signals.gpc, "dnt": visitor.signals.dnt},
            "next": page.next,
            "saved": page.saved,
            "problem": page.problem,
        }
        return self._render("preferences.html", context).replace(_NONCE.decode(), "").encode()

    def placeholder(self, language: str, base: str, held: Held, url: str, nonce: str = "") -> str:
        """Return the document that stands in an iframe until its service is granted; complete without scripts.

        Args:
            language: One of the site's languages.
            base: Where the app is mounted.
            held: What would load.
            url: From where.
            nonce: The app's CSP nonce, or nothing; a ``srcdoc`` document inherits the page's policy.
        """
        service, unit = held.service, held.units[0]
        title = service.name if held.declared else self._unit_title(unit, language)
        # A unit that nobody is asked about cannot be granted.
        always = title if unit in self._catalog.asked else ""
        document = self._held(language, base, service.name, service.provider, unit, always)
        host = read_url(url)
        link = url if host else "about:blank"
        return (
            document.replace(_NONCE.decode(), f' nonce="{nonce}"' if nonce else "")
            .replace(_HELD_HOST, str(escape(host.host if host else "")))
            .replace(_HELD_URL, str(escape(link)))
        )

    def _render_held(self, language: str, base: str, name: str, provider: str, unit: str, always: str) -> str:
        context = self._context(language, base)
        style = next(
            line for line in self._head(language, base).decode("ascii").splitlines() if "banner.css" in line
        )
        context |= {
            "style": Markup(style),  # noqa: S704 - rendered by our own template
            "name": name,
            "provider": provider,
            "host": _HELD_HOST,
            "url": _HELD_URL,
            "unit": unit if always else "",
            "always": always,
            # An enforced policy of the page would forbid what only one click allows.
            "once": self._config.csp.mode != "enforce" or self._config.site.mode == "report",
        }
        return self._render("placeholder.html", context)

    def guard(self, base: str, nonce: str = "") -> bytes:
        """Return the guard's tag alone, for documents within a page."""
        head = self._head(self._config.site.languages[0], base)
        tag = next(line for line in head.splitlines() if b"guard.js" in line)
        return tag.replace(_NONCE, f' nonce="{nonce}"'.encode("ascii") if nonce else b"")

    def _unit_title(self, unit: str, language: str) -> str:
        return self._title(self._catalog.categories[unit], language)

    def _notice(self, language: str) -> str:
        """Return the first layer as shown in a language: what a record proves (EU-5)."""
        return self._render("banner.html", self._context(language, ""))

    def message(self, language: str, key: str) -> str:
        """Return one text in a language."""
        return str(load_texts(language)[key])

    def _fingerprint(self) -> str:
        """Return a digest of all that is put into pages; it tells an older rendering from today's."""
        digest = hashlib.sha256()
        for language in self._config.site.languages:
            snippets = self._plain(language, "", Shape.ASK, ())
            digest.update(snippets.head + snippets.body + snippets.tail)
        return digest.hexdigest()[:12]

    # -- rendering

    def _source(self, name: str) -> str | None:
        if self._overrides and (self._overrides / name).is_file():
            return (self._overrides / name).read_text("utf-8")
        packaged = resource_root().joinpath("templates", name)
        return packaged.read_text("utf-8") if packaged.is_file() else None

    def _render(self, template: str, context: dict[str, Any]) -> str:
        return self._env.get_template(template).render(context)

    def _render_snippets(
        self, language: str, base: str, shape: Shape, notices: tuple[Notice, ...]
    ) -> Snippets:
        context = self._context(language, base) | {"notices": [notice.value for notice in notices]}
        body = self._ascii("banner.html", context) if shape is Shape.ASK else b""
        link = shape is not Shape.LOADER and self._config.banner.link != "none"
        tail = self._ascii("link.html", context) if link else b""
        return Snippets(self._head(language, base).replace(_NONCE, b""), body, tail)

    def _render_head(self, language: str, base: str) -> bytes:
        """Return the loader with an empty place for a nonce."""
        return self._ascii("loader.html", self._context(language, base))

    def _ascii(self, template: str, context: dict[str, Any]) -> bytes:
        return self._render(template, context).encode("ascii", "xmlcharrefreplace").strip() + b"\n"

    # -- what the templates are given

    def _context(self, language: str, base: str) -> dict[str, Any]:
        site, controller, banner = self._config.site, self._config.controller, self._config.banner
        root = quote(base, safe="/%:@!$&'()*+,;=~-._") + site.path
        partners = self._partners()
        return {
            "t": load_texts(language),
            "lang": language,
            "dir": "rtl" if language.partition("-")[0] in _RTL else "ltr",
            "site": {"name": site.name, "policy_url": site.policy_url},
            "controller": {
                "name": controller.name,
                "address": controller.address,
                "contact": controller.contact,
            },
            "urls": {
                "preferences": f"{root}/preferences",
                "choice": f"{root}/choice",
                "state": f"{root}/state.json",
                "static": f"{root}/static/{self._assets.hash}/",
            },
            "position": banner.position,
            "theme": banner.theme,
            "link": banner.link,
            "partners": len(partners),
            "third_countries": self._third_countries(language),
            "purposes": [self._phrase(c, language) for c in self._shown() if c.id in self._catalog.asked],
        }

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

    def _third_countries(self, language: str) -> list[str]:
        """Return the names of the countries outside the EEA that data goes to."""
        names: dict[str, str] = load_texts(language)["countries"]
        return sorted(
            {names.get(s.country, s.country) for s in self._asked_services() if s.country not in _EEA | {""}}
        )

    def _partners(self) -> set[str]:
        own = self._config.controller.name
        return {s.provider or s.name for s in self._asked_services() if s.provider != own}

    def _phrase(self, category: Category, language: str) -> str:
        return str(self._words(category, language).get("phrase") or self._title(category, language))

    def _words(self, category: Category, language: str) -> dict[str, str]:
        if category.title:  # the site's own wording: our phrase might not fit it
            return {}
        found: dict[str, str] = load_texts(language)["categories"].get(category.id, {})
        return found

    def _title(self, category: Category, language: str) -> str:
        own = localised(category.title, language, self._config.site.languages[0])
        return own or self._words(category, language).get("title", category.id)

    def _category(self, category: Category, language: str, visitor: Visitor) -> dict[str, Any]:
        granted = visitor.decision.granted
        own = localised(category.description, language, self._config.site.languages[0])
        builtin = load_texts(language)["categories"].get(category.id, {})
        return {
            "id": category.id,
            "title": self._title(category, language),
            "description": own or builtin.get("description", ""),
            "always": category.id in self._catalog.always,
            "granted": category.id in granted,
            "services": [self._service(s, language, granted) for s in self._catalog.services_of(category.id)],
        }

    def _service(self, service: Service, language: str, granted: frozenset[str]) -> dict[str, Any]:
        texts = load_texts(language)
        return {
            "id": service.id,
            "name": service.name,
            "provider": service.provider,
            "country": service.country,
            "policy_url": service.policy_url,
            "description": localised(service.description, language, self._config.site.languages[0]),
            "granted": service.id in granted,
            "cookies": [
                {"name": c.name, "retention": duration(c.retention, texts), "purpose": c.purpose}
                for c in service.cookies
            ],
        }

    # -- overrides

    def _check(self) -> None:
        """Render every snippet once, and refuse a banner without both twin buttons (EU-2, CA-8)."""
        where = f"site.templates = {str(self._overrides)!r}" if self._overrides else "the built-in templates"
        if self._overrides and not self._overrides.is_dir():
            raise ConfigError(
                where, [Fault("site.templates", f"there is no folder {str(self._overrides)!r}.")]
            )
        for language in self._config.site.languages:
            try:
                markup = self._render_snippets(language, "", Shape.ASK, ()).body
                for path in self._overrides.glob("*.html") if self._overrides else ():
                    self._env.get_template(path.name)
            except _BROKEN as error:
                fault = Fault("site.templates", f"a template cannot be rendered: {error}.")
                raise ConfigError(where, [fault]) from error
            problem = _twin_problem(markup.decode("ascii"))
            if problem:
                hint = "Both must be the first two buttons, of one class: reject_all, then accept_all."
                raise ConfigError(where, [Fault("site.templates", f"banner.html: {problem}", hint)])


class _Buttons(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button" or (tag == "input" and ("type", "submit") in attrs):
            self.found.append(dict(attrs))


def _twin_problem(markup: str) -> str:
    parser = _Buttons()
    parser.feed(markup)
    first = parser.found[:2]
    if [button.get("value") for button in first] != ["reject_all", "accept_all"]:
        return "the first two buttons are not Reject all and Accept all."
    reject, accept = first
    if reject.get("class") != accept.get("class") or "style" in reject or "style" in accept:
        return "Reject all and Accept all do not look the same."
    return ""
