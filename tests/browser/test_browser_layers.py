"""Nothing tracks before consent, even what nobody marked up: every way there is, against every layer alone.

The layers: the server rewrites tags, guard.js holds what scripts do, the Content-Security-Policy stops what is
left. The cookie filter is always on. ``UPDATE_LAYERS=1`` writes the measured table into docs/layers.md.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from browser.conftest import STARTED, WAIT_S, launch, until
from browser.loopback import SITE_HOST, Site, Tracker, serve
from browser.ways import DECLARED, HOSTS, HOUSE, OWN_PATH, SILENT, WAYS, WITHOUT_SCRIPTS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

pytestmark = pytest.mark.browser

DOCUMENT = Path(__file__).parents[2] / "docs" / "layers.md"
BEGIN, END = "<!-- layers: generated -->", "<!-- layers: end -->"
QUIET_S = 0.6
LAYERS = {"T": "Tags alone", "G": "Guard alone", "C": "Policy alone", "TGC": "All three"}
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"
STORED = """async () => [
    ...Object.keys(localStorage), ...Object.keys(sessionStorage),
    ...(await indexedDB.databases()).map((database) => database.name),
]"""
NAMES = {way.name: way.id for way in WAYS if way.kind is Kind.STORAGE}
# What the policy of someone who accepted everything still refuses: it names hosts as they are usually written,
# and of websockets only those over TLS.
STAYS_OUT = frozenset({"script-host-dot", "websocket", "blank-websocket"})
SEEN = [way for way in WAYS if way.id not in SILENT]
DECLARED_WAYS = {way.id for way in SEEN if way.host in DECLARED} - WITHOUT_SCRIPTS - STAYS_OUT


def config(policy: str) -> dict[str, Any]:
    """Return the site's declaration; nothing in it marks up a tag."""
    return {
        "use": ["google-analytics", "x-pixel"],
        "site": {"name": "Example Shop"},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "csp": {"mode": policy},
        "records": {"url": "none"},
        "services": [
            {
                "id": "house-stats",
                "name": "House statistics",
                "category": "analytics",
                "provider": "Example GmbH",
                "sells_or_shares": False,
                "hosts": [HOUSE, OWN_PATH],
                "inline": ["houseStats("],
                "storage": ["hs_*"],
                "cookies": [{"name": "hs_*", "retention": "P13M", "purpose": "Counts visits."}],
            }
        ],
    }


def assert_none(ids: set[str]) -> None:
    """Fail with every way of these named."""
    assert not ids, f"{len(ids)} ways: {', '.join(sorted(ids))}"


class Visit:
    """One visitor, in a profile of their own.

    Args:
        browser: Their browser.
        site: Where they are, which also counts what its tracker learns.
        port: The site's.
        guard: False keeps guard.js from them.
        settings: Of a Playwright context.
    """

    def __init__(
        self, browser: Browser, site: Site, port: int, *, guard: bool = True, **settings: Any
    ) -> None:
        self.context = browser.new_context(reduced_motion="reduce", **settings)
        self.context.set_default_timeout(WAIT_S * 1000)
        if not guard:
            self.context.route("**/guard.js", lambda route: route.abort())
        self.page: Page = self.context.new_page()
        self._url = f"http://{SITE_HOST}:{port}"
        self._site = site
        self._tried = 0
        self._scripts = settings.get("java_script_enabled", True)

    def go(self, path: str = "/", expected: AbstractSet[str] = frozenset()) -> None:
        """Open a page; that of every way is waited for until each has been tried, and these have worked."""
        self._begin()
        self.page.goto(self._url + path)
        if path == "/":
            self.wait(expected)

    def wait(self, expected: AbstractSet[str] = frozenset()) -> None:
        """Wait until every way has been tried, these have worked, and nobody has asked the tracker for anything in a while."""
        end = time.monotonic() + WAIT_S
        while self._scripts and self._site.tried == self._tried:
            assert time.monotonic() < end, "the page's scripts have not come to their end"
            self.page.wait_for_timeout(50)
        self._tried = self._site.tried
        until(self.page, self.reached, expected.__le__)
        self._calm(lambda seconds: self.page.wait_for_timeout(seconds * 1000))

    def _begin(self) -> None:
        self._site.hits.clear()
        self._tried = self._site.tried

    def answer(self, name: str) -> None:
        """Press a button of the banner; wait until the answer is taken."""
        self._begin()
        if self._scripts:
            self.page.wait_for_function(STARTED)
        with self.page.expect_response("**/_consent/choice"):
            self.page.get_by_role("button", name=name, exact=True).click()

    def again(self, expected: AbstractSet[str] = frozenset()) -> None:
        """Try every way that needs a script once more."""
        self.page.evaluate("tryAll()")
        self.wait(expected)

    def withdraw(self) -> None:
        """Take everything back in the preferences; under a policy the page then loads anew."""
        self.page.get_by_role("link", name="Cookie settings").first.click()
        with self.page.expect_event("load"):
            self.page.get_by_role("button", name="Withdraw consent", exact=True).click()

    def cookies(self) -> set[str]:
        """Return the names of all cookies in the profile."""
        return {cookie["name"] for cookie in self.context.cookies()}

    def stored(self) -> set[str]:
        """Return the names of cookies and of what is in storage, our own cookie aside."""
        in_page = self.page.evaluate(STORED) if self._scripts else []
        return {*self.cookies(), *in_page} - {"consent"}

    def reached(self) -> set[str]:
        """Return which ways worked: the tracker was asked, or something was left here."""
        return self._site.hits.ids() | {NAMES.get(name, name) for name in self.stored()}

    def close(self) -> None:
        """Leave; what is still under way is not counted for the next visit."""
        self.context.close()
        self._calm(time.sleep)

    def _calm(self, pause: Callable[[float], object]) -> None:
        """Wait until nobody has asked the tracker for anything in a while."""
        count, since = self._site.hits.count(), time.monotonic()
        while time.monotonic() - since < QUIET_S:
            pause(0.05)
            if self._site.hits.count() != count:
                count, since = self._site.hits.count(), time.monotonic()


