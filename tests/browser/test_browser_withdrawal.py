"""Taking consent back: what was set is gone, at whatever path and domain it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    assert visit.cookies() >= DECLARED


def plant(visit: Visit, names: Sequence[str], places: Sequence[tuple[str, str]]) -> None:
    """Put these cookies into the browser at each domain and path."""
    cookies: list[SetCookieParam] = [
        {"name": name, "value": "1", "domain": domain, "path": path}
        for name in names
        for domain, path in places
    ]
    visit.context.add_cookies(cookies)


def test_withdrawal_removes_what_was_set(visit: Visit) -> None:
    """Once the next page has come, every declared cookie is gone."""
    collect(visit)
    visit.withdraw()
    visit.go("/privacy")
    assert visit.cookies() == {"consent"}


@pytest.mark.conformance("ENF-2")
def test_withdrawal_takes_effect_at_once(visit: Visit) -> None:
    """The answer itself removes the cookies that every page sees; no page need be opened."""
    collect(visit)
    visit.withdraw()
    assert visit.cookies() & DECLARED == set()


def test_withdrawal_runs_the_sites_own_clean_up(visit: Visit) -> None:
    """A script marked "!analytics" runs when analytics is withdrawn: here it empties the storage."""
    visit.go("/")
    visit.accept()
    assert visit.storage() != []
    visit.withdraw()
    visit.page.wait_for_function("localStorage.length === 0")
    assert visit.storage() == []


@pytest.mark.conformance("ENF-2")
def test_nothing_comes_back_after_withdrawal(visit: Visit) -> None:
    """Pages opened after the withdrawal set, store and load nothing again."""
    collect(visit)
    visit.withdraw()
    before = len(visit.tracked())
    for path in ("/product/cup", "/video", "/about", "/newsletter"):
        visit.go(path)
    visit.page.wait_for_load_state("networkidle")
    assert visit.cookies() == {"consent"}
    assert visit.tracked()[before:] == []


@pytest.mark.parametrize("name", ["_fbp", "_ga_X1Y2Z3"])
def test_withdrawal_reaches_path_and_domain_variants(visit: Visit, name: str) -> None:
    """A declared cookie is removed at every path and parent domain, by wildcard too."""
    visit.go("/")
    visit.accept()
    plant(visit, [name], PLACES)
    visit.withdraw()
    visit.go("/product/cup")
    visit.go("/product/cup")
    assert name not in visit.cookies()


def test_reject_removes_what_stood_there_before(visit: Visit) -> None:
    """Declared cookies from before the banner came stay until the visitor answers, and go with Reject."""
    plant(visit, ["_ga", "_fbp"], PLACES)
    visit.go("/product/cup")
    assert visit.cookies() == {"_ga", "_fbp"}
    visit.reject()
    visit.go("/product/cup")
    visit.go("/product/cup")
    assert visit.cookies() == {"consent"}


def test_withdrawal_leaves_alone_what_nobody_declared(visit: Visit) -> None:
    """Cookies that the shop needs and cookies of unknown origin survive a withdrawal."""
    visit.go("/")
    visit.accept()
    plant(visit, ["sister_app", "basket"], PLACES[:1])
    visit.withdraw()
    visit.go("/")
    assert visit.cookies() == {"consent", "sister_app", "basket"}


@pytest.mark.conformance("ENF-1")
def test_many_cookies_go_over_the_next_pages(visit: Visit) -> None:
    """More variants than fit one response's headers are gone after a few more pages."""
    visit.go("/")
    visit.accept()
    plant(visit, [f"hs_{number}" for number in range(6)], PLACES)
    visit.withdraw()
    for _ in range(6):
        visit.go("/product/cup")
    assert visit.cookies() == {"consent"}


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
    assert "_fbp" not in visit.cookies()
    assert {"_ga", "_gid"} <= visit.cookies()
