"""What only a screen shows of the rules: sizes, places, focus, and that nothing but an answer is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browser.conftest import launched_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from browser.conftest import MakeVisit, Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("shop", ["asgi"], indirect=True),  # the markup is the same under both servers
]

SMALL: ViewportSize = {"width": 320, "height": 568}
GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"
CHAT = """
    const chat = document.createElement("div");
    chat.id = "chat";
    chat.style.cssText = "position: fixed; right: 16px; bottom: 16px; width: 64px; height: 64px; z-index: 2147483647; background: red";
    document.body.append(chat);
"""
# WCAG 2.5.8: a smaller target may stand in a sentence, or where a circle of 24 px round it meets no other target.
# The target of a tick box is its label.
TARGETS = """
    (root) => {
        const all = [...document.querySelectorAll(`${root} :is(button, a, summary, input:not([type="hidden"]))`)]
            .map((el) => el.closest("label") ?? el)
            .filter((el) => el.checkVisibility());
        const small = ({ width, height }) => Math.min(width, height) < 24;
        const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
        const apart = (el, box) => all.every((other) => {
            const there = other.getBoundingClientRect();
            const [[x, y], [a, b]] = [middle(box), middle(there)];
            if (other === el) return true;
            if (small(there)) return Math.hypot(x - a, y - b) >= 24;
            return Math.hypot(Math.max(there.left - x, 0, x - there.right), Math.max(there.top - y, 0, y - there.bottom)) >= 12;
        });
        return all.filter((el) => {
            const box = el.getBoundingClientRect();
            const sentence = el.parentElement.textContent.trim().length > el.textContent.trim().length;
            return small(box) && !sentence && !apart(el, box);
        }).map((el) => el.outerHTML);
    }
"""
LOOKS = """
    (el) => Object.fromEntries(["font", "color", "backgroundColor", "border", "padding", "borderRadius", "opacity",
        "textDecoration", "boxShadow"].map((name) => [name, getComputedStyle(el)[name]]))
"""
# Only what is behind the banner with all of its box is hidden (WCAG 2.4.11).
HIDDEN = """
    () => {
        const banner = document.querySelector("#consent-banner");
        const el = document.activeElement;
        if (el === document.body || banner.contains(el)) return "";
        const [a, b] = [el.getBoundingClientRect(), banner.getBoundingClientRect()];
        return a.top >= b.top && a.bottom <= b.bottom && a.left >= b.left && a.right <= b.right ? el.outerHTML : "";
    }
