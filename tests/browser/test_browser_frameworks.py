"""Each app of docs/frameworks that a framework of its own serves, in a real Chromium: it asks, waits, and works on."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from frameworks.documented import Running, environment, files, interpreter, start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

TAG = "https://www.googletagmanager.com/gtag/js?id=G-1"
FILM = "https://www.youtube.com/embed/aqz-KE-bpKQ"
FRAME = f"iframe:is([src='{FILM}'], [data-src='{FILM}'])"
WAIT_MS = 30_000

# A second plugin, which sets a tracker's cookie from inside.
PLUGIN = """
from datasette import hookimpl


@hookimpl
def asgi_wrapper(datasette):
    def wrap(app):
        async def track(scope, receive, send):
            async def add(message):
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], (b"set-cookie", b"_gid=1; Path=/")]}
                await send(message)

            await app(scope, receive, add)

        return track

    return wrap
"""

WAGTAIL = """
from django.contrib.auth.models import User
from django.utils import timezone
from wagtail.embeds.embeds import get_embed_hash
from wagtail.embeds.models import Embed

User.objects.create_superuser("editor", password="let me in")
url = "https://www.youtube.com/watch?v=aqz-KE-bpKQ"
frame = '<iframe src="%s" width="560" height="315" title="A film"></iframe>'
Embed.objects.create(url=url, hash=get_embed_hash(url), type="video", html=frame, last_updated=timezone.now())
""".replace("%s", FILM)


def prepare_datasette(folder: Path, _python: Path) -> None:
    """Make a database, and a plugin that is asked last of all, by its name."""
    (folder / "plugins/zz_tracker.py").write_text(PLUGIN, "utf-8")
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE cups (name TEXT)")
        database.execute("INSERT INTO cups VALUES ('Espresso')")
    database.close()


def prepare_wagtail(folder: Path, python: Path) -> None:
    """Begin a site as Wagtail's own command does, add what the page says, and fill it."""

    def run(*command: str, **more: Any) -> None:
        subprocess.run(
            [python.with_name(command[0]), *command[1:]], cwd=folder, env=environment(), check=True, **more
        )

    documented = files("wagtail.md")
    for name in documented:
        (folder / name).unlink(missing_ok=True)
    run("wagtail", "start", "shop", ".", stdout=subprocess.DEVNULL)
    settings = folder / "shop/settings/base.py"
    was = settings.read_text("utf-8")
    for name, text in documented.items():
        (folder / name).write_text(text, "utf-8")
    settings.write_text(was + documented["shop/settings/base.py"], "utf-8")
    run("python", "manage.py", "migrate", "--verbosity=0")
    run("python", "manage.py", "shell", "--verbosity=0", input=WAGTAIL, text=True)


def use_dash(page: Page) -> None:
    """Call back to the server, and within the page."""
    page.get_by_label("Colour").fill("green")
    expect(page.get_by_text("The server heard green.")).to_be_visible()
    page.get_by_label("Colour").fill("blue")
    expect(page.get_by_text("The server heard blue.")).to_be_visible()
    expect(page).to_have_title("The server heard blue.")


def use_datasette(page: Page) -> None:
    """Go to a table and back."""
    page.get_by_role("link", name="cups").first.click()
    expect(page.get_by_role("cell", name="Espresso")).to_be_visible()
    page.get_by_role("link", name="shop", exact=True).first.click()
    expect(page.locator(FRAME)).to_be_attached()


def use_gradio(page: Page) -> None:
    """Send something through the queue, and see it come in pieces."""
    page.get_by_label("Name").fill("Ann")
    page.get_by_role("button", name="Greet").click()
    expect(page.get_by_label("Said")).to_have_value("Good day, Ann, not counted")


def use_nicegui(page: Page) -> None:
    """Press a button that the server answers by websocket."""
    page.get_by_role("button", name="Say it").click()
    expect(page.get_by_text("The server heard you.")).to_be_visible()


def use_streamlit(page: Page) -> None:
    """Have the script run again, by websocket."""
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_text("Good day, Ann.")).to_be_visible()


def use_wagtail(page: Page) -> None:
    """Find the page there."""
    expect(page.get_by_role("heading", name="Home")).to_be_visible()


def nothing(_folder: Path, _python: Path) -> None:
    """Most apps need nothing but their files."""


# Of each: the page that is opened, what is there before, and what shows that the app works.
APPS: dict[str, tuple[str, Callable[[Path, Path], None], Callable[[Page], None]]] = {
    "dash": ("/", nothing, use_dash),
    "datasette": ("/shop", prepare_datasette, use_datasette),
    "gradio": ("/", nothing, use_gradio),
    "nicegui": ("/", nothing, use_nicegui),
    "streamlit": ("/", nothing, use_streamlit),
    "wagtail": ("/", prepare_wagtail, use_wagtail),
}


@pytest.fixture(scope="module", params=APPS)
def name(request: pytest.FixtureRequest) -> str:
    """Each framework that is installed."""
    found: str = request.param
    if interpreter(found) is None:
        pytest.skip(f"{found} is not installed here: make test-frameworks installs it and runs this")
    return found


