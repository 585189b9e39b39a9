"""What the records tell, as plain text for a terminal. Pure: given data, returns lines.

Some of it came from visitors; nothing in it may steer a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consent_middleware.records.statistics import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consent_middleware.records.statistics import Rates, Refused, Statistics
    from consent_middleware.records.verification import Report

__all__ = ["history_lines", "one_line", "plain", "report_lines", "statistics_lines"]

_MOST_REFUSED = 15
_ONE_OF = {
    "by language": "languages",
    "by region": "regions",
    "by method": "methods",
    "by regime": "regimes",
}
_SIGNALS = {"gpc": "Global Privacy Control", "dnt": "Do Not Track"}


def plain(text: str) -> str:
    """Return a text without what would steer a terminal; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(value: object) -> str:
    """Return what stands in one line, without what would steer a terminal."""
    return plain(str(value)).replace("\n", " ").replace("\t", " ")


# -- statistics


def statistics_lines(found: Statistics, waiting: int) -> Iterator[str]:
    """Yield tables of how visitors answered.

    Args:
        found: The figures.
        waiting: How many choices wait in the journal.
    """
    if found.total:
        yield f"{found.total:,} answers from {found.since} to {found.until}"
        groups = {"": [found.overall], **{title: getattr(found, name) for title, name in _ONE_OF.items()}}
        rows = [row for title, rates in groups.items() for row in ([], *_rates_rows(title, rates))]
        yield from _table(rows)
        yield ""
        yield from _refused_lines(found)
        yield ""
        yield from _signal_lines(found)
    else:
        yield "No answers in this time."
    yield ""
    rest = {
        "waiting in the journal": waiting,
        "erased": found.erased,
        "put aside (restricted)": found.restricted,
    }
    yield from _table([[name, f"{count:,}"] for name, count in rest.items()])


def _rates_rows(title: str, rates: Sequence[Rates]) -> Iterator[list[str]]:
    yield [title, "answers", *(word for state in State for word in (state.value, ""))]
    for one in rates:
        told = (word for state in State for word in (f"{one.count(state):,}", _percent(one.share(state))))
        yield [one_line(one.label) or ("unknown" if title else "all"), f"{one.total:,}", *told]


def _refused_lines(found: Statistics) -> Iterator[str]:
    shown: tuple[Refused, ...] = found.refused[:_MOST_REFUSED]
    rows = [
        [one_line(one.id), f"{one.asked:,}", f"{one.refused:,}", _percent(one.refused / one.asked)]
        for one in shown
    ]
    if rows:
        yield from _table([["most refused", "asked", "refused", ""], *rows])
    else:
        yield "nothing was refused"
    if found.sampled < found.total:
        yield f"of the latest {found.sampled:,} answers, as are the signals"


def _signal_lines(found: Statistics) -> Iterator[str]:
    rows = [["answers under a signal", "", ""]]
    for name, title in _SIGNALS.items():
        count = getattr(found, name)
        told = ["unknown", ""] if count < 0 else [f"{count:,}", _percent(count / max(found.sampled, 1))]
        rows.append([title, *told])
    yield from _table(rows)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their columns below each other, the first to the left, the others to the right.

    A row without columns is an empty line.
    """
    widths = [max(map(len, column)) for column in zip(*filter(None, rows), strict=True)]
    for row in rows:
        cells = [
            cell.rjust(w) if at else cell.ljust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join(cells).rstrip()


# -- a history


def history_lines(found: dict[str, Any], aside: frozenset[str]) -> Iterator[str]:
    """Yield a history, readable from top to bottom, oldest first.

    Args:
        found: In the shape of ``records.json``.
        aside: Ids of records that are put aside.
    """
    for place, receipt in enumerate(found["receipts"]):
        if place:
            yield ""
        event = receipt["event"]
        yield f"{event['time']}  {one_line(event['state'])}, by {one_line(event['method'])}"
        facts = _facts(receipt, is_aside=receipt["record_id"] in aside)
        for name, value in facts.items():
            if value:
                yield f"  {name:<12}{one_line(value)}"


def _facts(receipt: dict[str, Any], *, is_aside: bool) -> dict[str, str | None]:
    named = {state: [p["id"] for p in receipt["purposes"] if p["state"] == state] for state in _PURPOSES}
    return {
        "record": receipt["record_id"],
        "before it": receipt["prev_record"],
        "principal": receipt["principal_id"],
        "account": receipt["subject_id"],
        **{state: ", ".join(ids) for state, ids in named.items()},
        "holds until": receipt["event"]["valid_until"],
        "law": ", ".join(filter(None, [receipt["regime"], receipt["jurisdiction"]])),
        "language": receipt["language"],
        "signals": ", ".join(title for name, title in _SIGNALS.items() if receipt["signals"][name]),
        "conflict": "was told that a signal says no" if receipt["conflict_notice_shown"] else None,
        "notice": receipt["notice"]["sha256"],
        "declaration": receipt["policy_sha256"],
        "address": receipt.get("ip"),
        "browser": receipt.get("user_agent"),
        "page": receipt.get("page"),
        "restricted": "put aside: kept, but not to be used" if is_aside else None,
    }


_PURPOSES = ("given", "refused", "withdrawn")


# -- a verification


def report_lines(report: Report) -> Iterator[str]:
    """Yield what a verification came to: the counts, then each finding by name."""
    counts = {
        "records read": report.records,
        "blank, as an erasure says": report.erased,
        "removed by retention": report.purged,
        "chains": len(report.heads),
        "findings": len(report.findings) + report.more,
    }
    yield from _table([[name, f"{count:,}"] for name, count in counts.items()])
    yield ""
    if report.is_clean:
        yield "Everything is as it was written."
    for finding in report.findings:
        yield f"{finding.kind:<12}{one_line(finding.where)}  {one_line(finding.text)}"
    if report.more:
        yield f"... and {report.more:,} more."
