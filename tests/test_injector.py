from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.html import Injector, Snippets
from helpers_core import modest

if TYPE_CHECKING:
    from collections.abc import Iterable

SNIPPETS = Snippets(head=b"[HEAD]", body=b"[BODY]", tail=b"[TAIL]")
TAIL = 2_048
PROLOGUE = 16_384


def injector(
    snippets: Snippets | None = SNIPPETS,
    *,
    require_document: bool = False,
    keep_charset: bool = False,
    appendable: bool = True,
) -> Injector:
    """Return an injector that puts the same in everywhere."""
    return Injector(
        lambda _language: snippets,
        require_document=require_document,
        keep_charset=keep_charset,
        appendable=appendable,
    )


def stream(subject: Injector, chunks: Iterable[bytes]) -> bytes:
    """Send a document through in pieces."""
    return b"".join([*(subject.feed(chunk) for chunk in chunks), subject.close()])


def whole(page: bytes, *, keep_charset: bool = False, appendable: bool = True) -> bytes:
    """Send a document through in one piece."""
    return injector(keep_charset=keep_charset, appendable=appendable).whole(page)


# Each document with "[HEAD]", "[BODY]" and "[TAIL]" where they belong.
PLACED: dict[str, bytes] = {
    "usual": b"<!doctype html><html><head>[HEAD]<title>T</title></head><body>[BODY]<p>x</p>[TAIL]</body></html>",
    "upper case": b"<!DOCTYPE HTML><HTML><HEAD>[HEAD]<TITLE>T</TITLE></HEAD><BODY>[BODY]<P>x[TAIL]</BODY></HTML>",
    "mixed case and space": b"<html >\n<hEaD\t>[HEAD]</HEAD >\n<bOdY\n>[BODY]x[TAIL]</bOdY\n>\n</hTmL >\n",
    "no closing body": b"<!doctype html><html><head>[HEAD]</head><body>[BODY]<p>x</p>[TAIL]",
    "no closing body, closing html": b"<html><head>[HEAD]</head><body>[BODY]x</html>[TAIL]",
    "no head": b"<!doctype html><html>[HEAD]<body>[BODY]x[TAIL]</body></html>",
    "no head, a title": b"<!doctype html>[HEAD]<title>T</title><body>[BODY]x[TAIL]</body>",
    "no body": b"<!doctype html><html><head>[HEAD]<title>T</title></head><p>x</p>[BODY][TAIL]",
    "no body, closing tags": b"<html><head>[HEAD]</head><p>x</p></body></html>[BODY][TAIL]",
    "neither": b"<!doctype html>[HEAD]<p>x</p>[BODY][TAIL]",
    "a doctype and text": b"<!doctype html>plain words[HEAD][BODY][TAIL]",
    "only a doctype": b"<!doctype html>[HEAD][BODY][TAIL]",
    "attributes": b'<html lang="en" x=\'>\'><head data-a=">">[HEAD]</head><body class="a>b" onload=\'"x>"\'>[BODY]x[TAIL]</body>',
    "unquoted attributes": b"<html lang=en><head id=a/b>[HEAD]</head><body class=x data-y>[BODY]x[TAIL]</body>",
    "odd attributes": b"<html =x><head a = b c='d'e=f>[HEAD]</head><body \"quoted\" x=\"<body>\">[BODY]x[TAIL]</body>",
    "self-closing": b"<html/><head/>[HEAD]<body/>[BODY]x[TAIL]</body>",
    "comments before": b"\n<!-- <html><head><body> --><!----><!--><!---><!doctype html><!-- </body> --><html><head>[HEAD]</head><body>[BODY]x[TAIL]</body>",
    "short comments": b"<!--><html><!---><head>[HEAD]<!--x--!><title></title></head><!----!><body>[BODY]x[TAIL]</body>",
    "body tag in a comment": b"<html><head>[HEAD]<!-- <body> --></head><body>[BODY]x[TAIL]</body>",
    "body tag in a script": b"<html><head>[HEAD]<script>var a = '<body>';</script></head><body>[BODY]x[TAIL]</body>",
    "head tag in a comment": b"<html><!-- <head> --><head>[HEAD]</head><body>[BODY]x[TAIL]</body>",
    "body tag in a style": b"<html><head>[HEAD]<style>/* <body> */</style><body>[BODY]x[TAIL]</body>",
    "body tag in a title": b"<html><head>[HEAD]<title><body></title><body>[BODY]x[TAIL]</body>",
    "body tag in noscript": b"<html><head>[HEAD]<noscript><body></noscript><body>[BODY]x[TAIL]</body>",
    "body tag in a template": b"<html><head>[HEAD]<template><body></template><body>[BODY]x[TAIL]</body>",
    "closing tags of other names": b"<html><head>[HEAD]<script></scripts><body></script ><body>[BODY]x[TAIL]</body>",
    "closing body in a script": b"<html><head>[HEAD]</head><body>[BODY]<script>'</body>'</script>[TAIL]</body></html>",
    "closing body in a last script": b"<html><head>[HEAD]</head><body>[BODY]<script>'</body>'</script>[TAIL]",
    "closing body in a comment": b"<html><head>[HEAD]</head><body>[BODY]x<!-- </body> -->[TAIL]</body></html>",
    "closing body in a last comment": b"<html><head>[HEAD]</head><body>[BODY]x[TAIL]</body></html><!-- </body> -->",
    "closing body in a textarea": b"<html><head>[HEAD]</head><body>[BODY]<textarea></body></textarea>[TAIL]</body>",
    "closing body in an attribute": b"<html><head>[HEAD]</head><body>[BODY]<a title='</body>'>x</a>[TAIL]</body>",
    "closing body early": b"<html><head>[HEAD]</head><body>[BODY]a</body>b[TAIL]</body></html>",
    "content behind the end": b"<html><head>[HEAD]</head><body>[BODY]a</body></html><p>b</p>[TAIL]",
    "comments behind the end": b"<html><head>[HEAD]</head><body>[BODY]a[TAIL]</body>\n<!-- a --></html> <!-- b -->\n",
    "a longer tag name": b"<html><head>[HEAD]</head><body>[BODY]a</bodyguard>[TAIL]",
    "a cut closing tag": b"<html><head>[HEAD]</head><body>[BODY]a</bod[TAIL]",
    "header is no head": b"<html>[HEAD]<header>x</header><body>[BODY]x[TAIL]</body>",
    "bogus comments": b"<html><?xml a?><!bogus <head>><head>[HEAD]</head></3><body>[BODY]x[TAIL]</body>",
    "a lone angle": b"<html><head>[HEAD]<title>a</title></head> 1 < 2 <body>[BODY]x[TAIL]</body>",
    "byte order mark": b"\xef\xbb\xbf<!doctype html><html><head>[HEAD]</head><body>[BODY]x[TAIL]</body>",
    "bytes that are no UTF-8": b"<html><head>[HEAD]<title>\xff\xfe\xe4</title></head><body>[BODY]\x80[TAIL]</body>",
    "a late meta charset": b"<html><head>[HEAD]<meta charset=utf-8></head><body>[BODY]x[TAIL]</body>",
    "two heads": b"<html><head>[HEAD]</head><head></head><body>[BODY]x<body>[TAIL]</body>",
    "an unfinished comment": b"<html><head>[HEAD]</head><!-- x <body>[BODY][TAIL]",
    "an unfinished tag": b"<html><head>[HEAD]</head><body class=[BODY][TAIL]",
    "an unfinished script": b"<html><head>[HEAD]<script>a <body>[BODY][TAIL]",
    "a fragment": b"[HEAD]<div>x</div>[BODY][TAIL]",
    "a lone tag": b"[HEAD]<p>[BODY][TAIL]",
}  # fmt: skip


