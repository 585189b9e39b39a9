"""Opt-out signals: no banner, marketing denied, nothing stored about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
@pytest.mark.parametrize("path", ["/", "/about", "/error"])
def test_the_signal_is_answer_enough(signalling: Visit, path: str) -> None:
    """With the signal on there is no banner, on personal and on shared pages."""
    signalling.go(path)
    assert signalling.page.locator("#consent-banner").is_hidden()
    signalling.errors.clear()


def test_the_signal_denies_and_stores_nothing(signalling: Visit) -> None:
    """With the signal on nothing loads and no cookie is set, not even one that says so."""
    for path in ("/", "/product/cup", "/video", "/newsletter"):
        signalling.go(path)
    assert signalling.cookies() == set()
    assert signalling.tracked() == []


def test_the_signal_denies_marketing_in_words(signalling: Visit) -> None:
    """The app is told that the signal is why."""
    signalling.go("/seen")
    row = signalling.page.get_by_role("row", name="meta-pixel no")
    assert "opt-out signal" in row.inner_text()


@pytest.mark.conformance("ROW-2")
def test_the_signal_is_shown_as_honoured(signalling: Visit) -> None:
    """The page says that the signal is honoured."""
    signalling.go("/")
    signalling.page.get_by_text("Opt-Out Preference Signal Honored").wait_for()


def test_the_visitor_can_allow_despite_the_signal(signalling: Visit) -> None:
    """What the visitor allows by hand in the preferences holds over the signal."""
    signalling.go("/")
    signalling.open_dialog()
    signalling.press("Accept all")
    signalling.page.locator("#consent-dialog").wait_for(state="detached")
    signalling.go("/newsletter")
    assert "_fbp" in signalling.cookies()
