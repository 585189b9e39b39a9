"""A tea shop on Flask: an app factory, blueprints, templates, a basket in the session. `Consent` comes in with one line."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from flask import Flask, Response, request

from consent_middleware.flask import Consent

from . import basket, pages

__all__ = ["create_app"]

PROJECT = Path(__file__).resolve().parents[1]
consent = Consent()


def create_app() -> Flask:
    """Return the shop; settings come from the environment: ``FLASK_SECRET_KEY``, ``TRACKER``."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = secrets.token_urlsafe(
        32
    )  # sessions end with the process, unless a key is given
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["CONSENT_CONFIG"] = PROJECT / "consent.toml"
    app.config["TRACKER"] = os.environ.get("TRACKER", "http://localhost:8100")
    app.config.from_prefixed_env()
    consent.init_app(app)  # all there is to it; tags, decorator and g.consent are there from now on

    app.register_blueprint(pages.blueprint)
    app.register_blueprint(basket.blueprint)
    app.after_request(count_visitor)
    return app


def count_visitor(response: Response) -> Response:
    """Mark the visitor, as a tagging server does. It asks nobody: the cookie is held back until it may be set."""
    if response.mimetype == "text/html" and "_ga" not in request.cookies:
        value = f"GA1.1.{secrets.randbelow(10**9)}.{int(time.time())}"
        response.set_cookie("_ga", value, max_age=730 * 86_400, samesite="Lax")
    return response
