"""What the tests of the records share: answers and their records, real databases, and a look behind the store."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import (
    NO_SOURCE,
    AppendRecord,
    ConsentRecord,
    Declaration,
    NoticeText,
    SqlStore,
    build_record,
)
from consent_middleware.records.verification import verify
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from helpers_core import NOW, SECRET, make_catalog, service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from consent_middleware.records import Source
    from consent_middleware.records.chain import Head
    from consent_middleware.records.verification import Report

__all__ = [
    "CATALOG",
    "DATABASES",
    "DECLARATION",
    "NOTICE",
    "changing",
    "check",
    "effect",
    "fresh_url",
    "ids",
    "kinds",
    "made_at",
    "open_store",
    "record",
    "rows",
]

CATALOG = make_catalog(
    service("shop", "essential"),
    service("stats", "analytics", "st", "st2", provider="Stats Ltd"),
    service("ads", "marketing"),
)
NOTICE = NoticeText.of("<section>We use cookies.</section>", "en")
DECLARATION = Declaration.of('{"site":"Example Shop"}', CATALOG.fingerprint)
DATABASES = ("sqlite", "postgres", "mariadb")


def record(
    *granted: str,
    principal: str | None = None,
    subject: str = "",
    id_: str = "r1",
    now: float = NOW,
    source: Source = NO_SOURCE,
    **changes: Any,
) -> ConsentRecord:
    """Return the record of an answer that grants these units."""
    given = frozenset(granted)
    return build_record(
        CATALOG,
        Choice(given, CATALOG.asked - given, int(now), changes.get("signals", Signals(gpc=True))),
        principal=principal,
        before=changes.get("before", frozenset()),
        method=changes.get("method", "prefs"),
        circumstances=Circumstances(Regime.OPT_IN, changes.get("region", "DE"), subject=subject),
        notice=changes.get("notice", NOTICE),
        declaration=changes.get("declaration", DECLARATION),
        now=now,
        valid_until=now + 86_400,
        new_id=lambda: id_,
        source=source,
    )


def effect(id_: str, *, principal: str = "p1", **changes: Any) -> AppendRecord:
    """Return the effect that stores a record of this id."""
    found = record("stats", principal=principal, id_=id_, **changes)
    return AppendRecord(found, changes.get("notice", NOTICE), changes.get("declaration", DECLARATION))


def fresh_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of a new, empty database of one of `DATABASES`."""
    if kind == "sqlite":
        name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
        return f"sqlite:///{folder}/{name}.db"
    url: str = request.getfixturevalue(kind).fresh()
    return url


@contextmanager
def open_store(url: str, *keys: str) -> Iterator[SqlStore]:
    """Open a store, and close it at the end."""
    store = SqlStore(url, keys or (SECRET,))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database on each server."""
    return fresh_url(request.param, request, tmp_path)


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """Give a store in an empty database."""
    with open_store(store_url) as found:
        yield found


@contextmanager
def made_at(store: SqlStore, now: float) -> Iterator[None]:
    """Let the store's clock stand at another moment."""
    database = store.database()
    clock, database._clock = database._clock, lambda: now
    try:
        yield
    finally:
        database._clock = clock


@contextmanager
def changing(url: str) -> Iterator[Connection]:
    """Change a database behind the store's back."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout=5000")
        yield connection


def rows(url: str, query: str, **values: object) -> Sequence[Any]:
    """Return the rows of a query, asked behind the store's back."""
    with changing(url) as connection:
        return connection.execute(text(query), values).all()


def ids(url: str) -> list[str]:
    """Return the ids of the records of consent, as they were written."""
    query = "select record_id from consent_records where kind = 'consent' order by sequence"
    return [row[0] for row in rows(url, query)]


def check(store: SqlStore, witness: Mapping[str, Head] | None = None) -> Report:
    """Verify a store."""
    with store.reading(patient=True) as connection:
        return verify(connection, store.seal, witness=witness)


def kinds(report: Report) -> set[str]:
    """Return what kinds of findings there are."""
    return {finding.kind for finding in report.findings}
