"""What a look at a site from outside found: each thing with how to mend it, and what a site should do."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from consent_middleware.catalog import known_cookie_owners
from consent_middleware.config import load_config
from consent_middleware.cookies import set_cookie_name
from consent_middleware.filters import CookieFilter, Verdict
from consent_middleware.visitor import CookieNames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consent_middleware.cli.fetching import Answer
    from consent_middleware.config import ConsentConfig

__all__ = ["Expected", "Finding", "Level", "fault", "fine", "warning"]

_OWN_NAME = re.compile(r"(?:__(?:Host|Secure)-)?consent(?:-[a-z0-9-]+)?\Z")


class Level(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        text: What was seen.
        mend: What to do; empty where there is nothing to do.
    """

    level: Level
    text: str
    mend: str = ""


def fine(text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.OK, text)


def warning(text: str, mend: str) -> Finding:
    """Return what may be meant, or harms some visitors only."""
    return Finding(Level.WARNING, text, mend)


def fault(text: str, mend: str) -> Finding:
    """Return what is wrong."""
    return Finding(Level.FAULT, text, mend)


class Expected:
    """What a site should do, by its declaration.

    Args:
        config: None where it is not at hand: then only what the catalogue knows is judged.
    """

    def __init__(self, config: ConsentConfig | None) -> None:
        self.is_known = config is not None
        unnamed = {"site": {"name": "-"}, "controller": {"name": "-", "contact": "-"}}
        self.config = config or load_config(unnamed, environ={})
        self.catalog = self.config.catalog
        self.path = self.config.site.path
        self.reports = self.config.site.mode == "report"
        self._names = CookieNames(
            f"-{self.config.site.id}" if self.config.site.id else "", self.config.site.cookie_domain
        )

    @cached_property
    def always(self) -> frozenset[str]:
        """The units that need no answer."""
        return self.catalog.always

    def is_own(self, name: str, *, secure: bool) -> bool:
        """Return whether a cookie is the one that keeps the answer, under the name it has to have."""
        if self.is_known:
            return name == self._names.name(secure=secure)
        prefixed = name.startswith(("__Host-", "__Secure-"))
        return bool(_OWN_NAME.match(name)) and not name.endswith("-own") and prefixed == secure

    def is_own_anywhere(self, name: str) -> bool:
        """Return whether a cookie is ours under whatever name."""
        return name in self._names.all if self.is_known else bool(_OWN_NAME.match(name))

    def escaping(self, answers: Iterable[Answer], granted: frozenset[str]) -> list[Finding]:
        """Return a finding for each cookie that should not have been set.

        Args:
            answers: What the site answered.
            granted: Units that may run for who asked.
        """
        filter_ = CookieFilter(
            self.catalog,
            granted=granted,
            withdrawn=frozenset(),
            allow_unknown=self.config.cookies.unknown == "allow",
            own_names=frozenset(),
        )
        found: dict[str, Verdict] = {}
        for value in (raw.encode("latin-1", "replace") for a in answers for raw in a.all("set-cookie")):
            verdict = filter_.set_cookie(value, time.time())
            name = set_cookie_name(value)
            if verdict is not Verdict.PASS and not self.is_own_anywhere(name):
                found[name] = verdict
        return [self._escape(name, verdict) for name, verdict in found.items()]

    def _escape(self, name: str, verdict: Verdict) -> Finding:
        owners = ", ".join(s.name for s in known_cookie_owners(name)) or ", ".join(self.catalog.owners(name))
        if verdict is Verdict.HOLD_UNKNOWN and not self.is_known and not owners:
            return warning(
                f"{name!r} is set without consent.",
                "It is right if the site declares it essential: say where consent.toml is (--config) to have that looked at.",
            )
        whose = f"a cookie of {owners}" if owners else "which nobody declares"
        how = (
            'The site is in report mode, which holds nothing back: declare it, then set [site] mode = "enforce".'
            if self.reports
            else "Whatever sets it stands outside of the middleware, such as a proxy or a middleware around it: put the "
            "middleware outermost, or declare the cookie, below [cookies] essential, if the site cannot work without it."
        )
        return fault(f"{name!r}, {whose}, is set without consent.", how)
