"""What the banner of a page holds, and what a site cannot make of it, over both adapters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from consent_middleware.errors import ConsentError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Client, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = (200, [HTML], [b"<!doctype html><html><head></head><body>Hi</body></html>"])
BANNER = re.compile(r'<section id="consent-banner".*?</section>', re.DOTALL)

ACCEPT = '<button type="submit" name="action" value="accept_all">Yes</button>'
REJECT = '<button type="submit" name="action" value="reject_all">No</button>'
LARGE = '<button type="submit" name="action" value="accept_all" class="large">Yes</button>'
CHOOSE = '<button type="submit" data-consent="preferences">Preferences</button>'
LATER = '<button type="submit" name="action" value="later">Ask me later</button>'


def banner_of(app: Client) -> ET.Element:
    """Return the banner as it stands in the page."""
    found = BANNER.search(app.visit().text)
    assert found
    return ET.fromstring(found[0])


@pytest.mark.conformance("EU-2", "CA-8", "ENF-5")
def test_the_first_layer_offers_no_and_yes_alike_and_nothing_that_closes_it(client: Client) -> None:
    """Two equal buttons, then the choice: no tick, no switch, no "later", no X."""
    banner = banner_of(client)
    reject, accept, choose = (dict(button.attrib) for button in banner.iter("button"))
    assert (reject.pop("value"), accept.pop("value")) == ("reject_all", "accept_all")
    assert reject == accept
    assert choose["data-consent"] == "preferences"
    assert list(banner.iter("input")) == []


@pytest.mark.conformance("CA-8", "EU-2")
@pytest.mark.parametrize(
    "buttons", [ACCEPT + CHOOSE, REJECT + LARGE, ACCEPT + LATER], ids=["only-choose", "larger-yes", "later"]
)
def test_a_template_of_unequal_buttons_does_not_start(serve: Serve, tmp_path: Path, buttons: str) -> None:
    """Accept beside preferences alone, a larger Yes, and "ask me later" in the place of No are refused."""
    markup = f'<section id="consent-banner"><form method="post" action="{{{{ urls.choice }}}}">{buttons}</form></section>'
    (tmp_path / "banner.html").write_text(markup)
    with pytest.raises(ConsentError):
        serve(PAGE, {"site": {"templates": str(tmp_path)}})


@pytest.mark.conformance("ENF-3")
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_the_first_layer_counts_the_partners_that_are_declared(serve: Serve, extra: int) -> None:
    """Advertising and measuring are named, and each further provider is one more."""
    more: list[dict[str, Any]] = [
        {"id": f"ads-{number}", "category": "marketing", "provider": f"Ads {number} Ltd"}
        for number in range(extra)
    ]
    text = " ".join("".join(banner_of(serve(PAGE, {"services": more})).itertext()).split())
    assert f"and {2 + extra} partners would also" in text
    assert "measure visits" in text
    assert "show relevant ads" in text


@pytest.mark.conformance("EU-4")
@pytest.mark.parametrize("units", [None, (), ("all",)], ids=["unanswered", "refused", "granted"])
def test_the_link_stands_on_every_page(client: Client, units: tuple[str, ...] | None) -> None:
    """Whatever the visitor has answered, the way to the preferences is there."""
    cookie = {} if units is None else {"cookie": client.granting(*units)}
    for path in ("/", "/a/b", "/_consent/preferences"):
        text = client.visit(path, cookie).text
        assert ('id="consent-link"' in text) or ('value="accept_all"' in text)


@pytest.mark.conformance("EU-4")
def test_withdrawing_is_one_press_like_accepting(client: Client) -> None:
    """The preferences page has a button that takes everything back, a plain form like Accept's."""
    page = client.visit("/_consent/preferences", {"cookie": client.granting("all")}).text
    (button,) = re.findall(r'<button[^>]*value="withdraw"[^>]*>', page)
    assert "hidden" not in button
