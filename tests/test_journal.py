"""The journal: what is acknowledged while the store is away is there once, in its order, when it is back."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import sqlite3
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consent_middleware.errors import StoreError
from consent_middleware.records import (
    AppendRecord,
    EraseRecords,
    Journal,
    Person,
    RestrictRecords,
    SqlStore,
    reading,
)
from consent_middleware.records import journal as journal_module
from helpers_core import SECRET
from helpers_records import DECLARATION, NOTICE, changing, check, effect, ids, open_store, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consent_middleware.records import Effect

forks = multiprocessing.get_context("fork")
P1 = Person(principal="p1")


class Flaky(SqlStore):
    """A store that can be switched off."""

    down = False
    refusing: frozenset[str] = frozenset()

    def append(self, effects: Sequence[Effect], *, careful: bool = False) -> list[int]:
        """Take the effects, unless the database is away or does not like one of them."""
        if self.down:
            raise StoreError("the record store is away")
        if self.refusing & {e.record.record_id for e in effects if isinstance(e, AppendRecord)}:
            error = StoreError("the record store does not take the record")
            error.is_own = True
            raise error
        return super().append(effects, careful=careful)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a file that is not there yet."""
    return f"sqlite:///{tmp_path}/records.db"


@pytest.fixture
def store(url: str) -> Iterator[Flaky]:
    """A store in a file of its own."""
    found = Flaky(url, [SECRET])
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where records wait; not there yet."""
    return tmp_path / "deep" / "journal"


@pytest.fixture
def journal(store: Flaky, folder: Path) -> Journal:
    """A journal in front of the store."""
    return Journal(store, folder)


def files(folder: Path, ending: str = ".json") -> list[Path]:
    """Return the files that wait, in the order of their numbers."""
    return sorted(path for path in folder.glob("*") if path.name.endswith(ending))


def keep(journal: Journal, store: Flaky, *names: str) -> None:
    """Let records wait, a file each."""
    store.down = True
    for name in names:
        assert journal.append([effect(name)]) == [1]
    store.down = False


# -- where a record goes


def test_a_working_store_needs_no_journal(journal: Journal, folder: Path, url: str) -> None:
    """While the database is there no file is written, and no folder made."""
    assert journal.append([effect("r1"), effect("r2")]) == [1, 1]
    assert ids(url) == ["r1", "r2"]
    assert not folder.exists()


def test_a_record_waits_while_the_store_is_down(
    journal: Journal, store: Flaky, folder: Path, log: pytest.LogCaptureFixture
) -> None:
    """What the store does not take stands in one whole file, and the log says so."""
    store.down = True
    journal.append([effect("r1"), effect("r2")])
    (path,) = files(folder)
    assert [entry["record"]["record_id"] for entry in json.loads(path.read_text("utf-8"))] == ["r1", "r2"]
    assert "kept in the journal" in log.text
    assert journal.waiting() == 1


def test_the_log_names_nobody(
    journal: Journal, store: Flaky, folder: Path, log: pytest.LogCaptureFixture
) -> None:
    """No line says who answered, or what: not where it waits, nor where it is refused or unreadable."""
    secret = {"principal": "secret-pseudonym", "subject": "secret-account"}
    store.down = True
    journal.append([effect("r1", **secret)])
    (path,) = files(folder)
    (folder / "0-torn.json").write_bytes(path.read_bytes()[:-2])
    store.down, store.refusing = False, frozenset({"r1"})
    journal.append([effect("r2", **secret)])
    assert len(log.records) == 3
    assert "secret" not in log.text
    assert all("secret" not in str(line.exc_info) for line in log.records)


def test_the_journals_folder_is_the_sites_own(journal: Journal, store: Flaky, folder: Path) -> None:
    """Nobody else on the machine reads who consented to what."""
    keep(journal, store, "r1")
    assert folder.stat().st_mode & 0o077 == 0


def test_a_file_says_no_more_than_the_hour(journal: Journal, store: Flaky, folder: Path) -> None:
    """Who refuses leaves only the hour, in the journal's file names and times too."""
    keep(journal, store, "r1")
    (path,) = files(folder)
    assert path.stat().st_mtime % 3600 == 0
    assert int(path.name.partition("-")[0]) == 1


@pytest.mark.parametrize("right", [EraseRecords(P1, "visitor"), RestrictRecords(P1)])
def test_only_records_can_wait(journal: Journal, store: Flaky, folder: Path, right: Effect) -> None:
    """Whoever asks to be erased while the store is away is told so, and asks again."""
    store.down = True
    with pytest.raises(StoreError, match="away"):
        journal.append([effect("r1"), right])
    assert not folder.exists()


def test_what_the_store_does_not_take_does_not_wait(journal: Journal, store: Flaky, folder: Path) -> None:
    """A record that no later try would write is refused at once."""
    store.refusing = frozenset({"r1"})
    with pytest.raises(StoreError, match="does not take"):
        journal.append([effect("r1")])
    assert not folder.exists()


