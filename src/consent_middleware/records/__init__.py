"""Records: the proof of every choice."""

from consent_middleware.records.journal import Journal
from consent_middleware.records.model import AppendRecord, ConsentRecord, NoticeText, build_record
from consent_middleware.records.store import NullStore, SqlStore, resolve_url

__all__ = [
    "AppendRecord",
    "ConsentRecord",
    "Journal",
    "NoticeText",
    "NullStore",
    "SqlStore",
    "build_record",
    "resolve_url",
]
