"""What holds for the texts in every language, those added later too, and how they are built (tools/build_texts.py)."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import polib
import pytest

from consent_middleware.texts import available_languages, load_texts, plural
from tools import build_texts as build
from tools.cldr_data import plural_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SOURCE = build.messages(build.SOURCE.read_text("utf-8"))
TRANSLATED = [language for language in available_languages() if language != "en"]
each_language = pytest.mark.parametrize("language", available_languages())
each_translation = pytest.mark.parametrize("language", TRANSLATED)

# Texts that may read as in English: in every language (names, words that many languages share), or in one.
SAME_ANYWHERE = frozenset({
    "categories.marketing.title", "categories.performance.title", "col_cookies", "cookies", "partners", "policy_cookie",
})  # fmt: skip
SAME_IN: dict[str, frozenset[str]] = {
    "fr": frozenset({"col_service"}),
    "it": frozenset({"link_region"}),
    "nl": frozenset({"link_region"}),
}
UP_TO_DATE = "run make texts"


def flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its path."""
    for key, value in table.items():
        if isinstance(value, str):
            yield path + key, value
        else:
            yield from flat(value, f"{path}{key}.")


@cache
def every_form(language: str) -> list[tuple[str, str]]:
    """Return every text of a language with its key, and each form of those that go by a number."""
    counted = {(text.key, plural(language, text.key, n)) for text in SOURCE if text.many for n in range(200)}
    return [*flat(load_texts(language)), *counted]


def catalog(language: str) -> polib.POFile:
    """Return what the translators of a language wrote."""
    source = build.DERIVED.get(language, language)
    return polib.pofile(str(build.TEXTS / "po" / f"{source}.po"))


# Most of these tests' time is reading the catalogues: for the tests that change nothing, once.
written = cache(catalog)


# -- what is written in each language


@each_translation
def test_every_text_is_translated(language: str) -> None:
    """Nothing is missing, and nothing waits for another look."""
    found = written(language)
    assert [e.msgctxt for e in found.untranslated_entries()] == []
    assert [e.msgctxt for e in found.fuzzy_entries()] == []
    assert {e.msgctxt for e in found.translated_entries()} == {text.key for text in SOURCE}


@each_translation
def test_no_text_is_left_in_english(language: str) -> None:
    """What reads as in English does so on purpose."""
    english = set(every_form("en"))
    same = {key for key, text in every_form(language) if (key, text) in english}
    assert same - SAME_ANYWHERE - SAME_IN.get(language, frozenset()) == set()


@each_translation
def test_nothing_is_wrong(language: str) -> None:
    """What is filled in is the same in every language, and no text breaks the place it stands in."""
    assert build.faults(language, written(language)) == []


@each_translation
def test_every_form_of_the_plural_is_there(language: str) -> None:
    """A language has the forms that CLDR's rule gives it, and each text has them all."""
    count, rule = plural_rule(language)
    found = written(language)
    assert found.metadata["Plural-Forms"] == f"nplurals={count}; plural=({rule});"
    assert {len(e.msgstr_plural) for e in found if e.msgid_plural and not e.obsolete} == {count}


@each_language
def test_no_text_holds_markup(language: str) -> None:
    """Texts are words: templates escape them, and nothing in them needs that."""
    assert [key for key, text in every_form(language) if set(text) & set("<>&") or text != text.strip()] == []


@each_language
def test_buttons_are_short(language: str) -> None:
    """The banner's buttons fit beside each other, whatever the language."""
    texts = load_texts(language)
    assert [key for key in build.BUTTONS if not 0 < len(texts[key]) <= build.BUTTON_LIMIT] == []


# -- how they are built


@pytest.mark.parametrize("language", ["", *build.languages()])
def test_what_is_served_is_built_from_its_source(language: str) -> None:
    """Nobody edits what is built, and nobody forgets to build it."""
    for path, content in build.built(language).items():
        assert path.read_bytes() == content, UP_TO_DATE


def test_nothing_else_is_served() -> None:
    """Each file that is served belongs to a catalogue."""
    named = {*build.languages(), *(name for name, of in build.DERIVED.items() if of in build.languages())}
    assert {path.stem for path in (build.TEXTS / "mo").iterdir()} <= named
    assert {path.stem for path in (build.TEXTS / "cldr").glob("*.json")} == named | {"en"}


