"""Two renderings, honest caching headers, and validators that never revive another state's page (part 11)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Pairs, Response, Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = b'<!doctype html><html lang="en"><head></head><body><p>Hi</p></body></html>'
VARY = "Sec-GPC, DNT, Cookie"
PUBLIC = ("Cache-Control", "public, max-age=600")

SHARED: list[Pairs] = [
    [PUBLIC],
    [("Cache-Control", "s-maxage=60")],
    [("Cache-Control", "max-age=0, S-MaxAge=60")],
    [("CDN-Cache-Control", "max-age=60")],
    [("Surrogate-Control", "max-age=60")],
    [("Cache-Control", "max-age=5"), ("Cache-Control", "public")],
]


def tell(unit: str) -> Any:
    """Return an app that reads consent for its page."""

    def app(seen: Any) -> Any:
        return 200, [HTML, PUBLIC], [PAGE.replace(b"Hi", str(seen.consent.allows(unit)).encode())]

    return app


# -- personal pages


@pytest.mark.conformance("GPC-5")
@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, "private"),
        ("max-age=60", "private, max-age=60"),
        ("no-cache", "private, no-cache"),
        ("no-store", "no-store"),
        ("private, max-age=5", "private, max-age=5"),
        ("no-store, max-age=0", "no-store, max-age=0"),
        ("max-age=60, stale-while-revalidate=30", "private, max-age=60"),
        ("must-revalidate, proxy-revalidate", "private, must-revalidate"),
        ('private="x-name", max-age=9', 'private, private="x-name", max-age=9'),
    ],
)
def test_a_personal_page_is_private_and_never_looser(
    serve: Serve, control: str | None, expected: str
) -> None:
    """The app's stricter directives stay, `private` comes, what invites shared caches goes."""
    headers = [HTML, *([("Cache-Control", control)] if control else [])]
    assert serve((200, headers, [PAGE])).visit().get("cache-control") == expected


@pytest.mark.conformance("GPC-5")
@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        (None, VARY),
        ("Accept-Encoding", f"Accept-Encoding, {VARY}"),
        ("cookie", "cookie, Sec-GPC, DNT"),
        ("*", "*"),
    ],
)
def test_vary_is_merged(serve: Serve, vary: str | None, expected: str) -> None:
    """GPC-5: what the page depends on, each once, beside what the app named."""
    headers = [HTML, *([("Vary", vary)] if vary else [])]
    assert serve((200, headers, [PAGE])).visit().get("vary") == expected


@pytest.mark.conformance("GPC-5")
def test_several_languages_vary_by_language(serve: Serve) -> None:
    """Only a site in several languages depends on Accept-Language."""
    app = serve((200, [HTML], [PAGE]), {"site": {"languages": ["en", "de"]}})
    assert app.visit().get("vary") == f"{VARY}, Accept-Language"


@pytest.mark.conformance("GPC-5")
def test_a_response_that_reads_consent_is_personal(serve: Serve) -> None:
    """JSON that depends on consent must not be cached for others."""
    app = serve(
        lambda seen: (200, [("Content-Type", "application/json")], [str(seen.consent.answered).encode()])
    )
    response = app.get()
    assert (response.get("cache-control"), response.get("vary")) == ("private", VARY)


@pytest.mark.conformance("GPC-5")
def test_a_response_that_does_not_read_consent_is_left_alone(serve: Serve) -> None:
    """JSON that does not ask keeps its headers, whoever the visitor is."""
    app = serve((200, [("Content-Type", "application/json"), PUBLIC], [b"{}"]))
    response = app.get(headers={"cookie": app.granting("all")})
    assert response.headers == [("content-type", "application/json"), ("cache-control", PUBLIC[1])]


# -- shared pages


@pytest.mark.parametrize("headers", SHARED, ids=lambda headers: headers[-1][0] + "=" + headers[-1][1])
def test_a_publicly_cacheable_page_is_the_same_for_everyone(serve: Serve, headers: Pairs) -> None:
    """Whatever cookie, language, signal or fetch metadata: byte-identical, so a CDN can keep it."""
    app = serve((200, [HTML, *headers, ("ETag", '"a"')], [PAGE]), {"site": {"languages": ["en", "de"]}})
    visitors: list[Response] = [
        app.visit(),
        app.get(),
        *(
            app.visit(headers={"cookie": f"{app.granting(*units)}; _ga=1"})
            for units in (("all",), (), ("analytics",))
        ),
        app.visit(headers={"cookie": "__Host-consent=v1.forged.x"}),
        app.visit(headers={"accept-language": "de"}),
        app.visit(headers={"sec-gpc": "1", "dnt": "1"}),
        app.visit(headers={"sec-fetch-dest": "iframe"}),
        app.get(headers={"sec-fetch-mode": "cors", "hx-request": "true"}),
    ]
    assert len({(tuple(response.headers), response.body) for response in visitors}) == 1
    assert b'id="consent-banner"' in visitors[0].body


