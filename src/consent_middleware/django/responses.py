"""Django's response, as an `Exchange` reads and edits it: headers, cookies, and a body whole or in pieces."""

from __future__ import annotations

from http.cookies import Morsel
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpResponse, StreamingHttpResponse

from consent_middleware.response import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterator

    from django.http import HttpResponseBase

    from consent_middleware.caching import Headers
    from consent_middleware.exchange import Exchange
    from consent_middleware.replies import Reply

__all__ = ["edit", "edit_async", "from_reply"]


def from_reply(exchange: Exchange, reply: Reply) -> HttpResponse:
    """Return a reply of our own as Django's response."""
    response = HttpResponse(b"" if exchange.method == "HEAD" else reply.body, status=reply.status)
    _put(response, exchange.finish(reply))
    return response


def edit(exchange: Exchange, response: HttpResponseBase) -> None:
    """Do to a response what consent asks; one that nothing is done to stays as it is."""
    answer = _answer(exchange, response)
    if answer is None:
        return
    if isinstance(response, StreamingHttpResponse):
        chunks = _iterator(response)
        head, ended = b"", False
        while answer.headers is None and not ended:  # the headers wait for the first piece
            chunk = next(chunks, None)
            ended = chunk is None
            head += answer.feed(chunk or b"", last=ended)
        response.streaming_content = _rest(answer, head, chunks, ended=ended)
    else:
        _rewrite(answer, response)
    _put(response, answer.headers or [])


async def edit_async(exchange: Exchange, response: HttpResponseBase) -> None:
    """Do the same where the body may come asynchronously."""
    answer = _answer(exchange, response)
    if answer is None:
        return
    if isinstance(response, StreamingHttpResponse):
        chunks = aiter(response)
        head, ended = b"", False
        while answer.headers is None and not ended:
            chunk = await anext(chunks, None)
            ended = chunk is None
            head += answer.feed(chunk or b"", last=ended)
        response.streaming_content = _rest_async(answer, head, chunks, ended=ended)
    else:
        _rewrite(answer, response)
    _put(response, answer.headers or [])


def _answer(exchange: Exchange, response: HttpResponseBase) -> Response | None:
    """Settle a response's headers; return what its body must be fed to, None where it stays as it is."""
    given = _headers(response)
    answer = exchange.respond(response.status_code, given)
    if isinstance(answer, Response):
        return answer
    if answer is not given:
        _put(response, answer)
    return None


def _rewrite(answer: Response, response: HttpResponseBase) -> None:
    whole = cast("HttpResponse", response)
    body = whole.content
    out = answer.feed(body, last=True)
    if out is not body:
        whole.content = out


def _iterator(response: StreamingHttpResponse) -> Iterator[bytes]:
    return iter(cast("Any", response))  # an asynchronous body is gathered by Django, with its own warning


def _rest(answer: Response, head: bytes, chunks: Iterator[bytes], *, ended: bool) -> Iterator[bytes]:
    """Yield a rewritten body; Django closes the app's own iterator with the response."""
    if head:
        yield head
    if ended:
        return
    for chunk in chunks:
        if out := answer.feed(chunk, last=False):
            yield out
    if out := answer.feed(b"", last=True):
        yield out


async def _rest_async(
    answer: Response, head: bytes, chunks: AsyncIterator[bytes], *, ended: bool
) -> AsyncIterator[bytes]:
    """Yield a rewritten body as it comes."""
    if head:
        yield head
    if ended:
        return
    async for chunk in chunks:
        if out := answer.feed(chunk, last=False):
            yield out
    if out := answer.feed(b"", last=True):
        yield out


# -- headers


def _headers(response: HttpResponseBase) -> Headers:
    """Return a response's headers as they would go over the wire, cookies last."""
    return [
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()),
        *((b"set-cookie", _written(morsel)) for morsel in response.cookies.values()),
    ]


def _written(morsel: Morsel[str]) -> bytes:
    return morsel.OutputString().encode("latin-1", "replace")


def _put(response: HttpResponseBase, headers: Headers) -> None:
    """Make a response's headers and cookies these; a cookie that is there already is left alone."""
    wanted: dict[str, str] = {}
    cookies: list[bytes] = []
    for name, value in headers:
        lowered, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if lowered == "set-cookie":
            cookies.append(value)
        else:  # Django holds each once; those that may repeat are lists (RFC 9110 5.3)
            wanted[lowered] = f"{wanted[lowered]}, {text}" if lowered in wanted else text
    names = {key.lower(): key for key, _ in response.items()}
    for lowered, key in names.items():
        if lowered not in wanted:
            del response[key]
    for lowered, text in wanted.items():
        response[names.get(lowered, lowered.title())] = text
    _put_cookies(response, cookies)


def _put_cookies(response: HttpResponseBase, cookies: list[bytes]) -> None:
    """Drop the app's cookies that are not among these, and add what the app did not set."""
    jar = response.cookies
    for key, morsel in [*jar.items()]:
        value = _written(morsel)
        if value in cookies:
            cookies.remove(value)
        else:
            del jar[key]
    for value in cookies:
        if not value.isascii():  # the deletion of a cookie with such a name, which Django cannot send
            continue
        morsel = _Written(value.decode("ascii"))
        key, count = morsel.key, 1
        while key in jar:  # deletions of one cookie on several domains
            count += 1
            key = f"{morsel.key} {count}"
        jar[key] = morsel


class _Written(Morsel[str]):
    """A ``Set-Cookie`` value that goes out letter by letter as the core wrote it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    @property
    def key(self) -> str:
        """The cookie's name."""
        return self._text.partition("=")[0]

    @property
    def value(self) -> str:
        """The cookie's value."""
        return self._text.partition("=")[2].partition(";")[0]

    @property
    def coded_value(self) -> str:
        """The same: nothing in it is quoted."""
        return self.value

    def OutputString(self, attrs: Container[str] | None = None) -> str:  # noqa: ARG002, N802 - the standard library's
        """Return the header's value."""
        return self._text
