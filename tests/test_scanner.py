from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import lolhtml
import pytest
import turbohtml
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.html.attributes import attributes
from consent_middleware.html.scanner import HOLD, LOADING, Scanner
from helpers_core import modest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Found = dict[int, bytes]
Tag = tuple[bytes, list[tuple[bytes, bytes]]]
_NAME = re.compile(rb"<([a-zA-Z][^\t\n\f\r />]*)")


def read(page: bytes, sizes: Iterable[int] = (), *, everywhere: bool = False, xml: bool = False) -> Found:
    """Return the tags that are found in a page cut into pieces of these sizes, by their places."""
    scanner, found, begin, carry = Scanner(xml=xml), {}, 0, b""
    edges = [0, *itertools.accumulate(sizes), len(page)]
    pieces = [page[a:b] for a, b in itertools.pairwise(edges)]
    for index, piece in enumerate(pieces):
        data = carry + piece
        hot: Sequence[int] | None = range(len(data)) if everywhere else None
        for tag in scanner.tags(data, hot, final=index == len(pieces) - 1):
            found[begin + tag.start] = data[tag.start : tag.end]
        carry = data[scanner.done :]
        begin += scanner.done
    return found


def live(page: bytes, *, scripting: bool) -> Found:
    """Return the tags that a browser's tree holds, by their places."""
    text = page.decode("latin-1")
    tree = turbohtml.parse(
        text, source_locations=True, scripting=scripting, allow_declarative_shadow_roots=False
    )
    found: Found = {}
    for element in tree.iter_elements():
        if element.source_location is None:
            continue
        span = element.source_location.start_tag
        tag = page[span.start_offset : span.end_offset]
        if _name(tag) in LOADING:
            found[span.start_offset] = tag
    return found


def _name(tag: bytes) -> bytes:
    match = _NAME.match(tag)
    return match[1].lower() if match else b""


def in_some_browser(page: bytes) -> Found:
    """Return what is live with scripts on or with scripts off."""
    return live(page, scripting=False) | live(page, scripting=True)


class _Handler:
    """Takes down the elements that lolhtml finds."""

    def __init__(self) -> None:
        self.found: list[Tag] = []

    def element(self, element: lolhtml.Element) -> None:
        """Take one down."""
        found = [(name.encode("utf-8"), value.encode("utf-8")) for name, value in element.attributes]
        self.found.append((element.tag_name.lower().encode(), found))

    def comments(self, _comment: object) -> None:
        """Leave comments."""

    def text(self, _text: object) -> None:
        """Leave text."""


def tokens_of_lolhtml(page: bytes) -> list[Tag]:
    """Return the tags that lolhtml would let a handler edit, in order."""
    handler = _Handler()
    rewriter = lolhtml.HTMLRewriter(lambda _chunk: None)
    rewriter.on("*", handler)
    rewriter.write(page)
    rewriter.end()
    return [tag for tag in handler.found if tag[0] in LOADING]


LIVE = b"<img src=live>"
DEAD = b"<img src=dead>"