def bare(page: bytes) -> bytes:
    """Return a document without the marks."""
    return page.replace(b"[HEAD]", b"").replace(b"[BODY]", b"").replace(b"[TAIL]", b"")


each_page = pytest.mark.parametrize("page", PLACED.values(), ids=PLACED.keys())


@each_page
def test_where_it_goes(page: bytes) -> None:
    """In one piece every part lands where the browser reads it as meant."""
    assert whole(bare(page)) == page


@each_page
def test_where_it_goes_at_every_split(page: bytes) -> None:
    """Cut in two at any place, the result is the same."""
    plain = bare(page)
    found = {stream(injector(), (plain[:at], plain[at:])) for at in range(len(plain) + 1)}
    assert found == {page}


@each_page
def test_where_it_goes_in_small_chunks(page: bytes) -> None:
    """Cut into chunks of any size, the result is the same."""
    plain = bare(page)
    found = {
        size: stream(injector(), (plain[i : i + size] for i in range(0, len(plain), size)))
        for size in (1, 2, 3, 5, 7, 16)
    }
    assert found == dict.fromkeys(found, page)


@each_page
def test_a_three_way_split_round_each_tag(page: bytes) -> None:
    """Cut before and behind any byte, the result is the same."""
    plain = bare(page)
    found = {
        stream(injector(), (plain[:at], plain[at : at + 1], plain[at + 1 :])) for at in range(len(plain))
    }
    assert found == {page}


