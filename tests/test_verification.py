"""Whatever is done to the records behind the store's back is found, and named."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from consent_middleware.records import EraseRecords, Person, RectifyRecords, RestrictRecords, SqlStore
from consent_middleware.records import schema as tables
from consent_middleware.records.chain import Head, digest, first_hash, link
from consent_middleware.records.retention import purge
from consent_middleware.records.verification import Finding, verify
from helpers_core import NOW, SECRET, modest
from helpers_records import (
    DECLARATION,
    NOTICE,
    changing,
    check,
    effect,
    kinds,
    made_at,
    open_store,
    rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

P1, P2 = Person(principal="p1"), Person(principal="p2")
OLD_KEY = "an-old-secret-key-of-the-tests-1"


def fill(url: str) -> str:
    """Write two chains; return the first one's id: places 1 to 6, of which 4 is erased, 5 restricted, 6 rectified."""
    with open_store(url) as store:
        store.append([effect("r2"), effect("r3"), effect("r4", principal="erased")])
        store.append([effect("r5", principal="aside"), effect("r6", principal="wrong")])
        chain: str = rows(url, "select chain from consent_chains")[0][0]
    with open_store(url) as store:
        store.append([effect("s2", principal="p2"), effect("s3", principal="p2")])
        store.append([EraseRecords(Person(principal="erased"), "owner")])
        store.append([RestrictRecords(Person(principal="aside"))])
        store.append([RectifyRecords(Person(principal="wrong"), {"language": "fr"})])
        assert check(store).findings == []
    return chain


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Write a file with two chains, once; give the first one's id too."""
    path = tmp_path_factory.mktemp("original") / "filled.db"
    return path, fill(f"sqlite:///{path}")


@pytest.fixture
def filled(original: tuple[Path, str], tmp_path: Path) -> tuple[str, str]:
    """Give a database of one's own with two chains, and the first one's id."""
    path, chain = original
    shutil.copy(path, tmp_path / "filled.db")
    return f"sqlite:///{tmp_path}/filled.db", chain


def found(url: str, *keys: str) -> set[tuple[str, str]]:
    """Return the kinds and places that a verification finds."""
    with open_store(url, *keys) as store:
        return {(finding.kind, finding.where) for finding in check(store).findings}


def run(url: str, *statements: str, **values: object) -> None:
    """Run statements behind the store's back."""
    with changing(url) as connection:
        for statement in statements:
            assert connection.execute(text(statement), values).rowcount != 0, statement


# -- what was done to them


