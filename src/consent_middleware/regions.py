"""The legal regimes a visitor can be under.

Only opt-in is in force in this version; choosing a regime by region comes with the decision table for the
others. The type stands here so that records and decisions name the regime from the first day.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Regime"]


class Regime(StrEnum):
    """What silence means: under opt-in nothing is allowed, under opt-out and none everything is."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"
    NONE = "none"
