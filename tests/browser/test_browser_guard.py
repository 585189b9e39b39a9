"""guard.js alone: what a page's own scripts try before consent, after it, and for a host that nobody holds."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from werkzeug.serving import make_server

from browser.conftest import DRAWN, WAIT_S, until
from consent_middleware.wsgi import ConsentMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

HELD, FREE = "stats.tracker.test", "cdn.nobody.test"
ADS = "ads.tracker.test"
KEY = "a key that is long enough and signs nothing but these tests"
MARK = "mark.nobody.test"
STRICT = "require-trusted-types-for 'script'; script-src 'self' 'nonce-abc'"
CONFIG: dict[str, Any] = {
    "site": {"name": "Example Shop"},
    "controller": {"name": "Example GmbH", "contact": "privacy@example.com"},
    "records": {"url": "none"},
    "cookies": {"essential": ["basket", "sid_*"]},
    "services": [
        {
            "id": "house",
            "name": "House statistics",
            "category": "analytics",
            "provider": "Example GmbH",
            "sells_or_shares": False,
            "hosts": [HELD, "/stats/"],
            "storage": ["hs_*"],
            "cookies": [{"name": "hs_*"}, {"name": "hs"}],
        },
        {
            "id": "ads",
            "name": "Advertising",
            "category": "marketing",
            "provider": "Example GmbH",
            "hosts": ["*.tracker.test/ads/", ADS],
            "cookies": [{"name": "ad_id"}],
        },
    ],
}

PRELUDE = """\
const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const add = (el) => { document.body.append(el); return el; };
const svg = (tag) => add(document.createElementNS("http://www.w3.org/2000/svg", "svg")).appendChild(
  document.createElementNS("http://www.w3.org/2000/svg", tag));