"""


# -- size and emphasis


@pytest.mark.conformance("EU-2")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_answers_look_alike(make_visit: MakeVisit, scheme: str) -> None:
    """Font, colours, border and padding of Reject all and Accept all are the same."""
    visit = make_visit(color_scheme=scheme)
    visit.go("/")
    reject, accept = (
        visit.page.get_by_role("button", name=name).evaluate(LOOKS) for name in ("Reject all", "Accept all")
    )
    assert reject == accept


@pytest.mark.conformance("A11Y-1")
@pytest.mark.parametrize("width", [320, 1280])
def test_every_target_is_large_enough(make_visit: MakeVisit, width: int) -> None:
    """Whatever can be pressed in banner, dialog and link is 24 px or more each way."""
    visit = make_visit(viewport={"width": width, "height": 800})
    visit.go("/")
    assert visit.page.evaluate(TARGETS, "#consent-banner") == []
    visit.press("Choose")
    visit.page.locator("#consent-dialog[open]").wait_for()
    visit.page.locator("#consent-dialog summary").nth(1).click()
    assert visit.page.evaluate(TARGETS, "#consent-dialog") == []
    visit.page.get_by_role("dialog").get_by_role("button", name="Reject all").click()
    visit.page.locator("#consent-dialog").wait_for(state="detached")
    assert visit.page.evaluate(TARGETS, "#consent-link") == []


# -- focus


@pytest.mark.conformance("A11Y-1")
@pytest.mark.parametrize("height", [568, 800])
def test_the_banner_never_hides_what_has_the_focus(make_visit: MakeVisit, height: int) -> None:
    """Whatever the Tab key reaches behind the banner is scrolled out from behind it."""
    visit = make_visit(viewport={"width": 320, "height": height})
    visit.go("/")
    hidden = []
    for _ in range(30):
        visit.page.keyboard.press("Tab")
        hidden.append(visit.page.evaluate(HIDDEN))
    assert [found for found in hidden if found] == []


@pytest.mark.conformance("A11Y-2")
def test_the_dialog_is_modal_named_and_keeps_the_focus(visit: Visit) -> None:
    """The focus is in it from the start, Tab never reaches the page behind, and Close is there to see."""
    visit.go("/")
    visit.press("Choose")
    dialog = visit.page.get_by_role("dialog", name="Cookie settings")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(el) => el.localName === 'dialog' && el.matches(':modal')") is True
    inside = "(el) => el.contains(document.activeElement)"
    assert dialog.evaluate(inside) is True
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        assert dialog.evaluate(
            "(el) => [el, document.body].some((one) => one.contains(document.activeElement))"
        )
        assert dialog.evaluate(f"(el) => document.activeElement === document.body || ({inside})(el)") is True
    expect(dialog.get_by_role("button", name="Close")).to_be_visible()


@pytest.mark.conformance("A11Y-3")
def test_the_banner_is_a_named_region_that_takes_no_focus(visit: Visit) -> None:
    """It stands first in the page, is found by its heading, and the focus stays where it was."""
    visit.go("/")
    expect(visit.page.get_by_role("region", name="May we use optional cookies?")).to_be_visible()
    assert visit.page.evaluate("document.activeElement === document.body") is True
    assert visit.page.evaluate("document.body.firstElementChild.id") == "consent-banner"


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize("name", ["Reject all", "Accept all", "Choose"])
def test_the_focus_can_be_seen(visit: Visit, name: str) -> None:
    """A button that has the focus by keyboard has an outline of 2 px or more."""
    visit.go("/")
    button = visit.page.get_by_role("button", name=name, exact=True)
    while not button.evaluate("(el) => el === document.activeElement"):
        visit.page.keyboard.press("Tab")
    style, width = button.evaluate(
        "(el) => [getComputedStyle(el).outlineStyle, parseFloat(getComputedStyle(el).outlineWidth)]"
    )
    assert style != "none"
    assert width >= 2


# -- states


@pytest.mark.conformance("A11Y-4", "CA-8")
def test_a_switch_says_its_state_in_words(visit: Visit) -> None:
    """Beside the box of a category stands Off, and On once it is ticked."""
    visit.go("/")
    visit.press("Choose")
    card = visit.page.get_by_role("group", name="Marketing")
    shown = card.locator(".consent-head .consent-state > :visible")
    expect(shown).to_have_text(["Off"])
    card.get_by_role("checkbox", name="Marketing").check()
    expect(shown).to_have_text(["On"])


@pytest.mark.conformance("A11Y-4", "GPC-7")
def test_a_signal_is_told_as_a_status(make_visit: MakeVisit) -> None:
    """That the signal is honoured stands in an element which screen readers announce."""
    visit = make_visit(extra_http_headers={"Sec-GPC": "1"})
    visit.context.add_init_script(GPC)
    visit.go("/")
    expect(visit.page.get_by_role("status").first).to_have_text("Opt-Out Preference Signal Honored")


@pytest.mark.conformance("A11Y-4")
def test_saved_is_told_as_a_status(visit: Visit) -> None:
    """After an answer an element that screen readers announce says so."""
    visit.go("/")
    visit.reject()
    expect(visit.page.get_by_role("status").filter(has_text="Saved").first).to_be_attached()


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_who_wants_it_so(browser: Browser, shop: Any, motion: Any) -> None:
    """Animations and transitions run only where the visitor's system has not asked for less."""
    context = browser.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto(shop.url)
    page.get_by_role("button", name="Choose", exact=True).click()
    moving = page.evaluate("""() => [...document.querySelectorAll(".consent-root, .consent-root *")].some((el) => {
        const style = getComputedStyle(el);
        return style.animationName !== "none" || style.transitionDuration.split(", ").some((one) => parseFloat(one) > 0);
    })""")
    context.close()
    assert moving is (motion == "no-preference")


