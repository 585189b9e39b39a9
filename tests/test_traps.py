"""The traps of rewriting a response on its way out, row by row of TRAPS.md, over both adapters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Pairs, Response, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = b"<!doctype html><html><head><title>T</title></head><body><p>Gr\xc3\xbc\xc3\x9fe</p></body></html>"
BANNER, LOADER, LINK = b'id="consent-banner"', b"guard.js", b'id="consent-link"'


def has_all(body: bytes) -> bool:
    """Return whether loader, banner and link each stand in a page exactly once."""
    return [body.count(mark) for mark in (LOADER, BANNER, LINK)] == [1, 1, 1]


def has_none(body: bytes) -> bool:
    """Return whether nothing of ours stands in a page."""
    return not any(mark in body for mark in (LOADER, BANNER, LINK))


def stripped(body: bytes) -> bytes:
    """Return a page without our markup."""
    body = re.sub(
        rb'<link rel="stylesheet" href="[^"]*banner\.css".*?banner\.js"[^>]*></script>\n',
        b"",
        body,
        flags=re.DOTALL,
    )
    body = re.sub(rb'<section id="consent-banner".*?</section>\n', b"", body, flags=re.DOTALL)
    return re.sub(rb'<div id="consent-link".*?</div>\n', b"", body, flags=re.DOTALL)


# -- length


def test_content_length_counts_bytes(serve: Serve) -> None:
    """A stale or character-counted Content-Length breaks the page: it is right, in bytes."""
    response = serve((200, [HTML, ("Content-Length", str(len(PAGE)))], [PAGE])).visit()
    assert has_all(response.body)
    assert response.get("content-length") == str(len(response.body))


def test_content_length_is_right_for_a_streamed_page(serve: Serve) -> None:
    """A page in pieces with a known length still has one, known before its start is sent, while nothing is held."""
    chunks = [PAGE[i : i + 7] for i in range(0, len(PAGE), 7)]
    app = serve(
        (200, [HTML, ("Content-Length", str(len(PAGE)))], chunks),
        {"site": {"catalog_hosts": False}, "use": [], "services": []},
    )
    response = app.visit(headers={"cookie": app.granting("all")})
    assert b"consent-link" in response.body
    assert response.get("content-length") == str(len(response.body))


def test_a_streamed_page_that_may_change_on_its_way_names_no_length(serve: Serve) -> None:
    """Where a tag further on may be made inert, the length is dropped before the first byte leaves."""
    chunks = [PAGE[i : i + 7] for i in range(0, len(PAGE), 7)]
    response = serve((200, [HTML, ("Content-Length", str(len(PAGE)))], chunks)).visit()
    assert has_all(response.body)
    assert response.get("content-length") is None


@pytest.mark.parametrize(
    "chunks", [[PAGE], [PAGE[:30], PAGE[30:]], [b"", PAGE]], ids=["one", "two", "empty-first"]
)
def test_a_missing_content_length_is_no_reason_not_to_inject(serve: Serve, chunks: list[bytes]) -> None:
    """Injection does not hang on the app's Content-Length."""
    response = serve((200, [HTML], chunks)).visit()
    assert has_all(response.body)
    assert response.get("content-length") in {None, str(len(response.body))}


@pytest.mark.parametrize("length", ["abc", "", "-1", "1_0", "\xb2"])
def test_a_malformed_content_length_is_dropped(serve: Serve, length: str) -> None:
    """What is no number cannot be added to."""
    response = serve((200, [HTML, ("Content-Length", length)], [PAGE[:40], PAGE[40:]])).visit()
    assert has_all(response.body)
    assert response.get("content-length") is None


@pytest.mark.parametrize("name", ["Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Last-Modified"])
def test_what_says_something_about_the_old_bytes_is_dropped(serve: Serve, name: str) -> None:
    """Digests and dates of the app's bytes do not describe ours."""
    assert serve((200, [HTML, (name, "x")], [PAGE])).visit().get(name.lower()) is None


# -- once, and only where it belongs


def test_the_snippet_is_injected_once_whatever_the_page_holds(serve: Serve) -> None:
    """Several `</body>` or `<head>` look-alikes still get one snippet each."""
    page = PAGE.replace(b"<p>", b"<p><!-- <head> </body> --><textarea><body></body></textarea>")
    assert has_all(serve((200, [HTML], [page])).visit().body)


