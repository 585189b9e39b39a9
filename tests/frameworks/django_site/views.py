"""The shop's views; each does one thing that a Django site does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render

from frameworks.django_site.settings import BASE_DIR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from django.http import HttpRequest

PAGE = "<!doctype html><html lang='en'><head><title>Shop</title></head><body><p>Hello</p></body></html>"
PIECES = [
    b"<!doctype html><html><head><title>Shop</title></head><body>",
    b"<p>one</p>",
    b"<p>two</p></body></html>",
]
CALLS: list[str] = []  # what was really rendered, and not taken from a cache
CLOSED: list[str] = []


def home(request: HttpRequest) -> HttpResponse:
    """Answer with a page by a template."""
    return render(request, "home.html")


async def home_async(request: HttpRequest) -> HttpResponse:
    """Answer with the same, asynchronously."""
    return render(request, "home.html")


def data(_request: HttpRequest) -> HttpResponse:
    """Answer with what is no page."""
    return JsonResponse({"a": 1})


def cookies(_request: HttpRequest) -> HttpResponse:
    """Set an essential cookie, one of a known tracker, and one that nobody declared."""
    response = HttpResponse(PAGE)
    response.set_cookie("django_language", "de")
    response.set_cookie("_ga", "GA1.1.1", max_age=60)
    response.set_cookie("nobody", "knows")
    return response


def raw_cookie(_request: HttpRequest) -> HttpResponse:
    """Set a tracker's cookie past Django's own way."""
    response = HttpResponse(PAGE)
    response.headers["Set-Cookie"] = "_ga=GA1.1.1; Path=/"
    return response


def what_i_see(request: HttpRequest) -> HttpResponse:
    """Tell which cookies can be read, by every way there is."""
    raw: Any = request
    scope = getattr(raw, "scope", {"headers": []})
    return JsonResponse(
        {
            "COOKIES": sorted(request.COOKIES),
            "META": request.META.get("HTTP_COOKIE", ""),
            "headers": request.headers.get("Cookie", ""),
            "environ": getattr(raw, "environ", {}).get("HTTP_COOKIE", ""),
            "scope": "; ".join(v.decode() for k, v in scope["headers"] if k == b"cookie"),
            "other middleware": getattr(raw, "seen_by_other", ""),
        }
    )


def choose(request: HttpRequest) -> HttpResponse:
    """Make a choice for the visitor, as an account page does."""
    consent: Any = request
    consent.consent.update({"analytics": True})
    return HttpResponse(PAGE)


def tags(request: HttpRequest) -> HttpResponse:
    """Render every template tag."""
    CALLS.append("tags")
    return render(request, "tags.html")


def order(request: HttpRequest) -> HttpResponse:
    """Take a form that is protected, and say so on the next page."""
    if request.method == "POST":
        messages.success(request, "Thank you")
        return redirect("/order/")
    return render(request, "order.html")


def cached(request: HttpRequest) -> HttpResponse:
    """Answer with a page that is kept."""
    CALLS.append("cached")
    return render(request, "home.html")


def _pieces() -> Iterator[bytes]:
    try:
        yield from PIECES
    finally:
        CLOSED.append("stream")


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    """Answer piece by piece."""
    return StreamingHttpResponse(_pieces())


def stream_async(_request: HttpRequest) -> StreamingHttpResponse:
    """Answer piece by piece, asynchronously."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece

    return StreamingHttpResponse(pieces())


def download(_request: HttpRequest) -> FileResponse:
    """Send a file that is no page."""
    return FileResponse((BASE_DIR / "settings.py").open("rb"), content_type="text/x-python")


def page_file(_request: HttpRequest) -> FileResponse:
    """Send a file that is a page."""
    return FileResponse((BASE_DIR / "page.html").open("rb"))


def part(_request: HttpRequest) -> HttpResponse:
    """Answer with a part of a page."""
    return HttpResponse(b"<p>mid", status=206, headers={"Content-Range": "bytes 5-10/100"})


def broken(_request: HttpRequest) -> HttpResponse:
    """Fail."""
    raise RuntimeError("broken")


def follow(sender: object, request: Any, user: Any, **_: object) -> None:  # noqa: ARG001 - as Django sends it
    """Let the choices of an account follow it: a receiver of `user_logged_in`."""
    request.consent.identify(str(user.pk))


def region(_request: object) -> str:
    """Say where a visitor is: a hook by its path."""
    return "US-CA"


class Outside:
    """A middleware outside of ours that reads what Django then remembers."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Have Django read the headers and the cookies."""
        request.headers.get("Cookie")
        request.COOKIES.get("_ga")
        return self.get_response(request)


class Other:
    """A middleware of the site's own, inside of ours."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Look at the cookies, and set a tracker's."""
        request.seen_by_other = " ".join(sorted(request.COOKIES))
        response = self.get_response(request)
        response.set_cookie("_fbp", "fb.1")
        return response
