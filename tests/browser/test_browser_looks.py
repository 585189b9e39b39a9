"""How it looks, wherever it stands: beside other style sheets, in forced colours, from right to left, on paper, large.

What can differ between engines is walked in Chromium and in Firefox by the same functions.
"""

from __future__ import annotations

import gzip
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from browser.conftest import STARTED, WAIT_S, launched_site, overflow, violations
from browser.test_browser_first_layer import LAYOUT, SMALL, declaration
from consent_middleware.assets import THEMES
from consent_middleware.resources import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = pytest.mark.browser

STYLES = Path(__file__).with_name("styles")
FRAMEWORKS = {
    path.name.partition(".")[0]: gzip.decompress(path.read_bytes()).decode()
    for path in sorted(STYLES.glob("*.css.gz"))
}
SHEETS = FRAMEWORKS | {"hostile": (STYLES / "hostile.css").read_text("utf-8")}
LANGUAGES = ("en", "de", "ar", "he", "ja")
# Pages of ours, and what a walk sees on the way to them.
PAGES = ("preferences", "opt-out", "policy", "receipt")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(FIREFOX is None, reason="needs a Firefox: apt-get install firefox-esr")

OWN = """<h1>Shop</h1><p>Words and <a href="/x">a link</a></p>
<form><label>Amount <input name="amount" size="4"></label> <input type="checkbox" aria-label="Gift"> <button type="button">Buy</button></form>
<table><thead><tr><th>Cup</th><th>Price</th></tr></thead><tbody><tr><td>Small</td><td>9</td></tr></tbody></table>
<ul><li>One</li></ul><details><summary>More</summary><p>Much more</p></details><section hidden>Hidden</section>"""
# As large as it is whatever the site's style sheet does to iframes: only what is in it is looked at.
FIRM = {"width": "min(560px, 90vw)", "height": "315px", "max-width": "none", "padding": "0", "border": "0"}
FRAME = (
    '<iframe id="held" title="A video" src="https://www.youtube.com/embed/abc"'
    f' style="display: block; {"; ".join(f"{name}: {value} !important" for name, value in FIRM.items())}"></iframe>'
)
SPACE = '<div style="height: 2000px"></div>'


def page_of(language: str) -> bytes:
    """Return a page with things of its own, a held video and something to scroll."""
    head = '<head><title>Shop</title><meta name="viewport" content="width=device-width"></head>'
    body = f'<body><main id="main">{OWN}{FRAME}{SPACE}</main></body>'
    return f'<!doctype html><html lang="{language}">{head}{body}</html>'.encode()


# -- looking

