from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_middleware.signals import NO_SIGNALS, Signals, read_signals
from helpers_core import modest

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("earlier", "now", "new"),
    [
        (Signals(), Signals(), Signals()),
        (Signals(), Signals(gpc=True), Signals(gpc=True)),
        (Signals(gpc=True), Signals(gpc=True), Signals()),
        (Signals(gpc=True), Signals(), Signals()),
        (Signals(gpc=True), Signals(gpc=True, dnt=True), Signals(dnt=True)),
        (Signals(dnt=True), Signals(gpc=True), Signals(gpc=True)),
    ],
)
def test_since_names_only_what_is_new(earlier: Signals, now: Signals, new: Signals) -> None:
    """Only signals that were off before count as new."""
    assert now.since(earlier) == new


@pytest.mark.parametrize("signals", [Signals(gpc=True), Signals(dnt=True), Signals(gpc=True, dnt=True)])
def test_any_signal_is_true(signals: Signals) -> None:
    """One signal is enough for a visitor to count as sending some."""
    assert signals


def test_no_signal_is_false() -> None:
    """A visitor who sends nothing sends no signal."""
    assert not NO_SIGNALS


def test_absent_headers_are_no_signal() -> None:
    """Neither header: nothing is on."""
    assert read_signals((), None) == NO_SIGNALS


@modest
@given(st.lists(st.binary(max_size=6), max_size=4), st.none() | st.binary(max_size=4))
def test_reading_is_total(gpc: Sequence[bytes], dnt: bytes | None) -> None:
    """Whatever the header bytes are, each signal is read as on or off by its own rule."""
    found = read_signals(gpc, dnt)
    parts = [part for value in gpc for part in value.split(b",")]
    assert found.gpc == any(part.strip(b" \t") == b"1" for part in parts)
    assert found.dnt == (dnt is not None and dnt.startswith(b"1"))