def test_the_source_is_read_with_its_comments() -> None:
    """A comment right above a key is for its translators, one above a table for all of it; a pair is one message."""
    found = build.messages(
        '# Not for\n\n# A title,\n# short.\ntitle = "One"\nplain = "Two"\n# Counted.\n'
        'cats_one = "{n} cat"\ncats_many = "{n} cats"\nonly_one = "1"\n\n# States.\n[states]\non = "on"\n# Off.\noff = "off"\n'
    )
    assert [(t.key, t.english, t.many, t.comment) for t in found] == [
        ("title", "One", "", "A title, short."),
        ("plain", "Two", "", ""),
        ("cats", "{n} cat", "{n} cats", "Counted."),
        ("only_one", "1", "", ""),
        ("states.on", "on", "", "States."),
        ("states.off", "off", "", "Off."),
    ]


FIRST = 'greeting = "Hello"\ncats_one = "{n} cat"\ncats_many = "{n} cats"\n'


def translated(source: str = FIRST, language: str = "pl") -> str:
    """Return a catalogue in which all is translated and commented."""
    found = build.updated(build.messages(source), language, "")
    for entry in found:
        entry.tcomment = f"Thought about {entry.msgctxt}."
        if entry.msgid_plural:
            entry.msgstr_plural = {form: f"{entry.msgctxt} {form}" for form in entry.msgstr_plural}
        else:
            entry.msgstr = f"{entry.msgctxt} translated"
    found.metadata["Last-Translator"] = "A. Translator"
    return str(found)


def entries(found: polib.POFile) -> dict[str, polib.POEntry]:
    """Return the messages by key."""
    return {entry.msgctxt or "": entry for entry in found}


def test_a_new_catalogue_is_empty() -> None:
    """Every message with its forms, and nothing in them; its header says which number takes which form."""
    found = build.updated(build.messages(FIRST), "pl", "")
    assert build.counts(found) == (0, 0, 2)
    assert entries(found)["cats"].msgstr_plural == {0: "", 1: "", 2: ""}
    assert found.metadata["Plural-Forms"].startswith("nplurals=3; plural=(n==1 ? 0 :")


def test_nothing_changes_without_reason() -> None:
    """An update of what is up to date gives the same bytes: comments, translations and what the header says of people."""
    before = translated()
    assert str(build.updated(build.messages(FIRST), "pl", before)) == before
    assert "A. Translator" in before


def test_a_text_that_changed_is_fuzzy() -> None:
    """Its translation is kept to look at, with the English text it was of, until somebody has."""
    changed = build.messages(FIRST.replace("Hello", "Good day"))
    found = build.updated(changed, "pl", translated())
    entry = entries(found)["greeting"]
    assert (entry.fuzzy, entry.msgstr, entry.previous_msgid) == (True, "greeting translated", "Hello")
    assert build.counts(found) == (1, 1, 0)
    assert str(build.updated(changed, "pl", str(found))) == str(found)
    entry.flags.remove("fuzzy")
    again = entries(build.updated(changed, "pl", str(found)))["greeting"]
    assert (again.fuzzy, again.previous_msgid) == (False, None)


def test_a_text_that_now_goes_by_a_number_is_fuzzy() -> None:
    """Its translation stands in every form, to be worked on; and the other way round."""
    counted = build.messages('greeting_one = "Hello"\ngreeting_many = "Hellos"\ncats = "{n} cats"\n')
    found = entries(build.updated(counted, "pl", translated()))
    assert set(found["greeting"].msgstr_plural.values()) == {"greeting translated"}
    assert (found["cats"].msgstr, found["greeting"].fuzzy, found["cats"].fuzzy) == ("cats 2", True, True)


def test_what_is_gone_is_kept_and_found_again() -> None:
    """A message that comes back has its translation and its translators' comment."""
    source = build.messages(FIRST)
    without = build.updated(source[1:], "pl", translated())
    assert entries(without)["greeting"].obsolete
    assert build.counts(without) == (1, 0, 0)
    back = entries(build.updated(source, "pl", str(without)))["greeting"]
    assert (back.msgstr, back.tcomment, back.obsolete) == (
        "greeting translated",
        "Thought about greeting.",
        False,
    )


