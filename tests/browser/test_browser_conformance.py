"""What only a screen shows of the rules: sizes, places, focus, and that nothing but an answer is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

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
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MOTIONS: tuple[Literal["reduce", "no-preference"], ...] = ("reduce", "no-preference")
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
MOVING = """
    () => [...document.querySelectorAll(".consent-root, .consent-root *")].some((el) => {
        const style = getComputedStyle(el);
        return style.animationName !== "none" || style.transitionDuration.split(", ").some((one) => parseFloat(one) > 0);
    })
"""
OUTLINE = """
    () => {
        const style = getComputedStyle(document.activeElement);
        return [document.activeElement.innerText, style.outlineStyle, parseFloat(style.outlineWidth)];
    }
"""


# -- size and emphasis


@pytest.mark.conformance("EU-2")
def test_both_answers_look_alike(visit: Visit) -> None:
    """Font, colours, border and padding of Reject all and Accept all are the same, light and dark."""
    visit.go("/")
    looks = []
    for scheme in SCHEMES:
        visit.page.emulate_media(color_scheme=scheme)
        reject, accept = (
            visit.page.get_by_role("button", name=name).evaluate(LOOKS)
            for name in ("Reject all", "Accept all")
        )
        assert reject == accept
        looks.append(reject)
    assert looks[0] != looks[1]  # the scheme has come


@pytest.mark.conformance("A11Y-1")
@pytest.mark.parametrize("width", [320, 1280])
def test_every_target_is_large_enough(make_visit: MakeVisit, width: int) -> None:
    """Whatever can be pressed in banner, dialog and link is 24 px or more each way."""
    visit = make_visit(viewport={"width": width, "height": 800})
    visit.go("/")
    assert visit.page.evaluate(TARGETS, "#consent-banner") == []
    visit.choose()
    visit.page.locator("#consent-dialog summary").nth(1).click()
    assert visit.page.evaluate(TARGETS, "#consent-dialog") == []
    visit.page.get_by_role("dialog").get_by_role("button", name="Reject all").click()
    visit.page.locator("#consent-dialog").wait_for(state="detached")
    expect(visit.page.get_by_role("button", name="Undo")).to_be_visible()
    assert visit.page.evaluate(TARGETS, "#consent-link") == []


# -- focus


@pytest.mark.conformance("A11Y-1", "A11Y-4")
@pytest.mark.parametrize("height", [568, 800])
def test_the_banner_never_hides_what_has_the_focus(make_visit: MakeVisit, height: int) -> None:
    """Tab scrolls what it reaches out from behind the banner, and outlines the banner's buttons by 2 px or more."""
    visit = make_visit(viewport={"width": 320, "height": height})
    visit.go("/")
    # The room that is scrolled to is known once the banner has been measured.
    visit.page.wait_for_function("document.documentElement.style.getPropertyValue('--consent-room')")
    hidden, outlines = [], {}
    for _ in range(30):
        visit.page.keyboard.press("Tab")
        hidden.append(visit.page.evaluate(HIDDEN))
        name, *outline = visit.page.evaluate(OUTLINE)
        outlines[name] = outline
    assert [found for found in hidden if found] == []
    for name in ("Reject all", "Accept all", "Choose"):
        style, width = outlines[name]
        assert style != "none"
        assert width >= 2


@pytest.mark.conformance("A11Y-2", "A11Y-3")
def test_the_banner_takes_no_focus_and_the_dialog_keeps_it(visit: Visit) -> None:
    """The banner is a named region, first in the page; the dialog is named, modal, and Tab never leaves it."""
    visit.go("/")
    expect(visit.page.get_by_role("region", name="May we use optional cookies?")).to_be_visible()
    assert visit.page.evaluate("document.activeElement === document.body") is True
    assert visit.page.evaluate("document.body.firstElementChild.id") == "consent-banner"
    visit.choose()
    dialog = visit.page.get_by_role("dialog", name="Cookie settings")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(el) => el.localName === 'dialog' && el.matches(':modal')") is True
    assert dialog.evaluate("(el) => el.contains(document.activeElement)") is True
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        assert dialog.evaluate(
            "(el) => document.activeElement === document.body || el.contains(document.activeElement)"
        )
    expect(dialog.get_by_role("button", name="Close")).to_be_visible()


# -- states


@pytest.mark.conformance("A11Y-4", "CA-8")
def test_a_switch_says_its_state_in_words(visit: Visit) -> None:
    """Beside the box of a category stands Off, and On once it is ticked."""
    visit.go("/")
    visit.choose()
    card = visit.page.get_by_role("group", name="Marketing")
    shown = card.locator(".consent-head .consent-state > :visible")
    expect(shown).to_have_text(["Off"])
    card.get_by_role("checkbox", name="Marketing").check()
    expect(shown).to_have_text(["On"])


@pytest.mark.conformance("A11Y-4")
def test_nothing_moves_for_who_wants_it_so(visit: Visit) -> None:
    """Animations and transitions run only where the visitor's system has not asked for less."""
    visit.go("/")
    visit.choose()
    moving = {}
    for motion in MOTIONS:
        visit.page.emulate_media(reduced_motion=motion)
        moving[motion] = visit.page.evaluate(MOVING)
    assert moving == {"reduce": False, "no-preference": True}


# -- what is no answer


@pytest.mark.conformance("EU-3")
def test_clicking_beside_the_dialog_grants_nothing(visit: Visit) -> None:
    """A click on the backdrop saves nothing of what was ticked."""
    visit.go("/")
    visit.choose()
    visit.page.get_by_role("checkbox", name="Marketing").check()
    visit.page.evaluate("addEventListener('click', () => { window.clicked = true; })")
    visit.page.mouse.click(3, 3)
    visit.page.wait_for_function("window.clicked")
    visit.settle()
    assert (visit.cookies(), visit.tracked()) == (set(), [])


@pytest.mark.conformance("EU-3")
def test_waiting_grants_nothing(visit: Visit) -> None:
    """A day later the banner of an open page still asks, and nothing was set."""
    visit.page.clock.install()
    visit.go("/")
    visit.page.evaluate("setTimeout(() => { window.aDayLater = true; }, 86_400_000)")
    visit.page.clock.fast_forward("24:00:01")
    visit.page.wait_for_function("window.aDayLater")
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


@pytest.mark.conformance("ENF-6", "A11Y-4", "GPC-7")
@pytest.mark.parametrize("signal", [False, True], ids=["no-signal", "gpc"])
def test_the_preferences_open_and_stay(make_visit: MakeVisit, *, signal: bool) -> None:
    """Undecided, rejected, accepted, with a signal or none, beside a chat widget; state and answer are told as a status."""
    visit = make_visit(extra_http_headers={"Sec-GPC": "1"} if signal else {})
    status = visit.page.get_by_role("status")
    if signal:
        visit.context.add_init_script(GPC)
    dialog = visit.page.get_by_role("dialog")
    for answer in ("", "Reject all", "Accept all"):
        if answer:
            dialog.get_by_role("button", name=answer).click()
            visit.page.locator("#consent-dialog").wait_for(state="detached")
            expect(status.filter(has_text="Saved").first).to_be_attached()
        visit.go("/privacy")
        if signal and not answer:
            expect(status.first).to_have_text("Opt-Out Preference Signal Honored")
        visit.page.evaluate(CHAT)
        if answer or signal:
            visit.open_dialog()
        else:
            visit.choose()
        visit.settle()
        dialog.get_by_role("button", name="Save choices").click(trial=True)
        visit.page.evaluate("new Promise((done) => setTimeout(done, 600))")  # what closes it may come later
        expect(dialog).to_be_visible()
