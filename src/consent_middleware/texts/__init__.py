"""The texts visitors read, one TOML file a language, and how a language is chosen.

Decides which of a site's languages a page or visitor gets; says nothing about layout. Matching is by prefix,
as in RFC 4647 look-up: ``de-AT`` finds ``de``.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "available_languages",
    "best_language",
    "duration",
    "duration_parts",
    "load_texts",
    "localised",
    "preferred_languages",
]

_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\Z"
)
_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
_MAX_HEADER = 512


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages the package has texts in, English first."""
    names = sorted(
        e.name.removesuffix(".toml") for e in files(__name__).iterdir() if e.name.endswith(".toml")
    )
    return tuple(sorted(names, key=lambda name: name != "en"))


@cache
def load_texts(language: str) -> Mapping[str, Any]:
    """Return a language's texts by key; English where a text is missing."""
    table = tomllib.loads(files(__name__).joinpath(f"{language}.toml").read_text("utf-8"))
    return MappingProxyType({**load_texts("en"), **table} if language != "en" else table)


def best_language(wanted: Iterable[str], offered: Sequence[str]) -> str | None:
    """Return the first offered language that one of the wanted ones matches, exactly or by prefix."""
    lowered = {name.lower(): name for name in offered}
    for tag in wanted:
        parts = tag.lower().split("-")
        for length in range(len(parts), 0, -1):
            found = lowered.get("-".join(parts[:length]))
            if found:
                return found
    return None


def preferred_languages(accept_language: bytes) -> list[str]:
    """Return the tags of an ``Accept-Language`` header, best first; a broken part counts for nothing."""
    ranked: list[tuple[float, int, str]] = []
    for index, part in enumerate(accept_language[:_MAX_HEADER].decode("latin-1").split(",")):
        tag, _, parameter = part.strip().partition(";")
        key, _, weight = parameter.strip().partition("=")
        try:
            quality = float(weight) if key.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            ranked.append((-quality, index, tag.strip()))
    return [tag for _, _, tag in sorted(ranked)]


def localised(text: str | Mapping[str, str], language: str, fallback: str) -> str:
    """Return a text the site gave in this language, else in its first one, else whichever there is."""
    if isinstance(text, str):
        return text
    return text.get(language) or text.get(fallback) or next(iter(text.values()), "")


def duration_parts(iso: str) -> Mapping[str, int]:
    """Return an ISO 8601 duration by its units, from ``years`` to ``seconds``; nothing but noughts for what is none."""
    match = _DURATION.match(iso)
    counts = match.groups() if match else (None,) * len(_UNITS)
    return {unit: int(count or 0) for unit, count in zip(_UNITS, counts, strict=True)}


def duration(iso: str, texts: Mapping[str, Any]) -> str:
    """Return an ISO 8601 duration in words: ``P13M`` is "13 months"."""
    match = _DURATION.match(iso)
    if match is None:
        return str(texts["session_only"])
    parts = [
        texts[f"{unit}_one" if int(count) == 1 else f"{unit}_many"].format(n=int(count))
        for unit, count in zip(_UNITS, match.groups(), strict=True)
        if count
    ]
    return ", ".join(parts)
