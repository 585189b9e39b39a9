"""Regions, regimes, and the dated table that says which regime holds where.

Source: CONFORMANCE EU-9 and CA-10. Decides only which regime a region is under, never what follows from it
(`policy`), and never where a visitor is (`headers`, `consent_middleware.geo`, the site's own hook).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Regime", "RegionRules", "StateStatus", "read_region", "region_rules"]

# The character sets are spelled out: `\w` and IGNORECASE would let letters in that are no ASCII.
_REGION = re.compile(r"[A-Za-z]{2}(?:[-_][A-Za-z0-9]{1,3})?")
# What proxies and databases send for "unknown". T1 (Tor), A1, A2, O1 and ?? are no two letters to begin with.
_NOWHERE = frozenset({"XX", "ZZ"})


class Regime(StrEnum):
    """What silence means: under opt-in nothing is allowed, under opt-out and none everything is."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"
    NONE = "none"


class StateStatus(StrEnum):
    """Whether a US state's law asks a site to honour an opt-out preference signal (CA-10)."""

    YES = "yes"
    CONDITIONAL = "conditional"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class RegionRules:
    """Which regime holds where.

    Attributes:
        version: The day the table was last checked, as an RFC 3339 full-date.
        regimes: By region, ``"US"`` or ``"US-CA"``; what is not here is under opt-in.
        states: The US states with a law on opt-out signals, by region, ``"US-CA"``. To be read; no regime
            follows from it.
    """

    version: str
    regimes: Mapping[str, Regime]
    states: Mapping[str, StateStatus]

    def regime(self, region: str) -> Regime:
        """Return the regime of a region: its own, else its country's, else opt-in.

        Args:
            region: As `read_region` returns it; ``""`` where it is unknown.
        """
        country = region.partition("-")[0]
        return self.regimes.get(region) or self.regimes.get(country) or Regime.OPT_IN


def read_region(text: str) -> str:
    """Bring a region into one form: ``"us_ca"`` becomes ``"US-CA"``, ``"de"`` becomes ``"DE"``.

    Args:
        text: A country, or a country and its sub-division, joined by a dash or an underscore; any case.

    Returns:
        ISO 3166-1 alpha-2 or ISO 3166-2 in upper case; ``""`` for anything malformed and for the words that
        mean "unknown". Whether the code is assigned to a place is not checked: an unassigned one has no
        regime of its own, so it is under opt-in.

    Source: ISO 3166-1, ISO 3166-2.
    """
    stripped = text.strip(" \t")
    if not _REGION.fullmatch(stripped):
        return ""
    region = stripped.upper().replace("_", "-")
    return "" if region[:2] in _NOWHERE else region


@cache
def region_rules() -> RegionRules:
    """Return the table that ships with the package, read once."""
    table = tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))
    regimes = {region: Regime(group["regime"]) for group in table["groups"] for region in group["regions"]}
    states = {region: status for status in StateStatus for region in table["states"][status]}
    return RegionRules(table["version"], MappingProxyType(regimes), MappingProxyType(states))
