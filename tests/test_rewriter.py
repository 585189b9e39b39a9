from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from consent_middleware.holding import Held, Holding, Holdings
from consent_middleware.html import Rewriter
from consent_middleware.html.attributes import text_of
from consent_middleware.html.scanner import HOLD
from consent_middleware.urls import Location
from helpers_core import make_config
from test_scanner import CORPUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAGE = Location("shop.example", "/blog/post")
SERVICES: list[dict[str, Any]] = [
    {"id": "stats", "name": "Stats", "category": "analytics", "hosts": ["t.example"], "inline": ["houseStats("]},
    {"id": "video", "name": "Video", "category": "functional", "hosts": ["*.v.example"]},
    {"id": "cdn", "name": "CDN", "category": "essential", "hosts": ["cdn.example"]},
]  # fmt: skip
SITE = Holdings(make_config(services=SERVICES).catalog)
OWN = {"id": "own", "name": "Own", "category": "analytics", "hosts": ["/stats/"]}
OWN_SITE = Holdings(make_config(services=[*SERVICES, OWN]).catalog)
MARK = b' data-service="stats"'
BOX = "<p>%s %s %s</p>"


class Told:
    """Takes down what a rewriter tells."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.passing: list[str] = []

    def take_held(self, held: Held) -> None:
        """Take down what was held back."""
        self.held.append(held.service.id)

    def take_passing(self, location: Location) -> None:
        """Take down what passed."""
        self.passing.append(location.host)


def box(held: Held, url: str, language: str) -> str:
    """Return what stands in a held iframe."""
    return BOX % (held.service.id, url, language)


def rewriter(
    *granted: str, site: Holdings = SITE, told: Told | None = None, page: Location = PAGE, **options: Any
) -> Rewriter:
    """Return a rewriter for a visitor who granted these."""
    holding = site.of(frozenset(granted))
    assert isinstance(holding, Holding)
    told = told or Told()
    options.setdefault("placeholder", box)
    return Rewriter(holding, page, on_held=told.take_held, on_passing=told.take_passing, **options)


def whole(page: bytes, *granted: str, **options: Any) -> bytes:
    """Rewrite a page in one piece."""
    return rewriter(*granted, **options).whole(page)


def stream(subject: Rewriter, pieces: Iterable[bytes]) -> bytes:
    """Rewrite a page in pieces."""
    return b"".join([*(subject.feed(piece) for piece in pieces), subject.close()])


def cut(page: bytes, size: int) -> list[bytes]:
    """Cut a page into pieces."""
    return [page[at : at + size] for at in range(0, len(page), size)]


# Each page in its held form; "{s}" stands for the mark of the service, "data-" for what was renamed.
HELD: dict[str, tuple[bytes, bytes]] = {
    "script": (b'<script src="//t.example/a.js"></script>', b'<script type="text/plain"{s} data-src="//t.example/a.js"></script>'),
    "script with everything": (
        b'<script async defer nonce="n" integrity="sha384-x" crossorigin src="https://t.example/a&amp;b.js" id=x></script>',
        b'<script type="text/plain"{s} async defer nonce="n" integrity="sha384-x" crossorigin data-src="https://t.example/a&amp;b.js" id=x></script>',
    ),
    "module": (b"<script type=module src=//t.example/a.mjs></script>", b'<script type="text/plain"{s} data-type=module data-src=//t.example/a.mjs></script>'),
    "script with a slash": (b"<script/src=//t.example/a.js></script>", b'<script type="text/plain"{s}/data-src=//t.example/a.js></script>'),
    "script in upper case": (b"<SCRIPT SRC=HTTPS://T.EXAMPLE/A.JS></SCRIPT>", b'<SCRIPT type="text/plain"{s} data-SRC=HTTPS://T.EXAMPLE/A.JS></SCRIPT>'),
    "script with two sources": (b"<script src=//t.example/a src=/b></script>", b'<script type="text/plain"{s} data-src=//t.example/a data-src=/b></script>'),
    "inline script": (b"<script>houseStats('a')</script>", b"<script type=\"text/plain\"{s}>houseStats('a')</script>"),
    "inline module": (b'<script type="module">houseStats()</script>', b'<script type="text/plain"{s} data-type="module">houseStats()</script>'),
    "inline script with an old type": (b"<script type='text/javascript1.5'>houseStats()</script>", b"<script type=\"text/plain\"{s} data-type='text/javascript1.5'>houseStats()</script>"),
    "inline script in mixed case": (b"<Script>houseStats()</Script>", b'<Script type="text/plain"{s}>houseStats()</Script>'),
    "inline script with a slash": (b"<script/id=a>houseStats()</script>", b'<script type="text/plain"{s}/id=a>houseStats()</script>'),
    "inline script in svg": (b"<svg><script>houseStats()</script></svg>", b'<svg><script type="text/plain"{s}>houseStats()</script></svg>'),
    "img": (b'<img src="//t.example/p.gif" alt="">', b'<img{s} data-src="//t.example/p.gif" alt="">'),
    "img that closes itself": (b"<img src='//t.example/p.gif'/>", b"<img{s} data-src='//t.example/p.gif'/>"),
    "img without space": (b"<img/src=//t.example/p.gif>", b"<img{s}/data-src=//t.example/p.gif>"),
    "img, only srcset": (b'<img src="/p.gif" srcset="/q.gif 1x, //t.example/p.gif 2x">', b'<img{s} src="/p.gif" data-srcset="/q.gif 1x, //t.example/p.gif 2x">'),
    "img, both": (b'<img src="//t.example/p.gif" srcset="//t.example/p.gif 2x">', b'<img{s} data-src="//t.example/p.gif" data-srcset="//t.example/p.gif 2x">'),
    "image in HTML": (b"<image src=//t.example/p.gif>", b"<image{s} data-src=//t.example/p.gif>"),
    "image in svg": (b'<svg><image href="//t.example/p.gif"/></svg>', b'<svg><image{s} data-href="//t.example/p.gif"/></svg>'),
    "image in svg, the old way": (b'<svg><image xlink:href="//t.example/p.gif"/></svg>', b'<svg><image{s} data-xlink:href="//t.example/p.gif"/></svg>'),
    "use": (b'<svg><use href="//t.example/i.svg#a"/></svg>', b'<svg><use{s} data-href="//t.example/i.svg#a"/></svg>'),
    "script in svg": (b'<svg><script href="//t.example/a.js"/></svg>', b'<svg><script type="text/plain"{s} data-href="//t.example/a.js"/></svg>'),
    "video": (b'<video src="//t.example/v" poster="//t.example/p">', b'<video{s} data-src="//t.example/v" data-poster="//t.example/p">'),
    "audio": (b'<audio src="//t.example/v">', b'<audio{s} data-src="//t.example/v">'),
    "source": (b'<source srcset="//t.example/v">', b'<source{s} data-srcset="//t.example/v">'),
    "track": (b'<track src="//t.example/v">', b'<track{s} data-src="//t.example/v">'),
    "embed": (b'<embed src="//t.example/v">', b'<embed{s} data-src="//t.example/v">'),
    "object": (b'<object data="//t.example/v">', b'<object{s} data-data="//t.example/v">'),
    "input": (b'<input type=image src="//t.example/v">', b'<input{s} type=image data-src="//t.example/v">'),
    "body": (b'<body background="//t.example/v">', b'<body{s} data-background="//t.example/v">'),
    "imagesrcset": (b'<link rel=preload as=image imagesrcset="//t.example/v 1x">', b'<link{s} rel=preload as=image data-imagesrcset="//t.example/v 1x">'),
    "a wildcard": (b'<img src="//a.b.v.example/x">', b'<img data-service="video" data-src="//a.b.v.example/x">'),
    "noscript": (b'<noscript><img src="//t.example/v"></noscript>', b'<noscript><img{s} data-src="//t.example/v"></noscript>'),
    "template": (b'<template><img src="//t.example/v"></template>', b'<template><img{s} data-src="//t.example/v"></template>'),
    "marked up by the page": (b'<img data-category="analytics" src="//t.example/v">', b'<img data-category="analytics" data-src="//t.example/v">'),
    "marked up by the page for another": (b'<img data-name="video" src="//t.example/v">', b'<img data-name="video" data-src="//t.example/v">'),
    "hidden iframe": (b'<iframe src="//t.example/v" hidden></iframe>', b'<iframe{s} data-src="//t.example/v" hidden></iframe>'),
    "iframe of no size": (b'<iframe src="//t.example/v" width=0 height="0"></iframe>', b'<iframe{s} data-src="//t.example/v" width=0 height="0"></iframe>'),
    "iframe that is styled away": (b'<iframe src="//t.example/v" style="display: none"></iframe>', b'<iframe{s} data-src="//t.example/v" style="display: none"></iframe>'),
    "iframe": (b'<iframe src="//t.example/v" width=400></iframe>', b'<iframe srcdoc="&lt;p&gt;stats //t.example/v &lt;/p&gt;"{s} data-src="//t.example/v" width=400></iframe>'),
    "iframe in a sandbox": (b'<iframe sandbox src="//t.example/v"></iframe>', b'<iframe srcdoc="&lt;p&gt;stats //t.example/v &lt;/p&gt;"{s} data-sandbox data-src="//t.example/v"></iframe>'),
    "iframe marked up by the page": (b'<iframe data-service=stats data-src="//t.example/v"></iframe>', b'<iframe srcdoc="&lt;p&gt;stats //t.example/v &lt;/p&gt;" data-service=stats data-src="//t.example/v"></iframe>'),
    "iframe with a document of its own": (
        b'<iframe srcdoc="<img src=&quot;//t.example/v&quot;>"></iframe>',
        b'<iframe srcdoc="&lt;img data-service=&quot;stats&quot; data-src=&quot;//t.example/v&quot;&gt;"></iframe>',
    ),
    "iframe in an iframe's document": (
        b"<iframe srcdoc='<iframe srcdoc=\"<img src=//t.example/v>\">'></iframe>",
        b'<iframe srcdoc="&lt;iframe srcdoc=&quot;&amp;lt;img data-service=&amp;quot;stats&amp;quot; data-src=//t.example/v&amp;gt;&quot;&gt;"></iframe>',
    ),
}  # fmt: skip
RELS = [
    "stylesheet",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "prerender",
    "icon",
    "manifest",
]
for _rel in [*RELS, '"alternate stylesheet"', "PreLoad"]:
    _tag = b"<link rel=%s href=//t.example/x>" % _rel.encode()
    HELD[f"link {_rel}"] = (
        _tag,
        _tag.replace(b"<link", b"<link{s}").replace(b" href", b" data-href"),
    )


def marked(held: bytes) -> bytes:
    """Return a held form with the service's mark in its place."""
    return held.replace(b"{s}", MARK)


