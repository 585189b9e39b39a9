"""Where records go: a SQL database that is opened with the first record, once a process.

A worker forked after construction (gunicorn ``--preload``) opens its own database, and writes a chain of its own. Safe
under threads; needs no lifespan. Constructing a store imports and opens nothing.

Effects that come while others are being committed wait for them and are then committed together: so a hundred choices
at once cost a few transactions, not a hundred.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

from consent_middleware.errors import StoreError
from consent_middleware.records.chain import Seal
from consent_middleware.records.model import ConsentRecord
from consent_middleware.records.receipts import history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from consent_middleware.records.database import Database
    from consent_middleware.records.effects import Effect
    from consent_middleware.records.model import Person

__all__ = ["NullStore", "SqlStore", "resolve_url", "why_unwritable"]

_PATIENCE_S = 5.0
_RETRY_WITHIN_S = 1.0
_REST_S = 1.0
_TOGETHER = 500


def resolve_url(url: str, folder: Path) -> str:
    """Return a store URL with a relative SQLite file starting from the declaration's folder."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith(prefix + "/") or url.endswith(":memory:"):
        return url
    return prefix + str(folder / url.removeprefix(prefix))


def why_unwritable(url: str) -> str:
    """Return why the SQLite file of a resolved URL cannot be written, empty where it seems it can; opens nothing.

    Of another database only its server can tell.
    """
    scheme, _, rest = url.partition(":///")
    name = rest.partition("?")[0]
    if scheme != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return ""
    path = Path(name)
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r}"
    if path.is_dir():
        return f"{name!r} is a folder, not a file"
    for one in (path.parent, path):  # SQLite keeps files of its own beside the database
        if one.exists() and not os.access(one, os.W_OK):
            return f"{str(one)!r} may not be written by this user"
    return ""


class NullStore:
    """Keeps nothing: ``records.url = "none"``."""

    def append(self, effects: Sequence[Effect]) -> list[int]:
        """Accept the effects and keep nothing."""
        return [0] * len(effects)

    def latest(self, _subject: str) -> ConsentRecord | None:
        """Know nobody."""
        return None

    def history(self, _persons: Sequence[Person]) -> dict[str, Any]:
        """Know nothing."""
        return history((), {})

    def close(self) -> None:
        """Do nothing."""


class _Ticket:
    """Effects that somebody waits for."""

    __slots__ = ("careful", "effects", "error", "is_done", "written")

    def __init__(self, effects: Sequence[Effect], *, careful: bool) -> None:
        self.effects = effects
        self.careful = careful
        self.is_done = False
        # Until it is known to be written: whoever commits for others may be interrupted.
        self.error: StoreError | None = StoreError("the record store was left before it took the record")
        self.written: list[int] = []


