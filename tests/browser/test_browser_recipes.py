"""The recipes of docs/recipes, tried with the libraries themselves: what the pages say to paste is pasted here."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.conftest import DRAWN, SHOP_HOST, STARTED, WAIT_S, launched_app, until
from browser.install import MODULES, has_libraries
from consent_middleware import load_config
from consent_middleware.cli.frontend import declarations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, Request, Route

pytestmark = pytest.mark.browser

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
CONFIG: dict[str, Any] = {
    "use": ["google-analytics", "youtube"],
    "site": {"name": "Example Shop"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "services": [
        {
            "id": "house-stats",
            "name": "House statistics",
            "category": "analytics",
            "provider": "Example GmbH",
            "sells_or_shares": False,
            "hosts": ["stats.shop.test", "stats.example.com"],
            "inline": ["houseStats("],
        }
    ],
}


def blocks(page: str, language: str) -> list[str]:
    """Return a recipe's fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", (RECIPES / page).read_text("utf-8"), re.DOTALL)


# -- the site: a folder for each library, with pages "a" and "b" that swap each other in

FILES = {
    "turbo": "@hotwired/turbo/dist/turbo.es2017-esm.js",
    "htmx-1": "htmx-1/dist/htmx.js",
    "htmx-2": "htmx-2/dist/htmx.js",
    "htmx-4": "htmx-4/dist/htmx.js",
    "unpoly": "unpoly/unpoly.js",
    "alpine": "alpinejs/dist/cdn.js",
}
SCRIPT = '<script src="/static/{}.js"></script>'
NEWS = """<p>News</p>
<script src="http://stats.shop.test/news.js"></script>
<script type="text/plain" data-category="analytics">(window.ran ??= []).push("news")</script>
<iframe src="https://www.youtube.com/embed/news" title="News"></iframe>"""
STREAM = """<turbo-stream action="append" target="streamed"><template><p>Streamed</p>
<script src="http://stats.shop.test/stream.js"></script><script>houseStats("stream")</script></template></turbo-stream>"""
PAGE = """<!doctype html>
<html lang="en">
<head><title>{name}</title>
<script>
window.houseStats = (one) => (window.ran ??= []).push(one);
window.countVisit = (path) => (window.visits ??= []).push(path);
</script>
{head}</head>
<body {body}>
<h1>{name}</h1>
<nav><a id="go" href="/{library}/{other}">Next page</a> <a id="moved" href="/{library}/moved">Moved</a>
<a id="denied" href="/{library}/denied">Denied</a> {more}</nav>
{news}
<div id="streamed"></div>
<script src="http://stats.shop.test/{name}.js"></script>
<script type="text/plain" data-category="analytics">(window.ran ??= []).push("{name}")</script>
</body></html>"""


def inline(*scripts: str) -> str:
    """Return scripts as a page holds them."""
    return "".join(f"<script>{script}</script>" for script in scripts)


def htmx(library: str) -> dict[str, str]:
    """Return what the recipe for htmx says to paste, and its page's body."""
    body = blocks("htmx.md", "html")[1]
    attribute = 'hx-boost:inherited="true"' if library == "htmx-4" else 'hx-boost="true"'
    assert attribute in (RECIPES / "htmx.md").read_text("utf-8")
    (button,) = re.findall(r"<button.*</button>", body)
    (news,) = re.findall(r"<div.*</div>", body)
    (counting,) = blocks("htmx.md", "js")
    if library == "htmx-4":
        renamed = re.findall(r"In htmx 4 the event is `(.*)`", (RECIPES / "htmx.md").read_text("utf-8"))
        counting = counting.replace("htmx:pushedIntoHistory", *renamed)
    head = blocks("htmx.md", "html")[0].replace("htmx.js", f"{library}.js") + inline(counting)
    return {"head": head, "body": attribute, "more": button.replace("/news", "news"), "news": news}


def turbo(_library: str) -> dict[str, str]:
    """Return what the recipe for Turbo says to paste, and a page with a frame."""
    return {
        "head": '<script type="module" src="/static/site.js"></script>',
        "body": "",
        "more": '<a href="news" data-turbo-frame="news">News</a>',
        "news": '<turbo-frame id="news"></turbo-frame>',
    }


def unpoly(library: str) -> dict[str, str]:
    """Return what the recipe for Unpoly says to paste, and a page whose body is swapped as a whole."""
    whole = 'up.fragment.config.mainTargets = ["body"]'
    return {
        "head": SCRIPT.format(library) + inline(*blocks("unpoly.md", "js"), whole),
        "body": "",
        "more": '<a href="news" up-target="#news">News</a> <a href="news?over" up-layer="new" up-target="#news">Over</a>',
        "news": '<div id="news"></div>',
    }


