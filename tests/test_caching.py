from __future__ import annotations

import pytest

from consent_middleware.caching import (
    is_shared,
    joined,
    make_private,
    private_control,
    suffix_etag,
    unsuffix_etags,
    vary_with,
)

VARY = (b"Sec-GPC", b"DNT", b"Cookie")


def test_repeated_headers_are_joined() -> None:
    """RFC 9110 5.3: several fields of one name read as one, in order."""
    found = joined([(b"vary", b"a"), (b"x", b"1"), (b"vary", b"b")])
    assert found == {b"vary": b"a, b", b"x": b"1"}


@pytest.mark.parametrize(
    ("headers", "shared"),
    [
        ([], False),
        ([(b"cache-control", b"public")], True),
        ([(b"cache-control", b"Public, max-age=60")], True),
        ([(b"cache-control", b"max-age=60, s-maxage=600")], True),
        ([(b"cache-control", b"max-age=60")], False),
        ([(b"cache-control", b"no-cache")], False),
        ([(b"cache-control", b"private")], False),
        ([(b"cache-control", b"public, no-store")], False),
        ([(b"cache-control", b"public"), (b"cache-control", b"private")], False),
        ([(b"cache-control", b"x-public")], False),
        ([(b"cdn-cache-control", b"max-age=60")], True),
        ([(b"surrogate-control", b"max-age=60")], True),
        ([(b"cache-control", b"max-age=0"), (b"cdn-cache-control", b"max-age=60")], True),
        ([(b"cache-control", b"private"), (b"cdn-cache-control", b"max-age=60")], False),
        ([(b"cache-control", b"public"), (b"set-cookie", b"a=1")], False),
        ([(b"cdn-cache-control", b"max-age=60"), (b"set-cookie", b"a=1")], False),
    ],
)
def test_which_responses_are_shared(*, headers: list[tuple[bytes, bytes]], shared: bool) -> None:
    """A response is for everybody where the app says so and sets no cookie."""
    assert is_shared(joined(headers)) is shared


@pytest.mark.parametrize(
    ("vary", "merged"),
    [
        (b"", b"Sec-GPC, DNT, Cookie"),
        (b"Accept-Encoding", b"Accept-Encoding, Sec-GPC, DNT, Cookie"),
        (b"cookie", b"cookie, Sec-GPC, DNT"),
        (b" Cookie ,, dnt ", b"Cookie, dnt, Sec-GPC"),
        (b"*", b"*"),
        (b"Cookie, *", b"Cookie, *"),
    ],
)
def test_vary_is_merged(vary: bytes, merged: bytes) -> None:
    """GPC-5: each name once, in any case; `*` stays as it is."""
    assert vary_with(vary, VARY) == merged


@pytest.mark.parametrize(
    ("control", "private"),
    [
        (b"", b"private"),
        (b"max-age=60", b"private, max-age=60"),
        (b"public", b"private"),
        (b"public, max-age=60, s-maxage=600", b"private, max-age=60"),
        (b"PUBLIC,proxy-revalidate, stale-while-revalidate=5", b"private"),
        (b"no-store", b"no-store"),
        (b"private, max-age=60", b"private, max-age=60"),
        (b"no-cache, must-revalidate", b"private, no-cache, must-revalidate"),
        (b"no-store, public", b"no-store"),
        (b"max-age=60, private", b"max-age=60, private"),
    ],
)
def test_cache_control_is_never_loosened(control: bytes, private: bytes) -> None:
    """What only speaks to shared caches goes, what is stricter stays."""
    assert private_control(control) == private


def test_a_field_only_private_is_made_wholly_private() -> None:
    """RFC 9111 5.2.2.7: `private="x"` keeps only one field from shared caches; ours keeps all."""
    assert b"private" in private_control(b'private="set-cookie", max-age=60').split(b", ")


def test_a_personal_response() -> None:
    """Both headers are set once, the CDN's own go, and every other header keeps its place."""
    headers = [
        (b"content-type", b"text/html"),
        (b"cache-control", b"public"),
        (b"cdn-cache-control", b"max-age=60"),
        (b"vary", b"Accept"),
        (b"surrogate-control", b"max-age=60"),
        (b"cache-control", b"max-age=5"),
        (b"x-a", b"1"),
        (b"vary", b"Origin"),
    ]
    assert make_private(headers, VARY) == [
        (b"content-type", b"text/html"),
        (b"x-a", b"1"),
        (b"vary", b"Accept, Origin, Sec-GPC, DNT, Cookie"),
        (b"cache-control", b"private, max-age=5"),
    ]


@pytest.mark.parametrize(
    ("etag", "suffixed"),
    [
        (b'"abc"', b'W/"abc;consent-v1"'),
        (b'W/"abc"', b'W/"abc;consent-v1"'),
        (b' "abc" ', b'W/"abc;consent-v1"'),
        (b'""', b'W/";consent-v1"'),
        (b"abc", b"abc"),
        (b'"a"b"', b'"a"b"'),
    ],
)
def test_an_entity_tag_gets_its_variant(etag: bytes, suffixed: bytes) -> None:
    """Ours is another representation: its tag says so, and is weak."""
    assert suffix_etag(etag, b"v1") == suffixed


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (b'W/"abc;consent-v1"', b'"abc"'),
        (b'W/"abc;consent-v2"', b'"abc"'),
        (b'W/"abc;consent-v3"', b""),
        (b'"abc"', b""),
        (b"*", b""),
        (b"", b""),
        (b'W/"a,b;consent-v1", "x", W/"c;consent-v2"', b'"a,b", "c"'),
    ],
)
def test_the_app_gets_its_own_tags_back(sent: bytes, known: bytes) -> None:
    """Only tags of today's variants reach the app, so that a 304 never revives another state."""
    assert unsuffix_etags(sent, (b"v1", b"v2")) == known


def test_what_is_suffixed_is_unsuffixed() -> None:
    """A tag that went out comes back as the app knew it."""
    assert unsuffix_etags(suffix_etag(b'"abc"', b"v1"), (b"v1",)) == b'"abc"'
