"""A blog on FastAPI and htmx: pages from Jinja, older posts and comments as fragments, a dependency for the consent."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, NoReturn

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from consent_middleware.asgi import ConsentMiddleware
from consent_middleware.jinja import ConsentExtension
from consent_middleware.starlette import ConsentDep, consent_context

from .posts import COMMENTS, PAGE, POSTS, Comment

FOLDER = Path(__file__).resolve().parent
TRACKER = os.environ.get("TRACKER", "http://localhost:8100")

templates = Jinja2Templates(FOLDER / "templates", context_processors=[consent_context])
templates.env.globals["tracker"] = TRACKER
templates.env.add_extension(ConsentExtension)
site = FastAPI(title="Slow Bread", openapi_url=None)  # it has pages, and no API
site.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
site.mount("/common", StaticFiles(directory=FOLDER.parents[1] / "common"), name="common")
# htmx itself, from the package that ships its file: nothing comes from another host.
site.mount("/htmx", StaticFiles(packages=[("django_htmx", "static/django_htmx")]), name="htmx")


@site.get("/", response_class=HTMLResponse)
async def home(request: Request) -> Response:
    """Show the newest posts."""
    return templates.TemplateResponse(request, "home.html", _page(0))


@site.get("/posts", response_class=HTMLResponse)
async def more(request: Request, after: int = 0) -> Response:
    """Return the next posts: a fragment for htmx, a page for everyone else."""
    name = "_posts.html" if "hx-request" in request.headers else "home.html"
    return templates.TemplateResponse(request, name, _page(after))


@site.get("/posts/{slug}", response_class=HTMLResponse)
async def post(request: Request, slug: str) -> Response:
    """Show a post and what readers say."""
    found = POSTS.get(slug) or _missing()
    said = {"post": found, "comments": COMMENTS[slug], "pen_name": request.cookies.get("pen_name", "")}
    return templates.TemplateResponse(request, "post.html", said)


@site.post("/posts/{slug}/comments", response_class=HTMLResponse)
async def comment(
    request: Request,
    slug: str,
    name: Annotated[str, Form(min_length=1, max_length=40)],
    text: Annotated[str, Form(min_length=1, max_length=500)],
) -> Response:
    """Keep a comment; htmx is given its fragment, a form without scripts the page."""
    found = POSTS.get(slug) or _missing()
    COMMENTS[slug].append(Comment(name, text))
    response: Response
    if "hx-request" in request.headers:
        response = templates.TemplateResponse(request, "_comments.html", {"comments": COMMENTS[slug][-1:]})
    else:
        response = RedirectResponse(f"/posts/{found.slug}#comments", status_code=303)
    response.set_cookie("pen_name", name, max_age=30 * 86_400, samesite="lax")
    return response


@site.get("/reading-list", response_class=HTMLResponse)
async def reading_list(request: Request, consent: ConsentDep) -> Response:
    """Suggest what to read: by what others read, where counting is allowed, else simply the oldest."""
    counted = consent.allows("analytics")
    posts = sorted(POSTS.values(), key=lambda post: post.readers if counted else 0, reverse=counted)
    return templates.TemplateResponse(
        request, "_reading_list.html", {"counted": counted, "posts": posts[-3:] if not counted else posts[:3]}
    )


@site.get("/newsletter")
async def newsletter() -> Response:
    """Send a click from an advert on, and try to mark whose it was: a cookie of Meta's on a redirect."""
    response = RedirectResponse("/?from=newsletter", status_code=303)
    response.set_cookie("_fbp", f"fb.1.{time.time_ns()}", max_age=90 * 86_400, samesite="lax")
    return response


@site.get("/film", response_class=HTMLResponse)
@site.get("/privacy", response_class=HTMLResponse)
async def plain_page(request: Request) -> Response:
    """Show a page that is only a template."""
    return templates.TemplateResponse(request, f"{request.url.path.strip('/')}.html")


def _page(after: int) -> dict[str, object]:
    start = max(after, 0)
    posts = [*POSTS.values()]
    return {"posts": posts[start : start + PAGE], "next": start + PAGE if start + PAGE < len(posts) else 0}


def _missing() -> NoReturn:
    raise HTTPException(404, "There is no such post.")


# The last line: everything above is served through it.
app = ConsentMiddleware(site, config=FOLDER.parent / "consent.toml")
