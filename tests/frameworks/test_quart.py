"""Quart: docs/frameworks/quart.md as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from helpers_starlette import SOCKET, Browser, converse

if TYPE_CHECKING:
    from collections.abc import Callable

BANNER = 'id="consent-banner"'


@pytest.fixture
def page(tutorial: Callable[[str], Any]) -> Any:
    """Paste the five minutes."""
    page = tutorial("quart.md")
    page.module.__file__ = str(Path.cwd() / "app.py")  # Quart looks for templates beside it
    page.paste("async def home")
    return page


def test_the_five_minutes(page: Any) -> None:
    """Banner, link and a film that waits; the block shows once accepted. Error pages ask as well."""
    browser = Browser(page.module.app)
    before = browser.visit().text
    assert (BANNER in before, "Thank you" in before, "data-src=" in before) == (True, False, True)
    missing = browser.visit("/nothing")
    assert (missing.status_code, BANNER in missing.text) == (404, True)
    browser.choose()
    assert "Thank you" in browser.visit().text


def test_reading_consent(page: Any) -> None:
    """In views as `g.consent`, and a switch of the site's own."""
    browser = Browser(page.paste("bring_consent"))
    before = browser.fetch("/why")
    switched = browser.fetch("/switch")
    after = browser.fetch("/why")
    assert (before.json(), after.json()) == ({"counted": False}, {"counted": True})
    names = [
        [value.partition("=")[0] for value in answer.headers.get_list("set-cookie")]
        for answer in (before, switched, after)
    ]
    assert (names[0], names[2]) == ([], ["_ga"])
    assert "__Host-consent" in names[1]


def test_a_websocket_knows_and_sets_nothing(page: Any) -> None:
    """It has the consent of its handshake, and that handshake's cookies are held like a page's."""
    app = page.paste("bring_consent")
    websocket = page.module.websocket

    async def chat() -> None:
        await websocket.accept({"Set-Cookie": "_ga=1"})
        await websocket.send_json({"counted": page.module.g.consent.allows("analytics")})

    app.view_functions["chat"] = chat
    sent = anyio.run(converse, app, dict(SOCKET), [{"type": "websocket.connect"}])
    assert sent[0]["type"] == "websocket.accept"
    assert [name for name, _ in sent[0]["headers"]] == []
    assert json.loads(sent[1]["text"]) == {"counted": False}


def test_its_own_client_goes_through(page: Any) -> None:
    """`app.test_client()` sees what a visitor sees."""

    async def ask() -> Any:
        return await (await page.module.app.test_client().get("/")).get_data(as_text=True)

    assert BANNER in anyio.run(ask)
