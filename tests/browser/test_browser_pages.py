"""Pages of every kind: shared, streamed, failing, strict, from the back/forward cache; processes that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Request

    from browser.conftest import MakeVisit, Visit

pytestmark = pytest.mark.browser

STATE = "document.documentElement.dataset.consentState"


# -- pages for everyone


def test_a_shared_page_is_the_same_bytes_for_everyone(make_visit: MakeVisit) -> None:
    """A publicly cacheable page is byte-identical before a choice, after Accept and after Reject."""
    bodies = []
    for button in ("", "Accept all", "Reject all"):
        visit = make_visit()
        visit.go("/")
        if button:
            visit.press(button)
            expect(visit.page.locator("#consent-banner")).to_be_hidden()
        answer = visit.page.goto(f"{visit.shop.url}/about")
        assert answer is not None
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert "set-cookie" not in answer.headers
        assert "cookie" not in answer.headers.get("vary", "").lower()
        bodies.append(answer.body())
    assert len(set(bodies)) == 1


def test_a_shared_page_asks_who_has_not_answered(visit: Visit) -> None:
    """On a page for everyone, guard.js shows the banner to a visitor who has not answered."""
    visit.go("/about")
    assert visit.page.evaluate(STATE) == "ask"
    assert visit.page.locator("#consent-banner").is_visible()


def test_a_shared_page_does_not_ask_again(visit: Visit) -> None:
    """On a page for everyone, guard.js hides the banner from a visitor who has answered."""
    visit.go("/")
    visit.reject()
    visit.go("/about")
    assert visit.page.evaluate(STATE) == "decided"
    assert visit.page.locator("#consent-banner").is_hidden()


def test_a_shared_page_lifts_what_is_allowed(visit: Visit) -> None:
    """Tags of a page for everyone are inert in its bytes and run for who allowed them."""
    visit.go("/")
    visit.accept()
    with visit.page.expect_response("**/collect.gif?by=stats.js&page=%2Fabout*"):
        visit.go("/about")
    assert visit.tags() == ["analytics.js", "inline", "stats.js"]


def test_a_cached_page_follows_a_later_choice(visit: Visit) -> None:
    """A page that the browser kept from before the choice does not ask again."""
    visit.go("/about")
    visit.go("/")
    visit.reject()
    visit.page.get_by_role("link", name="About").click()
    visit.page.get_by_role("heading", name="About us").wait_for()
    assert visit.page.evaluate(STATE) == "decided"


# -- the back/forward cache


def test_a_page_from_the_back_forward_cache_follows_a_later_choice(visit: Visit) -> None:
    """Going back to a page that still shows the banner hides it once the visitor has answered elsewhere."""
    visit.go("/")
    visit.page.evaluate("addEventListener('pageshow', (event) => { window.fromCache = event.persisted; })")
    visit.go("/privacy")
    visit.reject()
    visit.page.go_back(wait_until="commit")
    visit.page.wait_for_function("window.fromCache === true")
    assert visit.page.evaluate(STATE) == "decided"
    assert visit.page.locator("#consent-banner").is_hidden()


# -- streams, errors, strict policies


def test_a_streamed_page_asks(visit: Visit) -> None:
    """A page that is sent in pieces has the banner, and all of its pieces."""
    visit.go("/kiln")
    assert visit.page.locator("#consent-banner").is_visible()
    assert visit.page.locator(".readings li").count() == 5


@pytest.mark.parametrize(("path", "status"), [("/error", 500), ("/nowhere", 404)])
def test_an_error_page_asks(visit: Visit, path: str, status: int) -> None:
    """A page that fails has the banner and sets nothing."""
    answer = visit.page.goto(visit.shop.url + path)
    assert answer is not None
    assert answer.status == status
    assert visit.page.locator("#consent-banner").is_visible()
    assert visit.cookies() == set()
    assert len(visit.errors) == 1, "the browser itself reports the status"
    visit.errors.clear()


def test_a_strict_policy_lets_the_banner_work(visit: Visit) -> None:
    """Under nonces, strict-dynamic and Trusted Types the banner shows, answers, and lifts the tags."""
    visit.go("/login")
    visit.accept()
    assert visit.tags() == ["analytics.js", "inline", "stats.js"]


def test_a_strict_policy_lets_the_dialog_work(visit: Visit) -> None:
    """Under the same policy the preferences open and a withdrawal is taken."""
    visit.go("/login")
    visit.accept()
    visit.withdraw()
    assert visit.cookies() == {"consent"}


def test_no_page_logs_an_error(visit: Visit) -> None:
    """No page makes the browser complain with everything allowed; every other test looks for that too."""
    visit.go("/")
    visit.accept()
    for path in ("/product/bowl", "/video", "/basket", "/login", "/about", "/privacy", "/kiln", "/seen"):
        visit.go(path)
    visit.page.wait_for_load_state("networkidle")
    assert visit.errors == []


# -- a choice outlives the process that took it


def test_a_choice_survives_a_restart(make_visit: MakeVisit, visit: Visit) -> None:
    """A server that was stopped and started again still knows the answer."""
    first = visit.shop.another()
    other = make_visit(first)
    other.go("/")
    other.accept()
    first.stop()
    second = first.another(first.port)
    other.shop = second
    other.go("/privacy")
    assert second.port == first.port
    assert other.page.locator("#consent-banner").count() == 0
    assert "_ga" in other.cookies()
    second.stop()


def test_a_choice_holds_in_another_worker(visit: Visit) -> None:
    """A second process with the same key and records knows the answer, and can take it back."""
    visit.go("/")
    visit.accept()
    first, worker = visit.shop, visit.shop.another()
    visit.shop = worker
    visit.go("/privacy")
    assert visit.page.locator("#consent-banner").count() == 0
    visit.withdraw()
    visit.shop = first
    visit.go("/newsletter")
    assert visit.cookies() == {"consent"}
    worker.stop()


def test_another_tab_follows(visit: Visit) -> None:
    """A second tab that still asks stops asking once it is looked at after the answer."""
    visit.go("/")
    tab = visit.context.new_page()
    tab.goto(f"{visit.shop.url}/privacy")
    tab.locator("#consent-banner").wait_for()
    visit.reject()
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tab.locator("#consent-banner")).to_be_hidden()


def test_only_the_choice_is_sent(visit: Visit) -> None:
    """Answering sends one request, to the shop itself, and no other."""
    visit.go("/seen")
    visit.page.wait_for_load_state("networkidle")
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.append(f"{request.method} {request.url}")

    visit.page.on("request", note)
    visit.reject()
    assert sent == [f"POST {visit.shop.url}/_consent/choice"]
