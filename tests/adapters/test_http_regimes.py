"""Where silence allows: opt-out, none and by-region, over both adapters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import NOW
from consent_middleware.errors import StoreError
from consent_middleware.policy import Choice
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from conftest import Client, Response, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PIXEL = b'<img src="https://www.facebook.com/tr?id=1" width="1" height="1">'
STATS = b'<script async src="https://stats.example.com/s.js"></script>'
PAGE = b'<!doctype html><html lang="en"><head></head><body><p>Hi</p>' + PIXEL + b"</body></html>"
GPC, DNT = {"sec-gpc": "1"}, {"dnt": "1"}
DAY = 86_400
OPEN = {"site": {"regime": "opt-out"}}


@pytest.fixture(params=["opt-out", "none"])
def shop(request: pytest.FixtureRequest, serve: Serve) -> Client:
    """A site where silence allows."""
    return serve((200, [HTML], [PAGE]), {"site": {"regime": request.param}})


def is_live(response: Response) -> bool:
    """Return whether the pixel loads."""
    assert (PIXEL in response.body) is (b"data-src" not in response.body)
    return PIXEL in response.body


def consent(response: Response) -> str:
    """Return the `Cookie` header that a browser sends after a response; empty where none was set."""
    values = [value for value in response.all("set-cookie") if "consent=" in value.partition(";")[0]]
    assert len(values) <= 1
    return values[0].partition(";")[0] if values else ""


def stored(client: Client, cookie: str) -> Choice | None:
    """Return the answer a cookie holds."""
    return client.site.visitors.see(cookie.encode(), None, None, secure=True, now=NOW).visitor.choice


def test_silence_allows(shop: Client) -> None:
    """Without signal and answer everything loads, nobody is asked, and nothing is stored of the visitor."""
    response = shop.visit()
    assert is_live(response)
    assert b"consent-banner" not in response.body
    assert b"consent-link" in response.body
    assert response.all("set-cookie") == []


@pytest.mark.conformance("CA-1", "CA-4")
def test_a_signal_is_an_opt_out(shop: Client) -> None:
    """CA-1: with GPC nothing is sold or shared, without another step; the page says that it was honoured (CA-4)."""
    response = shop.visit(headers=GPC)
    assert not is_live(response)
    assert b"Opt-Out Preference Signal Honored" in response.body
    assert b"consent-banner" not in response.body


@pytest.mark.parametrize("signal", [GPC, DNT], ids=["gpc", "dnt"])
@pytest.mark.conformance("CA-3")
def test_an_opt_out_outlives_its_signal(shop: Client, signal: dict[str, str]) -> None:
    """CA-3: the signal's later absence is no opt-in; the answer it leaves names nobody."""
    cookie = consent(shop.visit(headers=signal))
    assert not is_live(shop.visit(headers={"cookie": cookie}))
    choice = stored(shop, cookie)
    assert choice is not None
    assert (choice.by_signal, choice.principal, choice.at % 3600) == (True, None, 0)


@pytest.mark.conformance("EU-7")
def test_an_opt_out_lives_400_days(shop: Client) -> None:
    """EU-7: as long as a browser keeps a cookie."""
    (value,) = shop.visit(headers=GPC).all("set-cookie")
    assert f"Max-Age={400 * DAY};" in value


@pytest.mark.conformance("GPC-6")
def test_a_signal_is_recorded_once(shop: Client) -> None:
    """GPC-6: when the browser shows the answer, not before, and never again."""
    first = shop.visit(headers=GPC)
    shop.site.background.drain()
    assert shop.records() == []
    second = shop.visit(headers={"cookie": consent(first), **GPC})
    shop.site.background.drain()
    (record,) = shop.records()
    assert (record["method"], record["principal_id"]) == ("signal:gpc", None)
    assert {p["state"] for p in record["purposes"]} == {"refused"}
    third = shop.visit(headers={"cookie": consent(second), **GPC})
    shop.site.background.drain()
    assert (consent(third), len(shop.records())) == ("", 1)


