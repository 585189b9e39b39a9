"""What our own endpoints take and give: a request and a reply as data, and what is the same for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from consent_middleware.records import NO_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.caching import Headers
    from consent_middleware.choices import Outcome
    from consent_middleware.records import Person, Source
    from consent_middleware.visitor import Visitor

__all__ = [
    "FRAMING",
    "HTML",
    "JSON",
    "MAX_BODY",
    "PERSONAL",
    "TEXT",
    "OwnRequest",
    "Reply",
    "local_path",
    "parse_form",
    "refusal",
    "see_other",
    "way_back",
    "words",
]

MAX_BODY = 16_384
_MAX_FIELDS = 1_000
_MAX_PATH = 2_048
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*\Z")
HTML = (b"content-type", b"text/html; charset=utf-8")
JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
PERSONAL: Headers = [
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Cookie, Sec-GPC, DNT, Accept-Language"),
]
FRAMING: Headers = [
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
]


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request for one of our own resources.

    Attributes:
        method: In capitals.
        scheme: ``http`` or ``https``, as `origins` or the server says.
        host: With port, as the browser sees it.
        base: Where the app is mounted; empty at the root.
        rest: The path below `path`, without its leading slash.
        query: Raw.
        header: Looks up a request header by lower-case name.
        visitor: Who asks.
        language: One of the site's, chosen by Accept-Language.
        now: Seconds since the epoch.
        source: From where it came, as far as the site keeps it.
        body: None while it has not been read; at most `MAX_BODY` + 1 bytes.
    """

    method: str
    scheme: str
    host: str
    base: str
    rest: str
    query: bytes
    header: Callable[[bytes], bytes | None]
    visitor: Visitor
    language: str
    now: float
    body: bytes = b""
    source: Source = NO_SOURCE

    @property
    def wants_json(self) -> bool:
        """Whether the answer is for a script: JSON is accepted and HTML is not."""
        accept = (self.header(b"accept") or b"").lower()
        return b"application/json" in accept and b"text/html" not in accept


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response, and the effects that come before it.

    Attributes:
        outcome: The choice this reply acknowledges, if any; its effects come first.
        persons: Whose history `then` is to be given; it is read first.
        then: Makes the reply from that history (docs/receipts.md).
        otherwise: What is sent instead where the store is away.
    """

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    outcome: Outcome | None = None
    persons: tuple[Person, ...] = ()
    then: Callable[[dict[str, Any]], Reply] | None = None
    otherwise: Reply | None = None

    def acknowledging(self, outcome: Outcome, otherwise: Reply) -> Reply:
        """Return this reply as one that acknowledges a choice."""
        return replace(self, outcome=outcome, otherwise=otherwise)

    @property
    def is_personal(self) -> bool:
        """Whether it was made for one visitor."""
        return any(name == b"cache-control" and value.startswith(b"private") for name, value in self.headers)


def refusal(request: OwnRequest, origins: frozenset[str]) -> Reply | None:
    """Return the answer to a form that may not change anything, None if it may."""
    if not _is_same_origin(request, origins):
        return words(403, "This choice did not come from this site. Nothing changed.")
    media_type = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if media_type != b"application/x-www-form-urlencoded":
        return words(415, "A choice is sent as a form (application/x-www-form-urlencoded). Nothing changed.")
    if len(request.body) > MAX_BODY:
        return words(413, f"A choice is at most {MAX_BODY} bytes. Nothing changed.")
    return None


def _is_same_origin(request: OwnRequest, origins: frozenset[str]) -> bool:
    """Return whether the browser says that the request came from this site's own pages."""
    if request.header(b"sec-fetch-site") == b"same-origin":
        return True  # holds even with Origin: null, which a no-referrer policy makes of it
    origin = (request.header(b"origin") or b"").decode("latin-1").lower()
    if not origin:
        parts = _http_url((request.header(b"referer") or b"").decode("latin-1"))
        origin = f"{parts[0]}://{parts[1]}".lower() if parts else ""
    own = f"{request.scheme}://{request.host}".lower()
    if request.header(b"sec-fetch-site"):
        return origin in origins and origin != own
    return bool(request.host) and (origin == own or origin in origins)


def way_back(request: OwnRequest, wanted: str, prefix: str) -> str:
    """Return where the visitor goes on: a local path, else the same-origin Referer, else the front page.

    Args:
        request: Its Referer counts.
        wanted: What the request asks for.
        prefix: Where our own pages are; nobody is sent back to one of those.
    """
    found = local_path(wanted)
    if found:
        return found
    home = local_path(request.base + "/") or "/"
    referer = (request.header(b"referer") or b"").decode("latin-1")
    parts = _http_url(referer)
    own = request.base + prefix
    if parts and parts[1].lower() == request.host.lower() and not parts[2].startswith(own):
        return local_path(parts[2] + (f"?{parts[3]}" if parts[3] else "")) or home
    return home


def see_other(location: str, *headers: tuple[bytes, bytes]) -> Reply:
    """Return an answer that sends the browser on to a path of this site."""
    target = quote(location, safe="/%?#:@!$&'()*+,;=[]~-._").encode("ascii")
    return Reply(303, [(b"location", target), TEXT, *headers])


def local_path(text: str) -> str:
    """Return ``text`` if it is a path on this very site, else nothing: no open redirect.

    One slash at the start, no backslash (browsers read it as a slash), no white space or control character
    (browsers drop some before they look).
    """
    return text if len(text) <= _MAX_PATH and _LOCAL.match(text) else ""


def _http_url(url: str) -> tuple[str, str, str, str] | None:
    """Return scheme, host with port, path and query of an http URL, None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return (
        (parts.scheme, host, parts.path or "/", parts.query)
        if parts.scheme in {"http", "https"} and host
        else None
    )


def parse_form(body: bytes) -> dict[str, list[str]] | None:
    """Return the fields of a form or a query, None for what is none."""
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None


def words(status: int, text: str, *headers: tuple[bytes, bytes]) -> Reply:
    """Return an answer of plain words."""
    return Reply(status, [TEXT, (b"cache-control", b"no-store"), *headers], text.encode())
