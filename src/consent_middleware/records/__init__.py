"""Records: the proof of every choice."""

from consent_middleware.records.background import Background
from consent_middleware.records.declarations import Changes, Declarations, declare
from consent_middleware.records.effects import (
    AppendRecord,
    Effect,
    EraseRecords,
    RectifyRecords,
    RestrictRecords,
)
from consent_middleware.records.journal import Journal
from consent_middleware.records.model import (
    NO_SOURCE,
    ConsentRecord,
    Declaration,
    NoticeText,
    Person,
    Source,
    build_record,
    recorded_choice,
)
from consent_middleware.records.outbox import Outbox
from consent_middleware.records.source import Sources
from consent_middleware.records.store import NullStore, SqlStore, resolve_url, why_unwritable

__all__ = [
    "NO_SOURCE",
    "AppendRecord",
    "Background",
    "Changes",
    "ConsentRecord",
    "Declaration",
    "Declarations",
    "Effect",
    "EraseRecords",
    "Journal",
    "NoticeText",
    "NullStore",
    "Outbox",
    "Person",
    "RectifyRecords",
    "RestrictRecords",
    "Source",
    "Sources",
    "SqlStore",
    "build_record",
    "declare",
    "recorded_choice",
    "resolve_url",
    "why_unwritable",
]
