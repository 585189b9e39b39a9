"""Verify the records: what was changed, dropped, moved, cut or forged among them, by name (DESIGN.md "Proof").

Reads every row once, in the order of its chain, and keeps in memory what grows with the chains and with what was
erased, not with the records.

What nobody can find from the database alone is that the last records of a chain were cut off together with its newest
head, when an old head was kept to be put back and no other chain has begun since. Hence the witness: heads of an earlier
verification, kept where who changes the database cannot reach.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, true

from consent_middleware.records.chain import Head, Seal, digest, first_hash, link
from consent_middleware.records.effects import RECTIFIABLE
from consent_middleware.records.model import NoticeText
from consent_middleware.records.reading import streamed
from consent_middleware.records.schema import chains, declarations, notices, purges, records
from consent_middleware.records.writing import COLUMNS, NOTHING_LEFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Connection, Row

__all__ = ["Finding", "Report", "verify"]

_MAX_FINDINGS = 1_000
# An event is found by its id, its time and a pseudonym only.
_OF_CONSENT = frozenset(COLUMNS) - {"record_id", "time", "principal_id"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        kind: ``changed``, ``missing``, ``moved``, ``cut``, ``forged``, ``gone``, ``erased``, ``notice``, ``declaration``,
            ``restricted`` or ``column``.
        where: A chain, with the position in it; or a hash.
        text: What is wrong, in words.
    """

    kind: str
    where: str
    text: str


@dataclass(slots=True)
class Report:
    """What a verification came to.

    Attributes:
        records: How many rows were read.
        erased: How many of them are blank, as an erasure says.
        purged: How many retention has removed.
        heads: Every chain's, for the next verification's witness.
        findings: What is wrong; the first 1,000.
        more: How many further findings there were.
    """

    records: int = 0
    erased: int = 0
    purged: int = 0
    heads: dict[str, Head] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything is as it was written."""
        return not self.findings

    def add(self, kind: str, where: str, text: str) -> None:
        """Take a finding."""
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(Finding(kind, where, text))
        else:
            self.more += 1


def verify(
    connection: Connection,
    seal: Seal,
    *,
    witness: Mapping[str, Head] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Report:
    """Return what is wrong with the records.

    Args:
        connection: Reads one state, whatever is written meanwhile.
        seal: With every key that the site has signed with.
        witness: Heads that were true once.
        progress: Told each time how many rows more were read.
    """
    return _Verification(connection, seal, progress).run(witness or {})


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a chain begins: at its first record, or behind what retention has removed."""

    through: int
    hash: str


