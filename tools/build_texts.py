"""Build what visitors read: catalogues for translators, what is served of them, and CLDR's data (`make texts`).

texts/en.toml is the source. Each run brings texts/po up to date and loses no translation and no comment: what changed
in English is marked fuzzy, what is gone is kept at the file's end. texts/mo holds what is served, texts/cldr what CLDR
says of each language. A language is served from the day its catalogue is complete; from then on it stays, and what it
lacks is English. What would break a page, such as a lost placeholder, is told and not served. `make texts LANGUAGE=sw` begins another. Babel and polib are needs of development only; what is built is committed, and a test compares it.
"""

from __future__ import annotations

import json
import re
import string
import sys
import tomllib
from dataclasses import dataclass
from gettext import c2py
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polib

from tools.cldr_data import language_data, licence, plural_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEXTS = Path(__file__).parents[1] / "src" / "consent_middleware" / "texts"
SOURCE = TEXTS / "en.toml"
_LINE = re.compile(r"\[(?P<table>[\w.]+)\]|(?P<key>\w+)\s*=|#\s?(?P<comment>.*)")
_WIDTH = 100
# What stands on the banner's buttons must fit beside each other.
BUTTONS, BUTTON_LIMIT = frozenset({"reject_all", "accept_all", "choose"}), 28
_FULL_STOPS = (".", "。", "।")
# Written in another script letter by letter: the catalogue is the first one's.
DERIVED = {"sr-Latn": "sr"}
_CYRILLIC = "абвгдђежзијклљмнњопрстћуфхцчџш"
_LATIN = "a b v g d đ e ž z i j k l lj m n nj o p r s t ć u f h c č dž š"


@dataclass(frozen=True, slots=True)
class Text:
    """One message of the source: its key, the English text, that for other numbers, and what translators are told."""

    key: str
    english: str
    many: str
    comment: str


# -- the source


def _comments(source: str) -> dict[str, str]:
    """Return the comments right above each key, or else right above its table."""
    found: dict[str, str] = {}
    table = of_table = ""
    above: list[str] = []
    for line in source.splitlines():
        entry = _LINE.match(line)
        if entry and entry["comment"] is not None:
            above.append(entry["comment"].strip())
            continue
        if entry and entry["table"]:
            table, of_table = f"{entry['table']}.", " ".join(above)
        elif entry and entry["key"]:
            found[table + entry["key"]] = " ".join(above) or of_table
        above = []
    return found


def _flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, str):
            yield path + key, value
        else:
            yield from _flat(value, f"{path}{key}.")


def messages(source: str) -> list[Text]:
    """Return the messages of the source, in its order; ``x_one`` and ``x_many`` are one."""
    texts, comments = dict(_flat(tomllib.loads(source))), _comments(source)
    found = []
    for key, english in texts.items():
        stem, _, number = key.rpartition("_")
        paired = number in {"one", "many"} and {f"{stem}_one", f"{stem}_many"} <= texts.keys()
        if not paired:
            found.append(Text(key, english, "", comments[key]))
        elif number == "one":
            found.append(Text(stem, english, texts[f"{stem}_many"], comments[key]))
    return found


# -- catalogues for translators


def languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(path.stem for path in (TEXTS / "po").glob("*.po"))


def _forms(old: polib.POEntry | None, count: int) -> dict[int, str]:
    """Return the translations of a message that has a plural, as far as there are some."""
    known = old.msgstr_plural if old else {}
    return {form: known.get(form) or (old.msgstr if old and not known else "") for form in range(count)}


def _entry(text: Text, old: polib.POEntry | None, count: int) -> polib.POEntry:
    """Return a message with what is known of its translation; fuzzy where the English text is another by now."""
    entry = polib.POEntry(
        msgctxt=text.key,
        msgid=text.english,
        msgid_plural=text.many,
        comment=text.comment,
        tcomment=old.tcomment if old else "",
        flags=[flag for flag in old.flags if flag != "python-brace-format"] if old else [],
    )
    if text.many:
        entry.msgstr_plural = _forms(old, count)
    elif old:
        entry.msgstr = old.msgstr or old.msgstr_plural.get(count - 1, "")
    if "{" in text.english + text.many:
        entry.flags.append("python-brace-format")
    if old is None or not (entry.msgstr or any(entry.msgstr_plural.values())):
        entry.flags = [flag for flag in entry.flags if flag != "fuzzy"]
        return entry
    if (old.msgid, old.msgid_plural) == (text.english, text.many):
        entry.previous_msgid, entry.previous_msgid_plural = old.previous_msgid, old.previous_msgid_plural
        changed = text.many and {*old.msgstr_plural} != {*range(count)}
    else:
        entry.previous_msgid = old.previous_msgid or old.msgid
        entry.previous_msgid_plural = old.previous_msgid_plural or old.msgid_plural or None
        changed = True
    if changed and "fuzzy" not in entry.flags:
        entry.flags.insert(0, "fuzzy")
    if not entry.fuzzy:
        entry.previous_msgid = entry.previous_msgid_plural = None
    return entry


def updated(texts: list[Text], language: str, old: str) -> polib.POFile:
    """Return a language's catalogue with today's messages and all that was translated.

    Args:
        texts: The messages of the source.
        language: As its file is called, such as ``pt-BR``; nothing for the template of new catalogues.
        old: The catalogue as it is; nothing for a new one.
    """
    before = polib.pofile(old, wrapwidth=_WIDTH) if old else polib.POFile(wrapwidth=_WIDTH)
    known = {entry.msgctxt: entry for entry in before if entry.obsolete}
    known |= {entry.msgctxt: entry for entry in before if not entry.obsolete}
    count, rule = plural_rule(language) if language else (2, "")
    found = polib.POFile(wrapwidth=_WIDTH)
    found.header = before.header or "What visitors read of consent-middleware. Licensed as the package (MIT)."
    found.metadata = before.metadata | {
        "Project-Id-Version": "consent-middleware",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
    }
    if language:
        found.metadata["Language"] = language.replace("-", "_")
        found.metadata["Plural-Forms"] = f"nplurals={count}; plural=({rule});"
    for text in texts:
        found.append(_entry(text, known.pop(text.key, None), count))
    for entry in known.values():
        entry.obsolete = True
        found.append(entry)
    return found


