from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

import pytest

from consent_middleware.records import Background
from helpers_records import effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.records import AppendRecord

PATIENCE_S = 30


class Store:
    """Takes records when it is let; tells what it took, and on which thread."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.threads: set[str] = set()
        self.failing: set[str] = set()
        self.reached = threading.Event()
        self.let = threading.Event()
        self.let.set()

    def write(self, effect: AppendRecord) -> None:
        """Take a record."""
        self.reached.set()
        assert self.let.wait(PATIENCE_S)
        if effect.record.record_id in self.failing:
            raise OSError("the disk is full")
        self.taken.append(effect.record.record_id)
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def store() -> Iterator[Store]:
    """A store that stops nobody once the test is over."""
    found = Store()
    yield found
    found.let.set()


def hold(store: Store, background: Background) -> None:
    """Let the thread take one record and get stuck with it."""
    store.let.clear()
    assert background.add(effect("stuck"))
    assert store.reached.wait(PATIENCE_S)


def test_records_are_written_in_their_order(store: Store) -> None:
    """By one thread of its own, the first that came first."""
    background = Background(store.write)
    ids = [f"r{number:03}" for number in range(200)]
    assert all(background.add(effect(id_)) for id_ in ids)
    background.drain(PATIENCE_S)
    assert store.taken == ids
    assert store.threads == {"consent-records"}


def test_nobody_waits_for_the_store(store: Store) -> None:
    """A record is taken while the one before it is still being written."""
    background = Background(store.write)
    hold(store, background)
    assert background.add(effect("r1"))
    assert store.taken == []
    store.let.set()
    background.drain(PATIENCE_S)
    assert store.taken == ["stuck", "r1"]


def test_a_full_queue_takes_no_more(store: Store) -> None:
    """What does not fit is left to the visitor's next visit; once there is room again it is taken."""
    background = Background(store.write, size=2)
    hold(store, background)
    assert [background.add(effect(id_)) for id_ in ("r1", "r2", "r3", "r4")] == [True, True, False, False]
    store.let.set()
    background.drain(PATIENCE_S)
    assert background.add(effect("r5"))
    background.drain(PATIENCE_S)
    assert store.taken == ["stuck", "r1", "r2", "r5"]


def test_a_failing_write_does_not_stop_the_next(store: Store, log: pytest.LogCaptureFixture) -> None:
    """The log says that one is lost, without a word of whose it was."""
    store.failing = {"r2"}
    background = Background(store.write)
    for id_ in ("r1", "r2", "r3"):
        background.add(effect(id_))
    background.drain(PATIENCE_S)
    assert store.taken == ["r1", "r3"]
    (line,) = log.records
    assert (line.levelno, "could not be recorded" in line.getMessage()) == (logging.ERROR, True)


def test_many_threads_add_to_one(store: Store) -> None:
    """Requests come from everywhere; one thread writes, and nothing is lost."""
    background = Background(store.write)
    start = threading.Barrier(8)

    def add(worker: int) -> None:
        start.wait(PATIENCE_S)
        for number in range(25):
            background.add(effect(f"w{worker}-{number:02}"))

    workers = [threading.Thread(target=add, args=(worker,)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    background.drain(PATIENCE_S)
    assert len(set(store.taken)) == 200
    for worker_id in range(8):
        assert [id_ for id_ in store.taken if id_.startswith(f"w{worker_id}-")] == [
            f"w{worker_id}-{number:02}" for number in range(25)
        ]


def test_a_site_without_signals_has_no_thread(store: Store) -> None:
    """The thread starts with the first record, and draining what never began is no wait."""
    before = threading.active_count()
    Background(store.write).drain(PATIENCE_S)
    assert threading.active_count() == before


def test_draining_does_not_wait_for_ever(store: Store) -> None:
    """A store that hangs never keeps the process from ending."""
    background = Background(store.write)
    hold(store, background)
    background.drain(0.01)
    assert store.taken == []


def test_what_is_left_behind_is_written_anew(store: Store) -> None:
    """After `renew` a new queue and a new thread take what comes."""
    background = Background(store.write)
    background.add(effect("r1"))
    background.drain(PATIENCE_S)
    background.renew()
    background.drain(PATIENCE_S)
    assert background.add(effect("r2"))
    background.drain(PATIENCE_S)
    assert store.taken == ["r1", "r2"]


def test_a_site_that_is_gone_is_forgotten() -> None:
    """What runs at a fork and at the end holds no site back."""
    background = Background(lambda _: None)
    gone = ref(background)
    del background
    gc.collect()
    assert gone() is None


PRELUDE = """
import os, sys, threading
sys.path.insert(0, {tests!r})
from helpers_records import effect
from consent_middleware.records import Background

def write(effect):
    print(os.getpid() == parent, effect.record.record_id, flush=True)

parent = os.getpid()
background = Background(write)
"""
FORKING = """
let, reached = threading.Event(), threading.Event()

def stuck(effect):
    reached.set()
    let.wait(30)
    write(effect)

background._write = stuck
background.add(effect("parent-1"))
reached.wait(30)
background.add(effect("parent-2"))
background._lock.acquire()  # as if another thread were adding at this very moment
child = os.fork()
if not child:
    background._write = write
    assert background.add(effect("child"))
    background.drain(30)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
background._lock.release()
let.set()
background.drain(30)
"""
ENDING = """
for number in range(5):
    background.add(effect(f"r{number}"))
"""


def run(script: str) -> list[str]:
    """Run a script in a process of its own; return what it printed."""
    code = PRELUDE.replace("{tests!r}", repr(str(Path(__file__).parent))) + script
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_forked_child_starts_anew() -> None:
    """The child has a thread of its own, hangs on no lock, and writes nothing that is its parent's to write."""
    assert run(FORKING) == ["False child", "True parent-1", "True parent-2"]


def test_what_waits_is_written_before_the_end() -> None:
    """A process that ends first writes what it took."""
    assert run(ENDING) == [f"True r{number}" for number in range(5)]


def test_without_a_thread_nothing_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can start no thread says so each time, and takes up work when it can again."""

    def broken(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    background = Background(store.write)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", broken)
        assert [background.add(effect(id_)) for id_ in ("r1", "r2")] == [False, False]
    assert background.add(effect("r3"))
    background.drain(PATIENCE_S)
    assert store.taken == ["r3"]
