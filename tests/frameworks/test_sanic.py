"""Sanic's ASGI mode: docs/frameworks/sanic.md as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from asgi_lifespan import LifespanManager
from sanic import Sanic

from helpers_starlette import SOCKET, Browser, converse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BANNER = 'id="consent-banner"'


@pytest.fixture
def page(tutorial: Callable[[str], Any]) -> Iterator[Any]:
    """Paste the five minutes; Sanic lists all apps by name, and rewrites its own methods once a process unless told."""
    page = tutorial("sanic.md")
    page.paste("bring_consent")
    page.module.app.config.TOUCHUP = False
    yield page
    Sanic.unregister_app(page.module.app)


def start(site: Any) -> None:
    """Run the lifespan once, as a server does before the first request."""

    async def live() -> None:
        async with LifespanManager(site):
            pass

    anyio.run(live)


def test_the_five_minutes(page: Any) -> None:
    """The page asks, its tag and its cookie wait for the answer; Sanic's own 404 asks as well."""
    site = page.module.site
    start(site)
    browser = Browser(site)
    before, missing = browser.visit(), browser.visit("/nothing")
    assert 'data-src="https://www.googletagmanager.com/gtag/js?id=G-1"' in before.text
    assert (BANNER in before.text, "set-cookie" in before.headers) == (True, False)
    assert (missing.status_code, BANNER in missing.text) == (404, True)
    browser.choose()
    assert browser.visit().headers["set-cookie"].startswith("_ga=1")


def test_reading_consent(page: Any) -> None:
    """In views, by a switch of the site's own, and in a websocket."""
    site = page.module.site
    start(site)
    browser = Browser(site)
    before = browser.fetch("/why").json()
    browser.fetch("/switch")
    assert (before, browser.fetch("/why").json()) == ({"counted": False}, {"counted": True})
    sent = anyio.run(converse, site, dict(SOCKET), [{"type": "websocket.connect"}])
    assert [message.get("text") for message in sent[:2]] == [None, "False"]


def test_templates(page: Any) -> None:
    """The tags work with the consent they are given."""
    site = page.paste("ConsentExtension")
    start(site)
    browser = Browser(site)
    before = browser.visit("/page").text
    browser.choose()
    assert ("Thank you" in before, 'data-consent="preferences"' in before) == (False, True)
    assert "Thank you" in browser.visit("/page").text


def test_streams_and_listeners_are_its_own(page: Any) -> None:
    """A stream gets the banner in its first piece and goes on; start and stop run once."""
    app, site = page.module.app, page.module.site
    steps: list[str] = []
    app.before_server_start(lambda *_: steps.append("up"))
    app.after_server_stop(lambda *_: steps.append("down"))

    async def stream(request: Any) -> None:
        response = await request.respond(content_type="text/html; charset=utf-8")
        await response.send("<!doctype html><html><head><title>Shop</title></head><body>FIRST")
        await response.send("LAST</body></html>")
        await response.eof()

    app.add_route(stream, "/stream")
    start(site)
    scope = {
        **SOCKET,
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/stream",
        "raw_path": b"/stream",
    }
    sent = anyio.run(converse, site, scope, [{"type": "http.request"}])
    pieces = [message["body"] for message in sent if message.get("body")]
    last = next(index for index, piece in enumerate(pieces) if b"LAST" in piece)
    begun = b"".join(pieces[:last])
    assert BANNER.encode() in begun
    assert b"FIRST" in begun
    assert steps == ["up", "down"]
