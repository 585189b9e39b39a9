"""The journal: where a record goes while the store is down, and from where it comes back.

One file a choice, written aside, flushed to the disk and then renamed, so that a file that is there is whole. Files are
numbered, and replayed in that order before any newer record is written: who says yes and then no is not found saying
yes. Replaying twice, or in two workers at once, writes once: a record id is unique in the store.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import StoreError
from consent_middleware.records.effects import AppendRecord
from consent_middleware.records.model import ConsentRecord, Declaration, NoticeText

try:
    import fcntl
except ImportError:  # Windows: replaying at once then costs time, nothing else
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from consent_middleware.records.effects import Effect
    from consent_middleware.records.model import Person
    from consent_middleware.records.store import SqlStore

__all__ = ["Journal"]

_AT_ONCE = 200
_PATIENCE_S = 2.0
_UNFINISHED_S = 7_200  # a file's time is that of its hour
_log = logging.getLogger("consent_middleware")


class _FolderError(StoreError):
    """The journal cannot be read or emptied; the store itself may be there."""


class Journal:
    """A store that survives its database being away.

    Args:
        store: Where records belong.
        folder: Where they wait; made when first needed.
    """

    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.store = store
        self._folder = folder

    def append(self, effects: Sequence[Effect]) -> list[int]:
        """Make effects durable, in the store or else in the journal; only records can wait there.

        Returns:
            How many records each effect wrote or touched.

        Raises:
            StoreError: Neither took them.
        """
        try:
            self._catch_up()
            return self.store.append(effects)
        except StoreError as error:
            records = [effect for effect in effects if isinstance(effect, AppendRecord)]
            if error.is_own or len(records) < len(effects):
                raise
            _log.error("consent_middleware: %s; it is kept in the journal.", error)
            self._write(records)
            return [1] * len(records)

    def latest(self, subject: str) -> ConsentRecord | None:
        """Return the last record of an account that the store holds.

        Raises:
            StoreError: The store cannot be read.
        """
        return self.store.latest(subject)

    def history(self, persons: Sequence[Person]) -> dict[str, Any]:
        """Return everything about some persons; what waits is written first, if the store is there.

        Raises:
            StoreError: The store cannot be read.
        """
        with contextlib.suppress(StoreError):
            self._catch_up()
        return self.store.history(persons)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def waiting(self) -> int:
        """Return how many choices wait.

        Raises:
            StoreError: The journal cannot be read.
        """
        return len(self._waiting())

    def replay(
        self, *, patience_s: float | None = None, progress: Callable[[int], object] | None = None
    ) -> int:
        """Put every waiting record into the store, in order; return how many files were read.

        Args:
            patience_s: For how long at most; None: until all is done.
            progress: Told each time how many files more are done.

        Raises:
            StoreError: The store is away again, or it would take too long; nothing is lost.
        """
        try:
            return self._replay_all(patience_s, progress)
        except OSError as error:
            raise _FolderError(f"the journal cannot be replayed ({error.strerror})") from error

    def _catch_up(self) -> None:
        """Replay first; a journal that is out of order stands in no newer record's way, since records tell their time.

        Raises:
            StoreError: The store is away, or replaying takes too long.
        """
        self.store.check_rest()
        try:
            if self._waiting():
                self.replay(patience_s=_PATIENCE_S)
        except _FolderError as error:
            _log.error("consent_middleware: %s.", error)

    def _replay_all(self, patience_s: float | None, progress: Callable[[int], object] | None) -> int:
        until = None if patience_s is None else time.monotonic() + patience_s
        count = 0
        with self._locked(until, exclusive=True):
            if patience_s is not None:
                self.store.check_rest()  # for those who have waited while somebody found it away
            self._sweep()
            names = self._waiting()
            for at in range(0, len(names), _AT_ONCE):
                if until is not None and time.monotonic() > until:
                    raise StoreError("the journal is still being replayed")
                some = names[at : at + _AT_ONCE]
                self._replay(some)
                count += len(some)
                if progress:
                    progress(len(some))
        return count

    def _replay(self, names: Sequence[str]) -> None:
        found = {name: effects for name in names if (effects := _read(self._folder / name)) is not None}
        try:
            self.store.append([effect for effects in found.values() for effect in effects], careful=True)
        except StoreError as error:
            if not error.is_own:
                raise
            self._replay_singly(found)
            return
        for name in found:
            (self._folder / name).unlink(missing_ok=True)

    def _replay_singly(self, found: dict[str, list[AppendRecord]]) -> None:
        """Replay file by file, since the store does not take what stands in one of them."""
        for name, effects in found.items():
            path = self._folder / name
            try:
                self.store.append(effects, careful=True)
            except StoreError as error:
                if not error.is_own:
                    raise
                _put_aside(path, str(error))
            else:
                path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what was begun and never finished, by a process that died: nobody was told that it is kept."""
        for path in self._folder.glob("*.part"):
            if time.time() - path.stat().st_mtime > _UNFINISHED_S:
                path.unlink(missing_ok=True)

    def _waiting(self) -> list[str]:
        """Return the waiting files' names, in order; asked at each choice, so the folder is short or not there."""
        try:
            found = [name for name in os.listdir(self._folder) if name.endswith(".json")]  # noqa: PTH208 - at each choice
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _FolderError(f"the journal cannot be read ({error.strerror})") from error
        return sorted(found, key=lambda name: (_number(name), name))

    def _write(self, effects: Sequence[AppendRecord]) -> None:
        entries = [
            {
                "record": e.record.to_dict(),
                "notice": [e.notice.language, e.notice.text],
                "declaration": [e.declaration.fingerprint, e.declaration.text],
            }
            for e in effects
        ]
        # The hour, as in the records of those who refuse: a file must not say more.
        hour = int(time.time()) // 3600 * 3600
        aside = self._folder / f"{secrets.token_hex(8)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            os.utime(aside, (hour, hour))
            with self._locked(None, exclusive=False):
                self._rename(aside)
            _sync_folder(self._folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise StoreError(f"neither store nor journal took the record ({error.strerror})") from error

    def _rename(self, aside: Path) -> None:
        """Give a finished file the next number; two workers at once may come to the same one, and then part by chance."""
        number = max(map(_number, self._waiting()), default=0) + 1
        aside.rename(self._folder / f"{number:012d}-{secrets.token_hex(4)}.json")

    @contextlib.contextmanager
    def _locked(self, until: float | None, *, exclusive: bool) -> Iterator[None]:
        """Hold the folder's lock for replaying, or for numbering a file; there is none where the system has no such locks.

        Raises:
            StoreError: Another worker replays for longer than this caller can wait.
        """
        name = "replay.lock" if exclusive else "number.lock"
        if fcntl is None or not self._folder.is_dir():
            yield
            return
        # To be locked a file need not be written to, so that another user's does as well.
        handle = os.open(self._folder / name, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            while True:
                try:
                    wait = 0 if until is None else fcntl.LOCK_NB
                    fcntl.flock(handle, fcntl.LOCK_EX | wait)
                    break
                except BlockingIOError:
                    if until is not None and time.monotonic() > until:
                        raise StoreError("another worker is replaying the journal") from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(handle)


def _number(name: str) -> int:
    first = name.partition("-")[0]
    return int(first) if first.isdecimal() else 0


def _read(path: Path) -> list[AppendRecord] | None:
    """Return a file's records; None for one that another worker took, or that is not ours: that is put aside.

    Raises:
        OSError: It cannot be read now.
    """
    try:
        entries = json.loads(path.read_text("utf-8"))
        return [_effect(entry) for entry in entries]
    except FileNotFoundError:
        return None
    except (IsADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        _put_aside(path, "it cannot be read")
        return None


def _put_aside(path: Path, reason: str) -> None:
    """Let a file that nobody can use stand in nobody's way."""
    _log.error(
        "consent_middleware: %s in the journal is put aside as %s.bad: %s.", path.name, path.name, reason
    )
    with contextlib.suppress(OSError):
        path.rename(path.with_suffix(".json.bad"))


def _effect(entry: Any) -> AppendRecord:
    language, text = entry["notice"]
    fingerprint, declared = entry.get("declaration") or ("", "{}")  # before version 0.2 there was none
    return AppendRecord(
        ConsentRecord.from_dict(entry["record"]),
        NoticeText.of(text, language),
        Declaration.of(declared, fingerprint),
    )


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable too; not every system lets a folder be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
