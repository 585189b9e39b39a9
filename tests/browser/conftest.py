"""A real Chromium, the demo under both servers, and the third party it would load from.

Hosts are mapped to this machine inside the browser, so that cookies of parent domains can be tested: the shop
is www.shop.test, its third party localhost.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from werkzeug.serving import make_server

from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHOP_HOST = "www.shop.test"
TRACKER_HOST = "localhost"
KEY = "a key that is long enough and signs nothing but these tests"
WAIT_S = 15
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--host-resolver-rules=MAP www.shop.test 127.0.0.1, MAP *.shop.test 127.0.0.1",
]


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

    def __init__(self, context: BrowserContext, shop: Shop) -> None:
        self.context = context
        self.shop = shop
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self._start = len(shop.tracker.log())
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

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

    def open_dialog(self) -> None:
        """Open the preferences by the standing link."""
        self.page.get_by_role("link", name="Cookie settings").first.click()
        self.page.locator("#consent-dialog[open]").wait_for()

    def withdraw(self) -> None:
        """Take everything back in the preferences."""
        self.open_dialog()
        self.press("Withdraw consent")
        self.page.locator("#consent-dialog").wait_for(state="detached")

    def cookies(self) -> set[str]:
        """Return the names of all cookies in the profile, whoever's they are."""
        return {cookie["name"] for cookie in self.context.cookies()}

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


class MakeVisit(Protocol):
    """Begins a visit with these settings of a Playwright context."""

    def __call__(self, shop: Shop | None = None, /, **settings: Any) -> Visit:
        """Begin a visit."""


@contextmanager
def launched_site(page: bytes, config: dict[str, Any]) -> Iterator[str]:
    """Serve one page behind the WSGI middleware in this process; give its address."""

    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [page]

    wrapped = ConsentMiddleware(app, config, KEY)
    server = make_server("127.0.0.1", 0, wrapped, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def launch(playwright: Playwright) -> Browser:
    """Start Playwright's own Chromium, else one that is installed."""
    own = playwright.chromium.executable_path
    path = own if Path(own).exists() else next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
    if path is None:
        pytest.fail(
            "the browser tests need a Chromium: python -m playwright install --with-deps chromium, "
            "or apt-get install chromium",
            pytrace=False,
        )
    return playwright.chromium.launch(
        executable_path=path, args=ARGS, ignore_default_args=["--disable-back-forward-cache"]
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; without any, they fail."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
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
            stack.callback(context.close)
            visit = Visit(context, other or shop)
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
