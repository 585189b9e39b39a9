"""How much of us a page of the site gets, and what a page of our own shows beside the declaration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Page", "Shape"]


class Shape(StrEnum):
    """How much of us a page gets."""

    ASK = "ask"  # loader, banner and link
    LINK = "link"  # loader and link: the visitor has answered, or is not to be asked
    LOADER = "loader"  # frames, excluded paths, skipped requests: the filter stays, nothing shows


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of ours shows beside the declaration."""

    next: str = "/"
    saved: bool = False
    problem: str = ""