def alpine(library: str) -> dict[str, str]:
    """Return what the recipe for Alpine says to paste."""
    (section,) = blocks("alpine.md", "html")
    script = inline(*blocks("alpine.md", "js")) + f'<script defer src="/static/{library}.js"></script>'
    return {"head": script, "body": "", "more": "", "news": section}


MAKERS = {
    "htmx-1": htmx,
    "htmx-2": htmx,
    "htmx-4": htmx,
    "turbo": turbo,
    "unpoly": unpoly,
    "alpine": alpine,
}
FRAGMENTS = {
    "turbo": f'<turbo-frame id="news">{NEWS}</turbo-frame>',
    "unpoly": f'<div id="news">{NEWS}</div>',
}


def make_app(bundles: Path) -> Callable[..., list[bytes]]:
    """Return the site; what the SPAs load stands in a folder."""

    def answer(library: str, name: str) -> tuple[str, str, str]:
        if name == "site.js":
            return "200 OK", "text/javascript", "".join(blocks("turbo.md", "js"))
        if library == "static":
            library = name.removesuffix(".js")
            path = MODULES / FILES[library] if library in FILES else bundles / name
            return "200 OK", "text/javascript", path.read_text("utf-8")
        if name == "stream":
            return "200 OK", "text/vnd.turbo-stream.html; charset=utf-8", STREAM
        if name == "news":
            return "200 OK", "text/html; charset=utf-8", FRAGMENTS.get(library, NEWS)
        if library == "spa":
            script = f'<script type="module" src="/static/{name}.js"></script>'
            text = f'<!doctype html><html lang="en"><head><title>App</title>{script}</head><body>...</body></html>'
            return "200 OK", "text/html; charset=utf-8", text
        other = "a" if name == "b" else "b"
        text = PAGE.format(library=library, name=name, other=other, **MAKERS[library](library))
        return "401 Denied" if name == "denied" else "200 OK", "text/html; charset=utf-8", text

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        library, _, name = environ["PATH_INFO"][1:].partition("/")
        if name == "moved":
            start_response("302 Found", [("Location", f"/{library}/b")])
            return [b""]
        if not name:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b""]
        status, kind, text = answer(library, name)
        start_response(status, [("Content-Type", kind), ("Cache-Control", "no-cache")])
        return [text.encode()]

    return app


ENTRY_REACT = """
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { useConsent } from "./useConsent";
import { Film } from "./Film";
import { pageView } from "./pageView";
import { readConsent } from "./readConsent";
function App() {
  const [turn, setTurn] = useState(0);
  return <main><h1>Turn {turn}</h1><button onClick={() => setTurn(turn + 1)}>Again</button>
    <p>{String(useConsent("analytics"))}</p><Film />
    {turn < 2 && <iframe id="early" src="https://www.youtube.com/embed/early" title="Early" />}</main>;
}
const root = createRoot(document.body);
root.render(<App />);
Object.assign(window, { pageView, readConsent, leave: () => root.unmount() });
"""
ENTRY_VUE = """
import { createApp, defineComponent, h, ref } from "vue";
import { useConsent } from "./useConsentVue";
import { pageView } from "./pageView";
import { readConsent } from "./readConsent";
const App = defineComponent(() => {
  const turn = ref(0);
  const [counts, films] = [useConsent("analytics"), useConsent("youtube")];
  const film = () => films.value
    ? h("iframe", { src: "https://www.youtube.com/embed/aqz-KE-bpKQ", title: "A film" })
    : h("button", { onClick: () => window.consent.acceptService("youtube") }, "Show the film");
  const early = () => turn.value < 2 && h("iframe", { id: "early", src: "https://www.youtube.com/embed/early" });
  return () => h("main", [h("h1", `Turn ${turn.value}`), h("button", { onClick: () => turn.value++ }, "Again"),
    h("p", String(counts.value)), film(), early()]);
});
const app = createApp(App);
app.mount(document.body);
Object.assign(window, { pageView, readConsent, leave: () => app.unmount() });
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a front end: the recipes' blocks, the site's own declarations, and what uses them."""
    if not has_libraries():
        pytest.fail("the libraries are not there: python tests/browser/install.py", pytrace=False)
    folder = tmp_path_factory.mktemp("spa")
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "consent.d.ts").write_text(declarations(load_config(CONFIG).catalog), "utf-8")
    react, vue, view, read = blocks("spa.md", "ts")
    (film,) = blocks("spa.md", "tsx")
    texts = {"useConsent.ts": react, "useConsentVue.ts": vue, "pageView.ts": view, "readConsent.ts": read}
    texts |= {"Film.tsx": film, "react.jsx": ENTRY_REACT, "vue.js": ENTRY_VUE}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def site(sources: Path) -> Iterator[str]:
    """The site, served; the two SPAs are bundled first."""
    made = sources / "made"
    command = [
        str(MODULES / ".bin/esbuild"),
        "react.jsx",
        "vue.js",
        "--bundle",
        "--format=esm",
        "--jsx=automatic",
    ]
    defines = ["--define:process.env.NODE_ENV='production'", f"--outdir={made}", "--log-level=error"]
    subprocess.run([*command, *defines], cwd=sources, check=True, timeout=WAIT_S)
    with launched_app(
        make_app(made), CONFIG | {"records": {"url": f"sqlite:///{sources}/records.db"}}
    ) as url:
        yield url


