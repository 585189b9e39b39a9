"""The demo's gallery: every look, and what strange addresses give."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from werkzeug.test import Client

from consent_middleware.texts import available_languages, direction
from examples.shop import asgi_app, wsgi_app
from examples.shop.gallery import (
    FRAME,
    LANGUAGES,
    LOOKS,
    POSITIONS,
    THEMES,
    Frame,
    Setting,
    sections,
)
from examples.shop.site import CONFIG, Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    Get = Callable[[str], tuple[int, dict[str, str], str]]

KEY = "k" * 32
STRANGE = (
    "",
    "look=&language=&theme=&position=&colours=&alone=",
    "look=nothing&language=xx&theme=../../etc&position=%3Cscript%3E&colours=pink&width=1&alone=yes",
    "language=de&language=fr&theme=ocean;paper&%00=%ff",
)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def get(request: pytest.FixtureRequest) -> Get:
    """Ask the demo, under each server."""
    shop = Shop(tracker_port=9)
    if request.param == "wsgi":
        client = Client(wsgi_app.with_gallery(wsgi_app.create_app(shop, KEY, CONFIG)))

        def ask_wsgi(url: str) -> tuple[int, dict[str, str], str]:
            answer = client.get(url)
            return answer.status_code, {name.lower(): v for name, v in answer.headers}, answer.text

        return ask_wsgi
    app = asgi_app.with_gallery(asgi_app.create_app(shop, KEY, CONFIG))

    def ask_asgi(url: str) -> tuple[int, dict[str, str], str]:
        async def fetch() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
                return await client.get(url)

        with (
            start_blocking_portal() as portal
        ):  # a browser's tests, run before these, have a loop of their own
            answer = portal.call(fetch)
        return answer.status_code, dict(answer.headers), answer.text

    return ask_asgi


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_is_there_in_every_language(look: str) -> None:
    """Each state renders in each language, which it names, and holds neither a script nor a file to load."""
    for language in LANGUAGES:
        html = Frame(look=look, language=language).document().decode()
        assert f'<html lang="{language}" dir="{direction(language)}">' in html
        assert not re.search(r"<script|stylesheet|<img|<iframe|\son\w+=", html)


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_has_its_colours_for_light_and_dark(theme: str) -> None:
    """A frame asked to be dark is so on a light screen too, and the other way round."""
    light, dark = (Frame(theme=theme, colours=colours).document() for colours in ("light", "dark"))
    assert b"prefers-color-scheme" not in light + dark
    assert b"@media not all{:where(.consent-root" in light
    assert b"@media all{:where(.consent-root" in dark


@pytest.mark.parametrize("position", POSITIONS)
def test_every_position_is_set(position: str) -> None:
    """A frame's banner stands where it is asked to."""
    assert f'data-position="{position}"'.encode() in Frame(position=position).document()


def test_the_gallery_shows_all_there_is() -> None:
    """Each theme, position, state and language has a card."""
    cards = {section.id: section.cards for section in sections(Setting())}
    assert {card.frame.theme for card in cards["themes"]} == set(THEMES)
    assert [card.frame.position for card in cards["positions"]] == list(POSITIONS)
    assert [card.frame.look for card in cards["states"]] == list(LOOKS)
    assert [card.frame.language for card in cards["languages"]] == list(available_languages())


def test_every_language_has_its_own_name() -> None:
    """None is listed by its tag alone."""
    assert [tag for tag, name in LANGUAGES.items() if name == tag] == []


@pytest.mark.parametrize("query", STRANGE)
def test_what_makes_no_sense_is_the_default(get: Get, query: str) -> None:
    """Neither the page nor a frame fails on an address, and nothing of it comes back."""
    for path in ("/gallery", FRAME):
        status, _, text = get(f"{path}?{query}")
        assert status == 200
        assert "pink" not in text
        assert "<script>" not in text.split("</head>")[1]


def test_a_frame_is_a_look_and_no_site(get: Get) -> None:
    """A frame comes with a policy that lets nothing load, run or send, and without a cookie."""
    _, headers, text = get(Frame(look="preferences").url)
    policy = headers["content-security-policy"]
    assert {"default-src 'none'", "sandbox allow-same-origin", "frame-ancestors 'self'"} <= set(
        policy.split("; ")
    )
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in headers
    assert "<body inert" in text


def test_the_gallery_asks_like_every_page(get: Get) -> None:
    """The page that shows banners has the shop's own, and its tracking is held back."""
    _, headers, text = get("/gallery")
    assert 'id="consent-banner"' in text
    assert "set-cookie" not in headers
    assert 'type="text/plain"' in text
