"""What the Unicode CLDR knows of a language, as the package keeps it: names, lists, dates, lengths of time, plurals.

Babel, a need of development only, brings the data. It decides here what of it is kept and in which shape; the
package itself only fills in.
"""

from __future__ import annotations

import re
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import Any

import babel
from babel import Locale

__all__ = ["RULES", "language_data", "licence", "plural_rule"]

# Which number takes which form, in gettext's words: `rule_fits` finds a language's own by what CLDR says.
RULES = (
    "0",
    "n != 1",
    "n > 1",
    "n==1 ? 0 : n==2 ? 1 : 2",
    "n%10==1 && n%100!=11 ? 0 : 1",
    "n==1 ? 0 : n>=2 && n<=4 ? 1 : 2",
    "n==1 ? 0 : n==0 || n%100>=1 && n%100<=19 ? 1 : 2",
    "n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2",
    "n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2",
    "n%10==1 && n%100!=11 ? 0 : n%10>=2 && (n%100<11 || n%100>19) ? 1 : 2",
    "n%10==0 || n%100>=11 && n%100<=19 ? 0 : n%10==1 && n%100!=11 ? 1 : 2",
    "n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3",
    "n==1 ? 0 : n==2 ? 1 : n>=3 && n<=6 ? 2 : n>=7 && n<=10 ? 3 : 4",
    "n==1 ? 0 : n==2 ? 1 : n==0 || n%100>=3 && n%100<=10 ? 2 : n%100>=11 && n%100<=19 ? 3 : 4",
    "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n==3 ? 3 : n==6 ? 4 : 5",
    "n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5",
)
_ORDER = ("zero", "one", "two", "few", "many", "other")
# Cookies, partners, days: nobody counts millions, for which some languages have a form.
_COUNTED = range(1_000)
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")
_DATE = re.compile(r"'([^']*)'|(d+|M+|y+)|([^'dMy]+)")
# Two letters in CLDR, but no country of ISO 3166-1.
_NO_COUNTRIES = frozenset({
    "AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ",
})  # fmt: skip


def locale_of(language: str) -> Locale:
    """Return where CLDR keeps a language: its ``pt`` is Brazil's, its ``en`` the United States'."""
    return Locale.parse({"pt": "pt_PT", "en": "en_001"}.get(language, language.replace("-", "_")))


@cache
def _said(language: str) -> tuple[str, ...]:
    """Return which form each number takes, as CLDR says."""
    form = locale_of(language).plural_form
    return tuple(form(n) for n in _COUNTED)


def plural_categories(language: str) -> list[str]:
    """Return the plural forms that whole numbers take, in the order of CLDR."""
    return [name for name in _ORDER if name in _said(language)]


def rule_fits(rule: str, language: str) -> bool:
    """Tell whether a rule chooses the forms of a language as CLDR does."""
    names, choose = dict(enumerate(plural_categories(language))), c2py(rule)
    return all(names.get(choose(n)) == said for n, said in zip(_COUNTED, _said(language), strict=True))


@cache
def plural_rule(language: str) -> tuple[int, str]:
    """Return how many forms a language has, and which number takes which, in gettext's words.

    Raises:
        LookupError: No rule is like CLDR's.
    """
    for rule in RULES:
        if rule_fits(rule, language):
            return len(plural_categories(language)), rule
    raise LookupError(f"RULES in tools/cldr_data.py hold none for {language!r}: add one, in gettext's words.")


def _date_format(pattern: str) -> str:
    """Return CLDR's pattern for a date as a format: ``d. MMM y`` is ``{d}. {MMM} {y}``."""
    parts = []
    for quoted, field, literal in _DATE.findall(pattern):
        parts.append(f"{{{field}}}" if field else quoted or literal or "'")
    return "".join(parts)


def _months(locale: Locale, pattern: str) -> list[str]:
    """Return the months' names, where a date is written with them."""
    letters = max(pattern.split("'")[::2], key=lambda part: part.count("M")).count("M")
    if letters < 3:
        return []
    names = locale.months["format"]["wide" if letters > 3 else "abbreviated"]
    return [names[month] for month in range(1, 13)]


def _units(locale: Locale, categories: list[str]) -> dict[str, list[str]]:
    """Return the words for each unit of time, a form of the plural each."""
    found = {}
    for unit in _UNITS:
        lengths = locale._data["unit_patterns"][f"duration-{unit}"]  # noqa: SLF001 - Babel shows no other way
        # CLDR leaves out of the long form what is as in the short one.
        forms = {**lengths["short"], **lengths.get("long", {})}
        found[unit] = [forms.get(name, forms["other"]) for name in categories]
    return found


def _pieces(locale: Locale, style: str) -> list[str]:
    """Return how a list is written; parts that CLDR leaves out of a style are those of the standard one."""
    patterns = {**locale.list_patterns["standard"], **locale.list_patterns.get(style, {})}
    return [patterns[part] for part in ("start", "middle", "end", "2")]


def _digits(locale: Locale) -> str:
    """Return a language's own digits, or nothing where they are the usual ones."""
    system = locale.default_numbering_system
    return "" if system == "latn" else {"arabext": "۰۱۲۳۴۵۶۷۸۹"}[system]


def language_data(language: str) -> dict[str, Any]:
    """Return what the package keeps of a language."""
    locale = locale_of(language)
    pattern = locale.date_formats["medium"].pattern
    countries = {
        code: name
        for code, name in sorted(locale.territories.items())
        if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }
    return {
        "direction": locale.text_direction,
        "plural": plural_rule(language)[1],
        "digits": _digits(locale),
        "list": _pieces(locale, "standard"),
        "list_units": _pieces(locale, "unit"),
        "date": _date_format(pattern),
        "months": _months(locale, pattern),
        "moment": str(locale.datetime_formats["medium"]),
        "units": _units(locale, plural_categories(language)),
        "countries": countries,
    }


def licence() -> bytes:
    """Return the notice that goes with the data wherever they go."""
    return (Path(babel.__file__).parent / "locale-data" / "LICENSE.unicode").read_bytes()
