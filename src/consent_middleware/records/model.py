"""A consent record: what proves a choice. Fields after ISO/IEC TS 27560 (CONFORMANCE REC-1).

Time and subject come from the server, never from the client; no address and no user agent is kept (REC-2).
Effects are data: endpoints return them, the adapters run them.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consent_middleware.policy import Choice
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from consent_middleware.catalog import Catalog
    from consent_middleware.policy import Circumstances

__all__ = ["SCHEMA_VERSION", "AppendRecord", "ConsentRecord", "NoticeText", "build_record", "recorded_choice"]

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class NoticeText:
    """What the visitor was shown, kept once by its hash (EU-5)."""

    sha256: str
    language: str
    text: str

    @classmethod
    def of(cls, text: str, language: str) -> NoticeText:
        """Return the notice for a rendered text."""
        return cls(hashlib.sha256(text.encode()).hexdigest(), language, text)


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One change of one visitor's consent.

    Attributes:
        record_id: Unique; a replay of the same record writes nothing.
        principal_id: A random pseudonym, None where nothing was ever granted.
        subject_id: The account, as the site names it; None for a visitor who is not logged in.
        time: RFC 3339, UTC; the hour where the record names no principal.
        state: ``given``, ``refused``, ``custom`` or ``withdrawn``.
        method: ``banner.accept_all``, ``banner.reject_all``, ``prefs``, ``opt_out``, ``api``, ``signal:gpc``,
            ``signal:dnt`` or ``lapsed`` (an answer that ended or cannot be read, where silence would allow).
        jurisdiction: Where the visitor was, as ISO 3166 says it; empty where unknown.
        conflict_notice_shown: A yes was given while a signal said no, beside the words that say so (CA-2).
        purposes: Per service or category: id, category, recipients, retention, state.
    """

    schema_version: str
    record_id: str
    principal_id: str | None
    subject_id: str | None
    time: str
    valid_until: str
    state: str
    method: str
    regime: str
    jurisdiction: str
    language: str
    policy_fingerprint: str
    notice_sha256: str
    controller: dict[str, str]
    signals: dict[str, bool]
    conflict_notice_shown: bool
    purposes: tuple[dict[str, Any], ...]

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ConsentRecord:
        """Return the record that `to_dict` gave; one of an earlier version lacks what came later.

        Raises:
            KeyError, TypeError: It is no record.
        """
        later = {"subject_id": None, "jurisdiction": "", "conflict_notice_shown": False}
        return cls(**{**later, **fields, "purposes": tuple(fields["purposes"])})

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data, fit for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AppendRecord:
    """The effect that makes a record durable before its choice is acknowledged."""

    record: ConsentRecord
    notice: NoticeText


def build_record(
    catalog: Catalog,
    choice: Choice,
    *,
    principal: str | None,
    withdrawn: bool,
    method: str,
    circumstances: Circumstances,
    conflict_notice_shown: bool,
    controller: dict[str, str],
    notice: NoticeText,
    now: float,
    valid_until: float,
    new_id: Callable[[], str],
) -> ConsentRecord:
    """Return the record of a choice.

    Args:
        principal: Whose it is; None where nothing was ever granted, and then only the hour is kept.
        withdrawn: Whether an earlier grant was taken back.
        circumstances: Under which law, and where, it was made.
        conflict_notice_shown: A yes was given beside the words that a signal says no.
        now: Seconds since the epoch.
        valid_until: Seconds since the epoch.
        new_id: Makes the record's id.
    """
    at = now if principal else int(now) // 3600 * 3600
    state = "withdrawn" if withdrawn and not choice.granted else "refused" if not choice.granted else "given"
    if choice.granted and choice.refused:
        state = "custom"
    return ConsentRecord(
        schema_version=SCHEMA_VERSION,
        record_id=new_id(),
        principal_id=principal,
        subject_id=circumstances.subject or None,
        time=_rfc3339(at),
        valid_until=_rfc3339(valid_until),
        state=state,
        method=method,
        regime=circumstances.regime.value,
        jurisdiction=circumstances.region,
        language=notice.language,
        policy_fingerprint=catalog.fingerprint,
        notice_sha256=notice.sha256,
        controller=controller,
        signals={"gpc": choice.signals.gpc, "dnt": choice.signals.dnt},
        conflict_notice_shown=conflict_notice_shown,
        purposes=tuple(
            _purpose(catalog, unit, choice)
            for unit in catalog.units
            if unit in choice.granted or unit in choice.refused
        ),
    )


def recorded_choice(catalog: Catalog, record: ConsentRecord) -> Choice:
    """Return the answer that a record proves, in the units of today's catalogue.

    Under another declaration grants fall and refusals stand (EU-6): a category that was refused as a whole stays so
    for services that came later.
    """
    states = {purpose["id"]: purpose["state"] for purpose in record.purposes}
    mixed = {purpose["category"] for purpose in record.purposes if purpose["state"] == "given"}
    stale = record.policy_fingerprint != catalog.fingerprint

    def is_refused(unit: str) -> bool:
        service = catalog.services.get(unit)
        if unit in states or service is None:
            return states.get(unit) == "refused"
        return states.get(service.category) == "refused" and service.category not in mixed

    return Choice(
        granted=frozenset() if stale else frozenset(u for u in catalog.units if states.get(u) == "given"),
        refused=frozenset(filter(is_refused, catalog.units)),
        at=int(datetime.fromisoformat(record.time).timestamp()),
        signals=Signals(**record.signals),
        principal=record.principal_id,
        stale=stale,
        by_signal=record.method.startswith("signal:"),
    )


def _purpose(catalog: Catalog, unit: str, choice: Choice) -> dict[str, Any]:
    service = catalog.services.get(unit)
    return {
        "id": unit,
        "category": service.category if service else unit,
        "recipients": [service.provider] if service and service.provider else [],
        "retention": sorted({cookie.retention for cookie in service.cookies}) if service else [],
        "state": "given" if unit in choice.granted else "refused",
    }


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")
