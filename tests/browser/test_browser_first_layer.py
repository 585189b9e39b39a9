"""The first layer: what it says, that all of it shows, what happens after a choice, and that nothing covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browser.conftest import launched_site
from browser.test_browser_accessibility import overflow, violations
from consent_middleware.assets import THEMES
from consent_middleware.texts import available_languages, direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from browser.conftest import MakeVisit, Visit

pytestmark = pytest.mark.browser

SMALL = {"width": 320, "height": 568}
LAYOUT = """() => {
    const banner = document.querySelector("#consent-banner");
    const boxes = [...banner.querySelectorAll("h2,p,summary,button,a")]
        .filter((one) => one === one.closest("details :not(summary)") ? one.closest("details").open : true).map((one) => one.getBoundingClientRect());
    const [reject, accept] = [...banner.querySelectorAll("button")].map((one) => {
        const { width, height } = one.getBoundingClientRect();
        const style = getComputedStyle(one);
        return [width, height, style.color, style.backgroundColor, style.fontSize, style.fontWeight, style.borderRadius];
    });
    return {
        hidden: boxes.filter((box) => box.top < 0 || box.bottom > innerHeight || box.left < -1 || box.right > innerWidth + 1).length,
        scrolls: banner.scrollHeight > banner.clientHeight + 1,
        reject, accept,
    };
}"""


def declaration(language: str, **banner: Any) -> dict[str, Any]:
    """Return a site that asks in a language, with partners, third countries and cookies to tell of."""
    return {
        "use": ["google-analytics", "meta-pixel", "youtube", "stripe"],
        "site": {"name": "Example Shop", "languages": [language]},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "records": {"url": "none"},
        "banner": banner,
    }


def page_in(language: str, extra: str = "") -> bytes:
    """Return a small page in a language."""
    head = '<head><title>Shop</title><meta name="viewport" content="width=device-width"></head>'
    return f'<!doctype html><html lang="{language}">{head}<body><main><h1>Shop</h1>{extra}</main></body></html>'.encode()


@pytest.fixture
def small(browser: Browser) -> Iterator[Page]:
    """A page on the smallest screen."""
    context = browser.new_context(viewport=SMALL, reduced_motion="reduce")  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.mark.conformance("ENF-4")
@pytest.mark.conformance("EU-2")
@pytest.mark.parametrize("language", available_languages())
def test_all_of_it_shows_on_the_smallest_screen(small: Page, language: str) -> None:
    """ENF-4, in every language: nothing of the first layer needs scrolling at 320 by 568, and the twins are alike."""
    with launched_site(page_in(language), declaration(language)) as url:
        small.goto(url)
        found = small.evaluate(LAYOUT)
        assert (found["hidden"], found["scrolls"]) == (0, False)
        assert found["reject"] == found["accept"]
        assert small.locator("#consent-banner").get_attribute("dir") == direction(language)


@pytest.mark.conformance("EU-2")
@pytest.mark.parametrize("theme", ["auto", "light", "dark", *THEMES])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_theme_can_be_read(browser: Browser, theme: str, scheme: Any) -> None:
    """No violation that axe can find, contrast among them; the twins are alike in every theme."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1000, "height": 700})
    with launched_site(page_in("en"), declaration("en", theme=theme)) as url:
        page = context.new_page()
        page.goto(url)
        found = page.evaluate(LAYOUT)
        assert found["reject"] == found["accept"]
        seen: Any = type("Seen", (), {"page": page})
        assert violations(seen) == []
    context.close()


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize("position", ["bottom", "top", "center", "corner"])
@pytest.mark.parametrize("language", ["de", "ar"])
def test_every_position_holds_every_word(browser: Browser, position: str, language: str) -> None:
    """Long German words and a script from right to left, wide and narrow: nothing is cut off."""
    if language not in available_languages():
        pytest.fail(f"there are no texts in {language}")
    with launched_site(page_in(language), declaration(language, position=position)) as url:
        for width, height in ((360, 740), (1280, 800), (2560, 1400)):
            context = browser.new_context(
                viewport={"width": width, "height": height}, reduced_motion="reduce"
            )
            page = context.new_page()
            page.goto(url)
            assert page.evaluate(LAYOUT)["hidden"] == 0
            seen: Any = type("Seen", (), {"page": page})
            assert overflow(seen) <= 0
            context.close()


