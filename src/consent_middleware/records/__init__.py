"""Records: the proof of every choice."""

from consent_middleware.records.background import Background
from consent_middleware.records.declarations import Changes, Declarations
from consent_middleware.records.journal import Journal
from consent_middleware.records.model import (
    AppendRecord,
    ConsentRecord,
    NoticeText,
    build_record,
    recorded_choice,
)
from consent_middleware.records.outbox import Outbox
from consent_middleware.records.store import NullStore, SqlStore, resolve_url

__all__ = [
    "AppendRecord",
    "Background",
    "Changes",
    "ConsentRecord",
    "Declarations",
    "Journal",
    "NoticeText",
    "NullStore",
    "Outbox",
    "SqlStore",
    "build_record",
    "recorded_choice",
    "resolve_url",
]