def test_who_keeps_no_cookies_leaves_no_records(shop: Client) -> None:
    """A crawler that sends the signal a thousand times is no thousand visitors."""
    for _ in range(3):
        shop.visit(headers=GPC)
    shop.site.background.drain()
    assert shop.records() == []


@pytest.mark.conformance("CA-2")
def test_an_older_yes_falls_with_the_signal(shop: Client) -> None:
    """CA-2: stored - M, and the answer is rewritten so that it stays."""
    response = shop.visit(headers={"cookie": shop.granting("all"), **GPC})
    assert not is_live(response)
    later = shop.visit(headers={"cookie": consent(response)})
    assert not is_live(later)
    choice = stored(shop, consent(response))
    assert choice is not None
    catalog = shop.site.catalog
    assert choice.refused == catalog.shares & catalog.asked
    assert choice.granted == catalog.asked - catalog.shares


def test_a_cookie_that_cannot_be_read_sells_nothing(shop: Client) -> None:
    """Losing a key must not turn sale back on: what cannot be read is replaced by a no."""
    response = shop.visit(headers={"cookie": "__Host-consent=v1.AAAAAAAA.0000..6a000000..forged"})
    assert not is_live(response)
    assert not is_live(shop.visit(headers={"cookie": consent(response)}))


@pytest.mark.conformance("CA-5")
def test_opting_out_by_hand(shop: Client) -> None:
    """CA-5: one POST, without a script; what else was granted stays, the rest is left to silence."""
    response = shop.choose("opt_out", {"next": "/shop"})
    assert (response.status, response.get("location")) == (303, "/shop")
    assert not is_live(shop.visit(headers={"cookie": consent(response)}))
    (record,) = shop.records()
    assert (record["method"], record["state"]) == ("opt_out", "refused")


@pytest.mark.conformance("CA-5", "ENF-10")
def test_the_opt_out_page(shop: Client) -> None:
    """CA-5, ENF-10: a page of its own, with one form and nothing to fill in; it says when it holds already."""
    page = shop.visit("/_consent/opt-out?next=/shop")
    assert page.status == 200
    assert page.body.count(b"<form") == 1
    assert b'value="opt_out"' in page.body
    assert b'value="/shop"' in page.body
    again = shop.visit("/_consent/opt-out", headers=GPC)
    assert b"You are opted out of sale and sharing" in again.body
    assert b"<form" not in again.body


@pytest.mark.conformance("CA-6")
def test_the_link_is_called_what_the_law_calls_it(serve: Serve) -> None:
    """CA-6: both links stand in every page under opt-out, and in none under another regime."""
    for regime, there in (("opt-out", True), ("none", False), ("opt-in", False)):
        body = serve((200, [HTML], [PAGE]), {"site": {"regime": regime}}).visit().body
        assert (b"Your Privacy Choices" in body) is there
        assert (b'href="/_consent/opt-out"' in body) is there


@pytest.mark.conformance("EU-7", "CA-7")
def test_an_opt_out_is_refreshed(serve: Serve) -> None:
    """EU-7: a visit after a month writes it anew, so that a browser never forgets it."""
    app = serve((200, [HTML], [PAGE]), OPEN)
    old = Choice(frozenset(), app.site.catalog.asked, NOW - 31 * DAY)
    cookie = (
        app.site.choices.cookie(old, app.site.whereabouts.usual.regime, secure=True)
        .decode()
        .partition(";")[0]
    )
    fresh = stored(app, consent(app.visit(headers={"cookie": cookie})))
    assert fresh is not None
    assert (fresh.refused, fresh.at) == (old.refused, NOW // 3600 * 3600)


def test_under_opt_in_a_signal_writes_nothing(serve: Serve) -> None:
    """Silence denies already."""
    response = serve((200, [HTML], [PAGE])).visit(headers=GPC)
    assert response.all("set-cookie") == []


# -- where a visitor is


@pytest.mark.parametrize(
    ("region", "regime"),
    [
        ("DE", "opt-in"),
        ("US-CA", "opt-out"),
        ("us", "opt-out"),
        (None, "opt-in"),
        ("", "opt-in"),
        ("JP", "opt-in"),
    ],
)
@pytest.mark.conformance("EU-9")
def test_the_region_hook_chooses_the_regime(serve: Serve, region: str | None, regime: str) -> None:
    """EU-9: the EEA and the unknown are opt-in, the United States opt-out."""
    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=lambda _: region)
    assert is_live(app.visit()) is (regime == "opt-out")
    assert app.get("/_consent/state.json").json()["regime"] == regime


