"""Agents that refuse for their visitor: DuckDuckGo's autoconsent, unmodified, and our rules for it and Consent-O-Matic."""

from __future__ import annotations

import re
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from browser.agents import AUTOCONSENT_RULE, add_autoconsent, consent_o_matic, heard
from browser.conftest import KEY, ROOT
from consent_middleware.texts import available_languages
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

    from browser.conftest import MakeVisit
    from consent_middleware.records import ConsentRecord

pytestmark = pytest.mark.browser

# What autoconsent recognises by the words alone.
BY_HEURISTIC = ("ca", "de", "en", "es", "eu", "fr", "gl", "it", "ja", "nl", "pl", "pt", "pt-BR", "ru")
# Among those of which it knows no sentence.
BY_RULE = ("ar", "cs", "sv", "zh-Hans")
HEURISTIC: dict[str, Any] = {"heuristicMode": "reject"}
TAGS = (
    '<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>'
    '<img src="https://www.facebook.com/tr?id=1" alt="">'
)


class Site:
    """A site with one page in each language, at a host of its own, so that each is another visitor's."""

    def __init__(self, folder: Path) -> None:
        declaration = {
            "use": ["google-analytics", "meta-pixel", "stripe"],
            "site": {"name": "Example Shop", "languages": list(available_languages())},
            "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
            "records": {"url": f"sqlite:///{folder / 'records.db'}"},
            "categories": [{"id": "research", "title": "Research", "description": "For science."}],
            "services": [
                {"id": "chat", "name": "Chat", "category": "functional", "provider": "Example GmbH"},
                {"id": "speed", "name": "Speed", "category": "performance", "provider": "Example GmbH"},
                {"id": "study", "name": "Study", "category": "research", "provider": "Example GmbH"},
            ],
        }
        self.records: list[ConsentRecord] = []
        self.wrapped = ConsentMiddleware(self._app, declaration, KEY, on_change=self.records.append)
        self._server = make_server("127.0.0.1", 0, self.wrapped, threaded=True)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        language = environ["PATH_INFO"].strip("/")
        kept = [("Cache-Control", "public, max-age=60")] if environ["QUERY_STRING"] == "shared" else []
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), *kept])
        return [f'<!doctype html><html lang="{language}"><title>Shop</title>{TAGS}<h1>Shop</h1>'.encode()]

    def url(self, language: str) -> str:
        """Return the address of the page in a language."""
        return f"http://{language.lower()}.shop.test:{self._server.server_port}/{language}"

    def answers(self) -> list[tuple[str, str]]:
        """Return what was answered, by which means."""
        return [(record.method, record.state) for record in self.records]

    def granted(self) -> set[str]:
        """Return the services that the one answer allows beyond the essential."""
        (record,) = self.records
        optional = set(self.wrapped.site.config.catalog.services) - {"stripe"}
        return {one["id"] for one in record.purposes if one["state"] == "given"} & optional

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.wrapped.site.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site in every language, running."""
    site = Site(tmp_path_factory.mktemp("agents"))
    yield site
    site.stop()


@pytest.fixture
def site(served: Site) -> Site:
    """The site in every language, with nothing recorded yet."""
    served.records.clear()
    return served


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile; nothing outside the site may be asked for anything."""
    context = browser.new_context(reduced_motion="reduce")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(str(urlsplit(request.url).hostname)))
    yield context
    context.close()
    assert [host for host in asked if not host.endswith(".shop.test")] == []


