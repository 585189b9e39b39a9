"""The middleware's own pages and resources below `path`, over both adapters (DESIGN.md "Contract: HTTP")."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Response, Serve

OK = (200, [("Content-Type", "text/plain")], [b"the app"])
FORM = "application/x-www-form-urlencoded"
JSON = {"accept": "application/json"}


@pytest.fixture
def app(serve: Serve) -> Client:
    """Serve an app that answers everything."""
    return serve(OK)


def changed(app: Client, response: Response) -> bool:
    """Return whether a choice took effect."""
    return bool(response.all("set-cookie") or app.records())


# -- routing


@pytest.mark.parametrize(
    "path", ["/_consent/nothing", "/_consent/", "/_consent/preferences/", "/_consent/static/x"]
)
def test_what_is_not_there_is_404_in_words(app: Client, path: str) -> None:
    """An unknown address below `path` is ours to answer, not the app's."""
    response = app.get(path)
    assert (response.status, app.seen) == (404, [])
    assert response.get("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/_consent", "/_consents/choice", "/x/_consent/choice"])
def test_what_is_not_below_the_path_is_the_apps(app: Client, path: str) -> None:
    """Only `path` and what is below belongs to us."""
    assert app.get(path).body == b"the app"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "choice", "POST"),
        ("HEAD", "choice", "POST"),
        ("PUT", "choice", "POST"),
        ("POST", "preferences", "GET, HEAD"),
        ("DELETE", "state.json", "GET, HEAD"),
        ("POST", "static/x/guard.js", "GET, HEAD"),
    ],
)
def test_other_methods_are_405_with_allow(app: Client, method: str, path: str, allow: str) -> None:
    """The answer names the methods that work."""
    response = app.request(method, f"/_consent/{path}")
    assert (response.status, response.get("allow")) == (405, allow)


def test_the_path_can_be_moved(serve: Serve) -> None:
    """`site.path` moves everything."""
    app = serve(OK, {"site": {"path": "/privacy/consent"}})
    assert app.get("/privacy/consent/state.json").status == 200
    assert app.get("/_consent/state.json").body == b"the app"


def test_head_has_the_headers_of_get_and_no_body(app: Client) -> None:
    """HEAD is answered like GET."""
    for path in ("preferences", "state.json"):
        got, head = app.get(f"/_consent/{path}"), app.request("HEAD", f"/_consent/{path}")
        assert (head.headers, head.body) == (got.headers, b"")


# -- the choice


@pytest.mark.parametrize(
    ("action", "fields", "granted"),
    [
        (
            "accept_all",
            {},
            {"analytics", "functional", "google-analytics", "house-stats", "marketing", "meta-pixel"},
        ),
        ("reject_all", {}, set()),
        ("withdraw", {}, set()),
        ("save", {}, set()),
        ("save", {"category": "analytics"}, {"analytics", "google-analytics"}),
        (
            "save",
            {"category": ["analytics", "functional"]},
            {"analytics", "google-analytics", "functional", "house-stats"},
        ),
        ("save", {"service": "google-analytics"}, set()),
        ("save", {"detail": "1", "service": "google-analytics"}, {"analytics", "google-analytics"}),
        (
            "save",
            {"detail": "1", "category": "marketing", "service": "house-stats"},
            {"functional", "house-stats"},
        ),
        ("save", {"detail": "1", "category": "marketing"}, set()),
        ("save", {"category": "essential"}, set()),
    ],
)
def test_the_form_is_understood(app: Client, action: str, fields: dict[str, Any], granted: set[str]) -> None:
    """Each button, and with `detail=1` only the services listed count."""
    state = app.choose(action, fields, JSON).json()
    assert set(state["granted"]) == granted | {"essential"}
    assert state["answered"] is True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"action=",
        b"action=accept",
        b"action=accept_all&action=reject_all",
        b"category=analytics",
        b"action=save&category=unknown",
        b"action=save&detail=1&service=unknown",
        b"action=accept_all%00",
        b"action=\xff\xfe",
        b"&".join(b"a=1" for _ in range(2000)),
    ],
)
def test_a_form_we_do_not_understand_is_400_and_changes_nothing(app: Client, body: bytes) -> None:
    """Bad input is answered in words."""
    headers = {"content-type": FORM, "sec-fetch-site": "same-origin"}
    response = app.request("POST", "/_consent/choice", headers, body)
    assert (response.status, changed(app, response)) == (400, False)
    assert response.body