@pytest.mark.conformance("REC-1")
def test_the_record_says_where(serve: Serve) -> None:
    """REC-1: jurisdiction and regime are the visitor's own."""
    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=lambda _: "us-ca")
    app.choose("opt_out")
    (record,) = app.records()
    assert (record["jurisdiction"], record["regime"]) == ("US-CA", "opt-out")


@pytest.mark.parametrize("answer", ["Deutschland", 49, ["US"], object()])
def test_a_region_that_is_none_is_opt_in(serve: Serve, log: pytest.LogCaptureFixture, answer: object) -> None:
    """What the hook returns is never trusted to be well-formed; the log says so once."""
    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=lambda _: answer)
    assert [is_live(app.visit()) for _ in range(2)] == [False, False]
    assert len([r for r in log.records if "region hook returned" in r.getMessage()]) == 1


def test_a_hook_that_fails_knows_nothing(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """The visitor gets the page, under the strictest regime."""

    def broken(_: object) -> str:
        raise OSError("no database")

    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=broken)
    assert not is_live(app.visit())
    assert any("the region hook failed" in r.getMessage() for r in log.records)


def test_a_header_counts_only_where_it_is_named(serve: Serve) -> None:
    """A visitor can forge what no proxy sets."""
    forged = {"cf-ipcountry": "US"}
    plain = serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=lambda _: None)
    named = serve(
        (200, [HTML], [PAGE]), {"site": {"regime": "by-region", "region_headers": ["cf-ipcountry"]}}
    )
    assert (is_live(plain.visit(headers=forged)), is_live(named.visit(headers=forged))) == (False, True)


def test_the_hook_outranks_the_header(serve: Serve) -> None:
    """The site knows best; where it does not know, the proxy does."""
    settings = {"site": {"regime": "by-region", "region_headers": ["cf-ipcountry"]}}
    us = {"cf-ipcountry": "US"}
    assert not is_live(serve((200, [HTML], [PAGE]), settings, region=lambda _: "DE").visit(headers=us))
    assert is_live(serve((200, [HTML], [PAGE]), settings, region=lambda _: None).visit(headers=us))


def test_a_shared_page_is_strict_for_everyone(serve: Serve) -> None:
    """A CDN keeps one copy for every region: what may wait does."""
    public = ("Cache-Control", "public, max-age=60")
    app = serve((200, [HTML, public], [PAGE]), {"site": {"regime": "by-region"}}, region=lambda _: "US")
    assert not is_live(app.visit())


# -- who a visitor is


@pytest.mark.conformance("CA-2")
def test_a_known_user_may_outweigh_the_signal(serve: Serve) -> None:
    """CA-2: a yes given in spite of the signal stands for who is logged in, for nobody else."""
    for subject, live in (("user-42", True), (None, False)):
        app = serve((200, [HTML], [PAGE]), OPEN, subject=lambda _, who=subject: who)
        cookie = consent(app.choose("accept_all", headers=GPC))
        response = app.visit(headers={"cookie": cookie, **GPC})
        assert is_live(response) is live
        assert app.records()[0]["conflict_notice_shown"] is True


