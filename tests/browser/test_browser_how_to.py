"""The marks and scripts that the how-to pages and the reference show, in Chromium: which come to life, and which do not."""

from __future__ import annotations

import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from browser.conftest import STARTED, WAIT_S, launched_site, until
from doc_pages import DOCS, blocks, declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HEAD = (
    "<!doctype html><html lang='en'><head><title>Shop</title><script>var all = []; function ran(what) { all.push(what); }"
    "</script></head><body><main>Hello</main>"
)


@contextmanager
def opened(browser: Browser, name: str) -> Iterator[Page]:
    """Open what a page of the documentation shows in HTML, behind its declaration; nobody else is asked."""
    page = DOCS / name
    body = HEAD + "".join(block.text for block in blocks(page) if block.language == "html")
    declaration = {**tomllib.loads(declared(page)), "records": {"url": "none"}}
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_S * 1000)
    context.route("https://**/*", lambda route: route.fulfill(body="", content_type="text/html"))
    with launched_site(body.encode(), declaration) as url:
        shown = context.new_page()
        shown.goto(url)
        shown.wait_for_function(STARTED)
        assert shown.evaluate("all") == []
        yield shown
        context.close()


def test_marks_of_vanilla_cookieconsent(browser: Browser) -> None:
    """As they stand, but for a service's name with a space; the last runs when it is taken back."""
    with opened(browser, "how-to/migrate-from-vanilla-cookieconsent.md") as page:
        page.evaluate("consent.acceptCategory('all')")
        wanted = {"category", "service", "module"}
        until(page, lambda: set(page.evaluate("all")), wanted.__le__)
        assert set(page.evaluate("all")) == wanted
        page.evaluate("consent.acceptCategory([])")
        until(page, lambda: page.evaluate("all"), lambda found: "withdrawn" in found)
        assert set(page.evaluate("all")) == {*wanted, "withdrawn"}


def test_marks_of_klaro(browser: Browser) -> None:
    """As they stand, but for the old type and a name in capitals; the last runs when it is taken back."""
    with opened(browser, "how-to/migrate-from-klaro.md") as page:
        page.evaluate("consent.acceptService('matomo')")
        wanted = {"inline", "module"}
        until(page, lambda: set(page.evaluate("all")), wanted.__le__)
        assert set(page.evaluate("all")) == wanted
        assert page.locator('img[src="/pixel.gif"]').count() == 1
        page.evaluate("consent.acceptCategory([])")
        until(page, lambda: page.evaluate("all"), lambda found: "withdrawn" in found)
        assert set(page.evaluate("all")) == {*wanted, "withdrawn"}


def test_marks_of_cookiebot(browser: Browser) -> None:
    """Not as they stand; unmarked and marked anew they come."""
    with opened(browser, "how-to/migrate-from-cookiebot.md") as page:
        page.evaluate("consent.acceptCategory('all')")
        until(page, lambda: page.evaluate("window.marked"), lambda found: found == "anew")
        frames = page.evaluate(
            "[...document.querySelectorAll('iframe')].map((one) => one.getAttribute('src'))"
        )
        video = "https://www.youtube.com/embed/x"
        assert (page.evaluate("window.marked"), frames) == ("anew", [None, video, video])
        assert page.locator('script[src*="gtag"]').count() == 1


def test_the_reference_of_the_page(browser: Browser) -> None:
    """Each mark of its example, its call, and its listener."""
    with opened(browser, "reference/page.md") as page:
        page.evaluate("window.startCounting = () => ran('counting')")
        (listener,) = (block.text for block in blocks(DOCS / "reference/page.md") if block.language == "js")
        page.evaluate(listener)
        page.evaluate("consent.acceptCategory('all')")
        until(page, lambda: page.evaluate("all"), lambda found: {"inline", "counting"} <= set(found))
        assert set(page.evaluate("all")) == {"inline", "counting"}
        assert page.locator("#offer").text_content() == "Only with consent."
        assert page.locator('img[src="/pixel.gif"], script[src="/stats.js"]').count() == 2
        page.get_by_role("button", name="Cookie settings").click()
        page.locator("#consent-dialog[open]").wait_for()


def test_a_former_cookie_is_deleted_by_the_page(browser: Browser) -> None:
    """A deletion passes the guard though nobody declared the cookie."""
    with opened(browser, "how-to/migrate.md") as page:
        page.context.add_cookies([{"name": "CookieConsent", "value": "yes", "url": page.url}])
        (line,) = (block.text for block in blocks(DOCS / "how-to/migrate.md") if block.language == "js")
        page.evaluate(line)
        assert [cookie["name"] for cookie in page.context.cookies()] == []