# -- what is wrong with a translation


def _fields(text: str) -> set[str]:
    """Return the names in braces; something no text has where the braces are no pairs."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return {text}


def _fault(entry: polib.POEntry, text: str, free: set[str]) -> str:
    """Return what is wrong with one text, or nothing; what is free to be left out of it may be."""
    wanted, key = _fields(entry.msgid + entry.msgid_plural), entry.msgctxt or ""
    if not wanted - free <= _fields(text) <= wanted:
        return f"must hold {' and '.join(f'{{{name}}}' for name in sorted(wanted)) or 'no braces'}"
    if set(text) & set("<>&") or text != text.strip():
        return "must hold neither < > & nor space around it"
    if key in BUTTONS and len(text) > BUTTON_LIMIT:
        return f"stands on a button: at most {BUTTON_LIMIT} characters, not {len(text)}"
    if key.endswith(".phrase") and text.endswith(_FULL_STOPS):
        return "stands within a sentence: no full stop"
    return ""


def faults(language: str, catalog: polib.POFile) -> list[str]:
    """Return what is wrong with a language's translations, a line each."""
    rule = c2py(plural_rule(language)[1])
    numbers = [rule(n) for n in range(1_000)]
    found = []
    for entry in catalog.translated_entries():
        for form, text in (entry.msgstr_plural or {0: entry.msgstr}).items():
            # A form for a single number may say it in words.
            free = {"n"} if entry.msgid_plural and numbers.count(form) == 1 else set()
            fault = _fault(entry, text, free)
            found += [f"{language}: {entry.msgctxt} {fault}: {text!r}"] if fault else []
    return found


# -- what is built


def _latin(text: str) -> str:
    """Return a Serbian text in Latin letters."""
    small = dict(zip(_CYRILLIC, _LATIN.split(), strict=True))
    letters = small | {letter.upper(): latin.capitalize() for letter, latin in small.items()}
    return "".join(letters.get(letter, letter) for letter in text)


def _in_latin(catalog: polib.POFile) -> polib.POFile:
    """Return a Serbian catalogue in Latin letters; what is filled in has Latin names already."""
    found = polib.pofile(str(catalog), wrapwidth=_WIDTH)
    found.metadata["Language"] = "sr_Latn"
    for entry in found:
        entry.msgstr = _latin(entry.msgstr)
        entry.msgstr_plural = {form: _latin(text) for form, text in entry.msgstr_plural.items()}
    return found


def counts(catalog: polib.POFile) -> tuple[int, int, int]:
    """Return how many messages are translated, fuzzy and missing."""
    return (
        len(catalog.translated_entries()),
        len(catalog.fuzzy_entries()),
        len(catalog.untranslated_entries()),
    )


def is_served(language: str, catalog: polib.POFile) -> bool:
    """Tell whether a language is served: once complete, it stays."""
    return not any(counts(catalog)[1:]) or (TEXTS / "mo" / f"{language}.mo").exists()


def _json(data: Mapping[str, Any]) -> bytes:
    lines = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in data.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def built(language: str) -> dict[Path, bytes]:
    """Return all that is built for a language, by its file; nothing as the language builds what is common to all."""
    texts = messages(SOURCE.read_text("utf-8"))
    if not language:
        template = str(updated(texts, "", "")).encode()
        shared = {TEXTS / "po" / "messages.pot": template, TEXTS / "cldr" / "LICENSE": licence()}
        return shared | {TEXTS / "cldr" / "en.json": _json(language_data("en"))}
    path = TEXTS / "po" / f"{language}.po"
    catalog = updated(texts, language, path.read_text("utf-8") if path.exists() else "")
    found = {path: str(catalog).encode()}
    scripts = {language: catalog} | {
        derived: _in_latin(catalog) for derived, source in DERIVED.items() if source == language
    }
    for name, words in scripts.items():
        found[TEXTS / "cldr" / f"{name}.json"] = _json(language_data(name))
        if is_served(language, catalog) and not faults(language, catalog):
            found[TEXTS / "mo" / f"{name}.mo"] = words.to_binary()
    return found


def main(new: list[str]) -> int:
    """Build everything, the catalogues of new languages too, and say what is left to translate and what is wrong."""
    wrong = []
    texts = messages(SOURCE.read_text("utf-8"))
    print(f"{len(texts)} messages\n\n{'language':<10}{'translated':>11}{'fuzzy':>7}{'missing':>9}")
    for language in ["", *sorted({*languages(), *new})]:
        files = built(language)
        for path, content in files.items():
            path.parent.mkdir(exist_ok=True)
            if not path.exists() or path.read_bytes() != content:  # somebody may be at work on the others
                path.write_bytes(content)
        if language:
            catalog = polib.pofile(files[TEXTS / "po" / f"{language}.po"].decode())
            served = "" if is_served(language, catalog) else "  not served until complete"
            print(f"{language:<10}{{:>11}}{{:>7}}{{:>9}}{served}".format(*counts(catalog)))
            wrong += faults(language, catalog)
    print("", *wrong, sep="\n" if wrong else "", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
