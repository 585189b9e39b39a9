"""Tags of services that are not granted leave inert, over both adapters."""

from __future__ import annotations

import gzip
import logging
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Client, Pairs, Response, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PUBLIC = ("Cache-Control", "public, max-age=600")
ANALYTICS = b'<script async src="https://www.google-analytics.com/analytics.js"></script>'
PIXEL = b'<img src="https://www.facebook.com/tr?id=1" width="1" height="1">'
HELD_ANALYTICS = b'<script type="text/plain" data-service="google-analytics" async data-src="https://www.google-analytics.com/'
HELD_PIXEL = b'<img data-service="meta-pixel" data-src="https://www.facebook.com/tr?id=1"'
PAGE = (
    b'<!doctype html><html lang="en"><head>'
    + ANALYTICS
    + b"</head><body><p>Hi</p>"
    + PIXEL
    + b"</body></html>"
)
FRAGMENT = b"<div>" + ANALYTICS + PIXEL + b"</div>"
CALM = b"<div><img src=/a.gif></div>"
FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
VIDEO = b'<iframe src="https://www.youtube.com/embed/x" width="560" height="315"></iframe>'


def is_held(response: Response) -> tuple[bool, bool]:
    """Return whether the script and the pixel are held, and neither is live as well."""
    body = response.body
    assert (HELD_ANALYTICS in body) is (ANALYTICS not in body)
    assert (HELD_PIXEL in body) is (PIXEL not in body)
    return HELD_ANALYTICS in body, HELD_PIXEL in body


def site(serve: Serve, body: bytes = PAGE, *headers: tuple[str, str]) -> Client:
    """Serve one body as HTML."""
    return serve((200, [HTML, *headers], [body]))


def warnings(log: pytest.LogCaptureFixture, text: str) -> list[str]:
    """Return the warnings that hold a text."""
    return [r.getMessage() for r in log.records if r.levelno >= logging.WARNING and text in r.getMessage()]


# -- who gets what


@pytest.mark.conformance("EU-1", "GCM-2")
def test_an_unanswered_visitor_gets_inert_tags(serve: Serve) -> None:
    """Nothing loads before an answer."""
    assert is_held(site(serve).visit()) == (True, True)


def test_a_refusing_visitor_gets_inert_tags(serve: Serve) -> None:
    """Nothing loads after a refusal."""
    app = site(serve)
    assert is_held(app.visit(headers={"cookie": app.granting()})) == (True, True)


def test_a_granting_visitor_gets_live_tags(serve: Serve) -> None:
    """Every tag leaves as it came."""
    app = site(serve)
    assert is_held(app.visit(headers={"cookie": app.granting("all")})) == (False, False)


@pytest.mark.parametrize(
    ("unit", "held"),
    [("analytics", (False, True)), ("marketing", (True, False)), ("google-analytics", (False, True))],
)
def test_what_is_granted_is_live_and_the_rest_is_not(
    serve: Serve, unit: str, held: tuple[bool, bool]
) -> None:
    """Category by category, service by service."""
    app = site(serve)
    assert is_held(app.visit(headers={"cookie": app.granting(unit)})) == held


def test_a_signal_takes_marketing_out(serve: Serve) -> None:
    """Global Privacy Control overrides what was granted before."""
    app = site(serve)
    assert is_held(app.visit(headers={"cookie": app.granting("all"), "sec-gpc": "1"}))[1]


# -- which responses


