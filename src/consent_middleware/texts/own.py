"""A site's own texts: ``texts.toml`` beside its templates, a table a language, whose texts take the place of ours.

Decides what may be replaced and by what, and finds every fault in one go. Reads that one file; puts nothing in place.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from string import Formatter
from typing import TYPE_CHECKING, Any

from consent_middleware.errors import Fault, nearest
from consent_middleware.texts.messages import available_languages, load_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["OWN_TEXTS", "prescribed", "read_own"]

OWN_TEXTS = "texts.toml"

_REJECT, _ACCEPT = "reject_all", "accept_all"
# Agents look for these words, and regulators for plain ones; Californian law prescribes the last three.
_PRESCRIBED = (_REJECT, _ACCEPT, "your_choices", "opt_out_title", "notice_signal_honored")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Own = Mapping[str, Mapping[str, str]]


def read_own(path: Path, languages: Sequence[str]) -> tuple[Own, list[Fault]]:
    """Read a site's own texts.

    Args:
        path: The file, which need not be there.
        languages: Those the site offers.

    Returns:
        The texts by language and key, and what is wrong with them.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig")) if path.is_file() else {}
    except UnicodeDecodeError:
        return {}, [_fault("", "is not UTF-8.", "Save it as UTF-8.")]
    except tomllib.TOMLDecodeError as error:
        return {}, [_fault("", f"is not valid TOML: {error}.", f"{_example(languages)}")]
    except OSError as error:
        return {}, [_fault("", f"cannot be read: {error.strerror}.", "Let the server's user read it.")]
    return tables, [
        fault for name, table in tables.items() for fault in _table_faults(name, table, languages)
    ]


def prescribed(own: Own) -> list[str]:
    """Return which texts are reworded that others look for, as ``key (language)``."""
    return [
        f"{key} ({language})"
        for language, texts in own.items()
        for key in _PRESCRIBED
        if key in texts and texts[key] != load_texts(language)[key]
    ]


def _fault(where: str, problem: str, hint: str) -> Fault:
    return Fault("site.templates", f"{OWN_TEXTS}{where} {problem}", hint)


def _example(languages: Sequence[str]) -> str:
    return f'Texts stand below their language: [{languages[0]}], then a line such as save = "Save".'


def _table_faults(name: str, table: Any, languages: Sequence[str]) -> Iterator[Fault]:
    if not isinstance(table, Mapping):
        yield _fault(f": {name}", "stands outside a table.", _example(languages))
    elif name not in available_languages():
        hint = nearest(name, languages) or f"Offered here: {', '.join(languages)}."
        yield _fault(f": [{name}]", "is not a language that there are texts in.", hint)
    elif name not in languages:
        yield _fault(f": [{name}]", "is not a language of this site.", f'Add "{name}" to [site] languages.')
    else:
        for key, text in table.items():
            yield from _text_faults(f": [{name}] {key}", key, text)
        yield from _twin_faults(name, table)


def _text_faults(where: str, key: str, text: Any) -> Iterator[Fault]:
    english = load_texts("en")
    if english.by_number.intersection({key, key.removesuffix("_one"), key.removesuffix("_many")}):
        yield _fault(where, "has a form for each number, which only a translation has.", "Leave it out.")
    elif key not in english:
        plain = [name for name, ours in english.items() if isinstance(ours, str)]
        yield _fault(
            where, "is not a text of ours.", nearest(key, plain) or "docs/customising.md names them."
        )
    elif not isinstance(english[key], str):
        hint = "Categories are worded in [[categories]]." if key == "categories" else "Leave it out."
        yield _fault(where, "is a table, and only plain texts can be replaced.", hint)
    elif not isinstance(text, str):
        yield _fault(where, f"is not a text. Found {text!r}.", 'Put it in quotes: "...".')
    elif not text.strip():
        yield _fault(where, "is empty.", "Word it, or leave the line out.")
    elif _CONTROL.search(text):
        yield _fault(where, "holds a line break or another control character.", "Write it on one line.")
    elif _fields(text) != _fields(english[key]):
        wanted = " and ".join(_fields(english[key])) or "nothing in braces"
        yield _fault(where, f"must hold {wanted}, as ours does.", f'Ours is: "{english[key]}"')


def _fields(text: str) -> list[str]:
    """Return what is filled in, as it is written, each once; what cannot be read as such is no such thing."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        return ["?"]
    return sorted({
        f"{{{name}{'!' + kind if kind else ''}{':' + form if form else ''}}}"
        for _, name, form, kind in parts
        if name is not None
    })  # fmt: skip


def _twin_faults(language: str, table: Mapping[str, Any]) -> Iterator[Fault]:
    """Reject all and Accept all are reworded together, and stay two (EU-2, CA-8)."""
    given, ours = [key for key in (_REJECT, _ACCEPT) if key in table], load_texts(language)
    if len(given) == 1:
        (other,) = {_REJECT, _ACCEPT}.difference(given)
        yield _fault(
            f": [{language}]", f"rewords {given[0]} and leaves {other} as it is.", "Word both, or neither."
        )
    elif given:
        reject, accept = (_said(table[key]) for key in given)
        if reject in {accept, _said(ours[_ACCEPT])} or accept == _said(ours[_REJECT]):
            yield _fault(
                f": [{language}]",
                f"lets {_REJECT} and {_ACCEPT} be taken for each other.",
                "Say plainly what each of them does.",
            )


def _said(text: Any) -> str:
    return " ".join(str(text).casefold().split())
