"""A compressing middleware inside the app must not hide the page (issue part 7)."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Pairs, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
GZIP = ("Content-Encoding", "gzip")
PAGE = b"<!doctype html><html><head></head><body>" + b"<p>Hello</p>" * 500 + b"</body></html>"
PACKED = gzip.compress(PAGE, mtime=0)
SPLITS = [1, 7, 19, len(PACKED) // 2, len(PACKED) - 3]


def opened(body: bytes) -> bytes:
    """Return a gzip body as a browser reads it."""
    return gzip.decompress(body)


def has_banner(body: bytes) -> bool:
    """Return whether a plain page got our markup, once."""
    return body.count(b'id="consent-banner"') == body.count(b"guard.js") == 1 and b"Hello</p>" * 2 not in body


def test_a_gzip_page_is_opened_injected_and_closed_again(serve: Serve) -> None:
    """One chunk of gzip comes out as one gzip body with the banner, its length right and its tag ours."""
    headers = [HTML, GZIP, ("Content-Length", str(len(PACKED))), ("ETag", '"a"')]
    response = serve((200, headers, [PACKED])).visit()
    assert has_banner(opened(response.body))
    assert response.get("content-encoding") == "gzip"
    assert response.get("content-length") in {None, str(len(response.body))}
    assert str(response.get("etag")).startswith('W/"a;')


def test_a_streamed_gzip_page_has_no_stale_length(serve: Serve) -> None:
    """The length of a page that is opened as a stream cannot be known; it is dropped, not wrong."""
    headers = [HTML, GZIP, ("Content-Length", str(len(PACKED)))]
    response = serve((200, headers, [PACKED[:40], PACKED[40:]])).visit()
    assert response.get("content-length") in {None, str(len(response.body))}
    assert has_banner(opened(response.body))


@pytest.mark.parametrize("split", SPLITS)
def test_a_gzip_page_may_be_split_anywhere(serve: Serve, split: int) -> None:
    """In the header, the data or the trailer: the page comes out whole."""
    body = serve((200, [HTML, GZIP], [PACKED[:split], PACKED[split:]])).visit().body
    whole = serve((200, [HTML, GZIP], [PACKED])).visit().body
    assert opened(body) == opened(whole)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", " gzip "])
def test_gzip_is_known_under_its_names(serve: Serve, coding: str) -> None:
    """Content codings are case-insensitive, and `x-gzip` is gzip."""
    body = serve((200, [HTML, ("Content-Encoding", coding)], [PACKED])).visit().body
    assert has_banner(opened(body))


def test_several_gzip_members_are_one_body(serve: Serve) -> None:
    """RFC 1952 allows members in a row."""
    packed = gzip.compress(PAGE[:2000]) + gzip.compress(PAGE[2000:])
    for chunks in ([packed], [packed[:50], packed[50:]]):
        assert has_banner(opened(serve((200, [HTML, GZIP], chunks)).visit().body))


@pytest.mark.parametrize("chunks", [[b"not gzip at all"], [b"not ", b"gzip at all"]], ids=["one", "two"])
def test_what_only_claims_to_be_gzip_passes_as_it_came(serve: Serve, chunks: list[bytes]) -> None:
    """A body that cannot be opened keeps every header and byte."""
    response = serve((200, [HTML, GZIP, ("Content-Length", "15")], chunks)).visit()
    assert response.body == b"not gzip at all"
    assert response.headers == [
        ("content-type", HTML[1]),
        ("content-encoding", "gzip"),
        ("content-length", "15"),
    ]


def test_a_body_that_breaks_half_way_is_no_error(serve: Serve) -> None:
    """Damaged in the middle: what could be read has left, and nothing is raised."""
    broken = PACKED[:60] + b"\xff" * 40 + PACKED[100:]
    response = serve((200, [HTML, GZIP], [broken[:50], broken[50:]])).visit()
    assert response.status == 200


@pytest.mark.parametrize("chunks", [[PACKED[:-20]], [PACKED[:30], PACKED[30:-20]]], ids=["one", "two"])
def test_a_truncated_gzip_page_is_no_error(serve: Serve, chunks: list[bytes]) -> None:
    """A body that ends too early still leaves, opened as far as it goes."""
    body = serve((200, [HTML, GZIP], chunks)).visit().body
    assert zlib.decompressobj(31).decompress(body).startswith(b"<!doctype html>")


def test_a_small_body_that_unfolds_to_a_huge_one_is_streamed(serve: Serve) -> None:
    """Output is bounded a step: a page of 20 MB comes out whole, from a few kilobytes in."""
    big = b"<!doctype html><html><head></head><body>" + b" " * 20_000_000 + b"</body></html>"
    packed = gzip.compress(big)
    body = serve((200, [HTML, GZIP], [packed[:1000], packed[1000:]])).visit().body
    assert len(opened(body)) > len(big)


def test_json_in_gzip_keeps_every_byte(serve: Serve) -> None:
    """JSON labelled text/html is recognised inside gzip too, and the very bytes pass."""
    packed = gzip.compress(b'{"a": 1}')
    for chunks in ([packed], [packed[:9], packed[9:]]):
        response = serve((200, [HTML, GZIP, ("ETag", '"a"')], chunks)).visit()
        assert (response.body, response.get("etag")) == (packed, '"a"')


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_identity_is_no_coding(serve: Serve, coding: str) -> None:
    """`Content-Encoding: identity`, or empty, is how some apps bypass compression."""
    body = serve((200, [HTML, ("Content-Encoding", coding)], [PAGE])).visit().body
    assert has_banner(body)


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, br", "compress", "x-unknown"])
def test_other_codings_pass_untouched_with_one_warning(
    serve: Serve, log: pytest.LogCaptureFixture, coding: str
) -> None:
    """What we cannot open keeps every header and byte; the log names the order of middlewares, once."""
    headers: Pairs = [HTML, ("Content-Encoding", coding), ("Content-Length", "6"), ("ETag", '"a"')]
    app = serve((200, headers, [b"\x1b\x00\x00\x01\x02\x03"]))
    responses = [app.visit(), app.visit()]
    assert all(response.headers == [(n.lower(), v) for n, v in headers] for response in responses)
    assert all(response.body == b"\x1b\x00\x00\x01\x02\x03" for response in responses)
    (warning,) = [record.getMessage() for record in log.records if "Content-Encoding" in record.getMessage()]
    assert "outside of ConsentMiddleware" in warning


def test_the_cookies_of_a_page_in_another_coding_are_filtered(serve: Serve) -> None:
    """Header work is done all the same."""
    response = serve((200, [HTML, ("Content-Encoding", "br"), ("Set-Cookie", "_ga=1")], [b"x"])).visit()
    assert not response.all("set-cookie")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, GZIP;q=0.8", "gzip"),
        ("br", "identity"),
        ("gzip", "gzip"),
        ("identity", "identity"),
        ("gzip;q=0, br", "identity"),
        ("*", "identity"),
    ],
)
def test_a_navigation_asks_the_app_for_what_we_can_open(serve: Serve, sent: str, seen: str) -> None:
    """Accept-Encoding is narrowed to gzip, or to nothing, where a page may come back."""
    app = serve((200, [HTML], [PAGE]))
    app.visit(headers={"accept-encoding": sent})
    assert app.seen[0].get("accept-encoding") == seen


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-mode": "no-cors", "accept": "image/*"},
        {"sec-fetch-mode": "cors", "accept": "text/html"},
    ],
    ids=["bare", "image", "fetch"],
)
def test_nothing_else_is_narrowed(serve: Serve, headers: dict[str, str]) -> None:
    """Images, scripts and API calls keep their Accept-Encoding."""
    app = serve((200, [("Content-Type", "image/svg+xml")], [b"<svg/>"]))
    app.get(headers={**headers, "accept-encoding": "gzip, br"})
    assert app.seen[0].get("accept-encoding") == "gzip, br"


def test_without_transcoding_nothing_is_narrowed_or_opened(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """`transcode = false` leaves gzip alone, and warns."""
    app = serve((200, [HTML, GZIP], [PACKED]), {"site": {"transcode": False}})
    response = app.visit(headers={"accept-encoding": "gzip, br"})
    assert (app.seen[0].get("accept-encoding"), response.body) == ("gzip, br", PACKED)
    assert "outside of ConsentMiddleware" in log.text


def test_a_streamed_gzip_page_flows(serve: Serve) -> None:
    """Each flushed piece of the app's can be read by the browser before the next is made."""
    seen: list[bytes] = []
    reader = zlib.decompressobj(31)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    order: list[str] = []

    def body() -> object:
        for piece in (PAGE[:40], b"<p>one</p>" * 20, b"<p>two</p>" * 20):
            order.append("in")
            yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield packer.flush()

    def taken(chunk: bytes) -> None:
        text = reader.decompress(chunk)
        seen.append(text)
        order.append("one" if b"one" in text else "two" if b"two" in text else "out")

    app = serve(lambda _: (200, [HTML, GZIP], body()))  # type: ignore[arg-type, return-value]
    app.on_chunk = taken
    app.visit()
    assert order[:5] == ["in", "out", "in", "one", "in"]


def test_a_public_page_that_cannot_be_opened_is_nobody_elses(serve: Serve) -> None:
    """A copy without our markup must not become everyone's: where br passes, the response is made private."""
    headers = [HTML, ("Content-Encoding", "br"), ("Cache-Control", "public, max-age=60")]
    assert serve((200, headers, [b"\x0b\x02"])).visit().get("cache-control") == "private, max-age=60"
