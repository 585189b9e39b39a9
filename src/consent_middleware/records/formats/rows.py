"""A receipt as one flat row, for spreadsheets and the `csv` module. What a purpose meant is left out; its id is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CSV_FIELDS", "to_csv_row"]

_Receipt = dict[str, Any]


def _at(*path: str) -> Callable[[_Receipt], Any]:
    """Return what reads the value at a path; None where there is none."""

    def read(receipt: _Receipt) -> Any:
        value: Any = receipt
        for name in path:
            value = value.get(name) if value is not None else None
        return value

    return read


def _ids(state: str) -> Callable[[_Receipt], str]:
    """Return what reads the ids of the purposes in a state."""
    return lambda receipt: " ".join(p["id"] for p in receipt["purposes"] if p["state"] == state)


_COLUMNS: Mapping[str, Callable[[_Receipt], Any]] = {
    "record_id": _at("record_id"),
    "time": _at("event", "time"),
    "valid_until": _at("event", "valid_until"),
    "state": _at("event", "state"),
    "type": _at("event", "type"),
    "entity": _at("event", "entity"),
    "method": _at("event", "method"),
    "given": _ids("given"),
    "refused": _ids("refused"),
    "withdrawn": _ids("withdrawn"),
    "principal_id": _at("principal_id"),
    "subject_id": _at("subject_id"),
    "jurisdiction": _at("jurisdiction"),
    "regime": _at("regime"),
    "language": _at("language"),
    "gpc": _at("signals", "gpc"),
    "dnt": _at("signals", "dnt"),
    "conflict_notice_shown": _at("conflict_notice_shown"),
    "notice_version": _at("notice", "version"),
    "notice_sha256": _at("notice", "sha256"),
    "notice_url": _at("notice", "url"),
    "policy_fingerprint": _at("policy_fingerprint"),
    "policy_sha256": _at("policy_sha256"),
    "controller_name": _at("controller", "name"),
    "controller_address": _at("controller", "address"),
    "controller_contact": _at("controller", "contact"),
    "withdrawal": _at("withdrawal"),
    "prev_record": _at("prev_record"),
    "ip": _at("ip"),
    "user_agent": _at("user_agent"),
    "page": _at("page"),
    "schema_version": _at("schema_version"),
}

CSV_FIELDS: tuple[str, ...] = tuple(_COLUMNS)
"""The columns, in their order; later versions add theirs at the end."""

# What a spreadsheet reads as the beginning of a formula (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv_row(receipt: _Receipt) -> dict[str, str]:
    """Return a receipt as one row: a text for each of `CSV_FIELDS`, fit for `csv.DictWriter`.

    What is not known is empty, ids of purposes stand side by side with a space between, yes is ``true``. A text that a
    spreadsheet would calculate gets an apostrophe in front; so does an id that begins with a hyphen.
    """
    return {name: _cell(read(receipt)) for name, read in _COLUMNS.items()}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