# -- coming back


def test_what_waits_comes_before_what_is_new(journal: Journal, store: Flaky, folder: Path, url: str) -> None:
    """Who says yes while the store is away, and then no, is not found saying yes."""
    keep(journal, store, *(f"r{i}" for i in range(12)))
    journal.append([effect("new")])
    assert ids(url) == [*(f"r{i}" for i in range(12)), "new"]
    assert files(folder) == []


def test_a_replay_gives_the_records_back_whole(journal: Journal, store: Flaky) -> None:
    """What went through the journal is what went in, its notice and declaration too."""
    keep(journal, store, "r1")
    told: list[int] = []
    assert journal.replay(progress=told.append) == 1
    assert told == [1]
    with store.reading() as connection:
        assert reading.record(connection, "r1") == json.loads(json.dumps(effect("r1").record.to_dict()))
        assert reading.notice(connection, NOTICE.sha256) == ("en", NOTICE.text)
        assert reading.declaration(connection, DECLARATION.sha256) == json.loads(DECLARATION.text)


def test_history_and_latest_know_what_waited(journal: Journal, store: Flaky) -> None:
    """A visitor who asks right after the store is back sees it; while it is away the store says so."""
    store.down = True
    journal.append([effect("r1", subject="u")])
    assert journal.history([P1])["receipts"] == []
    store.down = False
    assert [receipt["record_id"] for receipt in journal.history([P1])["receipts"]] == ["r1"]
    assert journal.latest("u") == effect("r1", subject="u").record


@pytest.mark.parametrize("again", ["the same process", "another process"])
def test_a_crash_between_commit_and_removal(
    journal: Journal, store: Flaky, folder: Path, url: str, again: str
) -> None:
    """A file that was written and is still there leads to one row."""
    keep(journal, store, "r1")
    (path,) = files(folder)
    content = path.read_bytes()
    journal.replay()
    path.write_bytes(content)
    if again == "the same process":
        assert journal.replay() == 1
    else:
        with open_store(url) as other:
            assert Journal(other, folder).replay() == 1
    assert ids(url) == ["r1"]
    assert files(folder) == []
    assert check(store).is_clean


def test_a_replay_that_fails_loses_nothing(journal: Journal, store: Flaky, folder: Path) -> None:
    """While the store is away the files stay."""
    keep(journal, store, "r1")
    store.down = True
    with pytest.raises(StoreError):
        journal.replay()
    assert len(files(folder)) == 1


def test_an_older_processs_records_are_found(store: Flaky, folder: Path, url: str) -> None:
    """What waits from before a restart goes before the first record after it."""
    keep(Journal(store, folder), store, "r1")
    Journal(store, folder).append([effect("r2")])
    assert ids(url) == ["r1", "r2"]


def test_files_of_version_1_come_first(journal: Journal, store: Flaky, folder: Path, url: str) -> None:
    """Their names begin with an hour, they know no declaration; newer ones are numbered behind them."""
    keep(journal, store, "old")
    (path,) = files(folder)
    (entry,) = json.loads(path.read_text("utf-8"))
    del entry["declaration"], entry["record"]["policy_sha256"]
    path.unlink()
    (folder / "494444-abcdef0123456789.json").write_text(json.dumps([entry]), "utf-8")
    keep(journal, store, "newer")
    assert files(folder)[0].name.startswith("000000494445-")
    journal.append([effect("newest")])
    assert ids(url) == ["old", "newer", "newest"]
    assert check(store).is_clean


def test_an_erased_person_stays_erased(journal: Journal, store: Flaky, url: str) -> None:
    """What waited of somebody who was erased meanwhile, by another way, does not come back."""
    an_hour_ago = time.time() - 3600
    store.down = True
    journal.append([AppendRecord(record("stats", principal="p1", now=an_hour_ago), NOTICE, DECLARATION)])
    store.down = False
    with open_store(url) as other:
        other.append([EraseRecords(P1, "owner")])
    journal.append([effect("other", principal="p2")])
    assert ids(url) == ["other"]
    assert journal.waiting() == 0


# -- two workers


