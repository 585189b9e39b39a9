"""One request, as the hooks see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConsentRequest"]


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What a hook is given.

    Attributes:
        method: In capitals.
        scheme: ``http`` or ``https``.
        host: With port, as the browser sees it.
        path: Below the mount point, decoded by the server.
        headers: By lower-case name; repeated ones joined as HTTP allows.
        cookies: By name, unfiltered; of duplicates the first.
        client: The peer's address, None where the server does not say.
        raw: The ASGI scope or the WSGI environ.
    """

    method: str
    scheme: str
    host: str
    path: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    client: str | None
    raw: Any
