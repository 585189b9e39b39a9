"""Where records go: a SQL database that is opened with the first record, once a process.

A worker forked after construction (gunicorn ``--preload``) opens its own database and never shares a
connection. Safe under threads; needs no lifespan. Constructing a store imports and opens nothing.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import ref

from consent_middleware.records.model import ConsentRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from consent_middleware.records.database import Database
    from consent_middleware.records.model import AppendRecord

__all__ = ["NullStore", "SqlStore", "resolve_url"]


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

    def latest(self, _subject: str) -> ConsentRecord | None:
        """Know nobody."""
        return None

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
        self._opened: tuple[int, Database] | None = None
        self._parents: list[Database] = []
        if hasattr(os, "register_at_fork"):  # a lock that another thread held would never be let go
            store = ref(self)
            os.register_at_fork(after_in_child=lambda: _renew(store()))

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Make records durable, all in one transaction. Returns only once they are.

        A record id that is there already is left as it is.

        Raises:
            StoreError: They are not durable.
        """
        self._database().append(effects)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield every record, oldest first."""
        return self._database().records()

    def notice(self, sha256: str) -> str | None:
        """Return the text of a notice by its hash, None for one that was never shown."""
        return self._database().notice(sha256)

    def latest(self, subject: str) -> ConsentRecord | None:
        """Return the last record of an account, None where there is none.

        Raises:
            StoreError: The database cannot be read.
        """
        found = self._database().latest(subject)
        return ConsentRecord.from_dict(found) if found else None

    def close(self) -> None:
        """Let go of the database's connections; the next record opens it again."""
        with self._lock:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None

    def renew_lock(self) -> None:
        """Start with a fresh lock, in a child process."""
        self._lock = threading.Lock()

    def _database(self) -> Database:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                # SQLAlchemy loads here and nowhere else.
                from consent_middleware.records.database import Database  # noqa: PLC0415

                if self._opened:  # a fork's copy: closing it would end the connections of its parent
                    self._parents.append(self._opened[1])
                self._opened = (os.getpid(), Database(self._url))
            return self._opened[1]


def _renew(store: SqlStore | None) -> None:
    """Give a forked child's store a lock of its own."""
    if store is not None:
        store.renew_lock()
