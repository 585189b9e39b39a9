from __future__ import annotations

import pytest

from consent_middleware.urls import Location, read_host, read_url

PAGE = Location("shop.example", "/blog/post/1")

HOSTS = {
    "plain": ("stats.example", "stats.example"),
    "upper case": ("Stats.EXAMPLE", "stats.example"),
    "a port": ("stats.example:8443", "stats.example"),
    "an empty port": ("stats.example:", "stats.example"),
    "a user": ("user@stats.example", "stats.example"),
    "a user with a password and a port": ("user:pass@stats.example:80", "stats.example"),
    "several at signs": ("shop.example@x@stats.example", "stats.example"),
    "a dot at the end": ("stats.example.", "stats.example"),
    "percent-encoded letters": ("%73tats.ex%61mple", "stats.example"),
    "a percent-encoded dot": ("stats%2Eexample", "stats.example"),
    "full-width letters": ("\uff53\uff54\uff41\uff54\uff53.example", "stats.example"),
    "percent-encoded full-width letters": ("%EF%BD%93tats.example", "stats.example"),
    "an ideographic full stop": ("stats\u3002example", "stats.example"),
    "a full-width full stop": ("stats\uff0eexample", "stats.example"),
    "a half-width full stop": ("stats\uff61example", "stats.example"),
    "a soft hyphen": ("sta\u00adts.example", "stats.example"),
    "a zero width space": ("sta\u200bts.example", "stats.example"),
    "circled letters": ("\u24e2tats.example", "stats.example"),
    "an address": ("203.0.113.7:80", "203.0.113.7"),
    "an IPv6 address": ("[2001:DB8::1]", "[2001:db8::1]"),
    "an IPv6 address with a port": ("[2001:db8::1]:80", "[2001:db8::1]"),
    "nothing": ("", ""),
    "no UTF-8": ("%ff.example", "\ufffd.example"),
    "longer than a name can be": ("a" * 300, "."),
    "much longer than a name can be": ("a." * 500_000, "."),
    "behind a long user": ("u" * 500_000 + "@stats.example", "stats.example"),
}


@pytest.mark.parametrize(("authority", "host"), HOSTS.values(), ids=HOSTS.keys())
def test_a_host_is_read_as_a_browser_reads_it(authority: str, host: str) -> None:
    """Whatever stands between the slashes and the path, the name that is asked comes out."""
    assert read_host(authority) == host


LOCATIONS = {
    "https": ("https://stats.example/a.js", "stats.example", "/a.js"),
    "http": ("http://stats.example/a.js", "stats.example", "/a.js"),
    "a websocket": ("wss://stats.example/s", "stats.example", "/s"),
    "upper case": ("HTTPS://STATS.example/A.js", "stats.example", "/A.js"),
    "no scheme": ("//stats.example/a.js", "stats.example", "/a.js"),
    "no path": ("//stats.example", "stats.example", "/"),
    "a query and no path": ("//stats.example?a=/b", "stats.example", "/"),
    "a fragment and no path": ("//stats.example#a", "stats.example", "/"),
    "a query with slashes": ("//stats.example/a?b=//other.example/", "stats.example", "/a"),
    "white space round it": (" \t\n//stats.example/a \r\n", "stats.example", "/a"),
    "control characters round it": ("\x00\x01//stats.example/a\x1f", "stats.example", "/a"),
    "a tab in the host": ("https://sta\tts.example/", "stats.example", "/"),
    "a line break in the scheme": ("ht\ntps://stats.example/", "stats.example", "/"),
    "a line break between the slashes": ("/\n/stats.example/", "stats.example", "/"),
    "backslashes": ("\\\\stats.example\\a.js", "stats.example", "/a.js"),
    "mixed slashes": ("/\\stats.example/a", "stats.example", "/a"),
    "backslashes behind a scheme": ("https:\\\\stats.example\\a", "stats.example", "/a"),
    "many slashes": ("https://////stats.example/a", "stats.example", "/a"),
    "three slashes": ("///stats.example/a", "stats.example", "/a"),
    "one slash": ("https:/stats.example/a", "stats.example", "/a"),
    "no slash": ("https:stats.example/a", "stats.example", "/a"),
    "a user name that looks like a host": ("https://shop.example@stats.example/a", "stats.example", "/a"),
    "an at sign in the path": ("https://stats.example/@other.example", "stats.example", "/@other.example"),
    "a backslash ends the host": ("https://stats.example\\@other.example", "stats.example", "/@other.example"),
    "a port": ("//stats.example:8080/a", "stats.example", "/a"),
    "a path of the page's own": ("/a.js", "shop.example", "/a.js"),
    "a relative path": ("a.js", "shop.example", "/blog/post/a.js"),
    "a relative path with a backslash": ("a\\b.js", "shop.example", "/blog/post/a/b.js"),
    "the page itself": ("", "shop.example", "/blog/post/1"),
    "a query alone": ("?a=1", "shop.example", "/blog/post/1"),
    "a fragment alone": ("#a", "shop.example", "/blog/post/1"),
    "a colon in a relative path": ("./a:b", "shop.example", "/blog/post/a:b"),
    "a dot": ("./a.js", "shop.example", "/blog/post/a.js"),
    "two dots": ("../a.js", "shop.example", "/blog/a.js"),
    "more dots than folders": ("../../../../a.js", "shop.example", "/a.js"),
    "dots in the middle": ("/a/b/../c/./d.js", "shop.example", "/a/c/d.js"),
    "dots at the end": ("/a/b/..", "shop.example", "/a/"),
    "a dot at the end": ("/a/b/.", "shop.example", "/a/b/"),
    "percent-encoded dots": ("/a/%2e%2E/b.js", "shop.example", "/b.js"),
    "half-encoded dots": ("/a/.%2e/b.js", "shop.example", "/b.js"),
    "three dots are a name": ("/a/.../b", "shop.example", "/a/.../b"),
    "dots on another host": ("//stats.example/a/../b.js", "stats.example", "/b.js"),
}  # fmt: skip


@pytest.mark.parametrize(("url", "host", "path"), LOCATIONS.values(), ids=LOCATIONS.keys())
def test_a_url_is_read_as_a_browser_reads_it(url: str, host: str, path: str) -> None:
    """The host that is asked and the path it is asked for, from the page's own place."""
    assert read_url(url, PAGE) == Location(host, path)


@pytest.mark.parametrize(
    "url",
    [
        "data:text/html,<script src=//stats.example>",
        "javascript:void(0)",
        " JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "about:blank",
        "blob:https://stats.example/1",
        "mailto:a@stats.example",
        "android-app://stats.example",
    ],
)
def test_what_reaches_no_server_is_nowhere(url: str) -> None:
    """Schemes that load nothing by themselves from a host have no place."""
    assert read_url(url, PAGE) is None


def test_without_a_base_the_host_is_the_pages_own() -> None:
    """An empty host stands for the page's."""
    assert read_url("a.js") == Location("", "/a.js")