# -- what gets nothing

UNTOUCHED = {
    "JSON": b'{"a": "<head>"}',
    "JSON behind space": b' \n["<html>"]',
    "text": b"hello <body>",
    "nothing": b"",
    "space": b" \r\n\t ",
    "a comment": b"<!-- <html><head> -->",
    "a byte order mark": b"\xef\xbb\xbf",
    "half a byte order mark": b"\xef\xbbx<html>",
    "an unfinished tag": b"<html",
    "a lone angle": b"<",
    "XML": b"<?xml version='1.0'?><rss/>",
    "a closing tag": b"</html>",
    "zeros": b"\x00<\x00h\x00t",
}


@pytest.mark.parametrize("page", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_what_is_no_html_passes(page: bytes) -> None:
    """What only claims to be HTML leaves as it came."""
    subject = injector()
    assert subject.whole(page) == page
    assert subject.untouched


@pytest.mark.parametrize("page", UNTOUCHED.values(), ids=UNTOUCHED.keys())
def test_what_is_no_html_passes_at_every_split(page: bytes) -> None:
    """Nor does it change when it comes in pieces."""
    found = {stream(injector(), (page[:at], page[at:])) for at in range(len(page) + 1)}
    assert found == {page}


@each_page
def test_a_declined_page_passes(page: bytes) -> None:
    """Where nothing is to be put in, the body passes byte for byte."""
    plain = bare(page)
    assert injector(None).whole(plain) == plain
    assert {stream(injector(None), (plain[:i], plain[i:])) for i in range(len(plain) + 1)} == {plain}


@pytest.mark.parametrize(
    ("page", "document"),
    [
        (b"<!doctype html><p>x", True),
        (b"<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0'>\n<div>", True),
        (b"<html><body>x", True),
        (b"<HTML lang=de>", True),
        (b"<!-- x --><html>", True),
        (b"<div><html></div>", False),
        (b"<htmlx>", False),
        (b"<p>x</p>", False),
        (b"<head></head>", False),
        (b"<tr><td>x", False),
        (b"<!-- x --><p>", False),
    ],
)
def test_require_document(*, page: bytes, document: bool) -> None:
    """Without Sec-Fetch-Mode only what begins like a document gets our markup."""
    subject = injector(require_document=True)
    subject.whole(page)
    assert subject.untouched is not document


@pytest.mark.parametrize(
    ("page", "language"),
    [
        (b"<html lang=de><head>", "de"),
        (b'<!doctype html><HTML class="x" LANG="de-AT">', "de-at"),
        (b"<html\nlang = 'pt-BR'>", "pt-br"),
        (b"<html>", ""),
        (b"<html xml:lang='fr'>", ""),
        (b"<html data-lang='fr'>", ""),
        (b"<html lang=''>", ""),
        (b"<html lang=x>", ""),
        (b"<p lang=de>", ""),
        (b"<!-- <html lang=de> --><html>", ""),
        (b"<html lang='\xe4'>", ""),
    ],
)
def test_the_pages_language(page: bytes, language: str) -> None:
    """What the page says of its language is what `choose` is asked with, once."""
    asked: list[str] = []

    def choose(found: str) -> Snippets:
        asked.append(found)
        return SNIPPETS

    stream(Injector(choose), [page[:9], page[9:]])
    assert asked == [language]


def test_nothing_leaves_before_it_is_decided() -> None:
    """The headers can wait for the decision: no byte is out before."""
    subject = injector()
    early = [subject.feed(bytes([byte])) for byte in b"<!-- a --> <!doctype html><html lan"]
    assert (b"".join(early), subject.decided) == (b"", False)
    assert subject.feed(b"g=de>") == b"<!-- a --> <!doctype html><html lang=de>"
    assert subject.decided


def test_an_empty_chunk_changes_nothing() -> None:
    """A chunk without bytes neither decides nor sends anything."""
    subject = injector()
    assert subject.feed(b"") == b""
    assert not subject.decided


def test_the_size_is_that_of_all_parts() -> None:
    """What Content-Length grows by is known before the places are."""
    page = PLACED["usual"]
    assert SNIPPETS.size == len(page) - len(bare(page))


# -- Content-Type without a charset: <meta charset> must stay early


def padded(before: int, meta: bytes = b"<meta charset=utf-8>") -> bytes:
    """Return a document whose meta tag ends exactly at a byte."""
    start = b"<!doctype html><html><head><title>"
    room = before - len(start) - len(b"</title>") - len(meta)
    return start + b"x" * room + b"</title>" + meta + b"</head><body>x</body></html>" + b" " * 1_100


@pytest.mark.parametrize(
    ("end", "behind"),
    [(200, False), (1_018, False), (1_019, True), (1_024, True), (1_025, False), (1_200, False)],
)
@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_an_early_charset_stays_early(*, end: int, behind: bool, size: int) -> None:
    """Where ours would push `<meta charset>` past 1,024 bytes it goes behind it; where that is late already, not."""
    page = padded(end)
    out = stream(injector(keep_charset=True), (page[i : i + size] for i in range(0, len(page), size)))
    assert (out.index(b"[HEAD]") > out.index(b"<meta")) is behind


@pytest.mark.parametrize(
    "meta", [b'<META CHARSET="utf-8">', b'<meta http-equiv=content-type content="text/html; charset=utf-8">']
)
def test_each_form_of_charset_counts(meta: bytes) -> None:
    """Both ways to write it, in any case, are kept early."""
    out = whole(padded(1_024, meta), keep_charset=True)
    assert out.index(b"[HEAD]") == out.index(meta) + len(meta)


@pytest.mark.conformance("GCM-1")
@pytest.mark.parametrize("first", [b"<script>1</script>", b"<!-- x -->"])
def test_ours_never_goes_behind_a_script(first: bytes) -> None:
    """The loader comes before every script of the page, a late charset or not."""
    page = b"<html><head>" + first + b"x" * 900 + b"<meta charset=utf-8></head><body>x</body>" + b" " * 1_000
    assert whole(page, keep_charset=True).index(b"[HEAD]") == len(b"<html><head>")


@each_page
def test_a_short_page_keeps_its_places(page: bytes) -> None:
    """Where the charset is early enough, nothing moves."""
    assert whole(bare(page), keep_charset=True) == page


@each_page
def test_charsets_at_every_split(page: bytes) -> None:
    """Waiting for a charset changes no place, however the page is cut."""
    plain = bare(page)
    found = {stream(injector(keep_charset=True), (plain[:at], plain[at:])) for at in range(len(plain) + 1)}
    assert found == {page}


# -- XHTML


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="x"><head/><body>x</body></html>',
            b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="x"><head/><body>x[HEAD][BODY][TAIL]</body></html>',
        ),
        (
            b"<!DOCTYPE html><html><head/><body>x</body></html>",
            b"<!DOCTYPE html><html><head/><body>x[HEAD][BODY][TAIL]</body></html>",
        ),
        (b"<html><body>x</body>\n</html>\n", b"<html><body>x[HEAD][BODY][TAIL]</body>\n</html>\n"),
        (b"<html><body/></html>", b"<html><body/></html>"),
        (b"<html><body>x", b"<html><body>x"),
    ],
)
def test_xhtml_at_every_split(page: bytes, expected: bytes) -> None:
    """XHTML gets everything before `</body>`, and nothing is ever appended."""
    found = {stream(injector(appendable=False), (page[:at], page[at:])) for at in range(len(page) + 1)}
    assert found | {whole(page, appendable=False)} == {expected}


