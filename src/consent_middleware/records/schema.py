"""The tables of the records, and how a database comes to have them. Imported only when a store is opened.

One schema for SQLite, PostgreSQL and MySQL/MariaDB. Plain indexes find records by principal, subject and time.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from consent_middleware.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "SCHEMA",
    "chains",
    "declarations",
    "migrate",
    "notices",
    "open_engine",
    "purges",
    "records",
]

SCHEMA = 2
_PATIENCE_S = 5
_PAUSE_S = 0.02
_LOCK = 0x636F6E73656E74  # "consent": the number of the advisory lock under which the tables are made

_metadata = MetaData()
# Ids are told apart by case, which MySQL's own collations do not do.
_EXACT: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}
_Long = Text().with_variant(Text(2**24), "mysql", "mariadb")
_Number = BigInteger().with_variant(Integer, "sqlite")

records = Table(
    "consent_records",
    _metadata,
    Column("sequence", _Number, primary_key=True, autoincrement=True),
    Column("chain", String(16), nullable=False),
    Column("position", _Number, nullable=False),
    Column("record_id", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("principal_id", String(32)),
    Column("subject_id", String(255)),
    Column("time", String(32), nullable=False),
    Column("state", String(16)),
    Column("method", String(32)),
    Column("regime", String(16)),
    Column("jurisdiction", String(16)),
    Column("language", String(35)),
    Column("policy_sha256", String(64)),
    Column("notice_sha256", String(64)),
    Column("restricted", SmallInteger, nullable=False, server_default="0"),
    Column("erased_by", String(32)),
    Column("salt", String(32)),
    Column("document", _Long),
    Column("digest", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("chain", "position", name="consent_records_place"),
    Index("consent_records_principal", "principal_id"),
    Index("consent_records_subject", "subject_id"),
    Index("consent_records_time", "time"),
    Index("consent_records_erased_by", "erased_by"),
    **_EXACT,
)

chains = Table(
    "consent_chains",
    _metadata,
    Column("chain", String(16), primary_key=True),
    Column("started", String(32), nullable=False),
    Column("updated", String(32), nullable=False),
    Column("length", _Number, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("signature", String(64), nullable=False),
    **_EXACT,
)

# What retention has removed from the beginning of a chain.
purges = Table(
    "consent_purges",
    _metadata,
    Column("chain", String(16), primary_key=True),
    Column("through", _Number, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("cutoff", String(32), nullable=False),
    Column("signature", String(64), nullable=False),
    **_EXACT,
)

notices = Table(
    "consent_notices",
    _metadata,
    Column("sha256", String(64), primary_key=True),
    Column("language", String(35), nullable=False),
    Column("text", _Long, nullable=False),
    **_EXACT,
)

declarations = Table(
    "consent_declarations",
    _metadata,
    Column("sha256", String(64), primary_key=True),
    Column("fingerprint", String(16), nullable=False),
    Column("text", _Long, nullable=False),
    **_EXACT,
)

_schema = Table(
    "consent_schema", _metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)


def open_engine(url: str, *, patient: bool = False) -> Engine:
    """Return an engine whose every wait is bounded, and whose commits are durable.

    Args:
        url: A SQLAlchemy URL.
        patient: For reading long: statements may take their time.

    Raises:
        ImportError, SQLAlchemyError: The driver is not there, or the URL is none.
    """
    found = make_url(url)
    kind = found.get_backend_name()
    options: dict[str, Any] = {"pool_timeout": _PATIENCE_S}
    given: dict[str, Any] = {}
    if kind == "postgresql":
        limit = 0 if patient else _PATIENCE_S * 1000
        given = {
            "connect_timeout": _PATIENCE_S,
            "tcp_user_timeout": _PATIENCE_S * 1000,
            "options": f"-c statement_timeout={limit} -c lock_timeout={_PATIENCE_S * 1000}",
        }
        options["pool_pre_ping"] = True
    elif kind in {"mysql", "mariadb"}:
        given = {"connect_timeout": _PATIENCE_S, "charset": "utf8mb4"}
        given |= {} if patient else {"read_timeout": _PATIENCE_S, "write_timeout": _PATIENCE_S}
        options["pool_pre_ping"] = True
    elif found.database in {None, "", ":memory:"}:  # every connection would be a database of its own
        options = {"poolclass": StaticPool}
        given = {"check_same_thread": False}
    engine = create_engine(
        found, connect_args={k: v for k, v in given.items() if k not in found.query}, **options
    )
    if kind == "postgresql":
        event.listen(engine, "connect", _durable_postgresql)
    if kind == "sqlite":
        event.listen(engine, "connect", _durable_sqlite)
        event.listen(engine, "begin", _begin_reading if patient else _begin_writing)
    return engine


def _durable_sqlite(connection: Any, _record: object) -> None:
    """A commit survives a power cut, readers never block the writer, writers wait for each other, erased is gone."""
    connection.isolation_level = None  # transactions begin where `_begin` says so
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_PATIENCE_S * 1000}", "synchronous=FULL", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch a file to its write-ahead log; of several who do so at once SQLite turns some away without waiting."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _durable_postgresql(connection: Any, _record: object) -> None:
    """A commit survives a crash, even where the server's own setting would let it go."""
    cursor = connection.cursor()
    cursor.execute("SHOW synchronous_commit")
    if cursor.fetchone()[0] == "off":
        cursor.execute("SET synchronous_commit = on")
    cursor.close()
    connection.commit()


