"""A Content-Security-Policy per consent state, beside the app's own, and what browsers report of it."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware import ConfigError

if TYPE_CHECKING:
    from conftest import Client, Response, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = b'<!doctype html><html lang="en"><head></head><body><p>Hi</p></body></html>'
ENFORCED = "content-security-policy"
REPORTED = "content-security-policy-report-only"
OWN = "script-src 'self'"
LEGACY = {"content-type": "application/csp-report"}


def csp(mode: str = "enforce", **section: Any) -> dict[str, Any]:
    """Return a declaration's change that turns the policy on."""
    return {"csp": {"mode": mode, **section}}


def policy(response: Response, name: str = ENFORCED) -> str:
    """Return the policy that is ours, without where it reports to."""
    ours = [value for value in response.all(name) if value.startswith("default-src")]
    assert len(ours) == 1
    return ours[0].partition("; report-uri")[0]


def report(app: Client, blocked: str) -> Response:
    """Send what a browser reports."""
    body = {"csp-report": {"blocked-uri": blocked, "effective-directive": "script-src-elem"}}
    return app.request("POST", "/_consent/csp-report", LEGACY, json.dumps(body).encode())


def test_no_policy_is_added_unless_it_is_switched_on(serve: Serve) -> None:
    """The default adds no header."""
    response = serve((200, [HTML], [PAGE])).visit()
    assert response.all(ENFORCED) + response.all(REPORTED) + response.all("reporting-endpoints") == []


def test_before_consent_only_essential_hosts_are_allowed(serve: Serve) -> None:
    """Nothing of a service that waits stands in the policy; what the site lists does."""
    app = serve(
        (200, [HTML], [PAGE]), {**csp(allow=["cdn.example.net"]), "use": ["google-analytics", "stripe"]}
    )
    found = policy(app.visit())
    assert "google-analytics" not in found
    assert "cdn.example.net" in found
    assert "js.stripe.com" in found


def test_a_granted_service_is_allowed(serve: Serve) -> None:
    """The policy follows the visitor's choice, service by service."""
    app = serve((200, [HTML], [PAGE]), csp())
    found = policy(app.visit(headers={"cookie": app.granting("google-analytics", "analytics")}))
    assert "*.google-analytics.com" in found
    assert "connect.facebook.net" not in found


def test_report_only_restrains_nothing(serve: Serve) -> None:
    """The way in: browsers only tell."""
    response = serve((200, [HTML], [PAGE]), csp("report-only")).visit()
    assert response.all(ENFORCED) == []
    assert "'self'" in policy(response, REPORTED)


def test_mode_report_never_enforces(serve: Serve) -> None:
    """A site that only reports has its policy reported too."""
    app = serve((200, [HTML], [PAGE]), {**csp(), "site": {"name": "Example Shop", "mode": "report"}})
    assert app.visit().all(ENFORCED) == []


def test_the_apps_own_policy_stays_as_it_is(serve: Serve) -> None:
    """Ours is a second header, so that browsers obey both."""
    response = serve((200, [HTML, ("Content-Security-Policy", OWN)], [PAGE]), csp()).visit()
    assert response.all(ENFORCED)[0] == OWN
    assert len(response.all(ENFORCED)) == 2


def test_no_nonce_stands_in_our_policy(serve: Serve) -> None:
    """A nonce would let a tracker's script pass whatever its host; our tags carry the app's."""
    app = serve((200, [HTML, ("Content-Security-Policy", "script-src 'nonce-abcd1234'")], [PAGE]), csp())
    response = app.visit()
    assert "nonce" not in policy(response)
    assert 'nonce="abcd1234"' in response.text


def test_a_page_with_a_policy_is_personal(serve: Serve) -> None:
    """The header differs from visitor to visitor, so the page is private, whatever its encoding."""
    response = serve((200, [HTML, ("Content-Encoding", "br")], [b"\x8b\x00"]), csp()).visit()
    assert response.get("cache-control") == "private"
    assert response.all(ENFORCED)


def test_a_shared_page_has_the_same_policy_for_everyone(serve: Serve) -> None:
    """It allows every declared service, since the page itself decides, and stays shared."""
    app = serve((200, [HTML, ("Cache-Control", "public, max-age=60")], [PAGE]), csp())
    unanswered, granted = app.visit(), app.visit(headers={"cookie": app.granting("google-analytics")})
    assert policy(unanswered) == policy(granted)
    assert "connect.facebook.net" in policy(unanswered)
    assert unanswered.get("cache-control") == "public, max-age=60"


