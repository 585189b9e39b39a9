"""What visitors see: the banner, the standing link, the preferences and the opt-out page, from the declaration.

Snippets are rendered once per language, mount point and state, and are pure ASCII and well-formed XML, so
that they can go into any page. They hold no visitor's id, token or signature. Decides no consent.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from consent_middleware.assets import THEMES, guard_mode
from consent_middleware.history import entries
from consent_middleware.html import Snippets
from consent_middleware.overrides import Overrides
from consent_middleware.policy import OPT_IN, Circumstances, Notice
from consent_middleware.policy_page import facts
from consent_middleware.records.declarations import Changes
from consent_middleware.regions import Regime
from consent_middleware.rehearsal import rehearse
from consent_middleware.shapes import Page, Shape
from consent_middleware.texts import direction, format_date, list_of, plural, sentences
from consent_middleware.urls import read_url
from consent_middleware.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.assets import Assets
    from consent_middleware.config import ConsentConfig
    from consent_middleware.holding import Held
    from consent_middleware.policy import Choice
    from consent_middleware.visitor import Visitor

__all__ = ["Banner", "Page", "Shape"]

_NONCE = b' nonce=""'
_MOST_CHANGES = 8
# What stands for an iframe's address in the rendering of its placeholder, which is kept.
_HELD_HOST, _HELD_URL = "held.host.invalid", "https://held.url.invalid/"


class Banner:
    """Render everything a visitor sees on one site.

    Args:
        config: The declaration.
        assets: The static files the markup refers to.
        accounts: Whether the site has accounts that a choice follows (ENF-8, ENF-9).
        ages: Whether the site says who is under 16 (CA-9).
        since: Returns what differs from the declaration of a fingerprint.
        overrides: What the site has in place of ours; read from its folder by default.

    Raises:
        ConfigError: One of the site's own templates, texts, icons or styles cannot be used.
    """

    def __init__(
        self,
        config: ConsentConfig,
        assets: Assets,
        *,
        accounts: bool = False,
        ages: bool = False,
        since: Callable[[str], Changes] = lambda _: Changes(),
        overrides: Overrides | None = None,
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._ages = ages
        self._since = since
        self._catalog = config.catalog
        self._assets = assets
        self._views = Views(config)
        self._texts = config.texts
        overrides = overrides or Overrides(config)
        self._env = Environment(
            loader=FunctionLoader(overrides.source),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._plain = lru_cache(maxsize=256)(self._render_snippets)
        self._head = lru_cache(maxsize=64)(self._render_head)
        self._held = lru_cache(maxsize=256)(self._render_held)
        self.notice = lru_cache(maxsize=256)(self._notice)
        self.policy_fragment = lru_cache(maxsize=64)(self._policy_fragment)
        if config.overrides is not None:
            rehearse(self, config, overrides)
        self.build = self._fingerprint(overrides.digest)

    def snippets(
        self,
        language: str,
        base: str,
        shape: Shape,
        notices: tuple[Notice, ...] = (),
        nonce: str = "",
        *,
        circumstances: Circumstances = OPT_IN,
        changes: tuple[str, ...] = (),
        shared: str | None = None,
    ) -> Snippets:
        """Return what goes into a page.

        Args:
            language: One of the site's languages.
            base: Where the app is mounted (``root_path`` / ``SCRIPT_NAME``).
            shape: How much of us the page gets.
            notices: What the link says about signals.
            nonce: The app's CSP nonce, or nothing.
            circumstances: The regime, and what the guard must know of the visitor.
            changes: What is new since the visitor's last answer, in words.
            shared: Of a page for everyone: ``"1"`` where its script must ask the server who the visitor is,
                empty where only a signal makes it.
        """
        regime, mode = circumstances.regime, (guard_mode(circumstances), shared)
        known = circumstances.known and self._accounts
        plain = self._plain(language, base, shape, notices, regime, mode, changes, known)
        if not nonce:
            return plain
        return Snippets(
            self._head(language, base, mode).replace(_NONCE, b' nonce="' + nonce.encode("ascii") + b'"'),
            plain.body,
            plain.tail,
        )

    def preferences(
        self,
        language: str,
        base: str,
        visitor: Visitor,
        page: Page,
        *,
        changes: tuple[str, ...] = (),
    ) -> bytes:
        """Return the preferences page, with the visitor's answers filled in; complete without scripts."""
        choice = visitor.choice if visitor.choice and not visitor.choice.by_signal else None
        context = self._page(language, base, page) | {
            "categories": self._views.categories(language, visitor.decision.granted),
            "answered": choice is not None,
            "decided_on": datetime.fromtimestamp(choice.at, UTC).strftime("%Y-%m-%d") if choice else "",
            "notices": [notice.value for notice in visitor.decision.notices],
            "signals": {"gpc": visitor.signals.gpc, "dnt": visitor.signals.dnt},
            "regime": visitor.circumstances.regime,
            "mode": guard_mode(visitor.circumstances),
            "changes": changes,
        }
        return self._bare("preferences.html", context)

    def opt_out(
        self,
        language: str,
        base: str,
        visitor: Visitor,
        page: Page,
    ) -> bytes:
        """Return the page on which a visitor says no to sale and sharing; complete without scripts (CA-5, ENF-10).

        Args:
            language: One of the site's languages.
            base: Where the app is mounted.
            visitor: Who asks.
            page: Where the visitor goes on, and what went wrong, if anything.
        """
        shared, choice = self._catalog.shares & self._catalog.asked, visitor.choice
        by_signal = Notice.SIGNAL_HONORED in visitor.decision.notices or bool(choice and choice.by_signal)
        context = self._opt_out(language, base, page) | {
            "opted_out": bool(shared) and visitor.decision.granted.isdisjoint(shared),
            "by_signal": by_signal,
            "signed_in": visitor.circumstances.known,
            "mode": guard_mode(visitor.circumstances),
        }
        return self._bare("opt-out.html", context)

    def _opt_out(self, language: str, base: str, page: Page) -> dict[str, Any]:
        """Return what the page on which a visitor says no is given, for one who has not."""
        return self._page(language, base, page) | {
            "opted_out": False,
            "by_signal": False,
            "signed_in": False,
            "sharing": self._views.sharing(),
            # Tags can be marked up by category alone; then nobody can be named, and it must not read as nobody.
            "shares": bool(self._catalog.shares & self._catalog.asked),
        }

    def receipt(
        self,
        language: str,
        base: str,
        page: Page,
        history: dict[str, Any],
        *,
        token: str = "",
        state: str = "",
    ) -> bytes:
        """Return the page on which a visitor reads, takes along or erases what is recorded; complete without scripts.

        Args:
            language: One of the site's languages.
            base: Where the app is mounted.
            page: Where the visitor goes on, and what went wrong, if anything.
            history: Their receipts, and what they were shown (docs/receipts.md).
            token: What names the visitor, where no cookie does.
            state: ``withdrawn`` or ``erased``: what the visitor has just done.
        """
        context = self._page(language, base, page) | {
            "entries": entries(history, self._texts(language)),
            "token": token,
            "state": state,
        }
        return self._bare("receipt.html", context)

    def policy(self, language: str, base: str, page: Page) -> bytes:
        """Return the cookie policy as a page, the same for every visitor; it needs no script (ENF-11)."""
        return self._bare(
            "policy.html",
            self._page(language, base, page) | {"policy": self._facts(language, base, "policy")},
        )

    def _policy_fragment(self, language: str, base: str = "") -> Markup:
        """Return the cookie policy as a part of the site's own page."""
        macros: Any = self._env.get_template("cookie_policy.html").module
        fragment: Markup = macros.cookie_policy(self._facts(language, base))
        return fragment

    def _facts(self, language: str, base: str, own: str = "") -> dict[str, Any]:
        """Return what the cookie policy says; on a page of our own, its links lead back to it."""
        root = _quoted(base) + self._config.site.path
        back = f"{root}/{own}" if own else ""
        return facts(self._config, language, root=root, back=back, accounts=self._accounts, ages=self._ages)

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
        title = service.name if held.declared else self._views.title(unit, language)
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
        context = self.context(language, base)
        style = next(
            (
                line
                for line in self._head(language, base, (0, None)).decode("ascii").splitlines()
                if "banner.css" in line
            ),
            "",
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
        return self.render("placeholder.html", context)

    def guard(self, base: str, nonce: str = "") -> bytes:
        """Return the guard's tag alone, for documents within a page."""
        # What is asked of the guard there, it asks the page's.
        head = self._head(self._config.site.languages[0], base, (guard_mode(OPT_IN), None))
        tag = next(line for line in head.splitlines() if b"guard.js" in line)
        return tag.replace(_NONCE, f' nonce="{nonce}"'.encode("ascii") if nonce else b"")

    def _notice(self, language: str, regime: Regime = Regime.OPT_IN) -> str:
        """Return the first layer as shown in a language: what a record proves (EU-5).

        Where silence allows there is no banner: what is shown is the link, and the page it leads to.
        """
        context = self.context(language, "") | {"regime": regime, "notices": []}
        if regime is Regime.OPT_IN:
            return self.render("banner.html", context)
        page = self._opt_out(language, "", Page()) | context
        return self.render("link.html", context) + "\n" + self.render("opt-out.html", page)

    def changes(self, language: str, choice: Choice | None) -> tuple[str, ...]:
        """Return what is new since an answer, in words; nothing where it still fits (EU-6)."""
        if choice is None or not choice.stale:
            return ()
        found, texts = self._since(choice.fingerprint), self._texts(language)
        named = [
            str(texts[key]).format(name=name)
            for key, names in (
                ("changed_new", found.new),
                ("changed_other", found.changed),
                ("changed_gone", found.gone),
            )
            for name in names
        ]
        return tuple(named[:_MOST_CHANGES]) or (str(texts["changed_processing"]),)

    def status(self, language: str, notices: tuple[Notice, ...]) -> str:
        """Return what stands beside the link about signals, in words."""
        texts = self._texts(language)
        return ". ".join(str(texts[f"notice_{notice.value.replace('-', '_')}"]) for notice in notices)

    def refusal(self, language: str, unit: str) -> str:
        """Return why a page or an action is not there for who has not granted a unit, and where to change that."""
        services, texts = self._catalog.services, self._texts(language)
        name = services[unit].name if unit in services else self._views.title(unit, language)
        title, change = str(texts["held_title"]), str(texts["banner_change"])
        return f"{title.format(name=name)}. {change.format(link=texts['link'])}"

    def message(self, language: str, key: str) -> str:
        """Return one text in a language."""
        return str(self._texts(language)[key])

    def _fingerprint(self, own: bytes) -> str:
        """Return a digest of all that is put into pages; it tells an older rendering from today's."""
        digest = hashlib.sha256(own)
        for language, regime in product(self._config.site.languages, Regime):
            snippets = self._plain(language, "", Shape.ASK, (), regime, (0, None), ())
            digest.update(snippets.head + snippets.body + snippets.tail)
        return digest.hexdigest()[:12]

    # -- rendering

    def render(self, template: str, context: dict[str, Any]) -> str:
        """Return a template's markup."""
        return self._env.get_template(template).render(context)

    def _bare(self, template: str, context: dict[str, Any]) -> bytes:
        """Return a page of our own: no policy of the app's applies to it, so it needs no nonce."""
        return self.render(template, context).replace(_NONCE.decode(), "").encode()

    def _render_snippets(
        self,
        language: str,
        base: str,
        shape: Shape,
        notices: tuple[Notice, ...],
        regime: str,
        mode: tuple[int, str | None],
        changes: tuple[str, ...],
        known: bool = False,  # noqa: FBT001, FBT002 - a cache key, like the others
    ) -> Snippets:
        context = self.context(language, base) | {
            "notices": [notice.value for notice in notices],
            "regime": regime,
            "changes": changes,
            "known": known,
        }
        body = self._ascii("banner.html", context) if shape is Shape.ASK else b""
        link = shape is not Shape.LOADER and self._config.banner.link != "none"
        tail = self._ascii("link.html", context) if link else b""
        return Snippets(self._head(language, base, mode).replace(_NONCE, b""), body, tail)

    def _render_head(self, language: str, base: str, mode: tuple[int, str | None]) -> bytes:
        """Return the loader with an empty place for a nonce."""
        return self._ascii("loader.html", self.context(language, base) | {"mode": mode[0], "shared": mode[1]})

    def _ascii(self, template: str, context: dict[str, Any]) -> bytes:
        return self.render(template, context).encode("ascii", "xmlcharrefreplace").strip() + b"\n"

    # -- what the templates are given

    def context(self, language: str, base: str) -> dict[str, Any]:
        """Return what every template is given (docs/customising.md)."""
        site, controller, banner = self._config.site, self._config.controller, self._config.banner
        root = _quoted(base) + site.path
        return {
            "t": self._texts(language),
            "lang": language,
            "dir": direction(language),
            "languages": len(self._config.site.languages),
            "plural": partial(plural, self._texts(language)),
            "list_of": partial(list_of, language),
            "sentences": partial(sentences, language),
            "format_date": partial(format_date, language),
            "site": {"name": site.name, "policy_url": site.policy_url},
            "controller": {
                "name": controller.name,
                "address": controller.address,
                "contact": controller.contact,
            },
            "urls": {
                "preferences": f"{root}/preferences",
                "choice": f"{root}/choice",
                "opt_out": f"{root}/opt-out",
                "policy": f"{root}/policy",
                "receipt": f"{root}/receipt",
                "records": f"{root}/records.json",
                "erase": f"{root}/erase",
                "state": f"{root}/state.json",
                "static": f"{root}/static/{self._assets.hash}/",
            },
            "position": banner.position,
            # Of a named theme the colours stand in the style sheet, for light and dark.
            "theme": "auto" if banner.theme in THEMES else banner.theme,
            "close": banner.close,
            "link": banner.link,
            "partners": len(self._views.partners()),
            "partner_names": self._views.partners(),
            "facts": self._views.facts(language),
            "embeds": self._views.embeds(),
            "third_countries": self._views.third_countries(language),
            "purposes": self._views.purposes(language),
            "regime": Regime.OPT_IN,
            "mode": guard_mode(OPT_IN),
            "shared": None,
            "accounts": self._accounts,
            "known": False,
            "changes": (),
            "keeps_records": self._config.keeps_records,
        }

    def _page(self, language: str, base: str, page: Page) -> dict[str, Any]:
        return self.context(language, base) | {
            "next": page.next,
            "saved": page.saved,
            "problem": page.problem,
        }


def _quoted(base: str) -> str:
    return quote(base, safe="/%:@!$&'()*+,;=~-._")
