"""No violation that axe can find: banner, dialog and preferences page, light and dark, narrow and wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.conftest import overflow, violations

if TYPE_CHECKING:
    from browser.conftest import MakeVisit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("shop", ["asgi"], indirect=True),  # the markup is the same under both servers
]


# Colours do not depend on the width, nor sizes on the scheme: two pairs show all four.
@pytest.mark.conformance("A11Y-4")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_banner_dialog_and_preferences_page(make_visit: MakeVisit, scheme: str, width: int) -> None:
    """Each, the dialog with its details folded out, has no violation, and no page needs sideways scrolling."""
    visit = make_visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    visit.go("/")
    assert violations(visit.page) == []
    assert overflow(visit.page) <= 0
    visit.choose()
    visit.page.locator("#consent-dialog summary").nth(1).click()
    assert violations(visit.page) == []
    visit.go("/_consent/preferences")
    assert violations(visit.page) == []
    assert overflow(visit.page) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_demo_itself(make_visit: MakeVisit, scheme: str) -> None:
    """The demo's own pages have no violation once the choice is made."""
    visit = make_visit(color_scheme=scheme)
    visit.go("/")
    visit.accept()
    # What is not colour is the same in the dark.
    rules = ("color-contrast", "link-in-text-block") if scheme == "dark" else ()
    for path in ("/", "/product/cup", "/video", "/login", "/seen"):
        visit.go(path)
        assert violations(visit.page, rules) == []
