"""Who asks, beside signals and choice: where the visitor is, whether known to the site, whether a minor.

The region is the first that is known of: the site's own hook, a trusted proxy's header, a database of addresses. What
nobody knows is strict: unknown means opt-in. What hooks return is the site's word, but never trusted to be well-formed.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from consent_middleware.geo import GeoRegions
from consent_middleware.policy import Circumstances
from consent_middleware.regions import read_region, region_from_headers, region_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consent_middleware.config import ConsentConfig
    from consent_middleware.reporting import Reporter

__all__ = ["HOOKS", "Whereabouts"]

HOOKS = ("region", "age_class", "subject")
"""The hooks that are asked, in this order."""

_MINORS = frozenset({"under_13", "13_15"})
_AGES = frozenset({*_MINORS, "adult", "unknown"})
_NOWHERE = frozenset({"XX", "T1", "ZZ"})  # what delivery networks say of who is nowhere
_WORD = re.compile(r"[A-Za-z_-]{1,16}\Z")


class Whereabouts:
    """What is known of visitors of one site.

    Args:
        config: The declaration.
        reporter: Told once of a hook's answer that means nothing.

    Raises:
        ConfigError: The database of addresses cannot be used.
    """

    def __init__(self, config: ConsentConfig, reporter: Reporter) -> None:
        self._headers = tuple(config.site.region_headers)
        database = config.site.geo_database
        self._geo = GeoRegions(config.folder / database) if database else None
        self._reporter = reporter
        fixed = None if config.by_region else config.regime
        rules = region_rules()
        self._made = lru_cache(maxsize=512)(
            lambda region, known, minor: Circumstances(
                fixed or rules.regime(region), region, known=known, minor=minor
            )
        )
        self.usual: Circumstances = self._made("", False, False)  # noqa: FBT003 - a cache key
        self.looks = bool(self._headers or self._geo)
        self._follows = config.keeps_records

    def circumstances(
        self, said: Mapping[str, object], header: Callable[[bytes], bytes | None], client: str | None
    ) -> Circumstances:
        """Return what is known of a request's visitor.

        Args:
            said: What the site's hooks returned, by their names; only of those there are.
            header: Looks up a request header by lower-case name; repeated ones joined.
            client: The peer's address.
        """
        age = said.get("age_class") or "unknown"
        if not isinstance(age, str) or age not in _AGES:
            self._tell("age_class", age, ", ".join(sorted(_AGES)))
            age = "unknown"
        subject = said.get("subject")
        made = self._made(self._region(said, header, client), bool(subject), age in _MINORS)
        return replace(made, subject=str(subject or "")) if self._follows and "subject" in said else made

    def _region(
        self, said: Mapping[str, object], header: Callable[[bytes], bytes | None], client: str | None
    ) -> str:
        told = said.get("region")
        if told:
            region = read_region(told) if isinstance(told, str) else ""
            if region:
                return region
            if not (isinstance(told, str) and told.upper() in _NOWHERE):
                self._tell("region", told, "'DE', 'US-CA' or None")
                return ""
        found = region_from_headers(self._headers, header) if self._headers else ""
        return found or (self._geo.region(client or "") if self._geo else "")

    def _tell(self, hook: str, answer: object, accepted: str) -> None:
        # What it returned may say more of a visitor than a log may hold.
        shown = (
            repr(answer) if isinstance(answer, str) and _WORD.match(answer) else f"a {type(answer).__name__}"
        )
        words = f"the {hook} hook returned {shown}; accepted: {accepted}. It counts as unknown."
        self._reporter.once(logging.ERROR, ("hook", hook), words)
