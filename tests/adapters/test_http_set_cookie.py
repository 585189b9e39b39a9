"""What a response may set: every `Set-Cookie` of the layer below is passed or held back (issue part 5)."""

from __future__ import annotations

import logging
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Pairs, Serve

HTML = ("Content-Type", "text/html")
TEXT = ("Content-Type", "text/plain")
GA = "_ga=GA1.1.123; Path=/; Max-Age=63072000"
SESSION = "session=abc; HttpOnly; Path=/"


@pytest.mark.conformance("EU-1")
@pytest.mark.parametrize(
    ("method", "status", "headers", "body"),
    [
        pytest.param("GET", 200, [TEXT], [b"ok"], id="plain"),
        pytest.param("GET", 200, [HTML], [b"<!doctype html><p>Hi"], id="page"),
        pytest.param("GET", 302, [TEXT, ("Location", "/next")], [b""], id="redirect"),
        pytest.param("GET", 404, [HTML], [b"<html><body>No</body></html>"], id="not-found"),
        pytest.param("GET", 500, [TEXT], [b"Sorry"], id="error"),
        pytest.param("GET", 200, [TEXT], [b"one", b"two", b"three"], id="stream"),
        pytest.param("GET", 200, [HTML], [b"<!doctype html>", b"<p>", b"Hi"], id="page-stream"),
        pytest.param("GET", 204, [], [], id="no-content"),
        pytest.param("HEAD", 200, [HTML], [], id="head"),
        pytest.param("POST", 200, [("Content-Type", "application/json")], [b"{}"], id="post"),
        pytest.param("GET", 304, [], [], id="not-modified"),
    ],
)
def test_a_tracking_cookie_is_held_on_every_kind_of_response(
    serve: Serve, method: str, status: int, headers: Pairs, body: list[bytes]
) -> None:
    """Wherever the app sets it, an analytics cookie does not reach a visitor who has not answered."""
    app = serve((status, [*headers, ("Set-Cookie", GA), ("Set-Cookie", SESSION)], body))
    response = app.request(method, "/", {"accept": "text/html"})
    assert response.status == status
    assert response.set_names == ["session"]


@pytest.mark.conformance("COOKIE-4")
@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param(SESSION, id="session"),
        pytest.param("csrftoken=x; Secure", id="csrf"),
        pytest.param("basket=3", id="declared-essential"),
        pytest.param("__Host-session=1; Path=/; Secure", id="host-prefix"),
        pytest.param("session-0=abc", id="chunk"),
        pytest.param("_ga=; Max-Age=0", id="deletion-by-max-age"),
        pytest.param("_ga=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", id="deletion-by-date"),
        pytest.param("nobody=; max-age=-1", id="deletion-of-the-unknown"),
    ],
)
def test_essential_cookies_and_deletions_pass_as_they_are(serve: Serve, cookie: str) -> None:
    """What the site needs, and what removes a cookie, reaches the browser byte for byte."""
    response = serve((200, [TEXT, ("Set-Cookie", cookie)], [b"ok"])).get()
    assert response.all("set-cookie") == [cookie]


@pytest.mark.conformance("EU-1")
@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("_fbp=1", id="marketing"),
        pytest.param("_ga_ABC=1", id="wildcard"),
        pytest.param("hs_1=1; Max-Age=60", id="own-service"),
        pytest.param("whatever=1", id="unknown"),
        pytest.param("_ga=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", id="max-age-beats-expires"),
        pytest.param("justavalue", id="nameless"),
        pytest.param("_ga=1; Expires=not a date", id="bad-date"),
        pytest.param("=value", id="empty-name"),
        pytest.param(" _ga =1", id="padded"),
        pytest.param("_ga", id="no-equals"),
        pytest.param("na\xefve=\xff", id="not-ascii"),
    ],
)
def test_creations_that_nobody_granted_are_held(serve: Serve, cookie: str) -> None:
    """Declared, unknown or odd: a cookie that is created without a grant does not leave."""
    assert not serve((200, [TEXT, ("Set-Cookie", cookie)], [b"ok"])).get().all("set-cookie")


