from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browser_jar import cookie_date, pieces, read_set_cookie
from consent_middleware.cookies import (
    cookie_pairs,
    deletion,
    is_deletion,
    pair_name,
    set_cookie_name,
)
from helpers_core import NOW, modest

PAST, FUTURE = b"Thu, 01 Jan 1970 00:00:00 GMT", b"Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize(
    ("piece", "name"),
    [
        (b"a=1", "a"),
        (b" a = 1", "a"),
        (b"\ta\t=1", "a"),
        (b"a b=1", "a b"),
        (b"a=b=c", "a"),
        (b"=1", ""),
        (b"nameless", ""),
        (b"", ""),
        (b"\xe4=1", "\xe4"),
        (b"\x0ba=1", "\x0ba"),
    ],
)
def test_a_pairs_name(piece: bytes, name: str) -> None:
    """The name is what stands before the first equals sign, without blanks and tabs."""
    assert pair_name(piece) == name


def test_cookie_pairs_keep_order_and_duplicates() -> None:
    """Every pair is seen, the same name twice included; a piece without a name is left out."""
    assert list(cookie_pairs(b"a=1; b=2;a=3 ; x; =y;")) == [("a", b"1"), ("b", b"2"), ("a", b"3"), ("", b"y")]


@modest
@given(st.binary(max_size=60))
def test_cookie_pairs_as_an_independent_parser_reads_them(header: bytes) -> None:
    """Names and values are those that a plain reading of RFC 6265bis gives."""
    expected = [(n, v.encode("latin-1")) for raw, n, v in pieces(header.decode("latin-1")) if "=" in raw]
    assert list(cookie_pairs(header)) == expected


@modest
@given(st.binary(max_size=60))
def test_the_name_a_set_cookie_sets(header: bytes) -> None:
    """The name is that of an independent parser, whatever the bytes."""
    assert set_cookie_name(header) == read_set_cookie(header.decode("latin-1")).name


@pytest.mark.conformance("COOKIE-1")
@pytest.mark.parametrize(
    ("attributes", "deletes"),
    [
        (b"", False),
        (b"; Path=/", False),
        (b"; Max-Age=0", True),
        (b"; max-age=-1", True),
        (b"; Max-Age=00", True),
        (b"; Max-Age=-0", True),
        (b"; Max-Age=1", False),
        (b"; Max-Age=01", False),
        (b"; Max-Age=" + b"9" * 500, False),
        (b"; Max-Age=" + b"0" * 500, True),
        (b"; Max-Age=" + b"0" * 1_025, False),
        (b"; Max-Age=", False),
        (b"; Max-Age", False),
        (b"; Max-Age=+0", False),
        (b"; Max-Age=0.5", False),
        (b"; Max-Age=0x", False),
        (b"; Max-Age= 0 ", True),
        (b";Max-Age\t=\t0", True),
        (b"; Expires=" + PAST, True),
        (b"; Expires=" + FUTURE, False),
        (b"; Expires=0", False),
        (b"; Expires=-1", False),
        (b"; Expires=", False),
        (b"; Expires=yesterday", False),
        (b"; Max-Age=0; Expires=" + FUTURE, True),
        (b"; Expires=" + FUTURE + b"; Max-Age=0", True),
        (b"; Max-Age=60; Expires=" + PAST, False),
        (b"; Expires=" + PAST + b"; Max-Age=60", False),
        (b"; Max-Age=x; Expires=" + PAST, False),
        (b"; Max-Age=0; Max-Age=60", False),
        (b"; Max-Age=60; Max-Age=0", False),
        (b"; Max-Age=0; Max-Age=x", False),
        (b"; Max-Age=0; Max-Age", False),
        (b"; Max-Age=0; max-age=0", True),
        (b"; Expires=" + PAST + b"; Expires=" + FUTURE, False),
        (b"; Expires=" + PAST + b"; Expires=never", False),
        (b"; X-Max-Age=0", False),
        (b"; Path=/Max-Age=0", False),
    ],
)
def test_what_deletes(*, attributes: bytes, deletes: bool) -> None:
    """COOKIE-1: Max-Age beats Expires; of each the last valid one counts."""
    assert is_deletion(b"a=1" + attributes, NOW) is deletes


def test_the_value_is_no_attribute() -> None:
    """What stands before the first semicolon is the cookie, whatever it looks like."""
    assert not is_deletion(b"Max-Age=0", NOW)


