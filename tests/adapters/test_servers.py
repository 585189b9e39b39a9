"""Real servers: processes, threads and lifespans around the one line (issue part 10)."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from asgi_lifespan import LifespanManager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.records import reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

SECRET = "a-secret-of-32-characters-length"
APP = """
import os
from consent_middleware.wsgi import ConsentMiddleware

PAGE = b"<!doctype html><html><head></head><body>Hi</body></html>"

def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html"), ("X-Worker", str(os.getpid())), ("Set-Cookie", "_ga=1")])
    return [PAGE]

app = ConsentMiddleware(site, "consent.toml", "a-secret-of-32-characters-length")
"""
CONFIG = """
use = ["google-analytics"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
"""


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[Path]:
    """Start gunicorn with two forked workers of four threads on a socket; return its folder."""
    folder = Path(tempfile.mkdtemp(prefix="cm"))
    (folder / "shop.py").write_text(APP)
    (folder / "consent.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers=2", "--threads=4", "--bind=unix:s"]
    server = subprocess.Popen([*command, "shop:app"], cwd=folder, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    booted = 0
    for line in server.stderr:
        booted += "Booting worker" in line
        if booted == 2:
            break
    try:
        assert booted == 2
        yield folder
    finally:
        server.terminate()
        server.communicate(timeout=60)
        shutil.rmtree(folder)


def browser(folder: Path) -> httpx.Client:
    """Return a client with a connection of its own, so that either worker may take it."""
    transport = httpx.HTTPTransport(verify=False, uds=str(folder / "s"))
    return httpx.Client(transport=transport, base_url="http://shop.example", timeout=60)


def choose(folder: Path) -> str:
    """Accept all; return the cookie."""
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    with browser(folder) as client:
        answer = client.post("/_consent/choice", headers=form, content="action=accept_all")
    assert answer.status_code == 303
    return str(answer.headers["set-cookie"]).partition(";")[0]


@pytest.mark.slow
def test_gunicorn_with_preload_records_every_choice(gunicorn: Path) -> None:
    """One middleware, built before the fork: two workers and their threads record each choice once."""
    with ThreadPoolExecutor(8) as pool:
        cookies = list(pool.map(choose, [gunicorn] * 40))
    connection = sqlite3.connect(gunicorn / "consent-records.db")
    rows = Counter(
        row[0]
        for row in connection.execute("select principal_id from consent_records where kind = 'consent'")
    )
    connection.close()
    assert {rows[cookie.split(".")[5]] for cookie in cookies} == {1}


@pytest.mark.slow
def test_a_choice_holds_on_every_worker(gunicorn: Path) -> None:
    """The cookie that one worker made is believed by each."""
    cookie = choose(gunicorn)

    def visit(_index: int) -> tuple[str, bool]:
        with browser(gunicorn) as client:
            headers = client.get("/", headers={"cookie": cookie}).headers
        return headers["x-worker"], "set-cookie" in headers

    held: dict[str, bool] = {}
    with ThreadPoolExecutor(8) as pool:
        while len(held) < 2:
            held.update(pool.map(visit, range(8)))
    assert set(held.values()) == {True}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_lifespan_passes_through(declaration: Any, loop: str) -> None:
    """Start-up and shutdown are the app's own, and its state reaches the request beside consent."""
    order: list[str] = []

    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, str]]:
        order.append("up")
        yield {"db": "pool"}
        order.append("down")

    async def tell(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.state.db} {request.state.consent.answered}")

    app = Starlette(routes=[Route("/", tell)], lifespan=contextlib.asynccontextmanager(lifespan))
    middleware: Any = ConsentMiddleware(app, declaration(), SECRET)

    async def serve() -> str:
        async with LifespanManager(middleware) as manager:
            transport = httpx.ASGITransport(manager.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
                return (await client.get("/")).text

    assert anyio.run(serve, backend=loop) == "pool False"
    assert order == ["up", "down"]


def test_an_app_without_lifespan_is_served(declaration: Any) -> None:
    """An app that refuses lifespan scopes, as the specification allows, still records choices."""

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        assert scope["type"] == "http"

    middleware = ConsentMiddleware(app, declaration(), SECRET)

    async def serve() -> tuple[int, str]:
        transport = httpx.ASGITransport(middleware)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            answer = await client.post(
                "/_consent/choice", data={"action": "accept_all"}, headers={"origin": "http://shop.example"}
            )
            return answer.status_code, answer.headers["set-cookie"]

    status, cookie = anyio.run(serve)
    store: Any = middleware.site.store
    with store.store.reading() as connection:
        found = list(reading.documents(connection))
    store.close()
    assert (status, len(found)) == (303, 1)
    assert re.match(r"consent=v1\.", cookie)
