"""The shop under WSGI: Flask. The consent comes in with one line, the last but one of `create_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask
import werkzeug
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from consent_middleware.wsgi import ConsentMiddleware
from examples.shop.gallery import FRAME, HEADERS, Frame
from examples.shop.site import CONFIG, Reply, Request, Shop

if TYPE_CHECKING:
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from consent_middleware import ConsentConfig

__all__ = ["create_app", "with_gallery"]


def create_app(shop: Shop, secret_key: str, config: Path | ConsentConfig = CONFIG) -> flask.Flask:
    """Return the shop as a WSGI app.

    Args:
        shop: The pages.
        secret_key: Signs the session and the consent.
        config: The declaration.
    """
    app = flask.Flask(__name__, static_folder=None)
    app.secret_key = secret_key

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def endpoint(path: str) -> flask.Response:
        return _answered(shop.handle(_asked(f"/{path}")))

    app.wsgi_app = ConsentMiddleware(app.wsgi_app, config, secret_key)  # type: ignore[method-assign]
    return app


def with_gallery(app: WSGIApplication) -> WSGIApplication:
    """Return the app with the gallery's frames beside it, which show other banners than the shop's own."""

    @werkzeug.Request.application
    def frame(request: werkzeug.Request) -> werkzeug.Response:
        document = Frame.read(request.args).document()
        return werkzeug.Response(document, headers=HEADERS, mimetype="text/html")

    return DispatcherMiddleware(app, {FRAME: frame})


def _asked(path: str) -> Request:
    request = flask.request
    return Request(
        method=request.method,
        path=path,
        host=request.host,
        cookies=request.cookies,
        form=request.form,
        user=lambda: flask.session.get("user", ""),
        consent=request.environ["consent_middleware.consent"],
        query=request.args,
    )


def _answered(reply: Reply) -> flask.Response:
    if reply.user is not None:
        flask.session.clear()
        if reply.user:
            flask.session["user"] = reply.user
    response = flask.Response(reply.body, reply.status, reply.headers, content_type=reply.media_type)
    for cookie in reply.cookies:
        response.set_cookie(cookie.name, cookie.value, max_age=cookie.max_age_s, samesite="Lax")
    return response
