"""No violation that axe can find: banner, dialog and preferences page, light and dark, narrow and wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from browser.conftest import MakeVisit, Visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("shop", ["asgi"], indirect=True),  # the markup is the same under both servers
]
WIDTHS = (320, 1280)


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Literal["light", "dark"]:
    """A colour scheme."""
    found: Literal["light", "dark"] = request.param
    return found


@pytest.fixture(params=WIDTHS)
def seen(request: pytest.FixtureRequest, make_visit: MakeVisit, scheme: str) -> Visit:
    """A visitor with a screen of this width."""
    return make_visit(color_scheme=scheme, viewport={"width": request.param, "height": 800})


def violations(visit: Visit) -> list[str]:
    """Return what axe finds on the page, with the elements it concerns."""
    found = Axe().run(visit.page).response["violations"]
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in found for node in v["nodes"]]


def overflow(visit: Visit) -> int:
    """Return by how many pixels the page is wider than the screen."""
    width: int = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


@pytest.mark.conformance("A11Y-4")
def test_the_banner(seen: Visit) -> None:
    """A page that asks has no violation, and needs no sideways scrolling."""
    seen.go("/")
    assert violations(seen) == []
    assert overflow(seen) <= 0


@pytest.mark.conformance("A11Y-4")
def test_the_dialog(seen: Visit) -> None:
    """The open dialog has no violation, with its details folded out."""
    seen.go("/")
    seen.press("Choose")
    seen.page.locator("#consent-dialog[open]").wait_for()
    seen.page.locator("#consent-dialog summary").nth(1).click()
    assert violations(seen) == []


@pytest.mark.conformance("A11Y-4")
def test_the_preferences_page(seen: Visit) -> None:
    """The preferences page has no violation, and needs no sideways scrolling."""
    seen.go("/_consent/preferences")
    assert violations(seen) == []
    assert overflow(seen) <= 0


def test_the_demo_itself(make_visit: MakeVisit, scheme: str) -> None:
    """The demo's own pages have no violation once the choice is made."""
    visit = make_visit(color_scheme=scheme)
    visit.go("/")
    visit.accept()
    for path in ("/", "/product/cup", "/video", "/login", "/seen"):
        visit.go(path)
        assert violations(visit) == []