# Remembers every computed value and box below an element, or tells what differs from what is remembered. Custom
# properties are not listed by browsers; of what an element may generate only that which it does is looked at.
LOOK = """
    ([css, again, within]) => {
        const names = [...getComputedStyle(document.documentElement)].filter((name) => !name.startsWith("--"));
        const parts = {
            "::first-letter": ["color", "font-size", "float"],
            "::marker": ["color", "content"], "::backdrop": ["display", "background-color", "opacity", "backdrop-filter"],
        };
        const inside = within ? document.querySelector(within).contentDocument : document;
        const looks = {};
        for (const root of inside.querySelectorAll(css)) {
            [root, ...root.querySelectorAll("*")].forEach((el, i) => {
                const look = looks[`${root.localName} ${i} ${el.localName} ${el.id} ${el.getAttribute("class") ?? ""}`] = {};
                const note = (part, wanted) => {
                    const style = getComputedStyle(el, part);
                    if (/before|after/.test(part) && /^(none|normal)$/.test(style.content)) return;
                    for (const name of wanted) look[part + name] = style.getPropertyValue(name);
                };
                note("", names);
                for (const part of ["::before", "::after"]) note(part, names);
                for (const part in parts) note(part, parts[part]);
                const { x, y, width, height } = el.getBoundingClientRect();
                look.box = [x, y, width, height].map((value) => value.toFixed(1)).join(" ");
            });
        }
        if (!again) {
            window.seen = looks;
            return Object.keys(looks).length;
        }
        const found = {};
        for (const [key, look] of Object.entries(looks)) {
            const was = window.seen[key] ?? {};
            const other = Object.keys({ ...was, ...look }).filter((name) => was[name] !== look[name]);
            if (other.length) found[key] = Object.fromEntries(other.map((name) => [name, `${was[name]} -> ${look[name]}`]));
        }
        return found;
    }
"""
# Put last, where nothing weighs more than its selectors do.
STYLE = """
    (css) => {
        document.querySelector("#sites-own")?.remove();
        if (css) document.head.append(Object.assign(document.createElement("style"), { id: "sites-own", textContent: css }));
    }
"""
# Boxes are looked at once nothing of ours moves; what the site's sheet would set in motion must not.
STILL = """
    Promise.all([...document.querySelectorAll(".consent-root")].flatMap((root) => root.getAnimations({ subtree: true }))
        .filter(({ animationName }) => animationName === "consent-in").map(({ finished }) => finished))
"""
# The sheets, not their elements, which a site might style by that.
OURS = "(off) => { for (const one of document.styleSheets) if (one.href) one.disabled = Boolean(off); }"
# Frameworks fade colours in and out.
OVER = "document.getAnimations().forEach((one) => one.finish())"
UNFOLD = "document.querySelectorAll('#consent-dialog details').forEach((one) => { one.open = true; })"
# What is wider than its box, so that it is cut or scrolls sideways.
CUT = """
    () => [...document.querySelectorAll(".consent-root, .consent-root :not(svg, svg *)")]
        .filter((el) => el.checkVisibility() && getComputedStyle(el).display !== "inline" && el.clientWidth && !el.closest("thead"))
        .filter((el) => el.scrollWidth > el.clientWidth + 1).map((el) => el.outerHTML.slice(0, 200))
"""


def remember(page: Page, css: str, within: str = "") -> int:
    """Remember how elements look; return how many there are."""
    count: int = page.evaluate(LOOK, [css, False, within])
    return count


def differs(page: Page, css: str, within: str = "") -> dict[str, dict[str, str]]:
    """Return what looks otherwise than it was remembered, by element and property."""
    found: dict[str, dict[str, str]] = page.evaluate(LOOK, [css, True, within])
    return found


def beside(page: Page, css: str, within: str = "") -> dict[str, Any]:
    """Return what looks otherwise beside each of the sheets than without any."""
    page.evaluate(STILL)
    assert remember(page, css, within) > 2
    found = {}
    for name, sheet in SHEETS.items():
        page.evaluate(STYLE, sheet)
        if other := differs(page, css, within):
            found[name] = other
    page.evaluate(STYLE, "")
    return found


def start(page: Page, url: str, language: str = "en") -> None:
    """Open a page of the site and wait for its scripts."""
    page.goto(url + language)
    page.wait_for_function(STARTED)


def open_dialog(page: Page) -> None:
    """Open the preferences in the page by what opens them."""
    page.locator('[data-consent="preferences"]:visible').first.click()
    page.locator("#consent-dialog[open]").wait_for()


def answer_in_dialog(page: Page) -> None:
    """Reject in the dialog, and wait until the outcome is said."""
    page.locator("#consent-dialog [value=reject_all]").click()
    page.locator("#consent-dialog").wait_for(state="detached")
    page.locator("#consent-link [role=status] button").wait_for()


def walk(
    page: Page, url: str, language: str, look: Callable[[Page], Any], pages: tuple[str, ...] = PAGES
) -> dict[str, Any]:
    """Return what a look finds at the banner, the dialog, the link and on every page of ours, where it finds anything."""
    start(page, url, language)
    found = {"banner": look(page)}
    open_dialog(page)
    page.evaluate(UNFOLD)
    found["dialog"] = look(page)
    answer_in_dialog(page)
    found["link"] = look(page)
    for name in pages:
        page.goto(f"{url}_consent/{name}?lang={language}")
        if name == "preferences":
            page.wait_for_function("document.querySelector('#consent-form').dataset.ready === ''")
        found[name] = look(page)
    return {where: what for where, what in found.items() if what}


def fits(page: Page) -> list[Any]:
    """Return what is cut off or needs sideways scrolling."""
    wide = overflow(page)
    return [*page.evaluate(CUT), *([wide] if wide > 0 else [])]


