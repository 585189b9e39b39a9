"""A consent record: what proves a choice. Fields after ISO/IEC TS 27560 (CONFORMANCE REC-1).

A record is small: what a purpose means, who answers for it and who receives what stands in the declaration, and what
was shown in the notice; both are kept once, under their hash. `receipts` puts the three together again.

Time and subject come from the server, never from the client; no address, user agent or page is kept unless the site
asks for it (REC-2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from consent_middleware.policy import Choice
from consent_middleware.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consent_middleware.catalog import Catalog
    from consent_middleware.policy import Circumstances

__all__ = [
    "NO_SOURCE",
    "SCHEMA_VERSION",
    "ConsentRecord",
    "Declaration",
    "NoticeText",
    "Person",
    "Source",
    "build_record",
    "recorded_choice",
    "rfc3339",
]

SCHEMA_VERSION = "2"


@dataclass(frozen=True, slots=True)
class NoticeText:
    """What the visitor was shown, kept once by its hash (EU-5)."""

    sha256: str
    language: str
    text: str

    @classmethod
    def of(cls, text: str, language: str) -> Self:
        """Return the notice for a rendered text."""
        return cls(hashlib.sha256(text.encode()).hexdigest(), language, text)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the site declared when somebody answered, kept once by its hash.

    Attributes:
        sha256: Of `text`.
        fingerprint: `Catalog.fingerprint`: several wordings may have the same one.
        text: JSON; its shape is that of `declarations.declare`.
    """

    sha256: str
    fingerprint: str
    text: str

    @classmethod
    def of(cls, text: str, fingerprint: str) -> Self:
        """Return the declaration for its JSON."""
        return cls(hashlib.sha256(text.encode()).hexdigest(), fingerprint, text)


@dataclass(frozen=True, slots=True)
class Source:
    """From where an answer came, as far as the site keeps it: shortened or hashed already."""

    ip: str = ""
    user_agent: str = ""
    page: str = ""


