"""The demo's command: what it prints, taken ports, a clean end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser.conftest import Shop, Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # the port is taken before either server is made
def test_a_taken_port_is_stepped_over(shop: Shop) -> None:
    """Asked for a port that is taken, the demo takes a later one."""
    other = shop.another(shop.port)
    assert other.port > shop.port
    other.stop()


def test_ctrl_c_ends_it_cleanly(shop: Shop) -> None:
    """Ctrl-C ends the demo with exit code 0 and not a word of error."""
    other = shop.another()
    with urlopen(f"http://127.0.0.1:{other.port}/about", timeout=15) as answer:
        assert answer.status == 200
    assert other.stop(signal.SIGINT) == (0, "")


@pytest.mark.parametrize("shop", ["wsgi"], indirect=True)  # the same page under both servers
def test_the_demo_shows_what_the_tracker_has_seen(visit: Visit) -> None:
    """The page behind the scenes lists what the tracker was asked for."""
    visit.go("/product/teapot")
    visit.accept()
    visit.await_tracked("/pixel.gif?by=meta&product=teapot")
    visit.go("/seen")
    expect(visit.page.get_by_role("cell", name="product=teapot").first).to_be_visible()
