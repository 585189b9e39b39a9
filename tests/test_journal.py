from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from consent_middleware.errors import StoreError
from consent_middleware.records import Journal, SqlStore
from test_records import effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from consent_middleware.records import AppendRecord


class Flaky(SqlStore):
    """A store that can be switched off."""

    down = False

    def append(self, effects: Sequence[AppendRecord]) -> None:
        """Take the records, unless the database is away."""
        if self.down:
            raise StoreError("the record store is away")
        super().append(effects)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Flaky]:
    """A store in a file of its own."""
    found = Flaky(f"sqlite:///{tmp_path}/records.db")
    yield found
    found.close()


@pytest.fixture
def journal(store: Flaky, tmp_path: Path) -> Journal:
    """A journal in front of the store."""
    return Journal(store, tmp_path / "deep" / "journal")


def waiting(tmp_path: Path) -> list[Path]:
    """Return the files in the journal's folder."""
    return sorted((tmp_path / "deep" / "journal").glob("*"))


def ids(store: SqlStore) -> list[str]:
    """Return the ids of the records in the store, in its order."""
    return [found["record_id"] for found in store.records()]


def test_a_working_store_needs_no_journal(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """While the database is there no file is written."""
    journal.append([effect("r1")])
    assert ids(store) == ["r1"]
    assert waiting(tmp_path) == []


def test_a_record_waits_while_the_store_is_down(
    journal: Journal, store: Flaky, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the store does not take stands in one whole file, and the log says so."""
    store.down = True
    journal.append([effect("r1"), effect("r2")])
    (path,) = waiting(tmp_path)
    assert path.suffix == ".json"
    assert [entry["record"]["record_id"] for entry in json.loads(path.read_text("utf-8"))] == ["r1", "r2"]
    assert "kept in the journal" in caplog.text


def test_the_journals_folder_is_the_sites_own(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """Nobody else on the machine reads who consented to what."""
    store.down = True
    journal.append([effect("r1")])
    assert (tmp_path / "deep" / "journal").stat().st_mode & 0o077 == 0


def test_waiting_records_are_replayed_oldest_first(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """The next record that reaches the store takes along what waits, in its order."""
    store.down = True
    for id_ in ("r1", "r2", "r3"):
        journal.append([effect(id_)])
    store.down = False
    journal.append([effect("r4")])
    assert [id_ for id_ in ids(store) if id_ != "r4"] == ["r1", "r2", "r3"]
    assert waiting(tmp_path) == []


def test_a_replay_gives_the_records_back_whole(journal: Journal, store: Flaky) -> None:
    """What went through the journal is what went in, its notice too."""
    store.down = True
    journal.append([effect("r1")])
    store.down = False
    assert journal.replay() == 1
    assert list(store.records()) == [json.loads(json.dumps(effect("r1").record.to_dict()))]
    assert store.notice(effect("r1").notice.sha256) == effect("r1").notice.text


def test_a_replay_writes_each_record_once(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """A file that is read twice, by two workers or after a crash, leads to one row."""
    store.down = True
    journal.append([effect("r1")])
    (path,) = waiting(tmp_path)
    content = path.read_bytes()
    store.down = False
    journal.replay()
    path.write_bytes(content)
    assert journal.replay() == 1
    assert ids(store) == ["r1"]


def test_a_replay_that_fails_loses_nothing(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """While the store is away the files stay."""
    store.down = True
    journal.append([effect("r1")])
    with pytest.raises(StoreError):
        journal.replay()
    assert len(waiting(tmp_path)) == 1


def test_a_failing_replay_never_fails_the_record_at_hand(
    journal: Journal, store: Flaky, tmp_path: Path
) -> None:
    """A record that is durable is acknowledged, whatever becomes of those that wait."""
    store.down = True
    journal.append([effect("r1")])
    store.down = False
    original, calls = SqlStore.append, []

    def once(effects: Sequence[AppendRecord]) -> None:
        calls.append(effects)
        if len(calls) > 1:
            raise StoreError("away again")
        original(store, effects)

    store.append = once  # type: ignore[method-assign]
    journal.append([effect("r2")])
    assert ids(store) == ["r2"]
    assert len(waiting(tmp_path)) == 1


def test_the_folder_is_looked_at_once(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """While nothing fails here a record costs no look at the disk: what another process left, it replays."""
    journal.append([effect("r1")])
    (tmp_path / "deep" / "journal").mkdir(parents=True)
    (tmp_path / "deep" / "journal" / "0.json").write_text("[]", "utf-8")
    journal.append([effect("r2")])
    assert len(waiting(tmp_path)) == 1
    assert ids(store) == ["r1", "r2"]


def test_an_older_processs_records_are_found(store: Flaky, tmp_path: Path) -> None:
    """What waits from before a restart goes with the first record after it."""
    store.down = True
    Journal(store, tmp_path / "deep" / "journal").append([effect("r1")])
    store.down = False
    Journal(store, tmp_path / "deep" / "journal").append([effect("r2")])
    assert sorted(ids(store)) == ["r1", "r2"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"5", b"{}x", b'["x"]', b'[{"record": {}}]', b'[{"record": {"purposes": []}, "notice": ["en", "x"]}]',
     b'[{"record": {"purposes": null}}]', b'{"record": 1}', b'[{"record": {"purposes": []}, "notice": ["en", 5]}]'],
)  # fmt: skip
def test_a_corrupt_file_is_left(
    journal: Journal, store: Flaky, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be read stays for a person to look at, and the others go on."""
    store.down = True
    journal.append([effect("r1")])
    corrupt = tmp_path / "deep" / "journal" / "0-corrupt.json"
    corrupt.write_bytes(content)
    store.down = False
    journal.append([effect("r2")])
    assert sorted(ids(store)) == ["r1", "r2"]
    assert waiting(tmp_path) == [corrupt]
    assert "0-corrupt.json in the journal cannot be read" in caplog.text


def test_a_folder_in_a_files_place_is_left(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """What cannot be opened stops nothing."""
    (tmp_path / "deep" / "journal" / "x.json").mkdir(parents=True)
    journal.append([effect("r1")])
    assert ids(store) == ["r1"]


def test_a_file_that_another_worker_took(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """A file that goes between being seen and being read is no error."""
    folder = tmp_path / "deep" / "journal"
    folder.mkdir(parents=True)
    (folder / "gone.json").symlink_to(folder / "nowhere")
    assert journal.replay() == 0
    assert ids(store) == []


def test_neither_store_nor_journal(store: Flaky, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing takes the record the caller is told, so that nothing is acknowledged."""
    (tmp_path / "file").write_text("in the way", "utf-8")
    store.down = True
    with caplog.at_level(logging.ERROR), pytest.raises(StoreError, match="neither store nor journal"):
        Journal(store, tmp_path / "file").append([effect("r1")])


def test_closing_closes_the_store(journal: Journal, store: Flaky) -> None:
    """The journal holds nothing open of its own."""
    journal.append([effect("r1")])
    journal.close()
    assert store._opened is None


def test_a_file_name_says_no_more_than_the_hour(journal: Journal, store: Flaky, tmp_path: Path) -> None:
    """Who refuses leaves only the hour, in the journal's file names and times too."""
    store.down = True
    journal.append([effect("r1")])
    (path,) = waiting(tmp_path)
    assert path.stat().st_mtime % 3600 == 0
    assert int(path.name.partition("-")[0]) == path.stat().st_mtime // 3600


def test_a_file_that_cannot_be_removed_never_fails_a_record(
    journal: Journal, store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiting record is in the store already; that its file stays is no visitor's trouble."""
    store.down = True
    journal.append([effect("r1")])
    store.down = False

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    journal.append([effect("r2")])
    assert sorted(ids(store)) == ["r1", "r2"]
