"""Retention: what is too old goes, and everything that stays is as it was written."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from consent_middleware.errors import StoreError
from consent_middleware.records import (
    EraseRecords,
    Person,
    RectifyRecords,
    RestrictRecords,
    SqlStore,
    retention,
)
from consent_middleware.records.model import rfc3339
from consent_middleware.records.retention import Purged, cutoff, due, purge
from helpers_records import (
    changing,
    check,
    effect,
    ids,
    kinds,
    made_at,
    open_store,
    rows,
)

DAY = 86_400
OLD = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
CUT = rfc3339(OLD + 100 * DAY)
YOUNG = OLD + 200 * DAY


def write(store: SqlStore, now: float, *names: str, principal: str = "p1", **changes: Any) -> None:
    """Write records at a moment."""
    with made_at(store, now):
        store.append([effect(name, principal=principal, now=now, **changes) for name in names])


def told(store: SqlStore) -> list[str]:
    """Return the ids of the records that still say something."""
    with store.reading() as connection:
        query = "select record_id from consent_records where kind = 'consent' and document is not null order by sequence"
        return [row[0] for row in connection.execute(text(query))]


# -- the moment


@pytest.mark.conformance("EU-5")
@pytest.mark.parametrize(
    ("now", "lasts", "expected"),
    [
        ("2026-11-23T09:30:00Z", "P3Y", "2023-11-23T09:30:00Z"),
        ("2024-02-29T12:00:00Z", "P1Y", "2023-02-28T12:00:00Z"),
        ("2024-02-29T12:00:00Z", "P4Y", "2020-02-29T12:00:00Z"),
        ("2026-03-31T00:00:00Z", "P1M", "2026-02-28T00:00:00Z"),
        ("2024-03-31T00:00:00Z", "P1M", "2024-02-29T00:00:00Z"),
        ("2026-01-15T00:00:00Z", "P1M", "2025-12-15T00:00:00Z"),
        ("2026-12-15T00:00:00Z", "P12M", "2025-12-15T00:00:00Z"),
        ("2026-01-15T00:00:00Z", "P13M", "2024-12-15T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "P1Y2M3D", "2024-12-29T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "P2W", "2026-02-15T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "P180D", "2025-09-02T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "PT36H", "2026-02-27T12:00:00Z"),
        ("2026-03-01T00:00:00Z", "P5000Y", "1970-03-01T00:00:00Z"),
    ],
)
def test_the_moment_before_which_records_are_too_old(now: str, lasts: str, expected: str) -> None:
    """EU-5: years and months as the calendar has them, the rest to the second; never before the clock began."""
    assert cutoff(datetime.fromisoformat(now).timestamp(), lasts) == expected


# -- what goes


@pytest.mark.conformance("EU-5")
def test_what_is_too_old_is_gone(store: SqlStore, store_url: str) -> None:
    """EU-5: the beginning of a chain is removed, and where it begins now is signed."""
    write(store, OLD, "r1", "r2")
    write(store, YOUNG, "r3")
    with store.reading() as connection:
        assert due(connection, CUT) == 3
    assert purge(store, CUT) == Purged(deleted=3, blanked=0)
    assert ids(store_url) == ["r3"]
    report = check(store)
    assert (report.findings, report.purged) == ([], 3)
    write(store, YOUNG, "r4")
    assert check(store).is_clean


def test_nothing_is_too_old(store: SqlStore, store_url: str) -> None:
    """Then nothing is written either."""
    write(store, YOUNG, "r1")
    before = rows(store_url, "select count(*) from consent_records")
    assert purge(store, CUT) == Purged(0, 0)
    assert rows(store_url, "select count(*) from consent_records") == before


def test_what_is_old_behind_something_young_is_blanked(store: SqlStore, store_url: str) -> None:
    """A late record of an old time says nothing any more, where it cannot be cut off."""
    write(store, YOUNG, "young")
    write(store, OLD, "late")
    assert purge(store, CUT) == Purged(deleted=0, blanked=1)
    assert told(store) == ["young"]
    assert check(store).findings == []
    assert check(store).erased == 1
    assert ids(store_url) == ["young", "late"]


def test_what_is_put_aside_stays(store: SqlStore) -> None:
    """GDPR article 18: restricted records are kept whatever their age, and go once they are let go."""
    write(store, OLD, "before", principal="p2")
    write(store, OLD, "aside")
    write(store, OLD, "behind", principal="p2")
    with made_at(store, OLD):
        store.append([RestrictRecords(Person(principal="p1"))])
    write(store, YOUNG, "young")
    assert purge(store, CUT) == Purged(deleted=2, blanked=1)
    assert told(store) == ["aside", "young"]
    assert check(store).findings == []
    with made_at(store, OLD):
        store.append([RestrictRecords(Person(principal="p1"), on=False)])
    purge(store, CUT)
    assert told(store) == ["young"]
    assert check(store).findings == []


def test_an_empty_chain_goes_on(store: SqlStore) -> None:
    """Where all of a chain was too old its next record follows what was removed."""
    write(store, OLD, "r1")
    assert purge(store, CUT).deleted == 2
    assert check(store).findings == []
    write(store, YOUNG, "r2")
    assert purge(store, CUT) == Purged(0, 0)
    assert told(store) == ["r2"]
    assert check(store).findings == []


def test_later_purges_go_on_from_the_first(store: SqlStore) -> None:
    """Year after year, with every chain verifiable in between."""
    for year in range(6):
        with open_store(store._url) as other:
            write(other, OLD + year * 365 * DAY, f"a{year}", f"b{year}")
            write(store, OLD + year * 365 * DAY, f"c{year}")
        purge(store, rfc3339(OLD + (year * 365 - 400) * DAY))
        assert check(store).findings == []
    assert set(told(store)) == {f"{name}{year}" for name in "abc" for year in (4, 5)}


def test_an_event_stays_while_it_is_needed(store: SqlStore) -> None:
    """What says why a record in another chain is blank, put aside or put right outlives its time; then it goes too."""
    write(store, YOUNG, "young")
    write(store, OLD, "aside", principal="p2")
    write(store, OLD, "erased", principal="p3")
    with open_store(store._url) as other, made_at(other, OLD):
        other.append([effect("x", now=OLD), RestrictRecords(Person(principal="p2"))])
        other.append([RectifyRecords(Person(principal="p2"), {"language": "fr"})])
        other.append([EraseRecords(Person(principal="p3"), "owner")])
    purge(store, CUT)
    assert told(store) == ["young", "aside"]
    assert check(store).findings == []
    purge(store, rfc3339(YOUNG + DAY))
    assert check(store).findings == []
    assert told(store) == ["aside"]


def test_a_blank_in_the_name_of_what_was_removed(store: SqlStore, store_url: str) -> None:
    """No record can be blanked unnoticed by dating it back before a purge."""
    write(store, OLD, "r1")
    write(store, YOUNG, "r2", "r3")
    purge(store, CUT)
    (chain,) = {row[0] for row in rows(store_url, "select chain from consent_records where record_id = 'r3'")}
    with changing(store_url) as connection:
        connection.execute(
            text(
                "update consent_records set document = null, salt = null, principal_id = null, state = null,"
                " method = null, regime = null, jurisdiction = null, language = null, policy_sha256 = null,"
                " notice_sha256 = null, subject_id = null, time = '2019-01-01T00:00:00Z', erased_by = 'gone'"
                " where record_id = 'r3'"
            )
        )
    report = check(store)
    assert kinds(report) == {"erased"}
    assert report.findings[0].where.startswith(chain)


# -- stopped half way


@pytest.mark.parametrize("after", range(1, 7))
def test_stopped_half_way_it_goes_on(store: SqlStore, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is stopped everything can be verified, and the next time does the rest."""
    write(store, OLD, "o1", "o2", "o3", "o4", "o5")
    write(store, YOUNG, "y1")
    write(store, OLD, "l1", "l2", "l3")
    monkeypatch.setattr(retention, "_BATCH", 2)
    told_: list[int] = []

    def stop(count: int) -> None:
        told_.append(count)
        if len(told_) == after:
            raise KeyboardInterrupt

    if after < 6:  # three times two rows, twice up to two blanks
        with pytest.raises(KeyboardInterrupt):
            purge(store, CUT, stop)
        assert check(store).findings == []
    purge(store, CUT)
    assert told(store) == ["y1"]
    assert check(store).findings == []