class _Verification:
    """One reading of all records."""

    def __init__(self, connection: Connection, seal: Seal, progress: Callable[[int], object] | None) -> None:
        self._connection = connection
        self._seal = seal
        self._progress = progress
        self._report = Report()
        self._starts: dict[str, _Start] = {}
        self._texts: dict[str, set[str]] = {}
        self._seen: dict[str, Head] = {}  # the furthest that others saw a chain go
        # What rows and events say of each other is compared at the end: an event may stand in another chain.
        self._blank: dict[str, dict[tuple[str, int], tuple[str, str]]] = defaultdict(dict)
        self._erasures: dict[str, tuple[str, dict[tuple[str, int], str]]] = {}
        self._restricted: set[tuple[str, int]] = set()
        self._restrictions: list[tuple[tuple[str, int], bool, list[tuple[str, int]]]] = []
        self._differing: list[tuple[str, str, str]] = []
        self._rectifications: list[tuple[tuple[str, int], list[str], dict[str, str]]] = []

    def run(self, witness: Mapping[str, Head]) -> Report:
        report = self._report
        self._read_texts()
        self._read_purges()
        self._read_heads()
        columns = tuple(records.c)
        rows = streamed(self._connection, columns, true(), (records.c.chain, records.c.position))
        seen = set()
        for chain, own in groupby(rows, key=lambda row: str(row.chain)):
            seen.add(chain)
            self._chain(chain, own)
        for chain, head in report.heads.items():
            if chain not in seen and head.count > self._start(chain).through:
                report.add("gone", chain, f"all {head.count} records of this chain are gone")
        self._compare_erasures()
        self._compare_restrictions()
        self._compare_columns()
        for head in witness.values():
            self._witness(head)
        for head in self._seen.values():
            self._check_witness(head)
        return report

    # -- what stands beside the records

    def _read_texts(self) -> None:
        tables = {"notice": notices, "declaration": declarations}
        for kind, table in tables.items():
            known = self._texts[kind] = set()
            for row in self._connection.execute(select(table.c.sha256, table.c.text)):
                known.add(row.sha256)
                if NoticeText.of(row.text, "").sha256 != row.sha256:
                    self._report.add(kind, row.sha256, f"the text of this {kind} was changed")

    def _read_purges(self) -> None:
        for row in self._connection.execute(select(purges)):
            if not self._seal.is_signed(row.signature, "purge", row.chain, row.through, row.hash, row.cutoff):
                self._report.add(
                    "forged", row.chain, "what retention is said to have removed here is not signed by us"
                )
                continue
            self._starts[row.chain] = _Start(row.through, row.hash)
            self._report.purged += row.through

    def _read_heads(self) -> None:
        for row in self._connection.execute(select(chains)):
            head = Head(row.chain, row.length, row.hash)
            self._report.heads[row.chain] = head
            if not self._seal.is_signed(row.signature, *_of(head)):
                text = "its head is not signed by us: it was forged, or the key that signed it is not among the keys given"
                self._report.add("forged", row.chain, text)

    def _start(self, chain: str) -> _Start:
        return self._starts.get(chain) or _Start(0, first_hash(chain))

    # -- one chain

    def _chain(self, chain: str, rows: Iterable[Row[Any]]) -> None:
        report, start = self._report, self._start(chain)
        position, previous = start.through, start.hash
        for row in rows:
            self._count()
            where = f"{chain}/{row.position}"
            if row.position <= start.through:
                report.add("moved", where, "this record stands where retention has removed all")
                continue
            if row.position > position + 1:
                gap = f"{chain}/{position + 1}" + (
                    f"-{row.position - 1}" if row.position > position + 2 else ""
                )
                report.add("missing", gap, f"{row.position - position - 1} records are missing here")
            elif link(previous, row.digest) != row.hash:
                report.add("moved", where, "this record does not follow the one before it")
            position, previous = row.position, row.hash
            self._row(where, row)
        head = report.heads.get(chain)
        if head is None:
            report.add("cut", chain, "this chain has no head")
        elif position < head.count:
            report.add("cut", f"{chain}/{position + 1}-{head.count}", "the end of this chain was cut off")
        elif position > head.count:
            report.add(
                "forged", f"{chain}/{head.count + 1}-{position}", "these records stand behind the signed head"
            )
        elif previous != head.hash:
            report.add("forged", f"{chain}/{position}", "the last record is not the one that was signed")

    def _count(self) -> None:
        self._report.records += 1
        if self._progress and self._report.records % 1_000 == 0:
            self._progress(1_000)

    def _row(self, where: str, row: Row[Any]) -> None:
        place = (row.chain, row.position)
        if row.restricted:
            self._restricted.add(place)
        if row.restricted not in {0, 1}:
            self._report.add("restricted", where, "this says neither that it is put aside nor that it is not")
        if row.document is None or row.salt is None:
            self._blank[row.erased_by or ""][place] = (row.digest, row.time)
            if row.kind != "consent" or any(getattr(row, name) is not None for name in NOTHING_LEFT):
                self._report.add(
                    "erased", where, "of this erased record something is left, or has come since"
                )
            return
        if row.erased_by is not None:
            self._report.add("column", where, "this record is said to be erased, and is not")
        if digest(row.salt, row.document) != row.digest:
            self._report.add("changed", where, f"what this record ({row.record_id}) says was changed")
            return
        try:
            fields = json.loads(row.document)
            if row.kind == "consent":
                self._consent(where, row, fields)
            else:
                self._event(where, row, fields)
        except (ValueError, KeyError, TypeError, AttributeError):  # a forger's
            self._report.add("changed", where, "this is no record")

    def _consent(self, where: str, row: Row[Any], fields: dict[str, Any]) -> None:
        if "kind" in fields:
            self._report.add("column", where, "this is an event, not a record of consent")
        for name in COLUMNS:
            said, found = fields.get(name), getattr(row, name)
            if (said or None) != (found or None):
                self._differing.append((where, row.record_id, name))
        for kind, name in (("notice", "notice_sha256"), ("declaration", "policy_sha256")):
            sha256 = fields.get(name)
            if sha256 and sha256 not in self._texts[kind]:
                self._texts[kind].add(sha256)  # once is enough
                self._report.add(kind, sha256, f"this {kind}, which records name, is gone")

    def _event(self, where: str, row: Row[Any], fields: dict[str, Any]) -> None:
        own = (fields.get("kind"), fields.get("record_id"), fields.get("time"), fields.get("person"))
        if own != (row.kind, row.record_id, row.time, row.principal_id):
            self._report.add("column", where, "what this event is found by is not what it says")
            return
        if any(getattr(row, name) is not None for name in _OF_CONSENT):
            self._report.add("column", where, "this event is found by what no event says")
        order = (row.time, row.sequence)
        match row.kind:
            case "started":
                for chain, count, hash_ in fields["seen"]:
                    self._witness(Head(str(chain), int(count), str(hash_)))
            case "erased":
                places = {(str(chain), int(position)): own for chain, position, own in fields["records"]}
                self._erasures[row.record_id] = (row.time, places)
            case "restricted":
                places_ = [(str(chain), int(position)) for chain, position in fields["records"]]
                self._restrictions.append((order, bool(fields["on"]), places_))
            case "rectified":
                changes = {name: fields["changes"][name] for name in RECTIFIABLE & fields["changes"].keys()}
                self._rectifications.append((order, [str(id_) for id_ in fields["records"]], changes))

    # -- what rows and events say of each other

    def _compare_erasures(self) -> None:
        for event, places in self._blank.items():
            said = self._erasures.get(event)
            for (chain, position), (own, time) in places.items():
                if said and said[1].get((chain, position)) == own and said[0] == time:
                    self._report.erased += 1
                else:
                    self._report.add(
                        "erased", f"{chain}/{position}", "this record is blank, and no erasure says so"
                    )
        for event, (_, places_) in self._erasures.items():
            for (chain, position), own in places_.items():
                is_blank = self._blank.get(event, {}).get((chain, position), ("", ""))[0] == own
                if not is_blank and position > self._start(chain).through:
                    self._report.add(
                        "erased", f"{chain}/{position}", "this record was erased, and is there again"
                    )

    def _compare_restrictions(self) -> None:
        should: set[tuple[str, int]] = set()
        for _, is_on, places in sorted(self._restrictions, key=lambda one: one[0]):
            (should.update if is_on else should.difference_update)(places)
        blank = {place for places in self._blank.values() for place in places}
        should = {p for p in should - blank if p[1] > self._start(p[0]).through}
        for chain, position in sorted(should ^ self._restricted):
            self._report.add(
                "restricted",
                f"{chain}/{position}",
                "whether this record is put aside is not what was written",
            )

    def _compare_columns(self) -> None:
        rectified: dict[str, dict[str, str]] = defaultdict(dict)
        for _, ids, changes in sorted(self._rectifications, key=lambda one: one[0]):
            for id_ in ids:
                rectified[id_].update(changes)
        for where, id_, name in self._differing:
            if name not in rectified.get(id_, {}):
                self._wrong_column(where, name)
        for id_, changes in rectified.items():
            query = select(records).where(records.c.record_id == id_, records.c.document.is_not(None))
            for row in self._connection.execute(query):
                for name, said in changes.items():
                    if said not in self._seal.pseudonyms(f"{name}={getattr(row, name) or ''}"):
                        self._wrong_column(f"{row.chain}/{row.position}", name)

    def _wrong_column(self, where: str, name: str) -> None:
        text = f"the {name} that this record is found by is neither what it says nor what was put right"
        self._report.add("column", where, text)

    # -- heads that others saw

    def _witness(self, head: Head) -> None:
        known = self._seen.get(head.chain)
        if known is None or known.count <= head.count:
            self._seen[head.chain] = head

    def _check_witness(self, seen: Head) -> None:
        report, start = self._report, self._start(seen.chain)
        head = report.heads.get(seen.chain)
        if head is None:
            report.add("gone", seen.chain, f"this chain had {seen.count} records, and is gone")
        elif head.count < seen.count:
            where = f"{seen.chain}/{head.count + 1}-{seen.count}"
            report.add("cut", where, f"this chain had {seen.count} records, and has {head.count}")
        elif seen.count > start.through:
            query = select(records.c.hash).where(
                records.c.chain == seen.chain, records.c.position == seen.count
            )
            if self._connection.execute(query).scalar() not in {seen.hash, None}:  # None is missed elsewhere
                report.add("forged", f"{seen.chain}/{seen.count}", "this chain was written anew")


def _of(head: Head) -> tuple[object, ...]:
    return head.chain, head.count, head.hash
