"""Trails and how they are, on Litestar: controllers, templates, a JSON API, a session."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from litestar import Litestar, Response, Router
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig

from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.jinja import ConsentExtension

from .api import TrailApi
from .pages import Pages

FOLDER = Path(__file__).resolve().parent


async def count_visitor(response: Response[object]) -> Response[object]:
    """Mark the visitor, as a tagging server does. It asks nobody: the cookie is held back until it may be set."""
    value = f"GA1.1.{secrets.randbelow(10**9)}.{int(time.time())}"
    response.set_cookie("_ga", value, max_age=730 * 86_400, samesite="lax")
    return response


def _engine() -> JinjaTemplateEngine:
    engine = JinjaTemplateEngine(FOLDER / "templates")
    engine.engine.add_extension(ConsentExtension)  # {% consent %}, consent_link()
    engine.engine.globals["tracker"] = os.environ.get("TRACKER", "http://localhost:8100")
    return engine


site = Litestar(
    route_handlers=[
        Router("/", route_handlers=[Pages, TrailApi], after_request=count_visitor),
        create_static_files_router("/static", [FOLDER / "static", FOLDER.parents[1] / "common"]),
    ],
    template_config=TemplateConfig(instance=_engine()),
    middleware=[ServerSideSessionConfig(samesite="lax").middleware],
    # The description as JSON: the usual viewers would load their scripts from elsewhere.
    openapi_config=OpenAPIConfig("Trail Report", "1", render_plugins=[JsonRenderPlugin()]),
)
app = ConsentMiddleware(site, config=FOLDER.parent / "consent.toml")  # below everything