@pytest.mark.parametrize(
    ("age", "live"), [("under_13", False), ("13_15", False), ("adult", True), ("unknown", True), (None, True)]
)
@pytest.mark.conformance("CA-9")
def test_minors_are_asked_first(serve: Serve, age: str | None, live: bool) -> None:  # noqa: FBT001 - a column
    """CA-9: nothing of a visitor under 16 is sold or shared without a yes; they are asked."""
    app = serve((200, [HTML], [PAGE]), OPEN, age_class=lambda _: age)
    response = app.visit()
    assert is_live(response) is live
    assert (b"consent-banner" in response.body) is not live


@pytest.mark.conformance("CA-9")
def test_a_minors_yes_counts(serve: Serve) -> None:
    """CA-9: opted in is opted in."""
    app = serve((200, [HTML], [PAGE]), OPEN, age_class=lambda _: "13_15")
    assert is_live(app.visit(headers={"cookie": consent(app.choose("accept_all"))}))


def test_an_unknown_age_class_is_told(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """A typo in the site's own code is found in the log."""
    serve((200, [HTML], [PAGE]), OPEN, age_class=lambda _: "child").visit()
    assert any("age_class hook returned 'child'" in r.getMessage() for r in log.records)


# -- who else hears of an opt-out


def test_an_opt_out_keeps_no_identifier(serve: Serve) -> None:
    """A signal that takes the last grant is recorded under the visitor's id, and the cookie then drops it."""
    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "opt-out"}, "signals": {"dnt_scope": "all"}})
    first = app.visit(headers={"cookie": app.granting("all"), **DNT})
    second = app.visit(headers={"cookie": consent(first), **DNT})
    app.site.background.drain()
    (record,) = app.records()
    assert record["principal_id"] is not None
    choice = stored(app, consent(second))
    assert choice is not None
    assert (choice.granted, choice.principal, choice.pending) == (frozenset(), None, False)


def test_a_lost_answer_is_recorded_as_that(shop: Client) -> None:
    """Without a signal nothing is called one."""
    first = shop.visit(headers={"cookie": "__Host-consent=v1.AAAAAAAA.0000..6a000000..forged"})
    shop.visit(headers={"cookie": consent(first)})
    shop.site.background.drain()
    assert [record["method"] for record in shop.records()] == ["lapsed"]


def test_the_site_hears_of_a_signal_though_the_store_is_away(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CA-5: who else must know is told whatever becomes of the record."""
    told: list[Any] = []
    app = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=told.append)

    def away(_: object) -> None:
        raise StoreError("the database is away")

    monkeypatch.setattr(app.site.store, "append", away)
    first = app.visit(headers=GPC)
    app.visit(headers={"cookie": consent(first), **GPC})
    app.site.background.drain()
    app.get("/")
    assert [record.method for record in told] == ["signal:gpc"]


@pytest.mark.conformance("CA-5")
def test_the_site_hears_of_every_opt_out(serve: Serve) -> None:
    """CA-5: by hand and by signal, each once, with its record."""
    told: list[Any] = []
    app = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=told.append)
    app.choose("opt_out")
    first = app.visit(headers=GPC)
    app.visit(headers={"cookie": consent(first), **GPC})
    app.site.background.drain()
    app.get("/")
    assert [record.method for record in told] == ["opt_out", "signal:gpc"]
    app.get("/")
    assert len(told) == 2


def test_a_yes_is_no_opt_out(serve: Serve) -> None:
    """Nobody is told of consent, nor of the same refusal again."""
    told: list[Any] = []
    app = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=told.append)
    app.choose("accept_all")
    refusal = consent(app.choose("reject_all"))
    app.choose("reject_all", headers={"cookie": refusal})
    assert [record.state for record in told] == ["refused"]


def test_a_failing_hook_is_called_again(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """At least once: what the hook did not take waits, and `record_id` tells a second call from a second opt-out."""
    calls: list[str] = []

    def hook(record: Any) -> None:
        calls.append(record.record_id)
        if len(calls) == 1:
            raise ConnectionError("the partner is away")

    app = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=hook)
    assert app.choose("opt_out").status == 303
    assert any("on_opt_out hook failed" in r.getMessage() for r in log.records)
    assert app.site.outbox is not None
    app.site.outbox._due = 0.0
    app.get("/")
    assert len(calls) == 2
    assert len(set(calls)) == 1


def test_what_a_dead_process_left_is_told(serve: Serve) -> None:
    """An opt-out that was on the disk is told by the next process's first request."""
    told: list[Any] = []
    first = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=told.append)
    assert first.site.outbox is not None
    first.choose("opt_out")
    first.site.outbox.put(told[0])
    again = serve((200, [HTML], [PAGE]), OPEN, on_opt_out=told.append)
    again.get("/")
    assert [record.record_id for record in told] == [told[0].record_id] * 2


