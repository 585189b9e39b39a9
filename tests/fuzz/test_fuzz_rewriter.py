"""Bytes that look like HTML: whatever they are, only held tags change, and cutting changes nothing."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.holding import Held, Holding, Holdings
from consent_middleware.html import Rewriter
from consent_middleware.urls import Location
from helpers_core import make_config, modest

SITE = Holdings(
    make_config(
        site={"catalog_hosts": False},
        services=[
            {"id": "t", "name": "T", "category": "analytics", "hosts": ["t.example"], "inline": ["run("]}
        ],
    ).catalog
)
token = st.sampled_from(
    [b"<", b">", b"<!--", b"-->", b"--!>", b"<!doctype html>", b"<html lang=de>", b"<body>", b"<script>", b"</script>",
     b"<script src=//t.example/a>", b"<script type=module src='//t.example/a'>", b"run(", b"<img src=//t.example/a>",
     b'<img srcset="/a 1x, //t.example/b 2x">', b"<iframe src=//t.example/a>", b"<iframe srcdoc='", b"</iframe>", b"//t.example",
     b"&#47;&#47;t.example", b"https:t.example", b"/\\t.example", b"<link rel=preload href=//t.example/>", b"<base href=//t.example>",
     b"<img src=", b"src=", b"data-src=", b"<noscript>", b"</noscript>", b"<svg>", b"</svg>", b"<image href=//t.example />", b"<title>",
     b"</title>", b"<style>", b"</style>", b"<textarea>", b"</textarea>", b"<template>", b"</template>", b'"', b"'", b"=", b"/", b" ",
     b"\n", b"x", b"\x00", b"\xff", b"<![CDATA[", b"]]>", b"<?x", b"</", b"{", b"[", b"\xef\xbb\xbf", b"&amp;", b"&#", b"x" * 50, b"<plaintext>"]
)  # fmt: skip
pages = st.lists(token, max_size=25).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=6)
_ADDED = re.compile(rb' type="text/plain"| data-service="t"| srcdoc="BOX"')


def box(_held: Held, _url: str, _language: str) -> str:
    """Return what stands in a held iframe."""
    return "BOX"


def rewriter(*, dry: bool = False, xml: bool = False) -> Rewriter:
    """Return a rewriter for a visitor who has granted nothing."""
    holding = SITE.of(frozenset())
    assert isinstance(holding, Holding)
    return Rewriter(
        holding,
        Location("shop.example", "/"),
        on_held=lambda _held: None,
        on_passing=lambda _location: None,
        placeholder=box,
        dry=dry,
        xml=xml,
    )


def stream(subject: Rewriter, page: bytes, at: list[int]) -> bytes:
    """Send a page through, cut at these places."""
    edges = [0, *sorted(min(cut, len(page)) for cut in at), len(page)]
    pieces = [page[a:b] for a, b in itertools.pairwise(edges)]
    return b"".join([*(subject.feed(piece) for piece in pieces), subject.close()])


@modest
@given(pages, cuts, st.booleans())
def test_cuts_change_nothing(page: bytes, at: list[int], xml: bool) -> None:  # noqa: FBT001
    """However a page is cut, it comes out as in one piece."""
    whole = rewriter(xml=xml).whole(page)
    assert stream(rewriter(xml=xml), page, at) == whole
    assert stream(rewriter(xml=xml), page, list(range(len(page)))) == whole


@modest
@given(pages)
def test_only_known_bytes_are_added(page: bytes) -> None:
    """Without what a held form adds, every byte of the app's is there, in order."""
    if b"srcdoc" in page or b"data-" in page:
        return
    done = _ADDED.sub(b"", rewriter().whole(page)).replace(b"data-", b"")
    assert done == page


@modest
@given(pages)
def test_rewriting_again_changes_nothing_more(page: bytes) -> None:
    """What was held stays held, in the same bytes."""
    done = rewriter().whole(page)
    assert rewriter().whole(done) == done


@modest
@given(pages, cuts)
def test_a_dry_run_changes_nothing(page: bytes, at: list[int]) -> None:
    """In mode report every byte leaves as it came."""
    assert rewriter(dry=True).whole(page) is page
    assert stream(rewriter(dry=True), page, at) == page


@modest
@given(st.binary(max_size=400), cuts)
def test_any_bytes_pass(page: bytes, at: list[int]) -> None:
    """Nothing raises, and cutting changes nothing."""
    assert stream(rewriter(), page, at) == rewriter().whole(page)
