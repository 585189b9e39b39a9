"""Content-Security-Policy: one a consent state, what browsers report of it, and what the app's own lacks.

Source: CSP Level 3, Reporting API. Puts nothing into a response: it says what to put there.
"""

from consent_middleware.csp.app import missing_sources
from consent_middleware.csp.policies import Policies
from consent_middleware.csp.reports import Violation, parse_reports
from consent_middleware.csp.sources import source_problem
from consent_middleware.csp.violations import Finding, Violations

__all__ = [
    "Finding",
    "Policies",
    "Violation",
    "Violations",
    "missing_sources",
    "parse_reports",
    "source_problem",
]
