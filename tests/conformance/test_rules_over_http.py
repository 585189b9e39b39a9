"""Small rules of processing, records, cookies and other frameworks, over both adapters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.errors import ConfigError
from helpers_core import make_config

if TYPE_CHECKING:
    from conftest import Client, Seen, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
TEXT = ("Content-Type", "text/plain")
PAGE = (200, [HTML], [b"<!doctype html><html><head></head><body>Hi</body></html>"])
STATS = {"id": "stats", "category": "analytics", "provider": "Example GmbH", "cookies": [{"name": "st"}]}
ADS = {"id": "ads", "category": "marketing", "provider": "Ads Ltd"}


def told(seen: Seen) -> Any:
    """Answer with a page that says whether statistics are granted."""
    allowed = b"yes" if seen.consent.allows("stats") else b"no"
    return 200, [HTML], [b"<!doctype html><html><head></head><body><b>%s</b></body></html>" % allowed]


def answered(app: Client, action: str) -> dict[str, str]:
    """Return the cookie of a visitor who has just answered."""
    return {"cookie": app.choose(action).all("set-cookie")[0].partition(";")[0]}


@pytest.mark.conformance("EU-6")
@pytest.mark.parametrize(
    ("action", "services", "allowed", "asked"),
    [
        ("accept_all", [{**STATS, "description": "Other words."}, ADS], True, False),
        ("accept_all", [{**STATS, "provider": "Somebody Else Ltd"}, ADS], False, True),
        ("accept_all", [STATS, ADS, {**ADS, "id": "more-ads"}], False, True),
        ("reject_all", [{**STATS, "provider": "Somebody Else Ltd"}, ADS], False, False),
        ("reject_all", [STATS, ADS, {**ADS, "id": "more-ads"}], False, False),
    ],
    ids=["wording", "provider", "service", "refused-provider", "refused-service"],
)
def test_changed_processing_asks_again_about_grants(
    serve: Serve, action: str, services: list[dict[str, Any]], *, allowed: bool, asked: bool
) -> None:
    """A yes to another processing falls and is asked again, a no stands, and words change nothing."""
    before = serve(told, {"use": [], "services": [STATS, ADS]})
    after = serve(told, {"use": [], "services": services})
    text = after.visit(headers=answered(before, action)).text
    assert ("<b>yes</b>" in text, 'id="consent-banner"' in text) == (allowed, asked)


@pytest.mark.conformance("EU-8")
@pytest.mark.parametrize(("basis", "set_names"), [("consent", []), ("exempt", ["st"])])
def test_an_exempt_category_needs_no_answer(serve: Serve, basis: str, set_names: list[str]) -> None:
    """The category's basis decides whether its cookie waits for an answer."""
    app = serve(
        (200, [TEXT, ("Set-Cookie", "st=1")], [b"ok"]),
        {"use": [], "services": [STATS, ADS], "categories": [{"id": "analytics", "basis": basis}]},
    )
    assert app.get().set_names == set_names


@pytest.mark.conformance("REC-2")
def test_a_record_takes_nothing_from_the_client(serve: Serve) -> None:
    """Moment and subject are the server's own, and neither address nor user agent is kept."""
    app = serve(PAGE)
    form = {"time": "2001-01-01T00:00:00Z", "principal_id": "mallory", "subject": "mallory"}
    headers = {"user-agent": "Browser of Mallory", "x-forwarded-for": "198.51.100.9", "date": "2001"}
    app.choose("accept_all", form, headers)
    (record,) = app.records()
    assert record["time"] == "2027-01-15T08:02:03Z"
    kept = json.dumps(record).lower()
    assert [word for word in ("mallory", "2001-", "198.51.100", "203.0.113") if word in kept] == []


@pytest.mark.conformance("REC-2")
def test_a_later_record_leaves_the_earlier_ones(serve: Serve) -> None:
    """Each change is one more record; what stands there stays word for word."""
    app = serve(PAGE)
    cookie = answered(app, "accept_all")
    first = app.records()
    app.choose("withdraw", headers=cookie)
    assert (app.records()[:1], len(app.records())) == (first, 2)


@pytest.mark.conformance("COOKIE-5")
@pytest.mark.parametrize("action", ["accept_all", "reject_all", "withdraw"])
def test_a_choice_never_clears_the_whole_site(serve: Serve, action: str) -> None:
    """No answer and no page behind it sends Clear-Site-Data."""
    app = serve(PAGE)
    cookie = answered(app, "accept_all")
    response = app.choose(action, headers={"cookie": f"{cookie['cookie']}; _ga=1"})
    page = app.visit(headers={"cookie": f"{app.granting()}; _ga=1"})
    assert response.all("clear-site-data") + page.all("clear-site-data") == []


@pytest.mark.conformance("COOKIE-1")
@pytest.mark.parametrize("units", [(), ("all",)], ids=["refused", "granted"])
def test_the_consent_cookie_is_one_that_browsers_keep(client: Client, units: tuple[str, ...]) -> None:
    """Name and value stay far under 4096 octets, without control characters."""
    pair = client.granting(*units)
    assert len(pair) < 4096
    assert re.fullmatch(r"[!-~]+", pair)


@pytest.mark.conformance("COOKIE-1")
def test_no_choice_outlives_what_browsers_keep() -> None:
    """A cookie that is meant to live over 400 days is a fault of the declaration."""
    with pytest.raises(ConfigError):
        make_config(site={"consent_days": 401})
    assert make_config(site={"consent_days": 400}).site.consent_days == 400


@pytest.mark.conformance("ENF-1")
@pytest.mark.parametrize("name", ["_fbp", "_ga", "_ga_*"])
def test_a_tracker_cannot_be_called_essential(name: str) -> None:
    """A cookie that the catalogue knows to track does not pass as essential."""
    with pytest.raises(ConfigError, match="essential"):
        make_config(cookies={"essential": [name]})


def scripts(app: Client) -> str:
    """Return a page with every script that it loads from us."""
    page = app.visit().text
    return page + "".join(app.get(path).text for path in re.findall(r'<script[^>]* src="([^"]+)"', page))


@pytest.mark.conformance("IAB-1")
def test_no_tc_string_is_made(serve: Serve) -> None:
    """Neither page, scripts nor cookies speak of the TCF, not even beside the other framework."""
    app = serve(PAGE, {"signals": {"gpp": True}})
    found = scripts(app)
    assert "guard.js" in found
    assert re.findall(r"__tcfapi|euconsent|TCString", found, re.IGNORECASE) == []
    assert app.choose("accept_all").set_names == ["__Host-consent"]


@pytest.mark.conformance("IAB-2")
@pytest.mark.parametrize(("signals", "there"), [({}, False), ({"gpp": True}, True)])
def test_gpp_is_off_unless_switched_on(serve: Serve, signals: dict[str, bool], *, there: bool) -> None:
    """The page has no `__gpp` of ours by default."""
    assert ("__gpp" in scripts(serve(PAGE, {"signals": signals}))) is there
