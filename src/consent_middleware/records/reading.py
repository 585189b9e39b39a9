"""What is read from the records: a person's history, an account's last word, notices and declarations, all of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from consent_middleware.records.receipts import build_receipt
from consent_middleware.records.receipts import history as build_history
from consent_middleware.records.schema import declarations, notices, records
from consent_middleware.records.writing import of_person

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Row

    from consent_middleware.records.model import Person

__all__ = [
    "Stored",
    "count",
    "declaration",
    "documents",
    "history",
    "latest",
    "notice",
    "receipts",
    "record",
    "streamed",
]

_AT_ONCE = 1_000
_REMEMBERED = 64
_RECTIFIED = ("subject_id", "jurisdiction", "language")
_STORED = (records.c.document, records.c.restricted, *(records.c[name] for name in _RECTIFIED))


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stands in the store.

    Attributes:
        fields: The record, with what was rectified.
        restricted: It is kept, but not to be used (GDPR article 18).
    """

    fields: dict[str, Any]
    restricted: bool = False


def documents(
    connection: Connection,
    *,
    person: Person | None = None,
    since: str = "",
    until: str = "",
    restricted: bool = True,
) -> Iterator[Stored]:
    """Yield records, oldest first, as they are fetched.

    Args:
        connection: Open; used until the last record is taken.
        person: Whose; None for everybody's.
        since: From that moment on, RFC 3339 or the beginning of it (``2026-11``).
        until: Before that moment.
        restricted: Whether those that are put aside come too.
    """
    where = [records.c.kind == "consent", records.c.document.is_not(None)]
    where += [of_person(person)] if person else []
    where += [records.c.time >= since] if since else []
    where += [records.c.time < until] if until else []
    where += [] if restricted else [records.c.restricted == 0]
    if person:
        query = select(*_STORED).where(*where).order_by(records.c.time, records.c.sequence)
        yield from map(_stored, connection.execute(query).all())
        return
    query = select(records.c.sequence, *_STORED).where(*where).order_by(records.c.sequence).limit(_AT_ONCE)
    last = 0
    # Page by page: whoever takes them asks the same connection for more, which PyMySQL cannot while it streams.
    while rows := connection.execute(query.where(records.c.sequence > last)).all():
        yield from map(_stored, rows)
        last = rows[-1].sequence


def streamed(
    connection: Connection,
    columns: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
) -> Iterator[Row[Any]]:
    """Yield rows without holding more than a thousand of them."""
    query = select(*columns).where(where).order_by(*order)
    yield from (
        connection.execution_options(stream_results=True, max_row_buffer=_AT_ONCE)
        .execute(query)
        .yield_per(_AT_ONCE)
    )


def latest(connection: Connection, subject: str) -> dict[str, Any] | None:
    """Return the last record of an account; None where there is none, or where it is put aside."""
    query = (
        select(*_STORED)
        .where(records.c.subject_id == subject, records.c.kind == "consent")
        .order_by(records.c.time.desc(), records.c.sequence.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return _stored(row).fields if row is not None and not row.restricted else None


def _stored(row: Row[Any]) -> Stored:
    fields = json.loads(row.document)
    # Where nothing was rectified these are the same.
    fields.update((name, value) for name in _RECTIFIED if (value := getattr(row, name)) is not None)
    return Stored(fields, bool(row.restricted))


def notice(connection: Connection, sha256: str) -> tuple[str, str] | None:
    """Return the language and text of a notice by its hash."""
    row = connection.execute(
        select(notices.c.language, notices.c.text).where(notices.c.sha256 == sha256)
    ).first()
    return (row.language, row.text) if row else None


def declaration(connection: Connection, sha256: str) -> dict[str, Any] | None:
    """Return a declaration by its hash."""
    text = connection.execute(select(declarations.c.text).where(declarations.c.sha256 == sha256)).scalar()
    return json.loads(text) if text else None


def record(connection: Connection, record_id: str) -> dict[str, Any] | None:
    """Return a record by its id, None for one that was never written or that is erased."""
    row = connection.execute(
        select(*_STORED).where(
            records.c.record_id == record_id, records.c.kind == "consent", records.c.document.is_not(None)
        )
    ).first()
    return _stored(row).fields if row else None


def count(connection: Connection) -> int:
    """Return how many rows there are, events and what is erased among them."""
    return connection.execute(select(func.count()).select_from(records)).scalar() or 0


def receipts(connection: Connection, **wanted: Any) -> Iterator[dict[str, Any]]:
    """Yield the receipts of `documents`, which takes the same arguments."""
    declared = lru_cache(_REMEMBERED)(lambda sha256: declaration(connection, sha256))
    for stored in documents(connection, **wanted):
        sha256 = stored.fields.get("policy_sha256")
        yield build_receipt(stored.fields, declared(sha256) if sha256 else None)


def history(connection: Connection, persons: Iterable[Person], *, restricted: bool = True) -> dict[str, Any]:
    """Return everything about some persons, in the shape of ``records.json`` (docs/receipts.md)."""
    found: dict[str, dict[str, Any]] = {}
    for person in persons:
        found |= {r["record_id"]: r for r in receipts(connection, person=person, restricted=restricted)}
    hashes = {receipt["notice"]["sha256"] for receipt in found.values()}
    shown = {sha256: text for sha256 in hashes if (text := notice(connection, sha256))}
    return build_history(
        sorted(found.values(), key=lambda receipt: receipt["event"]["time"]),
        {sha256: {"language": language, "text": text} for sha256, (language, text) in shown.items()},
    )
