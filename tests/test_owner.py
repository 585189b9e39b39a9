from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.errors import ConfigError, StoreError, UnknownIdError
from consent_middleware.owner import NoRecordsError, Records
from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import AppendRecord, Journal, NoticeText, Person, build_record, declare
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from consent_middleware.site import Site
from consent_middleware.snapshot import Snapshot
from helpers_core import NOW, SECRET, declaration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTICE = NoticeText.of("<p>We use cookies.</p>", "en")
U = Person(subject="user-42")


def declared(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return a small site's declaration, with its records in a folder."""
    places = {"url": f"sqlite:///{folder}/records.db", "journal": f"{folder}/journal"}
    stats = {"id": "stats", "name": "Stats", "category": "analytics", "provider": "Stats Ltd"}
    own = {"records": places, "services": [stats], "use": ["google-ads"]}
    return declaration(**{**own, **sections})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site at a fixed clock."""
    found = Site(declared(tmp_path), SECRET)
    found.clock = lambda: float(NOW)
    yield found
    found.store.close()


@pytest.fixture
def records(site: Site) -> Records:
    """The site's records."""
    return Records(site)


def answer(
    site: Site,
    id_: str,
    *granted: str,
    subject: str = "user-42",
    now: float = NOW - 100,
    signals: Signals = Signals(),  # noqa: B008 - frozen
) -> AppendRecord:
    """Return the effect of an account's answer."""
    catalog = site.catalog
    given = frozenset(granted) if granted != ("all",) else catalog.asked
    found = build_record(
        catalog,
        Choice(given, catalog.asked - given, int(now), signals),
        principal=f"p-{subject}",
        before=frozenset(),
        method="prefs",
        circumstances=Circumstances(Regime.OPT_IN, "DE", known=True, subject=subject),
        notice=NOTICE,
        declaration=declare(site.config),
        now=now,
        valid_until=now + 86_400,
        new_id=lambda: id_,
    )
    return AppendRecord(found, NOTICE, declare(site.config))


# -- an account's answer, for jobs


def test_what_an_account_allows(site: Site, records: Records) -> None:
    """A job asks by the account, outside any request."""
    site.store.append([answer(site, "r1", "stats", "analytics")])
    found = records.latest_choice("user-42")
    assert found is not None
    assert found.allows("stats")
    assert found.allows("essential")
    assert not found.allows("google-ads")
    assert (found.answered, found.subject, found.regime) == (True, "user-42", Regime.OPT_IN)
    assert (found.at, found.fingerprint) == (NOW - 100, site.catalog.fingerprint)
    with pytest.raises(UnknownIdError):
        found.allows("statz")


def test_the_last_answer_counts(site: Site, records: Records) -> None:
    """Who takes everything back allows nothing any more."""
    site.store.append([answer(site, "r1", "all"), answer(site, "r2", now=NOW - 50)])
    found = records.latest_choice("user-42")
    assert found is not None
    assert not found.allows("stats")


def test_an_account_that_never_answered(site: Site, records: Records) -> None:
    """Allows nothing that anybody could name."""
    site.store.append([answer(site, "r1", "all", subject="somebody else")])
    assert records.latest_choice("user-42") is None


def test_an_account_that_is_put_aside_or_erased(site: Site, records: Records) -> None:
    """GDPR articles 18 and 17: jobs hear nothing of it."""
    site.store.append([answer(site, "r1", "all")])
    assert records.restrict(U) == 1
    assert records.latest_choice("user-42") is None
    assert records.restrict(U, on=False) == 1
    assert records.latest_choice("user-42") is not None
    assert records.erase(U) == 1
    assert records.latest_choice("user-42") is None


def test_an_old_answer_allows_nothing(site: Site, records: Records) -> None:
    """A grant that has lapsed, or that was given under other processing, is none."""
    site.store.append([answer(site, "r1", "all", now=NOW - 400 * 86_400)])
    found = records.latest_choice("user-42")
    assert found is not None
    assert not found.allows("stats")


def test_a_snapshot_goes_into_a_queue(site: Site, records: Records) -> None:
    """It is pickled small, and says the same on the other side."""
    site.store.append([answer(site, "r1", "stats", "analytics")])
    found = records.latest_choice("user-42")
    sent = pickle.dumps(found)
    assert len(sent) < 4_000
    again = pickle.loads(sent)
    assert isinstance(again, Snapshot)
    assert again == found
    assert again.allows("stats")


# -- one person's rights


def test_a_persons_history(site: Site, records: Records) -> None:
    """Every receipt with what was declared and shown at that time."""
    site.store.append([answer(site, "r1", "all"), answer(site, "r2", now=NOW - 50)])
    found = records.history(U, Person(principal="p-user-42"))
    assert [receipt["record_id"] for receipt in found["receipts"]] == ["r1", "r2"]
    assert found["receipts"][0]["controller"]["name"] == "Example GmbH"
    assert found["notices"][NOTICE.sha256]["text"] == NOTICE.text
    records.restrict(U)
    assert len(records.history(U)["receipts"]) == 2
    assert records.history(U, restricted=False)["receipts"] == []


def test_what_is_put_right(site: Site, records: Records) -> None:
    """The account's new name finds its records; they say so."""
    site.store.append([answer(site, "r1", "all")])
    assert records.rectify(U, {"subject_id": "user-43"}) == 1
    assert records.latest_choice("user-42") is None
    found = records.record("r1")
    assert found is not None
    assert found.subject_id == "user-43"
    with pytest.raises(StoreError):
        records.rectify(U, {"state": "given"})


def test_a_right_reaches_what_still_waits(
    site: Site, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the journal is erased too."""
    journal = site.store
    assert isinstance(journal, Journal)

    def away(*_: object, **__: object) -> list[int]:
        raise StoreError("away")

    monkeypatch.setattr(journal.store, "append", away)
    site.store.append([answer(site, "r1", "all")])
    assert records.waiting() == 1
    with pytest.raises(StoreError):
        records.erase(U)
    monkeypatch.undo()
    assert records.erase(U) == 1
    assert records.waiting() == 0
    assert records.verify().is_clean


# -- all of them


def test_receipts_of_everybody(site: Site, records: Records) -> None:
    """Between two moments, of one person or of all, without what is put aside unless it is asked for."""
    site.store.append([answer(site, "r1", "all"), answer(site, "r2", subject="b", now=NOW + 86_400)])
    assert [receipt["record_id"] for receipt in records.receipts()] == ["r1", "r2"]
    assert [receipt["record_id"] for receipt in records.receipts(since="2026-05-29")] == ["r2"]
    assert [receipt["record_id"] for receipt in records.receipts(until="2026-05-29")] == ["r1"]
    assert [receipt["record_id"] for receipt in records.receipts(person=U)] == ["r1"]
    records.restrict(U)
    assert [receipt["record_id"] for receipt in records.receipts()] == ["r2"]
    assert len(list(records.receipts(restricted=True))) == 2


def test_one_record_and_one_notice(site: Site, records: Records) -> None:
    """Each by its id, and None for one that was never there."""
    effect = answer(site, "r1", "all")
    site.store.append([effect])
    assert records.record("r1") == effect.record
    assert records.record("r2") is None
    assert records.notice(NOTICE.sha256) == NOTICE.text
    assert records.notice("0" * 64) is None


def test_statistics_and_their_page(site: Site, records: Records) -> None:
    """The figures, and the same as HTML."""
    site.store.append([answer(site, "r1", "all"), answer(site, "r2", subject="b")])
    assert (records.statistics().total, records.statistics(since="2027").total) == (2, 0)
    assert "Example Shop" in records.dashboard()


def test_verifying(site: Site, records: Records) -> None:
    """Every row is read, and the heads serve as the next one's witness."""
    site.store.append([answer(site, "r1", "all")])
    report = records.verify()
    assert (report.is_clean, report.records, records.count()) == (True, 2, 2)
    assert records.verify(witness=report.heads).is_clean


def test_what_is_too_old(site: Site, records: Records) -> None:
    """A dry run only counts; what `[records] retention` says is removed."""
    now = time.time()
    old = answer(site, "r1", "all", now=now - 10 * 365 * 86_400)
    site.store.append([old, answer(site, "r2", "all", now=now)])
    assert records.purge(dry=True).deleted == 1
    assert len(list(records.receipts())) == 2
    assert records.purge().blanked == 1  # behind the event that began the chain today
    assert [receipt["record_id"] for receipt in records.receipts()] == ["r2"]
    assert records.verify().is_clean


# -- opening


def test_opening_for_a_script(tmp_path: Path) -> None:
    """By the declaration and the key, or where these are by default."""
    records = Records.open(declared(tmp_path), SECRET)
    assert records.statistics().total == 0
    assert (records.waiting(), records.replay()) == (0, 0)
    records.close()


@pytest.mark.parametrize("on_failure", ["journal", "refuse"])
def test_with_and_without_a_journal(tmp_path: Path, on_failure: str) -> None:
    """A site that refuses rather than keeps has its records too."""
    own = declared(tmp_path)
    own["records"]["on_store_failure"] = on_failure
    records = Records.open(own, SECRET)
    assert records.erase(U) == 0
    assert (records.waiting(), records.replay()) == (0, 0)
    records.close()


def test_a_site_without_records(tmp_path: Path) -> None:
    """Is told so, in words."""
    with pytest.raises(NoRecordsError, match="keeps no records"):
        Records.open(declared(tmp_path, records={"url": "none"}), SECRET)


def test_a_key_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one no head could be signed or verified."""
    monkeypatch.delenv("CONSENT_SECRET_KEY", raising=False)
    with pytest.raises(ConfigError):
        Records.open(declared(tmp_path))


def test_a_store_that_is_away(tmp_path: Path) -> None:
    """Every question is answered by one error of ours."""
    own = declared(tmp_path)
    own["records"]["url"] = f"sqlite:///{tmp_path}/nowhere/records.db"
    records = Records.open(own, SECRET)
    for ask in (
        lambda: records.latest_choice("u"),
        lambda: records.history(U),
        lambda: list(records.receipts()),
        records.statistics,
        records.verify,
        records.count,
        records.purge,
        lambda: records.erase(U),
    ):
        with pytest.raises(StoreError):
            ask()
