from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from consent_middleware.records import ConsentRecord, Outbox
from helpers_records import record

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return seconds."""
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where opt-outs wait; not there yet."""
    return tmp_path / "deep" / "opt-outs"


@pytest.fixture
def outbox(folder: Path) -> Outbox:
    """An outbox at a standing clock."""
    return Outbox(folder, Clock())


def ids(outbox: Outbox) -> set[str]:
    """Return the ids of what waits."""
    return {found.record_id for found in outbox.waiting()}


# -- on the disk


def test_an_opt_out_is_on_the_disk(outbox: Outbox, folder: Path) -> None:
    """One whole file, named after the record, holding every field of it."""
    outbox.put(record("stats", principal="p1", id_="r1"))
    (path,) = folder.iterdir()
    assert path.name == "r1.json"
    fields = json.loads(path.read_text("utf-8"))
    assert ConsentRecord(**{**fields, "purposes": tuple(fields["purposes"])}) == record(
        "stats", principal="p1", id_="r1"
    )


@pytest.mark.conformance("CA-5")
def test_it_comes_back_whole(outbox: Outbox) -> None:
    """CA-5: the site hears of the very record that was made, as often as it takes."""
    one, two = record("stats", principal="p1", id_="r1"), record(id_="r2")
    outbox.put(one)
    outbox.put(two)
    assert outbox.waiting() == [one, two]
    assert outbox.waiting() == [one, two]


def test_a_repeated_opt_out_waits_once(outbox: Outbox, folder: Path) -> None:
    """The same record put twice is one file."""
    outbox.put(record(id_="r1"))
    outbox.put(record(id_="r1"))
    assert len(list(folder.iterdir())) == 1


def test_the_folder_is_the_sites_own(outbox: Outbox, folder: Path) -> None:
    """Nobody else on the machine reads who opted out."""
    outbox.put(record())
    assert folder.stat().st_mode & 0o077 == 0