const frame = (properties = {}) => new Promise((done) => {
  const el = make("iframe", { ...properties, onload: () => done(el.contentWindow) });
  add(el);
});
"""
# $ stands for "http://<host>/<id>".
WAYS = {
    "script-src": "add(make('script', { src: '$.js' }))",
    "script-attribute": "const el = make('script'); el.setAttribute('SRC', '$.js'); add(el)",
    "script-attribute-ns": "const el = make('script'); el.setAttributeNS(null, 'src', '$.js'); add(el)",
    "script-attribute-node": "const el = make('script'), a = document.createAttribute('src'); a.value = '$.js'; el.setAttributeNode(a); add(el)",
    "script-named-item": "const el = make('script'), a = document.createAttribute('src'); a.value = '$.js'; el.attributes.setNamedItem(a); add(el)",
    "script-attr-value": "const el = make('script'); el.setAttribute('src', ''); el.getAttributeNode('src').value = '$.js'; add(el)",
    "script-node-value": "const el = make('script'); el.setAttribute('src', ''); el.attributes[0].nodeValue = '$.js'; add(el)",
    "script-text-content": "const el = make('script'); el.setAttribute('src', ''); el.attributes[0].textContent = '$.js'; add(el)",
    "iframe-src": "add(make('iframe', { src: '$.html' }))",
    "img-src": "make('img').src = '$.gif'",
    "img-srcset": "make('img').srcset = '$.gif 1x, $.gif 2x'",
    "link-stylesheet": "add(make('link', { rel: 'stylesheet', href: '$.css' }))",
    "link-rel-last": "add(make('link', { href: '$.css' })).rel = 'stylesheet'",
    "audio-src": "make('audio', { preload: 'auto' }).src = '$.wav'",
    "video-src": "make('video', { preload: 'auto' }).src = '$.mp4'",
    "video-poster": "add(make('video')).poster = '$.gif'",
    "source-src": "add(make('video', { preload: 'auto' })).append(make('source', { src: '$.mp4' }))",
    "embed-src": "add(make('embed', { width: 9, height: 9, src: '$.html' }))",
    "object-data": "add(make('object', { width: 9, height: 9, data: '$.html' }))",
    "input-src": "add(make('input', { type: 'image', src: '$.gif' }))",
    "svg-image-href": "svg('image').setAttribute('href', '$.gif')",
    "svg-image-xlink": "svg('image').setAttributeNS('http://www.w3.org/1999/xlink', 'xlink:href', '$.gif')",
    "svg-base-value": "svg('image').href.baseVal = '$.gif'",
    "inner-html": "add(make('div')).innerHTML = '<img src=\"$.gif\">'",
    "inner-html-svg": "add(document.createElementNS('http://www.w3.org/2000/svg', 'svg')).innerHTML = '<image href=\"$.gif\" />'",
    "inner-html-shadow": "add(make('div')).attachShadow({ mode: 'open' }).innerHTML = '<img src=\"$.gif\">'",
    "outer-html": "add(make('i')).outerHTML = '<img src=\"$.gif\">'",
    "insert-adjacent-html": "document.body.insertAdjacentHTML('beforeend', '<img src=\"$.gif\">')",
    "set-html-unsafe": "add(make('div')).setHTMLUnsafe('<img src=\"$.gif\">')",
    "contextual-fragment": "add(new Range().createContextualFragment('<script src=\"$.js\"></scr' + 'ipt>'))",
    "template-clone": "const t = make('template'); t.innerHTML = '<img src=\"$.gif\">'; add(t.content.cloneNode(true))",
    "template-import": "const t = make('template'); t.innerHTML = '<img src=\"$.gif\">'; add(document.importNode(t.content, true))",
    "parser-adopt": "const d = new DOMParser().parseFromString('<img src=\"$.gif\">', 'text/html'); add(document.adoptNode(d.body.firstChild))",
    "parser-insert": "const d = new DOMParser().parseFromString('<iframe src=\"$.html\"></iframe>', 'text/html'); document.body.prepend(d.body.firstChild)",
    "parser-range": "const d = new DOMParser().parseFromString('<iframe src=\"$.html\"></iframe>', 'text/html'), r = new Range(); r.setStart(document.body, 0); r.insertNode(d.body.firstChild)",
    "new-image": "new Image().src = '$.gif'",
    "new-audio": "new Audio('$.wav').load()",
    "fetch": "await fetch('$.json')",
    "fetch-request": "await fetch(new Request('$.json'))",
    "xhr": "await new Promise((done) => { const x = new XMLHttpRequest(); x.open('GET', '$.json'); x.onloadend = done; x.send(); })",
    "beacon": "navigator.sendBeacon('$.json', 'a')",
    "event-source": "const e = new EventSource('$.es'); e.onerror = () => e.close()",
    "ping": "add(make('a', { href: '#', ping: '$.json' })).click()",
    "blank-fetch": "await add(make('iframe')).contentWindow.fetch('$.json')",
    "blank-by-index": "const n = window.length; add(make('iframe')); await window[n].fetch('$.json')",
    "blank-by-document": "add(make('iframe')).contentDocument.createElement('img').src = '$.gif'",
    "blank-write": "const d = add(make('iframe')).contentDocument; d.write('<img src=\"$.gif\">'); d.close()",
    "srcdoc-markup": "await frame({ srcdoc: '<img src=\"$.gif\">' })",
    "srcdoc-attribute": "const el = make('iframe'); el.setAttribute('srcdoc', '<img src=\"$.gif\">'); add(el)",
    "srcdoc-script": "await frame({ srcdoc: '<script>new Image().src = \"$.gif\"</scr' + 'ipt>' })",
    "same-origin-fetch": "await (await frame({ src: '/plain' })).fetch('$.json')",
}
STORED = {
    "cookie": ("document.cookie = 'hs_a=1'", "document.cookie.includes('hs_a')"),
    "cookie-store": (
        "await cookieStore.set('hs_b', '1')",
        "(await cookieStore.getAll()).some((one) => one.name === 'hs_b')",
    ),
    "local-method": ("localStorage.setItem('hs_c', '1')", "localStorage.getItem('hs_c') === '1'"),
    "local-property": ("localStorage.hs_d = '1'", "'hs_d' in localStorage"),
    "local-define": (
        "Object.defineProperty(localStorage, 'hs_e', { value: '1' })",
        "Object.keys(localStorage).includes('hs_e')",
    ),
    "local-prototype": (
        "Storage.prototype.setItem.call(localStorage, 'hs_f', '1')",
        "localStorage.hs_f === '1'",
    ),
    "session-property": ("sessionStorage['hs_g'] = '1'", "sessionStorage.getItem('hs_g') === '1'"),
    "indexed-db": (
        "await new Promise((done) => { indexedDB.open('hs_h').onsuccess = ({ target }) => { target.result.close(); done(); }; })",
        "(await indexedDB.databases()).some((one) => one.name === 'hs_h')",
    ),
}
REFUSED = {
    "WebSocket": "SyntaxError",
    "EventSource": "error",
    "Worker": "error",
    "SharedWorker": "error",
    "WebTransport": "SyntaxError",
}


@dataclass
class Answer:
    """What the site says at a path."""

    body: str
    headers: list[tuple[str, str]] = field(default_factory=list)


class Visit:
    """A visitor, and which hosts their browser asked."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(reduced_motion="reduce")
        self.context.set_default_timeout(WAIT_S * 1000)
        self.context.route("**/*", self._answer)
        self.page: Page = self.context.new_page()
        self.hits: list[str] = []
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._session = self.context.new_cdp_session(self.page)
        self._marks = 0
        self._url = url

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.hostname == "localhost":
            if url.path.startswith("/stats/"):
                self.hits.append(url.path[1:])
            route.continue_()
            return
        if url.hostname == MARK:
            self._marks += 1
        else:
            self.hits.append(f"{url.hostname}{url.path}")
        script = url.path.endswith(".js")
        route.fulfill(
            status=200,
            content_type="text/javascript" if script else "text/html",
            body=f'(window.ran ??= []).push("{url.path[1:]}");' if script else "",
            headers={"Access-Control-Allow-Origin": "*"},
        )

    def again(self, url: str) -> None:
        """Be somebody else, who has never been at this address: cheaper than another profile."""
        self.page.goto("about:blank")
        self.context.clear_cookies()
        self._session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        self._url = url
        self.hits.clear()
        self.errors.clear()

    def go(self, path: str = "/plain") -> Visit:
        """Open a page."""
        self.page.goto(self._url + path)
        return self

    def run(self, code: str) -> Any:
        """Run a script in the page; return what it returns."""
        return self.page.evaluate(f"async () => {{ {PRELUDE} {code} }}")

    def grant(self, *ids: str) -> None:
        """Allow these services, or everything."""
        call = f"acceptService({json.dumps(ids)})" if ids else "acceptCategory('all')"
        assert self.run(f"return consent.{call}") is True

    def asks(self, *hits: str) -> None:
        """Wait until these have been asked for, and check that nothing else is, in any order."""
        until(self.page, lambda: len(self.hits) >= len(hits), bool)
        self.settle()
        assert sorted(self.hits) == sorted(hits)

    def settle(self) -> None:
        """Wait until what was asked for has been asked: what is asked for now comes, and nothing before it."""
        quiet = 0
        while quiet < 2:
            marks, hits = self._marks, len(self.hits)
            self.page.evaluate(DRAWN)
            self.page.evaluate(f"() => {{ new Image().src = 'http://{MARK}/{marks}.gif'; }}")
            assert until(self.page, lambda: self._marks, marks.__lt__) > marks
            quiet = quiet + 1 if len(self.hits) == hits else 0