@pytest.mark.parametrize(("page", "held"), HELD.values(), ids=HELD.keys())
def test_what_waits_is_inert(page: bytes, held: bytes) -> None:
    """Each element keeps every byte but the names of what would load, and says what lifts it."""
    assert whole(page) == marked(held)


def differing(holds: Callable[[bytes, bytes], bool]) -> list[str]:
    """Return the names of the pages of which something does not hold; a test for each would be hundreds."""
    return [name for name, (page, held) in HELD.items() if not holds(page, held)]


def test_round_it_nothing_changes() -> None:
    """The bytes in front and behind leave as they came."""
    before, after = b"<p a='>'>\xff\0&amp;<!-- <img src=//t.example> -->", b"\r\n</p><b>x"

    def holds(page: bytes, held: bytes) -> bool:
        return whole(before + page + after) == before + marked(held) + after

    assert differing(holds) == []


def test_at_every_split_it_is_the_same() -> None:
    """Cut in two at any place, and byte by byte."""

    def holds(page: bytes, held: bytes) -> bool:
        found = {stream(rewriter(), (page[:at], page[at:])) for at in range(len(page) + 1)}
        return found | {stream(rewriter(), cut(page, 1))} == {marked(held)}

    assert differing(holds) == []


def test_once_held_nothing_more_changes() -> None:
    """What another instance has rewritten is left as it is."""
    assert differing(lambda page, held: whole(marked(held)) == marked(held) != page) == []