@pytest.fixture(scope="module")
def app(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The app that the page describes, by the command that it names."""
    folder, python = tmp_path_factory.mktemp(name), interpreter(name)
    assert python is not None
    for path, text in files(f"{name}.md").items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    APPS[name][1](folder, python)
    yield from start(name, folder, python)


class Visitor:
    """A new visitor on one app; what other hosts are asked for is noted, and answered here."""

    def __init__(self, page: Page, app: Running, path: str) -> None:
        self.page = page
        self.outside: list[str] = []
        self.errors: list[str] = []
        self._home = app.url + path
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.context.route(lambda url: not url.startswith(app.url + "/"), self._answer)

    def _answer(self, route: Route) -> None:
        self.outside.append(route.request.url)
        is_tag = route.request.url == TAG
        route.fulfill(
            content_type="text/javascript" if is_tag else "text/html",
            body='document.cookie = "_ga=1"; self.tagged = true;' if is_tag else "<!doctype html><p>The film",
        )

    def open(self) -> None:
        """Open the page, and wait until the app has drawn the frame that waits or has loaded."""
        self.page.goto(self._home)
        self.page.wait_for_function("Boolean(window.consent?.showPreferences)")
        self.page.locator(FRAME).wait_for(state="attached")

    def cookies(self) -> set[str]:
        """Return the names of all cookies."""
        return {cookie["name"] for cookie in self.page.context.cookies()}


@pytest.fixture
def visitor(browser: Browser, app: Running, name: str) -> Iterator[Visitor]:
    """A visitor who has never been there; at the end no script may have failed."""
    with visiting(browser, app, APPS[name][0]) as visitor:
        yield visitor


@contextmanager
def visiting(browser: Browser, app: Running, path: str) -> Generator[Visitor]:
    """Begin a visit."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    visitor = Visitor(context.new_page(), app, path)
    yield visitor
    context.close()
    assert visitor.errors == []


def test_the_app_asks_first_and_works_before_and_after(visitor: Visitor, name: str) -> None:
    """Nothing leaves before the choice; with it tag and film come in place, and the app goes on without a reload."""
    page, use = visitor.page, APPS[name][2]
    visitor.open()
    banner = page.get_by_role("region", name="May we use optional cookies?")
    expect(banner).to_be_visible()
    # Whoever reads or tabs through the page comes upon it before the app.
    assert page.evaluate("document.body.firstElementChild.id") == "consent-banner"
    use(page)
    assert visitor.outside == []
    assert visitor.cookies() <= {"session", "_streamlit_xsrf"}
    page.get_by_role("button", name="Accept all", exact=True).click()
    expect(banner).to_be_hidden()
    page.wait_for_function("self.tagged === true")
    expect(page.frame_locator(FRAME).get_by_text("The film")).to_be_visible()
    assert (sorted(visitor.outside), "_ga" in visitor.cookies()) == ([TAG, FILM], True)
    # The app goes on, and where it asks, knows of the choice without a reload.
    if name == "gradio":
        page.get_by_role("button", name="Greet").click()
        expect(page.get_by_label("Said")).to_have_value("Good day, Ann, counted")
    else:
        use(page)
    if name == "dash":
        expect(page.get_by_text("Counted.", exact=True)).to_be_visible()


@pytest.mark.parametrize("name", ["datasette"], indirect=True)
def test_a_cookie_that_a_plugin_sets_waits(visitor: Visitor) -> None:
    """Whatever other plugins there are, the documented hook stands outermost."""
    visitor.open()
    before = visitor.cookies()
    visitor.page.get_by_role("button", name="Accept all", exact=True).click()
    expect(visitor.page.locator("#consent-banner")).to_be_hidden()
    visitor.open()
    assert (before, "_gid" in visitor.cookies()) == (set(), True)


def test_a_refusal_holds_and_the_app_works(visitor: Visitor, name: str) -> None:
    """On the next page nobody is asked, nothing is loaded, and everything works."""
    visitor.open()
    visitor.page.get_by_role("button", name="Reject all", exact=True).click()
    expect(visitor.page.locator("#consent-banner")).to_be_hidden()
    visitor.open()
    expect(visitor.page.locator("#consent-banner")).to_be_hidden()
    APPS[name][2](visitor.page)
    assert visitor.outside == []
    assert "_ga" not in visitor.cookies()


def test_everything_can_be_reached_under_the_banner(visitor: Visitor) -> None:
    """At the page's end its last box stands clear of the banner, wherever the app scrolls."""
    page = visitor.page
    page.set_viewport_size({"width": 375, "height": 560})
    visitor.open()
    film = page.locator(FRAME)
    film.evaluate("(frame) => frame.scrollIntoView({block: 'end'})")
    below = "(frame) => frame.getBoundingClientRect().bottom - document.querySelector('#consent-banner').offsetTop"
    assert film.evaluate(below) <= 1