def test_a_store_that_goes_away_half_way(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error of ours; what is gone is gone, and the rest is still there."""
    write(store, OLD, "o1", "o2", "o3", "o4")
    write(store, YOUNG, "y1")
    monkeypatch.setattr(retention, "_BATCH", 2)
    original, calls = store.database().changing, []

    def changing_(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise StoreError("away")
        return original(*given)

    monkeypatch.setattr(store.database(), "changing", changing_)
    with pytest.raises(StoreError):
        purge(store, CUT)
    monkeypatch.undo()
    assert told(store) == ["o2", "o3", "o4", "y1"]
    assert check(store).findings == []


def test_a_purge_while_choices_come(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a serving process neither disturbs the other's chain."""
    write(store, OLD, *(f"o{i}" for i in range(40)))
    write(store, YOUNG, "y")
    write(store, OLD, *(f"l{i}" for i in range(40)))
    monkeypatch.setattr(retention, "_BATCH", 5)
    problems: list[Exception] = []

    def choose() -> None:
        try:
            for i in range(30):
                store.append([effect(f"new{i}", now=YOUNG)])
        except Exception as error:  # noqa: BLE001 - looked at below
            problems.append(error)

    chooser = threading.Thread(target=choose)
    chooser.start()
    assert purge(store, CUT) == Purged(deleted=41, blanked=40)
    chooser.join(60)
    assert problems == []
    assert set(told(store)) == {"y", *(f"new{i}" for i in range(30))}
    assert check(store).findings == []
