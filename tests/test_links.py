from __future__ import annotations

import pytest

from consent_middleware.links import passing_links

ADS = "https://ads.example/a.js"


def passing(value: str) -> str:
    """Return what is left of a header where one host waits."""
    return passing_links(value, lambda url: "ads.example" in url)


@pytest.mark.parametrize(
    "value",
    [
        f"<{ADS}>; rel=preload; as=script",
        f"<{ADS}>; as=script; rel=preload",
        f'<{ADS}>; REL="preload"',
        f"<{ADS}>;rel = preload",
        f'<{ADS}>; rel="nofollow preconnect"',
        f"< {ADS} >; rel=dns-prefetch",
        f"<{ADS}>; rel=stylesheet",
        f'<{ADS}>; title="a, b; <c>"; rel=modulepreload',
        f"<{ADS}>; rel=preload, <{ADS}>; rel=prefetch",
    ],
)
def test_what_a_browser_would_fetch_goes(value: str) -> None:
    """A link that is followed by itself to somebody who waits is not sent."""
    assert passing(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        "",
        "</own.css>; rel=preload; as=style",
        "<https://cdn.example/a.js>; rel=preload, </b.js>; rel=preload",
        f"<{ADS}>; rel=canonical",
        f'<{ADS}>; rel="next"',
        f"<{ADS}>",
        "no link at all, <unclosed",
        f'</a>; title="{ADS}>; rel=preload',
    ],
)
def test_everything_else_stays(value: str) -> None:
    """Links to others, links that nobody follows by itself, and what is no list of links."""
    assert passing(value) == value


def test_its_neighbours_stay() -> None:
    """Only the link itself is taken out of the list."""
    value = f'</a>; rel=next, <{ADS}>; rel=preload; title="x, y", </b.js>; rel="preload"; as=script'
    assert passing(value) == '</a>; rel=next, </b.js>; rel="preload"; as=script'


def test_long_nonsense_takes_no_time() -> None:
    """Nothing in it is looked at twice."""
    value = "<a>;" + 'x="\\"' * 50_000
    assert passing(value).startswith("<a>;")