def test_a_fragment_is_rewritten_and_private(serve: Serve) -> None:
    """What a script fetches into the page is nobody else's then, and has no validators."""
    app = site(serve, FRAGMENT, ("ETag", '"a"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"))
    response = app.get(headers=FETCH)
    assert is_held(response) == (True, True)
    assert b"consent-banner" not in response.body
    assert (response.get("etag"), response.get("last-modified")) == (None, None)
    assert response.get("cache-control") == "private"
    assert response.get("content-length") in {None, str(len(response.body))}


@pytest.mark.parametrize("mode", ["cors", "navigate", ""])
def test_a_turbo_stream_is_a_fragment(serve: Serve, mode: str) -> None:
    """Its tags wait, and it gets no markup of ours whatever the browser says of the request."""
    stream = (
        b'<turbo-stream action="append" target="x"><template><br>' + FRAGMENT + b"</template></turbo-stream>"
    )
    app = serve((200, [("Content-Type", "text/vnd.turbo-stream.html; charset=utf-8")], [stream]))
    accept = "text/vnd.turbo-stream.html, text/html"
    response = app.get(headers={"accept": accept} | ({"sec-fetch-mode": mode} if mode else {}))
    assert is_held(response) == (True, True)
    assert (b"consent-" in response.body, response.body[:13]) == (False, b"<turbo-stream")
    assert app.get(headers={**FETCH, "cookie": app.granting("all")}).body == stream


def test_a_fragment_without_candidates_leaves_as_it_came(serve: Serve) -> None:
    """Every byte and every header of it."""
    headers: Pairs = [HTML, ("ETag", '"a"'), ("Content-Length", str(len(CALM))), PUBLIC]
    response = serve((200, headers, [CALM])).get(headers=FETCH)
    assert response.body == CALM
    assert response.headers == [(name.lower(), value) for name, value in headers]


def test_a_granted_fragment_is_nobody_elses(serve: Serve) -> None:
    """The next visitor gets another, so this one must not be kept for them."""
    app = site(serve, FRAGMENT, ("ETag", '"a"'))
    response = app.get(headers={**FETCH, "cookie": app.granting("all")})
    assert is_held(response) == (False, False)
    assert response.get("cache-control") == "private"


def test_a_shared_page_holds_everything_for_everyone(serve: Serve) -> None:
    """The same bytes whoever asks, so that a CDN can keep them."""
    app = site(serve, PAGE, PUBLIC)
    found = [
        app.visit(),
        app.get(headers=FETCH),
        app.visit(headers={"cookie": app.granting("all")}),
        app.visit(headers={"cookie": app.granting("analytics"), "sec-gpc": "1"}),
    ]
    assert len({(tuple(response.headers), response.body) for response in found}) == 1
    assert is_held(found[0]) == (True, True)


@pytest.mark.parametrize("dest", ["iframe", "frame", "embed", "object"])
def test_a_page_in_a_frame_is_rewritten(serve: Serve, dest: str) -> None:
    """It has no banner, and its tags wait all the same."""
    response = site(serve).visit(headers={"sec-fetch-dest": dest})
    assert is_held(response) == (True, True)
    assert b'id="consent-banner"' not in response.body


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_page_is_rewritten(serve: Serve, status: int) -> None:
    """Error pages are pages."""
    response = serve((status, [HTML], [PAGE])).visit()
    assert (response.status, is_held(response)) == (status, (True, True))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_streamed_page_is_rewritten(serve: Serve, size: int) -> None:
    """Without a length, in pieces of any size, it comes out as in one piece."""
    whole = site(serve).visit().body
    pieces = [PAGE[at : at + size] for at in range(0, len(PAGE), size)]
    response = serve(lambda _: (200, [HTML], iter(pieces))).visit()
    assert (response.body, response.get("content-length")) == (whole, None)


def test_a_page_in_pieces_has_no_stale_length(serve: Serve) -> None:
    """The app's length is right no more once tags have grown."""
    response = serve((200, [HTML, ("Content-Length", str(len(PAGE)))], [PAGE[:99], PAGE[99:]])).visit()
    assert is_held(response) == (True, True)
    assert response.get("content-length") in {None, str(len(response.body))}


@pytest.mark.parametrize("split", [0, 30])
def test_a_gzip_page_is_rewritten(serve: Serve, split: int) -> None:
    """Opened, rewritten, and closed again."""
    packed = gzip.compress(PAGE)
    pieces = [packed[:split], packed[split:]] if split else [packed]
    response = serve((200, [HTML, ("Content-Encoding", "gzip")], pieces)).visit()
    response.chunks[:] = [gzip.decompress(response.body)]
    assert is_held(response) == (True, True)


def test_head_has_the_headers_and_no_body(serve: Serve) -> None:
    """What GET would say, but for a length nobody knows yet."""
    response = serve((200, [HTML, ("Content-Length", str(len(PAGE)))], [])).request("HEAD")
    assert (response.body, response.get("content-length")) == (b"", None)


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "text/javascript", "image/svg+xml", "text/css"]
)
def test_what_is_no_html_is_left_alone(serve: Serve, content_type: str) -> None:
    """Scripts, data and style sheets keep every byte and header."""
    headers: Pairs = [("Content-Type", content_type), ("ETag", '"a"')]
    response = serve((200, headers, [FRAGMENT])).get(headers=FETCH)
    assert response.body == FRAGMENT
    assert response.headers == [(name.lower(), value) for name, value in headers]