# -- limits


@pytest.mark.parametrize("size", [1_000, 4_096, 60_000])
@pytest.mark.parametrize("before", [0, 15_000, PROLOGUE - 40, PROLOGUE - 4, PROLOGUE, 20_000])
def test_a_late_body_is_the_same_in_any_chunks(before: int, size: int) -> None:
    """Where `<body>` stands beyond 16 KB all goes to the end, and chunking changes nothing."""
    page = b"<html><head><meta name=x>" + b" " * before + b"</head><body class=y>x</body></html>"
    cut = stream(injector(), (page[i : i + size] for i in range(0, len(page), size)))
    assert cut == whole(page)
    assert cut.count(b"[BODY]") == 1


def test_a_body_within_16_kb_is_found() -> None:
    """A long head is no reason to put the banner last."""
    page = b"<html><head>" + b" " * 15_000 + b"</head><body>x</body></html>"
    assert b"<body>[BODY]x" in whole(page)


def test_a_body_beyond_16_kb_gets_it_at_the_end() -> None:
    """Beyond 16 KB we stop to look: the banner stands at the end."""
    page = b"<html><head>" + b" " * 17_000 + b"</head><body>x</body></html>"
    assert whole(page).endswith(b"<body>x[BODY][TAIL]</body></html>")


@pytest.mark.parametrize("gap", [0, 100, TAIL - 14, TAIL - 13, TAIL, 5_000])
@pytest.mark.parametrize("size", [1, 1_000, 50_000])
def test_white_space_behind_the_end(gap: int, size: int) -> None:
    """`</body>` is looked for in the last 2 KB, in whatever chunks they come."""
    page = b"<html><head></head><body>" + b"x" * 3_000 + b"</body></html>" + b"\n" * gap
    cut = stream(injector(), (page[i : i + size] for i in range(0, len(page), size)))
    assert cut == whole(page)
    assert (b"[TAIL]</body>" in cut) is (gap <= TAIL - 14)


