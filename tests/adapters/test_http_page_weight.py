"""What a page weighs with us, over the served bytes: for who is asked, and for who has answered."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest

from consent_middleware.texts import available_languages

if TYPE_CHECKING:
    from conftest import Client, Serve

HEAD, BODY = "<!doctype html><html><head>", "</head><body><h1>Shop</h1>"
END = "</body></html>"
PAGE = (200, [("Content-Type", "text/html; charset=utf-8")], [f"{HEAD}{BODY}{END}".encode()])
USED = [
    *("google-analytics", "hotjar", "matomo", "microsoft-clarity", "meta-pixel", "linkedin-insight"),
    *("tiktok-pixel", "pinterest-tag", "youtube", "vimeo", "google-maps", "stripe"),
]
MARKUP_LIMIT = 4_000
CODE_LIMIT = 9_000
BYTES_A_SERVICE = 45
DECIDED_LIMIT = 500


@pytest.fixture
def busy(serve: Serve) -> Client:
    """A site in every language that asks about a dozen services."""
    site = {"languages": list(available_languages()), "language_from": "visitor", "policy_url": "/privacy"}
    return serve(PAGE, {"use": USED, "site": site})


def added(page: str) -> tuple[str, str]:
    """Return what was put into the head and into the body."""
    head, _, body = page.removeprefix(HEAD).partition("</head><body>")
    return head, body.replace("<h1>Shop</h1>", "").removesuffix(END)


def weight(text: str) -> int:
    """Return the bytes of a text, packed as a server packs a page."""
    return len(gzip.compress(text.encode(), 6, mtime=0))


def test_the_markup_is_light_in_every_language(busy: Client) -> None:
    """What a page carries for who is asked is at most 4 kB as served, whichever the language."""
    found = {
        language: weight("".join(added(busy.visit(headers={"accept-language": language}).text)))
        for language in available_languages()
    }
    print("markup, bytes of gzip: least, most", min(found.values()), max(found.values()))  # noqa: T201 - a figure
    assert len(set(found.values())) > 10
    assert {language: size for language, size in found.items() if size > MARKUP_LIMIT} == {}


@pytest.mark.parametrize("action", ["reject_all", "accept_all"])
def test_who_has_answered_gets_the_link_alone(busy: Client, action: str) -> None:
    """After an answer no banner is downloaded: the files' tags, and the way back to the choices."""
    answered = busy.choose(action).all("set-cookie")[0].partition(";")[0]
    asked, decided = busy.visit().text, busy.visit(headers={"cookie": answered}).text
    assert 'id="consent-banner"' in asked
    head, body = added(decided)
    assert head == added(asked)[0]
    assert re.findall(r'id="([^"]*)"', body) == ["consent-link"]
    assert "<form" not in body
    assert "<button" not in body
    assert weight(head + body) <= DECIDED_LIMIT


def test_the_files_of_a_page_are_light_and_stay(busy: Client) -> None:
    """A page asks for three files, packed, at most 9 kB and 45 bytes a service together, and never again."""
    urls = re.findall(r'(?:href|src)="([^"]*/static/[^"]*)"', added(busy.visit().text)[0])
    assert [url.rpartition("/")[2] for url in urls] == ["banner.css", "guard.js", "banner.js"]
    total = 0
    for url in urls:
        response = busy.get(url, {"accept-encoding": "gzip"})
        assert response.get("content-encoding") == "gzip"
        assert response.get("cache-control") == "public, max-age=31536000, immutable"
        total += len(response.body)
    known = len(busy.site.catalog.services) + len(busy.site.catalog.undeclared)
    print("files of a page, bytes as served:", total, "with services known:", known)  # noqa: T201 - a figure
    assert total <= CODE_LIMIT + BYTES_A_SERVICE * known
