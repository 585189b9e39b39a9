"""The demo's gallery, in a browser: frames that show banners on a page that stays the shop's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import overflow, violations
from examples.shop.gallery import LANGUAGES, LOOKS, POSITIONS, Setting, sections

if TYPE_CHECKING:
    from browser.conftest import MakeVisit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("shop", ["asgi"], indirect=True)  # the same page under both servers
def test_the_gallery_shows_its_frames(make_visit: MakeVisit) -> None:
    """Everything has a card, what comes into view shows a banner, axe finds nothing, and nobody is tracked."""
    visit = make_visit(viewport={"width": 1280, "height": 1800}, color_scheme="dark")
    page = visit.page
    visit.go("/gallery")
    visit.reject()
    for section in sections(Setting()):
        assert page.locator(f"#{section.id} iframe").count() == len(section.cards)
    for title in ("Themes: ocean, light", "Themes: contrast, dark", "Positions: corner"):
        page.get_by_title(title, exact=True).scroll_into_view_if_needed()
        frame = page.frame_locator(f'[title="{title}"]')
        expect(frame.get_by_text("Reject all", exact=True)).to_be_visible()
    last = page.locator("#languages iframe").last
    last.scroll_into_view_if_needed()
    expect(last.content_frame.locator('#consent-banner[lang="zh-Hant"]')).to_be_visible()
    assert violations(page) == []
    assert visit.tracked() == []
    assert len({*LANGUAGES}) + len(POSITIONS) + len(LOOKS) <= page.locator(".looks iframe").count()


@pytest.mark.parametrize("shop", ["wsgi"], indirect=True)
def test_the_gallery_needs_no_scripts_and_no_wide_screen(make_visit: MakeVisit) -> None:
    """With scripts off, on a small screen, the form chooses another language; a name opens its look alone."""
    visit = make_visit(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = visit.page
    visit.go("/about")
    visit.press("Reject all")
    visit.go("/gallery")
    page.locator("[name=language]").select_option("ar")
    page.locator("[name=width]").select_option("narrow")
    visit.press("Show")
    frame = page.frame_locator('[title="Themes: auto, light"]')
    expect(frame.locator('#consent-banner[lang="ar"][dir="rtl"]')).to_be_visible()
    assert overflow(page) == 0
    visit.go(page.get_by_role("link", name="Preferences, answered").get_attribute("href") or "")
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator("#consent-form")).to_have_count(1)
