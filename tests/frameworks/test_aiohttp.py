"""aiohttp: no adapter fits it, which is said at once; docs/frameworks/aiohttp.md puts a small ASGI app before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web
from asgi_lifespan import LifespanManager

from consent_middleware import asgi, wsgi
from consent_middleware.errors import ConfigError
from helpers_starlette import ORIGIN, SECRET, plain

if TYPE_CHECKING:
    from collections.abc import Callable

BANNER = 'id="consent-banner"'


@pytest.mark.parametrize("adapter", [asgi, wsgi], ids=["asgi", "wsgi"])
def test_wrapping_it_is_an_error(adapter: Any) -> None:
    """At construction, with what works instead."""
    with pytest.raises(ConfigError, match=r"put a small ASGI app before it \(docs/frameworks/aiohttp\.md\)"):
        adapter.ConsentMiddleware(web.Application(), plain(), SECRET)


def test_the_proxy_before_it(tutorial: Callable[[str], Any]) -> None:
    """The page asks, its cookie waits, the view behind learns what is granted; nobody forges that."""
    page = tutorial("aiohttp.md")
    page.paste("web.Application()")
    behind = page.module.app
    front = page.paste("async def pass_on")

    async def visit() -> list[httpx.Response]:
        runner = web.AppRunner(behind)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        page.module.BEHIND = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with LifespanManager(front) as manager:
                transport = httpx.ASGITransport(manager.app)
                async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as browser:
                    first = await browser.get("/")
                    forged = await browser.get("/why", headers={"x-consent": "analytics"})
                    head = await browser.head("/")
                    await browser.post(
                        "/_consent/choice",
                        data={"action": "accept_all"},
                        headers={"sec-fetch-site": "same-origin"},
                    )
                    return [first, forged, head, await browser.get("/"), await browser.get("/why")]
        finally:
            await runner.cleanup()

    first, forged, head, later, why = asyncio.run(visit())
    assert (BANNER in first.text, "set-cookie" in first.headers) == (True, False)
    assert (forged.json(), head.status_code, head.content) == ({"counted": False}, 200, b"")
    assert later.headers["set-cookie"].startswith("_ga=1")
    assert why.json() == {"counted": True}
