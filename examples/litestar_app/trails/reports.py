"""The trails, and how they are today."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["TRAILS", "Level", "Trail"]


class Level(StrEnum):
    """How hard a trail is."""

    EASY = "easy"
    STEADY = "steady"
    STEEP = "steep"


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail.

    Attributes:
        heights_m: Above the sea, at even steps along it.
    """

    slug: str
    name: str
    level: Level
    length_km: float
    report: str
    heights_m: tuple[int, ...]
    is_open: bool

    @property
    def ascent_m(self) -> int:
        """How much it climbs."""
        return sum(
            max(after - before, 0) for before, after in zip(self.heights_m, self.heights_m[1:], strict=False)
        )

    @property
    def profile(self) -> str:
        """Its heights as the points of a drawing, 300 wide and 80 high."""
        low, high = min(self.heights_m), max(self.heights_m)
        step = 300 / (len(self.heights_m) - 1)
        scale = 64 / max(high - low, 150)
        return " ".join(f"{i * step:.0f},{76 - (h - low) * scale:.0f}" for i, h in enumerate(self.heights_m))


TRAILS = {
    trail.slug: trail
    for trail in (
        Trail("lake", "Round the lake", Level.EASY, 7.4, "Dry all the way. The south bank is shady.", (410, 415, 430, 418, 412, 425, 411), is_open=True),
        Trail("mill", "Three mills", Level.EASY, 11.2, "Mud behind the second mill; boots help.", (380, 402, 455, 470, 432, 440, 395), is_open=True),
        Trail("saddle", "Over the saddle", Level.STEADY, 14.8, "Snow in the shade above 1600 m.", (720, 980, 1240, 1520, 1690, 1330, 910), is_open=True),
        Trail("gorge", "The gorge", Level.STEADY, 9.1, "Closed: the third bridge is being built anew.", (540, 560, 640, 760, 830, 910, 960), is_open=False),
        Trail("needle", "Up the needle", Level.STEEP, 12.6, "Wind in the afternoon. Start early.", (890, 1150, 1490, 1820, 2210, 2480, 2670), is_open=True),
    )
}  # fmt: skip
