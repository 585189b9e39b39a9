"""How a language writes dates, lists, lengths of time and countries, as the Unicode CLDR has it (texts/cldr).

Fills in only: what CLDR says is chosen and shaped by tools/cldr_data.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from gettext import c2py
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["country", "digits", "direction", "format_date", "format_moment", "list_of", "sentences", "units"]

_FOLDER = files("consent_middleware.texts")
# What CLDR says of sounds beside its data: "e" for "y" before that sound, a hyphen before what is not Hebrew.
_BEFORE = {
    "es": (re.compile(r"[ií]|h[ií](?![ae])", re.IGNORECASE), " y ", " e "),
    "he": (re.compile(r"[^\u0590-\u05ff]"), " ו", " ו-"),  # noqa: RUF001 - is what it looks like
}
# Written without a space between sentences.
_UNSPACED = frozenset({"ja", "zh-Hans", "zh-Hant"})


@dataclass(frozen=True, slots=True)
class _Locale:
    data: Mapping[str, Any]
    form: Callable[[int], int]  # which number takes which form
    digits: Mapping[int, str]


@cache
def _locale(language: str) -> _Locale:
    data = json.loads(_FOLDER.joinpath("cldr", f"{language}.json").read_text("utf-8"))
    own = dict(zip(map(ord, "0123456789"), data["digits"], strict=False))
    return _Locale(data, c2py(data["plural"]), own)


def direction(language: str) -> str:
    """Return ``rtl`` for a language that is written from right to left, else ``ltr``."""
    return str(_locale(language).data["direction"])


def country(language: str, code: str) -> str:
    """Return what a country is called, as it stands alone; the code itself where it is none of ISO 3166-1."""
    return str(_locale(language).data["countries"].get(code, code))


def digits(language: str, number: object) -> str:
    """Return a number in the language's digits."""
    return str(number).translate(_locale(language).digits)


def format_date(language: str, day: date | str) -> str:
    """Return a day as it is written: ``2026-11-23`` is "23 Nov 2026". What is no date is returned as it is."""
    try:
        when = day if isinstance(day, date) else date.fromisoformat(day[:10])
    except ValueError:
        return str(day)
    data = _locale(language).data
    months = data["months"]
    month = months[when.month - 1] if months else ""
    numbers = {"d": when.day, "M": when.month, "y": when.year}
    padded = {2 * letter: f"{number:02}" for letter, number in numbers.items()}
    return digits(language, data["date"].format(**numbers, **padded, MMM=month, MMMM=month))


def format_moment(language: str, moment: str) -> str:
    """Return a moment in UTC as it is written: ``2026-11-23T09:30:00Z`` is "23 Nov 2026, 09:30 UTC"."""
    time = digits(language, f"{moment[11:16]} UTC")
    pattern: str = _locale(language).data["moment"]
    return pattern.format(time, format_date(language, moment))


def _joined(language: str, pattern: str, first: str, second: str) -> str:
    """Put two texts into a pattern. What is safe as HTML stays so, and makes the rest safe, too."""
    before, _, rest = pattern.partition("{0}")
    between, _, after = rest.partition("{1}")
    sound, usual, other = _BEFORE.get(language, (None, "", ""))
    if sound and between == usual and sound.match(second):
        between = other
    return before + first + between + second + after


def list_of(language: str, items: Iterable[str], *, style: str = "list") -> str:
    """Return a list as it is written: "a, b and c"; with the style ``list_units`` as lengths of time are."""
    found = list(items)
    if len(found) < 2:
        return found[0] if found else ""
    start, middle, end, pair = _locale(language).data[style]
    if len(found) == 2:
        return _joined(language, pair, *found)
    text = _joined(language, start, found[0], found[1])
    for item in found[2:-1]:
        text = _joined(language, middle, text, item)
    return _joined(language, end, text, found[-1])


def sentences(language: str, *texts: str) -> str:
    """Return sentences one after the other; empty ones fall out. What is safe as HTML makes the rest safe, too."""
    space = "" if language in _UNSPACED else " "
    text, *more = [text for text in texts if text] or [""]
    for one in more:
        text = text + space + one
    return text


def units(language: str, counts: Sequence[tuple[str, int]]) -> str:
    """Return a length of time: ``[("month", 13)]`` is "13 months"."""
    locale = _locale(language)
    words = (
        locale.data["units"][unit][locale.form(count)].format(digits(language, count))
        for unit, count in counts
    )
    return list_of(language, words, style="list_units")
