"""The statements a site makes at well-known addresses (GPC-4, DNT-3).

Source: the Global Privacy Control specification, "GPC Support Resource"; W3C Tracking Preference Expression,
"Tracking Status Representation". Routes nothing and reads no request: whoever answers passes what is to be said.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consent_middleware.caching import Headers

__all__ = ["dnt_status", "gpc_json"]


def gpc_json(last_update: str) -> tuple[Headers, bytes]:
    """Return headers and body of ``/.well-known/gpc.json``: the same for everybody (GPC-4).

    Args:
        last_update: The day on which the site last changed what it says here, as 2026-11-22 (RFC 3339 full-date).
    """
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=86400")]
    return headers, json.dumps({"gpc": True, "lastUpdate": last_update}).encode()


def dnt_status(tracking: str, *, policy: str, config: str) -> tuple[Headers, bytes]:
    """Return headers and body of ``/.well-known/dnt/``: where this one visitor stands (DNT-3).

    Args:
        tracking: As `Decision.tracking` says it.
        policy: Where the privacy policy stands; left out where it is empty.
        config: Where the visitor can change the answer.

    Raises:
        ValueError: Consent is stated without a place to withdraw it (DNT-2).
    """
    if tracking == "C" and not config:
        raise ValueError("a tracking status of C needs the address at which consent can be withdrawn")
    members = {"tracking": tracking, "policy": policy, "config": config}
    headers = [
        (b"content-type", b"application/tracking-status+json"),
        (b"cache-control", b"private, no-store"),
        (b"vary", b"Sec-GPC, DNT, Cookie"),
    ]
    return headers, json.dumps({name: value for name, value in members.items() if value}).encode()