@pytest.mark.parametrize(
    ("key", "text", "fault"),
    [
        ("back", "Zurück zu {site}", ""),
        ("back", "Zurück", "must hold {site}"),
        ("back", "Zurück zu {Site}", "must hold {site}"),
        ("back", "Zurück zu {site", "must hold {site}"),
        ("held_text_provider", "{host}", "must hold {host} and {provider}"),
        ("save", "{n} speichern", "must hold no braces"),
        ("save", "Auswahl <speichern>", "must hold neither < > & nor space around it"),
        ("save", "Speichern ", "must hold neither < > & nor space around it"),
        ("choose", "a" * 29, "stands on a button: at most 28 characters, not 29"),
        ("categories.analytics.phrase", "Besuche messen.", "stands within a sentence: no full stop"),
    ],
)
def test_what_would_break_a_page_is_told(key: str, text: str, fault: str) -> None:
    """A fault is named with its message and the text, before anything of it is served."""
    found = build.updated(SOURCE, "de", "")
    entries(found)[key].msgstr = text
    assert build.faults("de", found) == ([f"de: {key} {fault}: {text!r}"] if fault else [])


@pytest.mark.parametrize(
    ("language", "forms", "wrong"),
    [
        ("ar", ["لا قطط", "قطة", "قطتان", "{n} قطط", "{n} قطة", "{n} قطة"], 0),
        ("sl", ["mačka", "{n} mački", "{n} mačke", "{n} mačk"], 1),
        ("fr", ["un chat", "{n} chats"], 1),
        ("en", ["one cat", "{n} cats"], 0),
    ],
)
def test_only_a_form_for_a_single_number_may_leave_it_out(
    language: str, forms: list[str], wrong: int
) -> None:
    """Where a form is for one number only, words may say it; where it is for several, the number must be told."""
    found = build.updated(build.messages(FIRST), language, "")
    entries(found)["cats"].msgstr_plural = dict(enumerate(forms))
    assert len(build.faults(language, found)) == wrong


def test_what_is_wrong_is_not_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A complete catalogue with a fault leaves what is served as it was, and the build fails with its name."""
    right = catalog("de")
    monkeypatch.setattr(build, "TEXTS", tmp_path)
    (tmp_path / "po").mkdir()
    (tmp_path / "po" / "de.po").write_text(str(right), "utf-8")
    assert build.main([]) == 0
    served = (tmp_path / "mo" / "de.mo").read_bytes()
    entries(right)["back"].msgstr = "Zurück"
    (tmp_path / "po" / "de.po").write_text(str(right), "utf-8")
    assert build.main([]) == 1
    assert (tmp_path / "mo" / "de.mo").read_bytes() == served
    assert capsys.readouterr().out.endswith("de: back must hold {site}: 'Zurück'\n")


def test_a_language_is_served_once_complete_and_then_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A text that changes takes no language away from a site that offers it."""
    monkeypatch.setattr(build, "TEXTS", tmp_path)
    complete = polib.pofile(translated())
    lacking = build.updated(build.messages(FIRST + 'new = "New"\n'), "pl", translated())
    assert (build.is_served("pl", complete), build.is_served("pl", lacking)) == (True, False)
    (tmp_path / "mo").mkdir()
    (tmp_path / "mo" / "pl.mo").touch()
    assert build.is_served("pl", lacking)


def test_serbian_in_latin_letters() -> None:
    """Letter by letter, capitals too; what is filled in and names in Latin letters stay."""
    assert build._latin("Љубав на {site}: џеп, Његош, Google") == "Ljubav na {site}: džep, Njegoš, Google"


def test_the_build_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line a language, new ones too; what is not served yet is said, and what is built is written."""
    monkeypatch.setattr(build, "TEXTS", tmp_path)
    assert build.main(["cy"]) == 0
    assert re.search(rf"cy +0 +0 +{len(SOURCE)}  not served until complete", capsys.readouterr().out)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    assert written == {"po/messages.pot", "po/cy.po", "cldr/en.json", "cldr/cy.json"}


def test_a_language_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no rule fits, the tool says where to add one."""
    monkeypatch.setattr("tools.cldr_data.RULES", ())
    plural_rule.cache_clear()
    with pytest.raises(LookupError, match=re.escape("RULES in tools/cldr_data.py hold none for 'pl'")):
        plural_rule("pl")