RECORD = "consent_records where chain = :c and position"
TAMPERING: dict[str, tuple[str, str, str]] = {
    # what is done: (statements, the kind, the place) - {c} is the first chain, {notice} and {declaration} hashes
    "edit a document": (("update consent_records set document = replace(document, 'given', 'refused') "
        "where chain = :c and position = 2"), "changed", "{c}/2"),
    "spoil a salt": ("update consent_records set salt = 'x' where chain = :c and position = 2", "changed", "{c}/2"),
    "edit a digest": ("update consent_records set digest = 'x' where chain = :c and position = 2", "changed", "{c}/2"),
    "edit a hash": ("update consent_records set hash = 'x' where chain = :c and position = 2", "moved", "{c}/2"),
    "edit a column": ("update consent_records set state = 'given' where chain = :c and position = 2", "column", "{c}/2"),
    "take a column away": ("update consent_records set method = null where chain = :c and position = 2", "column", "{c}/2"),
    "back-date a column": ("update consent_records set time = '2020-01-01T00:00:00Z' where chain = :c and position = 2",
        "column", "{c}/2"),
    "give a record to another": ("update consent_records set principal_id = 'p9' where chain = :c and position = 2",
        "column", "{c}/2"),
    "call it an event": ("update consent_records set kind = 'erased' where chain = :c and position = 2", "column", "{c}/2"),
    "call an event a record": ("update consent_records set kind = 'consent' where chain = :c and position = 1",
        "column", "{c}/1"),
    "give an event a language": ("update consent_records set language = 'en' where chain = :c and position = 1",
        "column", "{c}/1"),
    "say it is erased": ("update consent_records set erased_by = 'x' where chain = :c and position = 2", "column", "{c}/2"),
    "drop the first": ("delete from consent_records where chain = :c and position = 1", "missing", "{c}/1"),
    "drop one": ("delete from consent_records where chain = :c and position = 3", "missing", "{c}/3"),
    "drop some": ("delete from consent_records where chain = :c and position in (2, 3)", "missing", "{c}/2-3"),
    "cut the end": ("delete from consent_records where chain = :c and position > 4", "cut", "{c}/5-6"),
    "drop all of a chain": ("delete from consent_records where chain = :c", "gone", "{c}"),
    "drop a head": ("delete from consent_chains where chain = :c", "cut", "{c}"),
    "drop a chain and its head": ("delete from consent_records where chain = :c; delete from consent_chains where chain = :c",
        "gone", "{c}"),
    "shorten a head": ("update consent_chains set length = 5 where chain = :c", "forged", "{c}"),
    "swap two": (("update consent_records set position = -2 where chain = :c and position = 2;"
        "update consent_records set position = 2 where chain = :c and position = 3;"
        "update consent_records set position = 3 where chain = :c and position = -2"), "moved", "{c}/2"),
    "move one to the end": ("update consent_records set position = 7 where chain = :c and position = 2", "missing", "{c}/2"),
    "move one to another chain": ("update consent_records set chain = 'other' where chain = :c and position = 3",
        "missing", "{c}/3"),
    "repeat one": (("insert into consent_records (chain, position, record_id, kind, time, restricted, salt, document, digest, hash)"
        " select chain, 7, 'again', kind, time, 0, salt, document, digest, hash from consent_records"
        " where chain = :c and position = 3"), "forged", "{c}/7-7"),
    "insert before the first": (("insert into consent_records (chain, position, record_id, kind, time, restricted, digest, hash)"
        " values (:c, 0, 'new', 'consent', 'x', 0, 'x', 'x')"), "moved", "{c}/0"),
    "insert a chain": (("insert into consent_records (chain, position, record_id, kind, time, restricted, digest, hash)"
        " values ('forged', 1, 'new', 'consent', 'x', 0, 'x', 'x')"), "cut", "forged"),
    "edit a notice": ("update consent_notices set text = 'We use no cookies.'", "notice", "{notice}"),
    "drop a notice": ("delete from consent_notices", "notice", "{notice}"),
    "edit a declaration": ("update consent_declarations set text = '[]'", "declaration", "{declaration}"),
    "drop a declaration": ("delete from consent_declarations", "declaration", "{declaration}"),
    "blank one": ("update consent_records set document = null, salt = null where chain = :c and position = 2",
        "erased", "{c}/2"),
    "blank one in an erasure's name": (("update consent_records set document = null, salt = null, erased_by ="
        " (select record_id from consent_records where kind = 'erased'), time ="
        " (select time from consent_records where kind = 'erased') where chain = :c and position = 2"), "erased", "{c}/2"),
    "say something in a blank one": ("update consent_records set document = '{{}}' where chain = :c and position = 4",
        "erased", "{c}/4"),
    "name somebody in a blank one": ("update consent_records set principal_id = 'p1' where chain = :c and position = 4",
        "erased", "{c}/4"),
    "date a blank one": ("update consent_records set time = '2020' where chain = :c and position = 4", "erased", "{c}/4"),
    "forget who erased": ("update consent_records set erased_by = null where chain = :c and position = 4",
        "erased", "{c}/4"),
    "put one aside": ("update consent_records set restricted = 1 where chain = :c and position = 2", "restricted", "{c}/2"),
    "use what is put aside": ("update consent_records set restricted = 0 where chain = :c and position = 5",
        "restricted", "{c}/5"),
    "neither aside nor not": ("update consent_records set restricted = 2 where chain = :c and position = 5",
        "restricted", "{c}/5"),
    "undo what was put right": ("update consent_records set language = 'en' where chain = :c and position = 6",
        "column", "{c}/6"),
    "put right again": ("update consent_records set language = 'it' where chain = :c and position = 6", "column", "{c}/6"),
    "forge a purge": (("delete from consent_records where chain = :c and position < 3;"
        "insert into consent_purges (chain, through, hash, cutoff, signature) values (:c, 2, 'x', '2026', 'x')"),
        "forged", "{c}"),
}  # fmt: skip