def test_more_than_16_kib_is_413(app: Client) -> None:
    """A choice is small; nobody makes us read more."""
    response = app.choose("accept_all", {"x": "y" * 16_384})
    assert (response.status, changed(app, response)) == (413, False)


def test_16_kib_is_enough(app: Client) -> None:
    """Up to the limit a choice is taken."""
    response = app.choose("accept_all", {"x": "y" * (16_384 - len("action=accept_all&x="))})
    assert response.status == 303


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_another_content_type_is_415(app: Client, kind: str) -> None:
    """Only a form is a choice: nothing a script could send without asking first."""
    response = app.choose("accept_all", headers={"content-type": kind})
    assert (response.status, changed(app, response)) == (415, False)


@pytest.mark.parametrize("kind", [f"{FORM}; charset=utf-8", FORM.upper(), f" {FORM} "])
def test_a_form_may_say_its_charset(app: Client, kind: str) -> None:
    """Media types are case-insensitive and may have parameters."""
    assert app.choose("accept_all", headers={"content-type": kind}).status == 303


# -- same origin

OWN = "https://shop.example"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "https://blog.shop.example"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": OWN}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "SAME-ORIGIN-not"}, 403),
        ({"origin": OWN}, 303),
        ({"origin": "HTTPS://Shop.Example"}, 303),
        ({"origin": "http://shop.example"}, 403),
        ({"origin": "https://shop.example.evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://shop.example:8443"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "referer": f"{OWN}/page"}, 403),
        ({"referer": f"{OWN}/page?x=1"}, 303),
        ({"referer": "https://evil.example/https://shop.example/"}, 403),
        ({"referer": "https://shop.example@evil.example/"}, 403),
        ({"referer": "javascript:alert(1)"}, 403),
        ({"referer": "https://[broken/"}, 403),
        ({}, 403),
    ],
)
def test_only_the_sites_own_pages_may_choose(app: Client, headers: dict[str, str], status: int) -> None:
    """`Sec-Fetch-Site` decides where it is sent, else Origin, else Referer; none of them: 403."""
    body = b"action=accept_all"
    response = app.request("POST", "/_consent/choice", {"content-type": FORM, **headers}, body)
    assert response.status == status
    assert changed(app, response) is (status == 303)


def test_a_forwarded_header_is_not_believed(app: Client) -> None:
    """The scheme and host come from the server, never from a raw X-Forwarded-*."""
    headers = {"origin": "https://evil.example", "x-forwarded-host": "evil.example", "content-type": FORM}
    assert app.request("POST", "/_consent/choice", headers, b"action=accept_all").status == 403


def test_origins_pin_scheme_and_host_and_cookie_name(serve: Serve) -> None:
    """Behind a proxy that speaks plain HTTP to us, `origins` says what the browser sees."""
    app = serve(OK, {"site": {"origins": [OWN]}})
    headers = {"content-type": FORM, "origin": OWN, "host": "internal:8000"}
    response = app.request("POST", "/_consent/choice", headers, b"action=accept_all", scheme="http")
    assert (response.status, response.set_names) == (303, ["__Host-consent"])
    assert "Secure" in response.all("set-cookie")[0]


def test_a_second_origin_of_the_site_may_choose(serve: Serve) -> None:
    """Every origin listed is the site's own, and a script there may read the answer."""
    app = serve(OK, {"site": {"origins": [OWN, "https://m.shop.example"]}})
    headers = {"sec-fetch-site": "same-site", "origin": "https://m.shop.example", **JSON}
    response = app.choose("accept_all", headers=headers)
    assert response.status == 200
    assert response.get("access-control-allow-origin") == "https://m.shop.example"
    assert response.get("access-control-allow-credentials") == "true"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://shop.example.evil.example"])