@contextmanager
def serving(pages: Mapping[str, Answer], config: Mapping[str, Any]) -> Iterator[str]:
    """Serve pages behind the middleware; give the address."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found = pages.get(environ["PATH_INFO"])
        kind = [("Content-Type", "text/html; charset=utf-8")]
        start_response("200 OK" if found else "404 Not Found", [*kind, *(found.headers if found else [])])
        return [found.body.encode() if found else b""]

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, ConsentMiddleware(app, dict(config), KEY), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def document(body: str, **headers: str) -> Answer:
    """Return a page."""
    text = f'<!doctype html><html lang="en"><head><title>A page</title></head><body><h1>A page</h1>{body}</body></html>'
    return Answer(text, [(name.replace("_", "-"), value) for name, value in headers.items()])


def held(attributes: str, tag: str = "script", end: str = "</script>") -> str:
    """Return a tag as the server holds it back."""
    return f'<{tag} data-service="house" {attributes}>{end}'


PLACEHOLDER = (
    '<iframe title="a" data-service="house" data-src="http://stats.tracker.test/frame.html" srcdoc="'
    "<body class='consent-held'><button hidden data-consent-load='once'>Once</button>"
    "<button hidden data-consent-load='always' data-unit='house'>Always</button>"
    '"></iframe>'
)
PAGES = {
    "/plain": document("<p id=a>a</p>"),
    "/write": document(
        f"<script>document.write('<div id=w><script src=\"http://{HELD}/written.js\"></scr' + 'ipt></div>')</script>"
        f"<script>document.write('<img src=\"http://{FREE}/written.gif\">')</script>"
    ),
    "/order": document(
        "".join(held(f'type="text/plain" data-src="http://{HELD}/{name}.js"') for name in ("one", "two"))
        + held('type="text/plain"', end='(window.ran ??= []).push("inline")</script>')
        + held(f'type="text/plain" data-type="module" data-src="http://{HELD}/three.js"')
    ),
    "/kinds": document(
        held(f'rel="stylesheet" data-href="http://{HELD}/a.css"', "link", "")
        + held(f'data-data="http://{HELD}/b.html"', "object", "</object>")
        + held(f'data-poster="http://{HELD}/c.gif"', "video", "</video>")
        + held(f'data-srcset="http://{HELD}/d.gif 1x"', "img", "")
        + f'<svg>{held(f"""data-xlink:href="http://{HELD}/e.gif" width="9" height="9" """, "image", "</image>")}</svg>'
    ),
    "/several": document(f'<img data-service="nobody house" data-src="http://{HELD}/several.gif">'),
    "/placeholder": document(PLACEHOLDER),
    "/strict": document(
        '<div id="target"></div><script nonce="abc">'
        'const rule = trustedTypes.createPolicy("page", { createHTML: String });'
        f"target.innerHTML = rule.createHTML('<b>bold</b><img src=\"http://{HELD}/strict.gif\">');"
        "</script>",
        Content_Security_Policy=STRICT,
    ),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The site."""
    with serving(PAGES, CONFIG) as address:
        yield address


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[Visit]:
    """A profile for all tests that begin as somebody new."""
    visit = Visit(browser, "")
    yield visit
    visit.context.close()


