"""The preferences as a dialog: keys, focus, and that closing is no consent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser.conftest import MakeVisit, Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("shop", ["asgi"], indirect=True),  # all in the page: no server has a part in it
]


@pytest.mark.conformance("EU-2", "EU-3", "A11Y-2", "CA-8")
def test_escape_and_close_grant_nothing(visit: Visit) -> None:
    """No box is ticked in advance; Escape on the page or the dialog and Close forget what was ticked, and it still asks."""
    banner, dialog = visit.page.locator("#consent-banner"), visit.page.locator("#consent-dialog")
    visit.go("/")
    visit.page.keyboard.press("Escape")
    expect(banner).to_be_visible()
    for way in ("Escape", "Close"):
        visit.choose()
        boxes = dialog.get_by_role("checkbox")
        expect(boxes.first).to_be_visible()
        assert [box.is_checked() for box in boxes.all()] == [False] * boxes.count()
        for name in ("Statistics", "Marketing"):
            dialog.get_by_role("checkbox", name=name).check()
        if way == "Escape":
            visit.page.keyboard.press(way)
        else:
            visit.press(way)
        dialog.wait_for(state="detached")
        # The focus is back at what opened it.
        expect(visit.page.get_by_role("button", name="Choose", exact=True)).to_be_focused()
        expect(banner).to_be_visible()
    visit.settle()
    assert visit.cookies() == set()
    assert visit.tracked() == []


@pytest.mark.conformance("EU-3")
def test_going_on_grants_nothing(visit: Visit) -> None:
    """Scrolling and following links is no consent: the next page asks again."""
    visit.go("/")
    visit.page.mouse.wheel(0, 2000)
    visit.page.get_by_role("link", name="Wide bowl").click()
    visit.page.get_by_role("heading", name="Wide bowl").wait_for()
    visit.settle()
    expect(visit.page.locator("#consent-banner")).to_be_visible()
    assert visit.cookies() == set()


@pytest.mark.conformance("A11Y-3")
def test_the_banner_can_be_answered_by_keyboard(visit: Visit) -> None:
    """The banner is the first stop of the Tab key: its facts, then its buttons; Enter answers."""
    visit.go("/")
    visit.page.keyboard.press("Tab")
    expect(visit.page.locator("#consent-banner summary")).to_be_focused()
    visit.page.keyboard.press("Tab")
    expect(visit.page.get_by_role("button", name="Reject all")).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#consent-banner")).to_be_hidden()
    visit.await_cookies("consent")


def test_the_sites_own_button_opens_the_dialog(visit: Visit) -> None:
    """Any element with data-consent="preferences" opens the dialog; allowing there loads the video in place."""
    visit.go("/video")
    visit.press("Choose what to allow")
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("group", name="Marketing").get_by_text("2 services").click()
    dialog.get_by_role("checkbox", name="YouTube").check()
    with visit.page.expect_response("**/embed/cup"):
        visit.press("Save choices")
    visit.settle()
    visit.await_tracked("/embed/cup")
    assert [what for what in visit.tracked() if not what.startswith("/embed/")] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_preferences_page_sends_back_who_was_sent_there(make_visit: MakeVisit, *, scripts: bool) -> None:
    """With `next` an answer leads there, a withdrawal by way of the receipt, whose link leads there too: scripts or not."""
    visit = make_visit(java_script_enabled=scripts)
    page, there = visit.page, visit.shop.url + "/about"
    visit.go("/_consent/preferences?next=/about")
    visit.press("Accept all")
    expect(page).to_have_url(there)
    visit.go("/_consent/preferences?next=/about")
    visit.press("Withdraw consent")
    expect(page.get_by_text("Your consent is withdrawn.")).to_be_visible()
    assert page.url.partition("?")[0] == visit.shop.url + "/_consent/receipt"
    expect(page.locator('a[href="/about"]').first).to_be_visible()


def test_the_preferences_page_that_nobody_was_sent_to_stays(visit: Visit) -> None:
    """Without `next` the answer is said on the page itself, and so it is in a dialog of a page that has a `next` of its own."""
    visit.go("/_consent/preferences")
    visit.press("Accept all")
    expect(visit.page.locator("#consent-form [role=status]")).not_to_be_empty()
    assert visit.page.url == visit.shop.url + "/_consent/preferences"
    visit.go("/about?next=/video")
    visit.page.locator("#consent-link a").click()
    visit.page.locator("#consent-dialog").get_by_role("button", name="Reject all").click()
    expect(visit.page.locator("#consent-link [role=status]")).not_to_be_empty()
    assert visit.page.url == visit.shop.url + "/about?next=/video"


def test_scripts_can_allow_one_service(visit: Visit) -> None:
    """`consent.acceptService` allows one service, and `consent:change` tells of it."""
    visit.go("/video")
    visit.page.evaluate(
        "document.addEventListener('consent:change', (event) => { window.told = event.detail.granted; })"
    )
    assert visit.page.evaluate("consent.acceptService('youtube')") is True
    assert "youtube" in visit.page.evaluate("window.told")
    assert visit.page.evaluate("consent.acceptedCategory('marketing')") is False