LOOK = """() => ({
    page: document.querySelector("h1")?.textContent,
    banners: document.querySelectorAll("#consent-banner").length,
    styles: document.querySelectorAll("link[href$='/banner.css']").length,
    styled: getComputedStyle(document.querySelector("#consent-banner") ?? document.body).position,
    asks: Boolean(document.querySelector("#consent-banner")?.checkVisibility()),
    links: document.querySelectorAll("#consent-link").length,
    statuses: document.querySelectorAll("[role=status]").length,
    documents: window.documents,
})"""


class Visitor:
    """Somebody on one library's pages, and what the third parties hear of them."""

    def __init__(self, page: Page, site: str) -> None:
        self.page = page
        self.site = site.rstrip("/")
        self.posts: list[str] = []
        self.heard: list[str] = []
        page.on("request", self._note)
        page.context.route(re.compile(r"https?://(?!127\.0\.0\.1|www\.shop\.test)"), self._answer)

    def _note(self, request: Request) -> None:
        if request.method == "POST":
            self.posts.append(request.url)

    def _answer(self, route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        self.heard.append(name)
        text = f"(window.ran ??= []).push('{name}')" if name.endswith(".js") else ""
        route.fulfill(body=text, content_type="text/javascript" if text else "text/html")

    def open(self, path: str) -> None:
        """Load a page whole."""
        self.page.goto(self.site + path)
        self.page.wait_for_function(STARTED)
        self.page.evaluate("""() => {
            window.documents = 1;
            window.changes = 0;
            document.addEventListener("consent:change", () => window.changes++);
        }""")

    def sees(self, page: str, *, asks: bool) -> None:
        """Wait for a page, in the same document, with one of each of ours."""
        wanted = {"page": page, "asks": asks, "styled": "fixed"}
        wanted |= dict.fromkeys(["banners", "links", "styles", "statuses", "documents"], 1)
        assert until(self.page, lambda: self.page.evaluate(LOOK), wanted.__eq__) == wanted

    def follow(self, name: str, page: str, *, asks: bool) -> None:
        """Follow a link into another page."""
        self.page.get_by_role("link", name=name, exact=True).click()
        self.sees(page, asks=asks)
        ends = "[document.body.firstElementChild.id, document.body.lastElementChild.id]"
        assert self.page.evaluate(ends) == ["consent-banner", "consent-link"]

    def back(self, page: str, *, asks: bool) -> None:
        """Go back in history."""
        self.page.go_back()
        self.sees(page, asks=asks)

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def ran(self) -> list[str]:
        """What has run, in order."""
        found: list[str] = self.page.evaluate("window.ran ?? []")
        return found

    def await_ran(self, wanted: list[str]) -> None:
        """Wait until this has run, in this order, and nothing else."""
        assert until(self.page, lambda: self.ran, wanted.__eq__) == wanted

    def frames(self) -> list[str]:
        """Return where the frames on the page lead; a box that stands for one leads nowhere."""
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('iframe')].map((one) => one.srcdoc ? 'box' : one.getAttribute('src') ?? '')"
        )
        return found

    def withdraw(self) -> None:
        """Take everything back."""
        self.page.locator("#consent-link a").first.click()
        self.page.locator("#consent-dialog[open]").wait_for()
        self.press("Withdraw consent")
        self.page.locator("#consent-dialog").wait_for(state="detached")


