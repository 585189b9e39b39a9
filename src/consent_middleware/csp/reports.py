"""What browsers report of a Content-Security-Policy, reduced to what names nobody.

Reads both formats: `report-uri`'s (CSP Level 3, 5.3) and the Reporting API's. Of each report only the host that was
asked for, the directive and the disposition are kept: no path, no query, nothing about the page or its visitor.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from consent_middleware.csp.sources import HOST, Source

__all__ = ["FETCH_DIRECTIVES", "Violation", "parse_reports"]

FETCH_DIRECTIVES = frozenset(
    {
        "child-src",
        "connect-src",
        "default-src",
        "fenced-frame-src",
        "font-src",
        "frame-src",
        "img-src",
        "manifest-src",
        "media-src",
        "object-src",
        "prefetch-src",
        "script-src",
        "script-src-attr",
        "script-src-elem",
        "style-src",
        "style-src-attr",
        "style-src-elem",
        "worker-src",
    }
)
"""What a report of our policy can name; every other one is forged, or of another policy."""

_MAX_REPORTS = 20
_MAX_HOST = 253
# "inline", "eval", "data" and the schemes of browser extensions are no address of a host, and so fall through.
_BLOCKED = re.compile(rf"(https?|wss?)://({HOST})\.?(?::(\d{{1,5}}))?(?:[/?#]|\Z)", re.IGNORECASE)
_USUAL_PORTS = {"": "", "80": "", "443": ""}


class Violation(NamedTuple):
    """One thing that a browser says it held back.

    Attributes:
        host: In lower case, without port.
        directive: The directive that it would have needed, one of `FETCH_DIRECTIVES`.
        disposition: ``enforce``, or ``report`` where nothing was held back.
        source: What allows it as an entry of ``[csp] allow``: the host, with what it needs beside.
    """

    host: str
    directive: str
    disposition: str
    source: str


def parse_reports(content_type: bytes, body: bytes) -> list[Violation]:
    """Return what a request to the report address says: empty for anything malformed, 20 at most.

    Args:
        content_type: ``application/csp-report`` or ``application/reports+json``, with or without parameters.
        body: As it came; anybody can send anything.
    """
    media_type = content_type.partition(b";")[0].strip().lower()
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return []
    found: list[Violation | None] = []
    if media_type == b"application/csp-report" and isinstance(data, dict):
        found = [_old(data.get("csp-report"))]
    elif media_type == b"application/reports+json" and isinstance(data, list):
        found = [_new(report) for report in data[:_MAX_REPORTS]]
    return [violation for violation in found if violation is not None]


def _old(report: object) -> Violation | None:
    if not isinstance(report, dict):
        return None
    # Where there is no effective directive, the violated one stands there with all its sources.
    directive = report.get("effective-directive") or report.get("violated-directive")
    return _violation(report.get("blocked-uri"), directive, report.get("disposition"))


def _new(report: object) -> Violation | None:
    body = report.get("body") if isinstance(report, dict) and report.get("type") == "csp-violation" else None
    if not isinstance(body, dict):
        return None
    return _violation(body.get("blockedURL"), body.get("effectiveDirective"), body.get("disposition"))


def _violation(blocked: object, directive: object, disposition: object) -> Violation | None:
    if not isinstance(blocked, str) or not isinstance(directive, str):
        return None
    match, name = _BLOCKED.match(blocked), directive.strip().partition(" ")[0].lower()
    if match is None or len(match[2]) > _MAX_HOST or name not in FETCH_DIRECTIVES:
        return None
    scheme, host, port = match.groups(default="")
    host = host.lower()
    source = Source(
        "wss://" if scheme.lower().startswith("ws") else "", host, _USUAL_PORTS.get(port, f":{port}")
    )
    return Violation(host, name, "report" if disposition == "report" else "enforce", str(source))
