"""Pages that are the same for everyone: their script asks the server who the visitor is, and what holds follows.

The demo's /about under opt-out and opt-in; a small site whose visitors' regions differ; and what opt-out adds to
pages, as axe sees it.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from browser.conftest import DRAWN, KEY, WAIT_S, Shop, overflow, until, violations
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route

    from browser.conftest import MakeVisit, Tracker, Visit

pytestmark = pytest.mark.browser

HEADERS = {"gpc": {"Sec-GPC": "1"}, "dnt": {"DNT": "1"}}
PROPERTIES = {
    "gpc": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })",
    "dnt": "Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => '1' })",
}
HONOURED = "Opt-Out Preference Signal Honored"
MARKETING = "window.consent.acceptedCategory('marketing')"
OPT_OUT = "Do Not Sell or Share My Personal Information"


def started(regime: str, server: str, folder: Any, tracker: Tracker) -> Shop:
    """Start the demo with a regime of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_REGIME", regime)
        return Shop(server, folder, tracker)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tracker: Tracker) -> Iterator[Shop]:
    """The demo, under opt-out."""
    shop = started("opt-out", "asgi", tmp_path_factory.mktemp("shop"), tracker)
    yield shop
    shop.stop()


@pytest.fixture(scope="module")
def asking_shop(tmp_path_factory: pytest.TempPathFactory, tracker: Tracker) -> Iterator[Shop]:
    """The demo, under opt-in."""
    shop = started("opt-in", "wsgi", tmp_path_factory.mktemp("shop"), tracker)
    yield shop
    shop.stop()


@pytest.fixture(params=["gpc", "dnt"])
def signalling(request: pytest.FixtureRequest, make_visit: MakeVisit) -> Callable[..., Visit]:
    """Begin visits of browsers that send a signal, as a header and to scripts."""

    def make(*shops: Shop) -> Visit:
        visit = make_visit(*shops, extra_http_headers=HEADERS[request.param])
        visit.context.add_init_script(PROPERTIES[request.param])
        return visit

    return make


def status(visit: Visit) -> Any:
    """Return what stands beside the link."""
    return visit.page.locator("#consent-link [role=status]")


# -- the demo's page that a CDN may keep


@pytest.mark.conformance("CA-3", "CA-4")
def test_a_signal_on_a_page_for_everyone_is_kept(
    signalling: Callable[..., Visit], make_visit: MakeVisit
) -> None:
    """Under opt-out the page's script learns that the signal is honoured, and the opt-out outlasts the signal."""
    visit = signalling()
    visit.go("/about")
    expect(status(visit)).to_have_text(HONOURED)
    assert "consent" in until(visit.page, visit.cookies, lambda found: "consent" in found)
    visit.settle()
    assert "_fbp" not in visit.cookies()
    assert visit.page.evaluate(MARKETING) is False
    later = make_visit(storage_state=visit.context.storage_state())
    for path in ("/product/cup", "/video"):
        later.go(path)
        later.settle()
    assert later.page.evaluate(MARKETING) is False
    assert [what for what in later.tracked() if what.startswith(("/pixel.gif", "/embed/"))] == []


@pytest.mark.conformance("CA-1", "CA-4", "ROW-2")
def test_under_opt_in_a_signal_is_honoured_and_nothing_kept(
    signalling: Callable[..., Visit], asking_shop: Shop
) -> None:
    """On a page for everyone there is no banner, the status appears, and no cookie is stored."""
    visit = signalling(asking_shop)
    visit.go("/about")
    expect(status(visit)).to_have_text(HONOURED)
    expect(visit.page.locator("#consent-banner")).to_be_hidden()
    visit.settle()
    assert visit.cookies() == set()
    assert visit.tracked() == []


@pytest.mark.conformance("ROW-9")
def test_without_a_signal_a_page_for_everyone_asks_nothing(visit: Visit) -> None:
    """Under opt-out everything runs, the links stand there, no banner shows, and our cookie is not set."""
    with visit.page.expect_response("**/collect.gif?by=stats.js*"):
        visit.go("/about")
    expect(visit.page.locator("#consent-banner")).to_be_hidden()
    visit.page.get_by_role("link", name="Your Privacy Choices").wait_for()
    visit.page.get_by_role("link", name=OPT_OUT).wait_for()
    assert visit.page.evaluate(MARKETING) is True
    assert "consent" not in visit.cookies()