@pytest.fixture
def visitor(browser: Browser, site: str) -> Iterator[Visitor]:
    """A visitor who has never been here; their pages may log no error."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_S * 1000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Visitor(page, site)
    context.close()
    assert errors == []


@pytest.mark.parametrize(
    ("library", "host"),
    [
        *((library, "127.0.0.1") for library in ("htmx-1", "htmx-2", "htmx-4", "turbo", "unpoly")),
        (
            "turbo",
            SHOP_HOST,
        ),  # the browser says nothing about requests there, so what Turbo fetches has a banner
    ],
)
def test_bodies_and_fragments_are_swapped(visitor: Visitor, library: str, host: str) -> None:
    """One banner and one link whatever is swapped; what waits stays inert, comes to life in place, and not again."""
    visitor.site = visitor.site.replace("127.0.0.1", host)
    visitor.open(f"/{library}/a")
    visitor.sees("a", asks=True)
    visitor.follow("Next page", "b", asks=True)
    visitor.back("a", asks=True)
    visitor.follow("Moved", "b", asks=True)
    if library == "turbo":
        swap_what_turbo_has(visitor)
    if library == "unpoly":
        answer_beside_an_overlay(visitor)

    with visitor.page.expect_response("**/news") as response:
        visitor.page.get_by_text("News", exact=True).first.click()
    assert not re.search("consent-banner|consent-link|guard.js", response.value.text())
    visitor.page.locator("#news p").wait_for()
    visitor.sees("b", asks=True)
    streamed = ["stream.js", "stream"] if library == "turbo" else []
    assert (visitor.ran, visitor.heard, visitor.frames()) == ([], [], ["box"])

    visitor.press("Accept all")
    visitor.await_ran(["news.js", "news", *streamed, "b.js", "b"])
    visitor.sees("b", asks=False)
    assert visitor.frames() == ["https://www.youtube.com/embed/news"]
    assert (len(visitor.posts), visitor.page.evaluate("window.changes")) == (1, 1)
    assert visitor.page.evaluate("document.activeElement.closest('#consent-link') !== null")

    before = len(visitor.ran)
    visitor.follow("Next page", "a", asks=False)
    new = until(visitor.page, lambda: visitor.ran[before:], lambda new: len(new) == 2)
    assert sorted(new) == ["a", "a.js"]
    assert visitor.page.evaluate("window.visits") == [f"/{library}/a"]

    visitor.withdraw()
    known = visitor.ran, list(visitor.heard)
    visitor.follow("Next page", "b", asks=False)
    visitor.back("a", asks=False)
    visitor.back("b", asks=False)
    visitor.page.evaluate(DRAWN)
    assert (visitor.ran, visitor.heard) == known
    assert len(visitor.posts) == 2


def swap_what_turbo_has(visitor: Visitor) -> None:
    """An error page is swapped in like any other; a stream's tags wait, even those that only their text tells."""
    visitor.follow("Denied", "denied", asks=True)
    visitor.follow("Next page", "b", asks=True)
    visitor.page.evaluate("""async () => {
        const answer = await fetch("/turbo/stream", { headers: { Accept: "text/vnd.turbo-stream.html" } });
        Turbo.renderStreamMessage(await answer.text());
    }""")
    visitor.page.locator("#streamed p").wait_for()


def answer_beside_an_overlay(visitor: Visitor) -> None:
    """The banner can be reached beside a modal overlay, which has none of its own."""
    visitor.page.get_by_text("Over", exact=True).click()
    visitor.page.locator("up-modal #news p").wait_for()
    visitor.sees("b", asks=True)
    visitor.page.locator("#consent-banner button").first.focus()
    visitor.page.evaluate(DRAWN)
    assert visitor.page.evaluate("document.activeElement.closest('#consent-banner') !== null")
    visitor.page.evaluate("up.layer.dismiss()")
    visitor.page.locator("up-modal").wait_for(state="detached")


def test_alpine_shows_and_hides(visitor: Visitor) -> None:
    """The recipe's section follows the visitor's answers, made by its own button and by the banner."""
    visitor.open("/alpine/a")
    thanks = visitor.page.get_by_text("Thank you for letting us count.")
    thanks.wait_for(state="hidden")
    visitor.press("Accept all")
    thanks.wait_for()
    visitor.await_ran(["a.js", "a"])
    visitor.withdraw()
    thanks.wait_for(state="hidden")
    visitor.press("Show the film")
    visitor.page.wait_for_function("consent.acceptedService('youtube')")
    thanks.wait_for(state="hidden")


