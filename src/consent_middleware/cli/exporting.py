"""Receipts as the lines of a file, one a line: as they are, as a table, or in the words of other systems."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from consent_middleware.records.formats import CSV_FIELDS, to_csv_row, to_json_ld, to_kantara

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["FORMATS", "export_lines"]

_Receipt = dict[str, Any]

_AS_JSON: dict[str, Callable[[_Receipt], _Receipt]] = {
    "jsonl": lambda receipt: receipt,
    "json-ld": to_json_ld,
    "kantara": to_kantara,
}
FORMATS = ("jsonl", "csv", "json-ld", "kantara")


def export_lines(receipts: Iterable[_Receipt], format_: str) -> Iterator[bytes]:
    """Yield receipts as lines of UTF-8, each as soon as its receipt is there.

    Args:
        receipts: As `Records.receipts` yields them.
        format_: One of `FORMATS`.
    """
    if format_ == "csv":
        yield from _csv_lines(receipts)
        return
    shape = _AS_JSON[format_]
    for receipt in receipts:
        yield json.dumps(shape(receipt), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _csv_lines(receipts: Iterable[_Receipt]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_FIELDS, lineterminator="\r\n")  # RFC 4180
    writer.writeheader()
    yield _taken(text)
    for receipt in receipts:
        writer.writerow(to_csv_row(receipt))
        yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    """Return what was written, and leave nothing."""
    found = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return found
