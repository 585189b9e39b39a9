"""The disk of the store is full for a while: answers wait in the journal; where that is full too, a yes is not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from soak.disks import small_disk
from soak.load import Visitor, crowd, newcomers
from soak.proof import examine, tell
from soak.served import Server

if TYPE_CHECKING:
    from pathlib import Path

_BEFORE = 60
_MEANWHILE = 100
_LONG = [
    pytest.param(disk, kind, marks=pytest.mark.soak)
    for disk, kind in (("tmpfs", "gunicorn"), ("tmpfs", "uvicorn"), ("limit", "uvicorn"))
]


@pytest.mark.slow
@pytest.mark.parametrize(("disk", "kind"), [("any", "uvicorn"), *_LONG])
def test_the_stores_disk_is_full(folder: Path, disk: str, kind: str) -> None:
    """With the journal on another disk each answer is acknowledged, and stands in the store once there is room."""
    with small_disk(disk, folder / "disk") as small:
        url = f"sqlite:///{small.folder}/records.db"
        journal = folder / "journal"
        records = {"url": url, "journal": str(journal)}
        with Server(kind, folder, records) as server, crowd(newcomers, server.address) as ledger:
            ledger.wait_for(_BEFORE)
            small.fill(server, journal=False)
            ledger.wait(lambda: len(list(journal.glob("*.json"))) >= _MEANWHILE)
            small.empty(server)
            ledger.wait(lambda: not list(journal.glob("*.json")))
            ledger.wait_for(_BEFORE)
        proof = examine(server.config, url, ledger)
    tell(f"full disk ({type(small).__name__}) under {kind}", f"answered 503 {ledger.sorry}", *proof.told())
    assert (ledger.other, ledger.sorry, ledger.unanswered) == ([], 0, 0)
    proof.check()


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("disk", "kind"), _LONG)
def test_the_journals_disk_is_full_too(folder: Path, disk: str, kind: str) -> None:
    """Where nothing can be written a yes is answered 503 and sets no cookie, and a no takes effect all the same."""
    with small_disk(disk, folder / "disk") as small:
        url = f"sqlite:///{small.folder}/records.db"
        records = {"url": url, "journal": str(small.folder / "journal")}
        with Server(kind, folder, records) as server, crowd(newcomers, server.address) as ledger:
            ledger.wait_for(_BEFORE)
            visitor = Visitor(server.address)
            agreed = visitor.say({"action": "accept_all"})
            small.fill(server, journal=True)
            ledger.wait(lambda: ledger.sorry >= _MEANWHILE)
            withdrawn = visitor.say({"action": "reject_all"}, agreed.cookie)
            small.empty(server)
            ledger.wait_for(_BEFORE)
            visitor.close()
        # Whether that no was the last thing to find room is nobody's matter.
        proof = examine(server.config, url, ledger, apart=agreed.principal)
    what = f"full disk ({type(small).__name__}), the journal's too, under {kind}"
    tell(what, f"answered 503 {ledger.sorry}", *proof.told())
    assert agreed.is_acknowledged
    assert withdrawn.is_acknowledged
    assert withdrawn.principal == ""
    assert (ledger.other, ledger.unanswered) == ([], 0)
    proof.check()
