"""Known users across devices: log-in, log-out and a second device, over both adapters (ENF-8, ENF-9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.errors import LateChangeError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conftest import Client, Response, Seen, Serve
    from consent_middleware.request import ConsentRequest

HTML = ("Content-Type", "text/html; charset=utf-8")
PIXEL = b'<img src="https://www.facebook.com/tr?id=1" width="1" height="1">'
STATS = b'<script async src="https://www.google-analytics.com/analytics.js"></script>'
PAGE = b'<!doctype html><html lang="en"><head></head><body><p>Hi</p>' + PIXEL + STATS + b"</body></html>"
GPC = {"sec-gpc": "1"}


class Device:
    """A browser with a cookie jar of its own.

    Attributes:
        user: Who is logged in there, as the site's session says.
    """

    def __init__(self, client: Client, user: str = "") -> None:
        self._client = client
        self.user = user
        self.jar: dict[str, str] = {}

    def visit(self, headers: Mapping[str, str] | None = None, target: str = "/") -> Response:
        """Open a page."""
        return self._took(self._client.visit(target, headers={**self._own, **(headers or {})}))

    def choose(self, action: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Response:
        """Send the banner's form."""
        return self._took(self._client.choose(action, fields, headers={**self._own, **(headers or {})}))

    def allows(self, headers: Mapping[str, str] | None = None) -> tuple[bool, bool]:
        """Open a page; return whether the statistics and the pixel load."""
        body = self.visit(headers).body
        return STATS in body, PIXEL in body

    @property
    def _own(self) -> dict[str, str]:
        pairs = [*self.jar.items(), *([("session", self.user)] if self.user else [])]
        return {"cookie": "; ".join(f"{name}={value}" for name, value in pairs)} if pairs else {}

    def _took(self, response: Response) -> Response:
        for line in response.all("set-cookie"):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.jar.pop(name, None)
            elif "consent" in name:
                self.jar[name] = value
        return response


def who(request: ConsentRequest) -> str | None:
    """Return the account of a session, as a site's own code does."""
    return request.cookies.get("session")


@pytest.fixture(params=["opt-in", "opt-out"])
def site(request: pytest.FixtureRequest, serve: Serve) -> Client:
    """A site with accounts."""
    return serve((200, [HTML], [PAGE]), {"site": {"regime": request.param}}, subject=who)


YES, NO = (True, True), (False, False)


@pytest.mark.conformance("ENF-8")
def test_an_explicit_answer_follows_the_account(site: Client) -> None:
    """What was said on one device holds on the next, from its first page on."""
    first, second = Device(site, "ann"), Device(site, "ann")
    first.choose("reject_all")
    assert first.allows() == NO
    assert second.allows() == NO
    first.choose("accept_all")
    assert first.allows() == YES


def test_a_grant_follows_too(serve: Serve) -> None:
    """Who has agreed is not asked again on another device."""
    site = serve((200, [HTML], [PAGE]), subject=who)
    Device(site, "ann").choose("accept_all")
    second = Device(site, "ann")
    response = second.visit()
    assert b"consent-banner" not in response.body
    assert second.allows() == YES


