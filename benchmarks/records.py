"""How fast choices become durable, together and one by one, and what it costs to verify and export many records.

    python benchmarks/records.py [--rounds 3] [--records 10000 100000] [--full] [--trace]

Each round lets 64 threads record choices with group commit and then with one commit each, in turn, so that a machine
that slows down slows both; one thread alone shows what a commit costs where nobody waits for a turn. Reading is timed
in a process of its own, whose memory is told too. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from typing import TYPE_CHECKING

from benchmarks.overhead import CONFIG
from consent_middleware.choices import Answer, Method
from consent_middleware.owner import Records
from consent_middleware.records import AppendRecord, SqlStore
from consent_middleware.site import Site
from servers import find_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "k" * 32
THREADS = 64
AIM = 5
MANY = 1_000_000
AT_ONCE = 2_000
# Tracing takes several times as long as reading.
TRACED = 10_000
TURN_S = 2.0
SEVERAL, ONE, SINGLY = "together", "one each", "one thread"
MIB = 1 << 20


@dataclass
class Turns:
    """What the rounds of one way to commit came to.

    Attributes:
        a_second: Choices, round by round.
        waits_s: How long each choice took.
    """

    a_second: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Database:
    """A database to measure.

    Attributes:
        name: With its version.
        fresh: Returns the URL of a new, empty one.
    """

    name: str
    fresh: Callable[[], str]


@cache
def template() -> AppendRecord:
    """Return a choice as a visitor of the example makes it."""
    site = Site({**CONFIG, "records": {"url": "sqlite://"}}, SECRET)
    visitor = site.visitors.see(None, None, None, secure=True, now=time.time()).visitor
    answer = Answer(site.catalog.asked, Method.ACCEPT_ALL)
    outcome = site.choices.take(visitor, answer, language="en", secure=True, now=time.time())
    (effect,) = outcome.effects
    assert isinstance(effect, AppendRecord)
    return effect


def choice() -> AppendRecord:
    """Return the choice of somebody new."""
    like = template()
    record = replace(like.record, record_id=secrets.token_urlsafe(12), principal_id=secrets.token_urlsafe(12))
    return replace(like, record=record)


# -- committing


def press(store: SqlStore, turns: Turns, size: int) -> None:
    """Let so many threads record choices for a while."""
    waits: list[list[float]] = [[] for _ in range(size)]
    start = threading.Barrier(size + 1)

    def work(own: list[float]) -> None:
        start.wait()
        until = time.perf_counter() + TURN_S
        while (began := time.perf_counter()) < until:
            store.append([choice()])
            own.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work, args=(own,)) for own in waits]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    turns.a_second.append(sum(map(len, waits)) / spent)
    turns.waits_s += (wait for own in waits for wait in own)


def commit(database: Database, rounds: int) -> dict[str, Turns]:
    """Measure each way in turn, on a database of its own."""
    together = {SEVERAL: {}, ONE: {"together": 1}, SINGLY: {"together": 1}}
    stores = {name: SqlStore(database.fresh(), [SECRET], **options) for name, options in together.items()}
    found = {name: Turns() for name in stores}
    for store in stores.values():
        store.append([choice()])
    for number in range(rounds):
        for name, store in stores.items():
            press(store, found[name], 1 if name is SINGLY else THREADS)
        say(f"{database.name}, 64 threads: round {number + 1} of {rounds}")
    for store in stores.values():
        store.close()
    return found


def report_commits(name: str, found: dict[str, Turns]) -> None:
    """Print what a database came to, and whether the aim was met."""
    for way, turns in found.items():
        middle, last = quantiles_ms(turns.waits_s)
        print(
            f"{name:<20}{way:<12}{statistics.median(turns.a_second):>12,.0f}"
            f"{f'[{min(turns.a_second):,.0f}, {max(turns.a_second):,.0f}]':>20}{middle:>10.1f}{last:>10.1f}"
        )
    least, times, most = compared(found[SEVERAL], found[ONE])
    verdict = "met" if times >= AIM else "missed"
    print(
        f"{'':<20}together {times:.1f} times as many as one each [{least:.1f}, {most:.1f}]; aim {AIM}: {verdict}; "
        f"{compared(found[SEVERAL], found[SINGLY])[1]:.1f} times as many as one thread"
    )


def compared(ours: Turns, other: Turns) -> tuple[float, float, float]:
    """Return how many times as many choices: the least, the median and the most of the rounds."""
    ratios = [a / b for a, b in zip(ours.a_second, other.a_second, strict=True)]
    return min(ratios), statistics.median(ratios), max(ratios)


def quantiles_ms(waits_s: list[float]) -> tuple[float, float]:
    """Return the median and the 99th of a hundred, in milliseconds."""
    hundredths = statistics.quantiles(waits_s, n=100)
    return hundredths[49] * 1e3, hundredths[98] * 1e3


def flush_ms(folder: Path) -> float:
    """Return what it takes until 4 KB are on the disk."""
    moments = [time.perf_counter()]
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
            moments.append(time.perf_counter())
    return statistics.median(b - a for a, b in pairwise(moments)) * 1e3


# -- reading


@dataclass(frozen=True)
class Read:
    """What one reading came to, in a process of its own.

    Attributes:
        count: Records read.
        seconds: How long it took.
        resident: The most memory the process ever had, in bytes.
        traced: The most that Python's own objects took while reading, in bytes; 0 where it was not traced.
    """

    count: int
    seconds: float
    resident: int
    traced: int = 0


def fill(url: str, count: int) -> float:
    """Write so many records; return the seconds it took."""
    store = SqlStore(url, [SECRET])
    began = time.perf_counter()
    for done in range(0, count, AT_ONCE):
        store.append([choice() for _ in range(min(AT_ONCE, count - done))])
        say(f"writing {count:,} records: {done / count:.0%}")
    store.close()
    return time.perf_counter() - began


def read(work: str, url: str, *, trace: bool) -> Read:
    """Do some reading in this process."""
    records = Records(Site({**CONFIG, "records": {"url": url}}, SECRET))
    if trace:
        tracemalloc.start()
    began = time.perf_counter()
    count = READINGS[work](records)
    spent = time.perf_counter() - began
    return Read(count, spent, resident(), tracemalloc.get_traced_memory()[1] if trace else 0)


def verify(records: Records) -> int:
    """Verify all records; return how many there are."""
    report = records.verify()
    assert report.is_clean
    return report.records


def export(records: Records) -> int:
    """Write all receipts as lines of JSON; return how many there are."""
    count = 0
    with Path(os.devnull).open("w", encoding="utf-8") as file:
        for receipt in records.receipts():
            file.write(json.dumps(receipt, ensure_ascii=False) + "\n")
            count += 1
    return count


READINGS: dict[str, Callable[[Records], int]] = {"count": Records.count, "verify": verify, "export": export}


def resident() -> int:
    """Return the most memory this process had; Linux's getrusage also tells of who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_apart(work: str, url: str, *, trace: bool = False) -> Read:
    """Do some reading in another process."""
    command = [sys.executable, __file__, "--read", work, "--url", url, *(["--trace"] if trace else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Read(**json.loads(done.stdout))


def report_reading(database: Database, count: int, *, trace: bool) -> None:
    """Write records, read them, and print what it came to."""
    url = database.fresh()
    spent = fill(url, count)
    print(f"{database.name:<20}{count:>11,}  {'write':<8}{count / spent:>12,.0f}")
    for work in READINGS:
        say(f"{database.name}, {count:,} records: {work}")
        plain = read_apart(work, url)
        traced = f"{read_apart(work, url, trace=True).traced / MIB:.1f}" if trace else ""
        say("")
        a_second = "" if work == "count" else f"{plain.count / plain.seconds:,.0f}"
        print(
            f"{database.name:<20}{count:>11,}  {work:<8}{a_second:>12}{plain.resident / MIB:>12.1f}{traced:>12}"
        )


# -- all of it


def databases(stack: ExitStack, folder: Path) -> Iterator[Database]:
    """Give SQLite, and PostgreSQL where there is one."""
    yield Database(
        f"SQLite {sqlite3.sqlite_version}", lambda: f"sqlite:///{folder}/{secrets.token_hex(4)}.db"
    )
    make = find_postgres()
    if make is None:
        print("There is no PostgreSQL server here.")
        return
    server = stack.enter_context(make())
    yield Database(f"PostgreSQL {server.version}", server.fresh)


def say(words: str) -> None:
    """Tell how far it is."""
    print(f"\r{words:<70}\r", end="", file=sys.stderr, flush=True)


def measure(rounds: int, counts: list[int], folder: Path, *, trace: bool) -> None:
    """Measure and print everything."""
    with ExitStack() as stack:
        found = list(databases(stack, folder))
        print(
            f"Python {platform.python_version()}, {os.cpu_count()} processors; {THREADS} threads, {rounds} rounds of "
            f"{TURN_S:.0f} s each way in turn; one flush to this disk takes {flush_ms(folder):.2f} ms"
        )
        print(f"{'':<20}{'commits':<12}{'choices/s':>12}{'[min, max]':>20}{'p50 ms':>10}{'p99 ms':>10}")
        for database in found:
            commits = commit(database, rounds)
            say("")
            report_commits(database.name, commits)
        print(f"\n{'':<20}{'records':>11}  {'':<8}{'records/s':>12}{'process MiB':>12}{'objects MiB':>12}")
        for count in counts:
            for number, database in enumerate(found):
                report_reading(database, count, trace=number == 0 and (trace or count <= TRACED))


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (default 3)")
    parser.add_argument("--records", type=int, nargs="*", default=[10_000, 100_000], help="how many are read")
    parser.add_argument("--full", action="store_true", help="read ten thousand records and a million")
    parser.add_argument(
        "--folder", type=Path, default=None, help="on which disk (default: the temporary one)"
    )
    for name in ("--read", "--url"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--trace", action="store_true", help="trace the objects of a million too")
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.read, given.url, trace=given.trace).__dict__))
        return
    if given.folder:
        tempfile.tempdir = str(given.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="cm") as folder:
        counts = [10_000, MANY] if given.full else given.records
        measure(given.rounds, counts, Path(folder), trace=given.trace)


if __name__ == "__main__":
    main()
