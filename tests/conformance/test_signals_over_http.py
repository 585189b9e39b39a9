"""Signals as a browser sends them, over both adapters: the decision table's opt-in rows, and what DNT covers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Seen, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")
PAGE = "<!doctype html><html><head></head><body><code>{}</code></body></html>"
NOW, DAY = 1_800_000_123, 86_400
VARY = "Sec-GPC, DNT, Cookie"
SERVICES: list[dict[str, Any]] = [
    {"id": "stats", "category": "analytics", "provider": "Example GmbH", "sells_or_shares": False},
    {"id": "prefs", "category": "functional", "provider": "Example GmbH", "sells_or_shares": False},
    {"id": "ads", "category": "marketing", "provider": "Ads Ltd"},
]
F, A, M = {"functional", "prefs"}, {"analytics", "stats"}, {"marketing", "ads"}
NOTHING: set[str] = set()

NONE: dict[str, str] = {}
GPC, DNT = {"sec-gpc": "1"}, {"dnt": "1"}
BOTH = GPC | DNT
ASKS, QUIET = "banner", "link"
HONORED, MY_OWN = "Opt-Out Preference Signal Honored", "You allowed this here yourself"


def granted_page(seen: Seen) -> Any:
    """Answer with a page that says what is granted."""
    return 200, [HTML], [PAGE.format(json.dumps(sorted(seen.consent.granted))).encode()]


def site(serve: Serve, **signals: Any) -> Client:
    """Serve the page behind a site of three services."""
    return serve(granted_page, {"use": [], "services": SERVICES, "signals": signals})


def choice(app: Client, units: set[str], under: dict[str, str], days_ago: int) -> dict[str, str]:
    """Answer as a visitor did some days ago; return the cookie that came."""
    app.site.clock = lambda: float(NOW - days_ago * DAY)
    services = [unit for unit in units if unit in {service["id"] for service in SERVICES}]
    response = app.choose("save", {"detail": "1", "service": services}, under)
    app.site.clock = lambda: float(NOW)
    return {"cookie": response.all("set-cookie")[0].partition(";")[0]}


def row(id_: str, *values: Any, name: str) -> Any:
    """Return a case of a row of the decision table."""
    return pytest.param(*values, marks=pytest.mark.conformance(id_), id=f"{id_}-{name}")


@pytest.mark.parametrize(
    ("now", "stored", "allowed", "page", "words"),
    [
        row("ROW-1", NONE, None, NOTHING, ASKS, "", name="none"),
        row("ROW-1", NONE, (F | A | M, NONE, 181), NOTHING, ASKS, "", name="expired"),
        row("ROW-2", GPC, None, NOTHING, QUIET, HONORED, name="gpc"),
        row("ROW-2", DNT, None, NOTHING, QUIET, HONORED, name="dnt"),
        row("ROW-2", BOTH, None, NOTHING, QUIET, HONORED, name="both"),
        row("ROW-3", NONE, (F | A | M, NONE, 1), F | A | M, QUIET, "", name="accept"),
        row("ROW-3", NONE, (A, NONE, 179), A, QUIET, "", name="granular"),
        row("ROW-4", NONE, (NOTHING, NONE, 179), NOTHING, QUIET, "", name="none"),
        row("ROW-4", BOTH, (NOTHING, NONE, 179), NOTHING, QUIET, HONORED, name="both"),
        row("ROW-5", GPC, (F | A | M, NONE, 1), F | A, QUIET, HONORED, name="accept"),
        row("ROW-5", GPC, (M, NONE, 1), NOTHING, QUIET, HONORED, name="granular"),
        row("ROW-6", DNT, (F | A | M, NONE, 1), F | A, QUIET, HONORED, name="dnt"),
        row("ROW-6", BOTH, (F | A | M, NONE, 1), F | A, QUIET, HONORED, name="both"),
        row("ROW-7", NONE, (F | A | M, GPC, 1), F | A | M, QUIET, "", name="accept"),
        row("ROW-8", GPC, (F | A | M, GPC, 1), F | A | M, QUIET, MY_OWN, name="gpc"),
        row("ROW-8", BOTH, (F | A | M, BOTH, 1), F | A | M, QUIET, MY_OWN, name="both"),
    ],
)
def test_a_row_of_the_decision_table(
    serve: Serve,
    now: dict[str, str],
    stored: tuple[set[str], dict[str, str], int] | None,
    allowed: set[str],
    page: str,
    words: str,
) -> None:
    """What is granted, what the page shows, and the headers are those of the row."""
    app = site(serve)
    cookie = choice(app, *stored) if stored else {}
    response = app.visit(headers=now | cookie)
    granted = json.loads(response.text.partition("<code>")[2].partition("</code>")[0])
    assert set(granted) - {"essential"} == allowed
    assert (ASKS if 'id="consent-banner"' in response.text else QUIET) == page
    assert [text for text in (HONORED, MY_OWN) if text in response.text] == ([words] if words else [])
    assert (response.get("vary"), response.get("cache-control")) == (VARY, "private")


@pytest.mark.conformance("ROW-2")
@pytest.mark.parametrize("signal", [GPC, DNT, BOTH], ids=["gpc", "dnt", "both"])
def test_a_site_may_ask_all_the_same(serve: Serve, signal: dict[str, str]) -> None:
    """With `when_on = "ask"` a signal does not keep the banner away."""
    assert 'id="consent-banner"' in site(serve, when_on="ask").visit(headers=signal).text


@pytest.mark.conformance("DNT-4", "ROW-6")
@pytest.mark.parametrize(
    ("scope", "signal", "left"),
    [
        ("tracking", DNT, F | A),
        ("tracking", BOTH, F | A),
        ("all", DNT, NOTHING),
        ("all", BOTH, NOTHING),
        ("all", GPC, F | A),
    ],
)
def test_what_dnt_covers(serve: Serve, scope: str, signal: dict[str, str], left: set[str]) -> None:
    """DNT denies what GPC denies, or all that is not essential; GPC's own scope stays."""
    app = site(serve, dnt_scope=scope)
    response = app.visit(headers=signal | choice(app, F | A | M, NONE, 1))
    assert json.dumps(sorted(left | {"essential"})) in response.text