@pytest.fixture
def visit(visitor: Visit, url: str) -> Iterator[Visit]:
    """A visitor who has not answered; no page may throw."""
    visitor.again(url)
    yield visitor
    assert visitor.errors == []


def _try_all(visit: Visit, url: str, host: str, *, granted: bool) -> set[str]:
    visit.again(url)
    visit.go()
    if granted:
        visit.grant()
    ways = ",".join(
        f"{json.dumps(name)}: async () => {{ {code.replace('$', f'http://{host}/{name}')} }}"
        for name, code in WAYS.items()
    )
    visit.run(f"for (const way of Object.values({{ {ways} }})) await way().catch(() => 0)")

    def asked() -> set[str]:
        return {hit.rpartition("/")[2].partition(".")[0] for hit in visit.hits if hit.startswith(host)}

    if granted or host == FREE:
        until(visit.page, asked, lambda found: len(found) == len(WAYS))
    visit.settle()
    return asked()


@pytest.fixture(scope="module")
def before(visitor: Visit, url: str) -> set[str]:
    """Which ways reach a held host before consent."""
    return _try_all(visitor, url, HELD, granted=False)


@pytest.fixture(scope="module")
def after(visitor: Visit, url: str) -> set[str]:
    """Which ways reach it once it is granted."""
    return _try_all(visitor, url, HELD, granted=True)


@pytest.fixture(scope="module")
def free(visitor: Visit, url: str) -> set[str]:
    """Which ways reach a host that nobody holds, before consent."""
    return _try_all(visitor, url, FREE, granted=False)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_asked_before_consent(before: set[str], way: str) -> None:
    """A script cannot reach a held host."""
    assert way not in before


@pytest.mark.parametrize("way", WAYS)
def test_everything_works_after_consent(after: set[str], way: str) -> None:
    """A script reaches a host whose service is granted."""
    assert way in after


@pytest.mark.parametrize("way", WAYS)
def test_other_hosts_are_left_alone(free: set[str], way: str) -> None:
    """A script reaches a host that nobody holds, without any consent."""
    assert way in free


# -- how it fails


@pytest.mark.parametrize(("name", "how"), REFUSED.items())
def test_connections_and_workers_fail(visit: Visit, name: str, how: str) -> None:
    """A constructor fails as with an address that leads nowhere: it throws, or what it makes fires "error"."""
    address = f"{'ws' if name == 'WebSocket' else 'https'}://{HELD}/x"
    code = f"""
        try {{
            const made = new {name}('{address}');
            return await new Promise((done) => made.addEventListener('error', (event) => done(event.type)));
        }} catch (error) {{
            return error.name;
        }}
    """
    assert visit.go().run(code) == how


