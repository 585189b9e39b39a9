"""Remove records that are older than the site keeps them; what is left stays verifiable (EU-5).

A chain is cut from its beginning, and where it now begins is signed. What is old but stands behind something younger, or
behind records that are put aside (GDPR article 18), is blanked where it is. Notices and declarations name nobody; they stay.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, func, insert, not_, or_, select, update

from consent_middleware.records.model import rfc3339
from consent_middleware.records.schema import chains, purges, records
from consent_middleware.texts import duration_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection

    from consent_middleware.records.database import Database
    from consent_middleware.records.store import SqlStore

__all__ = ["Purged", "cutoff", "due", "purge"]

_BATCH = 2_000
# Events that say of other records what these cannot say themselves. They name nobody.
_SAYING = ("erased", "restricted", "rectified")


@dataclass(frozen=True, slots=True)
class Purged:
    """What retention has removed: rows that are gone, and rows that were blanked where they stand."""

    deleted: int
    blanked: int


def cutoff(now: float, retention: str) -> str:
    """Return the moment before which records are too old, as records tell time.

    Args:
        now: Seconds since the epoch.
        retention: An ISO 8601 duration, e.g. ``P3Y``.
    """
    at = datetime.fromtimestamp(now, UTC)
    parts = duration_parts(retention)
    months = at.year * 12 + at.month - 1 - parts["years"] * 12 - parts["months"]
    year, month = max(months // 12, 1970), months % 12 + 1
    at = at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))
    days = parts["weeks"] * 7 + parts["days"]
    at -= timedelta(days=days, hours=parts["hours"], minutes=parts["minutes"], seconds=parts["seconds"])
    return rfc3339(max(at.timestamp(), 0))


def due(connection: Connection, before: str) -> int:
    """Return how many records are too old."""
    query = (
        select(func.count())
        .select_from(records)
        .where(records.c.time < before, records.c.restricted == 0, records.c.kind.not_in(_SAYING))
    )
    return connection.execute(query).scalar() or 0


def purge(store: SqlStore, before: str, progress: Callable[[int], object] | None = None) -> Purged:
    """Remove what is older than a moment, in batches; stopped half way, it goes on the next time.

    Args:
        store: Whose records.
        before: The moment, as records tell time.
        progress: Told each time how many more are gone.

    Raises:
        StoreError: The store is away.
    """
    database = store.database()
    tell = progress or (lambda _: None)
    with database.reading(patient=True) as connection:
        if not due(connection, before):
            return Purged(0, 0)
        ids = [row[0] for row in connection.execute(select(chains.c.chain).order_by(chains.c.started))]
    deleted = sum(_cut(database, store, chain, before, tell) for chain in ids)
    blanked = 0
    while done := database.blank(_old(before), "retention", _BATCH):
        blanked += done
        tell(done)
    if deleted or blanked:
        database.note("purged", {"before": before, "deleted": deleted, "blanked": blanked})
        database.forget()
    return Purged(deleted, blanked)


def _cut(database: Database, store: SqlStore, chain: str, before: str, tell: Callable[[int], object]) -> int:
    """Remove the beginning of a chain; return how many rows there were."""
    with database.reading(patient=True) as connection:
        last = _last_old(connection, chain, before)
    deleted = 0
    while True:
        with database.changing() as connection:
            own = records.c.chain == chain
            first = connection.execute(select(func.min(records.c.position)).where(own)).scalar()
            if first is None or first > last:
                return deleted
            through = min(first + _BATCH - 1, last)
            hash_ = connection.execute(
                select(records.c.hash).where(own, records.c.position == through)
            ).scalar()
            values = {
                "through": through,
                "hash": hash_,
                "cutoff": before,
                "signature": store.seal.sign("purge", chain, through, hash_, before),
            }
            there = connection.execute(update(purges).where(purges.c.chain == chain).values(values))
            if there.rowcount == 0:
                connection.execute(insert(purges).values(chain=chain, **values))
            done = connection.execute(delete(records).where(own, records.c.position <= through)).rowcount
        deleted += done
        tell(done)


def _last_old(connection: Connection, chain: str, before: str) -> int:
    """Return the last position of a chain up to which everything is old and may go; 0 for nothing."""
    own = records.c.chain == chain
    kept = or_(records.c.time >= before, records.c.restricted == 1, _needed())
    first_kept = connection.execute(select(func.min(records.c.position)).where(and_(own, kept))).scalar()
    if first_kept is not None:
        return int(first_kept) - 1
    return connection.execute(select(func.max(records.c.position)).where(own)).scalar() or 0


def _needed() -> ColumnElement[bool]:
    """Return what selects events without which records that stay would not be what was written."""
    blank = records.alias()
    goes_too = and_(blank.c.chain == records.c.chain, blank.c.position < records.c.position)
    names_one = exists().where(blank.c.erased_by == records.c.record_id, not_(goes_too))
    return or_(records.c.kind.in_(_SAYING[1:]), and_(records.c.kind == _SAYING[0], names_one))


def _old(before: str) -> ColumnElement[bool]:
    return and_(
        records.c.time < before,
        records.c.restricted == 0,
        records.c.kind == "consent",
        records.c.document.is_not(None),
    )