def fits_by_axe(page: Page) -> list[Any]:
    """Return the same, and what axe finds."""
    return [*fits(page), *violations(page)]


# -- browsers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site in five languages, two of them from right to left, with records and a cross on its banner."""
    config = declaration(*LANGUAGES, close=True)
    config["records"] = {"url": f"sqlite:///{tmp_path_factory.mktemp('looks') / 'records.db'}"}
    with launched_site({one: page_of(one) for one in LANGUAGES}, config) as url:
        yield url


def new_page(browser: Browser, **settings: Any) -> Page:
    """Open a page in a profile of its own; nothing of the internet is loaded."""
    context = browser.new_context(**{"reduced_motion": "reduce", **settings})
    context.set_default_timeout(WAIT_S * 1000)
    context.route("https://**", lambda route: route.abort())
    return context.new_page()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages in Chromium with these settings of a Playwright context."""
    contexts: list[BrowserContext] = []

    def begin(**settings: Any) -> Page:
        page = new_page(browser, **settings)
        contexts.append(page.context)
        return page

    yield begin
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def in_firefox() -> Iterator[Callable[[Callable[[Browser], Any]], Any]]:
    """Run something with a Firefox, in a thread of its own, as Playwright demands of a second browser."""
    with ThreadPoolExecutor(1) as pool:
        playwright = pool.submit(lambda: sync_playwright().start()).result()

        def launch() -> Browser:
            return playwright.firefox.launch(channel="moz-firefox", executable_path=FIREFOX)

        firefox = pool.submit(launch).result()
        yield lambda job: pool.submit(job, firefox).result()
        pool.submit(firefox.close).result()
        pool.submit(playwright.stop).result()


# -- beside other style sheets


def test_no_style_sheet_of_the_site_reaches_ours(open_page: Callable[..., Page], site: str) -> None:
    """Bootstrap, Bulma, Pico, Tailwind's preflight and a hostile sheet change no value and no box of banner, dialog, link and placeholder."""
    page = open_page(reduced_motion="no-preference", viewport={"width": 1280, "height": 800})
    start(page, site)
    page.frame_locator("#held").get_by_role("button").first.wait_for()
    found = {"banner": beside(page, "#consent-banner"), "placeholder": beside(page, "body", "#held")}
    # Above what covers it the banner is a popover, which browsers and sites style in ways of their own.
    assert remember(page, "#consent-banner") > 10
    page.evaluate(STYLE, SHEETS["hostile"])
    page.evaluate(
        "() => { const el = document.querySelector('#consent-banner'); el.popover = 'manual'; el.showPopover(); }"
    )
    found["above"] = {
        where: other
        for where, what in differs(page, "#consent-banner").items()
        if (other := what.keys() - {"overlay"})
    }
    page.evaluate(STYLE, "")
    page.evaluate("document.querySelector('#consent-banner').hidePopover()")
    open_dialog(page)
    page.evaluate(UNFOLD)
    page.locator("#consent-dialog [name=service]").last.check()
    found["dialog"] = beside(page, "#consent-dialog")
    answer_in_dialog(page)
    found["link"] = beside(page, "#consent-link")
    assert {where: what for where, what in found.items() if what} == {}


def test_ours_reaches_nothing_of_the_site(open_page: Callable[..., Page], site: str) -> None:
    """With our sheets and without, everything of the page is the same under each framework, but for the banner's room."""
    page = open_page()
    page.add_init_script("MutationObserver.prototype.observe = () => {}")  # else what is taken out comes back
    start(page, site)
    page.wait_for_function("document.documentElement.style.getPropertyValue('--consent-room')")
    open_dialog(page)  # its sheet is ours, too
    page.keyboard.press("Escape")
    page.locator("#consent-dialog").wait_for(state="detached")
    assert remember(page, "html:root, main") > 20
    page.evaluate("document.querySelectorAll('.consent-root').forEach((one) => one.remove())")
    assert differs(page, "main") == {}
    room = {
        name
        for where, what in differs(page, "html:root").items()
        if where.startswith("html 0 ")
        for name in what
    }
    assert {name for name in room if "padding" in name} == {
        "padding-bottom",
        "padding-block-end",
        "scroll-padding-bottom",
        "scroll-padding-block-end",
    }
    found = {}
    for name, sheet in {"nothing": "", **FRAMEWORKS}.items():
        page.evaluate(STYLE, sheet)
        page.evaluate(OVER)
        remember(page, "html:root")
        page.evaluate(OURS, 1)
        page.evaluate(OVER)
        if other := differs(page, "html:root"):
            found[name] = other
        page.evaluate(OURS, 0)
    assert found == {}


