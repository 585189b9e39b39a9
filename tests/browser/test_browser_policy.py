"""The cookie policy in a real browser: without scripts, for everyone, on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import overflow, violations

if TYPE_CHECKING:
    from browser.conftest import MakeVisit, Visit

pytestmark = [pytest.mark.browser, pytest.mark.conformance("ENF-11")]
PATH = "/_consent/policy"


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # the markup is the same under both servers
def test_without_scripts_it_is_whole_and_leads_to_the_choices(plain_visit: Visit) -> None:
    """From the preferences to the policy and back again, every service on the way."""
    page = plain_visit.page
    plain_visit.go("/_consent/preferences")
    page.get_by_role("link", name="Cookie policy", exact=True).click()
    expect(page.get_by_role("heading", name="Cookie policy")).to_be_visible()
    expect(page.get_by_role("table", name="Cookies: Google Analytics").get_by_role("row")).to_have_count(5)
    page.get_by_role("link", name="Cookie settings").click()
    page.get_by_role("link", name="Back to Example Shop").click()
    expect(page).to_have_url(plain_visit.shop.url + PATH)


# Colours do not depend on the width, nor sizes on the scheme: two pairs show all four.
@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
@pytest.mark.parametrize("shop", ["asgi"], indirect=True)
def test_the_page_is_there_for_everyone(make_visit: MakeVisit, scheme: str, width: int) -> None:
    """No violation that axe can find, no sideways scrolling; in print the way back is left out, and the cookies stay."""
    visit = make_visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    visit.go(PATH)
    assert violations(visit.page) == []
    assert overflow(visit.page) <= 0
    expect(visit.page.get_by_role("link", name="Back to Example Shop")).to_be_visible()
    visit.page.emulate_media(media="print")
    expect(visit.page.get_by_role("link", name="Back to Example Shop")).to_be_hidden()
    expect(visit.page.get_by_text("_fbp", exact=True)).to_be_visible()
