"""What the store holds in the end, beside what the visitors were told."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import NullPool, create_engine, text

from consent_middleware.owner import Records
from soak.app import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from consent_middleware.records.verification import Finding
    from soak.load import Ledger

__all__ = ["Proof", "examine", "tell"]


@dataclass(frozen=True, slots=True)
class Proof:
    """The store beside a ledger.

    Attributes:
        acknowledged: How many answers were.
        found: Those of them that stand in the store exactly once, in their order.
        twice: Records more than were acknowledged, of whom an answer was.
        missing: Answers that were acknowledged and are not there.
        disordered: Persons whose records stand in another order than they answered.
        unacknowledged: Records of whom nothing was acknowledged: the server died between the two.
        replayed: Files that still waited in the journal.
        unreadable: Files of the journal that were put aside, as nobody can read them.
        unfinished: Files of the journal that a killed process left half-made; nobody was told that they are there.
        findings: What verification found.
        chains: How many chains there are.
        rows: How many rows, the events among them.
    """

    acknowledged: int
    found: int
    twice: int
    missing: int
    disordered: int
    unacknowledged: int
    replayed: int
    unreadable: int
    unfinished: int
    findings: tuple[Finding, ...]
    chains: int
    rows: int

    def check(self) -> None:
        """Assert that everything acknowledged is there once, and nothing was tampered with."""
        assert self.acknowledged > 0
        assert (self.missing, self.twice, self.disordered, self.unreadable) == (0, 0, 0, 0), self
        assert self.found == self.acknowledged
        assert self.findings == ()

    def told(self) -> Iterator[str]:
        """Give the counts, in words."""
        names = ("acknowledged", "found", "twice", "missing", "disordered", "unacknowledged", "replayed")
        for name in names:
            label = "unacknowledged but stored" if name == "unacknowledged" else name
            yield f"{label} {getattr(self, name)}"
        yield f"unfinished files {self.unfinished}"
        yield f"findings {len(self.findings)}"
        yield f"chains {self.chains}"
        yield f"rows {self.rows}"


def examine(config: Path, url: str, ledger: Ledger, *, apart: str = "") -> Proof:
    """Replay the journal, verify, and compare; no server runs any more.

    Args:
        config: The declaration.
        url: Of the database, which is asked behind the store's back.
        ledger: What the visitors were told.
        apart: A person who is not compared.
    """
    records = Records.open(config, SECRET)
    replayed = records.replay()
    assert records.waiting() == 0
    report = records.verify()
    records.close()
    stored = {person: states for person, states in _stored(url).items() if person != apart}
    told = ledger.acknowledged
    ours = {person: stored.get(person, []) for person in told}
    fewer = sum(max(0, len(told[person]) - len(ours[person])) for person in told)
    more = sum(max(0, len(ours[person]) - len(told[person])) for person in told)
    return Proof(
        acknowledged=ledger.count,
        found=sum(_same(told[person], ours[person]) for person in told),
        twice=more,
        missing=fewer,
        disordered=sum(
            sorted(told[person]) == sorted(ours[person]) and told[person] != ours[person] for person in told
        ),
        unacknowledged=sum(len(states) for person, states in stored.items() if person not in told),
        replayed=replayed,
        unreadable=len(list(config.parent.rglob("*.bad"))),
        unfinished=len(list(config.parent.rglob("*.part"))),
        findings=tuple(report.findings),
        chains=len(report.heads),
        rows=report.records,
    )


def _same(told: list[str], found: list[str]) -> int:
    return len(told) if told == found else 0


def _stored(url: str) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    query = "select principal_id, state from consent_records where kind = 'consent' order by time, sequence"
    with create_engine(url, poolclass=NullPool).connect() as connection:
        for principal, state in connection.execute(text(query)):
            found[principal].append(state)
    return found


def tell(what: str, *counts: str) -> None:
    """Print what a run came to; `pytest -s` shows it."""
    print(f"\n  {what}: {', '.join(counts)}", flush=True)  # noqa: T201 - what `make soak` is for