@pytest.mark.parametrize("kind", ["application/json", "text/css"])
def test_only_documents_get_a_policy(serve: Serve, kind: str) -> None:
    """A policy governs documents; nothing else gets a header changed."""
    assert serve((200, [("Content-Type", kind)], [b"{}"]), csp()).visit().headers == [("content-type", kind)]


def test_a_fragment_gets_no_policy(serve: Serve) -> None:
    """What a script fetches obeys the policy of its page."""
    response = serve((200, [HTML], [b"<p>Hi</p>"]), csp()).get(headers={"sec-fetch-mode": "cors"})
    assert response.all(ENFORCED) == []


def test_reports_go_below_the_mount_point(serve: Serve) -> None:
    """Both ways of reporting name the address as the browser sees it."""
    response = serve((200, [HTML], [PAGE]), csp()).visit(mount="/shop")
    assert "report-uri /shop/_consent/csp-report;" in response.all(ENFORCED)[0]
    assert response.get("reporting-endpoints") == 'consent="/shop/_consent/csp-report"'


def test_a_report_becomes_a_line_to_paste(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The owner reads which line allows a host that nobody knows; once."""
    app = serve((200, [HTML], [PAGE]), csp("report-only", allow=["cdn.example.net"]))
    for _ in range(2):
        assert report(app, "https://img.example.org/a.png?user=7").status == 204
    told = [message for message in caplog.messages if "img.example.org" in message]
    assert len(told) == 1
    assert re.search(r'^allow = \["cdn\.example\.net", "img\.example\.org"\]$', told[0], re.MULTILINE)
    assert "user=7" not in caplog.text


def test_a_report_of_a_held_service_names_it(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """What was held back is counted by service."""
    caplog.set_level(logging.INFO)
    report(serve((200, [HTML], [PAGE]), csp()), "https://www.google-analytics.com/g/collect")
    assert [message for message in caplog.messages if "Google Analytics" in message]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff" * 20_000])
def test_a_broken_report_is_no_error(serve: Serve, body: bytes) -> None:
    """Anybody may send anything."""
    assert (
        serve((200, [HTML], [PAGE]), csp()).request("POST", "/_consent/csp-report", LEGACY, body).status
        == 204
    )


def test_nothing_takes_reports_while_the_policy_is_off(serve: Serve) -> None:
    """The address is there only where it is used."""
    assert report(serve((200, [HTML], [PAGE])), "https://a.example").status == 404


def test_a_source_that_is_none_is_refused_at_the_start(serve: Serve) -> None:
    """What would break the header is named with its place."""
    with pytest.raises(ConfigError, match=r"csp\.allow\[0\]"):
        serve((200, [HTML], [PAGE]), csp(allow=["a.example; script-src *"]))


def test_an_app_policy_that_keeps_us_out_is_warned_about_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning gives the exact source to add."""
    app = serve((200, [HTML, ("Content-Security-Policy", "default-src https://cdn.example.net")], [PAGE]))
    app.visit()
    app.visit()
    told = [message for message in caplog.messages if "keeps the middleware's own files out" in message]
    assert len(told) == len(set(told))
    assert any("script-src 'self'" in message for message in told)


@pytest.mark.parametrize(
    "own", ["default-src 'self'", "script-src 'nonce-abcd1234' 'strict-dynamic'; style-src 'self'"]
)
def test_an_app_policy_that_lets_us_in_is_not(
    serve: Serve, caplog: pytest.LogCaptureFixture, own: str
) -> None:
    """'self' or a nonce that we reuse is enough."""
    serve((200, [HTML, ("Content-Security-Policy", own)], [PAGE])).visit()
    assert "keeps the middleware's own files out" not in caplog.text


@pytest.mark.parametrize("destination", ["worker", "sharedworker", "serviceworker"])
def test_a_workers_script_gets_the_policy(serve: Serve, destination: str) -> None:
    """A worker obeys the policy of its own response, not that of the page that starts it."""
    app = serve((200, [("Content-Type", "text/javascript")], [b"importScripts('x.js')"]), csp())
    response = app.get("/worker.js", {"sec-fetch-dest": destination})
    assert "'self'" in policy(response)
    assert response.get("cache-control") == "private"


def test_any_other_script_gets_none(serve: Serve) -> None:
    """A page's script obeys the page's policy, and stays cacheable."""
    app = serve((200, [("Content-Type", "text/javascript")], [b"1"]), csp())
    assert app.get("/app.js", {"sec-fetch-dest": "script"}).headers == [("content-type", "text/javascript")]