def test_a_held_fetch_fails_like_the_network(visit: Visit) -> None:
    """A held fetch rejects with a TypeError."""
    assert visit.go().run(f"return fetch('http://{HELD}/x').catch((error) => error.name)") == "TypeError"


def test_a_held_request_fails_like_the_network(visit: Visit) -> None:
    """A held XMLHttpRequest fires "error" later, not while it is sent."""
    code = f"""
        const seen = [];
        const x = new XMLHttpRequest();
        x.open("GET", "http://{HELD}/x");
        const over = new Promise((done) => {{ x.onloadend = done; }});
        x.onerror = () => seen.push("error");
        x.send();
        seen.push("sent");
        await over;
        return seen;
    """
    assert visit.go().run(code) == ["sent", "error"]


def test_a_held_beacon_is_not_queued(visit: Visit) -> None:
    """A held beacon says that it was not queued."""
    assert visit.go().run(f"return navigator.sendBeacon('http://{HELD}/x')") is False


def test_constructors_keep_their_looks(visit: Visit) -> None:
    """What is patched still has its statics, works with instanceof, and can be extended."""
    code = """
        class Mine extends WebSocket {}
        const one = new Mine(`ws://${location.host}/socket`);
        return [WebSocket.OPEN, one instanceof WebSocket, one instanceof Mine, fetch.name, String(fetch).includes("native code")];
    """
    assert visit.go().run(code) == [1, True, True, "fetch", True]


def test_the_longest_path_decides(visit: Visit) -> None:
    """A path of a wildcard is held, another path of the same host is not."""
    visit.go().run(
        "new Image().src = 'http://other.tracker.test/ads/a.gif';"
        " new Image().src = 'http://other.tracker.test/b.gif'"
    )
    visit.asks("other.tracker.test/b.gif")


def test_a_path_of_the_site_is_held(visit: Visit) -> None:
    """A service can claim a path of the site's own."""
    visit.go().run("new Image().src = '/stats/a.gif'; new Image().src = 'stats/../stats/b.gif'")
    visit.asks()


def test_another_service_stays_held(visit: Visit) -> None:
    """Granting one service lets no other through."""
    visit.go().grant("house")
    visit.run(f"new Image().src = 'http://{ADS}/a.gif'; new Image().src = 'http://{HELD}/b.gif'")
    visit.asks(f"{HELD}/b.gif")


@pytest.mark.conformance("ENF-2")
def test_withdrawal_holds_at_once(visit: Visit) -> None:
    """After a withdrawal the same page reaches nothing any more."""
    visit.go().grant()
    visit.run("return consent.acceptCategory([])")
    visit.run(f"new Image().src = 'http://{HELD}/a.gif'")
    visit.asks()


# -- document.write


def test_a_written_tag_is_held_and_lifted(visit: Visit) -> None:
    """What document.write writes is held, the rest is written as it is."""
    visit.go("/write")
    visit.asks(f"{FREE}/written.gif")
    visit.grant()
    visit.page.wait_for_function("window.ran?.includes('written.js')")


# -- storage


@pytest.mark.conformance("EU-1")
@pytest.mark.parametrize("way", STORED)
def test_nothing_is_stored_before_consent(visit: Visit, way: str) -> None:
    """A declared name cannot be written."""
    write, look = STORED[way]
    visit.go().run(f"try {{ {write} }} catch {{}}")
    assert visit.run(f"return {look}") is False


@pytest.mark.parametrize("way", STORED)
def test_it_is_stored_after_consent(visit: Visit, way: str) -> None:
    """Once granted, a declared name can be written and read."""
    write, look = STORED[way]
    visit.go().grant()
    visit.run(write)
    assert visit.run(f"return {look}") is True


@pytest.mark.parametrize(
    ("name", "kept"), [("basket", True), ("sid_1", True), ("unknown", False), ("__Secure-hs", False)]
)
def test_which_cookies_may_be_set(visit: Visit, name: str, *, kept: bool) -> None:
    """Essential names pass, names that nobody declares do not."""
    assert visit.go().run(f"document.cookie = '{name}=1; secure'; return document.cookie !== ''") is kept