@pytest.mark.conformance("DNT-4")
def test_by_default_dnt_covers_what_gpc_covers(serve: Serve) -> None:
    """Without a setting both signals leave the same."""
    app = site(serve)
    cookie = choice(app, F | A | M, NONE, 1)
    assert app.visit(headers=cookie | DNT).body == app.visit(headers=cookie | GPC).body


@pytest.mark.conformance("DNT-1")
@pytest.mark.parametrize("value", ["0", "01", "0,1"])
def test_dnt_0_is_no_consent(serve: Serve, value: str) -> None:
    """A browser that says `DNT: 0` has allowed nothing and is asked like any other."""
    app = site(serve)
    assert app.visit(headers={"dnt": value}).body == app.visit().body


@pytest.mark.conformance("DNT-5")
def test_no_promise_is_published(serve: Serve) -> None:
    """Whether dnt-policy.txt exists is the app's own word."""
    app = serve((404, [("Content-Type", "text/plain")], [b"not here"]))
    response = app.get("/.well-known/dnt-policy.txt")
    assert (response.status, response.body, len(app.seen)) == (404, b"not here", 1)


@pytest.mark.conformance("GPC-5")
def test_a_response_with_our_cookie_is_nobody_elses(serve: Serve) -> None:
    """Where the app makes a choice for the visitor, the answer that sets the cookie is private and varies."""

    def app(seen: Seen) -> Any:
        seen.consent.update({"analytics": True})
        return 200, [JSON, ("Cache-Control", "max-age=60"), ("Vary", "Origin, cookie")], [b"{}"]

    response = serve(app).get()
    assert "__Host-consent" in response.set_names
    assert response.get("cache-control") == "private, max-age=60"
    assert response.get("vary") == "Origin, cookie, Sec-GPC, DNT"


@pytest.mark.conformance("GPC-3")
@pytest.mark.parametrize("target", ["/", "/style.css", "/_consent/state.json", "/_consent/preferences"])
def test_the_signal_counts_for_every_resource(serve: Serve, target: str) -> None:
    """Pages, files and our own addresses: none of them answers a signal with a question or a cookie."""
    response = site(serve).get(target, GPC | {"accept": "text/html"})
    assert 'id="consent-banner"' not in response.text
    assert response.set_names == []