# -- colours

TOKENS = """
    () => {
        const style = getComputedStyle(document.body);
        const canvas = document.createElement("canvas").getContext("2d");
        return Object.fromEntries(["surface", "text", "soft", "edge", "accent", "on-accent", "focus"].map((name) => {
            canvas.fillStyle = style.getPropertyValue(`--consent-${name}`);
            return [name, canvas.fillStyle];
        }));
    }
"""
TEXT = (("text", "surface"), ("soft", "surface"), ("on-accent", "accent"))
# Switches off and outlined buttons; switches on and full buttons; their knob; the ring, which lies on the surface.
CONTROLS = (("edge", "surface"), ("accent", "surface"), ("on-accent", "accent"), ("focus", "surface"))


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb. Source: WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours. Source: WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def too_faint(tokens: Mapping[str, str]) -> list[tuple[str, str, float]]:
    """Return the pairs that stand out too little: 4.5 to 1 for text, 3 to 1 for controls."""
    wanted = [*((pair, 4.5) for pair in TEXT), *((pair, 3.0) for pair in CONTROLS)]
    ratios = [(one, other, contrast(tokens[one], tokens[other]), least) for (one, other), least in wanted]
    return [(one, other, ratio) for one, other, ratio, least in ratios if ratio < least]


@pytest.mark.conformance("A11Y-4")
def test_every_theme_has_the_contrast_of_text_and_of_controls(open_page: Callable[..., Page]) -> None:
    """Text 4.5 to 1; edges of switches and buttons, knobs and the ring of the focus 3 to 1: every theme, light and dark."""
    page = open_page()
    seen, faint = set(), {}
    own = read_bytes("static", "banner", "min", "banner.css").decode()
    for theme in ("auto", "light", "dark", *sorted(THEMES)):
        more = read_bytes("static", "banner", "min", f"theme-{theme}.css").decode() if theme in THEMES else ""
        setting = "auto" if theme in THEMES else theme
        page.set_content(f'<style>{own}{more}</style><body class="consent-root" data-theme="{setting}">')
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            tokens = page.evaluate(TOKENS)
            seen.add(tokens["surface"] + tokens["accent"])
            if found := too_faint(tokens):
                faint[f"{theme} {scheme}"] = found
    assert len(seen) == 2 * (1 + len(THEMES))  # each scheme of each theme has come
    assert faint == {}


FORCED = """
    (css) => [...document.querySelectorAll(css)].filter((el) => el.checkVisibility()).map((el) => {
        const style = getComputedStyle(el);
        return [parseFloat(style.borderTopWidth) > 0, style.borderTopStyle, style.borderTopColor !== style.backgroundColor];
    })
"""


@pytest.mark.conformance("A11Y-4")
def test_forced_colours_leave_every_edge_and_state(open_page: Callable[..., Page], site: str) -> None:
    """Buttons, dialog and link have an edge, switches are the system's own tick boxes, and the focus has its ring."""
    page = open_page(forced_colors="active", viewport={"width": 1000, "height": 700})
    edge = [True, "solid", True]
    start(page, site)
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    banner = page.evaluate(FORCED, "#consent-banner, #consent-banner button")
    assert (len(banner), banner) == (5, [edge] * 5)  # itself, the twins, Choose and the cross
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Reject all")).to_be_focused()
    ring = "(el) => { const { outlineStyle, outlineWidth } = getComputedStyle(el); return [outlineStyle, outlineWidth]; }"
    assert page.locator(":focus").evaluate(ring) == ["solid", "3px"]
    open_dialog(page)
    dialog = page.evaluate(FORCED, "#consent-dialog, #consent-dialog button")
    assert dialog == [edge] * len(dialog)
    box = page.locator("#consent-dialog input:visible").first
    for state in (False, True):
        box.set_checked(state)
        look = "(el) => [getComputedStyle(el).appearance, getComputedStyle(el, '::before').content, el.clientWidth]"
        appearance, knob, width = box.evaluate(look)
        assert (appearance, knob) == ("auto", "none")
        assert width >= 20
    answer_in_dialog(page)
    assert page.evaluate(FORCED, "#consent-link > a, #consent-link [role=status]") == [edge] * 2