def test_a_foreign_origin_gets_no_cors(serve: Serve, origin: str) -> None:
    """Only listed origins may read state.json."""
    app = serve(OK, {"site": {"origins": [OWN]}})
    response = app.get("/_consent/state.json", {"origin": origin})
    assert response.all("access-control-allow-origin") == []


# -- where it goes on


# What a form says of where to go on, and where that is.
NEXT = {
    "/basket?x=1&y=2#z": "/basket?x=1&y=2#z",
    "/": "/",
    "/a%2fb": "/a%2fb",
    "/caf\xe9": "/caf%C3%A9",
    "/\u202eevil": "/%E2%80%AEevil",
    "/%2f/evil.example": "/%2f/evil.example",
    "/%5cevil.example": "/%5cevil.example",
    "": "/",
    "//evil.example": "/",
    "///evil.example": "/",
    "/\\evil.example": "/",
    "\\\\evil.example": "/",
    "/a\\b": "/",
    "https://evil.example/": "/",
    "https:evil.example": "/",
    "HTTPS://evil.example": "/",
    "javascript:alert(1)": "/",
    "data:text/html,x": "/",
    "evil.example": "/",
    "?x=1": "/",
    "/\t/evil.example": "/",
    "\t//evil.example": "/",
    " //evil.example": "/",
    "/\n/evil.example": "/",
    "/x\r\nSet-Cookie: a=1": "/",
    "/x\x00": "/",
    "/x\x7f": "/",
    "/a b": "/",
    "/" + "a" * 3000: "/",
}


def test_next_never_leaves_the_site(app: Client) -> None:
    """No open redirect: a local path goes on, everything else goes home."""
    found = {}
    for wanted in NEXT:
        response = app.choose("accept_all", {"next": wanted})
        found[wanted] = (response.status, response.get("location"))
    assert found == {wanted: (303, location) for wanted, location in NEXT.items()}


@pytest.mark.parametrize(
    ("referer", "location"),
    [
        (f"{OWN}/shop?x=1", "/shop?x=1"),
        (f"{OWN}", "/"),
        (f"{OWN}/_consent/preferences", "/"),
        (f"{OWN}//evil.example", "/"),
        ("https://evil.example/shop", "/"),
        ("https://user@shop.example/shop", "/shop"),
        ("about:blank", "/"),
    ],
)
def test_without_next_the_referer_of_the_same_origin_counts(app: Client, referer: str, location: str) -> None:
    """The visitor goes back to the page of the banner."""
    assert app.choose("accept_all", headers={"referer": referer}).get("location") == location


def test_the_answer_is_never_cached(app: Client) -> None:
    """A redirect that sets a cookie is for one visitor, once."""
    assert app.choose("accept_all").get("cache-control") == "private, no-store"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("application/json, text/plain, */*", 200),
        ("text/html,application/xhtml+xml,application/json;q=0.9", 303),
        ("*/*", 303),
        ("", 303),
    ],
)
def test_json_only_where_json_is_wanted_and_html_is_not(app: Client, accept: str, status: int) -> None:
    """A form gets a redirect, a script the new state."""
    assert app.choose("accept_all", headers={"accept": accept}).status == status


# -- state.json


def test_state_is_told_without_identifier(app: Client) -> None:
    """The decision; nothing in it identifies anybody."""
    own = app.granting("analytics")
    response = app.get("/_consent/state.json", {"cookie": own, "sec-gpc": "1"})
    state = response.json()
    assert state["services"] == {"google-analytics": False, "meta-pixel": False, "house-stats": False}
    assert state["signals"] == {"gpc": True, "dnt": False}
    assert not [part for part in own.partition("=")[2].split(".")[4:] if part in response.text]


def test_state_is_private(app: Client) -> None:
    """Nobody else's cache keeps it."""
    response = app.get("/_consent/state.json")
    assert response.get("cache-control") == "private, no-cache"
    assert str(response.get("vary")).startswith("Cookie, Sec-GPC, DNT")


# -- preferences


@pytest.mark.parametrize("page", ["preferences", "opt-out", "policy", "receipt"])
def test_no_page_of_ours_can_be_framed(app: Client, page: str) -> None:
    """So that nobody else's page can lay itself over its buttons."""
    assert app.get(f"/_consent/{page}").get("content-security-policy") == "frame-ancestors 'none'"


