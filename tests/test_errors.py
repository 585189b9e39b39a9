from __future__ import annotations

import pytest

from consent_middleware import errors
from consent_middleware.errors import ConfigError, ConsentError, Fault, UnknownIdError


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("site.name", "is required."), "site.name: is required."),
        (Fault("", "there is no file."), "there is no file."),
        (Fault("a", "is wrong.", "Mend it."), "a: is wrong. Mend it."),
    ],
)
def test_a_fault_reads_as_one_sentence(fault: Fault, text: str) -> None:
    """Path, problem and hint stand in one line, as far as there are any."""
    assert str(fault) == text


@pytest.mark.parametrize(("count", "words"), [(1, "1 fault in"), (2, "2 faults in")])
def test_a_config_error_counts(count: int, words: str) -> None:
    """The number of faults agrees with its noun."""
    error = ConfigError("consent.toml", [Fault("a", "b")] * count)
    assert words in str(error)
    assert len(error.faults) == count


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_has_one_root(name: str) -> None:
    """One except clause catches all of them."""
    assert issubclass(getattr(errors, name), ConsentError)


def test_an_unknown_id_is_a_look_up_error() -> None:
    """Code that expects Python's own error for a failed look-up gets it."""
    assert issubclass(UnknownIdError, LookupError)