def test_a_cookie_can_always_be_deleted(visit: Visit) -> None:
    """A deletion passes, whoever owns the cookie."""
    visit.go()
    visit.context.add_cookies([{"name": "hs_x", "value": "1", "url": visit.page.url}])
    visit.run("document.cookie = 'hs_x=; max-age=0'")
    assert visit.context.cookies() == []


def test_storage_keeps_its_looks(visit: Visit) -> None:
    """Undeclared names work by every syntax, and the storage is still one."""
    code = """
        localStorage.a = 1;
        localStorage.setItem("b", 2);
        delete localStorage.b;
        return [localStorage.length, localStorage.key(0), localStorage.a, JSON.stringify(localStorage),
          localStorage instanceof Storage, localStorage === window.localStorage, "a" in localStorage, localStorage.c === undefined];
    """
    assert visit.go().run(code) == [1, "a", "1", '{"a":"1"}', True, True, True, True]


def test_a_sandbox_without_storage_does_no_harm(visit: Visit) -> None:
    """In a sandboxed frame the guard holds and throws nothing."""
    visit.go().run(
        "await frame({ sandbox: 'allow-scripts', srcdoc:"
        f" '<script>new Image().src = \"http://{HELD}/sandbox.gif\"</scr' + 'ipt>' }})"
    )
    visit.asks()


# -- held form and lifting


def test_the_held_form(visit: Visit) -> None:
    """A held script keeps its URL and type beside what lifts it."""
    code = f"""
        const el = make("script", {{ type: "module", src: "http://{HELD}/a.js" }});
        return [el.getAttribute("src"), {{ ...el.dataset }}, el.type];
    """
    data = {"src": f"http://{HELD}/a.js", "service": "house", "type": "module"}
    assert visit.go().run(code) == [None, data, "text/plain"]


def test_an_allowed_url_clears_the_marks(visit: Visit) -> None:
    """A held element that is given another URL loads that one, and forgets the first."""
    code = f"""
        const el = make("script", {{ src: "http://{HELD}/a.js" }});
        el.src = "http://{FREE}/b.js";
        return [el.type, el.src, el.dataset.src ?? null];
    """
    assert visit.go().run(code) == ["", f"http://{FREE}/b.js", None]


def test_scripts_are_lifted_in_order(visit: Visit) -> None:
    """Held scripts run in document order, once."""
    visit.go("/order").grant()
    visit.page.wait_for_function("window.ran?.length === 4")
    assert visit.run("return ran") == ["one.js", "two.js", "inline", "three.js"]


def test_a_page_made_script_is_lifted_itself(visit: Visit) -> None:
    """The listeners of a script that the page made hear that it has loaded."""
    visit.go().run(
        f"add(make('script', {{ src: 'http://{HELD}/a.js', onload: () => {{ window.heard = true; }} }}))"
    )
    visit.grant()
    visit.page.wait_for_function("window.heard")


def test_a_pixel_is_lifted(visit: Visit) -> None:
    """An image that never comes into the page is asked for once it may be."""
    visit.go().run(f"new Image().src = 'http://{HELD}/a.gif'")
    visit.grant()
    visit.asks(f"{HELD}/a.gif")


def test_every_kind_is_lifted(visit: Visit) -> None:
    """Style sheets, objects, posters, sets of images and SVG get their URLs back."""
    visit.go("/kinds").grant()
    visit.asks(*(f"{HELD}/{name}" for name in ("a.css", "b.html", "c.gif", "d.gif", "e.gif")))


def test_any_of_several_services_lifts(visit: Visit) -> None:
    """Of several ids one that is granted is enough."""
    visit.go("/several").grant("house")
    visit.asks(f"{HELD}/several.gif")


# -- placeholders


def test_a_frame_is_loaded_once(visit: Visit) -> None:
    """The button in a held frame loads this frame, records nothing, and keeps the focus on it."""
    visit.go("/placeholder")
    visit.page.frame_locator("iframe").get_by_role("button", name="Once").click()
    visit.asks(f"{HELD}/frame.html")
    assert visit.run("return document.activeElement.localName") == "iframe"
    assert visit.run("return consent.acceptedService('house')") is False


