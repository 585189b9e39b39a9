"""Litestar: docs/frameworks/litestar.md as it stands, and the order that cannot work."""

from __future__ import annotations

from functools import partialmethod
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from litestar import Litestar, MediaType, Request, Response, get
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware

from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.errors import ConfigError
from helpers_starlette import PAGE, SECRET, SOCKET, Browser, converse, plain

if TYPE_CHECKING:
    from collections.abc import Callable

BANNER = 'id="consent-banner"'


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the process's logging alone, which each Litestar app would configure anew."""
    monkeypatch.setattr(Litestar, "__init__", partialmethod(Litestar.__init__, logging_config=None))


def test_the_five_minutes(tutorial: Callable[[str], Any]) -> None:
    """The page asks, its tag waits, and our own addresses answer where Litestar has none."""
    browser = Browser(tutorial("litestar.md").paste("async def home"))
    page = browser.visit()
    assert BANNER in page.text
    assert 'data-src="https://www.googletagmanager.com/gtag/js?id=G-1"' in page.text
    assert browser.visit("/nothing").status_code == 404
    assert browser.visit("/.well-known/gpc.json").json()["gpc"] is True


def test_reading_consent(tutorial: Callable[[str], Any]) -> None:
    """As a dependency, by a switch of the site's own, and in a websocket."""
    page = tutorial("litestar.md")
    page.paste("async def home")
    site = page.paste("async def why")
    browser = Browser(site)
    before = browser.fetch("/why").json()
    browser.fetch("/switch")
    assert (before, browser.fetch("/why").json()) == ({"counted": False}, {"counted": True})
    sent = anyio.run(converse, site, dict(SOCKET), [{"type": "websocket.connect"}])
    assert [message.get("text", message.get("bytes")) for message in sent] == [None, "false", None]


def test_templates(tutorial: Callable[[str], Any]) -> None:
    """The tags find the consent by themselves."""
    page = tutorial("litestar.md")
    page.paste("async def home")
    browser = Browser(page.paste("ConsentExtension"))
    before = browser.visit("/page").text
    browser.choose()
    assert ("Thank you" in before, before.count("<iframe"), 'data-consent="preferences"' in before) == (
        False,
        1,
        True,
    )
    assert "Thank you" in browser.visit("/page").text


def test_error_pages_and_compression_are_inside() -> None:
    """A page for 500 asks, and its cookie waits; so do those of a page that the app compresses."""

    @get("/", media_type=MediaType.HTML)
    async def home() -> Response[str]:
        response = Response(PAGE, media_type="text/html")
        response.set_cookie("_ga", "1")
        return response

    @get("/boom")
    async def boom() -> None:
        raise RuntimeError

    def sorry(_request: Request[Any, Any, Any], _error: Exception) -> Response[str]:
        response = Response(PAGE, media_type="text/html", status_code=500)
        response.set_cookie("_ga", "1")
        return response

    app = Litestar(
        [home, boom],
        exception_handlers={500: sorry},
        compression_config=CompressionConfig(backend="gzip", minimum_size=1),
    )
    browser = Browser(ConsentMiddleware(app, plain(), SECRET))
    page, error = browser.visit(), browser.visit("/boom")
    assert (page.status_code, page.headers["content-encoding"], BANNER in page.text) == (200, "gzip", True)
    assert (error.status_code, BANNER in error.text) == (500, True)
    assert "set-cookie" not in page.headers
    assert "set-cookie" not in error.headers


class Between:
    """A middleware of the site's own."""

    def __init__(self, app: Any) -> None:
        self.app = app


@pytest.mark.parametrize("inside", [[], [Between]], ids=["alone", "with others"])
def test_its_list_of_middleware_is_an_error(inside: list[Any]) -> None:
    """Behind the router our own addresses would be 404: said at the start, with what to write instead."""

    @get("/")
    async def home() -> str:
        return PAGE

    kind: Any = ConsentMiddleware
    added = DefineMiddleware(kind, config=plain(), secret_key=SECRET)
    with pytest.raises(ConfigError, match="wrap the whole app"):
        Litestar([home], middleware=[*inside, added])
