"""The SQL store: one durable row a change of state, through SQLAlchemy Core.

The engine is opened on the first record and once a process: a worker forked after construction (gunicorn
``--preload``) opens its own and never shares a connection. Safe under threads; needs no lifespan. A record id
written twice is written once.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine, MetaData, Table

    from consent_middleware.records.model import AppendRecord

__all__ = ["NullStore", "SqlStore", "resolve_url"]

_BUSY_MS = 5_000


def resolve_url(url: str, folder: Path) -> str:
    """Return a store URL with a relative SQLite file starting from the declaration's folder."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/") or url.endswith(":memory:"):
        return url
    return prefix + str(folder / url.removeprefix(prefix))


class NullStore:
    """Keeps nothing: ``records.url = "none"``."""

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Accept the records and keep none."""

    def close(self) -> None:
        """Do nothing."""


class SqlStore:
    """Append-only consent records in a SQL database.

    Args:
        url: A SQLAlchemy URL with absolute paths (`resolve_url`).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._opened: tuple[int, Engine] | None = None

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Make records durable, all in one transaction. Returns only once they are.

        Raises:
            StoreError: They are not.
        """
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - SQLAlchemy loads only with a store

        try:
            engine = self._engine()
            with engine.begin() as connection:
                for effect in effects:
                    self._insert(connection, effect)
        except (SQLAlchemyError, OSError) as error:
            # The driver's message may quote the row; its class says enough for a log.
            raise StoreError(
                f"the record store did not accept the record ({type(error).__name__})"
            ) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        from sqlalchemy import select  # noqa: PLC0415 - see append

        records, _ = self._tables()
        with self._engine().connect() as connection:
            for row in connection.execute(select(records.c.document).order_by(records.c.sequence)):
                yield json.loads(row[0])

    def notice(self, sha256: str) -> str | None:
        """Return the text of a notice by its hash, None for one that was never shown."""
        from sqlalchemy import select  # noqa: PLC0415 - see append

        _, notices = self._tables()
        with self._engine().connect() as connection:
            return connection.execute(select(notices.c.text).where(notices.c.sha256 == sha256)).scalar()

    def close(self) -> None:
        """Let go of the database's connections; the next record opens it again."""
        with self._lock:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].dispose()
            self._opened = None

    def _engine(self) -> Engine:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._open())
            return self._opened[1]

    def _open(self) -> Engine:
        from sqlalchemy import create_engine, event  # noqa: PLC0415 - see append
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - see append

        engine = create_engine(self._url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _durable_sqlite)
        metadata = _schema()[0]
        try:
            metadata.create_all(engine)
        except DBAPIError:  # two workers may create the tables at once; then the second look finds them
            metadata.create_all(engine)
        return engine

    def _insert(self, connection: Connection, effect: AppendRecord) -> None:
        records, notices = self._tables()
        record, notice = effect.record, effect.notice
        _add_once(connection, notices, sha256=notice.sha256, language=notice.language, text=notice.text)
        _add_once(
            connection,
            records,
            record_id=record.record_id,
            principal_id=record.principal_id,
            time=record.time,
            state=record.state,
            method=record.method,
            policy_fingerprint=record.policy_fingerprint,
            notice_sha256=record.notice_sha256,
            document=json.dumps(record.to_dict(), sort_keys=True, ensure_ascii=False),
        )

    @staticmethod
    def _tables() -> tuple[Table, Table]:
        return _schema()[1:]


def _add_once(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its unique key is there already; atomic on every database we support."""
    from sqlalchemy.dialects import mysql, postgresql, sqlite  # noqa: PLC0415 - see SqlStore.append

    name = connection.dialect.name
    if name == "sqlite":
        connection.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())
    elif name == "postgresql":
        connection.execute(postgresql.insert(table).values(**values).on_conflict_do_nothing())
    else:
        connection.execute(mysql.insert(table).values(**values).prefix_with("IGNORE"))


def _durable_sqlite(connection: Any, _record: object) -> None:
    """A commit survives a power cut, readers never block the writer, writers wait for each other."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _schema() -> tuple[MetaData, Table, Table]:
    from consent_middleware.records import schema  # noqa: PLC0415 - SQLAlchemy loads only with a store

    return schema.metadata, schema.records, schema.notices
