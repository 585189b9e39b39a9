"""The server is killed again and again while visitors answer: what was acknowledged is in the store, once."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from soak.load import crowd, newcomers
from soak.proof import examine, tell
from soak.served import Server

if TYPE_CHECKING:
    from pathlib import Path

    from servers import PostgresServer
    from soak.load import Ledger

_OFTEN = 50
_A_FEW = 3
_LONG = [pytest.param(kind, _OFTEN, marks=pytest.mark.soak) for kind in ("gunicorn", "uvicorn")]
_AT_A_TIME = (10, 150)
_JITTER_S = 0.03


def die(server: Server, ledger: Ledger, chance: random.Random) -> None:
    """Kill a server in the middle of its work, and start it again."""
    ledger.wait_for(chance.randint(*_AT_A_TIME))
    threading.Event().wait(chance.random() * _JITTER_S)  # so that it dies at any step of a commit
    server.kill()
    server.start()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [("gunicorn", _A_FEW), *_LONG])
def test_kill_on_sqlite(folder: Path, kind: str, kills: int) -> None:
    """What was acknowledged before a SIGKILL is in SQLite exactly once, and the chains hold."""
    url = f"sqlite:///{folder}/records.db"
    chance = random.Random(kills)
    with Server(kind, folder, {"url": url}) as server, crowd(newcomers, server.address) as ledger:
        for _ in range(kills):
            die(server, ledger, chance)
        ledger.wait_for(1)
    report(f"killed {kind}, SQLite", folder, url, ledger, kills)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("kind", "kills"), _LONG)
def test_kill_on_postgres(folder: Path, postgres: PostgresServer, kind: str, kills: int) -> None:
    """What was acknowledged before a SIGKILL is in PostgreSQL exactly once, and the chains hold."""
    url = postgres.fresh()
    chance = random.Random(kills)
    with Server(kind, folder, {"url": url}) as server, crowd(newcomers, server.address) as ledger:
        for _ in range(kills):
            die(server, ledger, chance)
        ledger.wait_for(1)
    report(f"killed {kind}, PostgreSQL", folder, url, ledger, kills)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("kind", "kills"), _LONG)
def test_kill_while_the_store_comes_and_goes(
    folder: Path, postgres: PostgresServer, kind: str, kills: int
) -> None:
    """A SIGKILL in the middle of writing or replaying the journal loses nothing and doubles nothing."""
    url = postgres.fresh()
    chance = random.Random(kills)
    with Server(kind, folder, {"url": url}) as server, crowd(newcomers, server.address) as ledger:
        for number in range(kills):
            (postgres.kill if number % 2 else postgres.start)()
            die(server, ledger, chance)
        postgres.start()
        ledger.wait_for(1)
    report(f"killed {kind}, PostgreSQL killed every other time", folder, url, ledger, kills)


def report(what: str, folder: Path, url: str, ledger: Ledger, kills: int) -> None:
    """Compare, print, and check."""
    proof = examine(folder / "consent.toml", url, ledger)
    a_run = f"rows a run {proof.rows / (kills + 1):.0f}"
    tell(what, f"kills {kills}", f"unanswered {ledger.unanswered}", *proof.told(), a_run)
    assert ledger.other == []
    proof.check()
