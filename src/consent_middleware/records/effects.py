"""What is to be done to the records, as data: endpoints return it, the adapters run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consent_middleware.records.model import ConsentRecord, Declaration, NoticeText, Person

__all__ = ["RECTIFIABLE", "AppendRecord", "Effect", "EraseRecords", "RectifyRecords", "RestrictRecords"]


@dataclass(frozen=True, slots=True)
class AppendRecord:
    """The effect that makes a record durable before its choice is acknowledged."""

    record: ConsentRecord
    notice: NoticeText
    declaration: Declaration


@dataclass(frozen=True, slots=True)
class EraseRecords:
    """The effect that blanks everything a person's records say (GDPR article 17); the chain stays verifiable.

    Attributes:
        by: ``visitor`` or ``owner``.
    """

    person: Person
    by: str


@dataclass(frozen=True, slots=True)
class RestrictRecords:
    """The effect that puts a person's records aside, or lets them be used again (GDPR article 18)."""

    person: Person
    on: bool = True


@dataclass(frozen=True, slots=True)
class RectifyRecords:
    """The effect that puts right what the site got wrong about a person (GDPR article 16).

    What the visitor said is no matter of rectification: a new choice is.

    Attributes:
        changes: New values of ``subject_id``, ``jurisdiction`` or ``language``; the original stays in the chain.
    """

    person: Person
    changes: Mapping[str, str]


RECTIFIABLE = frozenset({"subject_id", "jurisdiction", "language"})

Effect = AppendRecord | EraseRecords | RestrictRecords | RectifyRecords
