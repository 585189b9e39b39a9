"""Records that nobody waits for: what a signal changed, written by a thread of its own, through a bounded queue.

What the queue does not take is taken at the visitor's next visit: the cookie says that it is still to be recorded.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.records.effects import AppendRecord

__all__ = ["Background"]

_PATIENCE_S = 5
_log = logging.getLogger("consent_middleware")


class Background:
    """Write records later, in their order.

    Args:
        write: Makes one durable; may block, and may raise: then the record is lost, and the log says so.
        size: How many may wait.
    """

    def __init__(self, write: Callable[[AppendRecord], object], size: int = 1_000) -> None:
        self._write = write
        self._size = size
        self._lock = threading.Lock()
        self._started: tuple[int, queue.Queue[AppendRecord]] | None = None
        background = ref(self)
        if hasattr(os, "register_at_fork"):  # a lock that another thread held would never be let go
            os.register_at_fork(after_in_child=lambda: _renew(background()))
        atexit.register(lambda: _drain(background()))

    def add(self, effect: AppendRecord) -> bool:
        """Take a record; return False where too many wait."""
        try:
            self._queue().put_nowait(effect)
        except (
            queue.Full,
            RuntimeError,
        ):  # no thread can be started: at the end of the process, or of its means
            return False
        return True

    def drain(self, patience_s: float = _PATIENCE_S) -> None:
        """Wait until everything is written, but not for long."""
        started = self._started
        if started is None or started[0] != os.getpid():
            return
        waiting = started[1]
        with waiting.all_tasks_done:
            waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, patience_s)

    def renew(self) -> None:
        """Start anew in a forked child, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._started = None

    def _queue(self) -> queue.Queue[AppendRecord]:
        with self._lock:
            if self._started is None:
                waiting: queue.Queue[AppendRecord] = queue.Queue(self._size)
                name = "consent-records"
                threading.Thread(target=self._work, args=(waiting,), name=name, daemon=True).start()
                self._started = os.getpid(), waiting
            return self._started[1]

    def _work(self, waiting: queue.Queue[AppendRecord]) -> None:
        while True:
            effect = waiting.get()
            try:
                self._write(effect)
            except Exception:  # noqa: BLE001 - the thread must go on
                _log.exception("consent_middleware: an opt-out by signal could not be recorded")
            finally:
                waiting.task_done()


def _renew(background: Background | None) -> None:
    if background is not None:
        background.renew()


def _drain(background: Background | None) -> None:
    if background is not None:
        background.drain()