@pytest.mark.parametrize("library", ["react", "vue"])
def test_a_single_page_app_on_the_body(visitor: Visitor, library: str) -> None:
    """The app wipes the page and the banner is back; its components follow the answer; routes count once allowed."""
    visitor.open(f"/spa/{library}")
    visitor.page.get_by_role("heading", name="Turn 0").wait_for()
    visitor.sees("Turn 0", asks=True)
    visitor.press("Again")
    visitor.sees("Turn 1", asks=True)
    visitor.page.evaluate("history.pushState(null, '', '/spa/elsewhere'); pageView('/elsewhere')")
    assert (visitor.heard, visitor.frames()) == ([], [""])

    visitor.press("Show the film")
    visitor.page.locator("iframe[title='A film']").wait_for()
    assert visitor.page.locator("main p").text_content() == "false"
    visitor.page.evaluate("consent.acceptCategory('all')")
    visitor.page.get_by_text("true", exact=True).wait_for()
    visitor.sees("Turn 1", asks=False)
    embeds = [f"https://www.youtube.com/embed/{one}" for one in ("aqz-KE-bpKQ", "early")]
    assert until(visitor.page, visitor.frames, embeds.__eq__) == embeds
    visitor.page.evaluate("pageView('/elsewhere')")
    until(visitor.page, lambda: visitor.heard, lambda heard: "view.gif?path=%2Felsewhere" in heard)
    assert sorted(visitor.heard) == ["aqz-KE-bpKQ", "early", "view.gif?path=%2Felsewhere"]

    state = visitor.page.evaluate("readConsent(location.origin)")
    assert (state["answered"], state["services"]["youtube"]) == (True, True)
    visitor.press("Again")
    visitor.sees("Turn 2", asks=False)
    visitor.page.evaluate("leave()")
    visitor.page.locator("main").wait_for(state="detached")
    assert visitor.page.locator("#consent-link").count() == 1


# -- TypeScript

RIGHT = """
declare const category: ConsentMiddleware.Category;
window.consent.acceptedCategory(category);
const all: Promise<boolean> = window.consent.acceptCategory("all");
const none: Promise<boolean> = window.consent.acceptCategory([]);
document.addEventListener("consent:ready", () => window.consent.showPreferences());
const units: ConsentMiddleware.Unit[] = ["marketing", "house-stats"];
"""
WRONG = """window.consent.acceptedCategory("analitics");
window.consent.acceptedService("house-statz");
window.consent.acceptCategory(["analytics", "youtube"]);
window.consent.acceptService("all");
window.consent.accepts("analytics");
window.consent.acceptedCategory();
const yes: boolean = window.consent.acceptCategory("all");
document.addEventListener("consent:change", ({ detail }) => detail.grantet);
document.addEventListener("consent:first", ({ detail }) => detail.granted.includes("you-tube"));
window.consent = null;
"""
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "jsx": "react-jsx",
    "module": "esnext",
    "moduleResolution": "bundler",
    "target": "es2022",
    "lib": ["es2022", "dom"],
    "types": ["react"],
    "skipLibCheck": True,
}


def test_the_types_agree_with_the_page(visitor: Visitor, sources: Path) -> None:
    """The compiler accepts the recipes, right use and what a page really offers, and refuses every wrong line."""
    visitor.open("/htmx-2/a")
    offered = visitor.page.evaluate("""async () => {
        const change = new Promise((done) => document.addEventListener("consent:change", done, { once: true }));
        await consent.acceptCategory(["analytics"]);
        return {
            Detail: (await change).detail,
            Preferences: consent.getUserPreferences(),
            State: await (await fetch("/_consent/state.json")).json(),
            members: Object.keys(consent),
        };
    }""")
    members = dict.fromkeys(offered.pop("members"), 0)
    lines = [f"const a: Record<keyof ConsentMiddleware.Consent, 0> = {json.dumps(members)};"]
    lines += [
        f"const {name}: ConsentMiddleware.{name} = {json.dumps(value)};" for name, value in offered.items()
    ]
    texts = {"page.ts": "\n".join(lines), "right.ts": RIGHT, "wrong.ts": WRONG}
    texts["said.ts"] = "\n".join(blocks("typescript.md", "ts"))
    for name, text in texts.items():
        (sources / name).write_text(f"{text}\nexport {{}};\n", "utf-8")
    config = {"compilerOptions": OPTIONS, "include": ["*.ts", "*.tsx"]}
    (sources / "tsconfig.json").write_text(json.dumps(config), "utf-8")
    done = subprocess.run(
        [MODULES / ".bin/tsc"], cwd=sources, capture_output=True, text=True, check=False, timeout=WAIT_S
    )
    found = re.findall(r"^(\S+)\((\d+),", done.stdout, re.MULTILINE)
    assert {(name, int(line)) for name, line in found} == {
        ("wrong.ts", line) for line in range(1, len(WRONG.splitlines()) + 1)
    }, done.stdout