def test_no_hook_no_outbox(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """A site under opt-out without the hook is warned at the start."""
    app = serve((200, [HTML], [PAGE]), OPEN)
    assert app.site.outbox is None
    assert any("no on_opt_out hook" in r.getMessage() for r in log.records)


# -- well-known resources, and Tk


@pytest.mark.conformance("GPC-4")
def test_gpc_json(serve: Serve) -> None:
    """GPC-4: the same for every requester, on the app's 404 only."""
    app = serve(lambda _: (404, [HTML], [b"<p>Nothing here</p>"]), {"site": {"updated": "2026-11-22"}})
    response = app.get("/.well-known/gpc.json", headers=GPC)
    assert (response.status, json.loads(response.body)) == (200, {"gpc": True, "lastUpdate": "2026-11-22"})
    assert response.get("content-type") == "application/json"
    assert response.get("cache-control") == "public, max-age=86400"
    assert (response.all("set-cookie"), response.all("vary")) == ([], [])


@pytest.mark.conformance("GPC-4")
def test_the_apps_own_gpc_json_wins(serve: Serve) -> None:
    """GPC-4: the app is asked first."""
    app = serve((200, [("Content-Type", "application/json")], [b'{"gpc": false}']))
    assert app.get("/.well-known/gpc.json").body == b'{"gpc": false}'


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 404), ("OPTIONS", 404)])
def test_gpc_json_is_only_read(serve: Serve, method: str, status: int) -> None:
    """HEAD is answered without a body; other methods stay the app's."""
    app = serve(lambda _: (404, [HTML], [b"" if method == "HEAD" else b"<p>No</p>"]))
    response = app.request(method, "/.well-known/gpc.json")
    assert response.status == status
    assert method != "HEAD" or response.body == b""


def test_who_ignores_the_signal_does_not_claim_otherwise(serve: Serve) -> None:
    """`gpc = false`: the app's 404 stays."""
    app = serve(lambda _: (404, [HTML], [b"<p>No</p>"]), {"signals": {"gpc": False}})
    assert app.get("/.well-known/gpc.json").status == 404


@pytest.mark.parametrize(
    ("regime", "headers", "status"),
    [("opt-in", {}, "N"), ("opt-out", {}, "T"), ("opt-out", GPC, "N"), ("none", DNT, "N")],
)
@pytest.mark.conformance("DNT-2", "DNT-3")
def test_tk(serve: Serve, regime: str, headers: dict[str, str], status: str) -> None:
    """DNT-2: a setting; on what is made for one visitor, and in the status resource (DNT-3)."""
    handler = (200, [HTML], [PAGE])
    app = serve(handler, {"site": {"regime": regime}, "signals": {"tk": True}})
    assert app.visit(headers=headers).all("tk") == [status]
    missing = serve(
        lambda _: (404, [HTML], [b"<p>No</p>"]), {"site": {"regime": regime}, "signals": {"tk": True}}
    )
    found = missing.get("/.well-known/dnt/", headers=headers)
    assert found.get("content-type") == "application/tracking-status+json"
    assert found.json() == {"tracking": status, "policy": "/privacy", "config": "/_consent/preferences"}
    assert "no-store" in (found.get("cache-control") or "")
    assert found.all("set-cookie") == []
    assert serve(handler, {"site": {"regime": regime}}).visit(headers=headers).all("tk") == []


