from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest

from consent_middleware.html import GzipTranscoder, Injector, Snippets

if TYPE_CHECKING:
    from collections.abc import Iterable

SNIPPETS = Snippets(b"[HEAD]", b"[BODY]", b"[TAIL]")
PAGE = b"<!doctype html><html lang=de><head><title>T</title></head><body><p>words</p></body></html>"
DONE = b"<!doctype html><html lang=de><head>[HEAD]<title>T</title></head><body>[BODY]<p>words</p>[TAIL]</body></html>"


def transcoder(snippets: Snippets | None = SNIPPETS) -> GzipTranscoder:
    """Return a transcoder that puts the same in everywhere."""
    return GzipTranscoder(Injector(lambda _language: snippets))


def pack(data: bytes, level: int = 6) -> bytes:
    """Return gzip bytes that are the same on every run."""
    return gzip.compress(data, level, mtime=0)


def stream(subject: GzipTranscoder, chunks: Iterable[bytes]) -> bytes:
    """Send a compressed body through in pieces."""
    return b"".join([*(subject.feed(chunk) for chunk in chunks), subject.close()])


def test_a_body_in_one_piece() -> None:
    """A complete gzip body comes out as a complete gzip body with everything in it."""
    assert gzip.decompress(transcoder().whole(pack(PAGE))) == DONE


def test_a_body_cut_at_every_place() -> None:
    """However the compressed bytes are cut, the page inside is the same."""
    body = pack(PAGE)
    for at in range(len(body) + 1):
        assert gzip.decompress(stream(transcoder(), (body[:at], body[at:]))) == DONE


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_body_in_small_chunks(size: int) -> None:
    """Chunks of any size lead to the same page."""
    body = pack(PAGE)
    found = stream(transcoder(), (body[i : i + size] for i in range(0, len(body), size)))
    assert gzip.decompress(found) == DONE


def test_several_members() -> None:
    """RFC 1952 2.2: several members in a row are one body."""
    body = b"".join(pack(PAGE[i : i + 20]) for i in range(0, len(PAGE), 20))
    assert gzip.decompress(transcoder().whole(body)) == DONE


@pytest.mark.parametrize("size", [1, 5, 33])
def test_several_members_in_chunks(size: int) -> None:
    """Members are found wherever the chunks end."""
    body = b"".join(pack(PAGE[i : i + 20]) for i in range(0, len(PAGE), 20))
    found = stream(transcoder(), (body[i : i + size] for i in range(0, len(body), size)))
    assert gzip.decompress(found) == DONE


def test_a_flushed_stream_is_not_held_up() -> None:
    """What the app has flushed can be read by the browser before the next chunk comes."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    first = deflate.compress(PAGE[:70]) + deflate.flush(zlib.Z_SYNC_FLUSH)
    seen = zlib.decompressobj(31).decompress(transcoder().feed(first))
    assert seen.replace(b"[HEAD]", b"").replace(b"[BODY]", b"") == PAGE[:70]


@pytest.mark.parametrize("body", [b"not gzip", b"\x1f\x8b", b"\x1f\x8b\x08\x00broken....", PAGE, b""])
def test_what_is_no_gzip_passes(body: bytes) -> None:
    """A body that only claims to be gzip leaves as it came."""
    subject = transcoder()
    assert subject.whole(body) == body
    assert subject.untouched


@pytest.mark.parametrize("body", [b"not gzip", b"\x1f\x8b", b"\x1f\x8b\x08\x00broken....", PAGE])
def test_what_is_no_gzip_passes_in_pieces(body: bytes) -> None:
    """Nor does it change when it comes byte by byte."""
    assert stream(transcoder(), (body[i : i + 1] for i in range(len(body)))) == body


@pytest.mark.parametrize("size", [1, 9, 10_000])
def test_a_declined_page_keeps_its_bytes(size: int) -> None:
    """Where nothing is to be put in, the app's own compression leaves, byte for byte."""
    body = pack(PAGE, 9)
    assert stream(transcoder(None), (body[i : i + size] for i in range(0, len(body), size))) == body


@pytest.mark.parametrize("inside", [b'{"a": 1}', b"", b"words"])
def test_gzip_without_html_keeps_its_bytes(inside: bytes) -> None:
    """JSON in a gzip body that is labelled HTML leaves as it came."""
    subject = transcoder()
    body = pack(inside)
    assert subject.whole(body) == body
    assert subject.untouched


def test_a_stream_that_breaks_later_ends_there() -> None:
    """After something has left, a broken rest adds nothing and raises nothing."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
    first = deflate.compress(PAGE) + deflate.flush(zlib.Z_FULL_FLUSH)
    out = stream(transcoder(), [first, b"\xff" * 40, b"more"])
    assert gzip.decompress(out) == DONE


def test_a_truncated_stream_is_closed() -> None:
    """What came before the app's connection broke is a complete gzip body."""
    body = pack(PAGE)
    out = gzip.decompress(stream(transcoder(), [body[:-12]]))
    assert out.startswith(b"<!doctype html><html lang=de><head>[HEAD]")


def test_each_step_is_bounded() -> None:
    """A small body that unfolds to a huge one is passed on 64 KB at a time."""
    most = 0

    class Measuring(Injector):
        def feed(self, chunk: bytes) -> bytes:
            nonlocal most
            most = max(most, len(chunk))
            return super().feed(chunk)

    page = b"<html><head></head><body>" + b"a" * 5_000_000 + b"</body></html>"
    subject = GzipTranscoder(Measuring(lambda _language: SNIPPETS))
    out = gzip.decompress(subject.whole(pack(page)))
    assert len(out) == len(page) + SNIPPETS.size
    assert most <= 65_536


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_nothing_leaves_before_it_is_decided(cut: int) -> None:
    """The headers wait for the page's first tag inside the compressed body."""
    subject = transcoder()
    assert subject.feed(pack(PAGE, 0)[:cut]) == b""
    assert not subject.decided


@pytest.mark.parametrize("padding", [b"\0" * 8, b"x", b"\x1f"])
def test_what_stands_behind_the_last_member_is_passed_over(padding: bytes) -> None:
    """Padding behind a complete gzip member loses nothing of the page, in a chunk of its own or not."""
    body = pack(PAGE)
    assert gzip.decompress(stream(transcoder(), (body, padding))) == DONE
    assert gzip.decompress(transcoder().whole(body + padding)) == DONE


def test_a_decided_page_that_is_still_held_back_is_not_lost() -> None:
    """A page whose bytes all wait for a charset when the stream breaks is not swallowed."""
    page = b"<head><title>t</title></head><p>hello</p>"
    subject = GzipTranscoder(Injector(lambda _language: SNIPPETS, keep_charset=True))
    assert b"hello" in gzip.decompress(stream(subject, (pack(page), b"\0" * 8)))