# Where `LIVE` stands it must be found, where `DEAD` stands it must not.
CORPUS: dict[str, bytes] = {
    "plain": LIVE,
    "in a document": b"<!doctype html><html><head></head><body>" + LIVE + b"</body></html>",
    "behind text": b"a < b > c & d" + LIVE,
    "a comment": b"<!-- " + DEAD + b" -->" + LIVE,
    "an empty comment": b"<!---->" + LIVE,
    "a comment closed at once": b"<!-->" + LIVE,
    "a comment closed by a dash": b"<!--->" + LIVE,
    "a comment closed with a bang": b"<!--" + DEAD + b"--!>" + LIVE,
    "a comment with two dashes": b"<!-- a -- " + DEAD + b" -->" + LIVE,
    "a comment with many dashes": b"<!-- " + DEAD + b" ------>" + LIVE,
    "a comment in a comment": b"<!-- <!-- " + DEAD + b" -->" + LIVE,
    "a comment with a dash and a bang": b"<!-- -! " + DEAD + b" -- !> -->" + LIVE,
    "a comment that never ends": LIVE + b"<!-- " + DEAD,
    "a conditional comment": b"<!--[if IE]>" + DEAD + b"<![endif]-->" + LIVE,
    "a downlevel-revealed comment": b"<![if !IE]>" + LIVE + b"<![endif]>",
    "a bogus comment": b"<!x " + b"<img src=dead " + b">" + LIVE,
    "a bogus comment with a quote": b'<!x ">' + LIVE,
    "a bang alone": b"<!>" + LIVE,
    "a bang and a dash": b"<!->" + LIVE,
    "a processing instruction": b"<?php echo 1 ?>" + LIVE,
    "a question mark alone": b"<?>" + LIVE,
    "an end tag without a name": b"</>" + LIVE,
    "an end tag that begins with a digit": b"</1 <img src=dead>" + LIVE,
    "an end tag that begins with a space": b"</ a>" + LIVE,
    "an end tag with attributes": b"</p a='>' b=\">\">" + LIVE,
    "CDATA in HTML": b"<![CDATA[ " + b"<img src=dead>" + LIVE + b"]]>",
    "CDATA in svg": b"<svg><![CDATA[ " + DEAD + b"]]></svg>" + LIVE,
    "CDATA in math": b"<math><![CDATA[ > " + DEAD + b"]]></math>" + LIVE,
    "CDATA in foreignObject": b"<svg><foreignObject><p><![CDATA[ > ]]>" + LIVE,
    "CDATA that never ends": LIVE + b"<svg><![CDATA[" + DEAD,
    "CDATA in lower case is none": b"<svg><![cdata[ " + b"<b>" + LIVE,
    "a doctype": b"<!DOCTYPE html PUBLIC '-//W3C//DTD'>" + LIVE,
    "a style": b"<style>" + DEAD + b"</style>" + LIVE,
    "a style in upper case": b"<STYLE>" + DEAD + b"</sTyLe>" + LIVE,
    "a style with another end tag": b"<style>" + DEAD + b"</styles></style " + b">" + LIVE,
    "a style that never ends": LIVE + b"<style>" + DEAD,
    "a style with a comment": b"<style><!--</style>" + LIVE + b"-->",
    "a title": b"<title>" + DEAD + b"</title>" + LIVE,
    "a textarea": b"<textarea>" + DEAD + b"<!--</textarea>" + LIVE,
    "an xmp": b"<xmp>" + DEAD + b"</xmp>" + LIVE,
    "a noembed": b"<noembed>" + DEAD + b"</noembed>" + LIVE,
    "a noframes": b"<noframes>" + DEAD + b"</noframes>" + LIVE,
    "inside of an iframe": b"<iframe src=live>" + DEAD + b"</iframe>" + LIVE,
    "a plaintext": LIVE + b"<plaintext>" + DEAD + b"</plaintext>" + DEAD,
    "a self-closing title is none": b"<title/>" + DEAD + b"</title>" + LIVE,
    "a script": b"<script src=live>" + DEAD + b"</script>" + LIVE,
    "a script with a slash": b"<script/src=live>" + DEAD + b"</script>" + LIVE,
    "a script in upper case": b"<SCRIPT SRC=live>" + DEAD + b"</SCRIPT >" + LIVE,
    "a script with another end tag": b"<script src=live>" + DEAD + b"</scripts></script\n>" + LIVE,
    "an escaped script": b"<script src=live><!-- " + DEAD + b"</script>" + LIVE,
    "a double-escaped script": b"<script src=live><!-- <script>" + DEAD + b"</script>" + DEAD + b"--></script>" + LIVE,
    "a double-escaped script left open": b"<script src=live><!-- <script></script>" + DEAD + b"</script>" + LIVE,
    "a double-escaped script closed at once": b"<script src=live><!--><script>" + DEAD + b"</script>" + LIVE,
    "a double-escaped script closed by a dash": b"<script src=live><!---><script></script>" + LIVE,
    "a double-escaped script with a bang": b"<script src=live><!-- --!><script></script>" + DEAD + b"</script>" + LIVE,
    "a double-escaped script with a slash": b"<script src=live><!--<script/></script>" + DEAD + b"--></script>" + LIVE,
    "a longer name escapes nothing": b"<script src=live><!--<scripty></script>" + LIVE,
    "a script that never ends": LIVE + b"<script src=live>" + DEAD,
    "a longer name than script": b"<scripty>" + LIVE,
    "a noscript": b"<noscript>" + LIVE + b"</noscript>" + LIVE,
    "a noscript in the head": b"<head><noscript><link href=live></noscript></head>" + LIVE,
    "a noscript with a comment": b"<noscript><!-- " + DEAD + b" --></noscript>" + LIVE,
    "a noscript that ends in a comment": b"<noscript><!-- </noscript>" + LIVE + b" -->",
    "a noscript that ends in a value": b"<noscript><p title='</noscript>" + LIVE + b"'>",
    "a noscript that ends in a style": b"<noscript><style></noscript>" + LIVE + b"</style>",
    "a noscript in a noscript": b"<noscript><noscript>" + LIVE + b"</noscript>" + LIVE + b"</noscript>",
    "a noscript that never ends": b"<noscript>" + LIVE,
    "a template": b"<template>" + LIVE + b"<template>" + LIVE + b"</template></template>" + LIVE,
    "an angle in a value": b"<p title='<img src=dead>'>" + LIVE,
    "an angle in a value without quotes": b"<p title=<img>" + LIVE,
    "the end of a comment in a value": b"<p title='-->'>" + LIVE,
    "a value with a tag's end": b'<p a=b=">' + LIVE + b'">',
    "a value without an end": LIVE + b'<p a="' + DEAD,
    "a quote in a name": b"<p a'=\">\">" + LIVE,
    "a quote as a name": b'<p "a>' + LIVE + b'">',
    "a name that begins with a sign": b"<p =a='>'>" + LIVE,
    "a sign and a quote": b"<p ='>" + LIVE + b"'>",
    "quotes without space": b"<p a='>'b='>'c=\">\">" + LIVE,
    "a value behind space": b"<p a = \n '>' >" + LIVE,
    "an empty value": b"<p a=>" + LIVE,
    "an angle in a name": b"<p<img src=dead>" + LIVE,
    "an unfinished tag": LIVE + b"<img src=dead",
    "an unfinished end tag": LIVE + b"</p",
    "an angle at the end": LIVE + b"<",
    "two angles": b"<<img src=live>",
    "a null byte": b"\0<p\0 a\0=\0>" + LIVE + b"<img\0 src=dead>",
    "a null byte in a comment": b"<!-\0- >" + LIVE,
    "no UTF-8": b"\xff\xfe\x80<p \xff=\xff>" + LIVE,
    "UTF-8": "<p title='ä>'>🍪".encode() + LIVE,
    "upper case": b"<IMG SRC=live>",
    "a slash for a space": b"<img/src=live/>",
    "a line break for a space": b"<img\nsrc=live>",
    "a form feed for a space": b"<img\x0csrc=live>",
    "a vertical tab is part of the name": b"<img\x0bsrc=dead>" + LIVE,
    "repeated attributes": b"<img src=live src=dead>",
    "svg": b"<svg><image href=live /><use xlink:href=live></use></svg>" + LIVE,
    "svg with a style": b"<svg><style>" + LIVE,
    "svg with a title": b"<svg><title>" + LIVE + b"</title><style>" + LIVE,
    "svg with a desc and a style": b"<svg><desc><style>" + DEAD + b"</style>" + LIVE + b"</desc></svg>",
    "svg with a foreignObject": b"<svg><foreignObject><title>" + DEAD + b"</title>" + LIVE,
    "svg with a title in a title": b"<svg><title><title>" + DEAD + b"</title><style>" + DEAD + b"</style></title></svg>" + LIVE,
    "svg with a script": b"<svg><script href=live></script><script>" + LIVE,
    "svg with a breakout tag": b"<svg><p><style>" + DEAD + b"</style>" + LIVE,
    "svg with a plain font": b"<svg><font><style>" + LIVE,
    "svg with a coloured font": b"<svg><font color=red><style>" + DEAD + b"</style>" + LIVE,
    "svg that closes itself": b"<svg/><style>" + DEAD + b"</style>" + LIVE,
    "svg with a slash in a value": b"<svg a=b/><style>" + LIVE,
    "svg closed by </p>": b"<svg></p><style>" + DEAD + b"</style>" + LIVE,
    "svg closed by the element around it": b"<div><svg></div><style>" + DEAD + b"</style>" + LIVE,
    "svg closed by the link around it": b"<a><svg><path></a><textarea>" + DEAD + b"</textarea>" + LIVE,
    "svg with a link of its own": b"<svg><a></a><style>" + LIVE,
    "svg in svg": b"<svg><svg></svg><style>" + LIVE,
    "svg in capitals": b"<SVG><STYLE>" + LIVE,
    "svg closed by </br>": b"<svg></br><style>" + DEAD + b"</style>" + LIVE,
    "svg with an end tag of its own": b"<svg><g></g></x><style>" + LIVE,
    "svg with a desc closed around svg": b"<svg><desc><svg></desc><style>" + LIVE,
    "svg with a comment": b"<svg><!-- " + DEAD + b" -->" + LIVE,
    "svg with a text element of math": b"<svg><mi><style>" + LIVE,
    "math": b"<math><style>" + LIVE,
    "math with a title": b"<math><title><style>" + LIVE,
    "math with a text element": b"<math><mi><style>" + DEAD + b"</style>" + LIVE,
    "math with a glyph": b"<math><mi><mglyph><style>" + LIVE,
    "math with svg": b"<math><svg><title><style>" + LIVE,
    "math with an annotation": b"<math><annotation-xml><style>" + LIVE,
    "math with an annotation of HTML": b"<math><annotation-xml encoding='text/html'><style>" + DEAD + b"</style>" + LIVE,
    "math with svg in an annotation": b"<math><annotation-xml><svg><desc><style>" + DEAD + b"</style>" + LIVE,
    "svg with math": b"<svg><math><mi><style>" + LIVE,
}  # fmt: skip


