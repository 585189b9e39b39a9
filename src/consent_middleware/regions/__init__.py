"""Where a visitor is, as an ISO 3166 code, and which legal regime follows.

``rules``    regions, regimes and the dated table that joins them (``rules.toml``)
``headers``  the region that a trusted proxy in front of the site states

Finding a region by address is left to `consent_middleware.geo`.
"""

from __future__ import annotations

from consent_middleware.regions.headers import REGION_HEADERS, region_from_headers, region_header_problem
from consent_middleware.regions.rules import Regime, RegionRules, StateStatus, read_region, region_rules

__all__ = [
    "REGION_HEADERS",
    "Regime",
    "RegionRules",
    "StateStatus",
    "read_region",
    "region_from_headers",
    "region_header_problem",
    "region_rules",
]
