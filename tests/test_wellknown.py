from __future__ import annotations

import json

import pytest

from consent_middleware.wellknown import dnt_status, gpc_json


@pytest.mark.conformance("GPC-4")
def test_gpc_json() -> None:
    """GPC-4: the statement, word for word."""
    _, body = gpc_json("2026-11-22")
    assert body == b'{"gpc": true, "lastUpdate": "2026-11-22"}'


@pytest.mark.conformance("GPC-4")
def test_gpc_json_is_public() -> None:
    """GPC-4: the same for every requester, for a day; nothing varies and nothing is set."""
    headers, _ = gpc_json("2026-11-22")
    assert headers == [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=86400")]


@pytest.mark.conformance("DNT-3")
def test_the_status_of_a_visitor() -> None:
    """DNT-3: status, policy, and where consent can be changed."""
    _, body = dnt_status("C", policy="/privacy", config="/_consent/preferences")
    assert json.loads(body) == {"tracking": "C", "policy": "/privacy", "config": "/_consent/preferences"}


def test_a_site_without_a_policy_names_none() -> None:
    """An empty address would be the page itself."""
    _, body = dnt_status("N", policy="", config="/_consent/preferences")
    assert json.loads(body) == {"tracking": "N", "config": "/_consent/preferences"}


@pytest.mark.conformance("DNT-3")
def test_the_status_is_for_one_visitor() -> None:
    """DNT-3: it is kept by nobody, says what it depends on, and sets no cookie."""
    headers = dict(dnt_status("T", policy="", config="/c")[0])
    assert headers == {
        b"content-type": b"application/tracking-status+json",
        b"cache-control": b"private, no-store",
        b"vary": b"Sec-GPC, DNT, Cookie",
    }


@pytest.mark.conformance("DNT-2")
def test_consent_is_not_stated_without_a_way_back() -> None:
    """DNT-2: C only with a config member."""
    with pytest.raises(ValueError, match="withdrawn"):
        dnt_status("C", policy="/privacy", config="")