@dataclass(frozen=True, slots=True)
class World:
    """What all tests share; each server starts when it is first visited."""

    browser: Browser
    tracker: Tracker
    site: Site
    stack: ExitStack
    ports: dict[str, int] = field(default_factory=dict)

    def port(self, server: str) -> int:
        """Return the port of a server: ``none`` is the site alone, ``asgi`` and ``opt-out`` all layers, else the layers' letters."""
        if server not in self.ports:
            declared = config("enforce" if "C" in server or server in {"asgi", "opt-out"} else "off")
            if server == "opt-out":
                declared["site"]["regime"] = "opt-out"
            serving = serve(
                self.site,
                None if server == "none" else declared,
                tags="T" in server or server in {"asgi", "opt-out"},
                server="asgi" if server == "asgi" else "wsgi",
            )
            self.ports[server] = self.stack.enter_context(serving)
        return self.ports[server]

    def visit(self, server: str, **settings: Any) -> Visit:
        """Begin a visit of one of the servers."""
        return Visit(self.browser, self.site, self.port(server), **settings)

    def look(self, server: str, expected: AbstractSet[str] = frozenset(), **settings: Any) -> set[str]:
        """Return which ways work on a first visit; those that need scripts off are tried with scripts off."""
        reached: set[str] = set()
        for scripts in (True, False):
            visit = self.visit(server, java_script_enabled=scripts, **settings)
            visit.go(expected=expected - WITHOUT_SCRIPTS if scripts else expected & WITHOUT_SCRIPTS)
            found = visit.reached()
            reached |= found - WITHOUT_SCRIPTS if scripts else found & WITHOUT_SCRIPTS
            visit.close()
        return reached


