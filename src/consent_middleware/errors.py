"""The errors this package raises, each carrying its evidence.

Bad configuration and late misuse raise; bad input from a visitor never does: it means "no consent".
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "ConsentError",
    "Fault",
    "LateChangeError",
    "StoreError",
    "UnknownIdError",
    "nearest",
]


def nearest(found: object, accepted: Iterable[str]) -> str:
    """Return a hint that names what is nearest to what was found; empty where nothing is near."""
    close = get_close_matches(str(found), list(accepted), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


class ConsentError(Exception):
    """The root of every error raised by this package."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a configuration.

    Attributes:
        path: Where it stands, in TOML notation, e.g. ``services[0].category``.
        problem: What is wrong, and what was found.
        hint: How to mend it; empty when the problem says it all.
    """

    path: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.problem}{' ' + self.hint if self.hint else ''}"


class ConfigError(ConsentError):
    """The configuration cannot be used. Raised at construction, with all faults at once.

    Attributes:
        source: The file or object that was read.
        faults: Every fault found, in the order of the file.
    """

    def __init__(self, source: str, faults: list[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        count = f"{len(self.faults)} fault{'s' if len(self.faults) != 1 else ''}"
        super().__init__(f"{source}: {count} in the consent configuration:{lines}")


class UnknownIdError(ConsentError, LookupError):
    """Code asked for a category or service that is not declared.

    Attributes:
        id: What was asked for.
        known: Every id that would have been understood.
    """

    def __init__(self, id_: str, known: tuple[str, ...], nearest: str | None = None) -> None:
        self.id = id_
        self.known = known
        guess = f" Did you mean {nearest!r}?" if nearest else ""
        super().__init__(
            f"{id_!r} is neither a category nor a service of this site.{guess} Known: {', '.join(known)}."
        )


class LateChangeError(ConsentError, RuntimeError):
    """Consent was changed after the response's headers had left."""


class StoreError(ConsentError):
    """The record store could not make a record durable.

    Attributes:
        is_own: The store is there, but does not take these very records.
    """

    is_own = False
