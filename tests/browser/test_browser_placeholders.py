"""What stands in a held iframe: who would load, in a box of the same size, with two buttons and a link."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from browser.conftest import WAIT_S, launched_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, Route

pytestmark = pytest.mark.browser

VIDEO = "https://www.youtube.com/embed/abc?rel=0&start=3"
PLAYED = '<!doctype html><html lang="en"><title>Played</title><p id="played">Playing</p></html>'
STYLE = (
    "<style>#ratio { width: 100%; aspect-ratio: 16 / 9; border: 0 } main > iframe { display: block }</style>"
)
PAGE = f"""<!doctype html>
<html lang="en"><head><title>Videos</title><meta name="viewport" content="width=device-width">{STYLE}</head>
<body><main><h1>Videos</h1>
<iframe id="plain" width="560" height="315" title="How we roast" src="{VIDEO.replace("&", "&amp;")}"></iframe>
<p id="between">Between</p>
<iframe id="ratio" sandbox="allow-scripts" title="How we brew" src="https://www.youtube.com/embed/def"></iframe>
<p id="after">After</p>
<iframe id="undeclared" width="400" height="200" title="A clip" src="https://www.dailymotion.com/embed/video/x"></iframe>
<iframe id="pixel" width="1" height="1" src="https://www.youtube.com/embed/ghi"></iframe>
</main></body></html>"""


class Visit:
    """A visitor on the page of videos; whoever plays them is counted."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page: Page = context.new_page()
        self.page.route(re.compile("^https:"), self._answer)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)

    def _answer(self, route: Route) -> None:
        self.asked.append(route.request.url)
        route.fulfill(content_type="text/html", body=PLAYED)

    def box(self, id_: str = "plain") -> FrameLocator:
        """Return what is in an iframe."""
        return self.page.frame_locator(f"#{id_}")

    def button(self, name: str, id_: str = "plain") -> Any:
        """Return a button in an iframe's box."""
        return self.box(id_).get_by_role("button", name=name, exact=True)

    def plays(self, id_: str = "plain") -> bool:
        """Return whether an iframe shows its video, waiting a moment for it."""
        self.box(id_).locator("#played").wait_for()
        return True

    def state(self) -> dict[str, Any]:
        """Return what the site believes."""
        found: dict[str, Any] = self.page.evaluate(
            "fetch('/_consent/state.json').then((answer) => answer.json())"
        )
        return found


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A site with three videos, two of a service it declares."""
    config = {
        "use": ["youtube", "google-analytics"],
        "site": {"name": "Example Shop", "languages": ["en", "de"]},
        "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
        "records": {"url": "none"},
    }
    with launched_site(PAGE.encode(), config) as url:
        yield url


@pytest.fixture
def open_page(browser: Browser, site: str) -> Iterator[Any]:
    """Begin visits with these settings of a Playwright context."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def begin(**settings: Any) -> Visit:
        contexts.append(browser.new_context(reduced_motion="reduce", **settings))
        contexts[-1].set_default_timeout(WAIT_S * 1000)
        visits.append(Visit(contexts[-1], site))
        return visits[-1]

    yield begin
    for context in contexts:
        context.close()
    assert [error for visit in visits for error in visit.errors] == []


@pytest.fixture
def visit(open_page: Any) -> Visit:
    """A visitor with scripts on."""
    made: Visit = open_page()
    return made