@pytest.mark.parametrize("headers", SHARED, ids=lambda headers: headers[-1][0] + "=" + headers[-1][1])
def test_a_shared_page_sets_nothing_and_varies_on_nothing(serve: Serve, headers: Pairs) -> None:
    """No Set-Cookie, no `Vary: Cookie`, and the app's caching headers as they were."""
    app = serve((200, [HTML, *headers], [PAGE]))
    response = app.visit(headers={"cookie": f"{app.granting()}; _ga=1"})
    assert (response.all("set-cookie"), response.all("vary")) == ([], [])
    assert [pair for pair in response.headers if pair[0].endswith("control")] == [
        (n.lower(), v) for n, v in headers
    ]


@pytest.mark.parametrize(
    "control", ["public, private", "public, no-store", "private, s-maxage=9", "PRIVATE, public"]
)
def test_a_contradiction_counts_as_private(serve: Serve, control: str) -> None:
    """Where the app says both, the strict word counts, and the page is personal."""
    app = serve((200, [HTML, ("Cache-Control", control)], [PAGE]))
    response = app.visit(headers={"cookie": app.granting()})
    assert b'id="consent-banner"' not in response.body
    assert response.get("vary") == VARY


def test_a_public_page_with_a_cookie_is_personal(serve: Serve) -> None:
    """A page that sets a cookie is nobody else's, so it is made private."""
    response = serve((200, [HTML, PUBLIC, ("Set-Cookie", "session=1")], [PAGE])).visit()
    assert (response.get("cache-control"), response.get("vary")) == ("private, max-age=600", VARY)


def test_private_also_takes_the_cdn_headers_away(serve: Serve) -> None:
    """A CDN obeys its own header first, so on a personal page it goes."""
    headers = [
        HTML,
        ("CDN-Cache-Control", "max-age=60"),
        ("Surrogate-Control", "max-age=60"),
        ("Set-Cookie", "session=1"),
    ]
    response = serve((200, headers, [PAGE])).visit()
    assert (response.get("cdn-cache-control"), response.get("surrogate-control")) == (None, None)


def test_reading_consent_on_a_public_page_makes_it_private_and_warns_once(
    serve: Serve, log: pytest.LogCaptureFixture
) -> None:
    """The app read consent: the page is personal from now on, and the developer is told, once."""
    app = serve(tell("analytics"))
    responses = [app.visit(), app.visit(headers={"cookie": app.granting("all")})]
    assert [response.get("cache-control") for response in responses] == ["private, max-age=600"] * 2
    assert len([record for record in log.records if "read consent" in record.getMessage()]) == 1
    assert log.records[0].levelno == logging.WARNING


def test_reading_consent_while_the_first_piece_is_made_is_not_too_late(serve: Serve) -> None:
    """A template rendered as it streams reads consent behind the start; the held start still becomes private."""

    def app(seen: Any) -> Any:
        def body() -> Any:
            yield PAGE.replace(b"Hi", str(seen.consent.allows("analytics")).encode())

        return 200, [HTML, PUBLIC], body()

    assert serve(app).visit().get("cache-control") == "private, max-age=600"


def test_no_nonce_in_a_shared_page(serve: Serve) -> None:
    """A nonce inside a cached page would be everyone's."""
    policy = ("Content-Security-Policy", "script-src 'nonce-abcdef'")
    assert b"nonce" not in serve((200, [HTML, PUBLIC, policy], [PAGE])).visit().body


def test_a_shared_page_speaks_its_own_language(serve: Serve) -> None:
    """The page's `lang` chooses, never the visitor's Accept-Language."""
    app = serve(
        (200, [HTML, PUBLIC], [PAGE.replace(b'"en"', b'"de"')]), {"site": {"languages": ["en", "de"]}}
    )
    assert b'lang="de"' in app.visit(headers={"accept-language": "en"}).body.partition(b"consent-banner")[2]


