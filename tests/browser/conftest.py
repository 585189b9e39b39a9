"""A real Chromium, the demo under both servers, and the third party it would load from.

Hosts are mapped to this machine inside the browser, so that cookies of parent domains can be tested: the shop
is www.shop.test, its third party localhost.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page, sync_playwright
from werkzeug.serving import make_server

from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Frame, Request

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHOP_HOST = "www.shop.test"
TRACKER_HOST = "localhost"
KEY = "a key that is long enough and signs nothing but these tests"
WAIT_S = 30
# What Playwright itself switches off, since a second list replaces the first; and two pages behind the address bar,
# which take more of a processor for each profile than the profile's own page.
WITHOUT = (
    "AimEnabled,AutoDeElevate,AvoidCorsURLLoaderRestartOnRedirect,AvoidUnnecessaryBeforeUnloadCheckSync,"
    "BlockOriginHeaderModificationOnRedirect,DestroyProfileOnBrowserClose,DialMediaRouteProvider,"
    "GlobalMediaControls,HttpsUpgrades,LensOverlay,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,"
    "PaintHolding,ThirdPartyStoragePartitioning,Translate,WebUIOmniboxAimPopup,WebUIOmniboxPopup"
)
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    f"--disable-features={WITHOUT}",
]
SHOP_RULES = "--host-resolver-rules=MAP www.shop.test 127.0.0.1, MAP *.shop.test 127.0.0.1"


# A frame drawn, and a turn of the event loop after it; in a tab that is not drawn only the latter.
DRAWN = "new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 200); })"
STARTED = "document.readyState === 'complete' && Boolean(window.consent?.showPreferences)"


def until(page: Page, look: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    """Look until it is as wanted, or time is up; return what was last seen, for the test to judge."""
    end = time.monotonic() + WAIT_S
    while not wanted(found := look()) and time.monotonic() < end:
        page.wait_for_timeout(20)
    return found


def violations(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """Return what axe finds on the page, by all rules or by these, with the elements it concerns."""
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the screen."""
    width: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


class Process:
    """A server in a process of its own, from one of the demo's commands.

    Args:
        log: Where its errors go.
        arguments: Of Python.
        env: Beside this process's own environment.
    """

    def __init__(self, log: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def port(self, label: str) -> int:
        """Return the port of the address behind a word that the server prints once it listens."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(label):
                return int(line.split()[1].rpartition(":")[2])
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def stop(self, signal_number: int = 15) -> tuple[int, str]:
        """End it; return its exit code and what it wrote as errors."""
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
        self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, self.log.read_text()


class Tracker:
    """The third party's log."""

    def __init__(self, port: int) -> None:
        self.port = port

    def log(self) -> list[str]:
        """Return what has been asked for, oldest first."""
        with urlopen(f"http://127.0.0.1:{self.port}/log.json", timeout=WAIT_S) as answer:
            return [entry["what"] for entry in json.load(answer)]


class Shop:
    """The demo, running.

    Args:
        server: ``asgi`` or ``wsgi``.
        folder: For its records and its log.
        tracker: Its third party.
        port: Where to listen; 0 is any free port.
    """

    def __init__(self, server: str, folder: Path, tracker: Tracker, port: int = 0) -> None:
        self.server = server
        self.folder = folder
        self.tracker = tracker
        arguments = ("-m", "examples.shop", "--server", server, "--port", str(port))
        third_party = ("--tracker-port", str(tracker.port), "--tracker-host", TRACKER_HOST)
        records = f"sqlite:///{folder / 'records.db'}"
        self._process = Process(
            folder / f"{server}-{port}.log",
            *arguments,
            *third_party,
            env={"CONSENT_SECRET_KEY": KEY, "CONSENT_RECORDS_URL": records},
        )
        self.port = self._process.port("Open")

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{SHOP_HOST}:{self.port}"

    def another(self, port: int = 0) -> Shop:
        """Start a second process with the same key and records."""
        return Shop(self.server, self.folder, self.tracker, port)

    def stop(self, signal_number: int = 15) -> tuple[int, str]:
        """End it; return its exit code and what it wrote as errors."""
        return self._process.stop(signal_number)


class Visit:
    """One visitor with a browser profile of their own, on one shop."""

    def __init__(self, context: BrowserContext, shop: Shop, *, scripts: bool = True) -> None:
        self.context = context
        self.shop = shop
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self._scripts = scripts
        self._start = len(shop.tracker.log())
        self._open: set[Request] = set()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._begin)
        self.page.on("requestfinished", self._end)
        self.page.on("requestfailed", self._end)
        self.page.on("framenavigated", self._forget)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _begin(self, request: Request) -> None:
        self._open.add(request)

    def _end(self, request: Request) -> None:
        self._open.discard(request)

    def _forget(self, frame: Frame) -> None:
        """What a page that is gone still asks for is nobody's to wait for."""
        if frame == self.page.main_frame:
            self._open.clear()

    def go(self, path: str) -> None:
        """Open a page of the shop."""
        self.page.goto(self.shop.url + path)

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def accept(self) -> None:
        """Accept all, and wait until the last tag of the page has reported home."""
        with self.page.expect_response("**/collect.gif?by=stats.js*"):
            self.press("Accept all")

    def reject(self) -> None:
        """Reject all, and wait until it is taken."""
        with self.page.expect_response("**/_consent/choice"):
            self.press("Reject all")
        self.page.locator("#consent-banner").wait_for(state="hidden")

    def choose(self) -> None:
        """Open the preferences by the banner's button."""
        self.press("Choose")
        self.page.locator("#consent-dialog[open]").wait_for()

    def open_dialog(self) -> None:
        """Open the preferences by the standing link."""
        self.page.get_by_role("link", name="Cookie settings").first.click()
        self.page.locator("#consent-dialog[open]").wait_for()

    def withdraw(self) -> None:
        """Take everything back in the preferences."""
        self.open_dialog()
        self.press("Withdraw consent")
        self.page.locator("#consent-dialog").wait_for(state="detached")

    def settle(self) -> None:
        """Wait until the page has had its chance: its scripts have run, what it asked for has come or failed."""
        if self._scripts:
            self.page.wait_for_function(STARTED)
        quiet, end = 0, time.monotonic() + WAIT_S
        while quiet < 2:  # twice in a row: what has come may ask for more
            if self._scripts:
                self.page.evaluate(DRAWN)
            else:
                self.page.wait_for_timeout(20)
            quiet = 0 if self._open else quiet + 1
            assert time.monotonic() < end, [request.url for request in self._open]

    def cookies(self) -> set[str]:
        """Return the names of all cookies in the profile, whoever's they are."""
        return {cookie["name"] for cookie in self.context.cookies()}

    def await_cookies(self, *names: str) -> None:
        """Wait until these cookies are there, and no other."""
        wanted = set(names)
        assert until(self.page, self.cookies, wanted.__eq__) == wanted

    def storage(self) -> list[str]:
        """Return the names in this page's local and session storage."""
        found: list[str] = self.page.evaluate(
            "[...Object.keys(localStorage), ...Object.keys(sessionStorage)].sort()"
        )
        return found

    def tags(self) -> list[str]:
        """Return what the page's tags called themselves, in the order in which they ran."""
        found: list[str] = self.page.evaluate("window.shopTags ?? []")
        return found

    def tracked(self) -> list[str]:
        """Return what was asked of the third party since this visit began."""
        return self.shop.tracker.log()[self._start :]

    def await_tracked(self, what: str) -> None:
        """Wait until this has been asked of the third party."""
        assert what in until(self.page, self.tracked, lambda found: what in found)

    def leave(self) -> None:
        """Close the profile once nothing is on its way to the third party, whose log the next visit reads."""
        end = time.monotonic() + 2
        while self._open and not self.page.is_closed() and time.monotonic() < end:
            self.page.wait_for_timeout(20)
        self.context.close()