@pytest.mark.conformance("COOKIE-1")
@pytest.mark.parametrize(
    ("date", "past"),
    [
        (b"Thu, 01 Jan 1970 00:00:00 GMT", True),
        (b"Thu, 01-Jan-1970 00:00:01 GMT", True),
        (b"Thu, 01-Jan-70 00:00:00 GMT", True),
        (b"Thursday, 01-Jan-70 00:00:00 GMT", True),
        (b"Thu Jan  1 00:00:00 1970", True),
        (b"Thu Jan 01 1970 00:00:00 GMT+0000", True),
        (b"1 January 1970 0:0:0", True),
        (b"00:00:00 1970 1 jan", True),
        (b"01 Jan 69 00:00:00", False),
        (b"01 Jan 1600 00:00:00", False),
        (b"01 Jan 1601 00:00:00", True),
        (b"31 Feb 1970 00:00:00", False),
        (b"32 Jan 1970 00:00:00", False),
        (b"01 Jan 1970 24:00:00", False),
        (b"01 Jan 1970 00:60:00", False),
        (b"01 Jan 1970 00:00", False),
        (b"01 Jan 1970", False),
        (b"Jan 1970 00:00:00", False),
        (b"1970-01-01T00:00:00Z", False),
        (b"01 Jan 19700 00:00:00", False),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", False),
    ],
)
def test_dates_as_browsers_read_them(*, date: bytes, past: bool) -> None:
    """RFC 6265bis 5.6.1: any order, any separator, no zone; what is no date does not expire."""
    assert is_deletion(b"a=; Expires=" + date, NOW) is past


def test_a_date_counts_to_the_second() -> None:
    """A cookie expires at its date, not before."""
    value = b"a=; Expires=Thu, 28 May 2026 20:26:40 GMT"
    assert cookie_date("28 May 2026 20:26:40") == NOW
    assert not is_deletion(value, NOW - 1)
    assert is_deletion(value, NOW)


attribute = st.sampled_from(
    ["Max-Age=0", "max-age=-5", "Max-Age=60", "Max-Age=x", "Max-Age", "Path=/", "Secure", "", " ", "=", "Expires"]
) | st.builds(
    "Expires={}".format,
    st.lists(
        st.sampled_from(
            ["Thu,", "01", "1", "28", "31", "Jan", "may-2026", "FEBRUARY", "1970", "70", "2100", "00:00:00", "23:59:61",
             "20:26:40x", "1:2:3", "GMT", "+0200", "12:00", "2026-05-28", "\xe4", "1:2:3:4", "100"]
        ),
        max_size=6,
    ).map(" ".join),
)  # fmt: skip


@modest
@given(st.lists(attribute, max_size=5), st.sampled_from(["; ", ";", " ;\t"]))
def test_deletions_as_an_independent_parser_reads_them(attributes: list[str], join: str) -> None:
    """What is called a deletion is one to a browser, for any attributes."""
    header = join.join(["a=1", *attributes])
    assert not is_deletion(header.encode("latin-1"), NOW) or read_set_cookie(header).gone_at(NOW)


@modest
@given(attribute)
def test_a_single_attribute_as_an_independent_parser_reads_it(text: str) -> None:
    """With one attribute there is nothing to disagree about: deletions are found, too."""
    header = f"a=1; {text}"
    assert is_deletion(header.encode("latin-1"), NOW) == read_set_cookie(header).gone_at(NOW)


@modest
@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_text_as_a_date(text: str) -> None:
    """No date text raises, and each is read as the plain algorithm reads it."""
    text = text.replace(";", "")
    moment = cookie_date(text)
    expected = moment is not None and moment <= NOW
    assert is_deletion(f"a=1; Expires={text}".encode("latin-1"), NOW) == expected


@pytest.mark.parametrize(
    ("given_", "written"),
    [
        ({"secure": False}, b"a=; Path=/; Expires=%s; Max-Age=0" % PAST),
        ({"secure": True}, b"a=; Path=/; Expires=%s; Max-Age=0; Secure" % PAST),
        (
            {"secure": False, "path": "/x", "domain": "shop.example"},
            b"a=; Path=/x; Expires=%s; Max-Age=0; Domain=shop.example" % PAST,
        ),
        (
            {"secure": True, "partitioned": True},
            b"a=; Path=/; Expires=%s; Max-Age=0; Secure; SameSite=None; Partitioned" % PAST,
        ),
    ],
)
def test_a_deletion_as_written(given_: dict[str, object], written: bytes) -> None:
    """A deletion names its variant completely, and nothing else."""
    assert deletion("a", **given_) == written  # type: ignore[arg-type]


@pytest.mark.conformance("COOKIE-3")
@pytest.mark.parametrize("name", ["__Host-a", "__host-a", "__Secure-a", "__SECURE-a"])
def test_prefixed_names_are_deleted_securely(name: str) -> None:
    """COOKIE-3: without Secure a browser ignores a prefixed deletion, so it is always there."""
    assert deletion(name, secure=False).endswith(b"; Secure")