def test_state_is_never_kept_between_responses(serve: Serve) -> None:
    """A second page of the same client gets the very same markup."""
    app = serve((200, [HTML], [PAGE]))
    assert app.visit().body == app.visit().body


@pytest.mark.parametrize("size", [1, 2, 5, 13, 64])
@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        PAGE.upper(),
        b"<!DOCTYPE HTML><title>x</title><p>no body tag",
        b"<html><head></head><body><script>'</body>'</script></body></html>",
        b"<html><head></head><body><!-- </body> --><p title='</body>'>x</p></body >\n<!-- end --></html>\n",
    ],
    ids=["plain", "upper-case", "no-body", "script", "comment-and-attribute"],
)
def test_a_page_split_anywhere_gets_the_markup_of_the_whole(serve: Serve, page: bytes, size: int) -> None:
    """Chunk borders never matter, and not one byte of the page is lost."""
    whole = serve((200, [HTML], [page])).visit().body
    chunks = [page[i : i + size] for i in range(0, len(page), size)]
    assert serve((200, [HTML], chunks)).visit().body == whole
    assert has_all(whole)
    assert stripped(whole) == page


@pytest.mark.conformance("GCM-1")
def test_the_places(serve: Serve) -> None:
    """The loader opens the head, the banner the body; the link closes it."""
    body = serve((200, [HTML], [PAGE])).visit().body
    assert re.search(rb"<head><link [^>]*banner\.css", body)
    assert re.search(rb'<body><section id="consent-banner"', body)
    assert re.search(
        rb'<p>Gr\xc3\xbc\xc3\x9fe</p><div id="consent-link".*</div>\n</body></html>\Z', body, re.DOTALL
    )


@pytest.mark.parametrize(
    "trap", [b"<!-- </body> -->", b"<script>x='</body>'</script>", b"<textarea></body></textarea>"]
)
def test_a_body_end_that_is_none_is_not_the_place(serve: Serve, trap: bytes) -> None:
    """`</body>` in a comment, a script or a textarea is text."""
    page = PAGE.replace(b"<p>", trap + b"<p>")
    body = serve((200, [HTML], [page])).visit().body
    assert trap in body
    assert body.endswith(b"</div>\n</body></html>")


def test_a_greater_than_in_an_attribute_does_not_end_the_tag(serve: Serve) -> None:
    """`<body data-x="a>b">` is one tag."""
    page = PAGE.replace(b"<body>", b"<body data-x=\"a>b\" class='c>d'>")
    body = serve((200, [HTML], [page])).visit().body
    assert b'<body data-x="a>b" class=\'c>d\'><section id="consent-banner"' in body


def test_a_page_without_body_end_gets_the_markup_at_its_end(serve: Serve) -> None:
    """`</body>` may be left out."""
    assert serve((200, [HTML], [b"<!doctype html><body><p>Hi"])).visit().body.endswith(b"</div>\n")


# -- methods and statuses


def test_head_has_no_body_and_no_stale_length(serve: Serve) -> None:
    """HEAD: no bytes; the length GET would have, or none."""
    app = serve((200, [HTML, ("Content-Length", str(len(PAGE))), ("ETag", '"a"')], []))
    response = app.request("HEAD", "/", {"sec-fetch-mode": "navigate"})
    assert (response.body, response.get("content-length")) == (b"", None)


