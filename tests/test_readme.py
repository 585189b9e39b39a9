"""The README's snippets do what it says when pasted."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.responses import HTMLResponse

from consent_middleware import asgi, load_config, wsgi

if TYPE_CHECKING:
    from flask import Flask

README = Path(__file__).resolve().parents[1] / "README.md"
PAGE = "<!doctype html><html lang='en'><head><title>Hi</title></head><body>Hello</body></html>"


def block(language: str, containing: str) -> str:
    """Return the fenced block of a language that holds a text."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return next(text for text in found if containing in text)


@pytest.fixture
def pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in a folder with the README's consent.toml, as a reader would."""
    (tmp_path / "consent.toml").write_text(block("toml", "house-stats"), "utf-8")
    monkeypatch.chdir(tmp_path)
    return {"__name__": "pasted"}


def test_toml_block_is_a_whole_declaration(pasted: dict[str, Any]) -> None:
    """The consent.toml of the README is accepted as it stands."""
    assert pasted
    assert set(load_config(tomllib.loads(block("toml", "house-stats"))).catalog.services) == {
        "google-analytics",
        "youtube",
        "stripe",
        "house-stats",
    }


def test_fastapi_block_adds_the_banner(pasted: dict[str, Any]) -> None:
    """The five lines for FastAPI put the banner into a page."""
    exec(block("python", "FastAPI()"), pasted)
    app = pasted["app"]

    async def home() -> Any:
        return HTMLResponse(PAGE)

    app.get("/")(home)
    assert 'id="consent-banner"' in get_asgi(app, "/")


def test_wrapping_form_covers_server_errors(pasted: dict[str, Any]) -> None:
    """The complete form puts the banner into the framework's own error page too."""
    exec(block("python", "FastAPI()").replace("app.add_middleware", "# app.add_middleware"), pasted)
    app = pasted["app"]

    async def broken() -> Any:
        raise RuntimeError

    async def server_error(_request: Any, _error: Exception) -> Any:
        return HTMLResponse(PAGE, status_code=500)

    app.get("/")(broken)
    app.add_exception_handler(500, server_error)
    wrapped = asgi.ConsentMiddleware(app, secret_key="k" * 32)
    assert 'id="consent-banner"' in get_asgi(wrapped, "/")


def test_flask_block_adds_the_banner(pasted: dict[str, Any]) -> None:
    """The five lines for Flask put the banner into a page."""
    exec(block("python", "Flask(__name__)"), pasted)
    app: Flask = pasted["app"]
    app.add_url_rule("/", view_func=lambda: PAGE)
    assert isinstance(app.wsgi_app, wsgi.ConsentMiddleware)
    assert 'id="consent-banner"' in app.test_client().get("/").text


def get_asgi(app: Any, path: str) -> str:
    """Return the text of a page of an ASGI app."""

    async def fetch() -> str:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return (await client.get(path)).text

    return asyncio.run(fetch())
