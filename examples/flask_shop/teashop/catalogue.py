"""What the shop sells."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TEAS", "Tea", "price"]


@dataclass(frozen=True, slots=True)
class Tea:
    """A tea.

    Attributes:
        cents: The price of 100 g.
        colour: In the cup.
    """

    slug: str
    name: str
    origin: str
    cents: int
    colour: str
    minutes: int
    celsius: int
    text: str


def price(cents: int) -> str:
    """Return a price in words."""
    return f"€{cents / 100:.2f}"


TEAS = {
    tea.slug: tea
    for tea in (
        Tea(
            "sencha", "Sencha", "Kyushu", 1250, "#c3c96a", 2, 70, "Grass after rain, and a little of the sea."
        ),
        Tea(
            "oolong",
            "Spring oolong",
            "Nantou",
            1890,
            "#d9a441",
            4,
            90,
            "Five infusions, each another flower.",
        ),
        Tea("assam", "Second flush", "Assam", 980, "#a3481f", 4, 95, "Malt and honey. Does not mind milk."),
        Tea(
            "rooibos",
            "Rooibos",
            "Cederberg",
            760,
            "#b5502b",
            6,
            100,
            "Without caffeine, for the end of the day.",
        ),
        Tea("mint", "Garden mint", "Provence", 640, "#b9c98d", 7, 100, "Only leaves, dried in the shade."),
        Tea("smoke", "Pine smoke", "Wuyi", 1420, "#7d3a1c", 3, 95, "A fire somewhere behind the house."),
    )
}