def test_head_announces_the_caching_of_get(serve: Serve) -> None:
    """HEAD tells the same validators, Cache-Control and Vary as GET."""
    app = serve((200, [HTML, ("ETag", '"a"')], [PAGE]))
    got = app.visit()
    empty = serve((200, [HTML, ("ETag", '"a"')], []))
    head = empty.request("HEAD", "/", {"sec-fetch-mode": "navigate", "accept": "text/html"})
    names = ("etag", "cache-control", "vary")
    assert [head.get(name) for name in names] == [got.get(name) for name in names]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        pytest.param(206, [HTML, ("Content-Range", "bytes 0-9/99"), ("ETag", '"a"')], PAGE[:10], id="206"),
        pytest.param(206, [("Content-Type", "multipart/byteranges; boundary=x")], PAGE, id="byteranges"),
        pytest.param(302, [HTML, ("Location", "/x")], PAGE, id="redirect"),
        pytest.param(303, [HTML, ("Location", "/x")], PAGE, id="see-other"),
        pytest.param(300, [HTML], PAGE, id="choices"),
        pytest.param(
            200, [HTML, ("Content-Disposition", 'attachment; filename="x.html"')], PAGE, id="download"
        ),
        pytest.param(200, [HTML, ("Content-Disposition", "ATTACHMENT")], PAGE, id="download-upper"),
        pytest.param(200, [("Content-Type", "text/html; charset=utf-16")], PAGE, id="utf-16"),
        pytest.param(200, [("Content-Type", 'text/html; charset="UTF-32LE"')], PAGE, id="utf-32"),
        pytest.param(200, [("Content-Type", "text/plain")], PAGE, id="text"),
        pytest.param(200, [("Content-Type", "text/html-sandboxed-not")], b"{}", id="no-html-type"),
        pytest.param(200, [("Content-Type", "application/json")], b'{"html": "<html>"}', id="json"),
        pytest.param(200, [("Content-Type", "image/svg+xml")], b"<svg/>", id="svg"),
        pytest.param(200, [HTML], b'{"json": "<html>"}', id="json-labelled-html"),
        pytest.param(200, [HTML], b"  \n[1, 2]", id="list-labelled-html"),
        pytest.param(200, [HTML], b"plain words", id="words-labelled-html"),
        pytest.param(200, [HTML], b"", id="empty"),
        pytest.param(200, [HTML], PAGE.decode().encode("utf-16"), id="utf-16-undeclared"),
    ],
)
def test_what_is_no_page_passes_untouched(serve: Serve, status: int, headers: Pairs, body: bytes) -> None:
    """Parts, redirects, downloads, wide charsets and mislabelled bodies keep every header and byte."""
    response = serve((status, headers, [body])).visit()
    assert response.headers == [(name.lower(), value) for name, value in headers]
    assert response.body == body


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_gets_none(serve: Serve, status: int) -> None:
    """204 and 304 stay empty, and keep their headers."""
    response = serve((status, [("ETag", '"a"')], [])).visit()
    assert (response.headers, response.body) == ([("etag", '"a"')], b"")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 429, 500, 502, 503])
def test_error_pages_are_pages(serve: Serve, status: int) -> None:
    """4xx and 5xx HTML gets the banner."""
    response = serve((status, [HTML], [PAGE])).visit()
    assert (response.status, has_all(response.body)) == (status, True)


def test_accept_ranges_goes_from_a_rewritten_page(serve: Serve) -> None:
    """Ranges of the app's bytes do not fit ours."""
    assert serve((200, [HTML, ("Accept-Ranges", "bytes")], [PAGE])).visit().get("accept-ranges") is None


# -- what the request asked for


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-mode": "cors"},
        {"sec-fetch-mode": "same-origin"},
        {"sec-fetch-mode": "no-cors"},
        {"hx-request": "true"},
        {"turbo-frame": "list"},
        {"x-up-version": "3"},
        {"x-up-target": "main"},
        {"x-pjax": "true"},
        {"x-requested-with": "XMLHttpRequest"},
        {"x-inertia": "true"},
    ],
    ids=",".join,
)
def test_fragments_get_nothing(serve: Serve, headers: dict[str, str]) -> None:
    """What a script fetches into a page is left alone."""
    response = serve((200, [HTML], [PAGE])).get(headers={"accept": "text/html", **headers})
    assert response.body == PAGE


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_a_page_fetched_ahead_is_a_page(serve: Serve, purpose: str) -> None:
    """`<link rel=prefetch>` is no navigation, but what it keeps is shown by the next one."""
    ahead = {"sec-fetch-mode": "no-cors", "sec-purpose": purpose, "accept-encoding": "gzip, br"}
    page, part = serve((200, [HTML], [PAGE])), serve((200, [HTML], [b"<div>part</div>"]))
    assert has_all(page.get(headers=ahead).body)
    assert page.seen[0].get("accept-encoding") == "gzip"
    assert part.get(headers=ahead).body == b"<div>part</div>"


def test_without_fetch_metadata_a_document_is_known_by_its_look(serve: Serve) -> None:
    """An old browser's page gets the markup, a bare fragment does not."""
    page, fragment = serve((200, [HTML], [PAGE])), serve((200, [HTML], [b"<div>part</div>"]))
    assert has_all(page.get().body)
    assert fragment.get().body == b"<div>part</div>"


