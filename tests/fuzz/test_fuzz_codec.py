"""No bytes a visitor can send make the codec raise, or grant anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.codec import ChoiceCodec
from consent_middleware.policy import Choice
from helpers_core import NOW, SECRET, make_catalog, modest, service

CATALOG = make_catalog(service("stats", "analytics"), service("ads", "marketing"))
CODEC = ChoiceCodec(CATALOG, [SECRET])
TRUE = CODEC.encode(Choice(CATALOG.asked, frozenset(), NOW, principal="p" * 16)).encode()


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Draw a true value with a few bytes replaced, left out or put in."""
    value = bytearray(TRUE)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        value[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(value)


@modest
@given(st.binary(max_size=300))
def test_random_bytes_are_no_choice(value: bytes) -> None:
    """Bytes nobody signed decode to nothing."""
    assert CODEC.decode(value) is None


@modest
@given(mutations())
def test_mutations_are_no_choice(value: bytes) -> None:
    """A changed value decodes to nothing, or to the very choice that was signed."""
    read = CODEC.decode(value)
    assert read is None or read == CODEC.decode(TRUE)
