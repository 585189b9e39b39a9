"""Visitors read, take along and erase what is recorded about them, over both adapters (REC-3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from consent_middleware import Records
from consent_middleware.errors import StoreError
from consent_middleware.records.receipts import receipt_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Client, Response, Serve

pytestmark = pytest.mark.conformance("REC-3")
PAGE = (200, [("Content-Type", "text/html")], [b"<!doctype html><html><head></head><body>Hi</body></html>"])
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
JSON = {"accept": "application/json"}


def cookie_of(response: Response) -> str:
    """Return the consent cookie that a response sets, as a browser sends it back."""
    (found,) = (value for value in response.all("set-cookie") if value.startswith("__Host-consent="))
    return found.partition(";")[0]


def history(client: Client, cookie: str = "", token: str = "") -> dict[str, Any]:
    """Return what records.json gives to who shows a cookie or a token."""
    query = f"?token={token}" if token else ""
    response = client.get(f"/_consent/records.json{query}", {"cookie": cookie} if cookie else {})
    assert response.status == 200
    found: dict[str, Any] = response.json()
    return found


def erase(
    client: Client, cookie: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Response:
    """Send the form that erases."""
    own = {**FORM, **({"cookie": cookie} if cookie else {}), **(headers or {})}
    return client.request("POST", "/_consent/erase", own, body)


def token_of(location: str) -> str:
    """Return the token in an address."""
    return parse_qs(urlsplit(location).query)["token"][0]


def test_a_visitor_takes_the_history_along_by_the_cookie_alone(client: Client) -> None:
    """Every choice comes, oldest first, valid against the schema, with the words that were shown."""
    first = cookie_of(client.choose("accept_all"))
    second = cookie_of(client.choose("save", {"category": "analytics"}, {"cookie": first}))
    found = history(client, second)
    schema = receipt_schema()
    jsonschema.validate(found, {**schema, "$ref": "#/$defs/history"})
    assert [receipt["event"]["method"] for receipt in found["receipts"]] == ["banner.accept_all", "prefs"]
    assert found["receipts"][1]["prev_record"] == found["receipts"][0]["record_id"]
    shown = found["notices"][found["receipts"][0]["notice"]["sha256"]]
    assert "cookies" in shown["text"]


def test_a_download_is_a_file_that_nobody_keeps(client: Client) -> None:
    """It is offered as a file, kept by no cache, framed by nobody, and its address goes to nobody."""
    response = client.get("/_consent/records.json", {"cookie": cookie_of(client.choose("accept_all"))})
    assert response.get("content-disposition") == 'attachment; filename="consent-records.json"'
    assert response.get("cache-control") == "private, no-store"
    assert response.get("referrer-policy") == "strict-origin"


def test_nobody_sees_what_is_somebody_elses(client: Client) -> None:
    """Two visitors each see their own; who granted nothing, or shows a forged cookie, sees nothing."""
    one, other = cookie_of(client.choose("accept_all")), cookie_of(client.choose("accept_all"))
    assert len(history(client, one)["receipts"]) == 1
    ids = {history(client, cookie)["receipts"][0]["record_id"] for cookie in (one, other)}
    assert len(ids) == 2
    refused = cookie_of(client.choose("reject_all"))
    for cookie in ("", refused, one[:-9] + ("A" if one[-9] != "A" else "B") + one[-8:]):
        assert history(client, cookie)["receipts"] == []


@pytest.mark.parametrize("action", ["withdraw", "reject_all"])
def test_who_withdraws_gets_the_key_to_the_history(client: Client, action: str) -> None:
    """The cookie names nobody any more; the address handed out still shows all of it."""
    granted = cookie_of(client.choose("accept_all"))
    response = client.choose(action, {"next": "/shop"}, {"cookie": granted})
    refused, location = cookie_of(response), response.get("location") or ""
    assert response.status == 303
    assert location.startswith("/_consent/receipt?withdrawn=1&token=")
    assert parse_qs(urlsplit(location).query)["next"] == ["/shop"]
    assert history(client, refused)["receipts"] == []
    states = [r["event"]["state"] for r in history(client, token=token_of(location))["receipts"]]
    assert states == ["given", "withdrawn"]
    page = client.visit(location, {"cookie": refused})
    assert (page.status, page.get("referrer-policy")) == (200, "strict-origin")
    assert "Your consent is withdrawn." in page.text
    assert 'href="/shop"' in page.text


def test_a_script_gets_the_key_too(client: Client) -> None:
    """The JSON answer to a withdrawal holds the address; the answer to anything else holds none."""
    given = client.choose("accept_all", headers=JSON)
    assert "receipt" not in given.json()
    taken = client.choose("withdraw", headers={**JSON, "cookie": cookie_of(given)}).json()
    assert len(history(client, token=token_of(taken["receipt"]))["receipts"]) == 2


def test_who_never_granted_goes_on_as_before(client: Client) -> None:
    """A plain refusal leads back to the page, and hands out nothing."""
    assert client.choose("reject_all", {"next": "/shop"}).get("location") == "/shop"


@pytest.mark.parametrize("token", ["x", "a" * 5000, "AAAAAAAAAAAAAAAA.forged", "%00"])
def test_a_token_that_is_none_of_ours_opens_nothing(client: Client, token: str) -> None:
    """A forged, cut or endless token is answered in words, on every address that takes one."""
    for target in ("/_consent/records.json", "/_consent/receipt"):
        assert client.get(f"{target}?token={token}").status == 403
    assert erase(client, body=f"token={token}".encode()).status == 403


def test_the_consent_cookie_is_no_token(client: Client) -> None:
    """What signs a cookie signs no token: neither stands for the other."""
    value = cookie_of(client.choose("accept_all")).partition("=")[2]
    assert client.get(f"/_consent/records.json?token={value}").status == 403


def test_erasing_withdraws_first_and_leaves_nothing(client: Client) -> None:
    """The cookie is refused from now on, the documents are gone, and the chain still verifies."""
    granted = cookie_of(client.choose("accept_all"))
    principal = client.records()[0]["principal_id"]
    response = erase(client, granted, b"next=/shop")
    assert response.status == 303
    assert (response.get("location") or "").startswith("/_consent/receipt?erased=1&next=")
    refused = cookie_of(response)
    assert principal not in refused
    state = client.get("/_consent/state.json", {"cookie": refused}).json()
    assert (state["answered"], state["granted"]) == (True, ["essential"])
    assert client.records() == []
    assert history(client, granted)["receipts"] == []  # an old cookie finds nothing either
    report = Records(client.site).verify()
    assert (report.is_clean, report.erased) == (True, 2)
    page = client.visit(response.get("location") or "", {"cookie": refused})
    assert "Your history is erased" in page.text


def test_erasing_by_the_token(client: Client) -> None:
    """Who has withdrawn erases with the token, and the answer in the cookie stays what it is."""
    granted = cookie_of(client.choose("accept_all"))
    response = client.choose("withdraw", headers={"cookie": granted})
    token = token_of(response.get("location") or "")
    done = erase(client, cookie_of(response), f"token={token}".encode())
    assert (done.status, done.all("set-cookie")) == (303, [])
    assert client.records() == []
    assert history(client, token=token)["receipts"] == []


def test_erasing_answers_a_script_in_json(client: Client) -> None:
    """A script learns that it is done."""
    response = erase(client, cookie_of(client.choose("accept_all")), headers=JSON)
    assert (response.status, response.json()) == (200, {"erased": True})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"content-type": "application/json"}, 415),
    ],
)
def test_nobody_else_can_erase(client: Client, headers: dict[str, str], status: int) -> None:
    """A form from elsewhere changes nothing."""
    granted = cookie_of(client.choose("accept_all"))
    assert erase(client, granted, headers=headers).status == status
    assert len(history(client, granted)["receipts"]) == 1


def test_where_the_store_is_away_nothing_is_said_to_be_erased(
    client: Client, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """The visitor is told, the withdrawal takes effect all the same, and is not lost."""
    granted = cookie_of(client.choose("accept_all"))

    def away(*_: object, **__: object) -> Any:
        raise StoreError("the store is away")

    store = client.site.store.store  # type: ignore[union-attr]
    with monkeypatch.context() as patched:
        patched.setattr(store, "append", away)
        patched.setattr(store, "history", away)
        response = erase(client, granted)
        assert (response.status, response.get("retry-after")) == (503, "30")
        refused = cookie_of(response)
        assert client.get("/_consent/records.json", {"cookie": granted}).status == 503
    assert client.get("/_consent/state.json", {"cookie": refused}).json()["granted"] == ["essential"]
    assert [r["event"]["state"] for r in history(client, granted)["receipts"]] == ["given", "withdrawn"]
    assert "could not be erased" in log.text


def test_the_receipt_page_tells_all_of_it(client: Client) -> None:
    """When, what, how, who is responsible, what was shown; with a file to take along and a form to erase."""
    granted = cookie_of(client.choose("save", {"category": "analytics"}))
    page = client.visit("/_consent/receipt", {"cookie": granted})
    number = client.records()[0]["record_id"]
    for words in ("some allowed", "You saved your cookie settings.", "Example GmbH", number, "SHA-256"):
        assert words in page.text
    assert 'href="/_consent/records.json"' in page.text
    assert re.search(r'<form method="post" action="/_consent/erase"', page.text)


def test_hostile_text_in_a_record_stays_text(serve: Serve) -> None:
    """A declaration may hold anything; the page escapes it."""
    app = serve(PAGE, {"services": [{"id": "x", "name": "<script>x</script>", "category": "analytics"}]})
    page = app.visit("/_consent/receipt", {"cookie": cookie_of(app.choose("accept_all"))})
    assert "<script>x" not in page.text
    assert "&lt;script&gt;x" in page.text


def test_without_a_store_there_is_nothing_to_find(serve: Serve) -> None:
    """A site that keeps no records says so kindly, and hands out no key."""
    app = serve(PAGE, {"records": {"url": "none"}})
    granted = cookie_of(app.choose("accept_all"))
    assert history(app, granted)["receipts"] == []
    assert app.choose("withdraw", {"next": "/shop"}, {"cookie": granted}).get("location") == "/shop"


def test_who_is_signed_in_sees_and_erases_the_accounts_history(serve: Serve) -> None:
    """What an account said on another device is theirs too."""
    app = serve(PAGE, subject=lambda request: request.headers.get("x-user"))
    anna = {"x-user": "anna"}
    app.choose("accept_all", headers=anna)
    other = app.get("/_consent/records.json", anna).json()
    assert [receipt["subject_id"] for receipt in other["receipts"]] == ["anna"]
    assert app.get("/_consent/records.json", {"x-user": "ben"}).json()["receipts"] == []
    assert erase(app, headers=anna).status == 303
    assert app.records() == []


@pytest.mark.conformance("REC-2")
@pytest.mark.parametrize(
    ("settings", "ip", "user_agent", "page"),
    [
        ({}, None, None, None),
        (
            {"ip": "truncate", "user_agent": "truncate", "page": "truncate"},
            "203.0.113.0/24",
            "Mozilla/5 Firefox/130",
            "/shop",
        ),
        ({"ip": "hash"}, "hash", None, None),
    ],
)
def test_a_record_keeps_of_its_source_what_is_set(
    serve: Serve, settings: dict[str, str], ip: str | None, user_agent: str | None, page: str | None
) -> None:
    """No address, browser or page unless set; then shortened, or hashed with the site's key."""
    app = serve(PAGE, {"records": settings})
    headers = {
        "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Firefox/130.0.1",
        "referer": "https://shop.example/shop?user=anna",
    }
    app.choose("accept_all", headers=headers)
    (record,) = app.records()
    if ip == "hash":
        assert re.fullmatch("[0-9a-f]{32}", record["ip"])
        assert "203.0.113" not in str(record)
    else:
        assert record.get("ip") == ip
    assert (record.get("user_agent"), record.get("page")) == (user_agent, page)
