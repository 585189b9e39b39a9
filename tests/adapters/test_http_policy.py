"""The cookie policy over both adapters: one page for everyone, complete without scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Client, Serve

PAGE = (200, [("Content-Type", "text/html")], [b"<!doctype html><html><head></head><body>Hi</body></html>"])
POLICY = "/_consent/policy"


@pytest.mark.conformance("ENF-11")
def test_the_policy_is_a_page_of_its_own(client: Client) -> None:
    """ENF-11: services, cookies and signals stand there, and the app is not asked."""
    response = client.get(POLICY)
    assert response.status == 200
    for word in ("Google Analytics", "_fbp", "hs_*", "basket", "Global Privacy Control", "Do Not Track"):
        assert word in response.text
    assert client.seen == []


def test_everybody_gets_the_same(client: Client) -> None:
    """Neither an answer, a signal nor the page before alters it; caches may keep it, by language alone."""
    plain = client.get(POLICY)
    cookie = client.choose("accept_all").all("set-cookie")[0].partition(";")[0]
    personal = {
        "cookie": f"{cookie}; _ga=1",
        "sec-gpc": "1",
        "referer": "https://shop.example/basket?order=7",
    }
    other = client.get(POLICY, personal)
    assert (other.body, other.headers) == (plain.body, plain.headers)
    assert plain.get("cache-control") == "public, max-age=300"
    assert plain.get("vary") == "Accept-Language"
    assert plain.all("set-cookie") == []


def test_it_is_the_same_where_silence_allows(serve: Serve) -> None:
    """A signal that becomes an opt-out elsewhere sets no cookie on a page that caches keep."""
    app = serve(PAGE, {"site": {"regime": "opt-out"}})
    response = app.get(POLICY, {"sec-gpc": "1"})
    assert response.all("set-cookie") == []
    assert response.body == app.get(POLICY).body


def test_it_speaks_the_visitors_language(serve: Serve) -> None:
    """Accept-Language chooses among the site's languages."""
    app = serve(PAGE, {"site": {"languages": ["en", "de"]}})
    assert "<h1>Cookie-Richtlinie</h1>" in app.get(POLICY, {"accept-language": "de-AT"}).text
    assert "<h1>Cookie policy</h1>" in app.get(POLICY, {"accept-language": "fr"}).text


def test_it_needs_no_script(client: Client) -> None:
    """No script is on the page, it cannot be framed, and its style sheets are there."""
    response = client.get(POLICY)
    assert "<script" not in response.text
    assert response.get("content-security-policy") == "frame-ancestors 'none'"
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', response.text)
    assert [client.get(sheet).status for sheet in sheets] == [200, 200, 200]


def test_it_leads_to_the_choices_and_back(client: Client) -> None:
    """Its links are there, under a mount point too, and the preferences lead back to it."""
    text = client.get(POLICY, mount="/shop").text
    links = re.findall(r'<a href="(/shop/_consent/[^"]+)"', text)
    assert [link.partition("?")[0] for link in links] == [
        "/shop/_consent/preferences",
        "/shop/_consent/receipt",
    ]
    assert [client.get(link.removeprefix("/shop"), mount="/shop").status for link in links] == [200, 200]
    form = client.get(links[0].removeprefix("/shop"), mount="/shop").text
    assert 'name="next" value="/shop/_consent/policy"' in form


@pytest.mark.parametrize(
    ("query", "back"),
    [("", "/"), ("?next=/basket", "/basket"), ("?next=//evil.example", "/"), ("?next=%ff", "/")],
)
def test_next_never_leaves_the_site(client: Client, query: str, back: str) -> None:
    """The way back is a local path."""
    assert f'<a class="consent-quiet" href="{back}">' in client.get(POLICY + query).text


def test_the_preferences_lead_to_it(serve: Serve) -> None:
    """Behind the site's own policy stands ours, unless that is the site's."""
    link = '<a href="/privacy">Privacy policy</a> <a href="/_consent/policy?next=/">Cookie policy</a>'
    assert link in serve(PAGE).get("/_consent/preferences").text
    text = serve(PAGE, {"site": {"policy_url": POLICY}}).get("/_consent/preferences").text
    assert '<a href="/_consent/policy">Privacy policy</a>' in text
    assert "Cookie policy" not in text


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
def test_it_is_only_read(client: Client, method: str, status: int) -> None:
    """HEAD has no body, and nothing can be sent to it."""
    response = client.request(method, POLICY, {"sec-fetch-site": "same-origin"})
    assert response.status == status
    assert (response.body == b"") is (method == "HEAD")


def test_hooks_are_told_of(serve: Serve) -> None:
    """What only the site's code knows is on the page: accounts in the records, and who is under 16."""
    regime = {"site": {"regime": "opt-out"}}
    without = serve(PAGE, regime).get(POLICY).text
    page = serve(PAGE, regime, subject=lambda _: None, age_class=lambda _: "adult").get(POLICY).text
    for words in ("it says for which account", "visitors under 16", "__Host-consent-own"):
        assert words in page
        assert words not in without
