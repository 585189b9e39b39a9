"""Pages of every kind: shared, streamed, failing, strict, from the back/forward cache; processes that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import until

if TYPE_CHECKING:
    from playwright.sync_api import Request

    from browser.conftest import MakeVisit, Shop, Visit

pytestmark = pytest.mark.browser

in_the_page = pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # no server has a part in it
# Below those that a system hands out, so that nobody takes it while its server is started again.
LASTING_PORT = 23_700
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


@in_the_page
def test_a_shared_page_asks_who_has_not_answered_and_nobody_else(visit: Visit) -> None:
    """On a page for everyone guard.js asks; once answered a copy that the browser kept asks no more, nor one that is new."""
    visit.go("/about")
    assert visit.page.evaluate(STATE) == "ask"
    expect(visit.page.locator("#consent-banner")).to_be_visible()
    visit.go("/")
    visit.reject()
    visit.page.get_by_role("link", name="About").click()
    visit.page.get_by_role("heading", name="About us").wait_for()
    for _ in range(2):
        visit.settle()
        assert visit.page.evaluate(STATE) == "decided"
        assert visit.page.locator("#consent-banner").is_hidden()
        visit.page.reload()


def test_a_shared_page_lifts_what_is_allowed(visit: Visit) -> None:
    """Tags of a page for everyone are inert in its bytes and run for who allowed them."""
    visit.go("/")
    visit.accept()
    with visit.page.expect_response("**/collect.gif?by=stats.js&page=%2Fabout*"):
        visit.go("/about")
    assert visit.tags() == ["analytics.js", "inline", "stats.js"]


# -- the back/forward cache


@in_the_page
def test_a_page_from_the_back_forward_cache_follows_a_later_choice(visit: Visit) -> None:
    """Going back to a page that still shows the banner hides it once the visitor has answered elsewhere."""
    visit.go("/")
    visit.settle()
    visit.page.evaluate("addEventListener('pageshow', (event) => { window.fromCache = event.persisted; })")
    visit.go("/privacy")
    visit.reject()
    visit.page.go_back(wait_until="commit")
    visit.page.wait_for_function("window.fromCache === true")
    visit.page.wait_for_function(f"{STATE} === 'decided'")
    expect(visit.page.locator("#consent-banner")).to_be_hidden()


# -- streams, errors, strict policies


def test_streamed_and_failing_pages_ask(visit: Visit) -> None:
    """A page sent in pieces has the banner and all its pieces; pages that fail have it too, and set nothing."""
    visit.go("/kiln")
    expect(visit.page.locator("#consent-banner")).to_be_visible()
    assert visit.page.locator(".readings li").count() == 5
    assert visit.errors == []
    for path, status in (("/error", 500), ("/nowhere", 404)):
        answer = visit.page.goto(visit.shop.url + path)
        assert answer is not None
        assert answer.status == status
        expect(visit.page.locator("#consent-banner")).to_be_visible()
        visit.settle()
        assert visit.cookies() == set()
        assert len(visit.errors) == 1, "the browser itself reports the status"
        visit.errors.clear()


def test_a_strict_policy_lets_banner_and_dialog_work(visit: Visit) -> None:
    """Under nonces, strict-dynamic and Trusted Types the banner answers, tags are lifted, and a withdrawal is taken."""
    visit.go("/login")
    visit.accept()
    assert visit.tags() == ["analytics.js", "inline", "stats.js"]
    visit.withdraw()
    visit.await_cookies("consent")


def test_no_page_logs_an_error(visit: Visit) -> None:
    """No page makes the browser complain with everything allowed; every other test looks for that too."""
    visit.go("/")
    visit.accept()
    for path in ("/product/bowl", "/video", "/basket", "/login", "/about", "/privacy", "/kiln", "/seen"):
        visit.go(path)
        visit.settle()
    assert visit.errors == []


# -- a choice outlives the process that took it


@pytest.mark.parametrize("shop", ["wsgi"], indirect=True)  # as below
def test_a_choice_survives_a_restart(make_visit: MakeVisit, shop: Shop) -> None:
    """A server that was stopped and started again still knows the answer."""
    first = shop.another(LASTING_PORT)
    other = make_visit(first)
    other.go("/")
    other.accept()
    other.settle()
    other.page.goto("about:blank")  # nothing may be asked of a server that is not there
    first.stop()
    second = first.another(first.port)
    other.shop = second
    other.go("/privacy")
    assert second.port == first.port
    assert other.page.locator("#consent-banner").count() == 0
    assert "_ga" in until(other.page, other.cookies, lambda found: "_ga" in found)
    second.stop()


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # key and records are the same under both servers
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
    visit.await_cookies("consent")
    worker.stop()


@in_the_page
def test_another_tab_follows(visit: Visit) -> None:
    """A second tab that still asks stops asking once it is looked at after the answer."""
    visit.go("/")
    tab = visit.context.new_page()
    tab.goto(f"{visit.shop.url}/privacy")
    tab.locator("#consent-banner").wait_for()
    visit.reject()
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tab.locator("#consent-banner")).to_be_hidden()


@in_the_page
def test_only_the_choice_is_sent(visit: Visit) -> None:
    """Answering sends one request, to the shop itself, and no other."""
    visit.go("/seen")
    visit.settle()
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.append(f"{request.method} {request.url}")

    visit.page.on("request", note)
    visit.reject()
    visit.settle()
    assert sent == [f"POST {visit.shop.url}/_consent/choice"]
