"""The store over SQLite, PostgreSQL and MariaDB: what is acknowledged is there, once, and nothing waits for ever."""

from __future__ import annotations

import gc
import json
import multiprocessing
import sqlite3
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, inspect, text

from consent_middleware.errors import StoreError
from consent_middleware.records import (
    AppendRecord,
    Declaration,
    EraseRecords,
    Journal,
    NoticeText,
    Person,
    RectifyRecords,
    RestrictRecords,
    Source,
    SqlStore,
    database,
    reading,
    schema,
    writing,
)
from consent_middleware.records.counting import statistics
from consent_middleware.records.store import why_unwritable
from helpers_core import SECRET
from helpers_records import (
    CATALOG,
    DECLARATION,
    NOTICE,
    changing,
    check,
    effect,
    ids,
    open_store,
    record,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from consent_middleware.records import Effect
    from servers import DatabaseServer

PATIENCE_S = 60
AN_HOUR_AGO = int(time.time()) - 3600
P1 = Person(principal="p1")

forks = multiprocessing.get_context("fork")
# PyMySQL leaves its socket open where the server refuses it.
refused = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
forking_with_threads = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """Give the URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/records.db"


def is_sqlite(url: str) -> bool:
    """Return whether a URL is SQLite's."""
    return url.startswith("sqlite")


def documents(store: SqlStore, **wanted: Any) -> list[dict[str, Any]]:
    """Return the records that a store holds."""
    with store.reading() as connection:
        return [stored.fields for stored in reading.documents(connection, **wanted)]


def run_at_once(*work: Callable[[], object]) -> None:
    """Run functions in threads that begin together; fail with what one of them raised."""
    start, problems = threading.Barrier(len(work)), []

    def run(one: Callable[[], object]) -> None:
        start.wait(PATIENCE_S)
        try:
            one()
        except Exception as error:  # noqa: BLE001 - raised again below
            problems.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    if problems:
        raise problems[0]


# -- what comes back


@pytest.mark.conformance("REC-2")
def test_records_come_back_in_order(store: SqlStore) -> None:
    """REC-2: what was appended is there, whole and oldest first."""
    store.append([effect("r1"), effect("r2")])
    store.append([effect("r3")])
    assert [found["record_id"] for found in documents(store)] == ["r1", "r2", "r3"]
    assert documents(store)[0] == json.loads(json.dumps(effect("r1").record.to_dict()))


@pytest.mark.conformance("EU-5")
@pytest.mark.parametrize(
    "shown",
    ["🍪 مرحبا \u202eעברית\u202c \x07 \\ ' \" % ?", "<p>" + "Wir verwenden Cookies 🍪. " * 3_000 + "</p>"],  # noqa: RUF001 - a letter of its script
    ids=["signs", "long"],
)
def test_what_was_shown_comes_back_to_the_byte(store: SqlStore, shown: str) -> None:
    """EU-5: whatever its script, signs and length; what was declared too."""
    notice, declared = NoticeText.of(shown, "ar"), Declaration.of(json.dumps({"x": shown}), "f")
    store.append([effect("r1", notice=notice, declaration=declared)])
    with store.reading() as connection:
        assert reading.notice(connection, notice.sha256) == ("ar", shown)
        assert reading.declaration(connection, declared.sha256) == {"x": shown}
        assert reading.notice(connection, "0" * 64) is None
        assert reading.declaration(connection, "0" * 64) is None


def test_a_text_is_kept_once(store: SqlStore, store_url: str) -> None:
    """However many saw it, and whichever process wrote it."""
    store.append([effect("r1"), effect("r2")])
    with open_store(store_url) as other:
        other.append([effect("r3")])
    for table in ("consent_notices", "consent_declarations"):
        assert rows(store_url, f"select count(*) from {table}") == [(1,)]


def test_ids_that_differ_by_case_are_two(store: SqlStore) -> None:
    """Record ids, pseudonyms and accounts are told apart to the letter."""
    store.append([effect("Abc", principal="P", subject="Bob"), effect("aBC", principal="p", subject="bob")])
    assert len(documents(store)) == 2
    for person in (Person(principal="P"), Person(subject="Bob")):
        assert [found["record_id"] for found in documents(store, person=person)] == ["Abc"]
    found = store.latest("bob")
    assert found is not None
    assert found.record_id == "aBC"


def test_many_records_are_read_in_pages(store: SqlStore) -> None:
    """An export asks for declarations while it runs, and misses and repeats nothing."""
    effects = [
        effect(f"r{i:04}", declaration=Declaration.of(f'{{"number": {i // 700}}}', "f")) for i in range(2_100)
    ]
    store.append(effects)
    seen = []
    with store.reading(patient=True) as connection:
        for stored in reading.documents(connection, since="2026-05-28", until="2027"):
            seen.append(stored.fields["record_id"])
            if len(seen) % 700 == 1:
                sha256 = stored.fields["policy_sha256"]
                assert reading.declaration(connection, sha256) == {"number": len(seen) // 700}
    assert seen == [one.record.record_id for one in effects]


# -- exactly once


def test_a_careful_replay_writes_once(store: SqlStore, store_url: str) -> None:
    """What is there already stays as it is; what is not is written."""
    store.append([effect("r1")])
    changed = replace(effect("r1").record, state="withdrawn")
    again = [AppendRecord(changed, NOTICE, DECLARATION), effect("r2"), effect("r2")]
    with open_store(store_url) as other:
        assert other.append(again, careful=True) == [0, 1, 0]
    assert [(found["record_id"], found["state"]) for found in documents(store)] == [
        ("r1", "custom"), ("r2", "custom")
    ]  # fmt: skip


def test_the_same_record_twice_at_once_is_written_once(store_url: str) -> None:
    """Two workers that replay one file come to one row."""
    with open_store(store_url) as one, open_store(store_url) as two:
        one.append([effect("before")])
        for i in range(5):
            run_at_once(
                lambda i=i: one.append([effect(f"r{i}")], careful=True),  # type: ignore[misc]
                lambda i=i: two.append([effect(f"r{i}")], careful=True),  # type: ignore[misc]
            )
        assert sorted(ids(store_url)) == ["before", "r0", "r1", "r2", "r3", "r4"]
        assert check(one).is_clean


def test_a_commit_whose_answer_was_lost(store: SqlStore, store_url: str) -> None:
    """Where the connection breaks just after the commit, trying again does not write twice."""
    store.append([effect("r1")])
    engine = store.database()._engine
    broken: list[bool] = []

    def lose(connection: Any) -> None:
        if not broken:
            broken.append(True)
            connection.connection.dbapi_connection.commit()
            raise OSError("the answer was lost")

    event.listen(engine, "commit", lose)
    assert store.append([effect("r2")]) == [0]
    assert broken
    assert ids(store_url) == ["r1", "r2"]
    store.append([effect("r3")])
    assert check(store).is_clean


# -- together


def count_commits(store: SqlStore) -> list[object]:
    """Return a list that grows with each of the store's commits."""
    commits: list[object] = []
    event.listen(store.database()._engine, "commit", commits.append)
    return commits


def test_choices_at_once_share_transactions(store: SqlStore, store_url: str) -> None:
    """32 threads lose nothing, and cost far fewer transactions than choices."""
    commits = count_commits(store)
    event.listen(
        store.database()._engine, "commit", lambda _: time.sleep(0.005)
    )  # a disk that takes its time

    def work(number: int) -> None:
        for i in range(5):
            assert store.append([effect(f"t{number}-{i}", subject=f"u{number}")]) == [1]

    run_at_once(*(lambda number=number: work(number) for number in range(32)))
    assert len(set(ids(store_url))) == 160
    assert len(commits) <= 80
    assert check(store).is_clean


UNFIT: dict[str, dict[str, Any]] = {
    "nothing": {"record_id": None},
    "half a sign": {"ip": "\udc80"},
    "no text": {"ip": object()},
}


@contextmanager
def held(store: SqlStore, then: Callable[..., Any] | None = None) -> Iterator[Callable[[int], None]]:
    """Let a first caller commit until so many others wait; their own commit is `then`, if given."""
    let, reached = threading.Event(), threading.Event()
    original = store.database().write

    def write(work: Any, **options: Any) -> Any:
        reached.set()
        assert let.wait(PATIENCE_S)
        return original(work, **options)

    store.database().write = write  # type: ignore[method-assign]
    first = threading.Thread(target=store.append, args=([effect("first")],))
    first.start()
    assert reached.wait(PATIENCE_S)

    def wait_for(count: int) -> None:
        late = time.monotonic() + PATIENCE_S
        while len(store._waiting) < count:
            assert time.monotonic() < late
            time.sleep(0.005)
        store.database().write = then or original  # type: ignore[method-assign]
        let.set()

    yield wait_for
    first.join(PATIENCE_S)
    store.database().write = original  # type: ignore[method-assign]


def append_at_once(store: SqlStore, wait_for: Callable[[int], None], *effects: AppendRecord) -> list[str]:
    """Append records in a thread each, committed together; return how each came out."""
    told = [""] * len(effects)

    def put(place: int) -> None:
        try:
            told[place] = f"{store.append([effects[place]])}"
        except StoreError as error:
            told[place] = "unfit" if error.is_own else "away"
        except KeyboardInterrupt:
            told[place] = "interrupted"

    threads = [threading.Thread(target=put, args=(place,)) for place in range(len(effects))]
    for thread in threads:
        thread.start()
    wait_for(len(effects))
    for thread in threads:
        thread.join(PATIENCE_S)
    return told


@pytest.mark.parametrize("broken", UNFIT)
def test_a_bad_record_takes_no_other_down(store: SqlStore, store_url: str, broken: str) -> None:
    """Of choices that are committed together only the one that cannot be written fails."""
    bad = AppendRecord(replace(effect("bad").record, **UNFIT[broken]), NOTICE, DECLARATION)
    with held(store) as wait_for:
        told = append_at_once(store, wait_for, effect("r1"), effect("r2"), bad, effect("r3"))
    assert told == ["[1]", "[1]", "unfit", "[1]"]
    assert set(ids(store_url)) == {"first", "r1", "r2", "r3"}
    assert check(store).is_clean


def test_a_batch_is_one_transaction(store: SqlStore, store_url: str) -> None:
    """Of effects that belong together all are written, or none is."""
    bad = AppendRecord(replace(effect("r2").record, record_id=None), NOTICE, DECLARATION)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.append([effect("r1"), bad])
    assert ids(store_url) == []


def test_who_commits_for_others_and_is_interrupted(store: SqlStore, store_url: str) -> None:
    """Nobody is told that a record is durable because the thread that was to write it has ended."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with held(store, interrupted) as wait_for:
        told = append_at_once(store, wait_for, effect("r1"), effect("r2"), effect("r3"))
    assert sorted(told) == ["away", "away", "interrupted"]
    assert ids(store_url) == ["first"]
    assert store.append([effect("r4")]) == [1]


# -- processes


def write_some(url: str, name: str, count: int = 5) -> None:
    """Write some records; run in a process of its own."""
    store = SqlStore(url, [SECRET])
    for i in range(count):
        store.append([effect(f"{name}-{i}")])
    store.close()


@forking_with_threads
def test_processes_open_a_database_at_once(store_url: str) -> None:
    """The tables are made once, nobody fails, and each process writes a chain of its own."""
    workers = [forks.Process(target=write_some, args=(store_url, f"w{i}")) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(set(ids(store_url))) == 15
    assert len(rows(store_url, "select chain from consent_chains")) == 3
    with open_store(store_url) as store:
        assert check(store).is_clean


def test_threads_open_a_database_at_once(store_url: str) -> None:
    """Many stores in one process do too."""
    for i in range(3 if is_sqlite(store_url) else 1):
        url = f"{store_url}{i}" if is_sqlite(store_url) else store_url
        stores = [SqlStore(url, [SECRET]) for _ in range(8)]
        run_at_once(*(lambda s=s, n=n: s.append([effect(f"r{n}")]) for n, s in enumerate(stores)))
        assert len(ids(url)) == 8
        for one in stores:
            one.close()


def test_a_switch_to_the_log_that_is_turned_away_is_tried_again(tmp_path: Path) -> None:
    """SQLite answers "locked" at once to whoever switches a file while another does; here each is told so three times."""
    cursor = Turned(sqlite3.connect(tmp_path / "a.db"), times=3)
    schema._write_ahead(cursor)
    assert cursor.said == ["locked"] * 3 + ["wal"]
    broken = Turned(sqlite3.connect(tmp_path / "b.db"), times=1, code=sqlite3.SQLITE_IOERR)
    with pytest.raises(sqlite3.OperationalError):
        schema._write_ahead(broken)
    for one in (cursor, broken):
        one.connection.close()


class Turned:
    """A cursor that is turned away a few times."""

    def __init__(self, connection: sqlite3.Connection, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.connection = connection
        self.said: list[str] = []
        self._times = times
        self._code = code

    def execute(self, statement: str) -> None:
        """Do it, or not yet."""
        if len(self.said) < self._times:
            self.said.append("locked")
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self._code
            raise error
        self.said += self.connection.execute(statement).fetchone()


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[None]:
    """Run a function in a forked child beside the block; fail where it failed."""
    child = forks.Process(target=work)
    child.start()
    yield
    child.join(PATIENCE_S)
    assert child.exitcode == 0


@forking_with_threads
def test_a_forked_child_writes_a_chain_of_its_own(store: SqlStore, store_url: str) -> None:
    """It never uses its parent's connections, and both go on."""
    store.append([effect("before")])
    with forked(lambda: store.append([effect("child")])):
        pass
    store.append([effect("after")])
    assert ids(store_url) == ["before", "child", "after"]
    assert len(rows(store_url, "select chain from consent_chains")) == 2
    assert check(store).is_clean


@forking_with_threads
def test_a_child_outlives_its_parents_store(store: SqlStore, store_url: str) -> None:
    """What the child writes after its parent has closed the database is there."""
    written, closed = forks.Event(), forks.Event()

    def work() -> None:
        store.append([effect("one")])
        written.set()
        assert closed.wait(PATIENCE_S)
        store.append([effect("two")])

    store.append([effect("before")])
    with forked(work):
        assert written.wait(PATIENCE_S)
        store.close()
        closed.set()
    assert ids(store_url) == ["before", "one", "two"]


@forking_with_threads
def test_a_fork_while_threads_write(store: SqlStore, store_url: str) -> None:
    """A child that is forked between a begin and its commit writes all the same."""
    stop, writing_ = threading.Event(), threading.Event()

    def write() -> None:
        count = 0
        while not stop.is_set():
            store.append([effect(f"parent-{threading.get_ident()}-{count}")])
            writing_.set()
            count += 1

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert writing_.wait(PATIENCE_S)
        for i in range(3):
            with forked(lambda i=i: store.append([effect(f"child-{i}")])):  # type: ignore[misc]
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert {"child-0", "child-1", "child-2"} <= set(ids(store_url))
    assert check(store).is_clean


# -- an account's last word


def test_the_latest_of_an_account(store: SqlStore) -> None:
    """The time counts, and among the same the order in which they came."""
    store.append([effect("late", subject="u", now=AN_HOUR_AGO + 60)])
    store.append([effect("early", subject="u", now=AN_HOUR_AGO)])
    assert store.latest("u") == effect("late", subject="u", now=AN_HOUR_AGO + 60).record
    store.append([effect("later", subject="u", now=AN_HOUR_AGO + 60)])
    found = store.latest("u")
    assert found is not None
    assert found.record_id == "later"
    assert store.latest("nobody") is None


def test_what_is_put_aside_is_nobodys_last_word(store: SqlStore) -> None:
    """GDPR article 18: an account whose records are put aside says nothing, until they are let go again."""
    store.append([effect("r1", subject="u")])
    assert store.append([RestrictRecords(Person(subject="u"))]) == [1]
    assert store.latest("u") is None
    assert store.append([RestrictRecords(Person(subject="u"), on=False)]) == [1]
    assert store.latest("u") is not None
    assert store.append([RestrictRecords(Person(subject="nobody"))]) == [0]


# -- a person's rights

SECRETS = ("secret-pseudonym", "secret-account", "203.0.113.0")


def told_of(url: str) -> str:
    """Return everything that a database's tables say of records, as one text."""
    return repr(rows(url, "select * from consent_records"))


def secret_effect(id_: str = "r1") -> AppendRecord:
    """Return a record that says `SECRETS`."""
    source = Source(ip=SECRETS[2])
    return effect(id_, principal=SECRETS[0], subject=SECRETS[1], now=AN_HOUR_AGO, source=source)


def test_what_is_erased_is_gone(store: SqlStore, store_url: str) -> None:
    """GDPR article 17: no row says anything of the person any more; others' records stand."""
    store.append([secret_effect(), secret_effect("r2"), effect("r3")])
    assert store.append([EraseRecords(Person(principal=SECRETS[0]), "visitor")]) == [2]
    assert [found["record_id"] for found in documents(store)] == ["r3"]
    assert not any(secret in told_of(store_url) for secret in SECRETS)
    assert store.latest(SECRETS[1]) is None
    assert check(store).is_clean


def test_what_is_erased_is_gone_from_the_file(file_url: str, tmp_path: Path) -> None:
    """In SQLite's files, its log included, no byte of it is left while the store stays open."""
    with open_store(file_url) as store:
        store.append([secret_effect(f"r{i}") for i in range(50)])
        store.append([effect("other")])
        assert any(b"secret-" in path.read_bytes() for path in tmp_path.iterdir())
        store.append([EraseRecords(Person(subject=SECRETS[1]), "owner")])
        for path in tmp_path.iterdir():
            assert not any(secret.encode() in path.read_bytes() for secret in SECRETS), path.name


def test_an_erased_persons_late_record_stays_away(store: SqlStore) -> None:
    """What waited in a journal while its person was erased does not come back, under an older key neither."""
    store.append([EraseRecords(Person(principal=SECRETS[0]), "visitor")])
    assert store.append([secret_effect("late")], careful=True) == [0]
    newer = replace(secret_effect("new").record, time="2999-01-01T00:00:00Z")
    assert store.append([AppendRecord(newer, NOTICE, DECLARATION)], careful=True) == [1]
    assert [found["record_id"] for found in documents(store)] == ["new"]


def test_an_erased_persons_late_record_stays_away_under_a_new_key(file_url: str) -> None:
    """A rotation of the keys makes nobody's erasure forgotten."""
    with open_store(file_url, "the-old-key-of-the-tests-12345678") as store:
        store.append([EraseRecords(Person(principal=SECRETS[0]), "visitor")])
    with open_store(file_url, "the-old-key-of-the-tests-12345678", SECRET) as store:
        assert store.append([secret_effect("late")], careful=True) == [0]


def test_two_erase_the_same_person_at_once(store_url: str) -> None:
    """A form sent twice, to two workers, blanks each record once, and both say so truthfully."""
    with open_store(store_url) as one, open_store(store_url) as two:
        one.append([effect(f"r{i}") for i in range(20)])
        two.append([effect("other", principal="p2")])
        done: list[int] = []
        run_at_once(*(lambda s=s: done.extend(s.append([EraseRecords(P1, "visitor")])) for s in (one, two)))
        assert sum(done) == 20
        assert check(one).findings == []


@pytest.mark.parametrize("right", [RestrictRecords(P1), RectifyRecords(P1, {"language": "de"})])
def test_a_record_that_comes_meanwhile_is_left_alone(
    store_url: str, right: Effect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an event does not name it does not change, even where another worker writes in between."""
    with open_store(store_url) as one, open_store(store_url) as two:
        one.append([effect("r1")])
        two.append([effect("other", principal="p2")])
        original = writing.Batch._places

        def places(self: writing.Batch, *given: Any) -> Sequence[Any]:
            found = original(self, *given)
            if not is_sqlite(store_url):  # there nobody else can write now
                late = threading.Thread(target=two.append, args=([effect("late")],))
                late.start()
                late.join(0.5)
            return found

        monkeypatch.setattr(writing.Batch, "_places", places)
        assert one.append([right]) == [1]
        monkeypatch.undo()
        two.append([effect("last", principal="p2")])
        assert check(one).findings == []


def test_what_was_wrong_is_put_right(store: SqlStore) -> None:
    """GDPR article 16: the record is found and read with the new values; the original stays in the chain."""
    store.append([effect("r1", subject="old")])
    changes = {"subject_id": "new", "jurisdiction": "US-CA", "language": "fr"}
    assert store.append([RectifyRecords(P1, changes)]) == [1]
    assert store.latest("old") is None
    found = store.latest("new")
    assert found is not None
    assert (found.subject_id, found.jurisdiction, found.language) == ("new", "US-CA", "fr")
    assert check(store).is_clean


@pytest.mark.parametrize("changes", [{}, {"state": "given"}, {"language": "de", "time": "2026"}])
def test_what_the_visitor_said_cannot_be_put_right(store: SqlStore, changes: dict[str, str]) -> None:
    """An answer changes by another answer only."""
    store.append([effect("r1")])
    with pytest.raises(StoreError) as caught:
        store.append([RectifyRecords(P1, changes)])
    assert caught.value.is_own


def test_a_history_is_one_persons(store: SqlStore) -> None:
    """Receipts in their order, each once, with what was shown; of nobody else."""
    store.append([effect("r2", subject="u", now=AN_HOUR_AGO + 1), effect("r1", now=AN_HOUR_AGO)])
    store.append([effect("other", principal="p2")])
    found = store.history([P1, Person(subject="u")])
    assert [receipt["record_id"] for receipt in found["receipts"]] == ["r1", "r2"]
    assert found["receipts"][1]["prev_record"] == "r1"
    assert found["notices"] == {NOTICE.sha256: {"language": "en", "text": NOTICE.text}}
    assert store.history([])["receipts"] == []


# -- counting


def test_answers_are_counted(store: SqlStore) -> None:
    """By day, region, language and way, without what is erased or put aside."""
    german = NoticeText.of("Wir verwenden Cookies.", "de")
    everything = tuple(CATALOG.asked)
    day = 86_400
    store.append([AppendRecord(record(*everything, principal="a", id_="1"), NOTICE, DECLARATION)])
    store.append([AppendRecord(record(id_="2", region="", notice=german), german, DECLARATION)])
    store.append([AppendRecord(record(principal="b", id_="3", now=1_780_000_000 + day), NOTICE, DECLARATION)])
    store.append([effect("4"), effect("5", principal="p2"), EraseRecords(P1, "owner")])
    store.append([RestrictRecords(Person(principal="p2"))])
    with store.reading(patient=True) as connection:
        found = statistics(connection)
        later = statistics(connection, since="2026-05-29", until="2026-05-30")
        none = statistics(connection, since="2027")
    assert (found.total, found.erased, found.restricted) == (3, 1, 1)
    assert [(rates.label, rates.total) for rates in found.days] == [("2026-05-28", 2), ("2026-05-29", 1)]
    assert {rates.label: rates.total for rates in found.languages} == {"en": 2, "de": 1}
    assert {rates.label: rates.total for rates in found.regions} == {"DE": 2, "": 1}
    overall = found.overall
    assert (overall.given, overall.custom, overall.refused, overall.withdrawn) == (1, 0, 1, 1)
    assert (found.gpc, found.dnt, found.sampled) == (3, 0, 3)
    assert {(one.id, one.asked, one.refused) for one in found.refused} >= {("ads", 3, 2)}
    assert later.total == 1
    assert (none.total, none.since, none.days) == (0, "", ())


# -- databases of other versions

VERSION_1 = """
create table consent_records (
    sequence {serial}, record_id varchar(32) not null unique, principal_id varchar(32), time varchar(32) not null,
    state varchar(16) not null, method varchar(32) not null, policy_fingerprint varchar(16) not null,
    notice_sha256 varchar(64) not null, document text not null);
create index consent_records_principal on consent_records (principal_id);
create index consent_records_time on consent_records (time);
create table consent_subjects (
    sequence {serial}, record_id varchar(32) not null unique, subject_id varchar(255) not null);
create index consent_subjects_subject on consent_subjects (subject_id);
create table consent_notices (
    sha256 varchar(64) not null primary key, language varchar(35) not null, text text not null)
"""
SERIAL = {
    "sqlite": "integer not null primary key",
    "postgresql+psycopg": "bigserial primary key",
    "mysql+pymysql": "bigint not null auto_increment primary key",
}


def make_version_1(url: str, count: int) -> None:
    """Make a database as version 0.1.0 made it."""
    statements = VERSION_1.format(serial=SERIAL[url.partition(":")[0]]).split(";")
    with changing(url) as connection:
        for statement in statements:
            connection.execute(text(statement))
        notice = {"sha256": NOTICE.sha256, "language": "en", "text": NOTICE.text}
        connection.execute(text("insert into consent_notices values (:sha256, :language, :text)"), [notice])
        for i in range(count):
            document = record("stats", principal="p1", subject="u", id_=f"r{i}").to_dict()
            del document["policy_sha256"]
            document |= {"schema_version": "1", "controller": {"name": "Example GmbH 🍪"}}
            row = {
                **{name: document[name] for name in ("record_id", "principal_id", "time", "state", "method")},
                "policy_fingerprint": document["policy_fingerprint"],
                "notice_sha256": document["notice_sha256"],
                "document": json.dumps(document, sort_keys=True, ensure_ascii=False),
            }
            columns = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"insert into consent_records ({columns}) values ({values})"), [row])
            subject = "insert into consent_subjects (record_id, subject_id) values (:id, 'u')"
            connection.execute(text(subject), [{"id": document["record_id"]}])


def tables(url: str) -> set[str]:
    """Return which of our tables a database has."""
    with changing(url) as connection:
        return set(inspect(connection).get_table_names())


def test_a_database_of_version_1_is_taken_over(store_url: str) -> None:
    """Its records, to the byte, its notices and its accounts; they are chained now."""
    make_version_1(store_url, 3)
    before = [row[0] for row in rows(store_url, "select document from consent_records order by sequence")]
    with open_store(store_url) as store:
        store.append([effect("new")])
        query = "select document from consent_records where kind = 'consent' order by sequence"
        assert [row[0] for row in rows(store_url, query)][:3] == before
        found = store.latest("u")
        assert found is not None
        assert (found.record_id, found.schema_version) == ("r2", "1")
        assert store.history([P1])["notices"][NOTICE.sha256]["text"] == NOTICE.text
        assert check(store).is_clean
    assert not {"consent_subjects", "consent_records_v1"} & tables(store_url)


@forking_with_threads
def test_processes_take_over_a_database_at_once(store_url: str) -> None:
    """Each record comes over once."""
    make_version_1(store_url, 40)
    workers = [forks.Process(target=write_some, args=(store_url, f"w{i}", 2)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(ids(store_url)) == len(set(ids(store_url))) == 46
    with open_store(store_url) as store:
        assert check(store).is_clean


@pytest.mark.parametrize(
    "statement", ["select document", "insert into consent_records", "insert into consent_schema"]
)
def test_who_dies_while_taking_over_is_followed(
    store_url: str, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the first process stops, the next one ends it with every record."""
    make_version_1(store_url, 3)
    original = schema.open_engine

    def dying(url: str, **options: Any) -> Any:
        engine = original(url, **options)

        @event.listens_for(engine, "before_cursor_execute")
        def _(_c: Any, _cursor: Any, said: str, *_: Any) -> None:
            if said.lower().startswith(statement):
                raise OSError("the process was killed")

        return engine

    monkeypatch.setattr(database, "open_engine", dying)
    with open_store(store_url) as store, pytest.raises(StoreError):
        store.append([effect("never")])
    monkeypatch.undo()
    with open_store(store_url) as store:
        store.append([effect("new")])
        assert ids(store_url) == ["r0", "r1", "r2", "new"]
        assert check(store).is_clean


def test_tables_that_were_made_half_way(store_url: str) -> None:
    """MySQL keeps tables of a process that died before it said so: they are no older version."""
    with open_store(store_url) as store:
        store.append([effect("r1")])
    with changing(store_url) as connection:
        connection.execute(text("delete from consent_schema"))
        connection.execute(text("drop table consent_declarations"))
    with open_store(store_url) as store:
        store.append([effect("r2")])
        assert ids(store_url) == ["r1", "r2"]


def test_a_later_version_is_refused(store_url: str) -> None:
    """In words that say what to do, and without touching anything."""
    with open_store(store_url) as store:
        store.append([effect("r1")])
    with changing(store_url) as connection:
        connection.execute(text("update consent_schema set version = 9"))
    with open_store(store_url) as store, pytest.raises(StoreError, match=r"version 9 .* install the package"):
        store.append([effect("r2")])
    assert ids(store_url) == ["r1"]


# -- what cannot be reached


def test_construction_opens_nothing(tmp_path: Path, file_url: str) -> None:
    """Before the first record there is no file."""
    SqlStore(file_url, [SECRET])
    assert list(tmp_path.iterdir()) == []


def test_a_closed_store_opens_again(store: SqlStore, store_url: str) -> None:
    """Closing lets go of connections; the next record opens the database anew."""
    store.append([effect("r1")])
    store.close()
    store.close()
    store.append([effect("r2")])
    assert ids(store_url) == ["r1", "r2"]


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
        SqlStore(url, [SECRET]).append([effect("r1")])
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database driver that is not installed does not take the site down."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="Error"):
        SqlStore("postgresql+psycopg://u:p@localhost/x", [SECRET]).append([effect("r1")])


def test_a_file_that_is_no_database(tmp_path: Path, file_url: str) -> None:
    """Is a store error."""
    (tmp_path / "records.db").write_bytes(b"this is no database, and long enough to be looked at" * 30)
    with open_store(file_url) as store, pytest.raises(StoreError):
        store.append([effect("r1")])


def test_a_store_in_memory(tmp_path: Path) -> None:
    """Works as others do, for a first try."""
    with open_store("sqlite:///:memory:") as store:
        store.append([effect("r1", subject="u")])
        assert store.latest("u") is not None
        assert check(store).is_clean
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_a_store_that_was_away_just_now(tmp_path: Path) -> None:
    """After a failure the next ones fail at once, until it has had a rest; reading too while it never opened."""
    store = SqlStore(f"sqlite:///{tmp_path}/nowhere/records.db", [SECRET])
    with pytest.raises(StoreError):
        store.append([effect("r1")])
    (tmp_path / "nowhere").mkdir()
    for ask in (lambda: store.append([effect("r1")]), lambda: store.latest("u")):
        with pytest.raises(StoreError, match="away a moment ago"):
            ask()
    store._away_until = 0.0
    assert store.append([effect("r1")]) == [1]
    store.close()


@contextmanager
def timed(limit_s: float) -> Iterator[None]:
    """Fail where the block takes longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < limit_s


def test_a_locked_database_is_waited_for_a_while(
    store: SqlStore, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another connection holds what we need, the choice fails within seconds, and not sooner or later for ever."""
    monkeypatch.setattr("consent_middleware.records.schema._PATIENCE_S", 1)
    store.append([effect("r1")])
    with changing(store_url) as connection:
        if is_sqlite(store_url):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(text("update consent_chains set started = started where 1 = 1"))
        if not is_sqlite(store_url):
            connection.execute(text("select chain from consent_chains for update"))
        with timed(20), pytest.raises(StoreError):
            store.append([effect("r2")])
        connection.rollback()
    store._away_until = 0.0
    store.append([effect("r3")])
    assert ids(store_url) == ["r1", "r3"]
    assert check(store).is_clean


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[DatabaseServer]:
    """Give each server; start it again where a test has left it dead."""
    found: DatabaseServer = request.getfixturevalue(request.param)
    yield found
    found.start()
    caplog.get_records("call").clear()  # their errors hold what PyMySQL has left open
    gc.collect()


@refused
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_comes_back(server: DatabaseServer, how: str) -> None:
    """While it is away each choice fails soon and in words; what was acknowledged is there, and the next one goes through."""
    url = server.fresh()
    with open_store(url) as store:
        store.append([effect("r1")])
        getattr(server, how)()
        for _ in range(2):
            store._away_until = 0.0
            with timed(20), pytest.raises(StoreError, match="did not take the record"):
                store.append([effect("r2")])
        with pytest.raises(StoreError, match="cannot be read"):
            store.latest("u")
        server.start()
        store._away_until = 0.0
        assert store.append([effect("r3")]) == [1]
        assert ids(url) == ["r1", "r3"]
        assert check(store).is_clean


@refused
def test_a_server_that_is_away_at_first(server: DatabaseServer) -> None:
    """A site that starts before its database records as soon as it is there."""
    url = server.fresh()
    server.stop()
    with open_store(url) as store:
        with timed(20), pytest.raises(StoreError):
            store.append([effect("r1")])
        server.start()
        store._away_until = 0.0
        assert store.append([effect("r1")]) == [1]


@refused
def test_a_journal_before_a_server_that_comes_back(server: DatabaseServer, tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, and each record is there once."""
    url = server.fresh()
    with open_store(url) as store:
        journal = Journal(store, tmp_path / "journal")
        journal.append([effect("r1")])
        server.kill()
        for id_ in ("r2", "r3"):
            journal.append([effect(id_)])
        assert journal.waiting() == 2
        server.start()
        store._away_until = 0.0
        journal.append([effect("r4")])
        assert ids(url) == ["r1", "r2", "r3", "r4"]
        assert journal.waiting() == 0
        assert check(store).is_clean


def test_a_head_that_somebody_moved(store: SqlStore, store_url: str) -> None:
    """A writer never overwrites a head that is not its own any more: it begins another chain."""
    store.append([effect("r1")])
    with changing(store_url) as connection:
        connection.execute(text("update consent_chains set hash = 'x'"))
    assert store.append([effect("r2")]) == [1]
    assert rows(store_url, "select count(*) from consent_chains where hash = 'x'") == [(1,)]


def test_sqlite_is_durable(file_url: str) -> None:
    """Each commit is flushed to the disk, and erased bytes are overwritten."""
    asked = ("synchronous", "journal_mode", "secure_delete")
    with open_store(file_url) as store, store.database()._engine.connect() as connection:
        found = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in asked]
    assert found == [2, "wal", 1]


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg:///shop?host=/run/no", "postgresql://u@h/n", "sqlite://", "sqlite:///:memory:"],
)
def test_only_a_file_of_sqlite_is_looked_at(url: str) -> None:
    """Whether another database can be written only its server can tell."""
    assert why_unwritable(url) == ""