@pytest.fixture(scope="module")
def world(browser: Browser) -> Iterator[World]:
    """A browser that finds every tracker here, and the site under each layer alone."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        tracker = Tracker(stack)
        rules = f"--host-resolver-rules={tracker.rules(*HOSTS)}"
        chromium = launch(browser.browser_type, rules, keeps_pages=False)
        stack.callback(chromium.close)
        yield World(chromium, tracker, Site(tracker.hits), stack)


@pytest.fixture(scope="module")
def control(world: World) -> set[str]:
    """Which ways work on the site alone."""
    return world.look("none", {way.id for way in SEEN})


@dataclass(frozen=True, slots=True)
class Strict:
    """What one visitor sees with all layers on.

    Attributes:
        before: Which ways work before a choice.
        plain: And with scripts off.
        after: On the same page, after Reject.
        later: On the next page.
        cookies: In the profile at the end.
    """

    before: set[str]
    plain: set[str]
    after: set[str]
    later: set[str]
    cookies: set[str]


@pytest.fixture(scope="module")
def strict(world: World) -> Strict:
    """A visitor of the site with all layers on, who refuses."""
    visit = world.visit("TGC", java_script_enabled=False)
    visit.go()
    plain = visit.reached()
    visit.close()
    visit = world.visit("TGC")
    visit.go()
    before = visit.reached()
    visit.answer("Reject all")
    visit.again()
    after = visit.reached()
    visit.go()
    found = Strict(before, plain, after, visit.reached(), visit.cookies())
    visit.close()
    return found


def documented(layers: str) -> set[str]:
    """Return which ways get through these layers, as docs/layers.md says."""
    column = list(LAYERS).index(layers)
    rows = (line.strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line[:1] == "|")
    return {id_ for id_, *cells in rows if len(cells) == len(LAYERS) and cells[column] == "**reached**"}


class Alone:
    """Which ways work, by the layers that are on; measured when first asked for."""

    def __init__(self, world: World, strict: Strict) -> None:
        self._world = world
        self._found = {"TGC": strict.before | (strict.plain & WITHOUT_SCRIPTS)}

    def __getitem__(self, layers: str) -> set[str]:
        if layers not in self._found:
            self._found[layers] = self._world.look(layers, documented(layers), guard="G" in layers)
        return self._found[layers]


@pytest.fixture(scope="module")
def alone(world: World, strict: Strict) -> Alone:
    """Which ways work, by the layers that are on."""
    return Alone(world, strict)


@pytest.fixture(scope="module")
def granted(world: World) -> tuple[dict[str, Any], set[str], list[str]]:
    """The cookie of someone who accepted everything, which ways worked then, and in which order scripts ran."""
    visit = world.visit("TGC")
    visit.go("/empty.html")
    with visit.page.expect_event("load"):  # under a policy the page loads anew
        visit.answer("Accept all")
    visit.go(expected=DECLARED_WAYS)
    cookie: Any = next(cookie for cookie in visit.context.cookies() if cookie["name"] == "consent")
    result = cookie, visit.reached(), visit.page.evaluate("window.ran ?? []")
    visit.close()
    return result


def test_without_the_middleware_every_way_works(control: set[str]) -> None:
    """The site alone lets every way through that this browser has, so that the other tests can fail."""
    assert_none({way.id for way in SEEN} - control)
    assert len(SEEN) >= 200


@pytest.mark.conformance("EU-1")
def test_nothing_works_before_a_choice(alone: Alone) -> None:
    """With all layers on, a first visit reaches no tracker and leaves nothing in the browser, scripts on or off."""
    assert_none(alone["TGC"])


def test_nothing_works_under_asgi_either(world: World) -> None:
    """The same holds under ASGI, and there is no cookie at all, not even ours."""
    visit = world.visit("asgi")
    visit.go()
    assert_none(visit.reached())
    assert visit.cookies() == set()
    visit.close()


def test_nothing_static_works_with_scripts_off(strict: Strict) -> None:
    """With scripts off, nothing in the HTML works, nor what stands in noscript."""
    assert_none(strict.plain)


def test_every_declared_way_works_after_accept(granted: tuple[Any, set[str], Any]) -> None:
    """After Accept the page that comes reaches every declared service in every way."""
    assert_none(DECLARED_WAYS - granted[1])


def test_scripts_run_in_order_after_accept(granted: tuple[Any, Any, list[str]]) -> None:
    """After Accept scripts run in document order."""
    expected = [way.id for way in WAYS if way.ordered and way.host in DECLARED and way.id not in STAYS_OUT]
    assert [id_ for id_ in granted[2] if id_ in expected] == expected


def test_accept_without_a_policy_lifts_in_place(world: World) -> None:
    """Without a policy Accept needs no new page: what was held loads, scripts in document order."""
    visit = world.visit("T")
    visit.go()
    visit.answer("Accept all")
    expected = [way.id for way in WAYS if way.ordered]
    visit.page.wait_for_function("(last) => window.ran?.includes(last)", arg=expected[-1])
    held = {way.id for way in SEEN if way.kind is Kind.STATIC and "T" in way.layers}
    # What the guard lets through was there before, and is not asked for twice; what a written script asked is gone.
    again = {way.id for way in SEEN if "G" in way.layers} - {"write-inline"}
    wanted = (held | again) - WITHOUT_SCRIPTS
    visit.again(wanted)
    reached = visit.reached()
    ran = visit.page.evaluate("window.ran")
    visit.close()
    assert_none(wanted - reached)
    assert [id_ for id_ in ran if id_ in expected] == expected


def test_nothing_works_after_a_refusal(strict: Strict) -> None:
    """After Reject neither this page nor the next reaches a tracker, and only the answer is kept."""
    assert_none(strict.after)
    assert_none(strict.later)
    assert strict.cookies == {"consent"}


@pytest.mark.conformance("ENF-2")
def test_nothing_works_after_withdrawal(world: World, granted: tuple[Any, Any, Any]) -> None:
    """After everything was taken back in the preferences, the next page is as it was before consent."""
    visit = world.visit("TGC")
    visit.context.add_cookies([granted[0]])
    visit.go("/empty.html")
    visit.withdraw()
    visit.go()
    assert_none(visit.reached())
    visit.close()


def test_a_signal_overrides_an_older_grant(world: World, granted: tuple[Any, Any, Any]) -> None:
    """With Global Privacy Control on, only what neither sells nor shares still works after an older grant."""
    visit = world.visit("TGC", extra_http_headers={"Sec-GPC": "1"})
    visit.context.add_init_script(GPC)
    visit.context.add_cookies([granted[0]])
    visit.go()
    hosts = {way.id: way.host for way in WAYS}
    asked = world.site.hits.ids()
    visit.close()
    assert_none({id_ for id_ in asked if hosts[id_] not in {HOUSE, ""}})
    assert asked


def shared(world: World) -> set[str]:
    """Return which ways reached somebody who sells or shares."""
    hosts = {way.id: way.host for way in WAYS}
    return {id_ for id_ in world.site.hits.ids() if hosts[id_] not in {HOUSE, ""}}


@pytest.mark.conformance("ENF-7")
def test_under_opt_out_everything_works_until_somebody_objects(
    world: World, granted: tuple[Any, set[str], Any]
) -> None:
    """The control: where silence allows, every way works that works after consent, without a question."""
    visit = world.visit("opt-out")
    visit.go(expected=granted[1])
    reached = visit.reached()
    asks = visit.page.locator("#consent-banner").count()
    visit.close()
    assert_none(granted[1] - reached)
    assert not asks


@pytest.mark.conformance("ENF-7", "ENF-10")
def test_nothing_is_shared_after_an_opt_out(world: World) -> None:
    """One link, one button: from then on no way works to anybody who sells or shares, and the rest still does."""
    visit = world.visit("opt-out")
    visit.go("/empty.html")
    visit.page.get_by_role("link", name="Do Not Sell or Share My Personal Information").click()
    button = visit.page.get_by_role("button", name="Do Not Sell or Share", exact=False)
    button.wait_for()
    with visit.page.expect_response("**/_consent/choice"):
        button.click()
    visit.page.wait_for_url("**/empty.html")
    visit.go()
    found, asked = shared(world), world.site.hits.ids()
    visit.close()
    assert_none(found)
    assert asked


@pytest.mark.conformance("ENF-7", "CA-1", "CA-3")
def test_nothing_is_shared_with_a_signal_nor_after_it(world: World) -> None:
    """With Global Privacy Control on the first page already shares nothing; without it the next one does not either."""
    visit = world.visit("opt-out", extra_http_headers={"Sec-GPC": "1"})
    visit.context.add_init_script(GPC)
    visit.go()
    assert_none(shared(world))
    state = visit.context.storage_state()
    visit.close()
    later = world.visit("opt-out", storage_state=state)
    later.go()
    found, asked = shared(world), world.site.hits.ids()
    later.close()
    assert_none(found)
    assert asked


@pytest.mark.parametrize("server", ["TGC", "asgi"])
def test_the_sites_own_is_left_alone(world: World, server: str) -> None:
    """Before a choice the site's own scripts, images, frames, workers, requests and storage work."""
    visit = world.visit(server)
    errors: list[str] = []
    visit.page.on("pageerror", lambda error: errors.append(str(error)))
    visit.page.on("requestfailed", lambda request: errors.append(request.url))
    visit.page.on("response", lambda response: None if response.ok else errors.append(response.url))
    visit.go("/own.html")
    worked = visit.page.evaluate(
        """async () => {
            const heard = (worker) => new Promise((done) => { worker.onmessage = ({ data }) => done(data); });
            const text = URL.createObjectURL(new Blob(["postMessage('blob')"]));
            const frame = document.body.appendChild(document.createElement("iframe"));
            const image = new Image();
            image.src = "/own.gif?made";
            await image.decode();
            document.cookie = "basket=1";
            localStorage.setItem("theme", "dark");
            const [worker, blob] = await Promise.all([heard(new Worker("/echo-worker.js")), heard(new Worker(text))]);
            return {
                blob, worker,
                script: window.ownRan,
                inline: "inline" in document.documentElement.dataset,
                written: document.getElementById("written").textContent,
                images: [...document.images].every((one) => one.naturalWidth),
                fetched: (await (await fetch("/own.json")).json()) !== null,
                framed: (await frame.contentWindow.fetch("/own.json")).ok,
                posted: navigator.sendBeacon("/own.json"),
                stored: localStorage.theme,
            };
        }"""
    )
    visit.close()
    assert worked == {
        "blob": "blob",
        "worker": "file",
        "script": True,
        "inline": True,
        "written": "Written",
        "images": True,
        "fetched": True,
        "framed": True,
        "posted": True,
        "stored": "dark",
    }
    assert errors == []