@pytest.mark.conformance("DNT-2")
def test_tk_says_that_it_changed(serve: Serve) -> None:
    """DNT-2: U on the very response that changes the status, and there always."""
    app = serve((200, [HTML], [PAGE]), {"signals": {"tk": True}})
    answer = app.choose("accept_all")
    assert answer.all("tk") == ["U"]
    cookie = {"cookie": consent(answer)}
    assert app.visit(headers=cookie).all("tk") == ["C"]
    assert app.choose("accept_all", headers=cookie).all("tk") == ["C"]


# -- exempt with objection


@pytest.mark.conformance("EU-8")
def test_an_exemption_that_can_be_objected_to(serve: Serve) -> None:
    """EU-8: on without being asked about, with a switch that is obeyed."""
    page = b"<!doctype html><html><head></head><body>" + STATS + b"</body></html>"
    service = {
        "id": "uk-stats",
        "category": "analytics",
        "sells_or_shares": False,
        "hosts": ["stats.example.com"],
    }
    changes = {
        "use": [],
        "services": [service],
        "categories": [{"id": "analytics", "basis": "exempt_with_objection"}],
    }
    app = serve((200, [HTML], [page]), changes)
    first = app.visit()
    assert STATS in first.body
    assert b"consent-banner" not in first.body
    refused = app.visit(headers={"cookie": consent(app.choose("reject_all"))})
    assert STATS not in refused.body


@pytest.mark.conformance("EU-6")
def test_the_banner_says_what_changed(serve: Serve) -> None:
    """EU-6: who answered under another declaration is asked about the rest, and told why."""
    app = serve((200, [HTML], [PAGE]))
    older = serve((200, [HTML], [PAGE]), {"use": ["google-analytics"]})
    response = app.visit(headers={"cookie": older.granting("all")})
    assert b"Changed since your answer" in response.body
    assert b"Changed since your answer" not in app.visit().body


@pytest.mark.conformance("EU-6")
def test_the_banner_names_what_changed(serve: Serve) -> None:
    """EU-6: service by service, once somebody has answered under the older declaration."""
    older = serve((200, [HTML], [PAGE]), {"use": ["google-analytics", "hotjar"]})
    cookie = consent(older.choose("accept_all"))
    response = serve((200, [HTML], [PAGE])).visit(headers={"cookie": cookie})
    assert b"Changed since your answer: Meta Pixel (new) and Hotjar (no longer used)." in response.body
    page = serve((200, [HTML], [PAGE])).get("/_consent/preferences", headers={"cookie": cookie})
    assert b"Meta Pixel (new)" in page.body


def test_hooks_are_told_to_be_plain_under_wsgi(serve: Serve) -> None:
    """A coroutine function is an error at construction under WSGI, and awaited under ASGI."""

    async def region(_: object) -> str:
        return "US"

    if serve.kind == "wsgi":
        with pytest.raises(Exception, match="region"):
            serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=region)
    else:
        assert is_live(serve((200, [HTML], [PAGE]), {"site": {"regime": "by-region"}}, region=region).visit())


def test_signals_of_the_choice_are_kept(shop: Client) -> None:
    """The bits of the cookie say under which signals it was written."""
    choice = stored(shop, consent(shop.visit(headers={**GPC, **DNT})))
    assert choice is not None
    assert choice.signals == Signals(gpc=True, dnt=True)


def test_report_mode_writes_nothing(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """Where nothing is held back, nothing is stored either."""
    app = serve((200, [HTML], [PAGE]), {"site": {"regime": "opt-out", "mode": "report"}})
    assert app.visit(headers=GPC).all("set-cookie") == []
    assert log.records