def test_a_frame_is_loaded_always(visit: Visit) -> None:
    """The other button grants the service, and the frame loads."""
    visit.go("/placeholder")
    visit.page.frame_locator("iframe").get_by_role("button", name="Always").click()
    visit.page.wait_for_function("consent.acceptedService('house')")
    visit.asks(f"{HELD}/frame.html")


# -- withdrawal


def test_withdrawal_clears_what_was_stored(visit: Visit) -> None:
    """Cookies, storage and databases of a withdrawn service are gone, others stay."""
    visit.go().grant()
    for write, _ in STORED.values():
        visit.run(write)
    visit.run("localStorage.keep = 1; document.cookie = 'basket=1'")
    visit.run("return consent.acceptCategory([])")
    visit.page.wait_for_function(
        "indexedDB.databases().then((all) => !all.length && Object.keys(localStorage).join() === 'keep')"
    )
    assert {cookie["name"] for cookie in visit.context.cookies()} == {"consent", "basket"}
    assert visit.run("return sessionStorage.length") == 0


# -- strict pages


def test_trusted_html_is_taken(visit: Visit) -> None:
    """Under Trusted Types innerHTML takes the page's own trusted HTML, and holds what is in it."""
    visit.go("/strict")
    visit.asks()
    assert visit.run("return document.querySelector('#target b').textContent") == "bold"
    assert visit.run("return document.querySelector('#target img').dataset.service") == "house"


def test_plain_strings_stay_forbidden(visit: Visit) -> None:
    """The guard opens no way round Trusted Types."""
    code = f"""try {{ document.body.innerHTML = '<img src="http://{HELD}/a.gif">' }} catch (error) {{ return error.name }}"""
    assert visit.go("/strict").run(code) == "TypeError"


# -- vendors' signals

CALLS = "return dataLayer.filter((one) => one[0] === 'consent').map((one) => [one[1], one[2].analytics_storage, one[2].ad_storage, Object.keys(one[2]).length])"


@pytest.fixture(scope="module")
def vendors() -> Iterator[str]:
    """A site that declares vendors with a consent mode."""
    config = {**CONFIG, "use": ["google-analytics", "meta-pixel", "microsoft-clarity", "microsoft-ads"]}
    with serving(PAGES, config) as address:
        yield address


@pytest.fixture
def signalled(visitor: Visit, vendors: str) -> Iterator[Visit]:
    """A visitor of a site that declares vendors with a consent mode."""
    visitor.again(vendors)
    yield visitor
    assert visitor.errors == []


@pytest.mark.conformance("GCM-1", "GCM-2")
def test_google_is_told_first_and_once_a_decision(signalled: Visit) -> None:
    """GCM-1, GCM-2: one default with all seven keys, then one update a decision."""
    signalled.go().grant("google-analytics")
    assert signalled.run(CALLS) == [["default", "denied", "denied", 7], ["update", "granted", "denied", 7]]
    signalled.run("return consent.acceptCategory([])")
    assert signalled.run(CALLS)[2:] == [["update", "denied", "denied", 7]]


@pytest.mark.conformance("GCM-2")
def test_google_is_told_what_was_granted_before(signalled: Visit) -> None:
    """On the next page an update follows the default at once."""
    signalled.go().grant("google-analytics")
    assert signalled.go().run(CALLS) == [
        ["default", "denied", "denied", 7],
        ["update", "granted", "denied", 7],
    ]


@pytest.mark.conformance("GCM-3")
def test_microsoft_is_told(signalled: Visit) -> None:
    """GCM-3: UET and Clarity hear of it in their own words."""
    signalled.go().grant()
    found = signalled.run("return [uetq, clarity.q.map((one) => [...one])]")
    assert found[0] == [
        "consent", "default", {"ad_storage": "denied"},
        "consent", "update", {"ad_storage": "granted"},
    ]  # fmt: skip
    denied = {"ad_Storage": "denied", "analytics_Storage": "denied"}
    granted = dict.fromkeys(denied, "granted")
    assert found[1] == [["consentv2", denied], ["consentv2", granted]]


META = """
    !function(f,n){if(f.fbq)return;n=f.fbq=function(){n.callMethod?n.callMethod.apply(n,arguments):n.queue.push(arguments)};
    if(!f._fbq)f._fbq=n;n.push=n;n.loaded=!0;n.version='2.0';n.queue=[]}(window);
    fbq('init', '1'); return fbq.queue.map((one) => [...one]);
"""


