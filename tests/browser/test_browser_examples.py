"""No tracking before consent: the same test on each of the examples' sites, each started by its own command."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from browser.conftest import Process, Shop, overflow, violations
from examples.start import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.conftest import MakeVisit, Tracker, Visit

pytestmark = pytest.mark.browser

HOST = "127.0.0.1"
ESSENTIAL = {"consent", "session", "sessionid", "csrftoken"}
BY_SCRIPTS = {"_ga_DEMO", "hs_visitor"}
# htmx keeps where Back leads, for as long as the tab is open.
NEEDED = ["htmx-current-path-for-history"]
THIRD_PARTY = {"tracker_id"}  # the third party's own, which only it can delete
# Of each site: the page where its server sets a tracker's cookie, that cookie, and the kinds of pages that there are.
SITES = {
    "flask-shop": ("/tea/mint", "_ga", {"/", "/tea/", "/basket/", "/for-you", "/film", "/privacy"}),
    "fastapi-blog": ("/newsletter", "_fbp", {"/", "/posts", "/posts/", "/film", "/newsletter", "/privacy"}),
    "django-site": ("/tour/", "_ga", {"/", "/event/", "/tour/", "/account/", "/privacy/"}),
    "static-site": ("/summer", "_fbp", {"/", "/rooms.html", "/way-up.html", "/summer", "/privacy.html"}),
    "litestar-app": ("/webcam", "_ga", {"/", "/trail/", "/webcam", "/privacy"}),
}


class Site(Shop):
    """An example, started as its visitor starts it."""

    def __init__(self, name: str, process: Process, tracker: Tracker) -> None:
        self.name = name
        self.tracker = tracker
        self._process = process
        self.port = process.port("Open")

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{HOST}:{self.port}"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, tracker: Tracker) -> Iterator[dict[str, Site]]:
    """All examples, started side by side; at the end each has to end cleanly by Ctrl-C."""
    logs = tmp_path_factory.mktemp("examples")
    arguments = ("--port", "0", "--tracker-port", str(tracker.port))
    started = {name: Process(logs / name, "-m", "examples.start", name, *arguments) for name in EXAMPLES}
    yield {name: Site(name, process, tracker) for name, process in started.items()}
    with ThreadPoolExecutor() as pool:
        ended = dict(
            zip(started, pool.map(lambda one: one.stop(signal.SIGINT), started.values()), strict=True)
        )
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(EXAMPLES, 0)
    assert [name for name, (_, errors) in ended.items() if "Traceback" in errors] == []


@pytest.fixture(params=EXAMPLES)
def shop(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    """One of them; what `make_visit` visits."""
    return sites[request.param]


def watched(visit: Visit) -> list[str]:
    """Return a list that every request of a visit to another host than the site's is put into."""
    found: list[str] = []

    def note(url: str) -> None:
        if not url.startswith((visit.shop.url, "data:", "about:")):
            found.append(url)

    visit.page.on("request", lambda request: note(request.url))
    return found


def read_all(visit: Visit) -> set[str]:
    """Visit a page of each kind that a link leads to, and let it do what it does; return the kinds."""
    found, waiting = set[str](), ["/"]
    while waiting:
        path = waiting.pop()
        if kind_of(path) in found:
            continue
        found.add(kind_of(path))
        visit.go(path)
        visit.settle()
        assert stored(visit) == [], path
        links: list[str] = visit.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        own = {link.removeprefix(visit.shop.url) for link in links if link.startswith(visit.shop.url + "/")}
        # Our own pages are tried elsewhere.
        waiting += sorted(path for path in own if not path.startswith("/_consent/"))
    return found


def kind_of(path: str) -> str:
    """Return what pages have in common of which one is enough: products, posts, or one page alone."""
    folder = re.match(r"/[^/?#]+/", path)
    return folder[0] if folder else re.split(r"[?#]", path)[0]


def stored(visit: Visit) -> list[str]:
    """Return what a page keeps in the browser's storage beyond what it needs."""
    return [name for name in visit.storage() if name not in NEEDED]


def test_nothing_tracks_before_consent(make_visit: MakeVisit, shop: Site) -> None:
    """A visitor who reads every page, and then refuses, is not seen by anyone, and keeps no cookie that is not needed."""
    visit = make_visit()
    elsewhere = watched(visit)
    assert read_all(visit) == SITES[shop.name][2]
    assert visit.cookies() <= ESSENTIAL
    visit.go("/")
    assert violations(visit.page) == []
    assert overflow(visit.page) <= 0
    visit.reject()
    visit.settle()
    visit.go(SITES[shop.name][0])
    visit.settle()
    assert "consent" in visit.cookies() <= ESSENTIAL
    assert stored(visit) == []
    assert (visit.tracked(), elsewhere) == ([], [])


def test_consent_and_withdrawal(make_visit: MakeVisit, shop: Site) -> None:
    """Who accepts is counted, by scripts and by the server; who takes it back is not any more, and what was kept goes."""
    page, cookie, _ = SITES[shop.name]
    visit = make_visit()
    visit.go("/")
    visit.accept()
    visit.go(page)
    visit.settle()
    assert {*BY_SCRIPTS, cookie} <= visit.cookies() <= {*BY_SCRIPTS, cookie, *ESSENTIAL, *THIRD_PARTY}
    assert stored(visit) == ["hs_analytics", "hs_last"]
    assert {what.partition("?")[0] for what in visit.tracked()} >= {"/analytics.js", "/stats.js"}
    visit.withdraw()
    visit.settle()
    seen = len(visit.tracked())
    visit.go(page)
    visit.settle()
    assert visit.cookies() <= {*ESSENTIAL, *THIRD_PARTY}
    assert stored(visit) == []
    assert visit.tracked()[seen:] == []


def test_a_signal_is_an_answer(make_visit: MakeVisit, shop: Site) -> None:
    """Whose browser sends Global Privacy Control is asked nothing, and tracked by nobody."""
    visit = make_visit(extra_http_headers={"Sec-GPC": "1"})
    visit.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    elsewhere = watched(visit)
    for path in ("/", SITES[shop.name][0]):
        visit.go(path)
        visit.settle()
        assert not visit.page.locator("#consent-banner").is_visible()
    assert visit.cookies() <= ESSENTIAL
    assert (stored(visit), visit.tracked(), elsewhere) == ([], [], [])


def test_it_works_with_scripts_off(make_visit: MakeVisit, shop: Site) -> None:
    """Without scripts nothing tracks either, and Reject all is a form that works."""
    visit = make_visit(java_script_enabled=False)
    elsewhere = watched(visit)
    for path in ("/", SITES[shop.name][0]):
        visit.go(path)
        visit.settle()
    visit.press("Reject all")
    visit.page.locator("#consent-banner").wait_for(state="detached")
    visit.settle()
    assert "consent" in visit.cookies() <= ESSENTIAL
    assert (visit.tracked(), elsewhere) == ([], [])
