"""Receipts: what a record says, put together with what was declared and shown when the visitor answered (REC-1, EU-5).

A record is small. `build_receipt` fills in, from the declaration of its time, what each purpose meant: who answered for
it, what was stored, who received it, where and for how long. `history` is the whole of one visitor's. Both are pure: the
caller reads the store. `formats` turns a receipt into what other systems read; docs/receipts.md tells every field.

None means not known, an empty list means none. Source: ISO/IEC TS 27560 (field names are ours).
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from consent_middleware.records.model import ConsentRecord
from consent_middleware.texts import localised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["RECEIPT_VERSION", "build_receipt", "history", "receipt_schema"]

RECEIPT_VERSION = "1"

_KEPT_ON_REQUEST = ("ip", "user_agent", "page")
_TYPES = {"signal:gpc": "signal", "signal:dnt": "signal", "lapsed": "lapsed"}
_BY_CONTROLLER = frozenset({"api", "lapsed"})


def build_receipt(
    record: dict[str, Any], declaration: dict[str, Any] | None, previous: str | None = None
) -> dict[str, Any]:
    """Return the receipt of a record, as ``receipt.schema.json`` describes it.

    Args:
        record: What `ConsentRecord.to_dict` gave.
        declaration: What `declare` wrote down under the record's ``policy_sha256``, parsed; None where it is not kept.
        previous: The id of the same visitor's record before this one.

    Raises:
        KeyError, TypeError: It is no record.
    """
    kept = ConsentRecord.from_dict(record)
    declared = declaration or {}
    receipt = {
        "schema_version": RECEIPT_VERSION,
        "record_id": kept.record_id,
        "principal_id": kept.principal_id or None,
        "subject_id": kept.subject_id or None,
        "jurisdiction": kept.jurisdiction or None,
        "regime": kept.regime,
        "language": kept.language,
        "notice": {
            # What was told changes with its wording (sha256); what it told of, with the processing only.
            "version": kept.policy_fingerprint,
            "sha256": kept.notice_sha256,
            "url": declared.get("policy_url") or None,
            "language": kept.language,
        },
        "policy_fingerprint": kept.policy_fingerprint,
        "policy_sha256": kept.policy_sha256 or None,
        "controller": _controller(declared),
        "purposes": [_purpose(purpose, declaration, kept.language) for purpose in kept.purposes],
        "withdrawal": declared.get("preferences_url") or None,
        "event": _event(kept),
        "signals": {"gpc": kept.signals["gpc"], "dnt": kept.signals["dnt"]},
        "conflict_notice_shown": kept.conflict_notice_shown,
        "prev_record": previous,
    }
    return {**receipt, **{name: value for name in _KEPT_ON_REQUEST if (value := getattr(kept, name))}}


def history(receipts: Iterable[dict[str, Any]], notices: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return one visitor's whole history: the shape of ``records.json``.

    Args:
        receipts: As they were stored, oldest first. Their order counts and not their time: a record that names nobody
            tells only its hour. A receipt without ``prev_record`` gets the one before it of the same principal or
            account.
        notices: What was shown, by its hash: ``{"language": ..., "text": ...}``. Those that no receipt names are left
            out.
    """
    found = list(_linked(receipts))
    shown = dict.fromkeys(receipt["notice"]["sha256"] for receipt in found)
    return {
        "schema_version": RECEIPT_VERSION,
        "receipts": found,
        "notices": {
            sha256: {"language": notices[sha256]["language"], "text": notices[sha256]["text"]}
            for sha256 in shown
            if sha256 in notices
        },
    }


def receipt_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a receipt; that of `history` is its ``$defs.history``."""
    schema: dict[str, Any] = json.loads(_schema_text())
    return schema


@cache
def _schema_text() -> str:
    return files(__package__).joinpath("receipt.schema.json").read_text("utf-8")


def _linked(receipts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the receipts, each with the one before it; what was given stays as it is."""
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    for place, receipt in enumerate(receipts):
        names = [(key, receipt[key]) for key in ("principal_id", "subject_id") if receipt[key]]
        before = max((latest[name] for name in names if name in latest), default=(0, None))[1]
        latest.update(dict.fromkeys(names, (place, receipt["record_id"])))
        yield {**receipt, "prev_record": receipt["prev_record"] or before}


def _controller(declared: Mapping[str, Any]) -> dict[str, Any] | None:
    controller = declared.get("controller")
    if controller is None:
        return None
    told = {name: controller.get(name) or None for name in ("name", "address", "contact")}
    return {**told, "type": "controller"}


def _event(record: ConsentRecord) -> dict[str, str]:
    return {
        "time": record.time,
        "type": _TYPES.get(record.method, "explicit"),
        "state": record.state,
        "entity": "controller" if record.method in _BY_CONTROLLER else "principal",
        "method": record.method,
        "valid_until": record.valid_until,
    }


def _purpose(purpose: dict[str, Any], declaration: dict[str, Any] | None, language: str) -> dict[str, Any]:
    """Put a purpose together with what was declared of it; a category stands for all its services."""
    id_, category = purpose["id"], purpose["category"]
    declared = declaration or {}
    group: dict[str, Any] = next((c for c in declared.get("categories", ()) if c["id"] == category), {})
    services = [s for s in declared.get("services", ()) if s["category" if id_ == category else "id"] == id_]
    is_known = declaration is not None and (id_ == category or bool(services))
    title = group.get("title", "") if id_ == category else "".join(s["name"] for s in services)
    controller = declared.get("controller", {}).get("name")
    found = {
        "id": id_,
        "title": localised(title, language, "en"),
        "category": category,
        "basis": group.get("basis"),
        "pii": _stored(services) if is_known else None,
        "recipients": _recipients(services, controller) if is_known else None,
        "storage": _once(s["country"] for s in services) if is_known else None,
        "retention": _once(c["retention"] for s in services for c in s["cookies"]) if is_known else None,
        "state": purpose["state"],
    }
    return {name: value for name, value in found.items() if name != "title" or value}


def _stored(services: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is stored in the browser: cookies, then other storage."""
    cookies = (c["name"] for s in services for c in s["cookies"])
    return _once([*cookies, *(name for s in services for name in s["storage"])])


def _recipients(services: list[dict[str, Any]], controller: str | None) -> list[dict[str, str | None]]:
    """Return who receives data, besides the controller: each once for each country."""
    found = dict.fromkeys((s["provider"] or s["name"], s["country"] or None) for s in services)
    return [{"name": name, "country": country} for name, country in found if name != controller]


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, values)))
