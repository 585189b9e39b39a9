"""What the middleware tells the site's developer through ``logging``: each thing once, never personal data.

The logger is ``consent_middleware``. Cookie names are logged, since there is no other way to say which line
to add; values, paths, addresses and identifiers never are.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.catalog import consent_managers, known_cookie_owners
from consent_middleware.filters import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consent_middleware.catalog import Service
    from consent_middleware.holding import Held

__all__ = ["Reporter", "is_login", "logger"]

logger = logging.getLogger("consent_middleware")

_MAX_SEEN = 4_096
_MAX_HIDDEN = 256
_LOGIN = re.compile(
    r"(?:^|[/_-])(?:log[-_]?in|sign[-_]?in|auth|oauth2?|sso|sessions?|token|callback)(?:$|[/_.-])",
    re.IGNORECASE,
)


class Reporter:
    """Log each finding once.

    Args:
        report_only: Whether nothing is held back, so that the words say "would", loudly enough to be heard.
        use: The services the site takes from the catalogue, to show the line that adds one.
        essential: The cookies the site calls essential, likewise.
    """

    def __init__(self, *, report_only: bool, use: Sequence[str] = (), essential: Sequence[str] = ()) -> None:
        self._verb = "would hold back" if report_only else "held back"
        self._level = logging.WARNING if report_only else logging.INFO
        self._use = tuple(use)
        self._essential = tuple(essential)
        self._seen: set[tuple[str, ...]] = set()
        self._told: set[tuple[bytes, bool]] = set()
        self._hidden: set[str] = set()
        self._lock = threading.Lock()

    @property
    def listens(self) -> bool:
        """Whether anybody hears what is logged at the level of single cookies."""
        return logger.isEnabledFor(self._level)

    def is_news(self, set_cookie: bytes, *, login: bool) -> bool:
        """Return whether a held `Set-Cookie` of this name may not have been told yet; cheap, for every one."""
        key = (set_cookie.partition(b"=")[0], login)
        if key in self._told:
            return False
        if len(self._told) < _MAX_SEEN:
            self._told.add(key)
        return True

    def once(self, level: int, key: tuple[str, ...], message: str) -> None:
        """Log a message unless one of the same key was logged; remember a bounded number of keys."""
        with self._lock:
            if key in self._seen or len(self._seen) >= _MAX_SEEN:
                return
            self._seen.add(key)
        logger.log(level, "consent_middleware: %s", message)

    def held_cookie(self, name: str, verdict: Verdict, owners: tuple[str, ...], *, login: bool) -> None:
        """Say that a `Set-Cookie` was held back, and which line declares it."""
        key = ("login" if login else "held", name)
        if verdict is Verdict.HOLD_DECLARED:
            text = f"{self._verb} Set-Cookie {name!r} of {', '.join(owners)}: the visitor has not granted it."
            self.once(self._level, key, text)
            return
        prefix = "This was the answer to a log-in: visitors may not get in. " if login else ""
        text = f"{self._verb} Set-Cookie {name!r}: nobody declares it. {prefix}{self._how_to_declare(name)}"
        self.once(logging.ERROR if login else logging.WARNING, key, text)

    def held_tag(self, held: Held) -> None:
        """Say that a page's tag was held back, and which line declares its service."""
        service = held.service
        if held.declared:
            text = f"{self._verb} tags of {service.id}: the visitor has not granted it."
            self.once(self._level, ("tag", service.id), text)
            return
        text = (
            f"{self._verb} tags of {service.name}: nobody declares it, so visitors are not asked about it. "
            f"In consent.toml, at the top:\n{_toml_line('use', (*self._use, service.id))}"
        )
        self.once(logging.WARNING, ("tag", service.id), text)

    def passing_tag(self, service: Service) -> None:
        """Say that a page loads something of a known service that nobody declares, and that it passes."""
        if consent_managers().get(service.id) is service:
            text = (
                f"a page loads {service.name}, another consent manager. Visitors are asked twice, and what they answer there "
                "counts for nothing here: take its tag out of the page."
            )
            self.once(logging.WARNING, ("manager", service.id), text)
            return
        text = (
            f"a page loads something from {service.name} ({service.category}), which nobody declares; it is not held "
            f"back. In consent.toml, at the top:\n{_toml_line('use', (*self._use, service.id))}"
        )
        self.once(logging.WARNING, ("passing", service.id), text)

    def hidden_cookie(self, name: str, owners: tuple[str, ...]) -> None:
        """Say that a request cookie was hidden from the app."""
        verb = "would hide" if self._verb.startswith("would") else "hid"
        text = f"{verb} the request cookie {name!r} of {', '.join(owners)} from the app: the visitor has not granted it."
        # Visitors choose these names, so they fill a memory of their own.
        if name not in self._hidden and len(self._hidden) < _MAX_HIDDEN:
            self._hidden.add(name)
            self.once(self._level, ("hidden", name), text)

    def _how_to_declare(self, name: str) -> str:
        """Return the lines of consent.toml that declare a cookie, fit to paste."""
        known = known_cookie_owners(name)
        if known:
            line = _toml_line("use", (*self._use, known[0].id))
            return f"It is known to belong to {known[0].name}. In consent.toml, at the top:\n{line}"
        line = _toml_line("essential", (*self._essential, name))
        return (
            f"If the site cannot work without it, in consent.toml, below [cookies]:\n{line}\n"
            "Otherwise, at the end, with your own words:\n"
            '[[services]]\nid = "my-service"\nname = "My service"\ncategory = "analytics"\n'
            f'cookies = [{{ name = {json.dumps(name)}, retention = "P1Y", purpose = "..." }}]'
        )


def _toml_line(key: str, values: tuple[str, ...]) -> str:
    # A JSON array of strings is a TOML one too.
    return f"{key} = {json.dumps(list(dict.fromkeys(values)))}"


@lru_cache(maxsize=1024)
def is_login(path: str) -> bool:
    """Return whether a response for this path may be the answer to a log-in."""
    return bool(_LOGIN.search(path))
