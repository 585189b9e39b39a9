"""What the site's own hooks are given, and which language a visitor is spoken to in."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Serve
    from consent_middleware.request import ConsentRequest

HTML = ("Content-Type", "text/html; charset=utf-8")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"


def test_a_hook_sees_the_whole_request(serve: Serve) -> None:
    """Method, address, headers, unfiltered cookies, the peer and the server's own object; frozen."""
    seen: list[ConsentRequest] = []
    app = serve((200, [HTML], [PAGE]), skip=seen.append)
    app.visit("/a?x=1", {"cookie": "_ga=1; b=2; b=3", "x-own": "y"}, mount="/shop")
    (request,) = seen
    assert (request.method, request.scheme, request.host, request.path) == (
        "GET",
        "https",
        "shop.example",
        "/a",
    )
    assert (request.cookies, request.headers["x-own"]) == ({"_ga": "1", "b": "2"}, "y")
    assert request.client == "203.0.113.7"
    assert request.raw
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.method = "POST"  # type: ignore[misc]


def test_a_hook_sees_the_pinned_origin(serve: Serve) -> None:
    """With `origins` the scheme and host are what the browser sees."""
    seen: list[ConsentRequest] = []
    app = serve((200, [HTML], [PAGE]), {"site": {"origins": ["https://www.shop.example"]}}, skip=seen.append)
    app.visit(headers={"host": "internal:8000"}, scheme="http")
    assert (seen[0].scheme, seen[0].host) == ("https", "www.shop.example")


@pytest.mark.parametrize(
    ("setting", "page", "accepted", "spoken"),
    [
        ("page", b"de", "en", b"de"),
        ("page", b"", "de", b"de"),
        ("page", b"fr", "de", b"de"),
        ("page", b"fr", "fr", b"en"),
        ("page", b"de-AT", "en", b"de"),
        ("visitor", b"en", "de;q=0.9, fr", b"de"),
        ("visitor", b"de", "fr", b"de"),
        ("visitor", b"", "", b"en"),
    ],
)
def test_the_banner_speaks_the_pages_or_the_visitors_language(
    serve: Serve, setting: str, page: bytes, accepted: str, spoken: bytes
) -> None:
    """`language_from` says which comes first; the site's first language is the fallback."""
    body = PAGE.replace(b"<html>", b'<html lang="' + page + b'">') if page else PAGE
    app = serve((200, [HTML], [body]), {"site": {"languages": ["en", "de"], "language_from": setting}})
    banner = app.visit(headers={"accept-language": accepted}).body.partition(b'id="consent-banner"')[2]
    assert b'lang="' + spoken + b'"' in banner.partition(b">")[0]


def test_our_own_pages_speak_the_visitors_language(serve: Serve) -> None:
    """The preferences page goes by Accept-Language."""
    app = serve((200, [HTML], [PAGE]), {"site": {"languages": ["en", "de"]}})
    assert '<html lang="de"' in app.visit("/_consent/preferences", {"accept-language": "de"}).text


@pytest.mark.conformance("REC-1")
def test_the_record_names_the_language_that_was_shown(serve: Serve) -> None:
    """What was agreed to was read in one language (REC-1)."""
    app = serve((200, [HTML], [PAGE]), {"site": {"languages": ["en", "de"]}})
    app.choose("accept_all", headers={"accept-language": "de"})
    assert app.records()[0]["language"] == "de"


@pytest.mark.conformance("REC-1")
def test_a_page_in_another_language_than_the_browser_is_recorded_as_it_was(serve: Serve) -> None:
    """The banner follows the page; so do the preferences, the form that comes back, and the notice kept."""
    page = PAGE.replace(b"<html>", b'<html lang="de">')
    app = serve((200, [HTML], [page]), {"site": {"languages": ["en", "de"]}})
    english = {"accept-language": "en"}
    assert '<input type="hidden" name="lang" value="de" />' in app.visit(headers=english).text
    assert '<html lang="de"' in app.visit("/_consent/preferences?lang=de", english).text
    app.choose("accept_all", {"lang": "de"}, english)
    app.choose("accept_all", {"lang": "xx"}, english)
    german, other = app.records()
    assert (german["language"], other["language"]) == ("de", "en")
    assert german["notice_sha256"] != other["notice_sha256"]