def test_the_box_says_what_would_load_and_from_whom(visit: Visit) -> None:
    """Service, host and provider, title, buttons and link are named; a pixel has no box; nobody is asked for anything."""
    visit.button("Load once").wait_for()
    text = visit.box().locator("body").inner_text()
    assert [word for word in ("YouTube", "www.youtube.com", "Google LLC") if word not in text] == []
    assert visit.page.locator("#plain").get_attribute("title") == "How we roast"
    tree = visit.box().locator("body").aria_snapshot()
    assert [
        line
        for line in ('button "Load once"', 'button "Always allow YouTube"', 'link "Open on www.youtube.com"')
        if line not in tree
    ] == []
    # What nobody declares is held, too; always allowing it means allowing what the visitor can be asked about.
    expect(visit.button("Load once", "undeclared")).to_be_visible()
    assert visit.button("Always allow Marketing", "undeclared").count() <= 1
    # Where nobody would see it there is none.
    assert visit.page.locator("#pixel").get_attribute("srcdoc") is None
    assert visit.page.locator("#pixel").get_attribute("src") is None
    assert visit.asked == []


def test_load_once_loads_this_one_and_saves_nothing(visit: Visit) -> None:
    """The other boxes stay, no choice is made; a lifted frame has its own sandbox back before it loads."""
    visit.button("Load once").click()
    assert visit.plays()
    assert visit.asked == [VIDEO]
    assert visit.state()["answered"] is False
    visit.button("Load once", "ratio").click()
    assert visit.plays("ratio")
    assert visit.page.locator("#ratio").get_attribute("sandbox") == "allow-scripts"


def test_always_allow_is_a_choice_and_lifts_every_box_of_the_service(visit: Visit) -> None:
    """Both videos play, now and on the next page, and nothing moves; nobody else gets anything."""
    rectangle = "id => { const r = document.getElementById(id).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }"
    ids = ["plain", "ratio", "after"]
    visit.button("Load once").wait_for()
    before = [visit.page.evaluate(rectangle, id_) for id_ in ids]
    visit.button("Always allow YouTube").click()
    assert visit.plays("plain")
    assert visit.plays("ratio")
    # The box is the iframe itself, so whatever sizes the iframe sizes the box.
    assert [visit.page.evaluate(rectangle, id_) for id_ in ids] == before
    assert before[0][2:] == [564, 319]  # 560 x 315 and the iframe's own border
    services = visit.state()["services"]
    assert services["youtube"] is True
    assert services["google-analytics"] is False
    visit.page.reload()
    assert visit.plays("plain")


def test_accept_all_lifts_the_boxes(visit: Visit) -> None:
    """A choice in the banner counts like one in the box."""
    visit.page.get_by_role("button", name="Accept all", exact=True).click()
    assert visit.plays("plain")
    assert visit.plays("ratio")


def test_the_keyboard_reaches_and_presses_both_buttons(visit: Visit) -> None:
    """Tab goes from the page into the box, in its order; Enter loads, and the focus stays at the video."""
    visit.button("Load once").wait_for()
    visit.page.locator("#between").evaluate("el => { el.tabIndex = -1; el.focus(); }")
    visit.page.keyboard.press("Shift+Tab")  # the link, the box's last
    expect(visit.box().get_by_role("link")).to_be_focused()
    for name in ("Always allow YouTube", "Load once"):
        visit.page.keyboard.press("Shift+Tab")
        expect(visit.button(name)).to_be_focused()
    visit.page.keyboard.press("Enter")
    assert visit.plays()
    visit.page.wait_for_function("document.activeElement.id === 'plain'")


def test_axe_finds_nothing(visit: Visit) -> None:
    """Contrast, names and structure hold inside the box, too, light and dark, wide and narrow."""
    visit.button("Load once").wait_for()
    for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 320)):
        visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        visit.page.set_viewport_size({"width": width, "height": 640})
        found = Axe().run(visit.page, context={"include": [["#plain"]]})
        assert found.violations_count == 0, found.generate_report()


def test_without_scripts_there_is_a_plain_link(open_page: Any) -> None:
    """Buttons that could do nothing are not shown; the link says where it leads."""
    visit = open_page(java_script_enabled=False)
    link = visit.box().get_by_role("link", name="Open on www.youtube.com")
    assert link.get_attribute("href") == VIDEO
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert visit.box().locator("button:visible").count() == 0
    assert visit.asked == []