@pytest.mark.parametrize(
    ("granted", "passed"),
    [
        (("analytics",), ["_ga"]),
        (("google-analytics",), ["_ga"]),
        (("marketing",), ["_fbp", "unknown"]),
        (("functional",), ["hs_1"]),
        (("all",), ["_ga", "_fbp", "hs_1", "unknown"]),
        ((), []),
    ],
)
def test_a_grant_lets_its_own_cookies_pass(serve: Serve, granted: tuple[str, ...], passed: list[str]) -> None:
    """Each category opens the way for its services' cookies; the unknown counts as marketing."""
    cookies = [("Set-Cookie", f"{name}=1; Path=/") for name in ("_ga", "_fbp", "hs_1", "unknown")]
    app = serve((200, [TEXT, *cookies], [b"ok"]))
    assert app.get(headers={"cookie": app.granting(*granted)}).set_names == passed


def test_the_unknown_passes_where_the_site_allows_it(serve: Serve) -> None:
    """`[cookies] unknown = "allow"` lets what nobody declares be created."""
    app = serve((200, [TEXT, ("Set-Cookie", "whatever=1")], [b"ok"]), {"cookies": {"unknown": "allow"}})
    assert app.get().set_names == ["whatever"]


@pytest.mark.conformance("COOKIE-4")
def test_set_cookie_headers_are_never_joined(serve: Serve) -> None:
    """Each cookie that passes keeps a header of its own, in order (COOKIE-4)."""
    cookies = ["session=1; Path=/", "csrftoken=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT", "basket=3"]
    app = serve((200, [TEXT, *(("Set-Cookie", cookie) for cookie in cookies)], [b"ok"]))
    assert app.get().all("set-cookie") == cookies


@pytest.mark.conformance("GPC-5")
def test_a_stylesheet_keeps_every_header_and_byte(serve: Serve) -> None:
    """A response that nothing is done to comes out as it went in, for a decided visitor too."""
    headers = [
        ("Content-Type", "text/css"),
        ("ETag", '"abc"'),
        ("Cache-Control", "public, max-age=60"),
        ("Vary", "Accept-Encoding"),
        ("Content-Length", "14"),
        ("X-Odd", "caf\xe9"),
    ]
    app = serve((200, headers, [b"body{color:red}"[:14]]))
    response = app.get("/style.css", {"cookie": f"{app.granting()}; _ga=1"})
    assert response.headers == [(name.lower(), value) for name, value in headers]
    assert response.body == b"body{color:red"


def test_a_held_cookie_changes_no_other_header(serve: Serve) -> None:
    """Beside the cookie that goes, a response that is no page keeps its headers, in order."""
    headers = [("Content-Type", "text/css"), ("Set-Cookie", GA), ("ETag", '"a"'), ("Cache-Control", "public")]
    response = serve((200, headers, [b"x"])).get()
    assert response.headers == [("content-type", "text/css"), ("etag", '"a"'), ("cache-control", "public")]


