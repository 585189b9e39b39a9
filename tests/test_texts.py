from __future__ import annotations

from datetime import date

import pytest
from markupsafe import Markup

from consent_middleware.texts import (
    available_languages,
    best_language,
    country,
    direction,
    duration,
    foreign,
    format_date,
    format_moment,
    list_of,
    load_texts,
    localised,
    plural,
    preferred_languages,
    sentences,
)

EN, DE = load_texts("en"), load_texts("de")


def test_english_comes_first() -> None:
    """English is there, and the first of all."""
    assert available_languages()[0] == "en"
    assert "de" in available_languages()


def test_what_goes_by_a_number() -> None:
    """One text for one, another for more, with the number in its place; no such text is a mistake of ours."""
    assert [plural("en", "partners", n) for n in (0, 1, 2)] == ["0 partners", "1 partner", "2 partners"]
    assert plural(DE, "cookies", 1) == "1 Cookie"
    with pytest.raises(KeyError):
        plural("en", "save", 1)


def test_texts_are_told_from_those_by_number() -> None:
    """Templates find the plain texts by key; the halves of a pair are none."""
    assert EN["reject_all"] == "Reject all"
    assert {"partners", "partners_one", "partners_many"}.isdisjoint(EN)
    assert len(EN) == len(list(EN))


def test_templates_reach_every_text() -> None:
    """A template's ``t.key`` finds what Python knows under that name first: no key may be called so."""
    assert [key for key in EN if hasattr(EN, key)] == []


@pytest.mark.parametrize(
    ("wanted", "offered", "found"),
    [
        (["zh-CN"], ["en", "zh-Hant", "zh-Hans"], "zh-Hans"),
        (["zh"], ["en", "zh-Hant", "zh-Hans"], "zh-Hans"),
        (["zh-TW"], ["en", "zh-Hans", "zh-Hant"], "zh-Hant"),
        (["zh-HK", "en"], ["en", "zh-Hans", "zh-Hant"], "zh-Hant"),
        (["zh-Hant-MO"], ["en", "zh-Hans", "zh-Hant"], "zh-Hant"),
        (["zh-Hans-SG"], ["en", "zh-Hans", "zh-Hant"], "zh-Hans"),
        (["pt-BR"], ["pt", "pt-BR"], "pt-BR"),
        (["pt-BR"], ["en", "pt"], "pt"),
        (["pt-AO"], ["pt-BR", "pt"], "pt"),
        (["pt"], ["en", "pt-BR"], "pt-BR"),
        (["no"], ["en", "nn", "nb"], "nb"),
        (["nn-NO", "en"], ["en", "nb"], "nb"),
        (["sr-Latn-RS"], ["sr", "sr-Latn"], "sr-Latn"),
        (["sr-Cyrl"], ["sr-Latn", "sr"], "sr"),
        (["sh"], ["en", "sr-Latn"], "sr-Latn"),
        (["iw"], ["en", "he"], "he"),
    ],
)
def test_the_names_that_browsers_have(wanted: list[str], offered: list[str], found: str) -> None:
    """Regions tell the script of Chinese; old tags and macrolanguages find what they mean."""
    assert best_language(wanted, offered) == found


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
    ("text", "found", "other"),
    [
        ("plain", "plain", ""),
        ({"de": "Wort", "en": "word"}, "Wort", ""),
        ({"en": "word"}, "word", "en"),
        ({"fr": "mot"}, "mot", "fr"),
        ({"fr": "mot", "en": "word"}, "word", "en"),
        ({"de": "", "en": "word"}, "word", "en"),
        ({}, "", ""),
    ],
)
def test_a_sites_own_texts(text: str | dict[str, str], found: str, other: str) -> None:
    """The language asked for, else the site's first, else whichever there is, and then by its name."""
    assert localised(text, "de", "en") == found
    assert foreign(text, "de", "en") == other


@pytest.mark.parametrize(
    ("language", "found"), [("en", "One. Two &amp; <b>three</b>."), ("ja", "One.Two &amp; <b>three</b>.")]
)
def test_sentences_follow_each_other(language: str, found: str) -> None:
    """With a space, but where the language has none; empty ones fall out and HTML stays safe."""
    assert sentences(language, "One.", "", "Two & " + Markup("<b>three</b>.")) == found
    assert sentences(language) == ""
    assert sentences(language, "", "One.") == "One."


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
        ("P1DT12H", "1 day, 12 hours", "1 Tag und 12 Stunden"),
        ("session", EN["session_only"], DE["session_only"]),
        ("nonsense", EN["session_only"], DE["session_only"]),
    ],
)
def test_durations_in_words(iso: str, english: str, german: str) -> None:
    """An ISO 8601 duration reads as a person would say it."""
    assert (duration(iso, EN), duration(iso, DE)) == (english, german)
    assert (duration(iso, "en"), duration(iso, "de")) == (english, german)