def test_the_disk_has_it_before_its_name(
    outbox: Outbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash leaves no half file under a name that is read: it is synced first, and named then."""
    synced: list[list[str]] = []
    sync = os.fsync

    def spy(handle: int) -> None:
        synced.append([path.suffix for path in folder.iterdir()])
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    outbox.put(record())
    assert synced[0] == [".part"]


def test_a_half_written_file_is_not_told(outbox: Outbox, folder: Path) -> None:
    """What a crash left unfinished was never acknowledged."""
    outbox.put(record(id_="r1"))
    (folder / "0123.part").write_text('{"record_id": "r2"', "utf-8")
    assert ids(outbox) == {"r1"}


def test_what_is_done_is_gone(outbox: Outbox, folder: Path) -> None:
    """Once the hook has taken it, neither file nor memory holds it; a second time is no error."""
    outbox.put(record(id_="r1"))
    outbox.put(record(id_="r2"))
    outbox.done(record(id_="r1"))
    outbox.done(record(id_="r1"))
    assert ids(outbox) == {"r2"}
    assert [path.name for path in folder.iterdir()] == ["r2.json"]


def test_what_never_waited_can_be_done(outbox: Outbox) -> None:
    """Forgetting needs no folder."""
    outbox.done(record())
    assert outbox.waiting() == []


# -- what cannot be read, or written


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"5", b"null", b"[]", b'"r1"', b"{}", b'{"purposes": null}', b'{"purposes": []}',
     b'{"purposes": [], "surprise": 1}'],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_left(
    outbox: Outbox, folder: Path, content: bytes, log: pytest.LogCaptureFixture
) -> None:
    """It stays for a person to look at, the log names it, and the others go on."""
    outbox.put(record(id_="r1"))
    (folder / "0-corrupt.json").write_bytes(content)
    assert ids(outbox) == {"r1"}
    assert (folder / "0-corrupt.json").read_bytes() == content
    assert "0-corrupt.json in the outbox cannot be read" in log.text


def test_a_folder_in_a_files_place_is_left(
    outbox: Outbox, folder: Path, log: pytest.LogCaptureFixture
) -> None:
    """What cannot be opened stops nothing."""
    (folder / "0.json").mkdir(parents=True)
    outbox.put(record(id_="r1"))
    assert ids(outbox) == {"r1"}
    assert "0.json in the outbox cannot be read" in log.text


def test_a_file_that_another_worker_told(outbox: Outbox, folder: Path, log: pytest.LogCaptureFixture) -> None:
    """A file that goes between being seen and being read is no error, and not worth a word."""
    folder.mkdir(parents=True)
    (folder / "gone.json").symlink_to(folder / "nowhere")
    assert outbox.waiting() == []
    assert log.records == []


def test_what_the_disk_does_not_take_is_told_all_the_same(
    folder: Path, log: pytest.LogCaptureFixture
) -> None:
    """This process remembers it and the log says so; it is due like any other."""
    folder.parent.mkdir()
    folder.write_text("in the way", "utf-8")
    outbox = Outbox(folder, Clock())
    outbox.put(record(id_="r1"))
    assert "waits in memory only" in log.text
    assert outbox.is_due
    assert outbox.waiting() == [record(id_="r1")]
    assert outbox.waiting() == [record(id_="r1")]


def test_what_only_memory_held_is_done_too(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once told, it is forgotten like any other."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        outbox.put(record(id_="r1"))
    outbox.put(record(id_="r2"))
    assert ids(outbox) == {"r1", "r2"}
    outbox.done(record(id_="r1"))
    assert ids(outbox) == {"r2"}


# -- when


def test_what_an_earlier_process_left_is_due_at_once(folder: Path) -> None:
    """Nobody knows whether something waits, so the first request looks; also just after the machine started."""
    assert Outbox(folder, Clock(0.0)).is_due


def test_a_look_is_enough_for_a_minute(folder: Path) -> None:
    """Where the hook keeps failing it is not called at every request."""
    clock = Clock()
    outbox = Outbox(folder, clock)
    outbox.waiting()
    due = []
    for after_s in (0, 59.9, 60, 61):
        clock.now = 1_000 + after_s
        due.append(outbox.is_due)
    assert due == [False, False, True, True]


def test_a_new_opt_out_is_due_at_once(outbox: Outbox) -> None:
    """It never waits for the minute to pass."""
    outbox.waiting()
    outbox.put(record())
    assert outbox.is_due


def test_being_due_opens_nothing(outbox: Outbox, folder: Path) -> None:
    """It is asked at every request, so it makes no folder and reads none."""
    assert outbox.is_due
    assert not folder.parent.exists()


# -- several processes


def test_two_workers_share_a_folder(folder: Path) -> None:
    """What one took either tells; once told by one, it is gone for both."""
    one, two = Outbox(folder, Clock()), Outbox(folder, Clock())
    one.put(record(id_="r1"))
    two.put(record(id_="r2"))
    assert ids(one) == ids(two) == {"r1", "r2"}
    one.done(record(id_="r2"))
    two.done(record(id_="r1"))
    two.done(record(id_="r2"))
    assert ids(one) == ids(two) == set()


@pytest.mark.conformance("CA-5")
def test_a_process_that_died_loses_nothing(folder: Path) -> None:
    """CA-5: what was put before is found after, by whoever comes next."""
    Outbox(folder, Clock()).put(record(id_="r1"))
    assert Outbox(folder, Clock()).waiting() == [record(id_="r1")]


def test_a_folder_that_cannot_be_used_stops_nobody(tmp_path: Path) -> None:
    """It is kept in memory, told, and forgotten; nothing is raised into a visitor's request."""
    (tmp_path / "file").write_text("x", "utf-8")
    outbox = Outbox(tmp_path / "file", Clock())
    outbox.put(record(id_="r1"))
    (found,) = outbox.waiting()
    outbox.done(found)
    assert list(outbox.waiting()) == []


def test_the_journals_folder_is_the_owners_alone(folder: Path, outbox: Outbox) -> None:
    """The folder above is made as closely as the journal makes it."""
    outbox.put(record(id_="r1"))
    assert [path.stat().st_mode & 0o077 for path in (folder, folder.parent)] == [0, 0]


def test_a_files_name_and_time_say_only_the_hour(folder: Path, outbox: Outbox) -> None:
    """Who refuses is not told apart by the second."""
    outbox.put(record(id_="r1"))
    assert [path.stat().st_mtime % 3600 for path in folder.iterdir()] == [0]
