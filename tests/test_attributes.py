from __future__ import annotations

import pytest

from consent_middleware.html.attributes import attributes, escape, text_of

TAGS = {
    "none": (b"<img>", []),
    "double quotes": (b'<img src="a b">', [(b"src", b"a b")]),
    "single quotes": (b"<img src='a \"b'>", [(b"src", b'a "b')]),
    "no quotes": (b"<img src=a/b>", [(b"src", b"a/b")]),
    "no quotes and a slash": (b"<img src=a/>", [(b"src", b"a/")]),
    "quotes and a slash": (b'<img src="a"/>', [(b"src", b"a")]),
    "no value": (b"<script async>", [(b"async", b"")]),
    "an empty value": (b"<img alt= src=''>", [(b"alt", b"src=''")]),
    "an empty value at the end": (b"<img alt=>", [(b"alt", b"")]),
    "space round the sign": (b"<img src \n=\t'a'>", [(b"src", b"a")]),
    "upper case": (b"<IMG SRC=A>", [(b"src", b"A")]),
    "a slash for a space": (b"<script/src=a/defer>", [(b"src", b"a/defer")]),
    "slashes between": (b'<script/src="a"/defer>', [(b"src", b"a"), (b"defer", b"")]),
    "nothing between": (b'<img a="1"b="2">', [(b"a", b"1"), (b"b", b"2")]),
    "repeated": (b"<img src=a src=b>", [(b"src", b"a"), (b"src", b"b")]),
    "an angle in a value": (b'<img alt=">" src=a>', [(b"alt", b">"), (b"src", b"a")]),
    "a name with a quote": (b"<img a'b=c>", [(b"a'b", b"c")]),
    "a name that begins with a sign": (b"<img =a=b>", [(b"=a", b"b")]),
    "a name that is a sign": (b"<img = src=a>", [(b"=", b""), (b"src", b"a")]),
    "a quote in a value without quotes": (b"<p a=b='c>", [(b"a", b"b='c")]),
    "a quote as a name": (b'<p "x">', [(b'"x"', b"")]),
    "a null byte": (b"<p a\0b=c\0>", [(b"a\0b", b"c\0")]),
    "no UTF-8": (b"<p a=\xff>", [(b"a", b"\xff")]),
    "a form feed": (b"<p\fa=b\fc>", [(b"a", b"b"), (b"c", b"")]),
}


@pytest.mark.parametrize(("tag", "expected"), TAGS.values(), ids=TAGS.keys())
def test_attributes_are_read_as_a_browser_reads_them(tag: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    """Names in lower case, values as they are written."""
    assert [(found.name, found.value) for found in attributes(tag)] == expected


@pytest.mark.parametrize(("tag", "expected"), TAGS.values(), ids=TAGS.keys())
def test_places_are_those_in_the_tag(tag: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    """What stands at an attribute's places is what was read there."""
    found = attributes(tag)
    written = [tag[a.value_start : a.end] for a in found]
    assert [w[1:-1] if w[:1] in (b'"', b"'") else w for w in written] == [value for _, value in expected]
    assert [tag[a.start : a.start + len(a.name)].lower() for a in found] == [name for name, _ in expected]


TEXTS = {
    "plain": (b"https://a.example/", "https://a.example/"),
    "a named reference": (b"a&amp;b", "a&b"),
    "slashes as names": (b"https:&sol;&sol;a.example", "https://a.example"),
    "a tab as a name": (b"a&Tab;b&NewLine;", "a\tb\n"),
    "decimal": (b"&#104;ttps&#58;//a", "https://a"),
    "hexadecimal": (b"&#x68;ttps&#X3A;//a", "https://a"),
    "leading zeros": (b"&#0000000000000047;&#x00000000002f;", "//"),
    "no semicolon": (b"&#47&#x2Fx", "//x"),
    "a name without a semicolon": (b"a&amp", "a&"),
    "a name before a sign": (b"?a=1&copy=2&lt=3", "?a=1&copy=2&lt=3"),
    "a name before a letter": (b"?a&copyright", "?a&copyright"),
    "a name with a semicolon before a sign": (b"&copy;=", "\xa9="),
    "no reference": (b"a & b &; &# &#x &#xg &nothing;", "a & b &; &# &#x &#xg &nothing;"),
    "windows-1252": (b"&#128;", "\u20ac"),
    "too large": (b"&#x110000;&#99999999999;", "\ufffd\ufffd"),
    "null": (b"&#0;", "\ufffd"),
    "UTF-8": ("\u00e4".encode(), "\u00e4"),
}


@pytest.mark.parametrize(("value", "text"), TEXTS.values(), ids=TEXTS.keys())
def test_character_references_are_resolved_as_in_attributes(value: bytes, text: str) -> None:
    """A name without its semicolon stays as it is before a letter, a digit or a sign: it is part of a URL."""
    assert text_of(value) == text


@pytest.mark.parametrize("digits", [b"9" * 100_000, b"x" + b"f" * 100_000])
def test_an_endless_reference_is_no_error(digits: bytes) -> None:
    """A number of any length means the replacement character."""
    assert text_of(b"&#" + digits + b";x") == "\ufffdx"


@pytest.mark.parametrize("text", ["", "plain", "<a b=\"c\" d='e'>&amp;", "\u00e4\U0001f36a", "a\n\tb"])
def test_what_is_escaped_reads_as_it_was(text: str) -> None:
    """Escaping and reading are each other's opposite."""
    assert text_of(escape(text)) == text


def test_escaped_text_is_ascii_and_ends_no_value() -> None:
    """It can stand in a page of any charset, in double quotes, in XML too."""
    assert escape('<\u00e4 "&">') == b"&lt;&#228; &quot;&amp;&quot;&gt;"


def test_bytes_that_are_no_utf_8_come_back_as_they_were() -> None:
    """A document in another charset keeps its letters."""
    assert escape(text_of(b"Gr\xfc\xdfe &auml;")) == b"Gr\xfc\xdfe &#228;"