def test_a_navigation_makes_a_document_of_anything(serve: Serve) -> None:
    """With `Sec-Fetch-Mode: navigate` a page without doctype and `<html>` is still one."""
    assert has_all(serve((200, [HTML], [b"<p>Old style</p>"])).visit().body)


@pytest.mark.parametrize("dest", ["iframe", "frame", "embed", "object", "fencedframe"])
def test_frames_get_the_guard_but_no_banner(client: Client, dest: str) -> None:
    """Inside a frame nothing shows; the guard still holds."""
    body = client.visit(headers={"sec-fetch-dest": dest}).body
    assert [LOADER in body, BANNER in body, LINK in body] == [True, False, False]


def test_a_boosted_page_carries_the_loader_in_its_head(client: Client) -> None:
    """A swap of the body by hx-boost or Turbo keeps the loader, which is data-cfasync free of Rocket Loader."""
    head = client.visit().body.partition(b"</head>")[0]
    scripts = re.findall(rb"<script[^>]*>", head)
    assert len(scripts) == 2
    assert all(b'data-cfasync="false"' in script for script in scripts)


# -- charset


def test_a_bom_stays_first(serve: Serve) -> None:
    """A UTF-8 byte order mark is no reason not to inject, and stays the first thing."""
    body = serve((200, [("Content-Type", "text/html")], [b"\xef\xbb\xbf" + PAGE])).visit().body
    assert body.startswith(b"\xef\xbb\xbf<!doctype")
    assert has_all(body)


def test_the_snippets_are_ascii(serve: Serve) -> None:
    """Our markup reads the same in every ASCII-compatible charset, in German too."""
    page = b'<!doctype html><html lang="de"><head></head><body></body></html>'
    app = serve(
        (200, [("Content-Type", "text/html; charset=iso-8859-1")], [page]),
        {"site": {"languages": ["en", "de"]}},
    )
    body = app.visit().body
    assert has_all(body)
    assert body.isascii()


@pytest.mark.parametrize("padding", [0, 400, 900])
def test_a_meta_charset_stays_in_the_first_kilobyte(serve: Serve, padding: int) -> None:
    """Without a charset in the header, the page's own declaration must not be pushed out of sight."""
    page = PAGE.replace(b"<head>", b"<head>" + b" " * padding + b'<meta charset="utf-8">')
    body = serve((200, [("Content-Type", "text/html")], [page])).visit().body
    assert has_all(body)
    assert body.index(b"charset") < 1024


def test_xhtml_is_only_touched_before_its_body_end(serve: Serve) -> None:
    """In XHTML everything goes before `</body>`, and nowhere without one."""
    kind = [("Content-Type", "application/xhtml+xml")]
    page = b'<html xmlns="http://www.w3.org/1999/xhtml"><head></head><body><p/></body></html>'
    body = serve((200, kind, [page])).visit().body
    assert has_all(body)
    assert body.startswith(b'<html xmlns="http://www.w3.org/1999/xhtml"><head></head><body><p/>')
    bare = b'<html xmlns="http://www.w3.org/1999/xhtml"><head/></html>'
    assert serve((200, kind, [bare])).visit().body == bare


# -- streams


