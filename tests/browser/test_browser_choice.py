"""Before any choice, after Accept, after Reject, after a choice of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import until

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = pytest.mark.browser

PAGES = ("/", "/product/cup", "/video", "/basket", "/login", "/about", "/privacy", "/kiln", "/seen")
SCRIPTS_COOKIES = {"_gid", "_ga_DEMO", "hs_visitor"}
in_the_page = pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # no server has a part in it


@pytest.mark.conformance("EU-1")
def test_nothing_is_set_before_a_choice(visit: Visit) -> None:
    """No page and no redirect leaves a cookie or anything in storage, or asks the third party, before a choice."""
    requested: list[str] = []
    visit.page.on("request", lambda request: requested.append(request.url))
    for path in (*PAGES, "/newsletter"):
        visit.go(path)
        visit.settle()
        assert visit.tags() == []
    assert visit.cookies() == set()
    assert visit.storage() == []
    assert requested
    assert [url for url in requested if not url.startswith(visit.shop.url)] == []
    assert visit.tracked() == []


def test_essential_cookies_work_before_a_choice(visit: Visit) -> None:
    """Logging in and filling a basket work, and set only what the shop needs."""
    visit.go("/login")
    visit.page.get_by_label("Your name").fill("Ada")
    visit.press("Log in")
    visit.page.get_by_role("heading", name="Hello Ada").wait_for()
    visit.go("/product/cup")
    visit.press("Put into the basket")
    visit.page.get_by_role("cell", name="Morning cup").wait_for()
    visit.await_cookies("session", "basket", "__stripe_mid")


@pytest.mark.conformance("EU-2", "CA-8")
@in_the_page
def test_the_banner_offers_both_answers_alike(visit: Visit) -> None:
    """Reject all and Accept all are the same size and stand on one line."""
    visit.go("/")
    boxes = [
        visit.page.get_by_role("button", name=name).bounding_box() for name in ("Reject all", "Accept all")
    ]
    reject, accept = [box for box in boxes if box is not None]
    assert (reject["width"], reject["height"], reject["y"]) == (
        accept["width"],
        accept["height"],
        accept["y"],
    )


@in_the_page
def test_accept_runs_held_scripts_in_document_order_and_opens_templates(visit: Visit) -> None:
    """Held scripts run in their order; what stands in a template appears, with its image and its script."""
    visit.go("/")
    with visit.page.expect_response("**/pixel.gif?by=advert"):
        visit.accept()
    visit.page.wait_for_function("window.shopTags.includes('advert')")
    assert [tag for tag in visit.tags() if tag != "advert"] == ["analytics.js", "inline", "stats.js"]
    expect(visit.page.get_by_role("complementary", name="Advertisement")).to_be_visible()


def test_accept_lets_scripts_and_the_server_set_cookies(visit: Visit) -> None:
    """Scripts' cookies and storage are there at once, the server's with the next page, a redirect's with it."""
    visit.go("/")
    visit.accept()
    assert until(visit.page, visit.cookies, SCRIPTS_COOKIES.issubset) >= SCRIPTS_COOKIES
    assert visit.storage() == ["hs_analytics", "hs_last"]
    domains = {cookie.get("name"): cookie.get("domain") for cookie in visit.context.cookies()}
    assert domains["_ga_DEMO"] == ".shop.test"
    visit.go("/privacy")
    assert "_ga" in visit.cookies()
    visit.go("/seen")  # the server has got it back
    expect(visit.page.get_by_role("listitem").get_by_text("_ga", exact=True)).to_have_count(2)
    visit.go("/newsletter")
    assert "_fbp" in visit.cookies()


@in_the_page
def test_accept_loads_the_pixel(visit: Visit) -> None:
    """A held image is loaded."""
    visit.go("/product/cup")
    with visit.page.expect_response("**/pixel.gif?by=meta&product=cup"):
        visit.accept()
    visit.await_tracked("/pixel.gif?by=meta&product=cup")


@in_the_page
def test_accept_loads_the_video(visit: Visit) -> None:
    """A held frame is loaded."""
    visit.go("/video")
    visit.accept()
    frame = visit.page.frame_locator("iframe[title='How a cup is thrown']")
    frame.get_by_text("This is the video").wait_for()
    visit.await_tracked("/embed/cup")


def test_accept_closes_the_banner_and_the_shop_is_told(visit: Visit) -> None:
    """The banner goes at once and does not come back; what the app reads follows the choice."""
    visit.go("/seen")
    visit.page.get_by_text("You have not answered yet.").wait_for()
    visit.accept()
    expect(visit.page.locator("#consent-banner")).to_be_hidden()
    visit.go("/seen")
    assert visit.page.locator("#consent-banner").count() == 0
    visit.page.get_by_text("You have answered.").wait_for()
    expect(visit.page.get_by_role("row", name="meta-pixel yes")).to_have_count(1)


def test_reject_keeps_everything_out(visit: Visit) -> None:
    """After Reject no page sets, stores or loads anything, the banner stays away, and the cookie names nobody."""
    visit.go("/")
    visit.reject()
    visit.await_cookies("consent")
    (cookie,) = visit.context.cookies()
    assert cookie.get("value", "").split(".")[5] == ""  # where the id of a grant stands
    for path in ("/product/cup", "/video", "/about", "/newsletter"):
        visit.go(path)
        visit.settle()
        assert visit.page.locator("#consent-banner").is_hidden()
    assert visit.cookies() == {"consent"}
    assert visit.storage() == []
    assert visit.tracked() == []


def test_a_choice_of_some_loads_only_those(visit: Visit) -> None:
    """With statistics allowed and marketing not, scripts count, and no advert, pixel or video loads."""
    visit.go("/video")
    visit.choose()
    visit.page.get_by_role("checkbox", name="Statistics").check()
    with visit.page.expect_response("**/collect.gif?by=stats.js*"):
        visit.press("Save choices")
    visit.settle()
    visit.go("/newsletter")
    visit.settle()
    assert "_ga" in visit.cookies()
    assert "_fbp" not in visit.cookies()
    assert [what for what in visit.tracked() if what.startswith(("/pixel", "/embed"))] == []


@in_the_page
def test_an_answer_survives_leaving_at_once(visit: Visit) -> None:
    """Who answers and follows a link in the same moment has answered."""
    visit.go("/")
    visit.page.evaluate(
        "() => { for (const css of ['[value=reject_all]', 'a[href=\"/video\"]']) document.querySelector(css).click(); }"
    )
    visit.page.wait_for_url("**/video")
    visit.await_cookies("consent")
