"""The journal: where a record goes while the store is down, and from where it comes back.

One file a choice, written aside, flushed to the disk and then renamed, so that a file that is there is whole
and two workers never meet in one. The next record that reaches the store takes the waiting ones along, oldest
first. Replaying twice, or in two workers at once, writes once: a record id is unique in the store.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import StoreError
from consent_middleware.records.model import AppendRecord, ConsentRecord, NoticeText

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from consent_middleware.records.store import SqlStore

__all__ = ["Journal"]

_counter = itertools.count()
_log = logging.getLogger("consent_middleware")


class Journal:
    """A store that survives its database being away.

    Args:
        store: Where records belong.
        folder: Where they wait; made when first needed.
    """

    def __init__(self, store: SqlStore, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._checked: int | None = None

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Make records durable, in the store or else in the journal.

        Raises:
            StoreError: Neither took them.
        """
        try:
            self.store.append(effects)
        except StoreError as error:
            _log.error("consent_middleware: %s; it is kept in the journal.", error)
            self._write(effects)
        else:
            self._replay_waiting()

    def latest(self, subject: str) -> ConsentRecord | None:
        """Return the last record of an account that the store holds.

        Raises:
            StoreError: The store cannot be read.
        """
        return self.store.latest(subject)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def _write(self, effects: Sequence[AppendRecord]) -> None:
        entries = [
            {"record": e.record.to_dict(), "notice": [e.notice.language, e.notice.text]} for e in effects
        ]
        # The hour, as in the records of those who refuse: a file's name must not say more.
        hour = int(time.time()) // 3600
        path = self._folder / f"{hour:08d}-{next(_counter):08d}-{secrets.token_hex(4)}.json"
        aside = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            os.utime(aside, (hour * 3600, hour * 3600))
            aside.rename(path)
            _sync_folder(self._folder)
        except OSError as error:
            raise StoreError(f"neither store nor journal took the record ({error.strerror})") from error
        self._checked = None

    def _replay_waiting(self) -> None:
        """Replay what waits; once a process, and again after each failure of its own."""
        if self._checked == os.getpid():
            return
        with contextlib.suppress(StoreError, OSError):  # they wait on
            self.replay()
            self._checked = os.getpid()

    def replay(self) -> int:
        """Put every waiting record into the store, oldest first; return how many were read.

        Raises:
            StoreError: The store is away again; nothing is lost.
        """
        count = 0
        for path in sorted(self._folder.glob("*.json")):
            effects = _read(path)
            if effects is None:
                continue
            self.store.append(effects)
            count += len(effects)
            path.unlink(missing_ok=True)
        return count


def _read(path: Path) -> list[AppendRecord] | None:
    """Return a file's records; None for one that another worker took, or that is not ours."""
    try:
        entries = json.loads(path.read_text("utf-8"))
        return [_effect(entry) for entry in entries]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        _log.error("consent_middleware: %s in the journal cannot be read; it is left where it is.", path.name)
        return None


def _effect(entry: Any) -> AppendRecord:
    language, text = entry["notice"]
    return AppendRecord(ConsentRecord.from_dict(entry["record"]), NoticeText.of(text, language))


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable too; not every system lets a folder be synced."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
