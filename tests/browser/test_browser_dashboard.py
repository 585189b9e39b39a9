"""The owner's view of the records in a real browser: no violation, nothing loaded, under the strictest policy."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import pytest

from browser.conftest import overflow, violations
from consent_middleware.records.dashboard import render_dashboard
from consent_middleware.records.statistics import Rates, Refused, Statistics

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.browser

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
URL = "http://records.shop.test/"
GROUPS = tuple(Rates(f"group-{number}", 400 + number, 30, 200, 5) for number in range(10))
FULL = Statistics(
    since="2026-09-01",
    until="2026-11-29",
    total=60_000,
    days=tuple(
        Rates(f"2026-{month:02}-{day:02}", 300, 90, day * 9, 3)
        for month in (9, 10, 11)
        for day in range(1, 30)
    ),
    languages=GROUPS,
    regions=GROUPS[:3],
    regimes=GROUPS[:1],
    methods=GROUPS[:4],
    gpc=25,
    dnt=-1,
    refused=(Refused("meta-pixel", 80, 60), Refused("a-service-with-a-long-name" * 3, 1_000, 1)),
    sampled=60_000,
    erased=1,
    restricted=2,
)


# Colours do not depend on the width, nor sizes on the scheme: two pairs show all four.
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_the_dashboard(browser: Browser, scheme: Literal["light", "dark"], width: int) -> None:
    """It is styled, asks and complains of nothing, has no violation folded out, and scrolls only up and down."""
    asked: list[str] = []
    complaints: list[str] = []
    body = render_dashboard("Example Shop", FULL, names={"meta-pixel": "Meta Pixel"})

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(
            body=body, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY}
        )

    with ExitStack() as stack:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        stack.callback(context.close)
        context.route("**", answer)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(URL)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)" if scheme == "light" else "rgb(25, 29, 38)"
        )
        assert violations(page) == []
        assert overflow(page) <= 0
        assert (asked, complaints) == ([URL], [])