class SqlStore:
    """Append-only consent records in a SQL database.

    Args:
        url: A SQLAlchemy URL with absolute paths (`resolve_url`).
        secret_keys: Sign the chains: the last signs, all verify.
        together: How many callers' effects one transaction takes at most.
    """

    def __init__(self, url: str, secret_keys: Sequence[str], *, together: int = _TOGETHER) -> None:
        self._url = url
        self.seal = Seal(secret_keys)
        self._together = together
        self._opened: tuple[int, Database] | None = None
        self._parents: list[Database] = []
        self.renew()
        if hasattr(os, "register_at_fork"):  # a lock that another thread held would never be let go
            store = ref(self)
            os.register_at_fork(
                before=lambda: _tell(store(), SqlStore.pause),
                after_in_parent=lambda: _tell(store(), SqlStore.resume),
                after_in_child=lambda: _tell(store(), SqlStore.renew),
            )

    def append(self, effects: Sequence[Effect], *, careful: bool = False) -> list[int]:
        """Make effects durable, all in one transaction. Returns only once they are.

        Args:
            effects: What to write.
            careful: Some of the records may have been written before; those are left as they are.

        Returns:
            How many records each effect wrote or touched.

        Raises:
            StoreError: They are not durable, as far as is known, within ten seconds or so.
        """
        ticket = _Ticket(effects, careful=careful)
        if self._queue(ticket):
            self._commit_waiting()
        if ticket.error is not None:
            raise ticket.error
        return ticket.written

    @contextmanager
    def reading(self, *, patient: bool = False) -> Iterator[Connection]:
        """Open a connection for `records.reading`.

        Raises:
            StoreError: The database cannot be read.
        """
        with self.database().reading(patient=patient) as connection:
            yield connection

    def latest(self, subject: str) -> ConsentRecord | None:
        """Return the last record of an account, None where there is none.

        Raises:
            StoreError: The database cannot be read.
        """
        found = self.database().latest(subject)
        return ConsentRecord.from_dict(found) if found else None

    def history(self, persons: Sequence[Person]) -> dict[str, Any]:
        """Return everything about some persons, in the shape of ``records.json`` (docs/receipts.md).

        Raises:
            StoreError: The store cannot be read.
        """
        if not persons:
            return history((), {})
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self.reading() as connection:
            return reading.history(connection, persons)

    def close(self) -> None:
        """Let go of the database's connections; the next record opens it again."""
        with self._opening:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None

    def pause(self) -> None:
        """Let nobody commit while this process forks; SQLite's files must not be open then, or the child loses records."""
        with self._turn:
            self._turn.wait_for(lambda: not self._forking, _PATIENCE_S)
            self._forking = threading.get_ident()  # from now on nobody begins
            self._turn.wait_for(lambda: not self._is_busy, _PATIENCE_S)
        with self._opening:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].let_go()

    def resume(self) -> None:
        """Go on after a fork, in the parent."""
        with self._turn:
            if self._forking == threading.get_ident():
                self._forking = 0
                self._turn.notify_all()

    def renew(self) -> None:
        """Start with fresh locks, in a child process."""
        self._opening = threading.Lock()
        self._turn = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._taken: list[_Ticket] = []
        self._is_busy = False
        self._forking = 0
        self._away_until = 0.0

    def database(self) -> Database:
        """Return this process's database, opened when first asked for.

        Raises:
            StoreError: It cannot be opened.
        """
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                self.check_rest()  # for those who have waited while somebody found it away
                # SQLAlchemy loads here and nowhere else.
                from consent_middleware.records.database import Database  # noqa: PLC0415

                if self._opened:  # a fork's copy: closing it would end the connections of its parent
                    self._parents.append(self._opened[1])
                began, self._opened = time.monotonic(), None
                try:
                    self._opened = (os.getpid(), Database(self._url, self.seal))
                except StoreError:
                    self._is_away(began)
                    raise
            return self._opened[1]

    def check_rest(self) -> None:
        """Let nobody wait for a store that has just failed.

        Raises:
            StoreError: It has.
        """
        if time.monotonic() < self._away_until:
            raise StoreError("the record store was away a moment ago")

    # -- group commit

    def _queue(self, ticket: _Ticket) -> bool:
        """Wait for a turn; return whether this caller is to commit what waits, its own among it.

        Raises:
            StoreError: Nobody took it in time.
        """
        until = time.monotonic() + _PATIENCE_S
        with self._turn:
            self._waiting.append(ticket)
            while (self._is_busy or self._forking) and not ticket.is_done:
                left = until - time.monotonic()
                if left <= 0:
                    if ticket in self._waiting:
                        self._waiting.remove(ticket)
                    raise StoreError(f"the record store did not answer within {_PATIENCE_S:.0f} s")
                self._turn.wait(left)
            if ticket.is_done:
                return False
            self._is_busy = True
            # First come, first served; who commits takes its own along.
            self._waiting.remove(ticket)
            self._taken = [ticket, *self._waiting[: self._together - 1]]
            self._waiting = self._waiting[self._together - 1 :]
            return True

    def _commit_waiting(self) -> None:
        taken = self._taken
        try:
            self._commit(taken)
        finally:
            with self._turn:
                for ticket in taken:
                    ticket.is_done = True
                self._is_busy = False
                self._turn.notify_all()

    def _commit(self, tickets: Sequence[_Ticket]) -> None:
        """Commit together; where that fails once more with care, and then each alone if it may be one's own fault."""
        began = time.monotonic()
        try:
            self.check_rest()
            database = self.database()
        except StoreError as problem:
            _fail(tickets, problem)
            return
        failure = _try(database, tickets, careful=any(ticket.careful for ticket in tickets))
        if failure is not None and time.monotonic() - began < _RETRY_WITHIN_S:
            failure = _try(database, tickets, careful=True)
        if failure is None:
            return
        if not failure.is_own:
            self._is_away(began)
        if not failure.is_own or len(tickets) == 1:
            _fail(tickets, failure)
            return
        for ticket in tickets:
            alone = _try(database, [ticket], careful=True)
            if alone is not None:
                _fail([ticket], alone)

    def _is_away(self, began: float) -> None:
        """Let nobody wait for a store that has just failed: as long again as the failure took, but a second at least."""
        now = time.monotonic()
        self._away_until = now + max(_REST_S, now - began)


def _try(database: Database, tickets: Sequence[_Ticket], *, careful: bool) -> StoreError | None:
    try:
        written = database.write([ticket.effects for ticket in tickets], careful=careful)
    except StoreError as error:
        return error
    for ticket, own in zip(tickets, written, strict=True):
        ticket.written, ticket.error = own, None
    return None


def _fail(tickets: Sequence[_Ticket], error: StoreError) -> None:
    for ticket in tickets:
        ticket.error = error


def _tell(store: SqlStore | None, what: Callable[[SqlStore], None]) -> None:
    """Tell a store, if it is still there, that its process forks."""
    if store is not None:
        what(store)
