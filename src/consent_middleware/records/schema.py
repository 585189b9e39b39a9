"""The tables. Imported only when a store is opened, since it imports SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

__all__ = ["metadata", "notices", "records"]

metadata = MetaData()

records = Table(
    "consent_records",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("record_id", String(32), nullable=False, unique=True),
    Column("principal_id", String(32)),
    Column("time", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("method", String(32), nullable=False),
    Column("policy_fingerprint", String(16), nullable=False),
    Column("notice_sha256", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Index("consent_records_principal", "principal_id"),
    Index("consent_records_time", "time"),
)

notices = Table(
    "consent_notices",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("language", String(35), nullable=False),
    Column("text", Text, nullable=False),
)
