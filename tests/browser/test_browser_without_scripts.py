"""Scripts off: the same choices through plain forms, the same cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = pytest.mark.browser


def answer(visit: Visit, name: str, path: str = "/product/cup") -> None:
    """Press a button of the banner and wait for the page it leads to."""
    visit.go(path)
    with visit.page.expect_navigation():
        visit.press(name)
    expect(visit.page.locator("#consent-banner")).to_have_count(0)


@pytest.mark.conformance("EU-1", "A11Y-3")
def test_nothing_is_set_before_a_choice_and_accept_comes_back_to_the_page(plain_visit: Visit) -> None:
    """No page leaves a cookie or loads a tag; Accept leads back to its page and lets the server set its cookies."""
    for path in ("/", "/product/cup", "/video", "/about", "/newsletter"):
        plain_visit.go(path)
        plain_visit.settle()
    assert plain_visit.cookies() == set()
    assert plain_visit.tracked() == []
    answer(plain_visit, "Accept all")
    expect(plain_visit.page).to_have_url(plain_visit.shop.url + "/product/cup")
    plain_visit.go("/newsletter")
    plain_visit.await_cookies("consent", "_ga", "_fbp")


def test_reject_keeps_everything_out(plain_visit: Visit) -> None:
    """After Reject only the refusal itself is stored."""
    answer(plain_visit, "Reject all")
    plain_visit.go("/newsletter")
    plain_visit.go("/video")
    plain_visit.settle()
    assert plain_visit.cookies() == {"consent"}
    assert plain_visit.tracked() == []


@pytest.mark.conformance("A11Y-3", "EU-4")
def test_the_preferences_are_a_page(plain_visit: Visit) -> None:
    """Choose leads to the whole form; what is saved there holds, and leads back; only then there is a way to withdraw."""
    page = plain_visit.page
    plain_visit.go("/about")
    plain_visit.press("Choose")
    page.get_by_role("heading", name="Cookie settings").wait_for()
    expect(page.get_by_role("button", name="Withdraw consent")).to_be_hidden()
    page.get_by_role("checkbox", name="Google Analytics").check()
    plain_visit.press("Save choices")
    expect(page).to_have_url(plain_visit.shop.url + "/about")
    plain_visit.go("/newsletter")
    plain_visit.await_cookies("consent", "_ga")
    plain_visit.go("/_consent/preferences")
    expect(page.get_by_role("button", name="Withdraw consent")).to_be_visible()


@pytest.mark.conformance("EU-4")
def test_withdrawal_removes_what_was_set(plain_visit: Visit) -> None:
    """Withdraw on the preferences page removes the cookies, at other paths and domains too."""
    answer(plain_visit, "Accept all")
    plain_visit.go("/newsletter")
    plain_visit.context.add_cookies(
        [
            {"name": "_ga", "value": "1", "domain": ".shop.test", "path": "/"},
            {"name": "_fbp", "value": "1", "domain": "www.shop.test", "path": "/product"},
        ]
    )
    plain_visit.page.get_by_role("link", name="Cookie settings").click()
    plain_visit.press("Withdraw consent")
    plain_visit.page.get_by_text("Your consent is withdrawn.").wait_for()
    plain_visit.go("/product/cup")
    plain_visit.go("/product/cup")
    plain_visit.await_cookies("consent")