@pytest.mark.conformance("REC-2")
@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_named(what: str, filled: tuple[str, str]) -> None:
    """REC-2: each way to change what was recorded shows, with its kind and place."""
    url, chain = filled
    statements, kind, where = TAMPERING[what]
    run(url, *statements.replace("{{}}", "{}").split(";"), c=chain)
    place = where.format(c=chain, notice=NOTICE.sha256, declaration=DECLARATION.sha256)
    assert (kind, place) in found(url)


@pytest.mark.parametrize(
    "what", ["edit a document", "edit a column", "drop one", "cut the end", "drop a chain and its head", "blank one"]
)  # fmt: skip
def test_tampering_is_found_on_each_server(what: str, store_url: str) -> None:
    """What is found does not depend on the database."""
    chain = fill(store_url)
    statements, kind, where = TAMPERING[what]
    run(store_url, *statements.split(";"), c=chain)
    assert (kind, where.format(c=chain)) in found(store_url)


def rewrite(connection: Connection, chain: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a chain's documents, and compute everything anew that needs no key."""
    query = text("select sequence, salt, document from consent_records where chain = :c order by position")
    previous = first_hash(chain)
    for sequence, salt, document in connection.execute(query, {"c": chain}).all():
        fields = json.loads(document)
        change(fields)
        said = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        own = digest(salt, said)
        previous = link(previous, own)
        connection.execute(
            text("update consent_records set document = :d, digest = :o, hash = :h, time = :t where sequence = :s"),
            {"d": said, "o": own, "h": previous, "t": fields["time"], "s": sequence},
        )  # fmt: skip
    connection.execute(
        text("update consent_chains set hash = :h where chain = :c"), {"h": previous, "c": chain}
    )


def test_a_chain_that_is_computed_anew_lacks_the_key(tmp_path: Path) -> None:
    """Who back-dates a record and mends every hash behind it cannot sign the head; who saw the old one misses it."""
    url = f"sqlite:///{tmp_path}/anew.db"
    with open_store(url) as store:
        store.append([effect("r2"), effect("r3")])
        witness = check(store).heads
        (chain,) = witness
    with open_store(url) as store:
        store.append([effect("s2")])

    def back_date(fields: dict[str, Any]) -> None:
        fields["time"] = "2020-01-01T00:00:00Z"

    with changing(url) as connection:
        rewrite(connection, chain, back_date)
    assert found(url) == {("forged", chain), ("forged", f"{chain}/3")}
    with open_store(url) as store:
        assert kinds(check(store, witness)) == {"forged"}


@pytest.mark.parametrize("by", ["another chain", "a witness"])
def test_an_old_head_put_back(by: str, tmp_path: Path) -> None:
    """Cutting the end and restoring the head of that time is found by whoever saw the newer one."""
    url = f"sqlite:///{tmp_path}/old-head.db"
    with open_store(url) as store:
        store.append([effect("r2")])
        (old,) = rows(url, "select * from consent_chains")
        store.append([effect("r3")])
        witness = check(store).heads
    if by == "another chain":
        with open_store(url) as store:
            store.append([effect("s2")])
        witness = {}
    run(url, "update consent_chains set length = :l, hash = :h, signature = :s where chain = :c",
        **dict(zip("clhs", (old.chain, old.length, old.hash, old.signature), strict=True)))  # fmt: skip
    run(url, "delete from consent_records where chain = :c and position = 3", c=old.chain)
    with open_store(url) as store:
        assert check(store, witness).findings == [
            Finding("cut", f"{old.chain}/3-3", "this chain had 3 records, and has 2")
        ]


def test_a_whole_chain_that_only_a_witness_saw(tmp_path: Path) -> None:
    """Where no other chain has begun since, a witness is what misses it."""
    url = f"sqlite:///{tmp_path}/last.db"
    with open_store(url) as store:
        store.append([effect("r2")])
        witness = check(store).heads
    (chain,) = witness
    run(url, "delete from consent_records", "delete from consent_chains")
    with open_store(url) as store:
        assert check(store).is_clean
        assert kinds(check(store, witness)) == {"gone"}
        assert check(store, {"c": Head(chain, 2, "x")}).findings[0].where == chain


def test_an_erased_record_that_is_there_again(tmp_path: Path) -> None:
    """A copy that was kept from before the erasure and is put back shows."""
    url = f"sqlite:///{tmp_path}/again.db"
    with open_store(url) as store:
        store.append([effect("r2")])
        kept = rows(url, "select * from consent_records where position = 2")[0]._mapping
        store.append([EraseRecords(P1, "visitor")])
    with changing(url) as connection:
        values = {name: value for name, value in kept.items() if name != "sequence"}
        connection.execute(tables.records.update().where(tables.records.c.position == 2).values(values))
    assert ("erased", f"{kept['chain']}/2") in found(url)


def test_another_key_signed_it(filled: tuple[str, str]) -> None:
    """With a key that is not the site's no head is believed."""
    url, chain = filled
    assert ("forged", chain) in found(url, "a-key-that-is-not-the-sites-own-1")


FORGERIES = [
    "[]", "5", "null", '"kind"', "{}", "nonsense", '{"kind": "erased"}', '{"kind": "consent"}',
    '{"kind": "erased", "records": [1]}', '{"kind": "started", "seen": [["c", "x", "h"]]}',
    '{"kind": "restricted", "on": 1, "records": [["c", []]]}', '{"kind": "rectified", "records": {}, "changes": 3}',
    '{"kind": "rectified", "records": [["f"], "f"], "changes": {"nothing": 1, "language": 5}}',
]  # fmt: skip


@pytest.mark.parametrize("document", FORGERIES)
@pytest.mark.parametrize("kind", ["consent", "erased", "restricted", "rectified", "started"])
def test_nonsense_is_a_finding_and_no_failure(kind: str, document: str, filled: tuple[str, str]) -> None:
    """Whatever a forger writes with a digest that fits, the verification goes on to its end."""
    url, chain = filled
    fields = json.loads(document) if document != "nonsense" else None
    if isinstance(fields, dict):
        document = json.dumps({**fields, "kind": kind, "record_id": "f", "time": "t"})
    run(url, "update consent_records set document = :d, digest = :o, kind = :k, record_id = 'f', time = 't',"
        " principal_id = null, salt = '', state = null, method = null, regime = null, jurisdiction = null,"
        " language = null, policy_sha256 = null, notice_sha256 = null"
        " where chain = :c and position = 3", d=document, o=digest("", document), k=kind, c=chain)  # fmt: skip
    assert ("moved", f"{chain}/3") in found(url)


def test_findings_are_kept_to_a_thousand(tmp_path: Path) -> None:
    """A spoilt database is told in a report that still fits on a screen."""
    url = f"sqlite:///{tmp_path}/many.db"
    with open_store(url) as store:
        store.append([effect(f"r{i}") for i in range(1_200)])
    run(url, "update consent_records set document = '{}'")
    with open_store(url) as store:
        report = check(store)
    assert (len(report.findings), report.more) == (1_000, 201)


# -- what is as it was written


def test_everything_that_the_store_does_is_clean(store_url: str) -> None:
    """After each right, each purge and each rotation of the keys, on every database."""
    with open_store(store_url, OLD_KEY) as store:
        with made_at(store, NOW - 1_000):
            store.append([effect(f"old{i}", now=NOW - 900) for i in range(3)])
        store.append([effect("r1"), effect("r2", principal="p2", subject="u"), effect("r3", principal="p3")])
        for on in (True, False, True):
            assert store.append([RestrictRecords(P2, on=on)]) == [1]
            assert check(store).findings == []
        for language in ("fr", "de", "en", "fr"):
            assert store.append([RectifyRecords(P2, {"language": language, "subject_id": "v"})]) == [1]
            assert check(store).findings == []
        store.append([EraseRecords(Person(principal="p3"), "owner")])
        assert check(store).erased == 1
    with open_store(store_url, OLD_KEY, SECRET) as store:
        store.append([effect("new"), RestrictRecords(P2, on=False), RectifyRecords(P2, {"language": "it"})])
        assert check(store).findings == []
        assert purge(store, "2026-05-28T20:15:00Z").deleted == 4
        store.append([EraseRecords(P1, "visitor"), effect("p1 again")])
        report = check(store)
        assert (report.findings, report.purged) == ([], 4)
        assert check(store, report.heads).is_clean


def test_verifying_while_others_write(store_url: str) -> None:
    """One state is read, whatever is committed meanwhile."""
    stop = threading.Event()

    def write(store: SqlStore) -> None:
        count = 0
        while not stop.is_set():
            store.append([effect(f"{id(store)}-{count}", principal=f"p{count % 3}")])
            store.append(
                [EraseRecords(Person(principal=f"p{count % 3}"), "visitor")] if count % 5 == 4 else []
            )
            count += 1

    with open_store(store_url) as one, open_store(store_url) as two, open_store(store_url) as reader:
        one.append([effect("first")])
        threads = [threading.Thread(target=write, args=(store,)) for store in (one, two)]
        for thread in threads:
            thread.start()
        try:
            witness: dict[str, Head] = {}
            for _ in range(8):
                report = check(reader, witness)
                assert report.findings == []
                witness = report.heads
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        assert check(reader, witness).findings == []


def test_progress_is_told(tmp_path: Path) -> None:
    """A thousand rows at a time."""
    told: list[int] = []
    with open_store(f"sqlite:///{tmp_path}/progress.db") as store:
        store.append([effect(f"r{i}") for i in range(2_500)])
        with store.reading() as connection:
            report = verify(connection, store.seal, progress=told.append)
    assert (told, report.records) == ([1_000, 1_000], 2_501)


# -- any edit of anything

# What no signature covers, and why that matters little.
UNPROTECTED = {
    ("consent_records", "sequence"),  # the order in which rows of several chains came in
    ("consent_chains", "started"),  # the order in which retention takes the chains
    ("consent_chains", "updated"),  # which twenty chains a new one bears witness of
    ("consent_notices", "language"),  # the records that name the notice say it too
    ("consent_declarations", "fingerprint"),  # the declaration's text says it too
    ("consent_schema", "version"),  # another one: the store does not open
}
PROTECTED = [
    (table.name, column.name)
    for table in tables.records.metadata.sorted_tables
    for column in table.columns
    if (table.name, column.name) not in UNPROTECTED
]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    """Give a store with everything in it, a purge too."""
    url = f"sqlite:///{tmp_path_factory.mktemp('edit')}/filled.db"
    with open_store(url) as store:
        with made_at(store, NOW - 1_000):
            store.append([effect("old", now=NOW - 900)])
        store.append([effect("young", now=NOW)])
        purge(store, "2026-05-28T20:15:00Z")
        fill(url)
        yield store


@modest
@given(place=st.sampled_from(PROTECTED), row=st.integers(0, 30), data=st.data())
def test_any_edit_is_found(
    everything: SqlStore, place: tuple[str, str], row: int, data: st.DataObject
) -> None:
    """Another value in any column of any row, but for those listed above, is found."""
    table, column = place
    with everything.reading() as connection:
        keys = connection.execute(text(f"select rowid, {column} from {table} order by 1")).all()
        key, value = keys[row % len(keys)]
        if place == ("consent_records", "record_id") and is_blank(connection, key):
            return  # the id of an erased record is not covered
        other = data.draw(others(value), label=f"{table}.{column} of row {key}, which was {value!r}")
        edit = text(f"update or ignore {table} set {column} = :other where rowid = :key")
        connection.execute(edit, {"other": other, "key": key})
        query = text(f"select {column} from {table} where rowid = :key")
        stands = connection.execute(query, {"key": key}).scalar()
        # A constraint may have refused it, and an empty text and none mean the same.
        is_edited = (stands or None) != (value or None)
        assert verify(connection, everything.seal).findings or not is_edited
        connection.rollback()


def is_blank(connection: Connection, key: int) -> bool:
    """Return whether a record is erased."""
    query = text("select document is null from consent_records where rowid = :key")
    return bool(connection.execute(query, {"key": key}).scalar())


def others(value: object) -> st.SearchStrategy[Any]:
    """Return values that might stand in another one's place."""
    if isinstance(value, int):
        return st.integers(-3, 30).filter(lambda other: other != value)
    texts = st.text(max_size=20) | st.sampled_from(
        ["consent", "erased", "started", "2020-01-01T00:00:00Z", "{}"]
    )
    near = st.sampled_from([f"{value}x", str(value)[:-1], str(value).swapcase()])
    return (st.none() | texts | near).filter(lambda other: other != value)
