"""A small client that looks at a site as a browser does, within bounds: time, size and redirects.

It keeps no cookies: who asks says which to send. Certificates are checked as the system checks them.
"""

from __future__ import annotations

import ssl
import time
import zlib
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from consent_middleware import __version__
from consent_middleware.errors import ConsentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_REDIRECTS", "Answer", "Client", "UnreachableError", "join", "origin_of"]

MAX_REDIRECTS = 5
_MAX_BYTES = 1_048_576
_CHUNK = 65_536
_SAFE = "/%?#:@!$&'()*+,;=[]~-._"
_HEADERS = {
    "Accept": "text/html,*/*;q=0.8",
    "Accept-Encoding": "gzip",
    "Accept-Language": "en",
    "User-Agent": f"Mozilla/5.0 (compatible; consent-middleware-check/{__version__})",
}


class UnreachableError(ConsentError):
    """An address does not answer, or not in HTTP."""


@dataclass(frozen=True)
class Answer:
    """What an address answered; header names in lower case.

    Attributes:
        body: At most 1 MB of it.
    """

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str:
        """Return a header's value, empty where there is none; repeated ones joined with commas."""
        return ", ".join(self.all(name))

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def media_type(self) -> str:
        """What kind of thing it is, without parameters."""
        return self.get("content-type").partition(";")[0].strip().lower()

    @cached_property
    def text(self) -> str:
        """The body, read as UTF-8; what is none is replaced."""
        if self.get("content-encoding").strip().lower() != "gzip":
            return self.body.decode("utf-8", "replace")
        try:
            opened = zlib.decompressobj(wbits=31).decompress(self.body, _MAX_BYTES)
        except zlib.error:
            opened = b""
        return opened.decode("utf-8", "replace")


def origin_of(url: str) -> str:
    """Return scheme and host of a URL, as browsers say ``Origin``; empty for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def join(base: str, url: str) -> str:
    """Return an address that a page or a header names; what is none stays as it is, and cannot be asked."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


class Client:
    """Ask addresses, each over a connection of its own.

    Args:
        timeout_s: How long one answer may take.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Return what an address answers; a redirect is an answer.

        Raises:
            UnreachableError: None came.
        """
        return self._ask("GET", url, headers or {}, None)

    def post(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        """Send a form.

        Raises:
            UnreachableError: No answer came.
        """
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", url, form | dict(headers), body.encode())

    def follow(self, url: str, headers: Mapping[str, str] | None = None) -> list[Answer]:
        """Return what an address answers, with the redirects that lead there before it.

        Raises:
            UnreachableError: One of them gave no answer, or there are too many.
        """
        hops = [self.get(url, headers)]
        while (target := hops[-1].get("location")) and 300 <= hops[-1].status < 400:
            if len(hops) > MAX_REDIRECTS:
                raise UnreachableError(f"{url} leads to {MAX_REDIRECTS} redirects and more.")
            hops.append(self.get(join(hops[-1].url, target), headers))
        return hops

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        late = time.monotonic() + self._timeout_s
        connection, target = self._connection(url)
        try:
            connection.request(method, target, body, _HEADERS | dict(headers))
            response = connection.getresponse()
            data = _read(response, late)
            found = tuple((name.lower(), value) for name, value in response.getheaders())
            return Answer(url, response.status, found, data)
        except (OSError, HTTPException, ValueError) as error:  # the last of hosts that no name can be
            raise UnreachableError(f"{url} gives no answer: {_reason(error, self._timeout_s)}.") from None
        finally:
            connection.close()

    def _connection(self, url: str) -> tuple[HTTPConnection, str]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        except ValueError:
            host, port = "", None
        if not host or parts.scheme not in {"http", "https"}:
            raise UnreachableError(f"{url} is no address that a browser asks over HTTP.")
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)
        if parts.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout_s), target
        context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=self._timeout_s, context=context), target


def _read(response: HTTPResponse, late: float) -> bytes:
    """Return the body, as far as the bound."""
    data = bytearray()
    while len(data) < _MAX_BYTES and (chunk := response.read1(_CHUNK)):
        data += chunk
        if time.monotonic() > late:
            raise TimeoutError
    if response.length and len(data) < _MAX_BYTES:
        raise HTTPException("it breaks off")
    return bytes(data[:_MAX_BYTES])


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not come within {timeout_s:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