# -- what CLDR says of languages, whether there are texts in them or not


@pytest.mark.parametrize(
    ("language", "year", "months", "mixed"),
    [
        ("ar", "سنة", "13 شهرًا", "يوم و12 ساعة"),
        ("ja", "1 年", "13 か月", "1 日、12 時間"),
        ("pl", "1 rok", "13 miesięcy", "1 dzień i 12 godzin"),
        ("pt-BR", "1 ano", "13 meses", "1 dia e 12 horas"),
        ("fa", "۱ سال", "۱۳ ماه", "۱ روز و ۱۲ ساعت"),  # noqa: RUF001 - Persian digits
    ],
)
def test_durations_by_cldr(language: str, year: str, months: str, mixed: str) -> None:
    """Each number takes its form of the plural, in the language's digits."""
    assert [duration(iso, language) for iso in ("P1Y", "P13M", "P1DT12H")] == [year, months, mixed]


@pytest.mark.parametrize(
    ("language", "two", "four"),
    [
        ("en", "a and b", "a, b, c and d"),
        ("de", "a und b", "a, b, c und d"),
        ("ar", "a وb", "a وb وc وd"),
        ("ja", "a、b", "a、b、c、d"),
        ("pl", "a i b", "a, b, c i d"),
        ("pt-BR", "a e b", "a, b, c e d"),
    ],
)
def test_lists(language: str, two: str, four: str) -> None:
    """Nothing, one, two and more, as the language writes them."""
    assert (list_of(language, []), list_of(language, ["a"])) == ("", "a")
    assert (list_of(language, "ab"), list_of(language, "abcd")) == (two, four)


@pytest.mark.parametrize(
    ("language", "items", "found"),
    [
        ("es", ["Reino Unido", "India"], "Reino Unido e India"),
        ("es", ["madera", "hierro"], "madera y hierro"),
        ("es", ["India", "Japón"], "India y Japón"),
        ("he", ["בריטניה", "הודו"], "בריטניה והודו"),
        ("he", ["בריטניה", "Google"], "בריטניה ו-Google"),  # noqa: RUF001 - a Hebrew letter
    ],
)
def test_lists_that_heed_a_sound(language: str, items: list[str], found: str) -> None:
    """Spanish says "e" before the sound of i; Hebrew puts a hyphen before another script."""
    assert list_of(language, items) == found


def test_a_list_of_what_is_safe_stays_safe() -> None:
    """Markup among the items is neither escaped nor a way in for the others."""
    assert list_of("en", [Markup("<b>a</b>"), "<i>"]) == Markup("<b>a</b> and &lt;i&gt;")


@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [
        ("en", "3 Nov 2026", "3 Nov 2026, 09:30 UTC"),
        ("de", "03.11.2026", "03.11.2026, 09:30 UTC"),
        ("ar", "03\u200f/11\u200f/2026", "03\u200f/11\u200f/2026، 09:30 UTC"),
        ("ja", "2026/11/03", "2026/11/03 09:30 UTC"),
        ("pl", "3 lis 2026", "3 lis 2026, 09:30 UTC"),
        ("pt-BR", "3 de nov. de 2026", "3 de nov. de 2026 09:30 UTC"),
        ("fa", "۳ نوامبر ۲۰۲۶", "۳ نوامبر ۲۰۲۶،\u200f ۰۹:۳۰ UTC"),
    ],
)
def test_dates(language: str, day: str, moment: str) -> None:
    """A day and a moment, as the language writes them."""
    assert format_date(language, date(2026, 11, 3)) == format_date(language, "2026-11-03T09:30:00Z") == day
    assert format_moment(language, "2026-11-03T09:30:00Z") == moment


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01"])
def test_what_is_no_date_stays_as_it_is(text: str) -> None:
    """A page never fails for a record that says something odd."""
    assert format_date("en", text) == text


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "United States"),
        ("de", "Vereinigte Staaten"),
        ("ar", "الولايات المتحدة"),
        ("ja", "アメリカ合衆国"),
        ("pl", "Stany Zjednoczone"),
        ("pt-BR", "Estados Unidos"),
    ],
)
def test_countries(language: str, name: str) -> None:
    """A country by its name, and what is none by its code."""
    assert (country(language, "US"), country(language, "QZ")) == (name, "QZ")


@pytest.mark.parametrize(
    ("language", "way"),
    [
        ("en", "ltr"),
        ("de", "ltr"),
        ("ar", "rtl"),
        ("he", "rtl"),
        ("fa", "rtl"),
        ("ja", "ltr"),
        ("pt-BR", "ltr"),
    ],
)
def test_directions(language: str, way: str) -> None:
    """Arabic, Hebrew and Persian go from right to left."""
    assert direction(language) == way
