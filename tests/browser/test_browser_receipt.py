"""A visitor's own history in a real browser: handed out on withdrawal, read, taken along, printed, erased."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import overflow, violations

if TYPE_CHECKING:
    from browser.conftest import MakeVisit, Visit

pytestmark = [pytest.mark.browser, pytest.mark.conformance("REC-3")]


def accept(visit: Visit) -> None:
    """Accept everything."""
    visit.go("/")
    visit.press("Accept all")
    expect(visit.page.locator("#consent-banner")).to_be_hidden()


@pytest.mark.parametrize("shop", ["wsgi"], indirect=True)  # one server each: both keep the same records
def test_who_withdraws_in_the_dialog_is_shown_the_way_to_the_history(visit: Visit) -> None:
    """The announced status holds a link; there the whole history stands, though the cookie names nobody any more."""
    accept(visit)
    visit.page.locator("#consent-link a").first.click()
    visit.page.locator("#consent-dialog[open]").wait_for()
    visit.press("Withdraw consent")
    link = visit.page.locator("#consent-link [role=status] a")
    expect(link).to_have_text("Your consent history")
    link.click()
    expect(visit.page.get_by_text("Your consent is withdrawn.")).to_be_visible()
    expect(visit.page.locator(".consent-card")).to_have_count(2)


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)
def test_without_scripts_a_withdrawal_leads_to_the_history(plain_visit: Visit) -> None:
    """The form leads to the same page, and from there back, or to the end of the history."""
    accept(plain_visit)
    plain_visit.page.get_by_role("link", name="Cookie settings").click()
    plain_visit.press("Withdraw consent")
    page = plain_visit.page
    expect(page.locator(".consent-card")).to_have_count(2)
    page.get_by_text("What you were shown").first.click()
    expect(page.get_by_text("Reject all Accept all Choose").first).to_be_visible()
    plain_visit.press("Withdraw and erase")
    expect(page.get_by_text("Your history is erased.")).to_be_visible()
    expect(page.locator(".consent-card")).to_have_count(0)
    page.get_by_role("link", name="Back to Example Shop").click()
    expect(page).to_have_url(plain_visit.shop.url + "/")


# Colours do not depend on the width, nor sizes on the scheme: two pairs show all four.
@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # the markup is the same under both servers
def test_the_history_is_there_for_everyone_and_to_take_along(
    make_visit: MakeVisit, scheme: str, width: int
) -> None:
    """No violation that axe can find, no sideways scrolling; the link downloads the receipt shown; print has no buttons."""
    visit = make_visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    accept(visit)
    visit.go("/_consent/receipt")
    number = visit.page.locator(".consent-card code").first.inner_text()
    visit.page.locator("summary").first.click()
    assert violations(visit.page) == []
    assert overflow(visit.page) <= 0
    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Download as a file").click()
    assert download.value.suggested_filename == "consent-records.json"
    found = json.loads(download.value.path().read_text("utf-8"))
    assert [receipt["record_id"] for receipt in found["receipts"]] == [number]
    visit.page.emulate_media(media="print")
    expect(visit.page.get_by_role("button", name="Withdraw and erase")).to_be_hidden()
    expect(visit.page.locator(".consent-card").first).to_be_visible()