class MakeVisit(Protocol):
    """Begins a visit with these settings of a Playwright context."""

    def __call__(self, shop: Shop | None = None, /, **settings: Any) -> Visit:
        """Begin a visit."""


@contextmanager
def launched_site(page: bytes | Mapping[str, bytes], config: dict[str, Any]) -> Iterator[str]:
    """Serve one page, or one a path, behind the WSGI middleware in this process; give its address."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [page if isinstance(page, bytes) else page.get(environ["PATH_INFO"][1:], b"")]

    with launched_app(app, config) as url:
        yield url


@contextmanager
def launched_app(app: Callable[..., Any], config: dict[str, Any]) -> Iterator[str]:
    """Serve a WSGI app behind the middleware in this process; give its address."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    wrapped = ConsentMiddleware(app, config, KEY)
    server = make_server("127.0.0.1", 0, wrapped, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def launch(browser_type: BrowserType, rules: str, *, keeps_pages: bool = True) -> Browser:
    """Start Playwright's own Chromium, else one that is installed, with these rules for hosts."""
    own = browser_type.executable_path
    path = own if Path(own).exists() else next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
    if path is None:
        pytest.fail(
            "the browser tests need a Chromium: python -m playwright install --with-deps chromium, "
            "or apt-get install chromium",
            pytrace=False,
        )
    return browser_type.launch(
        executable_path=path,
        args=[*ARGS, rules],
        ignore_default_args=["--disable-back-forward-cache"] if keeps_pages else None,
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; without any, they fail."""
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium, SHOP_RULES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """The third party of all shops."""
    log = tmp_path_factory.mktemp("tracker") / "log"
    process = Process(log, "-m", "examples.shop.tracker", "--port", "0")
    yield Tracker(process.port("Tracker"))
    process.stop()


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tracker: Tracker
) -> Iterator[Shop]:
    """The demo, under each server."""
    shop = Shop(request.param, tmp_path_factory.mktemp("shop"), tracker)
    yield shop
    shop.stop()


@pytest.fixture
def make_visit(browser: Browser, shop: Shop) -> Iterator[MakeVisit]:
    """Begin visits; at their end no page may have logged an error."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def make(other: Shop | None = None, /, **settings: Any) -> Visit:
            context = browser.new_context(reduced_motion="reduce", **settings)
            context.set_default_timeout(WAIT_S * 1000)
            visit = Visit(context, other or shop, scripts=settings.get("java_script_enabled", True))
            stack.callback(visit.leave)
            visits.append(visit)
            return visit

        yield make
    assert [error for visit in visits for error in visit.errors] == []


@pytest.fixture
def visit(make_visit: MakeVisit) -> Visit:
    """A visitor who has scripts on and has never been here."""
    return make_visit()


@pytest.fixture
def plain_visit(make_visit: MakeVisit) -> Visit:
    """A visitor whose scripts are off."""
    return make_visit(java_script_enabled=False)