def test_granted_it_leaves_as_it_came() -> None:
    """Where nothing waits in it."""
    assert differing(lambda page, _: whole(page, "stats", "video", site=OWN_SITE) == page) == []


def test_undone_it_is_what_it_was() -> None:
    """Without what was added and with the old names, the page's own bytes come back."""

    def holds(page: bytes, held: bytes) -> bool:
        undone = marked(held).replace(b' type="text/plain"', b"").replace(MARK, b"")
        undone = undone.replace(b' data-service="video"', b"")
        undone = re.sub(
            rb"data-((?:xlink:)?(?:type|src|srcset|href|poster|data|background|imagesrcset))\b",
            rb"\1",
            undone,
            flags=re.IGNORECASE,
        )
        return undone == page or b"srcdoc" in held

    assert differing(holds) == []


URLS = {
    "a path": "//t.example/a?b=c#d",
    "a port": "//t.example:8443/a",
    "a user": "https://user:pw@t.example/a",
    "upper case": "HTTPS://T.Example/a",
    "white space": " \n//t.example/a\t",
    "a tab inside": "//t.ex\tample/a",
    "a line break inside": "https://t.\r\nexample/a",
    "backslashes": "\\\\t.example\\a",
    "a backslash": "/\\t.example/a",
    "another backslash": "\\/t.example/a",
    "a backslash behind the scheme": "https:/\\t.example/a",
    "two backslashes behind the scheme": "https:\\\\t.example/a",
    "many slashes": "https://///t.example/a",
    "a dot at the end": "//t.example./a",
    "percent-encoded": "//%74.ex%61mple/a",
    "full-width": "//\uff54.example/a",
    "a soft hyphen": "//t.ex\u00adample/a",
    "encoded slashes": "&#47;&#x2f;t.example/a",
    "named slashes": "https:&sol;&sol;t.example/a",
    "an encoded colon": "https&#58;//t.example/a",
    "a named colon and no slash": "https&colon;t.example/a",
    "an encoded scheme without slashes": "&#104;ttps:t.example/a",
    "an encoded name": "//t&#46;example/a",
    "a wholly encoded name": "//&#116;&#46;&#x65;xample/a",
    "an encoded tab in the name": "//t.ex&Tab;ample/a",
    "a reference without semicolon": "//t.example&#47a",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
@pytest.mark.parametrize("tag", ["<img src='{}'>", "<script src='{}'></script>"])
def test_however_a_url_is_spelt_it_is_held(tag: str, url: str) -> None:
    """A browser would ask the tracker, so the tag waits; the spelling stays."""
    page = tag.format(url).encode()
    assert b"data-src='" + url.encode() + b"'" in whole(page)


PASSING = {
    "own": b"<img src=/a.gif>",
    "relative": b"<script src=a.js></script>",
    "another host": b"<img src=//other.example/t.example>",
    "a name that only ends alike": b"<img src=//nott.example/>",
    "in a query": b"<img src='/a?u=//t.example/'>",
    "in a path": b"<img src=//other.example//t.example/>",
    "as a user": b"<img src=//t.example@other.example/>",
    "data": b"<img src='data:image/gif;base64,//t.example/'>",
    "javascript": b"<iframe src='javascript:\"//t.example/\"'></iframe>",
    "essential": b"<script src=//cdn.example/a.js></script>",
    "a link to follow": b"<a href=//t.example/>x</a>",
    "a form": b"<form action=//t.example/></form>",
    "a canonical link": b"<link rel=canonical href=//t.example/>",
    "a link without rel": b"<link href=//t.example/>",
    "a meta": b"<meta property=og:image content=//t.example/>",
    "text": b"<p>//t.example/</p>",
    "a comment": b"<!-- <script src=//t.example/></script> -->",
    "a title": b"<title><img src=//t.example/></title>",
    "a textarea": b"<textarea><img src=//t.example/></textarea>",
    "a string in a script": b"<script>var a = '<img src=\"//t.example/\">'</script>",
    "a style": b"<style>a { background: url(//t.example/) }</style>",
    "a value": b"<p title='<img src=//t.example/>'>",
    "held already": b"<script type=text/plain data-service=stats data-src=//t.example/></script>",
    "text/plain": b"<script type='text/plain' src=//t.example/></script>",
    "inline data": b"<script type=application/json>houseStats(</script>",
    "inline for a template engine": b"<script type=text/template>houseStats(</script>",
    "inline text of another": b"<script>house_stats()</script>",
    "a document in an iframe": b"<iframe srcdoc='<p>hello</p>'></iframe>",
    "an iframe marked up for nobody": b"<iframe data-service=nobody data-src=/x></iframe>",
    "an iframe marked up that is unseen": b"<iframe hidden data-service=stats data-src=/x></iframe>",
    "a lazy image": b"<img data-src=//t.example/>",
}


@pytest.mark.parametrize("page", PASSING.values(), ids=PASSING.keys())
def test_everything_else_leaves_as_it_came(page: bytes) -> None:
    """The very same object, and the same bytes in any pieces."""
    assert whole(page) is page
    assert stream(rewriter(), cut(page, 1)) == page


@pytest.mark.parametrize("page", CORPUS.values(), ids=CORPUS.keys())
def test_of_any_page_only_live_tags_change(page: bytes) -> None:
    """Odd markup: what is live waits, what only looks like a tag stays, in any pieces."""
    subject = page.replace(b"=live", b"=//t.example/x").replace(b"=dead", b"=//t.example/y")
    done = whole(subject)
    assert b"data-src=//t.example/y" not in done.replace(b"src=//t.example/x data-src=//t.example/y", b"")
    assert not re.search(
        rb"<(?:img|script|image|use)[\s/]+(?:xlink:)?(?:src|href)=//t\.example/x", done, re.IGNORECASE
    )
    assert stream(rewriter(), cut(subject, 1)) == done
    assert {stream(rewriter(), (subject[:at], subject[at:])) for at in range(len(subject))} <= {done}


# -- srcset


@pytest.mark.parametrize(
    ("srcset", "waits"),
    [
        ("//t.example/a", True),
        ("/a 1x, //t.example/a 2x", True),
        ("/a,//t.example/a", False),
        ("/a, //t.example/a", True),
        (",, //t.example/a ,", True),
        ("/a 100w,\n//t.example/a 200w", True),
        ("/a 1x,//t.example/a 2x", True),
        ("data:image/gif;base64,//t.example/a 1x", False),
        ("/a?//t.example/ 1x", False),
        ("", False),
    ],
)
def test_a_srcset_holds_several_urls(srcset: str, waits: bool) -> None:  # noqa: FBT001
    """One that waits makes the set wait; a comma inside of a URL does not end it."""
    page = b'<img srcset="%s">' % srcset.encode()
    assert (whole(page) != page) is waits


def test_an_endless_srcset_is_read_once() -> None:
    """Neither commas nor spaces make it slow."""
    for filling in (b",", b" ", b", ", b"a, "):
        page = b'<img srcset="' + filling * 200_000 + b' //t.example/">'
        assert whole(page).startswith(b"<img" + MARK)


# -- the page's base, paths of its own


def test_relative_urls_start_at_the_base() -> None:
    """A base on a tracker's host makes every relative URL behind it wait."""
    page = b"<img src=a.gif><base href=//t.example/x/><img src=b.gif><p><img src=c.gif>"
    held = b"<img src=a.gif><base href=//t.example/x/><img{s} data-src=b.gif><p><img{s} data-src=c.gif>"
    assert whole(page) == marked(held)
    assert {stream(rewriter(), (page[:at], page[at:])) for at in range(len(page))} == {marked(held)}


def test_only_the_first_base_counts() -> None:
    """As in a browser."""
    page = b"<base target=x><base href=/><base href=//t.example/><img src=a.gif>"
    assert whole(page) is not None
    assert whole(page) == page


def test_paths_of_the_sites_own_wait() -> None:
    """Relative or with the page's host, dots resolved."""
    page = b"<img src=/stats/a><img src=../stats/b><img src=//shop.example/stats/c><img src=/shop/>"
    held = re.sub(rb"<img src=(\S*stats)", rb'<img data-service="own" data-src=\1', page)
    assert whole(page, site=OWN_SITE) == held


def test_a_path_on_another_host_is_not_the_sites_own() -> None:
    """The pattern is for the site's hosts only."""
    page = b"<img src=//other.example/stats/a>"
    assert whole(page, site=OWN_SITE) == page


# -- iframes


def test_a_placeholder_speaks_the_pages_language() -> None:
    """It is asked for in the language of the page, in any pieces."""
    page = b'<!doctype html><html lang="de"><iframe src=//t.example/v></iframe>'
    done = whole(page)
    assert b"//t.example/v de" in done
    assert stream(rewriter(), cut(page, 1)) == done


def test_a_placeholder_reads_as_it_was_made() -> None:
    """Quotes, angles and letters of any language survive the attribute."""
    document = '<p title="\'&amp;">\u00e4\U0001f36a</p>'
    done = whole(b"<iframe src=//t.example/v>", placeholder=lambda *_: document)
    (found,) = re.findall(rb'srcdoc="([^"]*)"', done)
    assert text_of(found) == document


def test_the_guard_goes_into_an_iframes_document_with_scripts() -> None:
    """What runs in there is a document of its own; what holds no script needs none."""
    head = b"<script src=/guard.js></script>"
    page = b"<iframe srcdoc=\"<script>a()</script>\"></iframe><iframe srcdoc='<p>x</p>'></iframe>"
    done = whole(page, inner_head=lambda: head)
    assert text_of(re.findall(rb'srcdoc="([^"]*)"', done)[0]) == (head + b"<script>a()</script>").decode()
    assert done.endswith(b"<iframe srcdoc='<p>x</p>'></iframe>")


def test_an_iframes_document_keeps_its_letters_in_any_charset() -> None:
    """Bytes that are no UTF-8, and queries that look like references, stay as they are."""
    page = b'<iframe srcdoc="<a href=?a&copy=1>Gr\xfc\xdfe</a><img src=//t.example/>"></iframe>'
    done = whole(page)
    assert b"Gr\xfc\xdfe" in done
    assert text_of(re.findall(rb'srcdoc="([^"]*)"', done)[0]).startswith("<a href=?a&copy=1>")


def test_iframes_in_iframes_end() -> None:
    """However deep documents are nested in each other, nothing breaks."""
    inner = "<img src=//t.example/>"
    for _ in range(12):
        inner = "<iframe srcdoc='" + inner.replace("&", "&amp;").replace("'", "&#39;") + "'></iframe>"
    assert whole(inner.encode()).startswith(b"<iframe srcdoc=")


@pytest.mark.parametrize("size", ["9" * 5000, "29", "-1", "1.5", "100%", ""])
def test_any_size_of_an_iframe_is_read(size: str) -> None:
    """A number of any length is no error."""
    done = whole(b"<iframe src=//t.example/ width='%s'></iframe>" % size.encode())
    assert (b"srcdoc" in done) is (size != "29")


# -- what is told


def test_what_is_held_and_what_passes_is_told() -> None:
    """Whose tags wait, and every other host that is loaded from where one was read."""
    told = Told()
    whole(b"<img src=//t.example/><p>//t.example</p><script src=//other.example/></script>", told=told)
    assert (told.held, told.passing) == (["stats"], ["other.example"])


def test_in_a_dry_run_nothing_changes() -> None:
    """Everything is told, and every byte stays."""

    def holds(page: bytes, _: bytes) -> bool:
        told = Told()
        return whole(page, told=told, dry=True) == page and bool(told.held or b"data-src" in page)

    assert differing(holds) == []


def test_whether_anything_was_touched_is_known() -> None:
    """The headers depend on it."""
    subjects = [rewriter(), rewriter()]
    for subject, page in zip(subjects, (b"<img src=//t.example/>", b"<img src=/a>"), strict=True):
        subject.whole(page)
    assert [subject.touched for subject in subjects] == [True, False]


# -- other kinds of body

XHTML = b"""<?xml version="1.0"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:xlink="http://www.w3.org/1999/xlink"><head><title/>
<script type="text/javascript" src="//t.example/a.js"/><script><![CDATA[ if (1 < 2) houseStats("<img/>") ]]></script>
<style>a {}</style><![CDATA[ <img src="//t.example/no"/> ]]></head><body><iframe src="//t.example/v" width="400"/>
<svg xmlns="http://www.w3.org/2000/svg"><image xlink:href="//t.example/i"/></svg>
<noscript><img src="//t.example/n" alt=""/></noscript></body></html>"""


def test_xhtml_stays_well_formed() -> None:
    """Every held form is XML, and everything in it that loads is held."""
    done = whole(XHTML, xml=True, placeholder=lambda *_: "<p title='\u00e4'>&amp;</p>")
    tree = ET.fromstring(done)
    names = [name.rpartition("}")[2] for element in tree.iter() for name in element.attrib]
    assert "src" not in names
    assert "href" not in names
    assert [e.attrib.get("type") for e in tree.iter() if e.tag.endswith("}script")] == ["text/plain"] * 2
    assert done.count(MARK) == 5


def test_xhtml_at_every_split_is_the_same() -> None:
    """Byte by byte, and cut in two."""
    done = whole(XHTML, xml=True)
    assert stream(rewriter(xml=True), cut(XHTML, 1)) == done
    assert {stream(rewriter(xml=True), (XHTML[:at], XHTML[at:])) for at in range(len(XHTML))} == {done}


@pytest.mark.parametrize(
    "body",
    [
        b'{"html": "<img src=//t.example/>"}',
        b' \n["<img src=//t.example/>"]',
        b'\xef\xbb\xbf{"a": "<img src=//t.example/>"}',
    ],
)
def test_json_that_is_called_html_passes(body: bytes) -> None:
    """A quote put into it would break it; in any pieces."""
    subject = rewriter()
    assert subject.whole(body) is body
    assert subject.is_data
    assert stream(rewriter(), cut(body, 1)) == body


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_charsets_pass(coding: str) -> None:
    """They never come here by their headers; if one does, no byte of it changes."""
    page = "<script src='//t.example/a.js'></script>".encode(coding)
    assert whole(page) == page
    assert stream(rewriter(), cut(page, 3)) == page


# -- endless input

MEGABYTE = 1_000_000
# Many times what is ever held back: what took the square of it would not end.
MUCH = 250_000
BAD = {
    "angles": b"<" * MUCH,
    "names": b"<a" * MUCH,
    "names and spaces": b"<a " * (MUCH // 10),
    "images": b"<img " * (MUCH // 5),
    "divs": b"<div>" * (MUCH // 5),
    "svgs": b"<svg>" * (MUCH // 20),
    "maths": b"<math><mi>" * (MUCH // 40),
    "noscripts": b"<noscript>" * (MUCH // 40),
    "templates": b"<template>" * (MUCH // 10),
    "scripts": b"<script>" * (MUCH // 8),
    "scripts in svg": b"<svg>" + b"<script>" * (MUCH // 80) + b"</script>",
    "escaped scripts": b"<script><!--" + b"<script>" * (MUCH // 8),
    "null bytes": b"\0" * MUCH,
    "no UTF-8": b"\xff\xfe<\x80>" * (MUCH // 5),
    "quotes": b"<p a=\"'" * (MUCH // 40),
    "attributes": b"<img" + b" a=b" * (MUCH // 20),
    "dots": b"<img src=//t" + b".a" * (MUCH // 2) + b">",
    "slashes": b"/" * MUCH,
    "backslashes": b"\\/" * (MUCH // 2),
    "references": b"&#47;" * (MUCH // 5),
    "a comment": b"<!-- " + b"-" * MUCH,
    "a bogus comment": b"<!x" * (MUCH // 3),
    "CDATA": b"<svg><![CDATA[" * (MUCH // 14),
}


@pytest.mark.parametrize("page", BAD.values(), ids=BAD.keys())
def test_bad_input_passes_as_it_came(page: bytes) -> None:
    """In one piece and in many, behind a tag that waits: no crash, no slow way, every byte there."""
    tag = b"<img src=//t.example/p>"
    done = whole(tag + page)
    assert stream(rewriter(), cut(tag + page, 65_536)) == done
    assert len(done) >= len(page) + len(tag) + len(MARK) + len("data-")


def test_a_tag_of_100_mb_takes_no_memory() -> None:
    """An endless tag passes piece by piece, and never more than one of 16 KB is held back."""
    subject, chunk, passed = rewriter(), b"a='<img src=//t.example>" + b" " * 62_500 + b"' ", 0
    tracemalloc.start()
    passed += len(subject.feed(b"<img "))
    for _ in range(1_600):
        passed += len(subject.feed(chunk))
        assert len(subject._carry) <= HOLD
    passed += len(subject.close())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert passed == len(b"<img ") + 1_600 * len(chunk)
    assert peak < 4 * MEGABYTE


@pytest.mark.parametrize(
    "begin", [b"<img ", b"<script>", b"<!--", b"<style>", b"<noscript>", b"<p a='", b"<"]
)
def test_what_never_ends_is_not_held_back(begin: bytes) -> None:
    """What is held back stays under the bound, and everything leaves."""
    subject = rewriter()
    chunk = (begin + b"x ") * 200
    sent = [subject.feed(chunk) for _ in range(500)]
    assert len(subject._carry) <= HOLD
    assert b"".join([*sent, subject.close()]) == chunk * 500


def test_a_tag_longer_than_the_bound_passes_and_the_next_is_held() -> None:
    """Streamed, it is let pass; behind its end tags are read again."""
    page = b"<img alt='" + b"x" * 40_000 + b"' src=//t.example/p><img src=//t.example/q>"
    done = stream(rewriter(), cut(page, 4_096))
    assert done == page.replace(b"<img src=//t.example/q", b"<img" + MARK + b" data-src=//t.example/q")


def test_an_inline_script_longer_than_the_bound_is_known_by_its_beginning() -> None:
    """What tells whose it is must stand in the first 16 KB of a streamed script."""
    page = b"<script>houseStats();" + b"x;" * 40_000 + b"</script><img src=//t.example/p>"
    assert stream(rewriter(), cut(page, 4_096)) == whole(page)
    assert whole(page).startswith(b'<script type="text/plain"')


# -- templates that the page marked up: some browsers read ahead, and ask for what stands in one

FREE = b"https://cdn.nobody.test/"
INSIDE = [
    (b'<img src="%sa.gif">', b'<img data-service="MARK" data-src="%sa.gif">'),
    (
        b"<script src=%sa.js></script>",
        b'<script type="text/plain" data-service="MARK" data-src=%sa.js></script>',
    ),
    (
        b'<link rel=stylesheet href="%sa.css">',
        b'<link data-service="MARK" rel=stylesheet data-href="%sa.css">',
    ),
    (b'<video poster="%sa.gif"></video>', b'<video data-service="MARK" data-poster="%sa.gif"></video>'),
]


def template(inner: bytes, mark: bytes = b'data-category="marketing"') -> bytes:
    """Return a page with a template."""
    return b"<!doctype html><body><img src=%sb.gif><template %s><div>%s</div></template><img src=%sc.gif>" % (
        FREE, mark, inner, FREE
    )  # fmt: skip


@pytest.mark.parametrize(("live", "inert"), INSIDE, ids=["img", "script", "link", "video"])
@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (b'data-category="marketing"', b"marketing"),
        (b"data-service=stats", b"stats"),
        (b'DATA-NAME="video"', b"video"),
        (b'id="x" data-category="!analytics"', b"!analytics"),
        (b'data-service="nobody-declared"', b"nobody-declared"),
    ],
)
def test_what_stands_in_a_marked_template_waits(live: bytes, inert: bytes, mark: bytes, name: bytes) -> None:
    """Whoever's it is; what stands around it is left alone."""
    page = template(live % FREE, mark)
    assert whole(page) == template(inert.replace(b"MARK", name) % FREE, mark)


@pytest.mark.parametrize(("live", "inert"), INSIDE, ids=["img", "script", "link", "video"])
def test_a_marked_template_waits_at_every_split(live: bytes, inert: bytes) -> None:
    """However the page comes, its end included."""
    page = template(live % FREE)
    expected = template(inert.replace(b"MARK", b"marketing") % FREE)
    for size in (1, 7, 40):
        assert stream(rewriter(), cut(page, size)) == expected


@pytest.mark.parametrize(
    "page",
    [
        template(INSIDE[0][0] % FREE, b""),
        template(INSIDE[0][0] % FREE, b'data-category="essential"'),
        template(b'<img src="/own.gif"><img src="https://shop.example/own.gif"><a href="%s">x</a>' % FREE),
        b"<template><template data-category=marketing></template><img src=%sa.gif></template>" % FREE,
        b"<!-- <template data-category=marketing> --><img src=%sa.gif>" % FREE,
        b'<p title="<template data-category=marketing>"></p><img src=%sa.gif>' % FREE,
        b"<script>'<template data-category=marketing>'</script><img src=%sa.gif>" % FREE,
    ],
)
def test_other_templates_are_left_alone(page: bytes) -> None:
    """Unmarked, in use, the site's own, closed again, or no template at all."""
    assert whole(page) == page


def test_a_template_within_one_waits_with_it() -> None:
    """Until the outer one ends; an inner mark of its own counts inside."""
    page = (
        b"<template data-category=marketing><template><img src=%sa.gif></template>"
        b"<template data-service=stats><img src=%sb.gif></template><img src=%sc.gif></template><img src=%sd.gif>"
    ) % (FREE, FREE, FREE, FREE)  # fmt: skip
    found = re.findall(rb"data-service=\"(\w+)\" data-src=\S+/(\w)\.gif", whole(page))
    assert found == [(b"marketing", b"a"), (b"stats", b"b"), (b"marketing", b"c")]


def test_a_granted_template_is_left_alone() -> None:
    """Nothing waits for what the visitor agreed to."""
    page = template(INSIDE[0][0] % FREE, b'data-service="stats"')
    assert whole(page, "stats") == page


def test_an_end_that_never_began_ends_nothing() -> None:
    """A stray end tag is no error."""
    page = b"</template>" + template(INSIDE[0][0] % FREE)
    assert b'data-service="marketing" data-src' in whole(page)
