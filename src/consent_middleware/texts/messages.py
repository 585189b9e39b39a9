"""The texts in a language, by key: English as texts/en.toml has it, put into words by texts/mo.

Decides which languages there are, and which text a number takes; English stands in for what is not translated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import copy
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from consent_middleware.texts.locales import digits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

__all__ = ["Texts", "available_languages", "load_texts", "plural"]

_FOLDER = files("consent_middleware.texts")


class Texts(Mapping[str, Any]):
    """A language's texts by key, nested as in texts/en.toml; those that go by a number are left to `plural`.

    Args:
        language: Which language it is.
        english: The source.
        words: What is translated of it.
    """

    def __init__(self, language: str, english: Mapping[str, Any], words: NullTranslations) -> None:
        self.language = language
        self._words = words
        self._pairs = {
            key.removesuffix("_one"): (text, english[key.removesuffix("_one") + "_many"])
            for key, text in english.items()
            if key.endswith("_one") and key.removesuffix("_one") + "_many" in english
        }
        halves = {f"{key}_{half}" for key in self._pairs for half in ("one", "many")}
        self._table = self._put({key: text for key, text in english.items() if key not in halves})

    def _put(self, english: Mapping[str, Any], path: str = "") -> dict[str, Any]:
        return {
            key: self._words.pgettext(path + key, text)
            if isinstance(text, str)
            else self._put(text, f"{path}{key}.")
            for key, text in english.items()
        }

    def __getitem__(self, key: str) -> Any:
        return self._table[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def by_number(self) -> frozenset[str]:
        """The keys of those that go by a number."""
        return frozenset(self._pairs)

    def over(self, own: Mapping[str, str]) -> Self:
        """Return these texts with some plain ones replaced, by key."""
        found = copy(self)
        found._table = {**self._table, **own}  # noqa: SLF001 - its own attribute
        return found

    def plural(self, key: str, n: int) -> str:
        """Return the text for a number, with the number filled in for ``{n}``.

        Raises:
            KeyError: No text of this key goes by a number.
        """
        one, many = self._pairs[key]
        return self._words.npgettext(key, one, many, n).format(n=digits(self.language, n))


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages the package has texts in, English first."""
    names = (entry.name for entry in _FOLDER.joinpath("mo").iterdir())
    return ("en", *sorted(name.removesuffix(".mo") for name in names if name.endswith(".mo")))


@cache
def _english() -> Mapping[str, Any]:
    return tomllib.loads(_FOLDER.joinpath("en.toml").read_text("utf-8"))


@cache
def load_texts(language: str) -> Texts:
    """Return a language's texts by key; English where a text is missing."""
    if language == "en":
        return Texts(language, _english(), NullTranslations())
    with _FOLDER.joinpath("mo", f"{language}.mo").open("rb") as file:
        return Texts(language, _english(), GNUTranslations(file))


def plural(language: str | Texts, key: str, n: int) -> str:
    """Return the text of a key for a number: ``plural("en", "partners", 3)`` is "3 partners"."""
    texts = load_texts(language) if isinstance(language, str) else language
    return texts.plural(key, n)
