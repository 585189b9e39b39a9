"""What the app sees of the request: hidden cookies go, every other byte stays (issue part 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Serve

OK = (200, [("Content-Type", "text/plain")], [b"ok"])


@pytest.mark.conformance("EU-1")
@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        pytest.param("session=1; _ga=2", "session=1", id="last"),
        pytest.param("_ga=2; session=1", "session=1", id="first"),
        pytest.param("a=1; _ga=2; b=3", "a=1; b=3", id="middle"),
        pytest.param("a=1;_ga=2;b=3", "a=1;b=3", id="no-spaces"),
        pytest.param("_ga=2", None, id="only-one"),
        pytest.param("_ga=1; _fbp=2; hs_x=3", None, id="all-hidden"),
        pytest.param('a="x y"; b=\xe9=;; _ga=1', 'a="x y"; b=\xe9=;', id="odd-bytes-stay"),
        pytest.param("a=1; a=2; _ga=1; a=3", "a=1; a=2; a=3", id="duplicates-stay"),
        pytest.param("unknown=1; session=2", "unknown=1; session=2", id="undeclared-is-never-hidden"),
        pytest.param("noequals; _ga=1", "noequals", id="nameless-stays"),
        pytest.param("_GA=1", "_GA=1", id="names-are-case-sensitive"),
        pytest.param("__Host-consent=x; a=1", "a=1", id="the-consent-cookie"),
        pytest.param("consent=x; a=1", "a=1", id="the-consent-cookie-of-plain-http"),
        pytest.param("__Secure-consent=x; a=1", "a=1", id="the-consent-cookie-of-a-domain"),
        pytest.param("consent-other=x; a=1", "consent-other=x; a=1", id="another-site-id"),
    ],
)
def test_the_app_sees_what_is_granted_byte_for_byte(serve: Serve, sent: str, seen: str | None) -> None:
    """What is not granted is hidden, with the consent cookie; nothing else in the header changes."""
    app = serve(OK)
    app.get(headers={"cookie": sent})
    assert app.seen[0].get("cookie") == seen


def test_granted_cookies_reach_the_app(serve: Serve) -> None:
    """After a grant the app sees its cookies, but never the consent cookie."""
    app = serve(OK)
    app.get(headers={"cookie": f"{app.granting('analytics')}; _ga=1; _fbp=2"})
    assert app.seen[0].get("cookie") == "_ga=1"


@pytest.mark.conformance("COOKIE-4")
def test_several_cookie_headers_are_each_filtered(serve: Serve) -> None:
    """HTTP/2 may split the cookies: each header is filtered, and one that empties goes."""
    app = serve(OK)
    own = app.granting("analytics")
    app.request(
        "GET", "/", [("cookie", "a=1"), ("cookie", "_fbp=2"), ("cookie", own), ("cookie", "_ga=1; b=2")]
    )
    seen = app.seen[0].get("cookie")
    assert seen is not None
    assert seen.replace("|", "; ") == "a=1; _ga=1; b=2"


def test_other_request_headers_stay(serve: Serve) -> None:
    """Hiding a cookie touches no other header of the request."""
    app = serve(OK)
    app.get(headers={"cookie": "_ga=1", "x-odd": "caf\xe9", "authorization": "Basic x", "dnt": "1"})
    kept = [(name, app.seen[0].get(name)) for name in ("x-odd", "authorization", "dnt", "host")]
    assert kept == [
        ("x-odd", "caf\xe9"),
        ("authorization", "Basic x"),
        ("dnt", "1"),
        ("host", "shop.example"),
    ]


def test_report_mode_hides_only_the_consent_cookie(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """In mode `report` the app sees every cookie but ours, and the log says what would be hidden."""
    app = serve(OK, {"site": {"mode": "report"}})
    app.get(headers={"cookie": "a=1; __Host-consent=x; _ga=2"})
    assert app.seen[0].get("cookie") == "a=1; _ga=2"
    assert "would hide the request cookie '_ga' of google-analytics" in log.text


def test_a_site_id_names_its_own_cookie(serve: Serve) -> None:
    """With `site.id` the cookie of that id is ours, and hidden; the plain one belongs to a sister app."""
    app = serve(OK, {"site": {"id": "blog"}})
    app.get(headers={"cookie": "__Host-consent-blog=x; consent=y"})
    assert app.seen[0].get("cookie") == "consent=y"


def test_a_header_that_nothing_is_hidden_from_stays_the_same(serve: Serve) -> None:
    """Without anything to hide the cookie header keeps its odd spacing."""
    app = serve(OK)
    app.get(headers={"cookie": "a=1 ;  b=2;c=3;"})
    assert app.seen[0].get("cookie") == "a=1 ;  b=2;c=3;"
