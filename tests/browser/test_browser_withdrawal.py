"""Taking consent back: what was set is gone, at whatever path and domain it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.conftest import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright._impl._api_structures import SetCookieParam

    from browser.conftest import Visit

pytestmark = pytest.mark.browser

DECLARED = {"_ga", "_gid", "_ga_DEMO", "_fbp", "hs_visitor"}
PLACES = (
    ("www.shop.test", "/"),
    ("www.shop.test", "/product"),
    (".shop.test", "/"),
    (".shop.test", "/product"),
    (".www.shop.test", "/"),
)


def collect(visit: Visit) -> None:
    """Accept all, and visit what sets every cookie."""
    visit.go("/")
    visit.accept()
    visit.go("/newsletter")
    assert until(visit.page, visit.cookies, DECLARED.issubset) >= DECLARED


def plant(visit: Visit, names: Sequence[str], places: Sequence[tuple[str, str]]) -> None:
    """Put these cookies into the browser at each domain and path."""
    cookies: list[SetCookieParam] = [
        {"name": name, "value": "1", "domain": domain, "path": path}
        for name in names
        for domain, path in places
    ]
    visit.context.add_cookies(cookies)


@pytest.mark.conformance("ENF-2")
def test_withdrawal_removes_what_was_set(visit: Visit) -> None:
    """It takes effect at once, runs the site's own clean-up, and no page sets, stores or loads anything again."""
    collect(visit)
    assert visit.storage() != []
    visit.settle()
    before = len(visit.tracked())
    visit.withdraw()
    # The answer itself removes the cookies that every page sees, and a script marked "!analytics" empties the storage.
    assert until(visit.page, visit.cookies, DECLARED.isdisjoint) & DECLARED == set()
    visit.page.wait_for_function("localStorage.length === 0")
    assert visit.storage() == []
    for path in ("/privacy", "/product/cup", "/video", "/about", "/newsletter"):
        visit.go(path)
        visit.settle()
    visit.await_cookies("consent")
    assert visit.tracked()[before:] == []


def test_withdrawal_reaches_every_variant_and_nothing_else(visit: Visit) -> None:
    """Declared cookies go at every path and parent domain, by wildcard too; needed and unknown ones stay."""
    visit.go("/")
    visit.accept()
    plant(visit, ["_fbp", "_ga_X1Y2Z3"], PLACES)
    plant(visit, ["sister_app", "basket"], PLACES[:1])
    visit.withdraw()
    visit.go("/product/cup")
    visit.go("/product/cup")
    visit.await_cookies("consent", "sister_app", "basket")


@pytest.mark.conformance("ENF-1")
@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # the order is the same under both
def test_many_cookies_go_over_the_next_pages(visit: Visit) -> None:
    """More variants than fit one response's headers are gone after a few more pages."""
    visit.go("/")
    visit.accept()
    plant(visit, [f"hs_{number}" for number in range(6)], PLACES)
    visit.withdraw()
    for _ in range(6):
        visit.go("/product/cup")
    visit.await_cookies("consent")


def test_reject_removes_what_stood_there_before(visit: Visit) -> None:
    """Declared cookies from before the banner came stay until the visitor answers, and go with Reject."""
    plant(visit, ["_ga", "_fbp"], PLACES)
    visit.go("/product/cup")
    visit.settle()
    assert visit.cookies() == {"_ga", "_fbp"}
    visit.reject()
    visit.go("/product/cup")
    visit.go("/product/cup")
    visit.await_cookies("consent")


@pytest.mark.parametrize("shop", ["wsgi"], indirect=True)  # which cookies go is the same under both servers
def test_withdrawal_of_one_service_leaves_the_others(visit: Visit) -> None:
    """Unticking Meta Pixel removes its cookie, and statistics go on."""
    collect(visit)
    visit.open_dialog()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("group", name="Marketing").get_by_text("2 services").click()
    dialog.get_by_role("checkbox", name="Meta Pixel").uncheck()
    visit.press("Save choices")
    dialog.wait_for(state="detached")
    visit.go("/newsletter")
    assert "_fbp" not in until(visit.page, visit.cookies, lambda found: "_fbp" not in found)
    assert {"_ga", "_gid"} <= visit.cookies()
