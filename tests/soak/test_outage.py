"""The database goes and comes back while visitors change their minds: each is acknowledged, none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from soak.load import crowd, wavering
from soak.proof import examine, tell
from soak.served import Server

if TYPE_CHECKING:
    from pathlib import Path

    from servers import PostgresServer

_A_FEW, _MANY = 60, 150
_LONG = [
    pytest.param(kind, _MANY, ("stop", "kill") * 4, marks=pytest.mark.soak)
    for kind in ("gunicorn", "uvicorn")
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "between", "ends"), [("gunicorn", _A_FEW, ("stop",)), *_LONG])
def test_the_database_is_away(
    folder: Path, postgres: PostgresServer, kind: str, between: int, ends: tuple[str, ...]
) -> None:
    """While PostgreSQL is stopped or killed answers are acknowledged, and all of them stand in it later, in order."""
    url = postgres.fresh()
    away = 0
    with Server(kind, folder, {"url": url}) as server, crowd(wavering, server.address) as ledger:
        for end in ends:
            ledger.wait_for(between)
            getattr(postgres, end)()
            before = ledger.count
            ledger.wait_for(between)
            away += ledger.count - before
            postgres.start()
        ledger.wait_for(between)
    proof = examine(server.config, url, ledger)
    tell(
        f"PostgreSQL away under {kind}",
        f"times {len(ends)}",
        f"acknowledged meanwhile {away}",
        f"answered 503 {ledger.sorry}",
        f"persons {len(ledger.acknowledged)}",
        *proof.told(),
    )
    assert (ledger.other, ledger.sorry, ledger.unanswered) == ([], 0, 0)
    proof.check()
