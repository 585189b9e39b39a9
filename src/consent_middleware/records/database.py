"""One process's connections to the records, and its own chain. Imported only when a store is opened."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from consent_middleware.errors import StoreError
from consent_middleware.records import reading
from consent_middleware.records.chain import new_chain
from consent_middleware.records.effects import EraseRecords
from consent_middleware.records.schema import migrate, open_engine
from consent_middleware.records.writing import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine

    from consent_middleware.records.chain import Head, Seal
    from consent_middleware.records.effects import Effect

__all__ = ["Database", "UnfitError"]

T = TypeVar("T")
_AWAY = (SQLAlchemyError, OSError, RuntimeError)


class UnfitError(StoreError):
    """The store is there, but does not take these very records."""

    is_own = True


class Database:
    """One process's connections to the records.

    Args:
        url: A SQLAlchemy URL.
        seal: Signs the heads of the chains.
        clock: Returns seconds since the epoch.

    Raises:
        StoreError: The database cannot be reached or its tables cannot be made.
    """

    def __init__(self, url: str, seal: Seal, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._seal = seal
        self._clock = clock
        self._head: Head = new_chain()
        self._taking = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._patient: Engine | None = None
        try:
            self._engine = open_engine(url)
        except (*_AWAY, ImportError, ValueError) as error:  # the driver may not be installed
            raise _store_error(error) from error
        try:
            migrate(self._engine, self._take_over)
        except (*_AWAY, ValueError, StoreError) as error:
            self._engine.dispose()
            raise _store_error(error) from error

    def write(self, work: Sequence[Sequence[Effect]], *, careful: bool = False) -> list[list[int]]:
        """Write effects in one transaction; return how many records each wrote or touched.

        Not to be called by two threads at once: the chain is one.

        Args:
            work: Effects, as they belong together.
            careful: Some of the records may have been written before.

        Raises:
            UnfitError: The database does not take these records.
            StoreError: The transaction was not committed, as far as is known.
        """
        head = self._take_head()
        try:
            with self._engine.begin() as connection:
                batch = Batch(connection, head, self._seal, self._known, self._clock(), careful=careful)
                done = [[batch.run(effect) for effect in effects] for effects in work]
                after = batch.finish()
        except (DataError, IntegrityError, ValueError, TypeError) as error:
            raise UnfitError(_words(error)) from error
        except _AWAY as error:
            self._known = frozenset()  # it may come back as another one
            raise _store_error(error) from error
        self._head = after
        self._known |= batch.texts
        if any(isinstance(effect, EraseRecords) for effects in work for effect in effects):
            self.forget()
        return done

    def forget(self) -> None:
        """Let what was erased leave SQLite's log too; while somebody reads, it leaves with the next time."""
        if self._engine.dialect.name == "sqlite":
            with suppress(SQLAlchemyError), self._engine.connect() as connection:
                connection.rollback()
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Connection]:
        """Open a connection that reads one state of the records, whatever is written meanwhile.

        Args:
            patient: A statement may take as long as it takes.

        Raises:
            StoreError: The database cannot be read.
        """
        try:
            with self._reader(patient=patient).connect() as connection:
                if connection.dialect.name != "sqlite":
                    connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the record store cannot be read ({type(error).__name__})") from error

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction that writes beside the chain, for retention.

        Raises:
            StoreError: It was not committed.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except _AWAY as error:
            raise _store_error(error) from error

    def note(self, kind: str, said: Mapping[str, object]) -> None:
        """Write an event into the chain.

        Raises:
            StoreError: It was not committed.
        """
        self._alone(lambda batch: batch.note(kind, said=said))

    def blank(self, where: ColumnElement[bool], by: str, limit: int) -> int:
        """Blank some records and note it; return how many there were.

        Raises:
            StoreError: It was not committed.
        """
        return self._alone(lambda batch: batch.erase(where, by, limit=limit))

    def _alone(self, work: Callable[[Batch], T]) -> T:
        """Do one thing in a transaction of its own."""
        head = self._take_head()
        with self.changing() as connection:
            batch = Batch(connection, head, self._seal, self._known, self._clock(), careful=False)
            found = work(batch)
            after = batch.finish()
        self._head = after
        return found

    def _take_head(self) -> Head:
        """Return the chain's head to whoever writes; where that fails nobody knows how far it goes: so a new one follows."""
        with self._taking:
            head, self._head = self._head, new_chain()
        return head

    def latest(self, subject: str) -> dict[str, Any] | None:
        """Return the last record of an account, None where there is none.

        Raises:
            StoreError: The database cannot be read.
        """
        with self.reading() as connection:
            return reading.latest(connection, subject)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        if self._patient is not None:
            self._patient.dispose()

    def let_go(self) -> None:
        """Close the connections that nobody uses, where they must not be open at a fork."""
        if self._engine.dialect.name == "sqlite" and not self._is_in_memory:
            self.close()

    @property
    def _is_in_memory(self) -> bool:
        return ":memory:" in self._url or self._url == "sqlite://"

    def _reader(self, *, patient: bool) -> Engine:
        if self._is_in_memory:
            return self._engine
        if self._patient is None:
            self._patient = open_engine(self._url, patient=True)
        return self._patient if patient or self._engine.dialect.name == "sqlite" else self._engine

    def _take_over(self, connection: Connection, documents: Iterator[str]) -> None:
        batch = Batch(connection, self._head, self._seal, frozenset(), self._clock(), careful=True)
        for document in documents:
            batch.take_over(document)
        self._head = batch.finish()


def _store_error(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(_words(error))


def _words(error: Exception) -> str:
    # The driver's message may quote the row; its class says enough for a log.
    return f"the record store did not take the record ({type(error).__name__})"
