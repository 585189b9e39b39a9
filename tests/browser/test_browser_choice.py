"""Before any choice, after Accept, after Reject, after a choice of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser.conftest import Visit

pytestmark = pytest.mark.browser

PAGES = ("/", "/product/cup", "/video", "/basket", "/login", "/about", "/privacy", "/kiln", "/seen")


@pytest.mark.conformance("EU-1")
def test_nothing_is_set_before_a_choice(visit: Visit) -> None:
    """No page and no redirect leaves a cookie or anything in storage before the visitor has chosen."""
    for path in (*PAGES, "/newsletter"):
        visit.go(path)
    assert visit.cookies() == set()
    assert visit.storage() == []


@pytest.mark.conformance("EU-1")
def test_no_marked_up_tag_loads_before_a_choice(visit: Visit) -> None:
    """No page asks the third party for anything before the visitor has chosen."""
    requested: list[str] = []
    visit.page.on("request", lambda request: requested.append(request.url))
    for path in PAGES:
        visit.go(path)
    visit.page.wait_for_load_state("networkidle")
    assert [url for url in requested if not url.startswith(visit.shop.url)] == []
    assert visit.tracked() == []
    assert visit.tags() == []


def test_essential_cookies_work_before_a_choice(visit: Visit) -> None:
    """Logging in and filling a basket work, and set only what the shop needs."""
    visit.go("/login")
    visit.page.get_by_label("Your name").fill("Ada")
    visit.press("Log in")
    visit.page.get_by_role("heading", name="Hello Ada").wait_for()
    visit.go("/product/cup")
    visit.press("Put into the basket")
    visit.page.get_by_role("cell", name="Morning cup").wait_for()
    assert visit.cookies() == {"session", "basket", "__stripe_mid"}


@pytest.mark.conformance("EU-2", "CA-8")
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


def test_accept_runs_held_scripts_in_document_order(visit: Visit) -> None:
    """Held scripts run in the order in which they stand, each external one awaited."""
    visit.go("/")
    visit.accept()
    assert [tag for tag in visit.tags() if tag != "advert"] == ["analytics.js", "inline", "stats.js"]


def test_accept_lets_page_scripts_write(visit: Visit) -> None:
    """The cookies and storage of the page's scripts are there, at the domain the script chose."""
    visit.go("/")
    visit.accept()
    assert {"_gid", "_ga_DEMO", "hs_visitor"} <= visit.cookies()
    assert visit.storage() == ["hs_analytics", "hs_last"]
    domains = {cookie["name"]: cookie["domain"] for cookie in visit.context.cookies()}
    assert domains["_ga_DEMO"] == ".shop.test"


def test_accept_lets_the_server_set_its_cookie(visit: Visit) -> None:
    """The server's analytics cookie arrives with the next page, and reaches the shop after that."""
    visit.go("/")
    visit.accept()
    visit.go("/privacy")
    assert "_ga" in visit.cookies()
    visit.go("/seen")
    assert visit.page.get_by_role("listitem").get_by_text("_ga", exact=True).count() == 2


def test_accept_lets_a_redirect_set_its_cookie(visit: Visit) -> None:
    """The marketing cookie on a redirect is set."""
    visit.go("/")
    visit.accept()
    visit.go("/newsletter")
    assert "_fbp" in visit.cookies()


def test_accept_opens_templates(visit: Visit) -> None:
    """HTML held in a template appears, with its image and its script."""
    visit.go("/")
    with visit.page.expect_response("**/pixel.gif?by=advert"):
        visit.accept()
    assert visit.page.get_by_role("complementary", name="Advertisement").is_visible()
    visit.page.wait_for_function("window.shopTags.includes('advert')")


def test_accept_loads_the_pixel(visit: Visit) -> None:
    """A held image is loaded."""
    visit.go("/product/cup")
    with visit.page.expect_response("**/pixel.gif?by=meta&product=cup"):
        visit.accept()
    assert "/pixel.gif?by=meta&product=cup" in visit.tracked()


def test_accept_loads_the_video(visit: Visit) -> None:
    """A held frame is loaded."""
    visit.go("/video")
    visit.accept()
    frame = visit.page.frame_locator("iframe[title='How a cup is thrown']")
    frame.get_by_text("This is the video").wait_for()
    assert "/embed/cup" in visit.tracked()


def test_accept_closes_the_banner_and_keeps_it_closed(visit: Visit) -> None:
    """The banner goes at once, and does not come back on the next page."""
    visit.go("/")
    visit.accept()
    assert visit.page.locator("#consent-banner").is_hidden()
    visit.go("/product/vase")
    assert visit.page.locator("#consent-banner").count() == 0


def test_reject_keeps_everything_out(visit: Visit) -> None:
    """After Reject no page sets, stores or loads anything, and the banner stays away."""
    visit.go("/")
    visit.reject()
    for path in ("/product/cup", "/video", "/about", "/newsletter"):
        visit.go(path)
        assert visit.page.locator("#consent-banner").is_hidden()
    assert visit.cookies() == {"consent"}
    assert visit.storage() == []
    assert visit.tracked() == []


def test_a_refusal_holds_no_identifier(visit: Visit) -> None:
    """The cookie of a refusal has an empty place where the id of a grant stands."""
    visit.go("/")
    visit.reject()
    (cookie,) = visit.context.cookies()
    assert cookie["value"].split(".")[5] == ""


def test_a_choice_of_some_loads_only_those(visit: Visit) -> None:
    """With statistics allowed and marketing not, scripts count, and no advert, pixel or video loads."""
    visit.go("/video")
    visit.press("Choose")
    visit.page.get_by_role("checkbox", name="Statistics").check()
    with visit.page.expect_response("**/collect.gif?by=stats.js*"):
        visit.press("Save choices")
    visit.go("/newsletter")
    visit.page.wait_for_load_state("networkidle")
    assert "_ga" in visit.cookies()
    assert "_fbp" not in visit.cookies()
    assert [what for what in visit.tracked() if what.startswith(("/pixel", "/embed"))] == []


def test_the_shop_is_told_the_answer(visit: Visit) -> None:
    """What the app reads follows the choice."""
    visit.go("/seen")
    visit.page.get_by_text("You have not answered yet.").wait_for()
    visit.accept()
    visit.go("/seen")
    visit.page.get_by_text("You have answered.").wait_for()
    assert visit.page.get_by_role("row", name="meta-pixel yes").count() == 1


def test_an_answer_survives_leaving_at_once(visit: Visit) -> None:
    """Who answers and follows a link in the same moment has answered."""
    visit.go("/")
    visit.page.evaluate(
        "() => { for (const css of ['[value=reject_all]', 'a[href=\"/video\"]']) document.querySelector(css).click(); }"
    )
    visit.page.wait_for_url("**/video")
    visit.page.wait_for_function("document.cookie.startsWith('consent=')")
    assert visit.cookies() == {"consent"}