def keep_some(url: str, folder: Path, name: str) -> None:
    """Let some records wait; run in a process of its own."""
    store = Flaky(url, [SECRET])
    journal = Journal(store, folder)
    store.down = True
    for i in range(10):
        journal.append([effect(f"{name}{i}")])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_number_their_files_together(journal: Journal, folder: Path, url: str) -> None:
    """Each file has a number of its own, and each worker's come in its order."""
    workers = [forks.Process(target=keep_some, args=(url, folder, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [int(path.name.partition("-")[0]) for path in files(folder)] == list(range(1, 21))
    journal.append([effect("new")])
    found = ids(url)
    assert len(found) == 21
    for name in "ab":
        assert [id_ for id_ in found if id_.startswith(name)] == [f"{name}{i}" for i in range(10)]


def test_workers_replay_at_once(journal: Journal, store: Flaky, folder: Path, url: str) -> None:
    """Each record is written once, whoever is first."""
    keep(journal, store, *(f"r{i}" for i in range(30)))
    with open_store(url) as other:
        one, two = (threading.Thread(target=Journal(s, folder).replay) for s in (store, other))
        for thread in (one, two):
            thread.start()
        for thread in (one, two):
            thread.join(60)
    assert ids(url) == [f"r{i}" for i in range(30)]
    assert files(folder) == []


def test_a_replay_that_another_worker_does_is_not_waited_for(
    journal: Journal, store: Flaky, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than a visitor can wait: then the new record waits too, behind the others."""
    monkeypatch.setattr(journal_module, "_PATIENCE_S", 0.05)
    keep(journal, store, "r1")
    with Journal(store, folder)._locked(None, exclusive=True):
        journal.append([effect("r2")])
    assert len(files(folder)) == 2
    journal.append([effect("r3")])
    assert ids(url) == ["r1", "r2", "r3"]


def test_a_long_replay_is_done_bit_by_bit(
    journal: Journal, store: Flaky, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each visitor gives it a bounded time, and keeps its place behind what still waits."""
    monkeypatch.setattr(journal_module, "_PATIENCE_S", -1.0)
    keep(journal, store, "r1", "r2")
    with pytest.raises(StoreError, match="still being replayed"):
        journal.replay(patience_s=-1)
    journal.append([effect("r3")])
    assert len(files(folder)) == 3
    monkeypatch.undo()
    journal.append([effect("r4")])
    assert ids(url) == ["r1", "r2", "r3", "r4"]


def test_a_file_that_another_worker_took(journal: Journal, folder: Path, url: str) -> None:
    """A file that goes between being seen and being read is no error."""
    folder.mkdir(parents=True)
    (folder / "gone.json").symlink_to(folder / "nowhere")
    assert journal.replay() == 1
    assert ids(url) == []
    assert files(folder, ".bad") == []


# -- files that nobody can use


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"5", b"{}x", b'["x"]', b'[{"record": {}}]', b'[{"record": {"purposes": []}, "notice": ["en", "x"]}]',
     b'[{"record": {"purposes": null}}]', b'{"record": 1}', b'[{"record": {"purposes": []}, "notice": ["en", 5]}]'],
)  # fmt: skip
def test_a_corrupt_file_is_put_aside(
    journal: Journal, store: Flaky, folder: Path, url: str, content: bytes, log: pytest.LogCaptureFixture
) -> None:
    """It stays for a person to look at, and the others go on."""
    keep(journal, store, "r1")
    (folder / "0-corrupt.json").write_bytes(content)
    journal.append([effect("r2")])
    assert ids(url) == ["r1", "r2"]
    assert files(folder) == []
    assert [path.name for path in files(folder, ".bad")] == ["0-corrupt.json.bad"]
    assert (folder / "0-corrupt.json.bad").read_bytes() == content
    assert log.text.count("0-corrupt.json in the journal is put aside") == 1


def test_a_folder_in_a_files_place_is_put_aside(journal: Journal, folder: Path, url: str) -> None:
    """What cannot be opened stops nothing."""
    (folder / "x.json").mkdir(parents=True)
    journal.append([effect("r1")])
    assert ids(url) == ["r1"]
    assert [path.name for path in files(folder, ".bad")] == ["x.json.bad"]


def test_a_record_that_the_store_refuses_is_put_aside(
    journal: Journal, store: Flaky, folder: Path, url: str, log: pytest.LogCaptureFixture
) -> None:
    """It does not keep the others from coming back."""
    keep(journal, store, "r1", "bad", "r3")
    store.refusing = frozenset({"bad"})
    journal.append([effect("r4")])
    assert ids(url) == ["r1", "r3", "r4"]
    (path,) = files(folder, ".bad")
    assert '"bad"' in path.read_text("utf-8")
    assert "is put aside" in log.text


# -- a journal that does not work


def test_neither_store_nor_journal(store: Flaky, tmp_path: Path) -> None:
    """Where nothing takes the record the caller is told, so that nothing is acknowledged."""
    (tmp_path / "file").write_text("in the way", "utf-8")
    store.down = True
    with pytest.raises(StoreError, match="neither store nor journal"):
        Journal(store, tmp_path / "file").append([effect("r1")])


def test_a_full_disk(journal: Journal, store: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged, and no half file is left to make it fuller."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    store.down = True
    with pytest.raises(StoreError, match="No space left on device"):
        journal.append([effect("r1")])
    assert list(folder.iterdir()) == []


def test_a_broken_journal_fails_no_record_that_the_store_takes(
    store: Flaky, tmp_path: Path, url: str, log: pytest.LogCaptureFixture
) -> None:
    """A journal that cannot be read stands in no choice's way while the store is there; the log says it."""
    (tmp_path / "file").write_text("in the way", "utf-8")
    journal = Journal(store, tmp_path / "file")
    journal.append([effect("r1")])
    assert ids(url) == ["r1"]
    assert "the journal cannot be read (Not a directory)" in log.text
    with pytest.raises(StoreError, match="cannot be read"):
        journal.waiting()


def test_a_file_that_cannot_be_removed_never_fails_a_record(
    journal: Journal, store: Flaky, url: str, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """The waiting record is in the store already; that its file stays is no visitor's trouble."""
    keep(journal, store, "r1")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    journal.append([effect("r2")])
    journal.append([effect("r3")])
    assert ids(url) == ["r1", "r2", "r3"]
    assert "the journal cannot be replayed (Permission denied)" in log.text
    with pytest.raises(StoreError, match="cannot be replayed"):
        journal.replay()


def test_closing_closes_the_store(journal: Journal, store: Flaky) -> None:
    """The journal holds nothing open of its own."""
    journal.append([effect("r1")])
    journal.close()
    assert store._opened is None


def test_without_locks_replaying_works(
    journal: Journal, store: Flaky, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has none, as on Windows."""
    monkeypatch.setattr(journal_module, "fcntl", None)
    keep(journal, store, "r1", "r2")
    journal.append([effect("r3")])
    assert ids(url) == ["r1", "r2", "r3"]


def test_a_locked_store_lets_the_record_wait(
    journal: Journal, store: Flaky, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real database that does not answer in time is one that is away."""
    monkeypatch.setattr("consent_middleware.records.schema._PATIENCE_S", 0.2)
    journal.append([effect("r1")])
    with changing(url) as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        journal.append([effect("r2")])
        connection.rollback()
    assert len(files(folder)) == 1
    store._away_until = 0.0
    journal.append([effect("r3")])
    assert ids(url) == ["r1", "r2", "r3"]
    assert check(store).is_clean


# -- what passes by itself


def test_a_passing_shortage_puts_nothing_aside(
    journal: Journal, store: Flaky, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be opened just now, for want of handles, waits; it is no broken one."""
    keep(journal, store, "r1")

    def short(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_text", short)
        with pytest.raises(StoreError, match="cannot be replayed"):
            journal.replay()
    assert (len(files(folder)), files(folder, ".bad")) == (1, [])
    assert journal.replay() == 1
    assert ids(url) == ["r1"]


def test_a_store_that_rests_is_not_asked_by_every_choice(
    journal: Journal, store: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is known to be away, nobody opens what waits only to put it back."""
    keep(journal, store, "r1")
    store._away_until = time.monotonic() + 60
    monkeypatch.setattr(journal_module, "_read", lambda _: pytest.fail("nobody may read it now"))
    assert journal.append([effect("r2")]) == [1]
    assert len(files(folder)) == 2


def test_what_a_dead_process_began_is_removed(journal: Journal, store: Flaky, folder: Path) -> None:
    """A file that was never finished was never acknowledged; one that may still be written is left."""
    keep(journal, store, "r1")
    for name, age_s in (("old.part", 3 * 3600), ("young.part", 60)):
        (folder / name).write_text("[")
        moment = time.time() - age_s
        os.utime(folder / name, (moment, moment))
    journal.replay()
    assert [path.name for path in files(folder, ".part")] == ["young.part"]


def test_a_lock_that_another_user_made_locks_all_the_same(
    journal: Journal, store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's locks are opened for reading only, so root's own stand in nobody's way."""
    modes: dict[str, int] = {}
    usual = os.open

    def spy(path: str, flags: int, *rest: int) -> int:
        modes[Path(path).name] = flags & os.O_ACCMODE
        return usual(path, flags, *rest)

    monkeypatch.setattr(os, "open", spy)
    keep(journal, store, "r1")
    journal.replay()
    assert {modes["number.lock"], modes["replay.lock"]} == {os.O_RDONLY}


def test_who_answers_in_the_second_of_an_erasure_is_heard(store: Flaky, url: str) -> None:
    """An account goes on after its history is erased; its next answer is no late one, even within the second."""
    store.append([EraseRecords(Person(subject="u1"), "visitor")])
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        (erased,) = connection.execute("select time from consent_records where kind = 'erased'").fetchone()
    connection.close()
    now = datetime.fromisoformat(erased).timestamp()
    assert store.append([effect("r1", subject="u1", now=now)], careful=True) == [1]
    assert store.append([effect("r0", subject="u1", now=now - 1)], careful=True) == [0]
    assert ids(url) == ["r1"]