def test_under_opt_in_without_a_signal_nobody_is_asked_for_the_state(
    make_visit: MakeVisit, asking_shop: Shop
) -> None:
    """A page for everyone costs no further request where its cookie and the browser tell all."""
    visit = make_visit(asking_shop)
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.go("/about")
    visit.settle()
    assert asked
    assert [url for url in asked if url.endswith("state.json")] == []


# -- a site whose visitors' regions differ


class Site:
    """A page for everyone with a tag and a video of one who shares, and who has asked for what.

    Attributes:
        url: Where it is.
        asked: Paths, oldest first; tag and video are the same server under another name.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []

    def page(self) -> bytes:
        """Return the page; nothing in it is marked up."""
        other = self.url.replace("127.0.0.1", "localhost")
        return (
            f'<!doctype html><html lang="en"><head><title>For everyone</title><script src="{other}tag.js"></script></head>'
            f'<body><main><h1>For everyone</h1><img alt="" src="{other}pixel.gif"></main></body></html>'
        ).encode()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer over WSGI."""
        path = environ["PATH_INFO"]
        self.asked.append(path)
        if path == "/":
            headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "public, max-age=60")]
            start_response("200 OK", headers)
            return [self.page()]
        start_response("200 OK", [("Content-Type", "text/javascript"), ("Cache-Control", "no-store")])
        return [b"window.tagRan = true;" if path == "/tag.js" else b""]

    def sold(self) -> list[str]:
        """Return what was asked of the one who shares."""
        return [path for path in self.asked if path in {"/tag.js", "/pixel.gif"}]


@contextmanager
def serving(site: Site) -> Iterator[None]:
    """Serve a site behind the middleware; a header says where its visitors are."""
    config = {
        "site": {"name": "Example Shop", "regime": "by-region"},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "records": {"url": "none"},
        "services": [
            {
                "id": "adverts",
                "name": "Adverts",
                "category": "marketing",
                "provider": "Adverts Ltd.",
                "sells_or_shares": True,
                "hosts": ["localhost"],
            }
        ],
    }
    wrapped = ConsentMiddleware(
        site, config, KEY, region=lambda request: request.headers.get("x-region"), on_opt_out=lambda _: None
    )
    server = make_server("127.0.0.1", 0, wrapped, threaded=True)
    site.url = f"http://127.0.0.1:{server.server_port}/"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