def test_an_account_is_looked_up_once(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look-up a binding; then the cookie says it."""
    asked: list[str] = []
    latest = site.site.store.latest

    def counted(subject: str) -> Any:
        asked.append(subject)
        return latest(subject)

    monkeypatch.setattr(site.site.store, "latest", counted)
    device = Device(site, "ann")
    for _ in range(3):
        device.visit()
    assert asked == ["ann"]


def test_another_account_has_nothing_of_it(site: Client) -> None:
    """Two people at one browser, two devices: each has their own answer."""
    Device(site, "ann").choose("reject_all")
    bob = Device(site, "bob")
    bob.choose("accept_all")
    assert bob.allows() == YES
    bob.user = "ann"
    assert bob.allows() == NO
    bob.user = "bob"
    assert bob.allows() == YES


@pytest.mark.conformance("ENF-9")
def test_the_browsers_own_answer_comes_back(site: Client) -> None:
    """ENF-9: what an account says never alters what the browser said while nobody was logged in."""
    device = Device(site)
    device.choose("accept_all")
    own = dict(device.jar)
    device.user = "ann"
    device.choose("reject_all")
    assert device.allows() == NO
    device.user = ""
    assert device.allows() == YES
    assert device.jar == own


@pytest.mark.conformance("ENF-9")
def test_who_never_answered_here_is_unanswered_after_a_log_out(serve: Serve) -> None:
    """ENF-9: the account's yes does not stay behind in a browser that somebody else may use."""
    site = serve((200, [HTML], [PAGE]), subject=who)
    device = Device(site, "ann")
    device.choose("accept_all")
    assert device.allows() == YES
    device.user = ""
    response = device.visit()
    assert b"consent-banner" in response.body
    assert PIXEL not in response.body
    assert device.jar == {}


@pytest.mark.conformance("ENF-9")
def test_the_stricter_holds_until_the_next_answer(site: Client) -> None:
    """A no in the browser outweighs the account's yes, and a no of the account the browser's yes."""
    Device(site, "ann").choose("accept_all")
    device = Device(site)
    device.choose("reject_all")
    device.user = "ann"
    assert device.allows() == NO
    device.choose("accept_all")
    assert device.allows() == YES
    device.user = ""
    assert device.allows() == NO


@pytest.mark.conformance("ENF-8")
def test_a_signal_follows_the_account(serve: Serve) -> None:
    """ENF-8: an opt-out by a browser's signal holds on the account's other devices, which send none."""
    site = serve((200, [HTML], [PAGE]), {"site": {"regime": "opt-out"}}, subject=who)
    first = Device(site, "ann")
    assert first.allows(GPC) == NO
    first.visit(GPC)
    site.site.background.drain()
    assert Device(site, "ann").allows() == NO
    assert Device(site, "bob").allows() == YES
    assert Device(site).allows() == YES


def test_the_records_name_the_account(site: Client) -> None:
    """A choice of a known user is found by the account, one of anybody else names none."""
    Device(site, "ann").choose("accept_all")
    Device(site).choose("accept_all")
    assert [record["subject_id"] for record in site.records()] == ["ann", None]
    latest = site.site.latest_choice("ann")
    assert latest is not None
    assert latest.granted == site.site.catalog.asked
    assert site.site.latest_choice("nobody") is None


def test_the_cookie_does_not_name_the_account(site: Client) -> None:
    """Eight characters that say nothing without the key."""
    device = Device(site, "ann@example.com")
    device.choose("accept_all")
    assert all("ann" not in value for value in device.jar.values())


def test_a_store_that_is_away_loses_nothing(
    site: Client, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """The browser's own answer holds, nothing is bound, and the next request looks again."""
    Device(site, "ann").choose("reject_all")
    device = Device(site)
    device.choose("accept_all")
    device.user = "ann"
    latest = site.site.store.latest

    def away(_: str) -> None:
        raise StoreError("the database is away")

    monkeypatch.setattr(site.site.store, "latest", away)
    assert device.allows() == YES
    assert any("could not be looked up" in r.getMessage() for r in log.records)
    monkeypatch.setattr(site.site.store, "latest", latest)
    assert device.allows() == NO


def test_without_records_an_account_says_nothing(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """`records.url = "none"`: the browser's answer holds, and nothing is stamped."""
    site = serve((200, [HTML], [PAGE]), {"records": {"url": "none"}}, subject=who)
    device = Device(site, "ann")
    device.choose("accept_all")
    assert "~" not in "".join(device.jar.values())
    assert device.allows() == YES
    assert log.records


def test_the_account_shows_at_the_log_in_itself(serve: Serve) -> None:
    """`consent.identify()` in the log-in's own response binds the browser before its headers go."""

    # The session is not there yet when the request begins.
    def app(seen: Seen) -> Any:
        if seen.path == "/login":
            seen.consent.identify("ann")
            return (
                303,
                [
                    ("Location", "/"),
                    ("Content-Type", "text/plain"),
                    ("Set-Cookie", "session=ann; Path=/; HttpOnly"),
                ],
                [b""],
            )
        return 200, [HTML], [PAGE]

    site = serve(app, subject=who)
    Device(site, "ann").choose("accept_all")
    device = Device(site)
    device.choose("reject_all")
    response = device.visit(target="/login")
    assert response.status == 303
    assert any(name.endswith("-own") for name in device.jar)
    device.user = "ann"
    device.choose("accept_all")
    assert device.allows() == YES
    device.user = ""
    assert device.allows() == NO


def test_identifying_alone_is_enough(serve: Serve) -> None:
    """Without the `subject` hook the cookie says who is logged in, until `identify(None)`."""

    def app(seen: Seen) -> Any:
        if seen.path in {"/login", "/logout"}:
            seen.consent.identify("ann" if seen.path == "/login" else None)
        return 200, [HTML], [PAGE]

    site = serve(app)
    Device(site, "ann").visit(target="/login")
    first = Device(site)
    first.visit(target="/login")
    first.choose("accept_all")
    assert first.allows() == YES
    first.visit(target="/logout")
    assert first.allows() == NO


def test_identify_comes_before_the_headers(serve: Serve) -> None:
    """Later is too late, and says so."""
    problems: list[BaseException] = []

    def app(seen: Seen) -> Any:
        def body() -> Any:
            yield b"<!doctype html><html><head></head><body>"
            try:
                seen.consent.identify("ann")
            except LateChangeError as error:
                problems.append(error)
            yield b"</body></html>"

        return 200, [HTML], body()

    serve(app, subject=who).visit()
    assert len(problems) == 1


def test_a_public_file_is_not_touched(serve: Serve) -> None:
    """What everybody may keep is nobody's: no cookie goes with it."""
    css = [("Content-Type", "text/css"), ("Cache-Control", "public, max-age=3600")]
    site = serve((200, css, [b"a{}"]), subject=who)
    device = Device(site, "ann")
    response = device.visit()
    assert response.all("set-cookie") == []
    assert response.get("cache-control") == "public, max-age=3600"
