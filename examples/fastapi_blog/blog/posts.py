"""What is in the blog, and what readers say; kept until the process ends."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

__all__ = ["COMMENTS", "PAGE", "POSTS", "Comment", "Post"]

PAGE = 3  # posts at a time


@dataclass(frozen=True, slots=True)
class Post:
    """A post.

    Attributes:
        readers: How many have read it, as statistics say.
    """

    slug: str
    title: str
    date: str
    readers: int
    lead: str
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """What a reader says."""

    name: str
    text: str


_LATER = "Write the time on the lid of the jar. The kitchen is colder than you think, and the dough keeps no appointments."
POSTS = {
    post.slug: post
    for post in (
        Post("rye", "Rye does not rise, it settles", "2026-03-14", 310, "Why a good rye loaf is a flat one.", (
            "Rye has little gluten and much patience. It holds its gas in a paste, not in a net, so it never domes.",
            "Bake it hot, then long, then leave it alone until tomorrow. Cut on the first day it sticks to the knife.",
        )),
        Post("starter", "Seven days to a starter", "2026-02-20", 920, "Flour, water, and a place by the stove.", (
            "Stir equal parts of flour and water, and once a day throw half away and feed the rest.",
            "On the fourth day it seems dead. It is not. On the seventh it doubles before supper.", _LATER,
        )),
        Post("water", "How wet is too wet", "2026-01-28", 150, "Eighty per cent, and why your hands lie.", (
            "A wet dough opens a wide crumb, and sticks to everything on the way there. Wet your hands, not the board.",
            _LATER,
        )),
        Post("oven", "A pot inside an oven", "2025-12-09", 480, "Steam is what makes a crust.", (
            "A heavy pot with a lid keeps the loaf's own steam. Twenty minutes closed, twenty-five open.", _LATER,
        )),
        Post("salt", "Two grams in a hundred", "2025-11-02", 210, "Salt slows, tightens and tells.", (
            "Without salt a dough runs away with itself. With two per cent it waits for you.", _LATER,
        )),
        Post("crumb", "Reading a crumb", "2025-10-11", 640, "What the holes say about yesterday.", (
            "Big holes under the crust and none below: too little time. Even and small: a good sandwich.", _LATER,
        )),
    )
}  # fmt: skip
COMMENTS: defaultdict[str, list[Comment]] = defaultdict(list)
