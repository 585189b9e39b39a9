"""Both adapters decide alike: every regime, signal and stored answer, the same headers and bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from conftest import NOW, Serve
from consent_middleware.policy import Choice
from consent_middleware.regions import Regime
from consent_middleware.signals import NO_SIGNALS, Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Client, Response

HTML = ("Content-Type", "text/html; charset=utf-8")
PIXEL = b'<img src="https://www.facebook.com/tr?id=1" width="1" height="1">'
PAGE = b'<!doctype html><html lang="en"><head></head><body><p>Hi</p>' + PIXEL + b"</body></html>"
COOKIES = [("Set-Cookie", "_fbp=1; Max-Age=60"), ("Set-Cookie", "basket=2"), ("Set-Cookie", "hs_1=3")]
DAY = 86_400
PRINCIPAL = "abcdefghijklmnop"

SIGNALS = {
    "none": {},
    "gpc": {"sec-gpc": "1"},
    "dnt": {"dnt": "1"},
    "both": {"sec-gpc": "1", "dnt": "1"},
}
# Whether the pixel loads: a character for each of the signals above, in their order.
OPT_IN, OPEN = 0, 1
LIVE = {
    "nothing": ("----", "x---"),
    "yes": ("x---", "x---"),
    "yes under gpc": ("xx--", "x---"),  # where silence allows, it stands for known users only
    "yes, ended": ("----", "----"),
    "no": ("----", "----"),
    "no by a signal": ("----", "----"),
    "no, a month old": ("----", "----"),
    "unreadable": ("----", "----"),
}
# Whether the consent cookie is written, likewise, to make an opt-out or to keep one; "d" where it is deleted.
WRITTEN = {
    "nothing": ("----", "-xxx"),
    "yes": ("----", "-xxx"),
    "yes under gpc": ("----", "-xxx"),
    "yes, ended": ("----", "xxxx"),
    "no": ("----", "----"),
    "no by a signal": ("----", "xxxx"),  # its record is made now
    "no, a month old": ("----", "xxxx"),
    "unreadable": ("dddd", "xxxx"),
}


class Both(NamedTuple):
    """One site behind each adapter."""

    regime: Regime
    asgi: Client
    wsgi: Client
    answers: dict[tuple[str, str], tuple[Response, Response]]

    def visit(self, signal: str, stored: str) -> tuple[Response, Response]:
        """Return what each answers to the same visitor; they are asked once, and every test looks at the same."""
        if (signal, stored) not in self.answers:
            cookie = f"{answer(self.asgi, stored)}_fbp=9; basket=8; hs_1=7"
            headers = {"cookie": cookie, **SIGNALS[signal]}
            self.answers[signal, stored] = (
                self.asgi.visit("/shop", headers),
                self.wsgi.visit("/shop", headers),
            )
        return self.answers[signal, stored]

    def expected(self, table: dict[str, tuple[str, str]], signal: str, stored: str) -> str:
        """Return what a table says."""
        row = table[stored][OPT_IN if self.regime is Regime.OPT_IN else OPEN]
        return row[list(SIGNALS).index(signal)]


def answer(client: Client, stored: str) -> str:
    """Return the consent cookie of a visitor, ready to have others joined."""
    if stored in {"nothing", "unreadable"}:
        return "__Host-consent=v1.AAAAAAAA.0000..6a000000..forged; " if stored == "unreadable" else ""
    asked = client.site.catalog.asked
    granted = asked if stored.startswith("yes") else frozenset[str]()
    days = {"yes, ended": 180, "no, a month old": 31}.get(stored, 1)
    by_signal = stored == "no by a signal"
    choice = Choice(
        granted=granted,
        refused=asked - granted,
        at=NOW - days * DAY,
        signals=Signals(gpc=True) if by_signal or stored == "yes under gpc" else NO_SIGNALS,
        principal=PRINCIPAL if granted else None,
        by_signal=by_signal,
        pending=by_signal,
    )
    written = client.site.choices.cookie(choice, Regime.OPT_OUT, secure=True)
    return written.decode().partition(";")[0] + "; "


@pytest.fixture(scope="module", params=list(Regime))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The same site behind each adapter, made once a regime."""
    serves = [Serve(kind, tmp_path_factory.mktemp(kind)) for kind in ("asgi-asyncio", "wsgi")]
    changes = {"site": {"regime": request.param.value}, "signals": {"tk": True}}
    clients = [serve((200, [HTML, *COOKIES], [PAGE]), changes) for serve in serves]
    yield Both(request.param, clients[0], clients[1], {})
    for serve, client in zip(serves, clients, strict=True):
        client.site.background.drain()
        serve.close()


@pytest.mark.parametrize("stored", LIVE)
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_same_bytes(both: Both, signal: str, stored: str) -> None:
    """Status, headers in their order and body: what one adapter answers the other does."""
    asgi, wsgi = both.visit(signal, stored)
    assert (asgi.status, asgi.headers, asgi.body) == (wsgi.status, wsgi.headers, wsgi.body)


@pytest.mark.parametrize("stored", LIVE)
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_same_decision(both: Both, signal: str, stored: str) -> None:
    """The pixel loads, and its cookie is set, where the table says so; what is essential always is."""
    for response in both.visit(signal, stored):
        live = both.expected(LIVE, signal, stored) == "x"
        assert (PIXEL in response.body) is live
        assert ("_fbp=1; Max-Age=60" in response.all("set-cookie")) is live
        assert "basket=2" in response.all("set-cookie")


@pytest.mark.parametrize("stored", LIVE)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.conformance("COOKIE-6")
def test_the_same_cookie_is_written(both: Both, signal: str, stored: str) -> None:
    """COOKIE-6: an opt-out is stored where the table says so, once, with every attribute."""
    expected = {
        "x": ["Max-Age=34560000; Path=/; SameSite=Lax; Secure"],
        "d": ["Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure"],
        "-": [],
    }[both.expected(WRITTEN, signal, stored)]
    for response in both.visit(signal, stored):
        values = [v for v in response.all("set-cookie") if v.startswith("__Host-consent=")]
        assert [value.partition("; ")[2] for value in values] == expected


@pytest.mark.parametrize("stored", LIVE)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.conformance("GPC-5")
def test_the_same_caching(both: Both, signal: str, stored: str) -> None:
    """GPC-5: a page made for one visitor says so, whatever was decided for them."""
    for response in both.visit(signal, stored):
        assert response.get("vary") == "Sec-GPC, DNT, Cookie"
        assert response.get("cache-control") == "private"
        assert response.get("tk") in {"N", "T", "C"}


@pytest.mark.parametrize("stored", LIVE)
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_same_state(both: Both, signal: str, stored: str) -> None:
    """`state.json` says the same from both."""
    headers = {"cookie": answer(both.asgi, stored), **SIGNALS[signal]}
    asgi, wsgi = (client.get("/_consent/state.json", headers) for client in (both.asgi, both.wsgi))
    assert (asgi.status, asgi.headers, asgi.body) == (wsgi.status, wsgi.headers, wsgi.body)
    assert ("meta-pixel" in asgi.json()["granted"]) is (both.expected(LIVE, signal, stored) == "x")
