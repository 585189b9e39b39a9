"""A folder of plain HTML files under Starlette. One line adds the consent, and no file knows of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from consent_middleware.asgi import ConsentMiddleware

FOLDER = Path(__file__).resolve().parent


async def summer(_request: object) -> RedirectResponse:
    """Lead an advert's short address to its page, and try to mark whose click it was: a cookie of Meta's."""
    response = RedirectResponse("/rooms.html", status_code=303)
    response.set_cookie("_fbp", f"fb.1.{time.time_ns()}", max_age=90 * 86_400, samesite="lax")
    return response


site = Starlette(
    routes=[
        Route("/summer", summer),
        Mount("/common", StaticFiles(directory=FOLDER.parent / "common")),
        Mount("/", StaticFiles(directory=os.environ.get("PAGES", FOLDER / "pages"), html=True)),
    ]
)
app = ConsentMiddleware(site, config=FOLDER / "consent.toml")  # this one
