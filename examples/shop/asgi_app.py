"""The shop under ASGI: Starlette. The consent comes in with one line, the last one of `create_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from consent_middleware.asgi import ConsentMiddleware
from examples.shop.gallery import FRAME, HEADERS, Frame
from examples.shop.site import CONFIG, Reply, Request, Shop

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request as StarletteRequest

    from consent_middleware import ConsentConfig

__all__ = ["create_app", "with_gallery"]


def create_app(shop: Shop, secret_key: str, config: Path | ConsentConfig = CONFIG) -> ConsentMiddleware:
    """Return the shop as an ASGI app.

    Args:
        shop: The pages.
        secret_key: Signs the session and the consent.
        config: The declaration.
    """

    async def endpoint(request: StarletteRequest) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        reply = await run_in_threadpool(shop.handle, _asked(request, form))
        return _answered(request, reply)

    app = Starlette(
        routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])],
        middleware=[Middleware(SessionMiddleware, secret_key=secret_key, max_age=None)],
    )
    return ConsentMiddleware(app, config, secret_key)


def with_gallery(app: ConsentMiddleware) -> Starlette:
    """Return the app with the gallery's frames beside it, which show other banners than the shop's own."""

    def frame(request: StarletteRequest) -> Response:
        document = Frame.read(request.query_params).document()
        return Response(document, headers=HEADERS, media_type="text/html")

    return Starlette(routes=[Route(FRAME, frame), Mount("/", app)])


def _asked(request: StarletteRequest, form: dict[str, str]) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        host=request.headers.get("host", ""),
        cookies=request.cookies,
        form=form,
        user=lambda: request.session.get("user", ""),
        consent=request.state.consent,
        query=request.query_params,
    )


def _answered(request: StarletteRequest, reply: Reply) -> Response:
    if reply.user is not None:
        request.session.clear()
        if reply.user:
            request.session["user"] = reply.user
    response: Response
    if isinstance(reply.body, bytes):
        response = Response(reply.body, reply.status, reply.headers, reply.media_type)
    else:
        response = StreamingResponse(reply.body, reply.status, reply.headers, reply.media_type)
    for cookie in reply.cookies:
        response.set_cookie(cookie.name, cookie.value, max_age=cookie.max_age_s, samesite="lax")
    return response
