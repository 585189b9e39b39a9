"""GPC-1, GPC-2 and DNT-1 as tables."""

from __future__ import annotations

import pytest

from consent_middleware.signals import read_signals


@pytest.mark.conformance("GPC-1")
@pytest.mark.parametrize(
    ("value", "on"),
    [
        (b"1", True),
        (b"0", False),
        (b"true", False),
        (b"01", False),
        (b"1;x", False),
        (b"1;", False),
        (b"", False),
        (b" ", False),
        (b"11", False),
        (b"+1", False),
        (b"1.0", False),
        (b'"1"', False),
        (b"?1", False),
        (b"\xb9", False),
        (b"1\x00", False),
    ],
)
def test_gpc_1_only_exactly_one(*, value: bytes, on: bool) -> None:
    """GPC-1: the signal is on only for the exact value 1."""
    assert read_signals((value,), None).gpc is on


@pytest.mark.conformance("GPC-2")
@pytest.mark.parametrize(
    ("values", "on"),
    [
        ((), False),
        ((b"0", b"1"), True),
        ((b"1", b"0"), True),
        ((b"0", b"0"), False),
        ((b"0,1",), True),
        ((b"0, 1",), True),
        ((b"1\t,0",), True),
        ((b"0,,1",), True),
        ((b"0,1;x",), False),
        ((b",",), False),
        ((b"x", b"y", b" 1 "), True),
    ],
)
def test_gpc_2_several_fields(*, values: tuple[bytes, ...], on: bool) -> None:
    """GPC-2: of several field values, joined by a server or not, one exact 1 is enough."""
    assert read_signals(values, None).gpc is on


@pytest.mark.conformance("DNT-1")
@pytest.mark.parametrize(
    ("value", "on"),
    [
        (None, False),
        (b"", False),
        (b"1", True),
        (b"1xyz", True),
        (b"10", True),
        (b"0", False),
        (b"01", False),
        (b" 1", False),
        (b"yes", False),
        (b"null", False),
    ],
)
def test_dnt_1_only_the_first_character(*, value: bytes | None, on: bool) -> None:
    """DNT-1: only the first character counts."""
    assert read_signals((), value).dnt is on


@pytest.mark.conformance("DNT-1")
def test_dnt_1_zero_leaves_gpc_alone() -> None:
    """DNT-1: `DNT: 0` is never consent; it does not switch another signal off."""
    found = read_signals((b"1",), b"0")
    assert found.gpc
    assert not found.dnt