# -- what is no answer


@pytest.mark.conformance("EU-3")
def test_clicking_beside_the_dialog_grants_nothing(visit: Visit) -> None:
    """A click on the backdrop saves nothing of what was ticked."""
    visit.go("/")
    visit.press("Choose")
    visit.page.get_by_role("checkbox", name="Marketing").check()
    visit.page.mouse.click(3, 3)
    visit.page.wait_for_load_state("networkidle")
    assert (visit.cookies(), visit.tracked()) == (set(), [])


@pytest.mark.conformance("EU-3")
def test_waiting_grants_nothing(visit: Visit) -> None:
    """A day later the banner of an open page still asks, and nothing was set."""
    visit.page.clock.install()
    visit.go("/")
    visit.page.clock.fast_forward("24:00:00")
    assert visit.page.locator("#consent-banner").is_visible()
    assert (visit.cookies(), visit.tracked()) == (set(), [])


# -- what must be seen, and stay


@pytest.mark.conformance("ENF-4")
@pytest.mark.usefixtures("shop")
def test_what_must_be_said_shows_on_a_small_screen_in_german(browser: Browser) -> None:
    """Consent, partners, countries, withdrawal and both answers stand unscrolled on 320 x 568."""
    config = {
        "use": ["google-analytics", "meta-pixel"],
        "site": {"name": "Beispielladen", "languages": ["de"]},
        "controller": {"name": "Beispiel GmbH", "contact": "datenschutz@example.com"},
        "records": {"url": "none"},
    }
    html = (
        '<!doctype html><html lang="de"><meta name="viewport" content="width=device-width"><body><p>Hallo</p>'
    )
    with launched_site(html.encode(), config) as url:
        page = browser.new_page(viewport=SMALL)
        page.goto(url)
        text = page.locator("#consent-banner p").first
        words = text.inner_text()
        boxes = [
            one.bounding_box()
            for one in (
                text,
                *(page.get_by_role("button", name=name) for name in ("Alle ablehnen", "Alle akzeptieren")),
            )
        ]
        scrolls = page.evaluate(
            "(() => { const el = document.querySelector('#consent-banner'); return el.scrollHeight > el.clientHeight + 1; })()"
        )
        page.close()
    assert [
        word
        for word in ("Einwilligung", "2 Partner", "Vereinigte Staaten", "widerrufen")
        if word not in words
    ] == []
    assert all(box and box["y"] >= 0 and box["y"] + box["height"] <= SMALL["height"] for box in boxes)
    assert scrolls is False


@pytest.mark.conformance("ENF-6")
@pytest.mark.parametrize("signal", [False, True], ids=["no-signal", "gpc"])
@pytest.mark.parametrize(
    "answer", ["", "Reject all", "Accept all"], ids=["undecided", "rejected", "accepted"]
)
def test_the_preferences_open_and_stay(make_visit: MakeVisit, answer: str, *, signal: bool) -> None:
    """Decided or not, with a signal or none, and beside a chat widget in the corner."""
    visit = make_visit(extra_http_headers={"Sec-GPC": "1"} if signal else {})
    if signal:
        visit.context.add_init_script(GPC)
    visit.go("/")
    if answer:
        visit.page.evaluate("consent.showPreferences()")
        visit.page.get_by_role("dialog").get_by_role("button", name=answer).click()
        visit.page.locator("#consent-dialog").wait_for(state="detached")
        visit.go("/privacy")
    visit.page.evaluate(CHAT)
    if answer or signal:
        visit.open_dialog()
    else:
        visit.press("Choose")
    visit.page.wait_for_load_state("networkidle")
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Save choices").click(trial=True)
    visit.page.evaluate("new Promise((done) => setTimeout(done, 600))")
    expect(dialog).to_be_visible()
