"""The record tables, through SQLAlchemy Core. Imported only when a store is opened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from consent_middleware.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consent_middleware.records.model import AppendRecord

__all__ = ["Database"]

_BUSY_MS = 5_000

_metadata = MetaData()

_records = Table(
    "consent_records",
    _metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("record_id", String(32), nullable=False, unique=True),
    Column("principal_id", String(32)),
    Column("time", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("method", String(32), nullable=False),
    Column("policy_fingerprint", String(16), nullable=False),
    Column("notice_sha256", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Index("consent_records_principal", "principal_id"),
    Index("consent_records_time", "time"),
)

# A table of its own: a database of an earlier version gets it without being changed.
_subjects = Table(
    "consent_subjects",
    _metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("record_id", String(32), nullable=False, unique=True),
    Column("subject_id", String(255), nullable=False),
    Index("consent_subjects_subject", "subject_id"),
)

_notices = Table(
    "consent_notices",
    _metadata,
    Column("sha256", String(64), primary_key=True),
    Column("language", String(35), nullable=False),
    Column("text", Text, nullable=False),
)


class Database:
    """One process's connections to the records.

    Args:
        url: A SQLAlchemy URL.

    Raises:
        StoreError: The database cannot be reached or its tables cannot be made.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = _open(url)
        except (
            SQLAlchemyError,
            OSError,
            ImportError,
            ValueError,
        ) as error:  # the driver may not be installed
            raise _store_error(error) from error

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Write records and the notices they refer to in one transaction.

        Raises:
            StoreError: The transaction was not committed.
        """
        try:
            with self._engine.begin() as connection:
                for effect in effects:
                    _insert(connection, effect)
        except (SQLAlchemyError, OSError) as error:
            raise _store_error(error) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        with self._engine.connect() as connection:
            for row in connection.execute(select(_records.c.document).order_by(_records.c.sequence)):
                yield json.loads(row[0])

    def latest(self, subject: str) -> dict[str, Any] | None:
        """Return the last record of an account, None where there is none.

        Raises:
            StoreError: The database cannot be read.
        """
        query = (
            select(_records.c.document)
            .join(_subjects, _subjects.c.record_id == _records.c.record_id)
            .where(_subjects.c.subject_id == subject)
            .order_by(_subjects.c.sequence.desc())
            .limit(1)
        )
        try:
            with self._engine.connect() as connection:
                document = connection.execute(query).scalar()
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the record store cannot be read ({type(error).__name__})") from error
        return json.loads(document) if document else None

    def notice(self, sha256: str) -> str | None:
        """Return the text of a notice by its hash."""
        with self._engine.connect() as connection:
            return connection.execute(select(_notices.c.text).where(_notices.c.sha256 == sha256)).scalar()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _open(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable_sqlite)
    try:
        _metadata.create_all(engine)
    except DBAPIError:  # two workers may create the tables at once; then the second look finds them
        _metadata.create_all(engine)
    return engine


def _durable_sqlite(connection: Any, _record: object) -> None:
    """A commit survives a power cut, readers never block the writer, writers wait for each other."""
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _insert(connection: Connection, effect: AppendRecord) -> None:
    record, notice = effect.record, effect.notice
    _add_once(connection, _notices, sha256=notice.sha256, language=notice.language, text=notice.text)
    _add_once(
        connection,
        _records,
        record_id=record.record_id,
        principal_id=record.principal_id,
        time=record.time,
        state=record.state,
        method=record.method,
        policy_fingerprint=record.policy_fingerprint,
        notice_sha256=record.notice_sha256,
        document=json.dumps(record.to_dict(), sort_keys=True, ensure_ascii=False),
    )
    if record.subject_id:
        _add_once(connection, _subjects, record_id=record.record_id, subject_id=record.subject_id)


def _add_once(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its unique key is there already; atomic on every database we support."""
    name = connection.dialect.name
    if name == "sqlite":
        connection.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())
    elif name == "postgresql":
        connection.execute(postgresql.insert(table).values(**values).on_conflict_do_nothing())
    else:
        connection.execute(mysql.insert(table).values(**values).prefix_with("IGNORE"))


def _store_error(error: Exception) -> StoreError:
    # The driver's message may quote the row; its class says enough for a log.
    return StoreError(f"the record store did not take the record ({type(error).__name__})")