def test_two_updates_are_one_choice(serve: Serve) -> None:
    """The second builds on the first, and one record holds both."""

    def app(seen: Any) -> Any:
        seen.consent.update({"analytics": True})
        seen.consent.update({"marketing": True})
        return 200, [HTML], [PAGE]

    site = serve(app)
    site.get()
    (record,) = site.records()
    given = {purpose["id"] for purpose in record["purposes"] if purpose["state"] == "given"}
    assert given >= {"analytics", "marketing"}


def test_an_update_taken_back_changes_nothing(serve: Serve) -> None:
    """Off and on again within one request: no record, no cookie."""

    def app(seen: Any) -> Any:
        seen.consent.update({"analytics": False})
        seen.consent.update({"analytics": True})
        return 200, [HTML], [PAGE]

    site = serve(app)
    response = site.get(headers={"cookie": site.granting("analytics")})
    assert (response.all("set-cookie"), site.records()) == ([], [])


@pytest.mark.parametrize(
    ("changes", "secret", "words"),
    [
        ({}, "short", "a secret key can be guessed; make one: consent-middleware keys new"),
        ({}, "change-me-" + "s" * 32, "a secret key can be guessed"),
        ({"cookies": {"unknown": "allow"}}, "s" * 32, "without consent"),
        ({"records": {"url": "none"}}, "s" * 32, "no proof of consent"),
        (
            {"site": {"mode": "report"}},
            "s" * 32,
            '[site] mode = "report": no cookie and no tag is held back.',
        ),
    ],
)
def test_a_risky_setting_is_warned_about_at_construction(
    serve: Serve, log: pytest.LogCaptureFixture, changes: dict[str, Any], secret: str, words: str
) -> None:
    """What weakens the promise is said once, when the site starts."""
    serve((200, [HTML], [PAGE]), changes, secret_key=secret)
    assert words in log.text


def test_reading_consent_on_a_page_that_is_always_shared_makes_it_private(serve: Serve) -> None:
    """`rendering = "shared"` does not publish what the app made for one visitor."""

    def app(seen: Any) -> Any:
        return 200, [HTML], [PAGE.replace(b"Hi", str(seen.consent.allows("analytics")).encode())]

    response = serve(app, {"site": {"rendering": "shared"}}).visit()
    assert (response.get("cache-control"), response.get("vary")) == ("private", "Sec-GPC, DNT, Cookie")


@pytest.mark.parametrize("word", ['a"><script>alert(1)</script>', "\xe9", "a b"])
def test_what_is_no_nonce_stays_out_of_the_page(serve: Serve, word: str) -> None:
    """The hook's word goes into an attribute, so only the alphabet of nonces does."""
    body = serve((200, [HTML], [PAGE]), nonce=lambda _request: word).visit().body
    assert b"nonce" not in body
    assert word.encode() not in body


@pytest.mark.parametrize(
    ("browser", "header", "shown"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", ("Set-Cookie", "_ga=1"), False),
        ("Mozilla/5.0 (X11; Linux x86_64)", ("Set-Cookie", "_ga=1"), True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", ("Cache-Control", "public, max-age=60"), True),
    ],
)
def test_crawlers_are_left_out_as_the_docs_say(
    serve: Serve, browser: str, header: tuple[str, str], *, shown: bool
) -> None:
    """docs/agents.md: nothing shows to a crawler but on pages for everyone; what is held stays held."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    pasted: dict[str, Any] = {"ConsentMiddleware": lambda _, **given: given, "app": None}
    exec(example, pasted)
    page = PAGE.replace(b"Hi", b'<script src="https://www.googletagmanager.com/gtag/js"></script>')
    site = serve((200, [HTML, header], [page]), skip=pasted["app"]["skip"])
    response = site.visit(headers={"user-agent": browser})
    assert {mark in response.body for mark in (b'id="consent-banner"', b'id="consent-link"')} == {shown}
    assert (response.set_names, b' src="https://www.googletagmanager' in response.body) == ([], False)
    assert site.records() == []