HOSTILE = {
    "angles": b"<",
    "letters": b"a",
    "opening comments": b"<!--",
    "closing bodies": b"</body>",
    "half closing bodies": b"</bod",
    "quotes": b"<a b='",
    "slashes": b"<a/",
    "equals": b"<a =",
    "spaces": b"  ",
    "scripts": b"<script>",
    "dashes": b"-",
    "html tags": b"<html ",
}


@pytest.mark.parametrize(
    "start", [b"", b"<html><head></head><body>", b"<html>"], ids=["bare", "body", "html"]
)
@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_held_is_bounded(unit: bytes, start: bytes) -> None:
    """2 MB of anything in 1 KB chunks: never more than the first 16 KB wait, and all of it comes out."""
    subject = injector()
    data = start + (unit * (2_000_000 // len(unit)))
    taken = sent = most = 0
    for at in range(0, len(data), 1_024):
        chunk = data[at : at + 1_024]
        taken += len(chunk)
        sent += len(subject.feed(chunk))
        most = max(most, taken - sent)
    sent += len(subject.close())
    assert most <= PROLOGUE + 1_024
    assert sent - taken in {0, SNIPPETS.size}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_every_byte_is_looked_at_a_bounded_number_of_times(unit: bytes) -> None:
    """The bytes put together again are few: no chunk makes what came before be read anew."""
    work = 0

    class Counting(Injector):
        def _begin(self, data: bytes, *, final: bool) -> bytes:
            nonlocal work
            work += len(data)
            return super()._begin(data, final=final)

        def _middle(self, chunk: bytes) -> bytes:
            nonlocal work
            work += len(chunk) + (0 if self._anchored else self._held_size)
            return super()._middle(chunk)

    subject = Counting(lambda _language: SNIPPETS)
    data = b"<html><head></head><body>" + unit * (500_000 // len(unit))
    stream(subject, (data[at : at + 64] for at in range(0, len(data), 64)))
    assert work <= 3 * len(data)


def test_middle_chunks_pass_by_reference() -> None:
    """Between `<body>` and the end nothing is copied."""
    subject = injector()
    subject.feed(b"<html><head></head><body>")
    chunk = b"<p>some words</p>" * 100
    assert subject.feed(chunk) is chunk


# -- an independent parser's view


class _Places(HTMLParser):
    """Where a browser-like parser sees our three comments."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, str]] = []
        self.ended = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        self.ended = self.ended or tag == "body"

    def handle_comment(self, data: str) -> None:
        if data in {"HEAD", "BODY", "TAIL"}:
            self.seen.append((data, "/".join(self.open)))


texts = st.sampled_from(["", "words", " ", "&lt;body&gt;", "\u00e4"])
values = st.sampled_from(['"a"', "'b'", '">"', "'</body>'", '"<body>"', "c", '""'])
inner = st.sampled_from(
    ["<p>x</p>", "<script>'</body>' + '<body>'</script>", "<!-- </body> -->", "<style>a > b {}</style>", "<br>",
     "<textarea><body></textarea>", "<a href='</body>'>x</a>", "<img alt='a > b'>", "text", "<div><b>y</b></div>"]
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a well-formed document whose body begins and ends in plain sight."""
    attributes = "".join(
        f" {name}={draw(values)}" for name in draw(st.lists(st.sampled_from(["a", "b-c"]), unique=True))
    )
    head = "".join(
        draw(
            st.lists(
                st.sampled_from(
                    ["<title>a</title>", "<!-- <body> -->", "<script>'<body>'</script>", "<meta x='>'>"]
                ),
                max_size=4,
            )
        )
    )
    body = "".join(draw(st.lists(inner, max_size=6)))
    end = draw(
        st.sampled_from(["</body></html>", "</body>\n</html>\n", "</BODY>", "</body><!-- e --></html>"])
    )
    return f"<!doctype html>{draw(texts).strip()}<html{attributes}><head>{head}</head>\n<body{attributes}>{body}{end}"


COMMENTS = Snippets(b"<!--HEAD-->", b"<!--BODY-->", b"<!--TAIL-->")


@modest
@given(documents().filter(lambda page: "html>words" not in page), st.integers(1, 40))
def test_places_as_an_independent_parser_sees_them(page: str, size: int) -> None:
    """Head, body and tail land inside head and body, the tail before the body's end."""
    data = page.encode()
    out = stream(injector(COMMENTS), (data[i : i + size] for i in range(0, len(data), size)))
    parser = _Places()
    parser.feed(out.decode())
    parser.close()
    places = dict(parser.seen)
    assert len(parser.seen) == 3
    assert places["HEAD"].endswith("head")
    assert places["BODY"].startswith("html/")
    assert "body" in places["BODY"]
    assert "body" in places["TAIL"]
    assert "script" not in "".join(places.values())


def test_an_xml_declaration_in_front_is_a_comment_to_html() -> None:
    """A page that begins `<?xml ...?>` is found all the same."""
    page = b'<?xml version="1.0"?>\n<!DOCTYPE html><html><head></head><body>x</body></html>'
    expected = page.replace(b"<head>", b"<head>[HEAD]").replace(b"<body>x", b"<body>[BODY]x[TAIL]")
    assert {stream(injector(), (page[:at], page[at:])) for at in range(len(page))} | {whole(page)} == {
        expected
    }


def test_a_charset_in_a_title_is_words() -> None:
    """Ours never lands inside a title that speaks of `<meta charset>`."""
    page = (
        b"<head><style>"
        + b"x" * 750
        + b"</style><title>About <meta charset=utf-8> tags</title></head><body>x"
    )
    assert whole(page, keep_charset=True).startswith(b"<head>[HEAD]<style>")


def test_a_late_head_goes_to_the_same_place_in_any_chunks() -> None:
    """Behind the first 1,024 bytes there is no charset to wait for."""
    page = (
        b"<html><!--"
        + b"c" * 1_500
        + b"--><head></head><body><p>x<meta name=d content=charset></body></html>"
    )
    found = {stream(injector(keep_charset=True), (page[:at], page[at:])) for at in range(0, len(page), 7)}
    assert found == {whole(page, keep_charset=True)}
