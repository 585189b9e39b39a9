"""One transaction that writes: its records are chained, its head is signed, all of it or nothing becomes durable."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, and_, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from consent_middleware.records.chain import Head, Seal, digest, link, new_salt
from consent_middleware.records.effects import (
    RECTIFIABLE,
    AppendRecord,
    EraseRecords,
    RectifyRecords,
    RestrictRecords,
)
from consent_middleware.records.model import rfc3339
from consent_middleware.records.schema import chains, declarations, notices, records
from consent_middleware.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from consent_middleware.records.effects import Effect
    from consent_middleware.records.model import ConsentRecord, Person

__all__ = ["COLUMNS", "NOTHING_LEFT", "Batch", "of_person"]

_WITNESSED = 20
_AT_ONCE = 500
# What a record's row says beside its document, to be found by; the same words as in the document.
COLUMNS = (
    "record_id",
    "principal_id",
    "subject_id",
    "time",
    "state",
    "method",
    "regime",
    "jurisdiction",
    "language",
    "policy_sha256",
    "notice_sha256",
)
# What an erasure takes from a row.
NOTHING_LEFT = dict.fromkeys((*COLUMNS[1:3], *COLUMNS[4:], "salt", "document"))


class Batch:
    """Write effects into one transaction.

    Args:
        connection: In a transaction; whoever began it commits it.
        head: Of the writer's own chain.
        seal: Signs it.
        known: Hashes of notices and declarations that are in the database already.
        now: Seconds since the epoch.
        careful: Some of the records may have been written before, or their person erased since.

    Attributes:
        texts: Hashes of notices and declarations that this batch has made sure of.
    """

    def __init__(
        self,
        connection: Connection,
        head: Head,
        seal: Seal,
        known: frozenset[str],
        now: float,
        *,
        careful: bool,
    ) -> None:
        self._connection = connection
        self._first = self._head = head
        self._seal = seal
        self._known = known
        self._time = rfc3339(now)
        self._careful = careful
        self._rows: list[dict[str, Any]] = []
        self._texts: list[tuple[Table, dict[str, Any]]] = []
        self.texts: set[str] = set()
        if head.count == 0:
            self._start()

    def run(self, effect: Effect) -> int:
        """Take an effect; return how many records it wrote or touched.

        Raises:
            SQLAlchemyError: It cannot be written.
        """
        match effect:
            case AppendRecord():
                return self._append(effect)
            case EraseRecords():
                return self.erase(
                    of_person(effect.person), effect.by, self._seal.pseudonym(effect.person.label)
                )
            case RestrictRecords():
                return self._restrict(effect)
            case RectifyRecords():
                return self._rectify(effect)

    def finish(self) -> Head:
        """Write what is left and the signed head; return it."""
        self._flush()
        head = self._head
        values = {
            "updated": self._time,
            "length": head.count,
            "hash": head.hash,
            "signature": self._seal.sign(head.chain, head.count, head.hash),
        }
        if self._first.count == 0:
            self._connection.execute(insert(chains).values(chain=head.chain, started=self._time, **values))
        else:
            # Whoever stands behind another head than ours must not overwrite it.
            done = self._connection.execute(
                update(chains)
                .where(chains.c.chain == head.chain, chains.c.hash == self._first.hash)
                .values(values)
            )
            if done.rowcount != 1:
                raise RuntimeError(f"the head of chain {head.chain} is not where this writer left it")
        return head

    def take_over(self, document: str) -> None:
        """Take a record that was written before there were chains."""
        fields = json.loads(document)
        if not self._is_there(fields["record_id"]):
            self._add("consent", document, {name: fields.get(name) for name in COLUMNS})

    def note(self, kind: str, person: str | None = None, *, said: Mapping[str, object]) -> str:
        """Write an event; return its id.

        Args:
            kind: ``started``, ``erased``, ``restricted``, ``rectified`` or ``purged``.
            person: A pseudonym of whom it is about.
            said: What else there is to say; fit for JSON.
        """
        id_ = secrets.token_urlsafe(12)
        own = {"kind": kind, "record_id": id_, "time": self._time, **({"person": person} if person else {})}
        self._add(
            kind, _json({**own, **said}), {"record_id": id_, "time": self._time, "principal_id": person}
        )
        return id_

    def erase(
        self, where: ColumnElement[bool], by: str, person: str | None = None, limit: int | None = None
    ) -> int:
        """Blank the documents of some records and note it; return how many there were."""
        found = self._places(and_(where, records.c.document.is_not(None)), limit)
        if not found and person is None:
            return 0
        # That somebody asked to be forgotten is kept too: a record that still waits in a journal must not come back.
        places = [[row.chain, row.position, row.digest] for row in found]
        event = self.note("erased", person, said={"by": by, "records": places})
        self._change(found, {**NOTHING_LEFT, "erased_by": event, "time": self._time, "restricted": 0})
        return len(found)

    # -- effects

    def _start(self) -> None:
        """Begin the chain with what the others have come to, so that one that is cut or gone is missed."""
        query = select(chains).order_by(chains.c.updated.desc()).limit(_WITNESSED)
        seen = [[row.chain, row.length, row.hash] for row in self._connection.execute(query)]
        self.note("started", said={"package": __version__, "seen": seen})

    def _append(self, effect: AppendRecord) -> int:
        record, notice, declared = effect.record, effect.notice, effect.declaration
        if self._careful and (self._is_there(record.record_id) or self._is_erased(record)):
            return 0
        self._add_text(notices, notice.sha256, language=notice.language, text=notice.text)
        self._add_text(declarations, declared.sha256, fingerprint=declared.fingerprint, text=declared.text)
        fields = record.to_dict()
        self._add("consent", _json(fields), {name: fields[name] for name in COLUMNS})
        return 1

    def _restrict(self, effect: RestrictRecords) -> int:
        flag = int(effect.on)
        where = and_(of_person(effect.person), records.c.kind == "consent", records.c.restricted != flag)
        found = self._places(where)
        if found:
            places = [[row.chain, row.position] for row in found]
            person = self._seal.pseudonym(effect.person.label)
            self.note("restricted", person, said={"on": effect.on, "records": places})
            self._change(found, {"restricted": flag})
        return len(found)

    def _rectify(self, effect: RectifyRecords) -> int:
        if not effect.changes or not set(effect.changes) <= RECTIFIABLE:
            raise ValueError(f"only {', '.join(sorted(RECTIFIABLE))} can be rectified")
        found = self._places(and_(of_person(effect.person), records.c.kind == "consent"))
        if found:
            ids = [row.record_id for row in found]
            person = self._seal.pseudonym(effect.person.label)
            # A value may name a person, and an event is never erased: so it says it in a way that only we can read.
            said = {name: self._seal.pseudonym(f"{name}={value}") for name, value in effect.changes.items()}
            self.note("rectified", person, said={"changes": said, "records": ids})
            self._change(found, effect.changes)
        return len(found)

    # -- rows

    def _add(self, kind: str, document: str, columns: dict[str, Any]) -> None:
        salt = new_salt()
        own = digest(salt, document)
        head = self._head
        self._head = Head(head.chain, head.count + 1, link(head.hash, own))
        self._rows.append(
            {
                **dict.fromkeys(COLUMNS),
                **columns,
                "chain": head.chain,
                "position": head.count + 1,
                "kind": kind,
                "salt": salt,
                "document": document,
                "digest": own,
                "hash": self._head.hash,
            }
        )

    def _flush(self) -> None:
        texts, self._texts = self._texts, []
        # In one order for all: else two workers that have the same new texts could each wait for the other.
        for table, values in sorted(texts, key=lambda one: (one[0].name, one[1]["sha256"])):
            _add_once(self._connection, table, **values)
        rows, self._rows = self._rows, []
        for at in range(0, len(rows), _AT_ONCE):
            self._connection.execute(insert(records), rows[at : at + _AT_ONCE])

    def _add_text(self, table: Table, sha256: str, **values: object) -> None:
        if sha256 not in self._known and sha256 not in self.texts:
            self._texts.append((table, {"sha256": sha256, **values}))
            self.texts.add(sha256)

    def _places(self, where: ColumnElement[bool], limit: int | None = None) -> Sequence[Any]:
        """Return where some records stand, and let nobody else change these meanwhile."""
        self._flush()
        columns = (
            records.c.sequence,
            records.c.chain,
            records.c.position,
            records.c.record_id,
            records.c.digest,
        )
        return self._connection.execute(
            select(*columns).where(where).order_by(records.c.sequence).limit(limit).with_for_update()
        ).all()

    def _change(self, found: Sequence[Any], values: Mapping[str, object]) -> None:
        """Change these very rows, which an event names, and none that came since."""
        for at in range(0, len(found), _AT_ONCE):
            some = [row.sequence for row in found[at : at + _AT_ONCE]]
            self._connection.execute(update(records).where(records.c.sequence.in_(some)).values(dict(values)))

    def _is_there(self, record_id: str) -> bool:
        if any(row["record_id"] == record_id for row in self._rows):
            return True
        query = select(records.c.sequence).where(records.c.record_id == record_id)
        return self._connection.execute(query).first() is not None

    def _is_erased(self, record: ConsentRecord) -> bool:
        """Return whether a person has asked to be forgotten since a record was made."""
        return any(self._is_erased_person(person, record.time) for person in record.persons)

    def _is_erased_person(self, person: Person, since: str) -> bool:
        erased, names = records.c.time, self._seal.pseudonyms(person.label)
        query = select(records.c.sequence).where(
            records.c.principal_id.in_(names),
            records.c.kind == "erased",
            # A pseudonym ends with its erasure; an account goes on, and may answer anew within the second.
            erased >= since if person.principal else erased > since,
        )
        return self._connection.execute(query.limit(1)).first() is not None


def of_person(person: Person) -> ColumnElement[bool]:
    """Return what selects a person's records."""
    column, value = (
        (records.c.principal_id, person.principal)
        if person.principal
        else (records.c.subject_id, person.subject)
    )
    found: ColumnElement[bool] = column == value
    return found


def _add_once(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its unique key is there already; atomic on every database we support."""
    name = connection.dialect.name
    if name == "sqlite":
        connection.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())
    elif name == "postgresql":
        connection.execute(postgresql.insert(table).values(**values).on_conflict_do_nothing())
    else:
        connection.execute(mysql.insert(table).values(**values).prefix_with("IGNORE"))


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
