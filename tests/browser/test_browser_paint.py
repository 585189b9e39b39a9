"""The banner comes whole: however slowly a page arrives, nothing of it grows or moves once it is painted."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from browser.conftest import KEY, WAIT_S
from browser.test_browser_first_layer import declaration, page_in
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WATCH = """
window.shift = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries()) shift += one.value; })
    .observe({type: "layout-shift", buffered: true});
"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
CUT = b"<strong>"


class Slow:
    """A site whose page stops in the middle of the banner until the rest is let go.

    Args:
        ends: Whether the banner has the element that ends ours.
    """

    def __init__(self, *, ends: bool) -> None:
        self.rest = Event()
        self._ends = ends
        inner = ConsentMiddleware(self._page, declaration("en"), KEY)
        self._inner: Any = inner
        self._server = make_server("127.0.0.1", 0, self._slowly, threaded=True)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    @staticmethod
    def _page(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [page_in("en")]

    def _slowly(self, environ: Any, start_response: Any) -> Iterator[bytes]:
        body = b"".join(self._inner(environ, start_response))
        if environ["PATH_INFO"] == "/":
            body = body if self._ends else body.replace(b'<i hidden="hidden"></i>', b"")
            start, cut, rest = body.partition(CUT)
            assert b'id="consent-banner"' in start
            yield start + cut
            self.rest.wait(WAIT_S)
            body = rest
        yield body

    def stop(self) -> None:
        """End it."""
        self.rest.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def half_read(browser: Browser, request: pytest.FixtureRequest) -> Iterator[tuple[Page, Slow]]:
    """A page of which the first half of the banner has come."""
    site = Slow(ends=getattr(request, "param", True))
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(site.url, wait_until="commit")
    page.locator("#consent-banner p").wait_for(state="attached")
    yield page, site
    context.close()
    site.stop()


def test_half_a_banner_is_not_painted(half_read: tuple[Page, Slow]) -> None:
    """What has been read of it stays out of sight until all of it is there; then nothing has moved."""
    page, site = half_read
    banner = page.locator("#consent-banner")
    page.evaluate(PAINTED)
    assert banner.locator("button").count() == 0
    expect(banner).to_be_hidden()
    site.rest.set()
    expect(banner.get_by_role("button", name="Reject all")).to_be_visible()
    page.wait_for_load_state()
    page.evaluate(PAINTED)
    assert page.evaluate("shift") == 0


@pytest.mark.parametrize("half_read", [False], indirect=True)
def test_a_banner_of_the_sites_own_waits_no_longer_than_a_second(half_read: tuple[Page, Slow]) -> None:
    """A template without our last element shows, complete or not."""
    page, site = half_read
    banner = page.locator("#consent-banner")
    expect(banner).to_be_visible()
    site.rest.set()
    expect(banner.get_by_role("button", name="Reject all")).to_be_visible()
