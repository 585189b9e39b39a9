"""How a page is rendered for whoever asks: what it gets of us, in which language, and which of its tags wait.

A personal page is made for one visitor. A shared one has the same bytes for everyone, so it may depend on nothing but
the page itself: all that may wait does, and the page decides.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from consent_middleware.assets import guard_mode
from consent_middleware.banner import Shape
from consent_middleware.html import Rewriter
from consent_middleware.links import passing_links
from consent_middleware.texts import best_language
from consent_middleware.urls import Location, read_url

if TYPE_CHECKING:
    from consent_middleware.caching import Headers
    from consent_middleware.exchange import Exchange
    from consent_middleware.holding import Held, Holding
    from consent_middleware.html import Snippets

__all__ = ["Rendering"]

_FRAMES = frozenset({b"iframe", b"frame", b"embed", b"object", b"fencedframe"})
_NOTHING: frozenset[str] = frozenset()
_PORT = re.compile(r":\d+\Z")


class Rendering:
    """The rendering of one response's page.

    Args:
        exchange: Who asks for what.
        is_shared: Whether one copy serves everybody.
    """

    __slots__ = ("_exchange", "is_shared")

    def __init__(self, exchange: Exchange, *, is_shared: bool) -> None:
        self._exchange = exchange
        self.is_shared = is_shared

    # -- what the page gets of us

    @property
    def shape(self) -> Shape:
        """How much of us the page gets."""
        exchange = self._exchange
        if self.is_shared:
            if self._is_excluded:
                return Shape.LOADER
            # Where silence allows nobody is asked, but visitors that a hook calls too young.
            site = exchange.site
            asks = not site.whereabouts.usual.is_open or site.hooks.age_class is not None
            return Shape.ASK if asks else Shape.LINK
        if exchange.skip or self._is_excluded or exchange.header(b"sec-fetch-dest") in _FRAMES:
            return Shape.LOADER
        return Shape.ASK if exchange.visitor.decision.prompt else Shape.LINK

    @property
    def _is_excluded(self) -> bool:
        """Whether the site shows no banner on this path."""
        excluded = self._exchange.site.excluded
        return excluded is not None and excluded(self._exchange.path) is not None

    def snippets(self, page_language: str) -> Snippets | None:
        """Choose what goes into a page of this language."""
        exchange, language = self._exchange, self.language(page_language)
        banner = exchange.site.banner
        if self.is_shared:
            site = exchange.site
            usual = site.whereabouts.usual
            shared = "1" if site.looks or usual.is_open else ""
            return banner.snippets(language, exchange.base, self.shape, circumstances=usual, shared=shared)
        visitor = exchange.visitor
        return banner.snippets(
            language,
            exchange.base,
            self.shape,
            visitor.decision.notices,
            exchange.nonce,
            circumstances=visitor.circumstances,
            changes=banner.changes(language, visitor.choice),
        )

    def language(self, page_language: str) -> str:
        """Return the site's language that goes with a page's own, empty if it names none."""
        exchange, languages = self._exchange, self._exchange.site.languages
        if len(languages) == 1:
            return languages[0]
        page = best_language([page_language], languages) if page_language else None
        if self.is_shared:  # Accept-Language would make it another page for everyone
            return page or languages[0]
        if exchange.site.config.site.language_from == "visitor":
            return best_language(exchange.accepted_languages, languages) or page or languages[0]
        return page or exchange.visitor_language

    @property
    def variant_tag(self) -> bytes:
        """What tells our renderings of one page apart, so that a 304 never revives another's."""
        exchange = self._exchange
        parts = [exchange.site.banner.build]
        if not self.is_shared:
            visitor = exchange.visitor
            decision, under = visitor.decision, visitor.choice.fingerprint if visitor.choice else ""
            parts += [self.shape, *sorted(decision.granted), *decision.notices, exchange.visitor_language]
            parts += [visitor.circumstances.regime, str(guard_mode(visitor.circumstances)), under]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12].encode("ascii")

    # -- what waits on it

    @property
    def policy(self) -> Headers:
        """The Content-Security-Policy to add, and where its reports go."""
        exchange = self._exchange
        granted = None if self.is_shared else exchange.visitor.decision.granted
        return [*exchange.site.policies.headers(granted, exchange.base)]

    @property
    def holding(self) -> Holding | None:
        """What waits, None where nothing does."""
        holdings = self._exchange.site.holdings
        return holdings.of(_NOTHING if self.is_shared else self._exchange.visitor.decision.granted)

    @property
    def differs(self) -> bool:
        """Whether tags pass here that wait for others."""
        return self.holding is not self._exchange.site.holdings.of(_NOTHING)

    def without_links(self, headers: Headers, holding: Holding) -> Headers:
        """Return a page's headers without links to what waits; the same object if there are none."""
        here, site = self._location, self._exchange.site
        found: list[Held] = []

        def waits(url: str) -> bool:
            location = read_url(url, here)
            held = location and holding.at(location, here.host)
            if held:
                found.append(held)
            return held is not None

        kept: Headers = []
        for name, value in headers:
            passing = value
            if name.lower() == b"link":
                passing = passing_links(value.decode("latin-1"), waits).encode("latin-1")
            if passing or not value:
                kept.append((name, passing))
        for held in found:
            site.reporter.held_tag(held)
        return kept if found and site.enforce else headers

    @property
    def _location(self) -> Location:
        """The page's own host, without its port, and path."""
        exchange = self._exchange
        return Location(_PORT.sub("", exchange.origin[1]).lower(), exchange.base + exchange.path)

    def rewriter(self, holding: Holding, *, xml: bool) -> Rewriter:
        """Return what makes the page's held tags inert; in mode ``report`` it only tells."""
        exchange = self._exchange
        site = exchange.site
        return Rewriter(
            holding,
            self._location,
            on_held=site.reporter.held_tag,
            on_passing=lambda location: self._report_passing(holding, location),
            placeholder=self._placeholder,
            on_mark=site.check_mark if site.is_new(exchange.path) else None,
            inner_head=lambda: site.banner.guard(exchange.base, exchange.nonce),
            dry=not site.enforce,
            xml=xml,
        )

    def _report_passing(self, holding: Holding, location: Location) -> None:
        service = holding.passing(location)
        if service is not None:
            self._exchange.site.reporter.passing_tag(service)

    def _placeholder(self, held: Held, url: str, page_language: str) -> str:
        exchange = self._exchange
        language = self.language(page_language)
        return exchange.site.banner.placeholder(language, exchange.base, held, url, exchange.nonce)