NO_SOURCE = Source()


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One change of one visitor's consent.

    Attributes:
        record_id: Unique; a replay of the same record writes nothing.
        principal_id: A random pseudonym, None where nothing was ever granted.
        subject_id: The account, as the site names it; None for a visitor who is not logged in.
        time: RFC 3339, UTC; the hour where the record names nobody.
        state: ``given``, ``refused``, ``custom`` or ``withdrawn``.
        method: ``banner.accept_all``, ``banner.reject_all``, ``prefs``, ``opt_out``, ``api``, ``signal:gpc``,
            ``signal:dnt``, ``erase`` or ``lapsed`` (an answer that ended or cannot be read, where silence would allow).
        jurisdiction: Where the visitor was, as ISO 3166 says it; empty where unknown.
        policy_fingerprint: Of what was declared; changes with the processing only.
        policy_sha256: Of the `Declaration` itself.
        conflict_notice_shown: A yes was given while a signal said no, beside the words that say so (CA-2).
        purposes: Per service or category: id, category, and state: ``given``, ``refused`` or ``withdrawn``.
        ip, user_agent, page: From where it came, as `[records]` says; empty unless set.
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
    policy_sha256: str
    notice_sha256: str
    signals: dict[str, bool]
    conflict_notice_shown: bool
    purposes: tuple[dict[str, Any], ...]
    ip: str = ""
    user_agent: str = ""
    page: str = ""

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """Return the record that `to_dict` gave; one of an earlier version lacks what came later.

        Raises:
            KeyError, TypeError: It is no record.
        """
        later = {"subject_id": None, "jurisdiction": "", "conflict_notice_shown": False, "policy_sha256": ""}
        kept = {name: given[name] for name in given if name in _FIELDS}
        return cls(**{**later, **kept, "purposes": tuple(given["purposes"])})

    @property
    def persons(self) -> tuple[Person, ...]:
        """Whose it is: a pseudonym, an account, both or nobody."""
        principal = (Person(principal=self.principal_id),) if self.principal_id else ()
        return (*principal, Person(subject=self.subject_id)) if self.subject_id else principal

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data, fit for JSON; what is not kept is left out."""
        return {
            name: value for name in _FIELDS if (value := getattr(self, name)) != "" or name not in _OPTIONAL
        }


_FIELDS = tuple(field.name for field in fields(ConsentRecord))
_OPTIONAL = frozenset({"ip", "user_agent", "page"})


@dataclass(frozen=True, slots=True)
class Person:
    """Whose records: those of a pseudonym, or of an account. Exactly one of the two is given."""

    principal: str | None = None
    subject: str | None = None

    def __post_init__(self) -> None:
        if bool(self.principal) == bool(self.subject):
            raise ValueError("a person is given by a principal or by a subject")

    @property
    def label(self) -> str:
        """The person as one text, e.g. to be hashed."""
        return f"principal:{self.principal}" if self.principal else f"subject:{self.subject}"


def build_record(
    catalog: Catalog,
    choice: Choice,
    *,
    principal: str | None,
    before: frozenset[str],
    method: str,
    circumstances: Circumstances,
    notice: NoticeText,
    declaration: Declaration,
    now: float,
    valid_until: float,
    new_id: Callable[[], str],
    source: Source = NO_SOURCE,
) -> ConsentRecord:
    """Return the record of a choice.

    Args:
        principal: Whose it is; None where nothing was ever granted, and then only the hour is kept.
        before: The units that were granted until now.
        circumstances: Under which law, and where, it was made.
        now: Seconds since the epoch.
        valid_until: Seconds since the epoch.
        new_id: Makes the record's id.
        source: From where it came, as far as the site keeps it.
    """
    return ConsentRecord(
        schema_version=SCHEMA_VERSION,
        record_id=new_id(),
        principal_id=principal,
        subject_id=circumstances.subject or None,
        time=rfc3339(now if principal or circumstances.subject else int(now) // 3600 * 3600),
        valid_until=rfc3339(valid_until),
        state=_state(choice, withdraws=principal is not None),
        method=method,
        regime=circumstances.regime.value,
        jurisdiction=circumstances.region,
        language=notice.language,
        policy_fingerprint=catalog.fingerprint,
        policy_sha256=declaration.sha256,
        notice_sha256=notice.sha256,
        signals={"gpc": choice.signals.gpc, "dnt": choice.signals.dnt},
        # Whoever grants this while a signal says no has been shown the words beside the switch.
        conflict_notice_shown=bool(choice.signals and choice.granted & catalog.shares),
        purposes=tuple(_purposes(catalog, choice, before)),
        ip=source.ip,
        user_agent=source.user_agent,
        page=source.page,
    )


def _state(choice: Choice, *, withdraws: bool) -> str:
    if choice.granted:
        return "custom" if choice.refused else "given"
    return "withdrawn" if withdraws else "refused"


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
            return states.get(unit) in _NO
        return states.get(service.category) in _NO and service.category not in mixed

    return Choice(
        granted=frozenset() if stale else frozenset(u for u in catalog.units if states.get(u) == "given"),
        refused=frozenset(filter(is_refused, catalog.units)),
        at=int(datetime.fromisoformat(record.time).timestamp()),
        signals=Signals(**record.signals),
        principal=record.principal_id,
        stale=stale,
        by_signal=record.method.startswith("signal:"),
    )


_NO = frozenset({"refused", "withdrawn"})


def _purposes(catalog: Catalog, choice: Choice, before: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield what was answered about each unit that was asked about."""
    for unit in catalog.units:
        if unit in choice.granted or unit in choice.refused:
            service = catalog.services.get(unit)
            no = "withdrawn" if unit in before else "refused"
            yield {
                "id": unit,
                "category": service.category if service else unit,
                "state": "given" if unit in choice.granted else no,
            }


def rfc3339(moment: float) -> str:
    """Return a moment, in seconds since the epoch, as records tell time: ``2026-11-23T09:30:00Z``."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")
