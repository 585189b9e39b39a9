from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consent_middleware.codec import ChoiceCodec
from consent_middleware.policy import Choice, Rules
from consent_middleware.signals import NO_SIGNALS, Signals
from consent_middleware.visitor import CookieNames, Visitors
from helpers_core import NOW, SECRET, make_config

if TYPE_CHECKING:
    from consent_middleware.config import ConsentConfig

CONFIG = make_config(
    services=[
        {"id": "stats", "category": "analytics", "cookies": [{"name": "st"}], "sells_or_shares": False},
        {"id": "ads", "category": "marketing", "cookies": [{"name": "ad"}]},
    ]
)
ASKED = CONFIG.catalog.asked
DAY = 86_400


def visitors(config: ConsentConfig = CONFIG) -> Visitors:
    """Return who recognises a site's visitors."""
    return Visitors(config, Rules(), ChoiceCodec(config.catalog, [SECRET], config.site.id))


def cookie(
    *granted: str, at: int = NOW, name: str = "__Host-consent", config: ConsentConfig = CONFIG
) -> bytes:
    """Return a consent cookie that grants these units."""
    given = frozenset(granted)
    choice = Choice(given, config.catalog.asked - given, at, NO_SIGNALS, "p" * 16 if given else None)
    return f"{name}={ChoiceCodec(config.catalog, [SECRET], config.site.id).encode(choice)}".encode()


def granted(header: bytes | None, *, secure: bool = True, now: float = NOW) -> set[str]:
    """Return what the sender of these cookies has granted."""
    seen = visitors().see(header, None, None, secure=secure, now=now)
    return set(seen.visitor.decision.granted - CONFIG.catalog.always)


# -- names


@pytest.mark.parametrize(
    ("names", "https", "http"),
    [
        (CookieNames(), "__Host-consent", "consent"),
        (CookieNames("-shop"), "__Host-consent-shop", "consent-shop"),
        (CookieNames("", "shop.example"), "__Secure-consent", "consent"),
        (CookieNames("-a", "shop.example"), "__Secure-consent-a", "consent-a"),
    ],
)
def test_what_the_cookie_is_called(names: CookieNames, https: str, http: str) -> None:
    """The name follows the scheme, the site's id and its domain."""
    assert (names.name(secure=True), names.name(secure=False)) == (https, http)
    assert {https, http} <= names.all


@pytest.mark.parametrize(
    ("names", "secure", "written"),
    [
        (CookieNames(), True, b"__Host-consent=v; Max-Age=60; Path=/; SameSite=Lax; Secure"),
        (CookieNames(), False, b"consent=v; Max-Age=60; Path=/; SameSite=Lax"),
        (
            CookieNames("", "a.example"),
            True,
            b"__Secure-consent=v; Max-Age=60; Path=/; SameSite=Lax; Domain=a.example; Secure",
        ),
    ],
)
@pytest.mark.conformance("COOKIE-6")
def test_how_the_cookie_is_set(*, names: CookieNames, secure: bool, written: bytes) -> None:
    """COOKIE-6: SameSite=Lax, Path=/, Secure on HTTPS, and readable by the page."""
    assert names.set_cookie("v", secure=secure, max_age_s=60) == written


@pytest.mark.conformance("COOKIE-3")
def test_how_the_cookie_is_removed() -> None:
    """A deletion meets the rules of the prefix, and names the domain."""
    found = CookieNames("", "a.example").deletion(secure=True)
    assert found.startswith(b"__Secure-consent=; Path=/;")
    assert found.endswith(b"Domain=a.example; Secure")


# -- recognising


@pytest.mark.parametrize(
    ("header", "units"),
    [
        (None, set()),
        (b"", set()),
        (b"a=1", set()),
        (cookie("stats", "analytics"), {"stats", "analytics"}),
        (b"a=1; " + cookie("stats") + b" ;b=2", {"stats"}),
        (b"a=1;" + cookie("stats"), {"stats"}),
        (cookie("stats", name="consent"), set()),
        (cookie("stats", name="x__Host-consent"), set()),
        (b"x=__Host-consent=" + cookie("stats"), set()),
        (b"__Host-consent=garbage", set()),
        (cookie("stats") + b"x", set()),
        (b'__Host-consent="' + cookie("stats").partition(b"=")[2] + b'"', set()),
    ],
)
def test_who_a_visitor_is(header: bytes | None, units: set[str]) -> None:
    """Only a true cookie of the right name grants; everything else is unanswered, never an error."""
    assert granted(header) == units