# -- from right to left

SIDES = """
    (css) => {
        const { left, right } = document.querySelector(css).getBoundingClientRect();
        return left < innerWidth - right ? "left" : "right";
    }
"""


@pytest.mark.conformance("A11Y-4")
def test_right_to_left_is_mirrored(open_page: Callable[..., Page], site: str) -> None:
    """In the corner the banner, its cross and the link stand on the other side; nothing is cut at 1280, in light."""
    sides = {}
    for language in ("en", "he"):
        page = open_page(viewport={"width": 1280, "height": 800})
        start(page, site, language)
        page.evaluate("document.querySelector('#consent-banner').dataset.position = 'corner'")
        sides[language] = [page.evaluate(SIDES, css) for css in ("#consent-banner", ".consent-close")]
        page.locator("#consent-banner [value=reject_all]").first.click()
        page.locator("#consent-link [role=status] button").wait_for()
        sides[language].append(page.evaluate(SIDES, "#consent-link > a"))
    assert sides == {"en": ["right", "right", "left"], "he": ["left", "left", "right"]}
    assert walk(open_page(viewport={"width": 1280, "height": 800}), site, "he", fits) == {}


@pytest.mark.conformance("A11Y-4")
def test_right_to_left_fits_the_smallest_screen_in_the_dark(
    open_page: Callable[..., Page], site: str
) -> None:
    """Banner, dialog, link and every page of ours in Arabic: no violation that axe can find, nothing cut at 320 px."""
    page = open_page(color_scheme="dark", viewport=SMALL)
    assert walk(page, site, "ar", fits_by_axe) == {}
    assert page.evaluate("getComputedStyle(document.querySelector('main')).direction") == "rtl"


# -- large and small


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(
    ("language", "settings"),
    [
        pytest.param(
            "de", {"viewport": {"width": 640, "height": 360}, "device_scale_factor": 2}, id="zoomed"
        ),
        pytest.param("ja", {"viewport": {"width": 3840, "height": 2160}}, id="4k"),
    ],
)
def test_zoomed_and_on_a_large_screen_nothing_is_cut(
    open_page: Callable[..., Page], site: str, language: str, settings: dict[str, Any]
) -> None:
    """At 200% on a small laptop, and on a screen of 3840 by 2160, all fits; lines never grow longer than can be read."""
    page = open_page(**settings)

    def look(page: Page) -> list[Any]:
        long = page.evaluate(
            "Math.max(...[...document.querySelectorAll('.consent-root p')].map((el) => el.clientWidth))"
        )
        return [*fits(page), *([long] if long > 1000 else [])]

    assert walk(page, site, language, look) == {}


def with_large_text(page: Page, url: str, language: str, size: dict[str, int]) -> dict[str, Any]:
    """Return what of a walk does not fit with this size of text and screen, or is not as large as the visitor wants."""
    page.set_viewport_size({"width": size["width"], "height": 800})

    def look(page: Page) -> list[Any]:
        found = page.evaluate(
            "[...document.querySelectorAll('.consent-root')].map((el) => getComputedStyle(el).fontSize)"
        )
        return [*fits(page), *(one for one in found if one != f"{size['text']}px")]

    return walk(page, url, language, look)


@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize("width", [320, 1280])
def test_text_of_twice_the_size_fits(open_page: Callable[..., Page], site: str, width: int) -> None:
    """Who has set text to 32 px gets it, in German, narrow and wide: buttons wrap, and nothing is cut."""
    page = open_page()
    session = page.context.new_cdp_session(page)
    session.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    assert with_large_text(page, site, "de", {"width": width, "text": 32}) == {}


def test_the_sites_size_of_text_is_not_ours(open_page: Callable[..., Page], site: str) -> None:
    """A root of 62.5% or 200% changes nothing of ours."""
    page = open_page()
    start(page, site)
    remember(page, "#consent-banner")
    for size in ("62.5%", "200%"):
        page.evaluate("(size) => { document.documentElement.style.fontSize = size; }", size)
        assert differs(page, "#consent-banner") == {}