@pytest.mark.parametrize("layer", ["T", "G", "C"])
def test_each_layer_holds_alone(alone: Alone, layer: str) -> None:
    """Each layer, with the other two off, stops every way that is its to stop."""
    mine = {way.id for way in SEEN if layer in way.layers}
    assert_none(mine & alone[layer])


def test_the_policy_alone_stops_every_request(alone: Alone) -> None:
    """The policy lets no request to another host through; the site's own paths and its storage are not its."""
    others = {way.id for way in SEEN if way.host and way.kind is not Kind.STORAGE}
    assert_none(others & alone["C"])


def table(alone: Alone) -> str:
    """Return what was measured, as Markdown."""
    lines = [
        f"{len(SEEN)} ways, each tried in Chromium before any choice. The cookie filter is on in every column.",
    ]
    for kind in Kind:
        lines += ["", f"### {kind.value[0].upper()}{kind.value[1:]}", ""]
        lines += [f"| way | {' | '.join(LAYERS.values())} |", "|---|" + "---|" * len(LAYERS)]
        for way in SEEN:
            if way.kind is kind:
                cells = ("**reached**" if way.id in alone[layers] else "stopped" for layers in LAYERS)
                lines.append(f"| {way.id} | {' | '.join(cells)} |")
    lines += ["", "Not measured, since the browser asks no server:", ""]
    lines += [f"- {id_}: {reason}." for id_, reason in SILENT.items()]
    return "\n".join(lines)