@pytest.mark.parametrize(
    ("rendering", "control", "same"),
    [
        ("shared", None, True),
        ("personal", PUBLIC[1], False),
        ("auto", None, False),
        ("auto", PUBLIC[1], True),
    ],
)
def test_the_rendering_can_be_fixed(serve: Serve, rendering: str, control: str | None, *, same: bool) -> None:
    """`rendering` overrides what the app's headers say."""
    headers = [HTML, *([("Cache-Control", control)] if control else [])]
    app = serve((200, headers, [PAGE]), {"site": {"rendering": rendering}})
    assert (app.visit().body == app.visit(headers={"cookie": app.granting()}).body) is same


# -- validators


def revalidating(seen: Any) -> Any:
    """Answer 304 to the app's own tag, as any framework does."""
    if seen.get("if-none-match") == '"v1"':
        return 304, [("ETag", '"v1"')], []
    return 200, [HTML, ("ETag", '"v1"')], [PAGE]


def test_an_etag_gets_a_suffix_and_the_app_gets_its_own_back(serve: Serve) -> None:
    """Ours on the way out, the app's on the way in: revalidation works, and answers with our tag."""
    app = serve(revalidating)
    tag = str(app.visit().get("etag"))
    again = app.visit(headers={"if-none-match": tag})
    assert tag.startswith('W/"v1;')
    assert app.seen[1].get("if-none-match") == '"v1"'
    assert (again.status, again.get("etag"), again.body) == (304, tag, b"")


def states(app: Client) -> list[dict[str, str]]:
    """Return requests of visitors who get different pages."""
    return [{}, {"cookie": app.granting()}, {"cookie": app.granting("analytics")}, {"sec-gpc": "1"}]


def test_every_state_has_a_tag_of_its_own(serve: Serve) -> None:
    """A cached page of before the choice must not be confirmed after it."""
    app = serve(revalidating)
    tags = [app.visit(headers=state).get("etag") for state in states(app)]
    assert len(set(tags)) == len(tags)


def test_a_304_never_revives_the_page_of_another_state(serve: Serve) -> None:
    """The tag of the banner's page, sent after the choice, gets the whole new page."""
    app = serve(revalidating)
    old = str(app.visit().get("etag"))
    response = app.visit(headers={"if-none-match": old, "cookie": app.granting()})
    assert (response.status, b'id="consent-banner"' in response.body) == (200, False)


@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"', "*", '"v1;consent-000000000000"', "garbage"])
def test_a_foreign_tag_never_gets_a_304(serve: Serve, tag: str) -> None:
    """A tag from before this middleware was there belongs to a page without banner."""
    app = serve(revalidating)
    assert app.visit(headers={"if-none-match": tag}).status == 200
    assert app.seen[0].get("if-none-match") is None


def test_a_date_cannot_tell_the_states_apart(serve: Serve) -> None:
    """If-Modified-Since is kept from the app where a page may come back."""
    app = serve((200, [HTML], [PAGE]))
    app.visit(headers={"if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert app.seen[0].get("if-modified-since") is None


def test_validators_of_other_resources_are_left_alone(serve: Serve) -> None:
    """A stylesheet is revalidated as ever."""
    app = serve((304, [("ETag", '"a"')], []))
    headers = {
        "sec-fetch-mode": "no-cors",
        "if-none-match": '"a"',
        "if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    response = app.get("/a.css", headers)
    assert (app.seen[0].get("if-none-match"), response.headers) == ('"a"', [("etag", '"a"')])
    assert app.seen[0].get("if-modified-since") is not None


def test_a_304_of_a_personal_page_is_private_too(serve: Serve) -> None:
    """RFC 9110 15.4.5: a 304 carries the Cache-Control and Vary of its 200."""

    def app(seen: Any) -> Any:
        status, headers, body = revalidating(seen)
        return status, [*headers, ("Cache-Control", "max-age=60")], body

    site = serve(app)
    tag = str(site.visit().get("etag"))
    response = site.visit(headers={"if-none-match": tag})
    assert (response.status, response.get("cache-control"), response.get("vary")) == (
        304,
        "private, max-age=60",
        VARY,
    )


def test_a_shared_page_revalidates_for_everyone(serve: Serve) -> None:
    """One tag for all, and a 304 for all."""

    def app(seen: Any) -> Any:
        status, headers, body = revalidating(seen)
        return status, [*headers, PUBLIC], body

    site = serve(app)
    tags = {str(site.visit(headers=state).get("etag")) for state in states(site)}
    (tag,) = tags
    answers = [site.visit(headers={**state, "if-none-match": tag}) for state in states(site)]
    assert {(answer.status, answer.get("etag"), answer.get("cache-control")) for answer in answers} == {
        (304, tag, PUBLIC[1])
    }
