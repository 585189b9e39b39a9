from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.texts import (
    available_languages,
    best_language,
    duration,
    load_texts,
    localised,
    preferred_languages,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EN, DE = load_texts("en"), load_texts("de")
each_language = pytest.mark.parametrize("language", available_languages())


def flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its path."""
    for key, value in table.items():
        if isinstance(value, str):
            yield path + key, value
        else:
            yield from flat(value, f"{path}{key}.")


def fields(text: str) -> set[str | None]:
    """Return the names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@each_language
def test_every_language_has_the_same_keys(language: str) -> None:
    """No text is missing and none is left over."""
    assert dict(flat(load_texts(language))).keys() == dict(flat(EN)).keys()


@each_language
def test_every_language_fills_in_the_same(language: str) -> None:
    """What stands in braces is the same in every language."""
    texts, english = dict(flat(load_texts(language))), dict(flat(EN))
    assert {key: fields(text) for key, text in texts.items()} == {k: fields(t) for k, t in english.items()}


@each_language
def test_no_text_holds_markup(language: str) -> None:
    """Texts are words: templates escape them, and nothing in them needs that."""
    assert [key for key, text in flat(load_texts(language)) if set(text) & set("<>")] == []


def test_english_comes_first() -> None:
    """English is there, and the first of all."""
    assert available_languages()[0] == "en"
    assert "de" in available_languages()


@pytest.mark.parametrize(
    ("wanted", "offered", "found"),
    [
        (["de"], ["en", "de"], "de"),
        (["de-AT"], ["en", "de"], "de"),
        (["DE-at"], ["en", "de"], "de"),
        (["de-AT"], ["de", "de-AT"], "de-AT"),
        (["zh-Hant-TW"], ["zh", "zh-Hant"], "zh-Hant"),
        (["fr", "de"], ["en", "de"], "de"),
        (["fr"], ["en", "de"], None),
        (["de"], ["de-AT"], None),
        (["*"], ["en"], None),
        ([""], ["en"], None),
        ([], ["en"], None),
    ],
)
def test_the_best_language(wanted: list[str], offered: list[str], found: str | None) -> None:
    """RFC 4647 look-up: the first wanted tag that matches exactly or by prefix."""
    assert best_language(wanted, offered) == found


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        (b"de", ["de"]),
        (b"de, en;q=0.5", ["de", "en"]),
        (b"en;q=0.5, de", ["de", "en"]),
        (b"en;q=0.5,de;q=0.9,fr;q=0.7", ["de", "fr", "en"]),
        (b"de ; q = 0.3 , fr", ["fr", "de"]),
        (b"de;q=0, en", ["en"]),
        (b"de;q=x, en", ["en"]),
        (b"de;level=1", ["de"]),
        (b"", []),
        (b",,", []),
        (b"\xff;q=\xfe", []),
        (b"de;q=nan", []),
        (b"a," * 2_000, ["a"] * 256),
    ],
)
def test_preferred_languages(header: bytes, tags: list[str]) -> None:
    """Best first, equals in order; what is broken counts for nothing, and only so much is read."""
    assert preferred_languages(header) == tags


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", "plain"),
        ({"de": "Wort", "en": "word"}, "Wort"),
        ({"en": "word"}, "word"),
        ({"fr": "mot"}, "mot"),
        ({"de": "", "en": "word"}, "word"),
        ({}, ""),
    ],
)
def test_a_sites_own_texts(text: str | dict[str, str], found: str) -> None:
    """The language asked for, else the site's first, else whichever there is."""
    assert localised(text, "de", "en") == found


@pytest.mark.parametrize(
    ("iso", "english", "german"),
    [
        ("P1Y", "1 year", "1 Jahr"),
        ("P2Y", "2 years", "2 Jahre"),
        ("P13M", "13 months", "13 Monate"),
        ("P1D", "1 day", "1 Tag"),
        ("P2W", "2 weeks", "2 Wochen"),
        ("PT1M", "1 minute", "1 Minute"),
        ("PT30S", "30 seconds", "30 Sekunden"),
        ("P1DT12H", "1 day, 12 hours", "1 Tag, 12 Stunden"),
        ("session", EN["session_only"], DE["session_only"]),
        ("nonsense", EN["session_only"], DE["session_only"]),
    ],
)
def test_durations_in_words(iso: str, english: str, german: str) -> None:
    """An ISO 8601 duration reads as a person would say it."""
    assert (duration(iso, EN), duration(iso, DE)) == (english, german)