def test_plain_http_has_a_cookie_of_its_own() -> None:
    """Without TLS the cookie without prefix counts."""
    assert granted(cookie("stats", name="consent"), secure=False) == {"stats"}


@pytest.mark.parametrize(
    ("first", "second", "units"),
    [
        (cookie("stats"), cookie(), set()),
        (cookie(), cookie("stats"), set()),
        (cookie("stats", "ads"), cookie("stats"), {"stats"}),
        (cookie("stats"), b"__Host-consent=forged", {"stats"}),
        (cookie("ads", at=NOW - 5), cookie("stats", at=NOW - 1), {"stats"}),
    ],
)
def test_of_duplicates_the_strictest_counts(first: bytes, second: bytes, units: set[str]) -> None:
    """The most restrictive valid one counts, of equals the newest."""
    assert granted(first + b"; " + second) == units


@pytest.mark.parametrize(("later", "units"), [(180 * DAY - 1, {"stats"}), (180 * DAY, set())])
def test_a_remembered_visitor_expires(later: int, units: set[str]) -> None:
    """What is remembered by the cookie's value still ends on its day."""
    subject = visitors()
    for now in (NOW, NOW + later):
        seen = subject.see(cookie("stats"), None, None, secure=True, now=now)
    assert set(seen.visitor.decision.granted - CONFIG.catalog.always) == units


def test_an_expired_duplicate_does_not_hide_a_living_one() -> None:
    """Only valid cookies are compared: an expired refusal does not void today's answer."""
    header = cookie(at=NOW - 200 * DAY) + b"; " + cookie("stats")
    assert granted(header) == {"stats"}


def test_signals_are_read_beside_the_cookie() -> None:
    """The headers of the request count with the stored answer."""
    seen = visitors().see(cookie("stats", "ads"), b"1", b"0", secure=True, now=NOW)
    assert seen.visitor.signals == Signals(gpc=True)
    assert seen.visitor.decision.granted >= {"stats"}
    assert "ads" not in seen.visitor.decision.granted


def test_the_same_visitor_is_the_same_object() -> None:
    """A second request costs a look-up."""
    subject = visitors()
    header = cookie("stats")
    first = subject.see(header, None, None, secure=True, now=NOW)
    assert subject.see(bytes(bytearray(header)), None, None, secure=True, now=NOW + 5) is first


def test_nobody_is_the_same_object() -> None:
    """A request without cookies and signals is decided before it comes."""
    subject = visitors()
    first = subject.see(None, None, None, secure=True, now=NOW)
    assert subject.see(None, None, None, secure=False, now=NOW) is first


def test_a_huge_header_is_read_and_not_remembered() -> None:
    """Nobody fills the memory with long headers."""
    subject = visitors()
    header = b"x=" + b"y" * 10_000 + b"; " + cookie("stats")
    seen = subject.see(header, None, None, secure=True, now=NOW)
    assert "stats" in seen.visitor.decision.granted
    assert subject._look.cache_info().currsize == 0


@pytest.mark.parametrize(
    ("header", "visible"),
    [
        (b"a=1", b"a=1"),
        (b"ad=1; a=1", b"a=1"),
        (cookie("ads", "marketing") + b"; ad=1; st=2", b"ad=1"),
        (b"__Host-consent=x; consent=y; a=1", b"a=1"),
    ],
)
def test_what_the_app_may_see(header: bytes, visible: bytes) -> None:
    """The header comes filtered for this visitor, the consent cookie gone."""
    seen = visitors().see(header, None, None, secure=True, now=NOW)
    assert (seen.visible, seen.hides) == (visible, visible != header)


def test_report_mode_shows_everything_but_our_own() -> None:
    """In mode `report` nothing of the site's is hidden."""
    config = make_config(
        site={"mode": "report"},
        services=[{"id": "ads", "category": "marketing", "cookies": [{"name": "ad"}]}],
    )
    seen = visitors(config).see(b"ad=1; consent=x", None, None, secure=True, now=NOW)
    assert seen.visible == b"ad=1"


@pytest.mark.parametrize(
    ("header", "unreadable"),
    [
        (b"__Host-consent=v1.forged", True),
        (b"__Host-consent=somebody-elses", False),
        (cookie("stats"), False),
        (b"a=1", False),
        (b"consent=v1.forged", False),
    ],
)
def test_a_cookie_of_ours_that_cannot_be_trusted(*, header: bytes, unreadable: bool) -> None:
    """A cookie that looks like ours and is not true is told apart from none."""
    assert visitors().see(header, None, None, secure=True, now=NOW).unreadable is unreadable