def test_the_documented_table_is_what_was_measured(alone: Alone) -> None:
    """The table in docs/layers.md says what each layer does; UPDATE_LAYERS=1 writes it anew."""
    measured = table(alone)
    print(measured)  # noqa: T201 - shown by `-s`
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    documented, _, after = rest.partition(END)
    if os.environ.get("UPDATE_LAYERS"):
        DOCUMENT.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}")
        return
    assert documented.strip() == measured, "run this test with UPDATE_LAYERS=1 in the environment"


def _in_firefox(world: World, ports: list[int]) -> list[set[str]]:
    """Return which ways work in Firefox, on each server; run in a thread of its own, as Playwright demands."""
    preferences: dict[str, str | float | bool] = {
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": world.tracker.port,
        "security.warn_submit_secure_to_insecure": False,  # it asks the visitor, and all timers wait
    }
    found = []
    with sync_playwright() as playwright:
        firefox = playwright.firefox.launch(
            channel="moz-firefox", executable_path=FIREFOX, firefox_user_prefs=preferences
        )
        for port in ports:
            visit = Visit(firefox, world.site, port)
            visit.go()
            if port == ports[-1]:  # the site alone, where most work
                until(visit.page, visit.reached, lambda reached: len(reached) >= 200)
            found.append(visit.reached())
            visit.close()
        firefox.close()
    return found


@pytest.mark.skipif(
    FIREFOX is None,
    reason="needs a Firefox: apt-get install firefox-esr",
)
def test_nothing_works_in_firefox_either(world: World) -> None:
    """In Firefox too the site alone lets most ways through, and with all layers on none."""
    ports = [world.port("TGC"), world.port("none")]  # what the site alone asks for may come late
    with ThreadPoolExecutor(1) as pool:
        held, free = pool.submit(_in_firefox, world, ports).result()
    assert len(free) >= 200
    assert_none(held)
