"""Both adapters answer alike: one table of apps and requests, the same status, headers and bytes out."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Pairs, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
TEXT = ("Content-Type", "text/plain")
PAGE = b'<!doctype html><html lang="de"><head><title>T</title></head><body><p>Gr\xc3\xbc\xc3\x9fe</p></body></html>'
SIZE = ("Content-Length", str(len(PAGE)))
COOKIES = [("Set-Cookie", "_ga=1"), ("Set-Cookie", "session=2; HttpOnly"), ("Set-Cookie", "odd=3; Path=/x")]
PUBLIC = ("Cache-Control", "public, max-age=60")


def reads(seen: Any) -> Any:
    """Tell what the app reads."""
    facts = (
        seen.consent.granted >= {"analytics"},
        seen.consent.answered,
        seen.get("cookie"),
        seen.get("if-none-match"),
    )
    return 200, [TEXT], [repr(facts).encode()]


def updates(seen: Any) -> Any:
    """Take everything back."""
    seen.consent.update(dict.fromkeys(("analytics", "marketing", "functional"), False))
    return 200, [HTML, SIZE, ("ETag", '"a"')], [PAGE]


APPS: dict[str, Any] = {
    "page": (200, [HTML, SIZE, ("ETag", '"a"'), ("Vary", "Accept-Encoding")], [PAGE]),
    "stream": (200, [HTML, SIZE], [PAGE[:40], PAGE[40:60], PAGE[60:], b" "]),
    "public": (200, [HTML, SIZE, PUBLIC, ("ETag", '"a"')], [PAGE]),
    "gzip": (200, [HTML, ("Content-Encoding", "gzip")], [gzip.compress(PAGE, mtime=0)]),
    "brotli": (200, [HTML, ("Content-Encoding", "br")], [b"\x1b\x00"]),
    "cookies": (200, [HTML, *COOKIES], [PAGE]),
    "redirect": (302, [TEXT, ("Location", "/x"), *COOKIES], [b""]),
    "error": (500, [HTML, *COOKIES], [b"<p>Sorry"]),
    "empty": (204, [*COOKIES], []),
    "json": (200, [("Content-Type", "application/json"), ("X-Odd", "caf\xe9")], [b"{}"]),
    "css": (200, [("Content-Type", "text/css"), ("ETag", '"c"'), PUBLIC], [b"a{}"]),
    "nonce": (200, [HTML, ("Content-Security-Policy", "script-src 'nonce-abcdef'"), ("ETag", '"n"')], [PAGE]),
    "download": (200, [HTML, ("Content-Disposition", "attachment")], [PAGE]),
    "reads": reads,
    "updates": updates,
}
NAVIGATES = {"sec-fetch-mode": "navigate", "accept": "text/html", "accept-encoding": "gzip, br"}
REQUESTS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "navigation": ("GET", "/shop/item?x=1", NAVIGATES, b""),
    "script": ("GET", "/a", {"sec-fetch-mode": "cors"}, b""),
    "bare": ("GET", "/", {}, b""),
    "head": ("HEAD", "/", NAVIGATES, b""),
    "signal": ("GET", "/", {**NAVIGATES, "sec-gpc": "1"}, b""),
    "refused": ("GET", "/a/b", {**NAVIGATES, "cookie": "REFUSED; _ga=1; session=2; x=y"}, b""),
    "granted": (
        "GET",
        "/",
        {**NAVIGATES, "cookie": "GRANTED; _ga=1; session=2", "if-none-match": '"a"'},
        b"",
    ),
    "forged": ("GET", "/", {**NAVIGATES, "cookie": "__Host-consent=v1.x; _ga=1"}, b""),
    "post": ("POST", "/login", {"content-type": "text/plain"}, b"body"),
}


def answers(serves: tuple[Serve, ...], app: Any) -> list[dict[str, object]]:
    """Return what each adapter answers to every request; a visitor's cookie is the same for all."""
    clients = [serve(app) for serve in serves]
    to_head = [serve((app[0], app[1], [])) for serve in serves] if isinstance(app, tuple) else clients
    known = {"REFUSED": clients[0].granting(), "GRANTED": clients[0].granting("all")}
    found: list[dict[str, object]] = [{} for _ in serves]
    for name, (method, target, headers, body) in REQUESTS.items():
        given = dict(headers)
        for placeholder, value in known.items():
            if "cookie" in given:
                given["cookie"] = given["cookie"].replace(placeholder, value)
        asked = to_head if method == "HEAD" else clients
        for answered, client in zip(found, asked, strict=True):
            response = client.request(method, target, given, body)
            answered[name] = (response.status, response.headers, response.body)
    return found


@pytest.mark.parametrize("app", APPS)
def test_asgi_and_wsgi_answer_alike(serve_each: tuple[Serve, ...], app: str) -> None:
    """The same status, the same headers in the same order, the same bytes, on every event loop."""
    asyncio, trio, wsgi = answers(serve_each, APPS[app])
    assert asyncio == trio
    assert asyncio == wsgi


OWN: list[tuple[str, str, Pairs, bytes]] = [
    ("GET", "/_consent/preferences?next=/x", [("accept-language", "de")], b""),
    ("GET", "/_consent/state.json", [("cookie", "__Host-consent=broken")], b""),
    ("GET", "/_consent/static/x/banner.css", [("accept-encoding", "gzip")], b""),
    ("GET", "/_consent/nothing", [], b""),
    ("PUT", "/_consent/choice", [], b""),
    ("POST", "/_consent/choice", [], b"action=accept_all"),
    (
        "POST",
        "/_consent/choice",
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("cookie", "_ga=1; hs_2=3"),
        ],
        b"action=reject_all&next=/shop",
    ),
]


@pytest.mark.parametrize("asked", OWN, ids=lambda asked: f"{asked[0]}-{asked[1]}")
def test_the_endpoints_answer_alike(
    serve_each: tuple[Serve, ...], asked: tuple[str, str, Pairs, bytes]
) -> None:
    """Our own pages too come out the same from both adapters."""
    found = [serve((200, [TEXT], [b"x"])).request(*asked) for serve in serve_each]
    assert found[0] == found[1] == found[2]
