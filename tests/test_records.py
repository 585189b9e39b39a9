from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from consent_middleware.errors import StoreError
from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import (
    AppendRecord,
    ConsentRecord,
    NoticeText,
    NullStore,
    SqlStore,
    build_record,
    database,
    resolve_url,
)
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from helpers_core import NOW, make_catalog, service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ClauseElement, Dialect

CATALOG = make_catalog(
    service("shop", "essential"),
    service("stats", "analytics", "st", "st2", provider="Stats Ltd"),
    service("ads", "marketing"),
)
NOTICE = NoticeText.of("<section>We use cookies.</section>", "en")
CONTROLLER = {"name": "Example GmbH", "address": "", "contact": "privacy@example.com"}
HOUR = NOW // 3600 * 3600


def record(
    *granted: str, principal: str | None = None, withdrawn: bool = False, id_: str = "r1", now: float = NOW
) -> ConsentRecord:
    """Return the record of an answer that grants these units."""
    given = frozenset(granted)
    return build_record(
        CATALOG,
        Choice(given, CATALOG.asked - given, NOW, Signals(gpc=True)),
        principal=principal,
        withdrawn=withdrawn,
        method="prefs",
        circumstances=Circumstances(Regime.OPT_IN, "DE"),
        conflict_notice_shown=False,
        controller=CONTROLLER,
        notice=NOTICE,
        now=now,
        valid_until=NOW + 86_400,
        new_id=lambda: id_,
    )


def effect(id_: str) -> AppendRecord:
    """Return the effect that stores a record of this id."""
    return AppendRecord(record("stats", principal="p1", id_=id_), NOTICE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """A store in a file of its own."""
    found = SqlStore(f"sqlite:///{tmp_path}/records.db")
    yield found
    found.close()


# -- the record


@pytest.mark.parametrize(
    ("granted", "withdrawn", "state"),
    [
        ((), False, "refused"),
        ((), True, "withdrawn"),
        (("stats",), False, "custom"),
        (("stats",), True, "custom"),
        (tuple(CATALOG.asked), False, "given"),
    ],
)
def test_the_state_of_an_answer(*, granted: tuple[str, ...], withdrawn: bool, state: str) -> None:
    """Everything, nothing, something, or nothing any more."""
    assert record(*granted, principal="p1", withdrawn=withdrawn).state == state


def test_a_record_without_principal_keeps_only_the_hour() -> None:
    """Who never granted anything is not named, and not dated to the second."""
    found = record()
    assert found.principal_id is None
    assert found.time == "2026-05-28T20:00:00Z"


@pytest.mark.conformance("REC-1")
def test_a_record_with_principal_keeps_the_second() -> None:
    """REC-1: a grant is dated exactly, in UTC."""
    assert record("stats", principal="p1").time == "2026-05-28T20:26:40Z"


@pytest.mark.conformance("REC-1")
def test_the_purposes_are_what_was_asked() -> None:
    """REC-1: for every unit asked about its recipients, retention and answer; nothing of what was not."""
    purposes = {purpose["id"]: purpose for purpose in record("stats", principal="p1").purposes}
    assert purposes.keys() == CATALOG.asked
    assert purposes["stats"] == {
        "id": "stats",
        "category": "analytics",
        "recipients": ["Stats Ltd"],
        "retention": ["session"],
        "state": "given",
    }
    assert purposes["marketing"]["state"] == "refused"


def test_a_record_is_plain_data() -> None:
    """A record goes through JSON and comes back the same."""
    found = record("stats", principal="p1")
    again = json.loads(json.dumps(found.to_dict()))
    assert ConsentRecord(**{**again, "purposes": tuple(again["purposes"])}) == found


@pytest.mark.conformance("EU-5", "REC-1")
def test_a_record_names_what_was_shown() -> None:
    """EU-5: a record refers to the very text by its hash, and to the declaration by its fingerprint."""
    found = record()
    assert (found.notice_sha256, found.policy_fingerprint) == (NOTICE.sha256, CATALOG.fingerprint)
    assert found.signals == {"gpc": True, "dnt": False}


# -- where it goes


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///records.db", "sqlite:////srv/site/records.db"),
        ("sqlite:///data/records.db", "sqlite:////srv/site/data/records.db"),
        ("sqlite:////var/records.db", "sqlite:////var/records.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+psycopg://u:p@db/x", "postgresql+psycopg://u:p@db/x"),
    ],
)
def test_a_relative_file_starts_from_the_declaration(url: str, resolved: str, tmp_path: Path) -> None:
    """Only a relative SQLite path is changed."""
    folder = type(tmp_path)("/srv/site")
    assert resolve_url(url, folder) == resolved


@pytest.mark.conformance("REC-2")
def test_records_come_back_in_order(store: SqlStore) -> None:
    """What was appended is there, oldest first."""
    store.append([effect("r1"), effect("r2")])
    store.append([effect("r3")])
    assert [found["record_id"] for found in store.records()] == ["r1", "r2", "r3"]


def test_a_record_comes_back_whole(store: SqlStore) -> None:
    """Every field is kept."""
    store.append([effect("r1")])
    (found,) = store.records()
    assert found == json.loads(json.dumps(effect("r1").record.to_dict()))