def test_json_that_is_called_html_is_left_alone(serve: Serve) -> None:
    """A quote put into it would break it."""
    body = b'{"html": "<img src=https://www.facebook.com/tr>"}'
    assert site(serve, body).get(headers=FETCH).body == body


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-32"])
def test_wide_charsets_are_left_alone(serve: Serve, charset: str) -> None:
    """What does not hold ASCII passes."""
    body = PAGE.decode().encode(charset)
    headers: Pairs = [("Content-Type", f"text/html; charset={charset}")]
    assert serve((200, headers, [body])).visit().body == body


def test_a_download_is_left_alone(serve: Serve) -> None:
    """An attachment is not shown."""
    response = site(serve, PAGE, ("Content-Disposition", "attachment; filename=a.html")).visit()
    assert response.body == PAGE


# -- what the developer is told


LINKS = (
    "Link",
    "</own.css>; rel=preload; as=style, <https://www.google-analytics.com/a.js>; rel=preload; as=script",
)


@pytest.mark.parametrize("body", [CALM, PAGE], ids=["fragment", "page"])
@pytest.mark.parametrize(
    ("granted", "links"), [("", ["</own.css>; rel=preload; as=style"]), ("all", [LINKS[1]])]
)
def test_a_link_header_waits_too(serve: Serve, body: bytes, granted: str, links: list[str]) -> None:
    """Nothing is fetched ahead from who waits, and the site's own files are."""
    app = site(serve, body, LINKS)
    headers = {"cookie": app.granting(granted)} if granted else {}
    found = app.visit(headers=headers).headers
    assert [value for name, value in found if name.lower() == "link"] == links


def test_report_mode_keeps_link_headers(serve: Serve) -> None:
    """Nothing is taken out where nothing is held back."""
    app = serve((200, [HTML, LINKS], [PAGE]), {"site": {"mode": "report"}})
    assert ("link", LINKS[1]) in [(name.lower(), value) for name, value in app.visit().headers]


