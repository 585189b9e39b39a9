"""The visitor's opt-out preference signals: Global Privacy Control and Do Not Track.

Decides only whether each signal is on (CONFORMANCE GPC-1, GPC-2, DNT-1), never what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NO_SIGNALS", "DntScope", "Signals", "WhenOn", "read_signals"]


class DntScope(StrEnum):
    """What Do Not Track denies: the same as GPC, or everything that is not essential (DNT-4)."""

    TRACKING = "tracking"
    ALL = "all"


class WhenOn(StrEnum):
    """Whether a visitor whose signal is on is still asked."""

    QUIET = "quiet"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Signals:
    """Which signals a request carried, or a stored choice was made under."""

    gpc: bool = False
    dnt: bool = False

    def __bool__(self) -> bool:
        return self.gpc or self.dnt

    def since(self, earlier: Signals) -> Signals:
        """Return the signals that are on now and were off under ``earlier``."""
        return Signals(self.gpc and not earlier.gpc, self.dnt and not earlier.dnt)


NO_SIGNALS = Signals()


def read_signals(gpc: Iterable[bytes], dnt: bytes | None) -> Signals:
    """Read the two request headers.

    Args:
        gpc: Every ``Sec-GPC`` field value; a server may have joined several with commas.
        dnt: The ``DNT`` field value, if any.

    Returns:
        GPC is on if any value is exactly ``1``; DNT if its first character is ``1``.

    Source: W3C Global Privacy Control, section 3.2; W3C Tracking Preference Expression, section 5.2.
    """
    on = any(part.strip(b" \t") == b"1" for value in gpc for part in value.split(b","))
    return Signals(gpc=on, dnt=dnt is not None and dnt[:1] == b"1")
