"""A visitor's consent at one moment: small and picklable, for jobs that run outside a request."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self

from consent_middleware.errors import UnknownIdError

if TYPE_CHECKING:
    from consent_middleware.catalog import Catalog
    from consent_middleware.regions import Regime
    from consent_middleware.signals import Signals
    from consent_middleware.visitor import Visitor

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a visitor allowed when it was taken.

    A job that runs much later should ask `Records.latest_choice` again: consent may have been withdrawn since.

    Attributes:
        granted: The ids of every category and service that may run.
        known: Every id that the site declares; none where no middleware ran, and then no id is unknown.
        answered: Whether the visitor has answered about everything that is asked.
        signals: The opt-out preference signals.
        regime: The law that applies.
        subject: The account, None where nobody is logged in.
        at: When the visitor answered, in seconds since the epoch; 0 without an answer.
        fingerprint: Of what the site declared.
    """

    granted: frozenset[str]
    known: frozenset[str]
    answered: bool
    signals: Signals
    regime: Regime
    subject: str | None
    at: int
    fingerprint: str

    @classmethod
    def of(cls, visitor: Visitor, catalog: Catalog) -> Self:
        """Return a visitor's state as it is now."""
        choice, circumstances = visitor.choice, visitor.circumstances
        return cls(
            granted=visitor.decision.granted,
            known=frozenset((*catalog.categories, *catalog.services)),
            answered=visitor.decision.answered,
            signals=visitor.signals,
            regime=circumstances.regime,
            subject=circumstances.subject or None,
            at=choice.at if choice else 0,
            fingerprint=catalog.fingerprint,
        )

    def allows(self, unit: str) -> bool:
        """Return whether a category or service may run.

        Raises:
            UnknownIdError: The site declares no such id.
        """
        if self.known and unit not in self.known:
            nearest = get_close_matches(unit, self.known, n=1)
            raise UnknownIdError(unit, tuple(sorted(self.known)), nearest[0] if nearest else None)
        return unit in self.granted