class Stranger:
    """A visitor from a region, whose question about the state waits until the test lets it go."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        context.set_default_timeout(WAIT_S * 1000)
        self.context = context
        self.site = site
        self.page: Page = context.new_page()
        self._asked: list[Route] = []
        self.page.route("**/_consent/state.json", self._hold)
        site.asked.clear()

    def _hold(self, route: Route) -> None:
        self._asked.append(route)

    def arrive(self) -> None:
        """Open the page; return with its question held back."""
        self.page.goto(self.site.url)
        end = time.monotonic() + WAIT_S
        while not self._asked:
            assert time.monotonic() < end, "the page does not ask who the visitor is"
            self.page.wait_for_timeout(20)

    def learn(self) -> dict[str, Any]:
        """Let the question go; return the answer, once the page has it."""
        with self.page.expect_event(
            "requestfinished", lambda request: request.url.endswith("state.json")
        ) as found:
            self._asked.pop().continue_()
        answer = found.value.response()
        assert answer is not None
        state: dict[str, Any] = json.loads(answer.body())
        return state

    def told(self) -> None:
        """Wait until the page has made of the answer, or of its failing, what it makes of it."""
        self.page.wait_for_function("'told' in document.querySelector('script[data-shared]').dataset")
        self.page.evaluate(DRAWN)

    def sold(self, count: int) -> list[str]:
        """Return what was asked of the one who shares, sorted, once it is this much."""
        until(self.page, lambda: len(self.site.sold()) >= count, bool)
        return sorted(self.site.sold())

    def give_up(self) -> None:
        """Let the question fail."""
        self._asked.pop().abort()


@pytest.fixture(scope="module")
def regional() -> Iterator[Site]:
    """A site under by-region."""
    site = Site()
    with serving(site):
        yield site


@pytest.fixture
def arrive(browser: Browser, regional: Site) -> Iterator[Callable[..., Stranger]]:
    """Let visitors arrive."""
    with ExitStack() as stack:

        def make(region: str, *signals: str) -> Stranger:
            headers = {"X-Region": region}
            for signal in signals:
                headers |= HEADERS[signal]
            context = browser.new_context(reduced_motion="reduce", extra_http_headers=headers)
            stack.callback(context.close)
            for signal in signals:
                context.add_init_script(PROPERTIES[signal])
            stranger = Stranger(context, regional)
            stranger.arrive()
            return stranger

        yield make


def test_a_page_for_everyone_is_strict_until_it_knows(arrive: Callable[..., Stranger]) -> None:
    """A visitor from the United States gets the tags once the page has learned who they are, and not before."""
    visitor = arrive("US-CA")
    assert visitor.page.evaluate(MARKETING) is False
    assert visitor.site.sold() == []
    assert visitor.page.locator("#consent-banner").is_hidden()  # nobody is asked in vain
    assert visitor.learn()["regime"] == "opt-out"
    visitor.page.get_by_role("link", name="Your Privacy Choices").wait_for()
    visitor.page.get_by_role("link", name=OPT_OUT).wait_for()
    visitor.page.wait_for_function("window.tagRan")
    expect(visitor.page.locator("#consent-banner")).to_be_hidden()
    assert visitor.page.evaluate(MARKETING) is True
    assert visitor.sold(2) == ["/pixel.gif", "/tag.js"]
    assert visitor.context.cookies() == []


def test_a_page_for_everyone_asks_who_must_be_asked(arrive: Callable[..., Stranger]) -> None:
    """A visitor from Germany sees the banner, and nothing loads before an answer."""
    visitor = arrive("DE")
    assert visitor.learn()["regime"] == "opt-in"
    visitor.told()
    expect(visitor.page.locator("#consent-banner")).to_be_visible()
    assert visitor.site.sold() == []
    visitor.page.get_by_role("button", name="Accept all", exact=True).click()
    visitor.page.wait_for_function("window.tagRan")
    assert visitor.sold(2) == ["/pixel.gif", "/tag.js"]


@pytest.mark.conformance("CA-1", "CA-3", "CA-4")
def test_a_signal_from_the_united_states_is_kept_by_a_page_for_everyone(
    arrive: Callable[..., Stranger],
) -> None:
    """The status appears, the opt-out is stored, and what the page has learned releases nothing."""
    visitor = arrive("US-CA", "gpc")
    assert visitor.page.locator("#consent-banner").is_hidden()
    visitor.learn()
    expect(visitor.page.locator("#consent-link [role=status]")).to_have_text(HONOURED)
    visitor.told()
    assert visitor.site.sold() == []
    kept = until(visitor.page, visitor.context.cookies, bool)
    assert [cookie.get("name") for cookie in kept] == ["consent"]


def test_what_cannot_be_learned_stays_strict(arrive: Callable[..., Stranger]) -> None:
    """A page whose question fails asks, and holds what it held."""
    visitor = arrive("US-CA")
    with visitor.page.expect_event("requestfailed"):
        visitor.give_up()
    visitor.told()
    expect(visitor.page.locator("#consent-banner")).to_be_visible()
    assert visitor.site.sold() == []


# -- what opt-out adds to pages, as axe sees it


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_axe_finds_nothing_under_opt_out(make_visit: MakeVisit, scheme: str, width: int) -> None:
    """The links, and the opt-out page before and after, have no violation and fit the screen."""
    visit = make_visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    found = []
    for path in ("/privacy", "/_consent/opt-out"):
        visit.go(path)
        found += violations(visit.page)
        assert overflow(visit.page) <= 0
    visit.page.locator("button[value=opt_out]").click()
    visit.page.wait_for_url(f"{visit.shop.url}/")
    visit.go("/_consent/opt-out")
    visit.page.locator(".consent-opt-out [role=status]").wait_for()
    found += violations(visit.page)
    assert found == []