@pytest.mark.conformance("ENF-3")
def test_the_facts_fold_out_without_scripts(plain_visit: Visit) -> None:
    """ENF-3: how many partners and cookies, and for how long; by whom, on request."""
    plain_visit.go("/")
    facts = plain_visit.page.locator("#consent-banner details")
    expect(facts.locator("summary")).to_contain_text("partners")
    facts.locator("summary").click()
    expect(facts.locator("p")).to_contain_text("Google")


def test_after_a_refusal_it_says_whom_the_page_has_contacted(visit: Visit) -> None:
    """Nobody: counted by the browser itself; and the choice can be taken back at once."""
    visit.go("/")
    visit.press("Reject all")
    status = visit.page.locator("#consent-link [role=status]")
    expect(status).to_contain_text("Saved. Only needed cookies. Partners contacted: 0.")
    status.get_by_role("button", name="Undo").click()
    expect(visit.page.locator("#consent-banner")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Reject all")).to_be_focused()


def test_undo_brings_back_what_held_before(visit: Visit) -> None:
    """After a withdrawal the earlier grants hold again, and the page counts whom it had contacted."""
    visit.go("/")
    visit.press("Accept all")
    status = visit.page.locator("#consent-link [role=status]")
    expect(status).to_contain_text("Saved. Everything is allowed.")
    visit.page.wait_for_function(
        "performance.getEntriesByType('resource').some(({ name }) => !name.includes(location.host))"
    )
    visit.page.locator("#consent-link a").first.click()
    visit.page.locator("#consent-dialog[open]").wait_for()
    visit.press("Withdraw consent")
    expect(status).to_contain_text("Only needed cookies.")
    status.get_by_role("button", name="Undo").click()
    visit.page.wait_for_function("consent.acceptedCategory('analytics')")


@pytest.mark.conformance("ENF-6")
def test_what_covers_the_banner_does_not_hide_it(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """ENF-6: a page that covers Reject finds the banner above itself, and its owner is told; the visitor is not."""
    cover = '<div style="position:fixed;inset:0;z-index:2147483647;background:#fff">Chat</div>'
    context = browser.new_context()
    with launched_site(page_in("en", cover), declaration("en")) as url:
        page = context.new_page()
        with page.expect_request("**/covered") as report:
            page.goto(url)
        assert (report.value.method, report.value.post_data) == ("POST", None)
        page.get_by_role("button", name="Reject all").click()
        expect(page.locator("#consent-banner")).to_be_hidden()
        page.wait_for_timeout(100)
    context.close()
    assert "covers the banner's buttons" in caplog.text


def test_nobody_is_told_of_a_banner_that_is_not_covered(visit: Visit) -> None:
    """The usual page reports nothing."""
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.go("/")
    visit.page.wait_for_timeout(1_500)
    assert not [url for url in asked if url.endswith("/covered")]


@pytest.mark.conformance("ENF-5")
def test_a_cross_is_a_refusal_and_says_so(browser: Browser) -> None:
    """ENF-5: there is none unless it is switched on; then it is named for what it does, and the answer is kept."""
    context = browser.new_context()
    page = context.new_page()
    with launched_site(page_in("en"), declaration("en")) as url:
        page.goto(url)
        assert page.locator(".consent-close").count() == 0
    with launched_site(page_in("en"), declaration("en", close=True)) as url:
        page.goto(url)
        page.get_by_role("button", name="Close and reject").click()
        expect(page.locator("#consent-banner")).to_be_hidden()
        assert page.evaluate("consent.validConsent() && !consent.acceptedCategory('analytics')")
    context.close()


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)
def test_the_banner_moves_nothing(make_visit: MakeVisit) -> None:
    """Layout shift 0, from the first paint to after the choice."""
    visit = make_visit()
    visit.page.add_init_script(
        "window.shifts = 0; new PerformanceObserver((list) => { for (const { value, hadRecentInput } of list.getEntries())"
        " if (!hadRecentInput) window.shifts += value; }).observe({ type: 'layout-shift', buffered: true });"
    )
    visit.go("/")
    visit.page.wait_for_timeout(1_200)
    assert visit.page.evaluate("window.shifts") == 0
