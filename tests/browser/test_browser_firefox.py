"""Signals as browsers send them: Firefox by its own preferences, Chromium with a header and a property beside it.

Each browser visits the demo under opt-in and under opt-out, then comes back without its signal.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from browser.conftest import WAIT_S, Process, Shop, Tracker, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(FIREFOX is None, reason="needs a Firefox: apt-get install firefox-esr")
PREFERENCES: dict[str, dict[str, str | float | bool]] = {
    "gpc": {
        "privacy.globalprivacycontrol.enabled": True,
        "privacy.globalprivacycontrol.functionality.enabled": True,
    },
    "dnt": {"privacy.donottrackheader.enabled": True},
}
HEADERS = {"gpc": {"Sec-GPC": "1"}, "dnt": {"DNT": "1"}}
PROPERTIES = {
    "gpc": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })",
    "dnt": "Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => '1' })",
}
SERVERS = {"opt-in": "asgi", "opt-out": "wsgi"}
# An advert in a template, which Firefox reads ahead; Meta's pixel; YouTube's video.
PAGES = ("/", "/product/cup", "/video")
MARKETING = ("/pixel.gif", "/embed/")
HONOURED = "Opt-Out Preference Signal Honored"
SCRIPT = "({ gpc: navigator.globalPrivacyControl === true, dnt: navigator.doNotTrack === '1' })"
STATE = "fetch('/_consent/state.json').then((answer) => answer.json())"


@dataclass(frozen=True, slots=True)
class Look:
    """What a visit of several pages has shown.

    Attributes:
        sent: Which signals the server has seen.
        script: Which signals the page's own script sees.
        status: What stands beside the link.
        banner: How many banners the page has.
        marketing: Whether the guard lets marketing through.
        tracked: What was asked of the third party.
        methods: Of the records that the visit has left.
        storage: The browser's cookies and storage at its end.
    """

    sent: dict[str, bool]
    script: dict[str, bool]
    status: str
    banner: int
    marketing: bool
    tracked: tuple[str, ...]
    methods: tuple[str, ...]
    storage: Any

    @property
    def advertised(self) -> list[str]:
        """What of marketing was loaded."""
        return [what for what in self.tracked if what.startswith(MARKETING)]


def methods(shop: Shop) -> tuple[str, ...]:
    """Return how each recorded choice was made, oldest first."""
    with closing(sqlite3.connect(shop.folder / "records.db")) as records:
        if not records.execute("SELECT 1 FROM sqlite_master WHERE name = 'consent_records'").fetchall():
            return ()  # the first record makes its table
        rows = records.execute(
            "SELECT method FROM consent_records WHERE kind = 'consent' ORDER BY sequence"
        ).fetchall()
    return tuple(method for (method,) in rows)


def await_record(shop: Shop, before: int) -> None:
    """Wait until there are more records than before: signals are recorded in the background."""
    end = time.monotonic() + WAIT_S
    while len(methods(shop)) == before and time.monotonic() < end:
        time.sleep(0.05)


def look(
    browser: Browser,
    shop: Shop,
    script: str = "",
    *,
    pages: tuple[str, ...] = PAGES,
    awaited: bool = False,
    **settings: Any,
) -> Look:
    """Visit pages and look around; a record that is awaited gets one more visit."""
    before = len(methods(shop))
    context = browser.new_context(reduced_motion="reduce", **settings)
    context.set_default_timeout(WAIT_S * 1000)
    if script:
        context.add_init_script(script)
    visit = Visit(context, shop)
    for path in pages:
        visit.go(path)
        visit.settle()  # the next page would cut off what this one still asks for
    if awaited:
        await_record(shop, before)
        visit.go("/video")
        visit.settle()
    found = Look(
        sent=visit.page.evaluate(STATE)["signals"],
        script=visit.page.evaluate(SCRIPT),
        status=visit.page.locator("#consent-link [role=status]").inner_text(),
        banner=visit.page.locator("#consent-banner").count(),
        marketing=visit.page.evaluate("window.consent.acceptedCategory('marketing')"),
        tracked=tuple(visit.tracked()),
        methods=methods(shop)[before:],
        storage=context.storage_state(),
    )
    visit.leave()
    return found


def under_both(
    browser: Browser, shops: Mapping[str, Shop], script: str = "", **settings: Any
) -> dict[str, Look]:
    """Return what a browser sees under each regime."""
    return {
        "opt-in": look(browser, shops["opt-in"], script, pages=(PAGES[0], PAGES[-1]), **settings),
        "opt-out": look(browser, shops["opt-out"], script, awaited=True, **settings),
    }


def in_firefox(signal: str, shops: Mapping[str, Shop]) -> dict[str, Look]:
    """Return what a Firefox sees that sends the signal itself; run in a thread of its own, as Playwright demands."""
    with sync_playwright() as playwright:
        firefox = playwright.firefox.launch(
            channel="moz-firefox",
            executable_path=FIREFOX,
            firefox_user_prefs={**PREFERENCES[signal], "network.dns.localDomains": "www.shop.test"},
        )
        found = under_both(firefox, shops)
        firefox.close()
    return found


def in_chromium(browser: Browser, signal: str, shops: Mapping[str, Shop]) -> dict[str, Look]:
    """Return what a Chromium sees to which an extension has given the signal."""
    return under_both(browser, shops, PROPERTIES[signal], extra_http_headers=HEADERS[signal])


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shop]]:
    """The demo under each regime, and a third party of their own: one log holds the last few hundred requests."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        log = tmp_path_factory.mktemp("tracker") / "log"
        third_party = Process(log, "-m", "examples.shop.tracker", "--port", "0")
        stack.callback(third_party.stop)
        tracker = Tracker(third_party.port("Tracker"))
        found = {}
        for regime, server in SERVERS.items():
            patch.setenv("SHOP_REGIME", regime)
            found[regime] = Shop(server, tmp_path_factory.mktemp("shop"), tracker)
            stack.callback(found[regime].stop)
        yield found