@pytest.fixture
def held_off(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of somebody who may agree: what is outside the site is out of reach."""
    context = browser.new_context(reduced_motion="reduce")
    context.route("https://**", lambda route: route.abort())
    yield context
    context.close()


def opened(context: BrowserContext, site: Site, *languages: str) -> list[Page]:
    """Open the pages of some languages side by side: agents mostly wait."""
    pages = [context.new_page() for _ in languages]
    for page, language in zip(pages, languages, strict=True):
        page.goto(site.url(language), wait_until="commit")
    return pages


def test_it_opts_out_on_the_demo_by_its_heuristic(make_visit: MakeVisit) -> None:
    """None of the rules it ships with takes our banner for another's; its heuristic finds and presses Reject all."""
    visit = make_visit()
    add_autoconsent(visit.context, known=True, **HEURISTIC)
    visit.go("/product/cup")
    assert heard(visit.page, "optOutResult")["cmp"] == "HEURISTIC-REJECT"
    visit.page.locator("#consent-banner").wait_for(state="hidden")
    assert visit.page.evaluate("consent.getUserPreferences().acceptType") == "necessary"
    visit.page.wait_for_load_state("networkidle")
    assert (visit.cookies(), visit.tracked(), visit.tags()) == ({"consent"}, [], [])


def test_its_heuristic_opts_out_in_the_languages_it_knows(context: BrowserContext, site: Site) -> None:
    """It finds the banner by its words, presses the refusal, and the server records one; no third party is asked."""
    add_autoconsent(context, **HEURISTIC)
    for page in opened(context, site, *BY_HEURISTIC):
        assert heard(page, "optOutResult")["cmp"] == "HEURISTIC-REJECT"
        page.locator("#consent-banner").wait_for(state="hidden")
    assert site.answers() == [("banner.reject_all", "refused")] * len(BY_HEURISTIC)


def test_our_rule_opts_out_in_any_language(context: BrowserContext, site: Site) -> None:
    """The rule goes by names, not by words, and its self-test says so."""
    add_autoconsent(context, AUTOCONSENT_RULE)
    for page in opened(context, site, *BY_RULE):
        assert heard(page, "popupFound")["cmp"] == AUTOCONSENT_RULE["name"]
        assert heard(page, "selfTestResult")["result"] is True
    assert site.answers() == [("banner.reject_all", "refused")] * len(BY_RULE)


def test_our_rule_opts_in_where_the_visitor_says_so(held_off: BrowserContext, site: Site) -> None:
    """A visitor may tell autoconsent to accept."""
    add_autoconsent(held_off, AUTOCONSENT_RULE, autoAction="optIn")
    (page,) = opened(held_off, site, "en")
    assert heard(page, "optInResult")["result"] is True
    page.locator("#consent-banner").wait_for(state="hidden")
    assert site.answers() == [("banner.accept_all", "given")]


def test_an_answer_of_the_visitors_own_stands(held_off: BrowserContext, site: Site) -> None:
    """Who has accepted is not opted out by an agent: nothing asks any more, whether the banner is gone or hidden."""
    (page,) = opened(held_off, site, "en")
    with page.expect_response("**/_consent/choice"):
        page.get_by_role("button", name="Accept all").click()
    add_autoconsent(held_off, AUTOCONSENT_RULE, detectRetries=1, logs={"lifecycle": True}, **HEURISTIC)
    page.goto(site.url("en"))
    heard(page, "nothingDetected")
    looks: list[str] = []

    def is_second_look(message: ConsoleMessage) -> bool:
        looks.extend(["look"] if "checking if popup is open" in message.text else [])
        return len(looks) == 2

    # It looks again only where it has seen that nothing shows.
    with page.expect_console_message(is_second_look):
        page.goto(site.url("en") + "?shared")
    expect(page.locator("#consent-banner")).to_be_hidden()
    assert page.evaluate("consent.acceptedCategory('analytics')") is True
    assert site.answers() == [("banner.accept_all", "given")]


@pytest.mark.parametrize(
    ("wishes", "granted"),
    [
        ("", set()),
        ("B", {"google-analytics", "speed"}),
        ("AFX", {"chat", "meta-pixel", "study"}),
    ],
)
def test_our_consent_o_matic_rule_saves_what_the_visitor_wants(
    held_off: BrowserContext, site: Site, wishes: str, granted: set[str]
) -> None:
    """Its letters become categories: A functional, B analytics and performance, F marketing, X what a site adds.

    The rule runs in a small interpreter of the part of the rule language that it uses.
    """
    (page,) = opened(held_off, site, "sv")
    page.wait_for_load_state()
    assert consent_o_matic(page, *wishes) is True
    page.locator("#consent-dialog").wait_for(state="detached")
    expect(page.locator("#consent-banner")).to_be_hidden()
    assert [method for method, _ in site.answers()] == ["prefs"]
    assert site.granted() == granted
    assert consent_o_matic(page) is False


def test_the_banner_shows_to_browsers_that_are_driven(context: BrowserContext, site: Site) -> None:
    """`navigator.webdriver` hides nothing: what a test or an agent sees is what a visitor sees."""
    (page,) = opened(context, site, "en")
    page.wait_for_load_state()
    assert page.evaluate("navigator.webdriver") is True
    expect(page.locator("#consent-banner")).to_be_visible()


def test_the_docs_name_the_languages() -> None:
    """docs/agents.md lists what is measured here."""
    text = (ROOT / "docs" / "agents.md").read_text("utf-8")
    listed = text.partition("<!-- languages: measured -->")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"`([\w-]+)`", listed)) == BY_HEURISTIC