def _begin_writing(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail where it could have waited.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def migrate(engine: Engine, take_over: Callable[[Connection, Iterator[str]], None]) -> None:
    """Bring a database to today's tables.

    Safe where several workers do it at once, and where one of them dies half way.

    Args:
        engine: Of the database.
        take_over: Given the documents of version 1, oldest first, which had no chain; writes them anew, once.

    Raises:
        StoreError: A later version of the package has made it.
        SQLAlchemyError: The tables cannot be made.
    """
    with engine.connect() as connection:  # without the lock: another worker may be moving the tables
        if inspect(connection).has_table("consent_schema") and _told_version(connection) == SCHEMA:
            return
    with _alone(engine) as connection:
        found = _version(connection)
        if found == SCHEMA:
            return
        if found > SCHEMA:
            raise StoreError(
                f"the record store has version {found} of its tables, this package knows {SCHEMA}: "
                "install the package that wrote it, or a later one"
            )
        if found == 1:
            _set_aside(connection)
        _metadata.create_all(connection)
        if found == 1:
            rows = connection.execute(text("select document from consent_records_v1 order by sequence"))
            take_over(connection, (row[0] for row in rows))
        connection.execute(_schema.insert().values(version=SCHEMA))
        if found == 1:  # last of all: MySQL commits with the first of these
            for table in ("consent_records_v1", "consent_subjects"):
                connection.execute(text(f"drop table if exists {table}"))


def _version(connection: Connection) -> int:
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    if "consent_schema" in names:
        found = _told_version(connection)
        if found:
            return found
    if "consent_records_v1" in names:
        return 1
    if "consent_records" not in names:
        return 0
    # On MySQL today's tables may stand there half made.
    return 0 if any(column["name"] == "chain" for column in inspector.get_columns("consent_records")) else 1


def _told_version(connection: Connection) -> int:
    return connection.execute(select(_schema.c.version)).scalar() or 0


def _set_aside(connection: Connection) -> None:
    """Give the records of version 1 another name, unless that was done by somebody who then died."""
    names = set(inspect(connection).get_table_names())
    if "consent_records_v1" in names:
        return
    connection.execute(text("alter table consent_records rename to consent_records_v1"))
    if connection.dialect.name not in {"mysql", "mariadb"}:  # there an index belongs to its table
        for name in ("consent_records_principal", "consent_records_time"):
            connection.execute(text(f"drop index if exists {name}"))


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction in which no other worker makes tables."""
    with engine.connect() as connection, _locked(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """Hold MySQL's lock until the transaction is committed; elsewhere the transaction itself holds one."""
    if connection.dialect.name not in {"mysql", "mariadb"}:
        yield
        return
    # The server's locks are for all its databases.
    lock = "concat('consent_schema.', left(sha1(database()), 16))"
    got = connection.execute(text(f"select get_lock({lock}, :wait)"), {"wait": _PATIENCE_S}).scalar()
    connection.rollback()  # ends a transaction that has read, not the lock
    if got != 1:
        raise DBAPIError("get_lock", None, TimeoutError("another worker is making the tables"))
    try:
        yield
    finally:
        connection.execute(text(f"select release_lock({lock})"))
        connection.rollback()