def test_report_mode_holds_nothing_back_and_says_what_it_would(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """In mode `report` every cookie passes, and the log tells what enforcing would do."""
    app = serve((200, [TEXT, ("Set-Cookie", "tracker=1"), ("Set-Cookie", GA)], [b"ok"]), _REPORT)
    assert app.get().set_names == ["tracker", "_ga"]
    assert sum("would hold back" in message for message in log.messages) == 2


def test_report_mode_is_heard_at_the_default_level(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """In mode `report` declared cookies, set and sent, are warnings: no logging needs to be set up to see them."""
    app = serve((200, [TEXT, ("Set-Cookie", GA)], [b"ok"]), _REPORT)
    caplog.clear()
    caplog.set_level(logging.WARNING, "consent_middleware")
    app.get(headers={"cookie": "_fbp=1"})
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    found = "\n".join(sorted(caplog.messages))
    assert "would hide the request cookie '_fbp' of meta-pixel" in found
    assert "would hold back Set-Cookie '_ga' of google-analytics" in found


def test_report_mode_expires_nothing(serve: Serve) -> None:
    """In mode `report` a refusal deletes no cookie."""
    app = serve((200, [HTML], [b"<!doctype html><body>Hi</body>"]), _REPORT)
    assert not app.visit(headers={"cookie": f"{app.granting()}; _ga=1"}).all("set-cookie")


def test_an_undeclared_cookie_is_warned_about_once_with_the_line_to_paste(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """One warning a name, and it holds the line that declares the cookie beside those the site has."""
    app = serve((200, [TEXT, ("Set-Cookie", "wishlist=42; Path=/")], [b"ok"]))
    for _ in range(3):
        app.get()
    (warning,) = [record for record in log.records if "wishlist" in record.getMessage()]
    assert warning.levelno == logging.WARNING
    lines = warning.getMessage().splitlines()
    (line,) = [line for line in lines if line.startswith("essential = ")]
    assert tomllib.loads(line) == {"essential": ["basket", "wishlist"]}
    assert lines[lines.index(line) - 1].endswith("below [cookies]:")


def test_a_known_tracker_is_warned_about_with_its_service(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """For a cookie the catalogue knows, the line to paste names its service."""
    serve((200, [TEXT, ("Set-Cookie", "_hjSessionUser_1=1")], [b"ok"])).get()
    (line,) = [line for line in log.messages[0].splitlines() if line.startswith("use = ")]
    assert tomllib.loads(line) == {"use": ["google-analytics", "meta-pixel", "hotjar"]}


def test_the_log_never_holds_a_value(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """Cookie names may be logged, their values never."""
    app = serve((200, [TEXT, ("Set-Cookie", "wishlist=personal-data; Path=/")], [b"ok"]))
    app.get(headers={"cookie": "_ga=visitor-id"})
    assert "personal-data" not in log.text
    assert "visitor-id" not in log.text


@pytest.mark.parametrize("path", ["/login", "/accounts/login/", "/auth/callback", "/oauth2/token"])
def test_a_held_cookie_on_a_login_is_an_error(serve: Serve, log: pytest.LogCaptureFixture, path: str) -> None:
    """Where the answer to a log-in loses a cookie that nobody declared, the log says so as an error."""
    serve((302, [TEXT, ("Location", "/"), ("Set-Cookie", "mysite_sid=1")], [b""])).request("POST", path)
    (record,) = [record for record in log.records if record.levelno == logging.ERROR]
    assert "mysite_sid" in record.getMessage()


def test_a_cookie_first_held_elsewhere_is_still_an_error_on_a_login(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """The warning about a name never stands in for the error that visitors may not get in; each is told once."""
    app = serve((200, [TEXT, ("Set-Cookie", "mysite_sid=1")], [b"ok"]))
    for path in ("/", "/login", "/", "/login"):
        app.get(path)
    found = [record.levelno for record in log.records if "mysite_sid" in record.getMessage()]
    assert found == [logging.WARNING, logging.ERROR]


def test_a_held_tracker_on_a_login_is_no_error(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """A declared analytics cookie that is held on the log-in page alarms nobody."""
    serve((200, [TEXT, ("Set-Cookie", GA)], [b"ok"])).request("POST", "/login")
    assert not [record for record in log.records if record.levelno >= logging.WARNING]


def test_a_signal_denies_what_was_granted_before_it(serve: Serve) -> None:
    """GPC, newly on, holds the marketing cookie of an earlier grant; analytics that does not share stays."""
    app = serve((200, [TEXT, ("Set-Cookie", "_fbp=1")], [b"ok"]))
    assert not app.get(headers={"cookie": app.granting("all"), "sec-gpc": "1"}).all("set-cookie")


@pytest.mark.conformance("GPC-3")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_signal_holds_for_every_method_and_reaches_the_app(serve: Serve, method: str) -> None:
    """GPC-3: whatever the method, the signal counts, and the app gets the header as it came."""
    app = serve((200, [TEXT, ("Set-Cookie", "_fbp=1")], []))
    response = app.request(method, "/", {"cookie": app.granting("all"), "sec-gpc": "1"})
    assert (response.all("set-cookie"), app.seen[0].get("sec-gpc")) == ([], "1")


@pytest.mark.conformance("GPC-1", "GPC-2")
@pytest.mark.parametrize(
    ("value", "on"),
    [("1", True), ("0,1", True), ("0", False), ("true", False), ("01", False), ("1;x", False)],
)
def test_gpc_is_on_only_for_exactly_one(serve: Serve, value: str, *, on: bool) -> None:
    """GPC-1 and GPC-2: only a field value of exactly ``1`` turns the signal on."""
    app = serve(lambda seen: (200, [TEXT], [b"on" if seen.consent.signals.gpc else b"off"]))
    assert app.get(headers={"sec-gpc": value}).body == (b"on" if on else b"off")


@pytest.mark.conformance("GPC-2")
def test_gpc_sent_in_several_fields_is_on_if_one_says_so(serve: Serve) -> None:
    """GPC-2: of several fields, one ``1`` is enough."""
    app = serve(lambda seen: (200, [TEXT], [b"on" if seen.consent.signals.gpc else b"off"]))
    assert app.request("GET", "/", [("sec-gpc", "0"), ("sec-gpc", "1")]).body == b"on"


_REPORT = {"site": {"name": "Example Shop", "mode": "report"}}
