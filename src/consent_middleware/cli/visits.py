"""A visit to a page of a site: what of ours is in it, and where our own pages are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from consent_middleware.cli.fetching import join, origin_of

if TYPE_CHECKING:
    from consent_middleware.cli.fetching import Answer

__all__ = ["NAVIGATION", "State", "Visit", "read_object"]

NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
"""What a browser sends for a page."""

_LOADER = re.compile(r'<script\b[^>]*\ssrc="([^"]*)/static/[0-9a-f]+/guard\.js"([^>]*)>')
_BANNER = 'id="consent-banner"'


@dataclass(frozen=True)
class Visit:
    """One visit to the page.

    Attributes:
        hops: What was answered, redirects first, the page last.
    """

    hops: list[Answer]

    @property
    def page(self) -> Answer:
        """The page itself."""
        return self.hops[-1]

    @cached_property
    def _loader(self) -> re.Match[str] | None:
        return _LOADER.search(self.page.text)

    @property
    def is_ours(self) -> bool:
        """Whether the page holds the loader."""
        return self._loader is not None

    @property
    def is_shared(self) -> bool:
        """Whether it is the same for everybody, so that it shows nobody's answer."""
        return bool(self._loader) and "data-shared" in (self._loader[2] if self._loader else "")

    @property
    def asks(self) -> bool:
        """Whether it holds the banner."""
        return _BANNER in self.page.text

    @property
    def origin(self) -> str:
        """Where the page came from."""
        return origin_of(self.page.url)

    def base(self, path: str) -> str:
        """Return the address below which our own pages are: as the page says, else below the site's `path`."""
        return join(self.page.url, str(self._loader[1]) if self._loader else path)

    @property
    def files(self) -> list[str]:
        """The addresses of our files in the page."""
        own = re.escape(self._loader[1]) if self._loader else "\0"
        found = re.findall(rf'\s(?:src|href)="({own}/static/[^"]+)"', self.page.text)
        return [join(self.page.url, one) for one in dict.fromkeys(found)]


@dataclass(frozen=True, slots=True)
class State:
    """What state.json says of who asks; whatever else may stand there."""

    regime: str = ""
    answered: bool = False
    prompt: bool = False
    gpc: bool = False
    granted: frozenset[str] = frozenset()

    @classmethod
    def read(cls, answer: Answer) -> State | None:
        """Return the state that an address answers, None where it is none."""
        found = read_object(answer)
        granted, signals = found.get("granted"), found.get("signals")
        if not isinstance(granted, list) or not isinstance(signals, dict):
            return None
        return cls(
            regime=str(found.get("regime")),
            answered=found.get("answered") is True,
            prompt=found.get("prompt") is True,
            gpc=signals.get("gpc") is True,
            granted=frozenset(unit for unit in granted if isinstance(unit, str)),
        )


def read_object(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that an address answers, an empty one where it answers something else."""
    try:
        found = json.loads(answer.text) if answer.status == 200 else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
