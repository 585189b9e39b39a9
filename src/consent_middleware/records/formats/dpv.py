"""A receipt as JSON-LD in the terms of the W3C Data Privacy Vocabulary (DPV) 2.

After the DPV's guide to consent records as of ISO/IEC TS 27560. The context stands in the document: nothing is fetched
to read it. Signals, regime and hashes of the declaration have no term there and are left out.
"""

from __future__ import annotations

from typing import Any

__all__ = ["to_json_ld"]

_CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct:created": {"@type": "xsd:dateTime"},
    "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
}
_STATUS = {"given": "dpv:ConsentGiven", "refused": "dpv:ConsentRefused", "withdrawn": "dpv:ConsentWithdrawn"}
_ENTITY = {"principal": "dpv:DataSubject", "controller": "dpv:DataController"}

_Node = dict[str, Any]


def to_json_ld(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return a ``dpv:ConsentRecord`` with a ``dpv:Process`` for each purpose.

    Args:
        receipt: What `build_receipt` gave.
    """
    return _known(
        {
            "@context": dict(_CONTEXT),
            "@type": "dpv:ConsentRecord",
            "dct:identifier": receipt["record_id"],
            "dct:created": receipt["event"]["time"],
            "dct:replaces": _identified("dpv:ConsentRecord", receipt["prev_record"]),
            "dpv:hasDataSubject": _subject(receipt),
            "dpv:hasDataController": _controller(receipt["controller"]),
            "dpv:hasJurisdiction": _identified("dpv:Location", receipt["jurisdiction"]),
            "dpv:hasNotice": _notice(receipt["notice"]),
            "dpv:hasConsentControl": _control(receipt["withdrawal"]),
            "dpv:hasConsentStatus": _statuses(receipt),
            "dpv:hasProcess": [_process(purpose) for purpose in receipt["purposes"]],
        }
    )


def _known(node: _Node) -> _Node:
    """Return a node without what is not known."""
    return {name: value for name, value in node.items() if value is not None and value != []}


def _identified(type_: str, identifier: str | None) -> _Node | None:
    return {"@type": type_, "dct:identifier": identifier} if identifier else None


def _subject(receipt: dict[str, Any]) -> _Node:
    ids = [receipt[name] for name in ("principal_id", "subject_id") if receipt[name]]
    return _known({"@type": "dpv:DataSubject", "dpv:hasIdentifier": ids})


def _controller(controller: dict[str, str | None] | None) -> _Node | None:
    if controller is None:
        return None
    return _known(
        {
            "@type": "dpv:DataController",
            "dpv:hasName": controller["name"],
            "dpv:hasAddress": controller["address"],
            "dpv:hasContact": controller["contact"],
        }
    )


def _notice(notice: dict[str, str | None]) -> _Node:
    return _known(
        {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": notice["sha256"],
            "dct:language": notice["language"],
            "schema:version": notice["version"],
            "schema:url": notice["url"],
        }
    )


def _control(withdrawal: str | None) -> _Node | None:
    return {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": withdrawal} if withdrawal else None


def _statuses(receipt: dict[str, Any]) -> list[_Node]:
    """Return one status for each that a purpose has: when, by whom and how it came about, and until when it holds."""
    event = receipt["event"]
    told = {
        "dpv:isIndicatedAtTime": event["time"],
        "dpv:isIndicatedBy": {"@id": _ENTITY[event["entity"]]},
        "dpv:hasIndicationMethod": event["method"],
        "dpv:hasDuration": {
            "@type": "dpv:UntilTimeDuration",
            "rdf:value": {"@value": event["valid_until"], "@type": "xsd:dateTime"},
        },
    }
    states = dict.fromkeys(purpose["state"] for purpose in receipt["purposes"])
    return [{"@type": _STATUS[state], **told} for state in states]


def _process(purpose: dict[str, Any]) -> _Node:
    category = {"@type": "dpv:Purpose", "dct:identifier": purpose["category"]}
    return _known(
        {
            "@type": "dpv:Process",
            "dct:identifier": purpose["id"],
            "dct:title": purpose.get("title"),
            "dpv:hasPurpose": category,
            "dpv:hasLegalBasis": {"@id": "dpv:Consent"} if purpose["basis"] == "consent" else None,
            "dpv:hasConsentStatus": {"@id": _STATUS[purpose["state"]]},
            "dpv:hasPersonalData": [
                {"@type": "dpv:PersonalData", "dct:title": name} for name in purpose["pii"] or ()
            ],
            "dpv:hasRecipient": [_recipient(recipient) for recipient in purpose["recipients"] or ()],
            "dpv:hasStorageCondition": [
                *(
                    {"@type": "dpv:StorageLocation", "dpv:hasLocation": _country(c)}
                    for c in purpose["storage"] or ()
                ),
                *(
                    {"@type": "dpv:StorageDuration", "dpv:hasDuration": _duration(duration)}
                    for duration in purpose["retention"] or ()
                ),
            ],
        }
    )


def _recipient(recipient: dict[str, str | None]) -> _Node:
    country = _country(recipient["country"])
    return _known({"@type": "dpv:Recipient", "dpv:hasName": recipient["name"], "dpv:hasCountry": country})


def _country(code: str | None) -> _Node | None:
    return _identified("dpv:Country", code)


def _duration(duration: str) -> _Node:
    if duration == "session":
        return {"@type": "dpv:UntilEventDuration", "rdf:value": "end of the browser's session"}
    # XML Schema's durations know no weeks.
    value = duration if "W" in duration else {"@value": duration, "@type": "xsd:duration"}
    return {"@type": "dpv:TemporalDuration", "rdf:value": value}