# -- on paper


@pytest.mark.conformance("A11Y-4")
def test_paper_has_the_words_and_no_buttons(open_page: Callable[..., Page], site: str) -> None:
    """Printed, banner and link are gone and take no room; our pages are folded out, and nothing sticks over their text."""
    page = open_page(viewport={"width": 718, "height": 1000})
    start(page, site)
    page.emulate_media(media="print")
    expect(page.locator("#consent-banner")).to_be_hidden()
    expect(page.locator("#consent-link")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.documentElement).paddingBottom") == "0px"
    page.emulate_media(media="screen")
    open_dialog(page)
    answer_in_dialog(page)
    stuck = """
        [...document.querySelectorAll("body, body *")]
            .filter((el) => el.checkVisibility() && /sticky|fixed/.test(getComputedStyle(el).position)).length
    """
    for name in PAGES:
        page.goto(f"{site}_consent/{name}?lang=en")
        if name == "preferences":
            page.wait_for_function("document.querySelector('#consent-form').dataset.ready === ''")
            assert page.evaluate(stuck) == 1  # the test can fail
            expect(page.locator("#consent-form table").last).to_be_hidden()
        page.emulate_media(media="print")
        assert page.evaluate(stuck) == 0
        assert page.locator("button:visible, .consent-back:visible").count() == 0
        for table in page.locator("table").all():
            expect(table).to_be_visible()
            assert table.evaluate("(el) => el.checkVisibility({ contentVisibilityAuto: true })")
        assert fits(page) == []
        page.emulate_media(media="screen")


# -- by keyboard, in both browsers


def tab_to(page: Page, css: str) -> None:
    """Press Tab until an element has the focus."""
    target = page.locator(css).first
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("(el) => el === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {css}")


def await_focus(page: Page, css: str) -> None:
    """Wait until an element has the focus of its page; Firefox's own window may have none."""
    page.wait_for_function("(css) => document.activeElement === document.querySelector(css)", arg=css)


def dialog_by_keyboard(page: Page, url: str) -> None:
    """Escape leaves the banner; the dialog keeps the focus, and gives it back."""
    start(page, url)
    page.evaluate("scrollTo(0, 300)")
    page.keyboard.press("Escape")
    expect(page.locator("#consent-banner")).to_be_visible()
    tab_to(page, "#consent-banner [data-consent=preferences]")
    page.keyboard.press("Enter")
    page.locator("#consent-dialog[open]").wait_for()
    for _ in range(25):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('body, #consent-dialog').id") in (
            "",
            "consent-dialog",
        )
        assert page.evaluate("document.activeElement.closest('#consent-banner, main')") is None
    page.keyboard.press("Escape")
    page.locator("#consent-dialog").wait_for(state="detached")
    await_focus(page, "#consent-banner [data-consent=preferences]")


def answer_by_keyboard(page: Page, url: str) -> None:
    """Accept and take back with keys alone: the outcome is said, the focus goes to the link, nothing jumps."""
    start(page, url)
    tab_to(page, "#consent-banner [value=accept_all]")
    status = page.locator("#consent-link [role=status]")
    expect(status).to_have_text("")
    before = page.evaluate("scrollY")
    page.keyboard.press("Enter")
    expect(page.locator("#consent-banner")).to_be_hidden()
    expect(status).to_contain_text("Everything is allowed.")
    await_focus(page, "#consent-link a")
    assert page.evaluate("scrollY") == before
    page.keyboard.press("Enter")
    page.locator("#consent-dialog[open]").wait_for()
    tab_to(page, "#consent-dialog [value=withdraw]")
    page.keyboard.press("Enter")
    page.locator("#consent-dialog").wait_for(state="detached")
    expect(status).to_contain_text("Only needed cookies.")
    await_focus(page, "#consent-link a")
    assert page.evaluate("scrollY") == before