@pytest.mark.parametrize(
    "content_type", ["text/event-stream", "application/x-ndjson", "text/plain", "video/mp4"]
)
def test_streams_are_never_buffered(serve: Serve, content_type: str) -> None:
    """One chunk in, one chunk out, before the next is asked for."""
    order = interleaving(serve, content_type, [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"])
    assert order == ["in", "out", "in", "out", "in", "out"]


def test_a_streamed_page_flows(serve: Serve) -> None:
    """A page's pieces leave as they come; only what may be its end waits."""
    chunks = [b"<!doctype html><html><head></head><body>", b"<p>one", b"<p>two", b"</body></html>"]
    assert interleaving(serve, "text/html; charset=utf-8", chunks)[:6] == [
        "in",
        "out",
        "in",
        "out",
        "in",
        "out",
    ]


def interleaving(serve: Serve, content_type: str, chunks: list[bytes]) -> list[str]:
    """Serve a generator; return in which order chunks went in and out."""
    order: list[str] = []

    def body() -> Any:
        for chunk in chunks:
            order.append("in")
            yield chunk

    app = serve(lambda _: (200, [("Content-Type", content_type)], body()))
    app.on_chunk = lambda _: order.append("out")
    app.visit()
    return order


def test_middle_chunks_pass_by_reference(serve: Serve) -> None:
    """The middle of a long page is not copied."""
    middle = b"<p>" + b"x" * 100_000
    chunks = [b"<!doctype html><html><head></head><body>", middle, b"<p>", b"</body></html>"]
    response = serve((200, [HTML], chunks)).visit()
    assert any(chunk is middle for chunk in response.chunks)


# -- content security policy


@pytest.mark.parametrize("header", ["Content-Security-Policy", "content-security-policy"])
def test_the_apps_nonce_is_reused(serve: Serve, header: str) -> None:
    """Under a nonce policy the loader carries the app's own nonce, thrice."""
    policy = (header, "default-src 'self'; script-src 'nonce-r4nd0m+/=' 'strict-dynamic'")
    response = serve((200, [HTML, policy], [PAGE])).visit()
    assert response.body.count(b'nonce="r4nd0m+/="') == 3
    assert response.get("content-security-policy") == policy[1]


def test_with_a_nonce_validators_go(serve: Serve) -> None:
    """A page with a per-response nonce is never the same twice, so it has no ETag."""
    policy = ("Content-Security-Policy", "script-src 'nonce-abcdef'")
    response = serve((200, [HTML, policy, ("ETag", '"a"')], [PAGE])).visit()
    assert response.get("etag") is None


def test_without_a_nonce_none_is_written(client: Client) -> None:
    """No empty nonce attribute stands in a page."""
    assert b"nonce" not in client.visit().body


def test_no_inline_code_and_no_inline_style(client: Client) -> None:
    """A strict policy blocks nothing of ours: every script has a source, no handler, no style attribute."""
    body = client.visit().body
    assert not re.search(rb"<script(?![^>]*\bsrc=)", body)
    assert not re.search(rb"<style|\sstyle=|\son[a-z]+=", body)


def test_a_nonce_hook_gives_the_nonce(serve: Serve) -> None:
    """Where the nonce cannot be read from the app's header, the site's hook names it."""
    body = (
        serve((200, [HTML], [PAGE]), nonce=lambda request: f"from-hook{request.path}".replace("/", "-"))
        .visit("/x")
        .body
    )
    assert body.count(b'nonce="from-hook-x"') == 3


# -- privacy


def test_no_identifier_and_no_signature_in_the_page(serve: Serve) -> None:
    """BREACH: nothing secret stands in a compressed page."""
    app = serve((200, [HTML], [PAGE]))
    own = app.granting("analytics")
    body = app.visit(headers={"cookie": own}).text
    parts = own.partition("=")[2].split(".")
    assert not [part for part in (parts[5], parts[6]) if part in body]


def test_never_no_store(client: Client) -> None:
    """`no-store` would end the back/forward cache: the page becomes private, no more."""
    assert client.visit().get("cache-control") == "private"


@pytest.mark.conformance("EU-4")
def test_the_standing_link_stays_after_a_choice(client: Client) -> None:
    """The banner goes with an answer, the link to the preferences stays."""
    body = client.visit(headers={"cookie": client.granting()}).body
    assert [LOADER in body, BANNER in body, LINK in body] == [True, False, True]


@pytest.mark.parametrize(("path", "shown"), [("/admin/users", False), ("/admin", True), ("/", True)])
def test_no_banner_on_excluded_paths(serve: Serve, path: str, *, shown: bool) -> None:
    """`[banner] exclude` hides the banner; the filter stays."""
    app = serve((200, [HTML, ("Set-Cookie", "_ga=1")], [PAGE]), {"banner": {"exclude": ["/admin/*"]}})
    response: Response = app.visit(path)
    assert (BANNER in response.body, response.set_names) == (shown, [])


def test_a_skipped_request_keeps_the_filter(serve: Serve) -> None:
    """The `skip` hook leaves the banner out, not the cookie filter."""
    app = serve((200, [HTML, ("Set-Cookie", "_ga=1")], [PAGE]), skip=lambda request: request.path == "/kiosk")
    response = app.visit("/kiosk")
    assert (BANNER in response.body, LOADER in response.body, response.set_names) == (False, True, [])