def test_report_mode_changes_no_byte_and_says_so(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """Every tag leaves as it came, and the log names whose would not."""
    app = serve((200, [HTML], [FRAGMENT]), {"site": {"mode": "report"}})
    assert app.get(headers=FETCH).body == FRAGMENT
    assert any("would" in r.getMessage() and "google-analytics" in r.getMessage() for r in log.records)


def test_an_undeclared_tracker_is_held_and_told_once(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """It waits for its category; the warning holds a line that declares it."""
    app = site(serve, b'<p><script src="https://static.hotjar.com/c/hotjar-1.js"></script>')
    bodies = {app.get(headers=FETCH).body for _ in range(3)}
    assert all(b'type="text/plain"' in body and b"data-category=" in body for body in bodies)
    (warning,) = warnings(log, "Hotjar")
    line = next(line for line in warning.splitlines() if line.startswith("use = "))
    assert tomllib.loads(line)["use"] == ["google-analytics", "meta-pixel", "hotjar"]


def test_an_undeclared_font_passes_and_is_told_once(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """It loads; the warning holds a line that declares it."""
    body = b'<link rel=stylesheet href="https://fonts.googleapis.com/css?family=A">'
    app = site(serve, body)
    assert {app.get(headers=FETCH).body for _ in range(3)} == {body}
    (warning,) = warnings(log, "use = ")
    line = next(line for line in warning.splitlines() if line.startswith("use = "))
    assert tomllib.loads(line)["use"] == ["google-analytics", "meta-pixel", "google-fonts"]


def test_without_the_catalogues_hosts_an_undeclared_tracker_passes(serve: Serve) -> None:
    """`catalog_hosts = false` holds only what is declared."""
    body = b'<p><script src="https://static.hotjar.com/c/hotjar-1.js"></script>'
    app = serve((200, [HTML], [body]), {"site": {"catalog_hosts": False}})
    assert app.get(headers=FETCH).body == body


@pytest.mark.conformance("ENF-3")
@pytest.mark.parametrize("catalog_hosts", [True, False])
def test_another_consent_manager_is_told_once(
    serve: Serve, log: pytest.LogCaptureFixture, *, catalog_hosts: bool
) -> None:
    """It passes, whatever the setting, and the warning says by name what is wrong and how to mend it."""
    body = b'<p><script id="Cookiebot" src="https://consent.cookiebot.com/uc.js"></script>'
    app = serve((200, [HTML], [body]), {"site": {"catalog_hosts": catalog_hosts}})
    assert {app.get(headers=FETCH).body for _ in range(3)} == {body}
    (warning,) = warnings(log, "consent manager")
    assert "Cookiebot" in warning
    assert "take its tag out" in warning
    assert "use = " not in warning


def test_what_holds_itself_back_loads_and_its_cookies_wait(serve: Serve) -> None:
    """`hold = false` leaves a service's tags to its consent mode; its cookies are held all the same."""
    body = b'<p><script src="https://www.google-analytics.com/analytics.js"></script>'
    services = [{"id": "google-analytics", "hold": False}]
    app = serve((200, [HTML, ("Set-Cookie", "_ga=1")], [body]), {"services": services})
    response = app.get(headers=FETCH)
    assert response.body == body
    assert response.set_names == []


# -- the placeholder


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", b"YouTube is not loaded"), ("de", b"YouTube ist nicht geladen")],
)
def test_a_placeholder_speaks_the_pages_language(serve: Serve, language: str, words: bytes) -> None:
    """Whatever the visitor's own languages are."""
    body = b'<!doctype html><html lang="%s"><body>%s</body></html>' % (language.encode(), VIDEO)
    app = serve((200, [HTML], [body]), {"use": ["youtube"], "site": {"languages": ["en", "de"]}})
    other = "de" if language == "en" else "en"
    response = app.visit(headers={"accept-language": other})
    assert words in response.body
    assert b' data-src="https://www.youtube.com/embed/x" width="560"' in response.body


def test_a_granted_iframe_has_no_placeholder(serve: Serve) -> None:
    """It leaves as it came."""
    app = serve((200, [HTML], [b"<p>" + VIDEO]), {"use": ["youtube"]})
    assert VIDEO in app.get(headers={**FETCH, "cookie": app.granting("all")}).body


def test_a_shared_pages_placeholder_depends_on_nobody(serve: Serve) -> None:
    """Where a shared page names no language, its placeholder speaks the site's first one to everyone."""
    public = ("Cache-Control", "public, max-age=60")
    app = serve((200, [HTML, public], [b"<!doctype html><p>" + VIDEO]), SPOKEN)
    assert app.visit(headers={"accept-language": "de"}).body == app.visit().body


def test_the_documents_inside_a_page_carry_its_nonce(serve: Serve) -> None:
    """What stands in an iframe obeys the page's policy, so the nonce in that policy lets our files in there, too."""
    policy = ("Content-Security-Policy", "script-src 'nonce-abcd1234'; style-src 'nonce-abcd1234'")
    inner = b'<iframe srcdoc="&lt;script&gt;1&lt;/script&gt;"></iframe>'
    body = b'<!doctype html><html lang="en"><body>' + VIDEO + inner + b"</body></html>"
    text = serve((200, [HTML, policy], [body]), SPOKEN).visit().text
    inside = [
        part for part in text.split("srcdoc=")[1:] if "nonce=&quot;abcd1234&quot;" in part.partition(">")[0]
    ]
    assert len(inside) == 2


SPOKEN = {"use": ["youtube"], "site": {"languages": ["en", "de"]}}