def expected(page: bytes) -> set[int]:
    """Return where the tags of a page stand that say they are live."""
    places = {
        match.start()
        for match in re.finditer(rb"<[a-z]+[\s/]+(?:\w+:)?(?:src|href)=live", page, re.IGNORECASE)
    }
    # Tags that load nothing themselves are told too.
    scripts = {m.start() for m in re.finditer(rb"<script>", page) if b"<svg><script href" in page}
    return places | scripts | {m.start() for m in re.finditer(rb"<body", page)}


@pytest.mark.parametrize("page", CORPUS.values(), ids=CORPUS.keys())
def test_live_tags_are_found(page: bytes) -> None:
    """Every tag that a browser loads something for, and none of those that only look like one."""
    assert set(read(page)) == expected(page)


def differing(holds: Callable[[bytes], bool]) -> list[str]:
    """Return the names of the pages of which something does not hold; a test for each would be hundreds."""
    return [name for name, page in CORPUS.items() if not holds(page)]


def test_a_browsers_tree_holds_the_same() -> None:
    """The tree builder, with scripts on and with scripts off, holds just these tags, ending where they end."""
    assert differing(lambda page: read(page) == in_some_browser(page)) == []


def test_what_is_hot_changes_nothing() -> None:
    """The quick way and a look at every place lead to the same tags."""
    assert differing(lambda page: read(page, everywhere=True) == read(page)) == []


