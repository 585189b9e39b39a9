"""Count how visitors answered, in the database where it can, in the latest documents where it must."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, case, func, select

from consent_middleware.records.schema import records
from consent_middleware.records.statistics import Rates, Refused, Statistics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

__all__ = ["statistics"]

_AT_ONCE = 1_000
_SAMPLE = 100_000
_MOST = 50
_STATES = ("given", "custom", "refused", "withdrawn")


def statistics(connection: Connection, *, since: str = "", until: str = "") -> Statistics:
    """Return how visitors answered; records that are put aside are left out.

    What only a record's document tells is counted over the latest 100,000.
    """
    used = [records.c.kind == "consent", records.c.document.is_not(None), records.c.restricted == 0]
    used += [records.c.time >= since] if since else []
    used += [records.c.time < until] if until else []
    where = and_(*used)
    first, last, total = connection.execute(
        select(func.min(records.c.time), func.max(records.c.time), func.count()).where(where)
    ).one()
    day = func.substr(records.c.time, 1, 10)
    sample = _sampled(connection, where)
    return Statistics(
        since=first or "",
        until=last or "",
        total=total,
        days=tuple(sorted(_rates(connection, where, day), key=lambda rates: rates.label)),
        languages=_most(_rates(connection, where, records.c.language)),
        regions=_most(_rates(connection, where, records.c.jurisdiction)),
        regimes=_most(_rates(connection, where, records.c.regime)),
        methods=_most(_rates(connection, where, records.c.method)),
        gpc=sample.gpc,
        dnt=sample.dnt,
        refused=sample.refused,
        sampled=sample.seen,
        erased=_count(connection, and_(records.c.kind == "consent", records.c.document.is_(None))),
        restricted=_count(connection, records.c.restricted == 1),
    )


def _rates(connection: Connection, where: ColumnElement[bool], by: ColumnElement[Any]) -> list[Rates]:
    label = by.label("label")
    sums = [func.sum(case((records.c.state == state, 1), else_=0)).label(state) for state in _STATES]
    rows = connection.execute(select(label, *sums).where(where).group_by(label))
    return [Rates(row.label or "", *(int(getattr(row, state)) for state in _STATES)) for row in rows]


def _most(rates: Iterable[Rates]) -> tuple[Rates, ...]:
    return tuple(sorted(rates, key=lambda one: (-one.total, one.label)))


@dataclass(slots=True)
class _Sample:
    seen: int = 0
    gpc: int = 0
    dnt: int = 0
    refused: tuple[Refused, ...] = ()


def _sampled(connection: Connection, where: ColumnElement[bool]) -> _Sample:
    found = _Sample()
    asked: dict[str, int] = {}
    refused: dict[str, int] = {}
    query = select(records.c.document).where(where).order_by(records.c.sequence.desc()).limit(_SAMPLE)
    for row in connection.execution_options(stream_results=True).execute(query).yield_per(_AT_ONCE):
        fields = json.loads(row.document)
        found.seen += 1
        found.gpc += fields["signals"]["gpc"]
        found.dnt += fields["signals"]["dnt"]
        for purpose in fields["purposes"]:
            asked[purpose["id"]] = asked.get(purpose["id"], 0) + 1
            if purpose["state"] != "given":
                refused[purpose["id"]] = refused.get(purpose["id"], 0) + 1
    most = sorted(refused, key=lambda id_: (-refused[id_] / asked[id_], -refused[id_], id_))
    found.refused = tuple(Refused(id_, asked[id_], refused[id_]) for id_ in most[:_MOST])
    return found


def _count(connection: Connection, where: ColumnElement[bool]) -> int:
    """Return how many rows there are of some kind."""
    return connection.execute(select(func.count()).select_from(records).where(where)).scalar() or 0