@pytest.mark.conformance("GCM-4")
def test_meta_is_told_before_init(signalled: Visit) -> None:
    """GCM-4: the vendor's loader works, and the first call in its queue is the state."""
    assert signalled.go().run(META) == [["consent", "revoke"], ["init", "1"]]
    signalled.grant()
    assert signalled.run("return [...fbq.queue.at(-1)]") == ["consent", "grant"]


@pytest.mark.conformance("GCM-2")
def test_the_consent_modes_settings_are_passed_on(visitor: Visit) -> None:
    """How long to wait stands in the default; redaction and passing through URLs are set."""
    mode = {"wait_for_update_ms": 500, "ads_data_redaction": True, "url_passthrough": True}
    with serving(PAGES, {**CONFIG, "use": ["google-analytics"], "consent_mode": mode}) as address:
        visitor.again(address)
        calls = visitor.go().run("return dataLayer.map((one) => [...one])")
    assert calls[0][2]["wait_for_update"] == 500
    assert calls[1:] == [["set", "ads_data_redaction", True], ["set", "url_passthrough", True]]


# -- the Global Privacy Platform


@pytest.fixture(scope="module")
def gpp() -> Iterator[str]:
    """A site with the GPP interface."""
    with serving(PAGES, {**CONFIG, "signals": {"gpp": True}}) as address:
        yield address


@pytest.fixture
def platform(browser: Browser, gpp: str) -> Iterator[Visit]:
    """A visitor of a site with the GPP interface, whose pages can be given scripts of their own."""
    with ExitStack() as stack:
        visit = Visit(browser, gpp)
        stack.callback(visit.context.close)
        yield visit
    assert visit.errors == []


PING = "return new Promise((done) => __gpp('ping', ({ gppString, gppVersion, cmpId }) => done([gppString, gppVersion, cmpId])))"


@pytest.mark.conformance("IAB-3", "IAB-2")
def test_the_gpp_string(platform: Visit) -> None:
    """IAB-3: the vectors, opted out and not."""
    assert platform.go().run(PING) == ["DBABLA~CVQVAAAAAACA.QA", "1.1", 1]
    platform.grant()
    assert platform.run(PING)[0] == "DBABLA~CVQqAAAAAACA.QA"


@pytest.mark.conformance("IAB-3")
def test_the_gpp_string_under_a_signal(platform: Visit) -> None:
    """IAB-3: the vector with Global Privacy Control."""
    platform.context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"
    )
    assert platform.go().run(PING)[0] == "DBABLA~CVQVAAAAAACA.YA"


@pytest.mark.conformance("IAB-2")
def test_the_gpp_queue_and_listeners(platform: Visit) -> None:
    """IAB-2: what was queued is answered, listeners hear of a change, nothing is returned."""
    platform.context.add_init_script(
        "window.heard = []; window.__gpp ??= { queue: [['hasSection', (...args) => heard.push(args), 'usnat']] }"
    )
    platform.go().run("__gpp('addEventListener', ({ eventName, data }) => heard.push([eventName, data]))")
    platform.grant()
    heard = platform.run("return heard")
    assert heard == [[True, True], ["listenerRegistered", True], ["sectionChange", "usnat"]]
    assert platform.run("return __gpp('getField', () => 0, 'usnat.SaleOptOut') === undefined") is True


@pytest.mark.conformance("IAB-2")
def test_the_gpp_commands(platform: Visit) -> None:
    """Section and field are told as they are, and who listens no more hears nothing."""
    found = platform.go().run("""
        const say = (command, parameter) => { let told; __gpp(command, (data) => { told = data; }, parameter); return told; };
        let heard = 0;
        __gpp('addEventListener', ({ listenerId }) => { heard += 1; window.listener ??= listenerId; });
        const removed = say('removeEventListener', window.listener).data;
        const before = heard;
        await consent.acceptCategory('all');
        const section = say('getSection', 'usnat');
        return [removed, heard - before, say('hasSection', 'usnat'), section[0].SaleOptOut, say('getField', 'usnat.SaleOptOut')];
    """)
    assert found == [True, 0, True, 2, 2]
