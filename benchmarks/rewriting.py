"""Microseconds that making held tags inert costs on a page, and what guard.js weighs.

    python benchmarks/rewriting.py [--rounds 15]

Each round times every page once, in turn; the figures are the median and the least over the rounds. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from typing import TYPE_CHECKING

from benchmarks.overhead import CONFIG, page
from consent_middleware.assets import Assets
from consent_middleware.catalog import Catalog, builtin_services
from consent_middleware.config import load_config
from consent_middleware.holding import Holding, Holdings
from consent_middleware.html import Rewriter
from consent_middleware.policy import Rules
from consent_middleware.urls import Location
from consent_middleware.visitor import CookieNames

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 20_000
LINKED = (
    b'<div class="card"><a href="https://shop.example/product/12">Buy <b>this</b></a> &amp; more<p>Some text about it, '
    b'longer than the tags are.</p><img src="/static/img/12.jpg" alt="a product"></div>\n'
)
DENSE = b'<li class="x y" id="a1"><img src="/i/1.png" alt="x" width=10><a href="https://shop.example/p" class=b>go</a></li>\n'
TRACKER = b'<script async src="https://www.google-analytics.com/analytics.js"></script>\n'
PIXEL = b'<img src="https://www.google-analytics.com/collect?v=1" width="1" height="1" alt="">\n'


@dataclass(frozen=True)
class Case:
    """A page and what waits on it."""

    name: str
    body: bytes
    holding: Holding | None
    chunk: int = 0


def fill(row: bytes, *extra: bytes) -> bytes:
    """Return a page of rows with something more in its middle."""
    rows = (SIZE - 600 - sum(map(len, extra))) // len(row)
    whole = page(500)
    at = whole.index(b"</body>")
    return whole[:at] + row * (rows // 2) + b"".join(extra) + row * (rows - rows // 2) + whole[at:]


def cases(catalog: Catalog) -> list[Case]:
    """Return what is timed."""
    holdings = Holdings(catalog)
    before, after = holdings.of(frozenset()), holdings.of(frozenset({*catalog.units, *catalog.always}))
    dense = fill(DENSE, TRACKER, PIXEL)
    return [
        Case("no candidate, few links", page(SIZE), before),
        Case("no candidate, many links", fill(LINKED), before),
        Case("no candidate, tag-dense", fill(DENSE), before),
        Case("tag-dense, two held tags", dense, before),
        Case("tag-dense, two held tags, 1 KB chunks", dense, before, 1024),
        Case("nothing but held tags", fill(PIXEL), before),
        Case("the same, nothing waits", fill(PIXEL), after),
    ]


def rewrite(case: Case) -> bytes:
    """Do what a response does."""
    if case.holding is None:
        return case.body
    rewriter = Rewriter(
        case.holding,
        Location("shop.example", "/"),
        on_held=lambda _: None,
        on_passing=lambda _: None,
        placeholder=lambda held, *_: held.service.name,
    )
    if not case.chunk:
        return rewriter.whole(case.body)
    pieces = (case.body[at : at + case.chunk] for at in range(0, len(case.body), case.chunk))
    return b"".join([*map(rewriter.feed, pieces), rewriter.close()])


def timed(function: Callable[[], object], seconds: float = 0.01) -> float:
    """Return the microseconds of one call, averaged over some milliseconds."""
    count, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        function()
        count += 1
    return spent / count * 1e6


def weigh(catalog: Catalog) -> int:
    """Return the gzip bytes of guard.js as served."""
    asset = Assets(catalog, Rules(), CookieNames()).get("guard.js")
    assert asset is not None
    return len(gzip.compress(asset.plain, 9, mtime=0))


def main() -> None:
    """Time, weigh and print."""
    parser = argparse.ArgumentParser(description="What making held tags inert costs.")
    parser.add_argument("--rounds", type=int, default=15, help="how often everything is timed (default: 15)")
    rounds = parser.parse_args().rounds
    catalog = load_config(CONFIG, {}).catalog
    found = cases(catalog)
    times: dict[str, list[float]] = {case.name: [] for case in found}
    for number in range(rounds):
        for case in found:
            times[case.name].append(timed(lambda case=case: rewrite(case)))  # type: ignore[misc]
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"Making held tags inert, microseconds a page; Python {platform.python_version()}, {rounds} rounds")
    print(f"{'page':40}{'bytes':>8}{'median':>10}{'least':>10}")
    for case in found:
        spent = times[case.name]
        print(f"{case.name:40}{len(case.body):8}{statistics.median(spent):10.1f}{min(spent):10.1f}")
    print("Aims: 40 for 20 KB without a candidate, 400 tag-dense, nothing where nothing waits.\n")
    code, bare, whole = (weigh(one) for one in (Catalog({}, {}), Catalog(catalog.categories, {}), catalog))
    services = len(catalog.reach)
    print(
        f"guard.js as served, gzip bytes: {code} of code, {bare} with the categories of a site without services,"
    )
    print(
        f"  {whole} with {services} known services = {(whole - bare) / services:.1f} a service. Aims: 3000 of code, 45 a service."
    )
    print(f"  The catalogue holds {len(builtin_services())} services.")


if __name__ == "__main__":
    main()
