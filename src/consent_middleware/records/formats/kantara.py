"""A receipt in the field names of the Kantara Consent Receipt Specification 1.1.

That format knows consent that was given, and nothing else: what was refused or withdrawn is left out, and the receipt
of a refusal has no services. Where it demands a text and none is known, the text is empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

__all__ = ["to_kantara"]

_VERSION = "KI-CR-v1.1.0"


def to_kantara(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return a Kantara consent receipt; its shape is told in docs/receipts.md.

    Args:
        receipt: What `build_receipt` gave.
    """
    return {
        "version": _VERSION,
        "jurisdiction": receipt["jurisdiction"] or "unknown",
        "consentTimestamp": int(datetime.fromisoformat(receipt["event"]["time"]).timestamp()),
        "collectionMethod": receipt["event"]["method"],
        "consentReceiptID": receipt["record_id"],
        "language": receipt["language"],
        "piiPrincipalId": receipt["principal_id"] or receipt["subject_id"] or "",
        "piiControllers": _controllers(receipt["controller"]),
        "policyUrl": receipt["notice"]["url"] or "",
        "services": _services(receipt),
        # The declaration knows no special categories of data.
        "sensitive": False,
        "spiCat": [],
    }


def _controllers(controller: dict[str, str | None] | None) -> list[dict[str, Any]]:
    if controller is None:
        return []
    contact, address = controller["contact"] or "", controller["address"]
    return [
        {
            "piiController": controller["name"] or "",
            "contact": contact,
            "address": {"streetAddress": address} if address else {},
            "email": contact if "@" in contact else "",
            "phone": "",
        }
    ]


def _services(receipt: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one service for each category, with what was agreed to in it.

    A category stands for its services: it is told by itself only where none of these is in the receipt.
    """
    titles = {p["id"]: p["title"] for p in receipt["purposes"] if "title" in p}
    detailed = {p["category"] for p in receipt["purposes"] if p["id"] != p["category"]}
    grouped: dict[str, list[dict[str, Any]]] = {}
    for purpose in receipt["purposes"]:
        if purpose["state"] == "given" and not (purpose["id"] == purpose["category"] in detailed):
            grouped.setdefault(purpose["category"], []).append(_purpose(purpose, receipt))
    return [
        {"service": titles.get(category, category), "purposes": found} for category, found in grouped.items()
    ]


def _purpose(purpose: dict[str, Any], receipt: dict[str, Any]) -> dict[str, Any]:
    is_explicit = purpose["basis"] in {"consent", None} and receipt["event"]["type"] == "explicit"
    found = {
        "purpose": purpose.get("title", purpose["id"]),
        "purposeCategory": [purpose["category"]],
        "consentType": "EXPLICIT" if is_explicit else "IMPLICIT",
        "piiCategory": purpose["pii"] or [],
        "primaryPurpose": False,  # whoever is asked can say no
        "termination": _termination(receipt),
    }
    if purpose["recipients"] is None:  # whether anybody receives data is not known: nothing is claimed
        return found
    names = ", ".join(dict.fromkeys(recipient["name"] for recipient in purpose["recipients"]))
    told = (
        {"thirdPartyDisclosure": True, "thirdPartyName": names} if names else {"thirdPartyDisclosure": False}
    )
    return {**found, **told}


def _termination(receipt: dict[str, Any]) -> str:
    until, withdrawal = receipt["event"]["valid_until"], receipt["withdrawal"]
    return f"{until}, or earlier when withdrawn at {withdrawal}" if withdrawal else until
