"""Opt-out signals: no banner, marketing denied, nothing stored about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.conftest import until

if TYPE_CHECKING:
    from browser.conftest import MakeVisit, Visit

pytestmark = pytest.mark.browser

GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"


@pytest.fixture
def signalling(make_visit: MakeVisit) -> Visit:
    """A visitor whose browser sends Global Privacy Control, as a header and to scripts."""
    visit = make_visit(extra_http_headers={"Sec-GPC": "1"})
    visit.context.add_init_script(GPC)
    return visit


@pytest.mark.conformance("GPC-7", "ROW-2")
def test_the_signal_is_answer_enough(signalling: Visit) -> None:
    """No banner on personal, shared and failing pages, the status says why, nothing loads, and no cookie is set."""
    signalling.go("/")
    signalling.page.get_by_text("Opt-Out Preference Signal Honored").wait_for()
    for path in ("/", "/about", "/error", "/product/cup", "/video", "/newsletter"):
        signalling.go(path)
        signalling.settle()
        assert signalling.page.locator("#consent-banner").is_hidden()
    signalling.errors.clear()  # the browser itself reports the page that fails
    signalling.go("/seen")
    assert "opt-out signal" in signalling.page.get_by_role("row", name="meta-pixel no").inner_text()
    assert signalling.cookies() == set()
    assert signalling.tracked() == []


def test_the_visitor_can_allow_despite_the_signal(signalling: Visit) -> None:
    """What the visitor allows by hand in the preferences holds over the signal."""
    signalling.go("/")
    signalling.open_dialog()
    signalling.press("Accept all")
    signalling.page.locator("#consent-dialog").wait_for(state="detached")
    signalling.go("/newsletter")
    assert "_fbp" in until(signalling.page, signalling.cookies, lambda found: "_fbp" in found)