@pytest.mark.conformance("A11Y-3", "EU-4")
def test_preferences_are_a_page_of_their_own(app: Client) -> None:
    """The whole form, with scripts off; framed by nobody, kept by no cache."""
    response = app.visit("/_consent/preferences")
    assert response.status == 200
    assert response.get("content-type") == "text/html; charset=utf-8"
    assert response.get("content-security-policy") == "frame-ancestors 'none'"
    assert response.get("cache-control") == "private, no-cache"
    assert 'action="/_consent/choice"' in response.text


def test_preferences_show_the_stored_answer(app: Client) -> None:
    """What was granted is ticked, what was refused is not."""
    text = app.visit("/_consent/preferences", {"cookie": app.granting("analytics")}).text
    ticked = {
        match[1]
        for match in re.finditer(r"<input\b[^>]*\bvalue=\"([a-z-]+)\"[^>]*>", text)
        if re.search(r"\bchecked\b", match[0])
    }
    assert ticked == {"google-analytics"}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [("/basket", "/basket"), ("//evil.example", "/"), ('/"><script>', "/&#34;&gt;&lt;script&gt;")],
)
def test_preferences_keep_where_to_go_on(app: Client, wanted: str, kept: str) -> None:
    """`next` is checked and escaped."""
    text = app.request("GET", f"/_consent/preferences?next={wanted}").text
    assert f'name="next" value="{kept}"' in text


def test_preferences_hold_no_identifier(app: Client) -> None:
    """No id and no signature in the page."""
    own = app.granting("analytics")
    text = app.visit("/_consent/preferences", {"cookie": own}).text
    assert not [part for part in own.partition("=")[2].split(".")[5:] if part in text]


# -- static files


def static_url(app: Client, name: str) -> str:
    """Return the address that a page uses."""
    return f"/_consent/static/{app.site.assets.hash}/{name}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("guard.js", "text/javascript"), ("banner.js", "text/javascript"), ("banner.css", "text/css")],
)
def test_static_files_are_immutable(app: Client, name: str, kind: str) -> None:
    """Under today's hash a file never changes."""
    response = app.get(static_url(app, name))
    assert (response.status, response.get("content-type")) == (200, f"{kind}; charset=utf-8")
    assert response.get("cache-control") == "public, max-age=31536000, immutable"
    assert response.get("x-content-type-options") == "nosniff"


def test_a_stale_hash_gets_todays_file_without_keeping_it(app: Client) -> None:
    """A page from yesterday's cache still works."""
    fresh, stale = app.get(static_url(app, "guard.js")), app.get("/_consent/static/000000000000/guard.js")
    assert (stale.body, stale.get("cache-control")) == (fresh.body, "no-cache")


@pytest.mark.parametrize("name", ["nothing.js", "../guard.js", "", "guard.js/", "x/guard.js"])
def test_other_static_names_are_404(app: Client, name: str) -> None:
    """There are three files, and no path to anywhere else."""
    assert app.get(static_url(app, name)).status == 404


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, br", True),
        ("GZIP", True),
        ("*", True),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("", False),
    ],
)
def test_static_files_come_packed_where_that_is_wanted(app: Client, accepted: str, *, packed: bool) -> None:
    """Pre-compressed, with the same content either way."""
    response = app.get(static_url(app, "guard.js"), {"accept-encoding": accepted})
    plain = app.get(static_url(app, "guard.js")).body
    assert response.get("vary") == "Accept-Encoding"
    assert response.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(response.body) if packed else response.body) == plain


def test_static_files_are_the_same_for_everyone(app: Client) -> None:
    """No cookie is read and none is set."""
    headers = {"cookie": f"{app.granting()}; _ga=1"}
    assert (
        app.get(static_url(app, "guard.js"), headers).headers == app.get(static_url(app, "guard.js")).headers
    )


def test_lengths_are_right(app: Client) -> None:
    """Every answer of ours tells its length in bytes."""
    answers = [app.get("/_consent/preferences"), app.get("/_consent/x"), app.choose("accept_all")]
    assert [answer.get("content-length") for answer in answers] == [
        str(len(answer.body)) for answer in answers
    ]
