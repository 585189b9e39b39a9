"""The texts visitors read, how a language writes what is filled in, and how a language is chosen.

Decides which of a site's languages a page or visitor gets; says nothing about layout. Matching is by prefix,
as in RFC 4647 look-up: ``de-AT`` finds ``de``; beside it stand the names that browsers have for the same language.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from consent_middleware.texts.locales import (
    country,
    direction,
    format_date,
    format_moment,
    list_of,
    sentences,
    units,
)
from consent_middleware.texts.messages import Texts, available_languages, load_texts, plural
from consent_middleware.texts.own import OWN_TEXTS, prescribed, read_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "OWN_TEXTS",
    "Texts",
    "available_languages",
    "best_language",
    "country",
    "direction",
    "duration",
    "duration_parts",
    "foreign",
    "format_date",
    "format_moment",
    "list_of",
    "load_texts",
    "localised",
    "plural",
    "preferred_languages",
    "prescribed",
    "read_own",
    "sentences",
]

_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\Z"
)
_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
_MAX_HEADER = 512
# By what other tags a language is offered, the nearest first: regions that tell the script, macrolanguages, old tags.
_ALSO = {
    "zh": ("zh-hans", "zh-hant"),
    "zh-cn": ("zh-hans",),
    "zh-sg": ("zh-hans",),
    "zh-tw": ("zh-hant",),
    "zh-hk": ("zh-hant",),
    "zh-mo": ("zh-hant",),
    "no": ("nb", "nn"),
    "nb": ("no", "nn"),
    "nn": ("no", "nb"),
    "pt": ("pt-br",),
    "sr": ("sr-latn",),
    "sh": ("sr-latn",),
    "he": ("iw",),
    "iw": ("he",),
    "id": ("in",),
    "in": ("id",),
}


def best_language(wanted: Iterable[str], offered: Sequence[str]) -> str | None:
    """Return the first offered language that one of the wanted ones matches, exactly, by prefix or by another name."""
    lowered = {name.lower(): name for name in offered}
    for tag in wanted:
        parts = tag.lower().split("-")
        for length in range(len(parts), 0, -1):
            prefix = "-".join(parts[:length])
            for name in (prefix, *_ALSO.get(prefix, ())):
                if name in lowered:
                    return lowered[name]
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
    return text if isinstance(text, str) else text.get(_given(text, language, fallback), "")


def foreign(text: str | Mapping[str, str], language: str, fallback: str) -> str:
    """Return the language of what `localised` finds where it is not the one wanted, else nothing (WCAG 3.1.2)."""
    found = language if isinstance(text, str) else _given(text, language, fallback)
    return "" if found == language else found


def _given(text: Mapping[str, str], language: str, fallback: str) -> str:
    return next((name for name in (language, fallback, *text) if text.get(name)), language)


def duration_parts(iso: str) -> Mapping[str, int]:
    """Return an ISO 8601 duration by its units, from ``years`` to ``seconds``; nothing but noughts for what is none."""
    match = _DURATION.match(iso)
    counts = match.groups() if match else (None,) * len(_UNITS)
    return {unit: int(count or 0) for unit, count in zip(_UNITS, counts, strict=True)}


def duration(iso: str, language: str | Texts) -> str:
    """Return an ISO 8601 duration in words: ``P13M`` is "13 months"."""
    match = _DURATION.match(iso)
    if match is None:
        return str((load_texts(language) if isinstance(language, str) else language)["session_only"])
    parts = zip(_UNITS, match.groups(), strict=True)
    name = language if isinstance(language, str) else language.language
    return units(name, [(unit.removesuffix("s"), int(count)) for unit, count in parts if count])