def by_keyboard_without_scripts(page: Page, url: str) -> None:
    """Choose, tick, save, come back, come again and withdraw with keys alone and no script; the video is a plain link."""
    page.goto(f"{url}en")
    link = page.frame_locator("#held").get_by_role("link")
    expect(link).to_have_attribute("href", "https://www.youtube.com/embed/abc")
    tab_to(page, "#consent-banner [data-consent=preferences]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Cookie settings").wait_for()
    tab_to(page, "[name=service][value=google-analytics]")
    page.keyboard.press("Space")
    tab_to(page, "[value=save]")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Shop").wait_for()
    expect(page).to_have_url(f"{url}en")
    expect(page.locator("#consent-banner")).to_be_hidden()
    tab_to(page, "#consent-link a")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Cookie settings").wait_for()
    expect(page.locator("[name=service][value=google-analytics]")).to_be_checked()
    expect(page.locator("[name=service][value=youtube]")).not_to_be_checked()
    tab_to(page, "[value=withdraw]")
    page.keyboard.press("Enter")
    page.get_by_text("Your consent is withdrawn.").wait_for()
    tab_to(page, ".consent-back a")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}en")
    expect(page.locator("#consent-banner")).to_be_hidden()


@pytest.mark.conformance("A11Y-2", "A11Y-3", "A11Y-4")
def test_by_keyboard_alone(open_page: Callable[..., Page], site: str) -> None:
    """The focus is never lost, the page never jumps, and what was done is said."""
    dialog_by_keyboard(open_page(), site)
    answer_by_keyboard(open_page(), site)


@pytest.mark.conformance("A11Y-3", "EU-4")
def test_by_keyboard_alone_without_scripts(open_page: Callable[..., Page], site: str) -> None:
    """Every choice can be made, and be taken back, with keys and plain forms."""
    by_keyboard_without_scripts(open_page(java_script_enabled=False), site)


# -- in Firefox


@needs_firefox
@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 1280), ("ar", "dark", 320)])
def test_firefox_shows_it_all_as_well(
    in_firefox: Callable[..., Any], site: str, language: str, scheme: str, width: int
) -> None:
    """Banner, placeholder, dialog, link and every page of ours: no violation that axe can find, nothing cut."""

    def job(firefox: Browser) -> dict[str, Any]:
        page = new_page(firefox, color_scheme=scheme, viewport={"width": width, "height": 800})
        found = walk(page, site, language, fits_by_axe)
        page.context.close()
        return found

    assert in_firefox(job) == {}


@needs_firefox
@pytest.mark.conformance("ENF-4", "EU-2")
def test_firefox_shows_all_of_the_first_layer_and_twins_alike(
    in_firefox: Callable[..., Any], site: str
) -> None:
    """In German at 320 by 568 nothing needs scrolling; Reject all is as large and as strong as Accept all."""

    def job(firefox: Browser) -> dict[str, Any]:
        page = new_page(firefox, viewport=SMALL)
        start(page, site, "de")
        found: dict[str, Any] = page.evaluate(LAYOUT)
        page.context.close()
        return found

    found = in_firefox(job)
    assert (found["hidden"], found["scrolls"]) == (0, False)
    assert found["reject"] == found["accept"]


@needs_firefox
@pytest.mark.conformance("A11Y-2", "A11Y-3")
def test_firefox_by_keyboard_alone(in_firefox: Callable[..., Any], site: str) -> None:
    """The same walks as in Chromium, with scripts."""

    def job(firefox: Browser) -> None:
        page = new_page(firefox)
        dialog_by_keyboard(page, site)
        page.context.close()
        page = new_page(firefox)
        answer_by_keyboard(page, site)
        page.context.close()

    in_firefox(job)


@needs_firefox
def test_no_style_sheet_of_the_site_reaches_ours_in_firefox(
    in_firefox: Callable[..., Any], site: str
) -> None:
    """No value and no box of the banner and the dialog changes there either."""

    def job(firefox: Browser) -> dict[str, Any]:
        page = new_page(firefox, viewport={"width": 1280, "height": 800})
        start(page, site)
        found = {"banner": beside(page, "#consent-banner")}
        open_dialog(page)
        page.evaluate(UNFOLD)
        found["dialog"] = beside(page, "#consent-dialog")
        page.context.close()
        return {where: what for where, what in found.items() if what}

    assert in_firefox(job) == {}
