"""What the middleware tells the site's developer through ``logging``: each thing once, never personal data.

The logger is ``consent_middleware``. Cookie names are logged, since there is no other way to say which line
to add; values, paths, addresses and identifiers never are.
"""

from __future__ import annotations

import logging
import re
import threading
from functools import lru_cache

from consent_middleware.catalog import known_cookie_owners
from consent_middleware.filters import Verdict

__all__ = ["Reporter", "is_login", "logger"]

logger = logging.getLogger("consent_middleware")

_MAX_SEEN = 4_096
_LOGIN = re.compile(
    r"(?:^|[/_-])(?:log[-_]?in|sign[-_]?in|auth|oauth2?|sso|sessions?|token|callback)(?:$|[/_.-])",
    re.IGNORECASE,
)


class Reporter:
    """Log each finding once.

    Args:
        report_only: Whether nothing is held back, so that the words say "would".
    """

    def __init__(self, *, report_only: bool) -> None:
        self._verb = "would hold back" if report_only else "held back"
        self._seen: set[tuple[str, ...]] = set()
        self._told: set[bytes] = set()
        self._lock = threading.Lock()

    @property
    def listens(self) -> bool:
        """Whether anybody hears what is logged at the level of single cookies."""
        return logger.isEnabledFor(logging.INFO)

    def is_news(self, set_cookie: bytes) -> bool:
        """Return whether a held `Set-Cookie` of this name may not have been told yet; cheap, for every one."""
        head = set_cookie.partition(b"=")[0]
        if head in self._told:
            return False
        if len(self._told) < _MAX_SEEN:
            self._told.add(head)
        return True

    def once(self, level: int, key: tuple[str, ...], message: str) -> None:
        """Log a message unless one of the same key was logged; remember a bounded number of keys."""
        with self._lock:
            if key in self._seen or len(self._seen) >= _MAX_SEEN:
                return
            self._seen.add(key)
        logger.log(level, message)

    def held_cookie(self, name: str, verdict: Verdict, owners: tuple[str, ...], *, login: bool) -> None:
        """Say that a `Set-Cookie` was held back, and which line declares it."""
        key = ("login" if login else "held", name)
        if verdict is Verdict.HOLD_DECLARED:
            text = f"{self._verb} Set-Cookie {name!r} of {', '.join(owners)}: the visitor has not granted it."
            self.once(logging.INFO, key, text)
            return
        prefix = "This was the answer to a log-in: visitors may not get in. " if login else ""
        text = f"{self._verb} Set-Cookie {name!r}: nobody declares it. {prefix}{_how_to_declare(name)}"
        self.once(logging.ERROR if login else logging.WARNING, key, text)

    def hidden_cookie(self, name: str, owners: tuple[str, ...]) -> None:
        """Say that a request cookie was hidden from the app."""
        verb = "would hide" if self._verb.startswith("would") else "hid"
        text = f"{verb} the request cookie {name!r} of {', '.join(owners)} from the app: the visitor has not granted it."
        self.once(logging.INFO, ("hidden", name), text)


@lru_cache(maxsize=1024)
def is_login(path: str) -> bool:
    """Return whether a response for this path may be the answer to a log-in."""
    return bool(_LOGIN.search(path))


def _how_to_declare(name: str) -> str:
    known = known_cookie_owners(name)
    if known:
        ids = ", ".join(f'"{service.id}"' for service in known)
        return f"It is known to belong to {known[0].name}. In consent.toml: use = [{ids}]"
    return (
        f'If the site cannot work without it, in consent.toml: [cookies] essential = ["{name}"]; '
        f'otherwise: [[services]] id = "my-service" name = "My service" category = "analytics" '
        f'cookies = [{{ name = "{name}", retention = "P1Y", purpose = "..." }}]'
    )