def test_the_same_id_writes_once(store: SqlStore) -> None:
    """A replay of a record that is there changes nothing."""
    store.append([effect("r1")])
    changed = replace(effect("r1").record, state="withdrawn")
    store.append([AppendRecord(changed, NOTICE), effect("r2")])
    assert [(found["record_id"], found["state"]) for found in store.records()] == [
        ("r1", "custom"), ("r2", "custom")
    ]  # fmt: skip


def test_a_notice_is_stored_once(store: SqlStore, tmp_path: Path) -> None:
    """However many saw it, the text shown is kept once, found by its hash."""
    store.append([effect("r1"), effect("r2")])
    store.append([effect("r3")])
    store.close()
    connection = sqlite3.connect(tmp_path / "records.db")
    assert connection.execute("select count(*) from consent_notices").fetchone() == (1,)
    connection.close()


@pytest.mark.conformance("EU-5")
def test_a_notice_is_found_by_its_hash(store: SqlStore) -> None:
    """EU-5: what was shown can be shown again."""
    store.append([effect("r1")])
    assert store.notice(NOTICE.sha256) == NOTICE.text


def test_an_unknown_notice_is_none(store: SqlStore) -> None:
    """A hash nobody was shown finds nothing."""
    assert store.notice("0" * 64) is None


def test_a_batch_is_one_transaction(store: SqlStore) -> None:
    """Where one record of a batch cannot be written, none is."""
    broken = replace(effect("r2").record, state=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.append([effect("r1"), AppendRecord(broken, NoticeText(None, "en", "x"))])  # type: ignore[arg-type]
    assert list(store.records()) == []


def test_construction_opens_nothing(tmp_path: Path) -> None:
    """Before the first record there is no file."""
    SqlStore(f"sqlite:///{tmp_path}/records.db")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_opens_again(store: SqlStore) -> None:
    """Closing lets go of connections; the next record opens the database anew."""
    store.append([effect("r1")])
    store.close()
    store.close()
    store.append([effect("r2")])
    assert len(list(store.records())) == 2


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all/records.db",
        "nosuchdialect://x",
        "not a url with hunter2",
        "postgresql+nosuchdriver://u:hunter2@db/x",
        "mysql+nosuchdriver://u:hunter2@db/x",
    ],
)
def test_a_store_that_cannot_be_opened(url: str) -> None:
    """Whatever is wrong with the database is one error of ours, without the URL's password."""
    with pytest.raises(StoreError) as caught:
        SqlStore(url).append([effect("r1")])
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database driver that is not installed does not take the site down."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="Error"):
        SqlStore("postgresql+psycopg://u:p@localhost/x").append([effect("r1")])


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    """A database that is none is a store error."""
    (tmp_path / "records.db").write_bytes(b"this is no database, and long enough to be looked at" * 30)
    broken = SqlStore(f"sqlite:///{tmp_path}/records.db")
    with pytest.raises(StoreError):
        broken.append([effect("r1")])


def test_threads_share_a_store(store: SqlStore) -> None:
    """Many threads at once lose nothing, the very first records included."""
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for i in range(5):
            store.append([effect(f"t{number}-{i}")])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({found["record_id"] for found in store.records()}) == 40


FORKING = """
import os, sys
sys.path.insert(0, {tests!r})
from test_records import effect
from consent_middleware.records import SqlStore

store = SqlStore({url!r})
store.append([effect("parent-before")])
parent = store._opened
child = os.fork()
if not child:
    store.append([effect("child")])
    os._exit(0 if store._opened[1] is not parent[1] and store._opened[0] == os.getpid() else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.append([effect("parent-after")])
assert store._opened is parent
print(",".join(found["record_id"] for found in store.records()))
store.close()
"""


def test_a_forked_worker_opens_its_own(tmp_path: Path) -> None:
    """After a fork the child never uses the parent's connections, and both write."""
    script = FORKING.format(tests=str(Path(__file__).parent), url=f"sqlite:///{tmp_path}/records.db")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "parent-before,child,parent-after", done.stderr


class Recorder:
    """A connection that keeps the statements it is given, as the database would see them."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.seen: list[str] = []

    def execute(self, statement: ClauseElement) -> None:
        """Take a statement."""
        self.seen.append(str(statement.compile(dialect=self.dialect)))


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        (sqlite.dialect(), "ON CONFLICT DO NOTHING"),
        (postgresql.dialect(), "ON CONFLICT DO NOTHING"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), "INSERT IGNORE INTO"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_writing_once_is_atomic_on_every_database(dialect: Dialect, words: str) -> None:
    """The same id twice, from two workers at once, is settled by the database and not by a look before."""
    connection = Recorder(dialect)
    database._insert(connection, effect("r1"))  # type: ignore[arg-type]
    assert len(connection.seen) == 2
    assert all(words in statement for statement in connection.seen)


def test_no_store_keeps_nothing() -> None:
    """`records.url = "none"` takes records and forgets them."""
    nothing = NullStore()
    nothing.append([effect("r1")])
    nothing.close()