@pytest.mark.parametrize("everywhere", [False, True])
def test_cut_in_two_the_tags_are_the_same(*, everywhere: bool) -> None:
    """At every place a page may be cut."""

    def holds(page: bytes) -> bool:
        whole = read(page)
        return all(read(page, [at], everywhere=everywhere) == whole for at in range(len(page) + 1))

    assert differing(holds) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_cut_into_small_pieces_the_tags_are_the_same(size: int) -> None:
    """Byte by byte, too."""
    assert differing(lambda page: read(page, [size] * (len(page) // size)) == read(page)) == []


# -- another rewriter

# Where the other one sees more or less, and why.
LOLHTML_DIFFERS = {
    "a noscript": "it reads the inside of <noscript> as text, as with scripts on",
    "a noscript in the head": "likewise",
    "a noscript in a noscript": "likewise",
    "a noscript that never ends": "likewise",
    "svg closed by the element around it": "it knows no end tag but </svg> that closes one",
    "svg closed by the link around it": "likewise",
    "svg that closes itself": "it does not close <svg/>",
    "svg with a title in a title": "it reads a <title> in an svg <title> as markup",
    "math with a glyph": "it takes the inside of <mi> for HTML throughout",
    "math with svg": "it takes any <svg> for one",
    "svg with math": "it takes any <math> for one",
}


def test_lolhtml_finds_the_same() -> None:
    """Names and attributes are those another streaming rewriter sees, but for what is listed."""

    def holds(page: bytes) -> bool:
        found = [tag for _, tag in sorted(read(page).items())]
        ours = [(_name(tag), [(a.name, a.value) for a in attributes(tag)]) for tag in found]
        return ours == tokens_of_lolhtml(page)

    assert set(differing(holds)) == LOLHTML_DIFFERS.keys()


# -- what is out of reach

# A browser sees a live tag there and we do not: only who writes the page against its own middleware does this.
OUT_OF_REACH = {
    "a tag that begins in a noscript and ends behind it, with scripts off": b"<noscript><img src='</noscript>'>",
    "raw text that begins in a noscript's comment, with scripts off": b"<noscript><!--</noscript><style>-->"
    + LIVE,
    "a stray end tag in svg, taken for that of an element around it": b"<svg></div><style>" + LIVE,
}
# We see a tag there that no browser does, and would edit text.
SEEN_TOO_MUCH = {
    "CDATA right in an svg title": b"<svg><title><![CDATA[ > <img src=seen> ]]></title></svg>",
    "HTML left open in a foreignObject": b"<svg><foreignObject><div></foreignObject><style><img src=seen></style>",
}


@pytest.mark.parametrize("page", OUT_OF_REACH.values(), ids=OUT_OF_REACH.keys())
def test_what_is_out_of_reach(page: bytes) -> None:
    """The known cases; one that is mended leaves the list."""
    assert set(in_some_browser(page)) - set(read(page))


@pytest.mark.parametrize("page", SEEN_TOO_MUCH.values(), ids=SEEN_TOO_MUCH.keys())
def test_what_is_seen_too_much(page: bytes) -> None:
    """The known cases; one that is mended leaves the list."""
    assert set(read(page)) - set(in_some_browser(page))


# -- made-up pages

_SNIPPETS = [
    LIVE, b"<script src=x></script>", b"<script>a<b</script>", b"<script><!--", b"<script><!--<script>", b"</script>",
    b"-->", b"--!>", b"<!--", b"<!-->", b"<!--->", b"<!-- x -->", b"<p>", b"</p>", b'<div title="', b"<a b='", b'"', b"'",
    b">", b"<", b"=", b" ", b"/", b"x", b"\n", b"</", b"<!", b"<!-", b"--", b"<style>", b"</style>", b"<title>", b"</title>",
    b"<textarea>", b"</textarea>", b"<xmp>", b"</xmp>", b"<iframe src=x>", b"</iframe>", b"<noscript>", b"</noscript>",
    b"<template>", b"</template>", b"<link href=x>", b'<p a=b=">', b'<p =x=">">', b"<!x>", b"<?x>", b"</>", b"</ >", b"</1",
    b"<![CDATA[", b"]]>", b"<IMG/SRC=x>", b'<video src="a>b">', b"<input src='<img>'>", b"\0", b"\xff", b"<noembed>",
    b"</noembed>", b"<br/>", b"</br>", b"<scripty>", b"<script/src=x>", b"<img", b'<p"x">', b"a='>'", b'<p x="<img src=y>">',
    b"<!doctype html>", b"<imgx>", b"<embed src=x>", b"<plaintext",
]  # fmt: skip
# Foreign content that is closed as it was opened.
_FOREIGN = [
    b"<svg>%s</svg>", b"<svg><g>%s</g></svg>", b"<svg><title>%s</title></svg>", b"<svg><desc>%s</desc>%s</svg>",
    b"<svg><foreignObject>%s</foreignObject>%s</svg>", b"<math>%s</math>", b"<math><mi>%s</mi>%s</math>",
    b"<math><annotation-xml>%s</annotation-xml></math>", b"<svg><style>%s</style></svg>", b"<svg><script>%s</script></svg>",
    b"<div><svg>%s</div>", b"<svg><image href=x />%s</svg>", b"<math><title>%s</title></math>", b"<svg><a>%s</a>%s</svg>",
]  # fmt: skip
_WELL = st.sampled_from(
    [LIVE, b"text", b"<p>x</p>", b"<style><img></style>", b"<!-- <img> -->", b"<script>'<img>'</script>", b"<b a='>'></b>", b"<link href=x>",
     b"<textarea><img></textarea>", b"<use href=x></use>", b"<g></g>", b"<font></font>", b"<title><img></title>", b"<svg><title>x</title></svg>"]
)  # fmt: skip
pages = st.lists(st.sampled_from(_SNIPPETS), max_size=12).map(b"".join)


@st.composite
def foreign_pages(draw: st.DrawFn) -> bytes:
    """Make a page with svg and math in it."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        form = draw(st.sampled_from(_FOREIGN))
        parts += [form % tuple(draw(_WELL) for _ in range(form.count(b"%s"))), draw(_WELL)]
    return b"".join(parts)


def tags_that_cross(page: bytes, places: set[int]) -> set[int]:
    """Return those of these places that only a browser without scripts reads, past a noscript's end."""
    return places - set(live(page, scripting=True)) if b"<noscript" in page else set()


@modest
@given(pages)
def test_no_live_tag_of_a_made_up_page_is_missed(page: bytes) -> None:
    """With scripts on, every tag in the tree is found; with them off, all but those that cross a noscript's end."""
    ours, theirs = read(page + LIVE), in_some_browser(page + LIVE)
    missed = {place for place, tag in theirs.items() if ours.get(place) != tag}
    assert missed == tags_that_cross(page, missed)
    assert set(ours) <= set(theirs)


@modest
@given(foreign_pages())
def test_foreign_content_is_read_as_the_tree_builder_reads_it(page: bytes) -> None:
    """Around and behind svg and math the same tags are live."""
    assert read(page + LIVE) == in_some_browser(page + LIVE)


@modest
@given(st.one_of(pages, foreign_pages()), st.lists(st.integers(0, 30), max_size=8))
def test_cuts_and_heat_change_nothing(page: bytes, sizes: list[int]) -> None:
    """However a page is cut, and wherever something is looked for."""
    cut = [min(size, len(page)) for size in sizes]
    assert read(page, cut) == read(page, cut, everywhere=True) == read(page, [1] * len(page)) == read(page)


@modest
@given(st.binary(max_size=300))
def test_any_bytes_are_read(page: bytes) -> None:
    """Nothing raises, and what is found are tags."""
    assert all(tag.startswith(b"<") and tag.endswith(b">") for tag in read(page).values())


# -- XHTML


@pytest.mark.parametrize(
    "page",
    [
        b"<html><style>" + LIVE + b"</style></html>",
        b"<html><title/>" + LIVE + b"</html>",
        b"<html><![CDATA[ > " + DEAD + b"]]>" + LIVE + b"</html>",
        b"<html><script>a</script>" + LIVE + b"</html>",
        b"<html><script/>" + LIVE + b"</html>",
        b"<html><noscript>" + LIVE + b"</noscript></html>",
    ],
)
def test_xhtml_knows_no_raw_text(page: bytes) -> None:
    """Everything is markup but comments and CDATA."""
    found = {match.start() for match in re.finditer(LIVE + rb"|<script", page)}
    assert set(read(page, xml=True)) == found


@pytest.mark.parametrize(
    ("page", "xml"),
    [
        (b"<script><![CDATA[ a < b ]]></script>", True),
        (b"<svg><script>text</script></svg>", False),
        (b"<script>text</script>", False),
    ],
)
def test_the_text_of_a_script_is_told(page: bytes, xml: bool) -> None:  # noqa: FBT001
    """Where it is raw text, and where it is markup."""
    (tag,) = Scanner(xml=xml).tags(page, None, final=True)
    assert page[tag.end : tag.text_end] == page[tag.end : page.index(b"</script")]


# -- endless input

ENDLESS = {
    "a tag": b"<img src='" + b"x" * 1024,
    "attributes": b"<img" + b" a=b" * 256,
    "a comment": b"<!-- " + b"- " * 512,
    "a bogus comment": b"<!x" + b"<" * 1024,
    "CDATA": b"<svg><![CDATA[" + b"]" * 1024,
    "a script": b"<script>" + b"<" * 1024,
    "an escaped script": b"<script><!--" + b"<script>" * 128,
    "a style": b"<style>" + b"</" * 512,
    "a noscript": b"<noscript>" + b"x" * 1024,
    "a value": b'<p a="' + b"<" * 1024,
    "angles": b"<" * 1024,
    "names": b"<a" * 512,
    "plaintext": b"<plaintext>" + b"<" * 1024,
}


@pytest.mark.parametrize("begin", ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_ends_is_not_held_back(begin: bytes) -> None:
    """Of anything that does not end, at most one unfinished tag of 16 KB is held back."""
    scanner, carry, most = Scanner(), b"", 0
    for chunk in (begin, *[begin[-1024:]] * 100):
        data = carry + chunk
        list(scanner.tags(data, None, final=False))
        carry = data[scanner.done :]
        most = max(most, len(carry))
    assert most <= HOLD + 2048
    assert len(carry) <= HOLD


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (b"<p a='", b"'>"),
        (b'<p a="', b"<>'\">"),
        (b"<p a=", b" b>"),
        (b"<p a", b">"),
        (b"<p a = ", b"'>' >"),
        (b"<p a=b", b"'>"),
        (b"<p ='", b">"),
        (b"<p a/='", b">"),
        (b"<p a ='", b"'>"),
        (b"<p='", b">"),
        (b"<p a=b/", b">"),
        (b"<!--", b"-->"),
        (b"<script src=x>", b"</script>"),
        (b"<style>", b"</style>"),
    ],
)
@pytest.mark.parametrize("size", [1000, 65_536])
def test_behind_what_was_too_long_markup_goes_on(begin: bytes, end: bytes, size: int) -> None:
    """Where something ends that was let pass, the next tag is found again."""
    page = begin + b"x" * 100_000 + end + LIVE
    found = read(page, [size] * (len(page) // size))
    assert found.get(len(page) - len(LIVE)) == LIVE
