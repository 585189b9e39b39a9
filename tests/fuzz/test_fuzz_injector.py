"""Bytes that look like HTML: whatever they are, ours go in once and nothing else changes."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.html import Injector, Snippets
from helpers_core import modest

SNIPPETS = Snippets(head=b"\x01H\x01", body=b"\x01B\x01", tail=b"\x01T\x01")
token = st.sampled_from(
    [b"<", b">", b"<!--", b"-->", b"--!>", b"<!-->", b"<!doctype html>", b"<html", b"<html>", b"<head>", b"<HEAD a='>'>",
     b"</head>", b"<body>", b'<body x=">" ', b"</body>", b"</body", b"</bo", b"</html>", b"<script>", b"</script>",
     b"<scripty>", b"<title>", b"</title >", b"<textarea>", b"</textarea>", b"<noscript>", b"</noscript>", b"<template>",
     b"</template>", b"<meta charset=utf-8>", b"<p>", b"</p>", b"<br/>", b'"', b"'", b"=", b"/", b" ", b"\n", b"x", b"\xef\xbb\xbf",
     b"\x00", b"\xff", b"<?xml?>", b"<![CDATA[", b"]]>", b"<!x>", b"</>", b"< ", b"lang=de", b"!--", b"-", b"x" * 50, b" " * 300]
)  # fmt: skip
pages = st.lists(token, max_size=25).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=6)


def run(page: bytes, at: list[int], *, keep_charset: bool, appendable: bool, require: bool) -> bytes:
    """Send a page through, cut at these places."""
    subject = Injector(
        lambda _language: SNIPPETS,
        keep_charset=keep_charset,
        appendable=appendable,
        require_document=require,
    )
    edges = [0, *sorted(min(cut, len(page)) for cut in at), len(page)]
    pieces = [page[a:b] for a, b in itertools.pairwise(edges)]
    return b"".join([*(subject.feed(piece) for piece in pieces), subject.close()])


settings_ = st.fixed_dictionaries(
    {"keep_charset": st.booleans(), "appendable": st.booleans(), "require": st.booleans()}
)


@modest
@given(pages, cuts, settings_)
def test_removing_ours_gives_the_original(page: bytes, at: list[int], how: dict[str, bool]) -> None:
    """Every byte of the app's is there, in order, and each snippet once or none at all."""
    out = run(page, at, **how)
    found = [out.count(part) for part in (SNIPPETS.head, SNIPPETS.body, SNIPPETS.tail)]
    assert found in ([0, 0, 0], [1, 1, 1])
    for part in (SNIPPETS.head, SNIPPETS.body, SNIPPETS.tail):
        out = out.replace(part, b"")
    assert out == page


@modest
@given(pages, cuts, settings_)
def test_cuts_change_nothing(page: bytes, at: list[int], how: dict[str, bool]) -> None:
    """However a page is cut, it comes out the same."""
    assert run(page, at, **how) == run(page, [], **how)


@modest
@given(pages, settings_)
def test_one_piece_is_no_different(page: bytes, how: dict[str, bool]) -> None:
    """The short way for a complete page leads to the same bytes as the long way."""
    subject = Injector(
        lambda _language: SNIPPETS,
        keep_charset=how["keep_charset"],
        appendable=how["appendable"],
        require_document=how["require"],
    )
    assert subject.whole(page) == run(page, [], **how)
