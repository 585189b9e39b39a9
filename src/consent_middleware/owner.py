"""A site's records, for its owner and its jobs: outside any request, on the command line, behind an admin page.

Reads and writes through the same store and chain as the middleware. Every call blocks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import ConsentError
from consent_middleware.policy import Circumstances
from consent_middleware.records import (
    ConsentRecord,
    EraseRecords,
    Journal,
    NullStore,
    Person,
    RectifyRecords,
    RestrictRecords,
    recorded_choice,
)
from consent_middleware.records.receipts import build_receipt, history
from consent_middleware.regions import Regime
from consent_middleware.site import Site
from consent_middleware.snapshot import Snapshot
from consent_middleware.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from consent_middleware.records import SqlStore
    from consent_middleware.records.chain import Head
    from consent_middleware.records.retention import Purged
    from consent_middleware.records.statistics import Statistics
    from consent_middleware.records.verification import Report
    from consent_middleware.site import ConfigSource

__all__ = ["NoRecordsError", "Records"]


class NoRecordsError(ConsentError):
    """The site keeps no records: ``records.url`` is ``"none"``."""


class Records:
    """The consent records of one site.

    Args:
        site: The compiled site, e.g. ``middleware.site``.

    Raises:
        NoRecordsError: The site keeps none.
    """

    def __init__(self, site: Site) -> None:
        if isinstance(site.store, NullStore):
            raise NoRecordsError('[records] url is "none": this site keeps no records.')
        self._site = site
        self._journal = site.store if isinstance(site.store, Journal) else None
        self._store: SqlStore = site.store.store if isinstance(site.store, Journal) else site.store

    @classmethod
    def open(cls, config: ConfigSource = None, secret_key: str | Iterable[str] | None = None) -> Records:
        """Return the records of a declaration, for a job or a script.

        Args:
            config: A path, a dict, a `ConsentConfig`, or None for the default places.
            secret_key: One key or several: the last signs, all verify; None: ``CONSENT_SECRET_KEY``.

        Raises:
            ConfigError: The declaration or the keys cannot be used.
            NoRecordsError: The site keeps no records.
        """
        return cls(Site(config, secret_key))

    def close(self) -> None:
        """Let go of the database."""
        self._store.close()

    # -- one person

    def latest_choice(self, subject: str) -> Snapshot | None:
        """Return what an account allows now; None where it never answered, or its records are put aside.

        Raises:
            StoreError: The store cannot be read.
        """
        record = self._store.latest(subject)
        if record is None:
            return None
        site = self._site
        choice = recorded_choice(site.catalog, record)
        who = Circumstances(Regime(record.regime), record.jurisdiction, known=True, subject=subject)
        visitor = site.visitors.with_choice(choice, choice.signals, site.clock(), who)
        return Snapshot.of(visitor, site.catalog)

    def history(self, *persons: Person, restricted: bool = True) -> dict[str, Any]:
        """Return everything about some persons, as ``records.json`` gives it (docs/receipts.md).

        Args:
            persons: Whose records; of several the histories are put together.
            restricted: Whether records that are put aside come too.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading() as connection:
            return reading.history(connection, persons, restricted=restricted)

    def erase(self, person: Person) -> int:
        """Blank everything a person's records say; return how many there were. The chain stays verifiable.

        Raises:
            StoreError: Nothing was erased.
        """
        return self._do(EraseRecords(person, "owner"))

    def restrict(self, person: Person, *, on: bool = True) -> int:
        """Put a person's records aside, or let them be used again; return how many there were.

        Raises:
            StoreError: Nothing was changed.
        """
        return self._do(RestrictRecords(person, on))

    def rectify(self, person: Person, changes: Mapping[str, str]) -> int:
        """Put right what the site got wrong about a person; return how many records it concerns.

        Args:
            person: Whose.
            changes: New values of ``subject_id``, ``jurisdiction`` or ``language``.

        Raises:
            StoreError: Nothing was changed.
        """
        return self._do(RectifyRecords(person, changes))

    def _do(self, effect: EraseRecords | RestrictRecords | RectifyRecords) -> int:
        self.replay()  # what still waits is theirs too
        return self._store.append([effect])[0]

    # -- all of them

    def receipts(
        self, *, person: Person | None = None, since: str = "", until: str = "", restricted: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield receipts, oldest first, as they are fetched: ten million need little memory.

        Args:
            person: Whose; None for everybody's.
            since: From that moment on, RFC 3339 or the beginning of it (``2026-11``).
            until: Before that moment.
            restricted: Whether records that are put aside come too.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading(patient=True) as connection:
            yield from reading.receipts(
                connection, person=person, since=since, until=until, restricted=restricted
            )

    def notice(self, sha256: str) -> str | None:
        """Return what was shown, by its hash; None where it was never shown.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading() as connection:
            found = reading.notice(connection, sha256)
        return found[1] if found else None

    def record(self, record_id: str) -> ConsentRecord | None:
        """Return one record by its id.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading() as connection:
            found = reading.record(connection, record_id)
        return ConsentRecord.from_dict(found) if found else None

    def entry(self, record_id: str) -> dict[str, Any]:
        """Return one record in the shape of ``records.json``; without receipts where there is none, or it is erased.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading() as connection:
            fields = reading.record(connection, record_id)
            if fields is None:
                return history((), {})
            sha256, declared = fields["notice_sha256"], fields.get("policy_sha256")
            persons = ConsentRecord.from_dict(fields).persons
            # Of a person the history knows the record before it.
            whole = reading.history(connection, persons)["receipts"]
            own = [receipt for receipt in whole if receipt["record_id"] == record_id]
            shown = reading.notice(connection, sha256)
            return history(
                own
                or [build_receipt(fields, reading.declaration(connection, declared) if declared else None)],
                {sha256: {"language": shown[0], "text": shown[1]}} if shown else {},
            )

    def statistics(self, *, since: str = "", until: str = "") -> Statistics:
        """Return how visitors answered.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records.counting import statistics  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading(patient=True) as connection:
            return statistics(connection, since=since, until=until)

    def dashboard(self, *, since: str = "", until: str = "") -> str:
        """Return the statistics as an HTML page, for a route behind the site's own guard.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records.dashboard import render_dashboard  # noqa: PLC0415 - seldom asked for

        catalog, views = self._site.catalog, Views(self._site.config)
        names = {id_: views.title(id_, "en") for id_ in catalog.categories}
        names |= {service.id: service.name for service in catalog.services.values()}
        found = self.statistics(since=since, until=until)
        return render_dashboard(self._site.config.site.name, found, names=names)

    def verify(
        self,
        *,
        witness: Mapping[str, Head] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Report:
        """Return what was changed, dropped, moved, cut or forged among the records.

        Args:
            witness: Heads of an earlier verification.
            progress: Told each time how many records more were read.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records.verification import verify  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading(patient=True) as connection:
            return verify(connection, self._store.seal, witness=witness, progress=progress)

    def count(self) -> int:
        """Return how many rows the store has, for a progress bar.

        Raises:
            StoreError: The store cannot be read.
        """
        from consent_middleware.records import reading  # noqa: PLC0415 - loads SQLAlchemy

        with self._store.reading(patient=True) as connection:
            return reading.count(connection)

    def cutoff(self) -> str:
        """Return the moment before which records are older than ``[records] retention``."""
        from consent_middleware.records import retention  # noqa: PLC0415 - loads SQLAlchemy

        return retention.cutoff(time.time(), self._site.config.records.retention)

    def purge(
        self, before: str = "", *, dry: bool = False, progress: Callable[[int], object] | None = None
    ) -> Purged:
        """Remove what is older than ``[records] retention``, in batches.

        Args:
            before: Another moment, as records tell time.
            dry: Only say how many records are too old.
            progress: Told each time how many more are gone.

        Raises:
            StoreError: The store is away; what is gone is gone, the next time goes on from there.
        """
        from consent_middleware.records import retention  # noqa: PLC0415 - loads SQLAlchemy

        before = before or retention.cutoff(time.time(), self._site.config.records.retention)
        if dry:
            with self._store.reading(patient=True) as connection:
                return retention.Purged(retention.due(connection, before), 0)
        return retention.purge(self._store, before, progress)

    def waiting(self) -> int:
        """Return how many choices wait in the journal."""
        return self._journal.waiting() if self._journal else 0

    def replay(self, progress: Callable[[int], object] | None = None) -> int:
        """Put what waits in the journal into the store; return how many choices there were.

        Raises:
            StoreError: The store is away; nothing is lost.
        """
        return self._journal.replay(progress=progress) if self._journal else 0
