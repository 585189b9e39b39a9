"""Source expressions of a Content-Security-Policy: what may be written, and how a service's hosts read as one.

Source: CSP Level 3, 2.3.1 (source lists), 6.7.2 (matching). Decides nothing about consent.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from consent_middleware.catalog import builtin_services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["HOST", "SAFE_IN_PATH", "Source", "read_source", "service_sources", "smallest", "source_problem"]

HOST = r"(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+|localhost)"
SAFE_IN_PATH = "/%!$&()*+=:@~"
"""What stands in a path as it is; `;` ends a directive and `,` a policy, so both are percent-encoded."""

_SOURCE = re.compile(
    rf"((?:https?|wss?)://)?((?:\*\.)?{HOST})(:\d{{1,5}}|:\*)?(/[a-z0-9._~!$&()*+=:@%/-]*)?", re.IGNORECASE
)
_PATTERN = re.compile(rf"((?:\*\.)?{HOST})(/.*)?")
_ACCEPTED = (
    "accepted: a host such as 'cdn.example.net' or '*.example.net' (every host below it), with a scheme "
    "('https://cdn.example.net', 'wss://live.example.net') or a port ('localhost:5173') where it needs one"
)


class Source(NamedTuple):
    """One host source, in the parts it is written of; each but the host may be empty.

    Attributes:
        scheme: With its ``://``; empty: the page's own, or https.
        host: In lower case; ``*.host`` is every host below it.
        port: With its colon; empty: the scheme's own, ``:*``: any.
        path: What ends in ``/`` stands for all that is below it.
    """

    scheme: str
    host: str
    port: str = ""
    path: str = ""

    def __str__(self) -> str:
        return "".join(self)

    def wider(self) -> Iterator[Source]:
        """Yield every source that allows this one and more."""
        for host, port, path in product(_hosts(self.host), {self.port, ":*"}, _folders(self.path)):
            source = Source(self.scheme, host, port, path)
            if source != self:
                yield source


def _hosts(host: str) -> Iterator[str]:
    yield host
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"


def _folders(path: str) -> Iterator[str]:
    yield from {"", path}
    for index, character in enumerate(path):
        if character == "/" and index:
            yield path[: index + 1]


def source_problem(text: str) -> str:
    """Return what is wrong with an entry of ``[csp] allow``, empty where nothing is."""
    if _SOURCE.fullmatch(text):
        return ""
    if text.strip() == "*":
        return f"'*' would allow every host, so that the policy would hold nothing back; {_ACCEPTED}."
    if text.strip().startswith("'"):
        return f"{text!r} is a keyword, and the policy holds every keyword it can; {_ACCEPTED}."
    return f"{text!r} is not a host that a policy can name; {_ACCEPTED}."


def read_source(text: str) -> Source | None:
    """Return an entry of ``[csp] allow``, or one of the site's origins; None where a policy cannot name it."""
    match = _SOURCE.fullmatch(text)
    if match is None:
        return None
    scheme, host, port, path = match.groups(default="")
    return Source(scheme.lower(), host.lower(), port, "" if path == "/" else path)


def service_sources(pattern: str) -> tuple[Source, ...]:
    """Return the sources that allow what a service's pattern covers; none for a path of the site's own.

    A pattern's path is any prefix, a source's is a folder or one exact file: the folder is taken, as the next
    wider thing that can be said. Browsers do not let a host without scheme stand for its websockets, and chat
    and session replay use them, so each host stands there twice. The catalogue's hosts are on the usual ports;
    what a site declares itself may be on any, since its patterns name no port.
    """
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        return ()
    host, path = match.groups(default="")
    port = "" if pattern in _builtin_patterns() else ":*"
    folder = quote(path[: path.rfind("/") + 1], safe=SAFE_IN_PATH)
    return tuple(Source(scheme, host, port, "" if folder == "/" else folder) for scheme in ("", "wss://"))


@cache
def _builtin_patterns() -> frozenset[str]:
    return frozenset(pattern for service in builtin_services().values() for pattern in service.hosts)


def smallest(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return the sources that no other one covers, in order."""
    found = frozenset(sources)
    return tuple(sorted(source for source in found if found.isdisjoint(source.wider())))