@dataclass(frozen=True, slots=True)
class Looks:
    """What one browser has seen with one signal, and then without.

    Attributes:
        signal: ``gpc`` or ``dnt``.
        first: With the signal on, by regime.
        later: Come back under opt-out, without it.
    """

    signal: str
    first: dict[str, Look]
    later: Look


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("firefox", "gpc"), id="firefox-gpc", marks=needs_firefox),
        pytest.param(("firefox", "dnt"), id="firefox-dnt", marks=needs_firefox),
        pytest.param(("chromium", "gpc"), id="chromium-gpc"),
        pytest.param(("chromium", "dnt"), id="chromium-dnt"),
    ],
)
def looks(request: pytest.FixtureRequest, browser: Browser, shops: dict[str, Shop]) -> Looks:
    """What this browser has seen."""
    name, signal = request.param
    if name == "firefox":
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(in_firefox, signal, shops).result()
    else:
        first = in_chromium(browser, signal, shops)
    state = first["opt-out"].storage
    return Looks(signal, first, look(browser, shops["opt-out"], storage_state=state))


@pytest.fixture(params=list(SERVERS))
def seen(request: pytest.FixtureRequest, looks: Looks) -> Look:
    """What it has seen under this regime, with the signal on."""
    return looks.first[request.param]


def test_without_a_signal_marketing_loads_under_opt_out(browser: Browser, shops: dict[str, Shop]) -> None:
    """The control: who sends no signal gets the pixel and the video, so that the other tests can fail."""
    seen = look(browser, shops["opt-out"])
    assert seen.sent == {"gpc": False, "dnt": False}
    assert {what.partition("?")[0] for what in seen.advertised} == {"/pixel.gif", "/embed/cup"}
    assert seen.marketing is True
    assert seen.methods == ()
    assert seen.status == ""


@pytest.mark.conformance("GPC-7")
def test_server_and_script_see_the_same_signal(looks: Looks, seen: Look) -> None:
    """What the browser sends of itself reaches the server, and the page's script sees the same."""
    assert seen.sent == {"gpc": looks.signal == "gpc", "dnt": looks.signal == "dnt"}
    assert seen.script == seen.sent


@pytest.mark.conformance("CA-1")
def test_nobody_who_signals_is_asked_nor_shared(seen: Look) -> None:
    """No banner, nothing of marketing loads, and the guard holds it, too."""
    assert seen.banner == 0
    assert seen.marketing is False
    assert seen.advertised == []


def test_what_is_not_sold_follows_the_regime(looks: Looks) -> None:
    """Counting visits is nobody's sale: it works under opt-out, and waits under opt-in."""
    assert looks.first["opt-in"].tracked == ()
    assert any("stats.js" in what for what in looks.first["opt-out"].tracked)


@pytest.mark.conformance("CA-4")
def test_the_page_says_that_the_signal_is_honoured(seen: Look) -> None:
    """The words stand beside the link, not in front of the page."""
    assert seen.status == HONOURED


@pytest.mark.conformance("ROW-2")
def test_under_opt_in_nothing_is_kept(looks: Looks) -> None:
    """There silence denies already: no cookie, no storage, no record."""
    seen = looks.first["opt-in"]
    assert seen.storage == {"cookies": [], "origins": []}
    assert seen.methods == ()


@pytest.mark.conformance("GPC-6")
def test_under_opt_out_the_opt_out_is_recorded_once(looks: Looks) -> None:
    """Three pages make one record, which says that the signal made it."""
    assert looks.first["opt-out"].methods == (f"signal:{looks.signal}",)


@pytest.mark.conformance("CA-3", "ROW-14")
def test_the_opt_out_outlasts_the_signal(looks: Looks) -> None:
    """Whoever comes back without the signal is still opted out, and nothing is recorded again."""
    assert looks.later.sent == {"gpc": False, "dnt": False}
    assert looks.later.marketing is False
    assert looks.later.advertised == []
    assert looks.later.banner == 0
    assert looks.later.methods == ()
