"""The first layer: what it says, that all of it shows, what happens after a choice, and that nothing covers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.sync_api import expect

from browser.conftest import launched_site, overflow, until, violations
from consent_middleware.assets import THEMES
from consent_middleware.texts import available_languages, direction

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from browser.conftest import Visit

pytestmark = pytest.mark.browser

SMALL: ViewportSize = {"width": 320, "height": 568}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COVERED = "covers the banner's buttons"
in_the_page = pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # no server has a part in it
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


def declaration(*languages: str, **banner: Any) -> dict[str, Any]:
    """Return a site that asks in these languages, with partners, third countries and cookies to tell of."""
    return {
        "use": ["google-analytics", "meta-pixel", "youtube", "stripe"],
        "site": {"name": "Example Shop", "languages": list(languages)},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "records": {"url": "none"},
        "banner": banner,
    }


def page_in(language: str, extra: str = "") -> bytes:
    """Return a small page in a language."""
    head = '<head><title>Shop</title><meta name="viewport" content="width=device-width"></head>'
    return f'<!doctype html><html lang="{language}">{head}<body><main><h1>Shop</h1>{extra}</main></body></html>'.encode()


@pytest.mark.conformance("ENF-4", "EU-2")
def test_all_of_it_shows_on_the_smallest_screen_in_every_language(browser: Browser) -> None:
    """ENF-4: nothing of the first layer needs scrolling at 320 by 568, and the twins are alike."""
    languages = available_languages()
    wrong = {}
    with launched_site({one: page_in(one) for one in languages}, declaration(*languages)) as url:
        page = browser.new_page(viewport=SMALL, reduced_motion="reduce")
        for language in languages:
            page.goto(url + language)
            banner = page.locator("#consent-banner")
            found = page.evaluate(LAYOUT)
            seen = (found["hidden"], found["scrolls"], found["reject"] == found["accept"])
            said = (banner.get_attribute("lang"), banner.get_attribute("dir"))
            if (seen, said) != ((0, False, True), (language, direction(language))):
                wrong[language] = (seen, said)
        page.close()
    assert wrong == {}


@pytest.mark.conformance("EU-2")
@pytest.mark.parametrize("theme", ["auto", "light", "dark", *THEMES])
def test_every_theme_can_be_read(browser: Browser, theme: str) -> None:
    """Whatever the visitor's scheme, axe finds no violation, contrast among them, and the twins are alike."""
    with launched_site(page_in("en"), declaration("en", theme=theme)) as url:
        page = browser.new_page(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
        page.goto(url)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate(LAYOUT)
            assert found["reject"] == found["accept"]
            # A theme is colours; the rest is the same markup in every one.
            assert violations(page, () if theme == "auto" else ("color-contrast", "link-in-text-block")) == []
        page.close()


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize("position", ["bottom", "top", "center", "corner"])
def test_every_position_holds_every_word(browser: Browser, position: str) -> None:
    """Long German words and a script from right to left, wide and narrow: nothing is cut off."""
    languages = ("de", "ar")
    pages = {one: page_in(one) for one in languages}
    with launched_site(pages, declaration(*languages, position=position)) as url:
        page = browser.new_page(reduced_motion="reduce")
        for language in languages:
            for width, height in ((360, 740), (1280, 800), (2560, 1400)):
                page.set_viewport_size({"width": width, "height": height})
                page.goto(url + language)
                assert page.locator("#consent-banner").get_attribute("lang") == language
                assert page.evaluate(LAYOUT)["hidden"] == 0
                assert overflow(page) <= 0
        page.close()


@pytest.mark.conformance("ENF-3")
@in_the_page
def test_the_facts_fold_out_without_scripts(plain_visit: Visit) -> None:
    """ENF-3: how many partners and cookies, and for how long; by whom, on request."""
    plain_visit.go("/")
    facts = plain_visit.page.locator("#consent-banner details")
    expect(facts.locator("summary")).to_contain_text("partners")
    facts.locator("summary").click()
    expect(facts.locator("p")).to_contain_text("Google")


@in_the_page
def test_undo_asks_again_or_brings_back_what_held_before(visit: Visit) -> None:
    """A refusal says whom the page has contacted: nobody; undone, it asks again, or the earlier grants hold again."""
    visit.go("/")
    visit.press("Reject all")
    status = visit.page.locator("#consent-link [role=status]")
    expect(status).to_contain_text("Saved. Only needed cookies. Partners contacted: 0.")
    status.get_by_role("button", name="Undo").click()
    expect(visit.page.locator("#consent-banner")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Reject all")).to_be_focused()
    visit.press("Accept all")
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
    with launched_site(page_in("en", cover), declaration("en")) as url:
        page = browser.new_page()
        with page.expect_request("**/covered") as report:
            page.goto(url)
        assert (report.value.method, report.value.post_data) == ("POST", None)
        page.get_by_role("button", name="Reject all").click()
        expect(page.locator("#consent-banner")).to_be_hidden()
        until(page, lambda: COVERED in caplog.text, bool)
        page.close()
    assert COVERED in caplog.text


@in_the_page
def test_a_banner_that_is_not_covered_moves_nothing_and_nobody_is_told(visit: Visit) -> None:
    """Layout shift 0 from the first paint on; and the usual page reports nothing, though it has looked."""
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.page.add_init_script(
        "window.shifts = 0; new PerformanceObserver((list) => { for (const { value, hadRecentInput } of list.getEntries())"
        " if (!hadRecentInput) window.shifts += value; }).observe({ type: 'layout-shift', buffered: true });"
        # What looks whether the banner is covered asks what stands at a point.
        "const look = Document.prototype.elementFromPoint; Document.prototype.elementFromPoint ="
        " function (...at) { window.looked = true; return look.apply(this, at); };"
    )
    visit.go("/")
    visit.page.wait_for_function("window.looked")
    visit.settle()
    assert asked
    assert not [url for url in asked if url.endswith("/covered")]
    assert visit.page.evaluate("window.shifts") == 0


@pytest.mark.conformance("ENF-5")
def test_a_cross_is_a_refusal_and_says_so(browser: Browser) -> None:
    """ENF-5: there is none unless it is switched on; then it is named for what it does, and the answer is kept."""
    page = browser.new_page()
    with launched_site(page_in("en"), declaration("en")) as url:
        page.goto(url)
        expect(page.get_by_role("button", name="Reject all")).to_be_visible()
        assert page.locator(".consent-close").count() == 0
    with launched_site(page_in("en"), declaration("en", close=True)) as url:
        page.goto(url)
        page.get_by_role("button", name="Close and reject").click()
        expect(page.locator("#consent-banner")).to_be_hidden()
        assert page.evaluate("consent.validConsent() && !consent.acceptedCategory('analytics')")
    page.close()


@pytest.mark.conformance("REC-1")
def test_the_preferences_speak_the_language_of_the_page(browser: Browser) -> None:
    """On a German page the dialog is German, too, whatever the browser prefers; so is the page without scripts."""
    declared = declaration("en")
    declared["site"]["languages"] = ["en", "de"]
    for scripts in (True, False):
        context = browser.new_context(locale="en-US", java_script_enabled=scripts)
        page = context.new_page()
        with launched_site(page_in("de"), declared) as url:
            page.goto(url)
            page.get_by_role("button", name="Auswählen", exact=True).click()
            expect(page.locator("#consent-title")).to_have_text("Cookie-Einstellungen")
            if scripts:
                expect(page.locator("#consent-dialog")).to_have_attribute("lang", "de")
            else:
                assert page.url == f"{url}_consent/preferences?lang=de"
        context.close()
