"""The Flask extension: what it adds to apps however they are put together, and what it says where it cannot."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import flask
import httpx
import pytest
import quart
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client as WerkzeugClient
from werkzeug.wrappers import Response as WerkzeugResponse

from consent_middleware import (
    ConfigError,
    ConsentConfig,
    ConsentError,
    Records,
    UnknownIdError,
    load_config,
    wsgi,
)
from consent_middleware import Consent as VisitorConsent
from consent_middleware.flask import Consent, requires_consent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flask.typing import ResponseReturnValue

KEY = "a-secret-of-32-characters-length"
PAGE = "<!doctype html><html lang='en'><head><title>Shop</title></head><body><p>Hello</p></body></html>"
BANNER = 'id="consent-banner"'
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
OWN = {"Sec-Fetch-Site": "same-origin"}

Make = Any  # a fixture's function


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of the process's environment reach an app."""
    for name in ("CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare(declaration: Callable[..., Any]) -> Iterator[Make]:
    """Make a Flask app with a page that sets a session; its records are closed at the end."""
    made: list[flask.Flask] = []

    def make(name: str = "shop", changes: dict[str, Any] | None = None, **config: Any) -> flask.Flask:
        app = flask.Flask(name, static_folder=None)
        made.append(app)
        app.config |= {"SECRET_KEY": KEY, "CONSENT_CONFIG": declaration(**(changes or {})), **config}

        @app.get("/")
        def home() -> str:
            flask.session["user"] = 7
            return PAGE.replace("Hello", f"{name}: {flask.g.consent.answered}")

        return app

    yield make
    for app in made:
        if "consent" in app.extensions:
            app.extensions["consent"].site.store.close()


@pytest.fixture
def shop(bare: Make) -> flask.Flask:
    """An app with the extension."""
    app: flask.Flask = bare()
    Consent(app)
    return app


def accept(client: Any, action: str = "accept_all", **options: Any) -> Any:
    """Answer the banner in a browser."""
    answer = client.post("/_consent/choice", data={"action": action}, headers=OWN, **options)
    assert answer.status_code == 303
    return answer


def set_names(response: Any) -> list[str]:
    """Return the names of the cookies that a response sets."""
    return [value.partition("=")[0] for value in response.headers.getlist("Set-Cookie")]


# -- pages and cookies


def test_a_page_gets_the_banner_and_keeps_its_session(shop: flask.Flask) -> None:
    """One line adds consent, and the session cookie, written after `after_request`, passes."""
    answer = shop.test_client().get("/", headers=NAVIGATES)
    assert (answer.text.count(BANNER), set_names(answer)) == (1, ["session"])


def test_a_choice_reaches_the_view(shop: flask.Flask) -> None:
    """`g.consent` is the visitor's, request by request."""
    client = shop.test_client()
    before = client.get("/").text
    accept(client)
    assert ("shop: False" in before, "shop: True" in client.get("/").text) == (True, True)


def test_a_session_cookie_of_any_name_passes(bare: Make) -> None:
    """`SESSION_COOKIE_NAME` is known, so nobody need declare it."""
    app = bare(SESSION_COOKIE_NAME="shop_sid")
    Consent(app)
    assert set_names(app.test_client().get("/")) == ["shop_sid"]


def test_what_the_declaration_says_of_the_session_cookie_counts(bare: Make) -> None:
    """A name that a service declares belongs to that service."""
    app = bare(SESSION_COOKIE_NAME="hs_all")
    Consent(app)
    assert set_names(app.test_client().get("/")) == []


def tracking(app: Any) -> Any:
    """Wrap a WSGI app in a layer that tracks."""

    def outer(environ: Any, start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *info: Any) -> Any:
            return start_response(status, [*headers, ("Set-Cookie", "_fbp=1; Path=/")], *info)

        found: Iterable[bytes] = app(environ, start)
        return found

    return outer


def test_cookies_set_around_the_view_are_held_back(bare: Make) -> None:
    """In `after_request` and in a WSGI layer that stands round the app already; once granted they pass."""
    app: flask.Flask = bare()

    @app.after_request
    def measure(response: flask.Response) -> flask.Response:
        response.set_cookie("_ga", "1")
        return response

    app.wsgi_app = tracking(app.wsgi_app)  # type: ignore[method-assign]
    Consent(app)
    client = app.test_client()
    before = set_names(client.get("/"))
    accept(client)
    assert (before, set_names(client.get("/"))) == (["session"], ["_ga", "session", "_fbp"])


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/fails", 500)])
def test_error_pages_are_pages(shop: flask.Flask, path: str, status: int) -> None:
    """Flask's own 404 and 500 get the banner."""

    def fail() -> str:
        raise RuntimeError("inside")

    shop.add_url_rule("/fails", view_func=fail)
    answer = shop.test_client().get(path, headers=NAVIGATES)
    assert (answer.status_code, BANNER in answer.text) == (status, True)


def test_in_debug_mode_an_error_reaches_the_debugger(shop: flask.Flask) -> None:
    """An exception passes through unchanged, and the next request is served."""

    def fail() -> str:
        raise RuntimeError("inside")

    shop.debug = True
    shop.add_url_rule("/fails", view_func=fail)
    client = shop.test_client()
    with pytest.raises(RuntimeError, match="inside"):
        client.get("/fails")
    assert BANNER in client.get("/", headers=NAVIGATES).text


def test_a_stream_stays_a_stream(shop: flask.Flask) -> None:
    """What `stream_with_context` yields leaves piece by piece, and consent can be read on the way."""
    going: list[str] = []

    @shop.get("/stream")
    def stream() -> flask.Response:
        def pieces() -> Iterator[str]:
            yield "<!doctype html><html><head></head><body>" + "x" * 5000
            going.append("second")
            yield f"<p>{flask.g.consent.allows('analytics')}</p></body></html>"

        return flask.Response(flask.stream_with_context(pieces()))

    answer = shop.test_client().get("/stream", headers=NAVIGATES)
    chunks = iter(answer.response)
    first: Any = next(chunks)
    assert (b"guard.js" in first, going) == (True, [])
    rest = b"".join(bytes(chunk) for chunk in chunks)  # type: ignore[arg-type]
    assert (b"<p>False</p>" in rest, going) == (True, ["second"])
    answer.close()


@pytest.mark.parametrize("media_type", ["text/html", "application/pdf"])
def test_a_part_of_a_file_is_left_alone(shop: flask.Flask, media_type: str) -> None:
    """`send_file` with a range: the bytes, length and validators that Flask made."""

    @shop.get("/file")
    def file() -> flask.Response:
        return flask.send_file(io.BytesIO(PAGE.encode()), media_type, conditional=True, etag="made-up")

    answer = shop.test_client().get("/file", headers={"Range": "bytes=5-14", **NAVIGATES})
    assert (answer.status_code, answer.data) == (206, PAGE.encode()[5:15])
    assert answer.headers["Content-Range"] == f"bytes 5-14/{len(PAGE)}"


# -- how apps are put together


def test_a_blueprint_needs_nothing_of_its_own(bare: Make) -> None:
    """Its views, its tags and its guards are the app's, whenever it is registered."""
    parts = flask.Blueprint("parts", "parts", url_prefix="/parts")

    @parts.get("/")
    def page() -> str:
        return flask.render_template_string('{% consent "analytics" %}all{% else %}some{% endconsent %}')

    @parts.get("/figures")
    @requires_consent("analytics")
    def figures() -> str:
        return "figures"

    app = bare()
    Consent(app)
    app.register_blueprint(parts)
    client = app.test_client()
    assert [client.get("/parts/").text, client.get("/parts/figures").status_code] == ["some", 403]
    accept(client)
    assert [client.get("/parts/").text, client.get("/parts/figures").text] == ["all", "figures"]


def test_one_extension_object_serves_several_apps(bare: Make) -> None:
    """Each by settings of its own: other names, other keys, other services."""
    consent = Consent()
    first, second = (
        bare("first"),
        bare("second", {"site": {"name": "Second", "id": "two"}}, SECRET_KEY="x" * 32),
    )
    consent.init_app(first)
    consent.init_app(second)
    assert set_names(accept(first.test_client())) == ["consent"]
    assert set_names(accept(second.test_client())) == ["consent-two"]
    sites = [app.extensions["consent"].site for app in (first, second)]
    assert [site.config.site.name for site in sites] == ["Example Shop", "Second"]


def test_mounted_apps_speak_for_themselves(bare: Make) -> None:
    """Below `DispatcherMiddleware` every link and form starts at the app's own mount point."""
    front: flask.Flask = bare("front")
    back: flask.Flask = bare("back", {"site": {"name": "Back", "id": "back"}})
    consent = Consent()
    consent.init_app(front)
    consent.init_app(back)

    @back.get("/where")
    def where() -> str:
        return str(flask.g.consent.preferences_url)

    client = WerkzeugClient(DispatcherMiddleware(front, {"/back": back}), WerkzeugResponse)
    page, other = client.get("/back/", headers=NAVIGATES), client.get("/", headers=NAVIGATES)
    assert ('action="/back/_consent/choice"' in page.text, "back: False" in page.text) == (True, True)
    assert ('action="/_consent/choice"' in other.text, "front: False" in other.text) == (True, True)
    assert client.get("/back/where").text == "/back/_consent/preferences"


def test_an_app_below_one_with_consent_defers_to_it(bare: Make) -> None:
    """Nested instead of side by side: one banner, and the inner app reads the outer one's answer."""
    outer, inner = bare("outer"), bare("inner")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner})
    Consent(outer)
    Consent(inner)
    client = outer.test_client()
    accept(client)
    assert "inner: True" in client.get("/inner/", headers=NAVIGATES).text
    assert outer.test_client().get("/inner/", headers=NAVIGATES).text.count(BANNER) == 1


@pytest.mark.parametrize("proxy_first", [True, False], ids=["proxy-fix-first", "consent-first"])
def test_https_behind_a_proxy_is_seen_in_either_order(bare: Make, proxy_first: bool) -> None:  # noqa: FBT001
    """The consent cookie has its secure name, and addresses have the proxy's prefix, whichever was added first."""
    app = bare()
    if proxy_first:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
        Consent(app)
    else:
        Consent(app)
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/app", **OWN}
    answer = app.test_client().post("/_consent/choice", data={"action": "accept_all"}, headers=proxied)
    assert (set_names(answer), answer.headers["Location"]) == (["__Host-consent"], "/app/")


def test_a_layer_outside_proxy_fix_is_named(bare: Make, log: pytest.LogCaptureFixture) -> None:
    """Its cookies would not be seen, so the log says what to do."""

    class Outer:
        def __init__(self, app: Any) -> None:
            self.app = app

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self.app(environ, start_response)

    app = bare()
    app.wsgi_app = Outer(ProxyFix(ProxyFix(app.wsgi_app)))
    Consent(app)
    told = [record.getMessage() for record in log.records if "outside ProxyFix" in record.getMessage()]
    assert [line.startswith("consent_middleware: Outer stands outside ProxyFix") for line in told] == [True]


def test_a_scheme_that_changes_further_in_is_told_once(bare: Make, log: pytest.LogCaptureFixture) -> None:
    """A layer of the site's own makes HTTPS of HTTP inside: one warning with the remedy."""
    app = bare()
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start: inner({**environ, "wsgi.url_scheme": "https"}, start)
    Consent(app)
    client = app.test_client()
    for _ in range(3):
        client.get("/")
    assert log.text.count("the app sees HTTPS, consent plain HTTP") == 1


# -- flask.g.consent


def test_update_and_identify_work_in_a_view(shop: flask.Flask) -> None:
    """A choice made on the server is recorded under the account that has just logged in, and holds."""

    @shop.post("/account")
    def account() -> str:
        flask.g.consent.identify("user-42")
        flask.g.consent.update({"analytics": True})
        return str(flask.g.consent.allows("analytics"))

    client = shop.test_client()
    answer = client.post("/account")
    assert (answer.text, "consent" in set_names(answer)) == ("True", True)
    assert client.get("/_consent/state.json").get_json()["granted"] == [
        "analytics",
        "essential",
        "google-analytics",
    ]
    history = Records(shop.extensions["consent"].site).latest_choice("user-42")
    assert history is not None
    assert history.granted >= {"analytics"}


def test_where_no_middleware_ran_nothing_is_answered(shop: flask.Flask) -> None:
    """In a test's request context and in a bare application context: no KeyError, and only what is essential."""
    with shop.test_request_context("/", environ_overrides={"SCRIPT_NAME": "/app"}):
        consent = flask.g.consent
        assert (consent.answered, consent.allows("analytics"), consent.allows("essential")) == (
            False,
            False,
            True,
        )
        assert (consent.preferences_url, consent.language) == ("/app/_consent/preferences", "en")
    with shop.app_context():
        assert (flask.g.consent.answered, "consent" in flask.g) == (False, True)


@pytest.mark.parametrize("regime", ["opt-out", "none"])
def test_silence_allows_nothing_where_no_signal_could_be_read(bare: Make, regime: str) -> None:
    """A job of an opt-out site does not take nobody for somebody who did not object."""
    app = bare(changes={"site": {"regime": regime}})
    Consent(app, on_opt_out=lambda _: None)
    with app.app_context():
        assert not flask.g.consent.allows("marketing")


def test_nobodys_consent_cannot_be_changed(shop: flask.Flask) -> None:
    """It would be lost without a word, so it is an error that says where to do it."""
    with shop.app_context():
        with pytest.raises(ConsentError, match="there is no visitor"):
            flask.g.consent.update({"analytics": True})
        with pytest.raises(ConsentError, match=r"identify\('user-42'\)"):
            flask.g.consent.identify("user-42")


def test_a_request_within_an_open_context_has_its_own_consent(shop: flask.Flask) -> None:
    """Tests often hold an application context open: `g` is then shared, consent is not."""
    with shop.app_context():
        assert not flask.g.consent.answered
        client = shop.test_client()
        accept(client)
        assert "shop: True" in client.get("/").text
        assert not flask.g.consent.answered


def test_a_command_reads_nobodys_consent(shop: flask.Flask) -> None:
    """`@app.cli.command` has no visitor."""

    @shop.cli.command("nightly")
    def nightly() -> None:
        click.echo(flask.g.consent.granted)

    found = shop.test_cli_runner().invoke(args=["nightly"])
    assert found.output == "frozenset({'essential'})\n"


# -- requires_consent


@pytest.fixture
def guarded(shop: flask.Flask) -> flask.Flask:
    """An app with a view that needs consent."""

    @shop.route("/figures/<int:year>", methods=["GET", "POST"])
    @requires_consent("google-analytics")
    def figures(year: int) -> str:
        return f"figures of {year}"

    return shop


def test_who_was_not_asked_is_sent_to_the_settings_and_back(guarded: flask.Flask) -> None:
    """A visitor who follows a link gets the form, and then the page."""
    client = guarded.test_client()
    asked = client.get("/figures/2026?by=month", headers=NAVIGATES, base_url="http://localhost/app")
    assert asked.status_code == 303
    assert asked.headers["Location"] == "/app/_consent/preferences?next=%2Fapp%2Ffigures%2F2026%3Fby%3Dmonth"
    assert asked.headers["Cache-Control"] == "private"
    form = client.get(asked.headers["Location"][4:])
    assert 'value="/app/figures/2026?by=month"' in form.text
    accept(client)
    assert client.get("/figures/2026").text == "figures of 2026"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, id="fetch"),
        pytest.param("GET", {"Accept": "application/json"}, id="old-browser-fetch"),
        pytest.param("GET", {}, id="program"),
        pytest.param("POST", NAVIGATES, id="form"),
    ],
)
def test_what_is_no_link_is_refused_in_words(guarded: flask.Flask, method: str, headers: Any) -> None:
    """403, and what to do."""
    answer = guarded.test_client().open("/figures/2026", method=method, headers=headers)
    assert answer.status_code == 403
    assert "Google Analytics is not loaded. Change your mind any time under Cookie settings." in answer.text


def test_who_said_no_is_not_asked_again(guarded: flask.Flask) -> None:
    """A refusal is answered with 403 instead of the form, so that nobody goes round in a circle."""
    client = guarded.test_client()
    accept(client, "reject_all")
    assert client.get("/figures/2026", headers=NAVIGATES).status_code == 403


def test_a_refusal_speaks_the_visitors_language(bare: Make) -> None:
    """Of the site's languages the one that suits best; a category has its title there."""
    app = bare(changes={"site": {"languages": ["en", "de"]}})
    Consent(app)
    app.add_url_rule("/figures", view_func=requires_consent("analytics")(lambda: "figures"))
    answer = app.test_client().get("/figures", headers={"Accept-Language": "de-AT"})
    assert ("Statistik" in answer.text, "Cookie-Einstellungen" in answer.text) == (True, True)


def test_the_site_may_answer_in_its_own_way(shop: flask.Flask) -> None:
    """`otherwise` gets the view's arguments; an error handler for 403 gets what has none."""

    def instead(year: int) -> tuple[str, int]:
        return f"no figures of {year}", 451

    @shop.get("/figures/<int:year>")
    @requires_consent("analytics", otherwise=instead)
    def figures(year: int) -> str:
        return f"figures of {year}"

    @shop.get("/plain")
    @requires_consent("analytics")
    def plain() -> str:
        return "plain"

    @shop.errorhandler(403)
    def forbidden(error: Any) -> ResponseReturnValue:
        return {"why": error.description}, 403

    client = shop.test_client()
    answer = client.get("/figures/2026", headers=NAVIGATES)
    assert (answer.status_code, answer.text) == (451, "no figures of 2026")
    assert client.get("/plain").get_json()["why"].startswith("Statistics is not loaded.")


def test_an_unknown_id_is_an_error_as_soon_as_the_app_is_known(shop: flask.Flask) -> None:
    """At decoration within the app's context, else when the view is called; both name what is near."""
    with shop.app_context(), pytest.raises(UnknownIdError, match="Did you mean 'analytics'"):
        requires_consent("analytcs")
    shop.add_url_rule("/figures", view_func=requires_consent("analytcs")(lambda: "figures"))
    shop.testing = True
    with pytest.raises(UnknownIdError, match="Did you mean 'analytics'"):
        shop.test_client().get("/figures")


def test_a_guard_without_the_extension_says_so(bare: Make) -> None:
    """Nothing is let through only because nobody asked."""
    app = bare()
    app.testing = True
    app.add_url_rule("/figures", view_func=requires_consent("analytics")(lambda: "figures"))
    with pytest.raises(ConfigError, match=r"has no consent\. Call Consent\(app\)"):
        app.test_client().get("/figures")


def create_typed_app(config: ConsentConfig) -> flask.Flask:
    """Return an app as a careful site writes it: mypy --strict reads this with the tests."""
    app = flask.Flask("typed", static_folder=None)
    app.config.from_mapping(SECRET_KEY=KEY, CONSENT_CONFIG=config)
    consent = Consent(region=lambda request: request.headers.get("x-region"), on_change=print)
    consent.init_app(app)

    def instead(year: int) -> tuple[str, int]:
        return f"nothing of {year}", 403

    @app.get("/figures/<int:year>")
    @requires_consent("analytics", otherwise=instead)
    def figures(year: int) -> str:
        visitor: VisitorConsent = flask.g.consent
        return f"{year}: {visitor.regime.value}"

    # A guard leaves a view's type as it was.
    same: Callable[[int], str] = figures
    assert same is figures
    return app


def test_a_typed_site(declaration: Any) -> None:
    """The types that users see are those that run."""
    app = create_typed_app(load_config(declaration(records={"url": "none"})))
    client = app.test_client()
    before = client.get("/figures/2026").text
    accept(client)
    assert (before, client.get("/figures/2026").text) == ("nothing of 2026", "2026: opt-in")


# -- keys and settings


def signed(app: flask.Flask) -> str:
    """Return the consent cookie of who accepts all."""
    client = app.test_client()
    accept(client)
    cookie = client.get_cookie("consent")
    assert cookie is not None
    return cookie.value


def believes(app: flask.Flask, cookie: str) -> bool:
    """Return whether an app takes a consent cookie for its own."""
    client = app.test_client()
    client.set_cookie("consent", cookie)
    return "shop: True" in client.get("/").text


def test_the_apps_secret_makes_a_key_of_its_own(bare: Make) -> None:
    """The cookie is signed without the session's key, and with the same one each time."""
    derived, again, verbatim = bare(), bare(SECRET_KEY=KEY.encode()), bare(CONSENT_SECRET_KEY=KEY)
    for app in (derived, again, verbatim):
        Consent(app)
    cookie = signed(derived)
    assert [believes(app, cookie) for app in (again, verbatim)] == [True, False]


def test_keys_rotate_with_the_apps(bare: Make) -> None:
    """What an older key of `SECRET_KEY_FALLBACKS` signed holds; new cookies are signed with the new one."""
    old, new, newest = (
        bare(),
        bare(SECRET_KEY="n" * 32, SECRET_KEY_FALLBACKS=[KEY]),
        bare(SECRET_KEY="n" * 32),
    )
    for app in (old, new, newest):
        Consent(app)
    assert [believes(new, signed(old)), believes(newest, signed(old)), believes(newest, signed(new))] == [
        True,
        False,
        True,
    ]


def test_a_key_of_consents_own_comes_first(bare: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`app.config` before the environment, the environment before the app's secret; a list rotates."""
    monkeypatch.setenv("CONSENT_SECRET_KEY", "e" * 32)
    apps = (bare(), bare(CONSENT_SECRET_KEY="e" * 32), bare(CONSENT_SECRET_KEY=["e" * 32, "f" * 32]))
    for app in apps:
        Consent(app)
    assert [believes(app, signed(apps[0])) for app in apps] == [True, True, True]
    assert not believes(apps[0], signed(apps[2]))


@pytest.mark.parametrize("late", [None, "d" * 32], ids=["none-before", "another-before"])
def test_a_key_set_after_init_app_counts(bare: Make, late: str | None) -> None:
    """Factories load their settings in any order; what holds at the first request holds."""
    app, other = bare(SECRET_KEY=late), bare()
    Consent(app)
    Consent(other)
    app.secret_key = KEY
    assert believes(other, signed(app))


def test_settings_are_settled_once(bare: Make) -> None:
    """Of requests that come first together one reads them; what is changed later changes nothing."""
    app = bare(SECRET_KEY="d" * 32)
    Consent(app)
    app.secret_key = KEY
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: app.test_client().get("/").status_code, range(4))] == [200] * 4
    middleware = app.extensions["consent"]
    site, app.secret_key = middleware.site, "e" * 32
    middleware._settle()
    assert middleware.site is site


def test_without_a_key_the_first_request_says_what_to_do(bare: Make) -> None:
    """The declaration is sound, so the start is no error; a visitor cannot be served."""
    app = bare(SECRET_KEY=None)
    Consent(app)
    with app.app_context():
        assert not flask.g.consent.answered
    with pytest.raises(ConfigError, match=r"Set app\.secret_key .* before the first request"):
        app.test_client().get("/")


def test_a_secret_that_can_be_guessed_is_told(bare: Make, log: pytest.LogCaptureFixture) -> None:
    """A key made from "dev" is as good as "dev"."""
    app = bare(SECRET_KEY="dev")
    Consent(app)
    app.test_client().get("/")
    assert "app.secret_key can be guessed" in log.text


def test_a_fault_in_the_declaration_shows_at_the_start(bare: Make) -> None:
    """Even where the key is not there yet; the app stays as it was."""
    app = bare(changes={"site": {"regime": "perhaps"}}, SECRET_KEY=None)
    before = app.wsgi_app
    with pytest.raises(ConfigError, match=r"site\.regime"):
        Consent(app)
    assert (app.wsgi_app, app.extensions) == (before, {})


def test_what_is_no_flask_app_is_an_error() -> None:
    """Quart's looks much like one; the line for it is in the error."""
    with pytest.raises(ConfigError, match=r"app\.asgi_app = ConsentMiddleware"):
        Consent(quart.Quart("shop"))  # type: ignore[arg-type]


def test_a_declaration_that_is_not_there_is_named(bare: Make, tmp_path: Path) -> None:
    """With what to write into it."""
    with pytest.raises(ConfigError, match=r"there is no file .*consent\.toml"):
        Consent(bare(CONSENT_CONFIG=tmp_path / "consent.toml"))


def test_an_unknown_setting_names_what_is_near(bare: Make) -> None:
    """A slip in `app.config` is an error like one in the file."""
    with pytest.raises(ConfigError, match=r"app\.config of 'shop': 1 fault") as raised:
        Consent(bare(CONSENT_MOD="report"))
    assert str(raised.value.faults[0]) == (
        "CONSENT_MOD: is no setting. Did you mean 'CONSENT_MODE'? Known: CONSENT_CONFIG, CONSENT_SECRET_KEY, "
        "CONSENT_RECORDS_URL, CONSENT_RECORDS_JOURNAL, CONSENT_MODE; everything else stands in consent.toml."
    )


def test_settings_are_laid_over_the_declaration(bare: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode and the records' URL; the environment has the last word."""
    app = bare(CONSENT_MODE="report", CONSENT_RECORDS_URL="none")
    Consent(app)
    found = app.extensions["consent"].site.config
    assert (found.site.mode, found.records.url) == ("report", "none")
    monkeypatch.setenv("CONSENT_MODE", "enforce")
    app.test_client().get("/")  # settings are looked at again
    other = bare(CONSENT_MODE="report")
    Consent(other)
    assert other.extensions["consent"].site.config.site.mode == "enforce"


# -- bad use


def test_an_app_gets_consent_once(bare: Make, declaration: Any) -> None:
    """Twice registered, or wrapped by hand as well: an error that says so."""
    app, by_hand = bare(), bare()
    consent = Consent(app)
    by_hand.wsgi_app = ProxyFix(wsgi.ConsentMiddleware(by_hand.wsgi_app, declaration(), KEY))
    for add in (lambda: consent.init_app(app), lambda: Consent(app), lambda: Consent(by_hand)):
        with pytest.raises(ConfigError, match="has consent already"):
            add()


def test_an_app_that_has_served_is_too_late(bare: Make) -> None:
    """After the first request the error names the place to call it."""
    app = bare()
    app.add_url_rule("/early", view_func=lambda: "early")
    app.test_client().get("/early")
    with pytest.raises(ConfigError, match="has served a request before consent was added"):
        Consent(app)
    assert app.extensions == {}


def test_hooks_are_the_middlewares(bare: Make) -> None:
    """They get the same requests; a coroutine function is an error at once."""
    app = bare()
    Consent(app, skip=lambda request: request.path == "/")
    assert BANNER not in app.test_client().get("/", headers=NAVIGATES).text

    async def later(_request: Any) -> str:
        return "DE"

    with pytest.raises(ConfigError, match="region: is a coroutine function"):
        Consent(bare(), region=later)  # type: ignore[arg-type]


def test_the_nonce_hook_may_read_the_requests_g(bare: Make) -> None:
    """It is asked while Flask still answers."""
    app: flask.Flask = bare()
    Consent(app, nonce=lambda _: flask.g.nonce)

    @app.before_request
    def nonce() -> None:
        flask.g.nonce = "r4nd0m"

    assert 'nonce="r4nd0m"' in app.test_client().get("/", headers=NAVIGATES).text


# -- flask consent


def test_check_is_about_the_apps_declaration(shop: flask.Flask) -> None:
    """`flask consent check`: no path need be given."""
    found = shop.test_cli_runner().invoke(args=["consent", "check"])
    assert (found.exit_code, found.output.splitlines()[0]) == (
        0,
        "Example Shop: 3 services, mode enforce, regime opt-in.",
    )


def test_policy_is_about_the_apps_declaration(shop: flask.Flask) -> None:
    """`flask consent policy` in either form."""
    for form in ("md", "html"):
        found = shop.test_cli_runner().invoke(args=["consent", "policy", "--format", form])
        assert ("House statistics" in found.output, found.exit_code) == (True, 0)


def test_records_are_read_with_the_apps_keys(shop: flask.Flask) -> None:
    """`flask consent records` counts and verifies what the app has written, without any variable."""
    accept(shop.test_client())
    runner = shop.test_cli_runner()
    counted = runner.invoke(args=["consent", "records", "stats", "--json"])
    verified = runner.invoke(args=["consent", "records", "verify"])
    assert (json.loads(counted.output)["total"], verified.exit_code) == (1, 0)


def test_another_declaration_may_be_named(shop: flask.Flask, tmp_path: Path) -> None:
    """`--config` has the last word."""
    path = tmp_path / "other.toml"
    path.write_text('[site]\nname = "Other"\n[controller]\nname = "Other"\ncontact = "x"\n', "utf-8")
    found = shop.test_cli_runner().invoke(args=["consent", "check", "--config", str(path)])
    assert found.output.startswith("Other: 0 services")


def test_the_group_lists_the_commands(shop: flask.Flask) -> None:
    """`flask consent --help`."""
    runner = shop.test_cli_runner()
    found = runner.invoke(args=["consent", "--help"])
    assert runner.invoke(args=["consent", "check", "-h"]).exit_code == 0
    assert [name for name in ("check", "policy", "records") if f"  {name} " not in found.output] == []


def test_settings_that_cannot_be_used_are_one_line(shop: flask.Flask) -> None:
    """Exit code 2 and no traceback."""
    shop.config["CONSENT_MOD"] = "report"
    found = shop.test_cli_runner().invoke(args=["consent", "records", "stats"])
    assert (found.exit_code, "is no setting. Did you mean 'CONSENT_MODE'?" in found.output) == (2, True)


# -- a real server

FACTORY = """
import flask
from consent_middleware.flask import Consent, requires_consent

consent = Consent()

def create_app():
    app = flask.Flask("shop")
    consent.init_app(app)
    app.secret_key = "a-secret-of-32-characters-length"

    @app.get("/")
    def home():
        response = flask.make_response(flask.render_template_string(
            "<!doctype html><html><head></head><body>"
            "{% consent 'analytics' %}counted{% else %}not counted{% endconsent %}</body></html>"))
        response.set_cookie("_ga", "1")
        return response

    return app
"""
CONFIG = """
use = ["google-analytics"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
"""


@pytest.mark.slow
def test_a_factory_under_gunicorn() -> None:
    """Asked, accepted, granted: one round trip through a real server, and `flask consent` beside it."""
    folder = Path(tempfile.mkdtemp(prefix="cm"))
    (folder / "shop.py").write_text(FACTORY)
    (folder / "consent.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "gunicorn", "--bind=unix:s", "shop:create_app()"]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert any("Booting worker" in line for line in server.stderr)
        transport = httpx.HTTPTransport(verify=False, uds=str(folder / "s"))
        with httpx.Client(transport=transport, base_url="http://shop.example", timeout=60) as client:
            first = client.get("/", headers=NAVIGATES)
            client.post("/_consent/choice", headers=OWN, data={"action": "accept_all"})
            second = client.get("/", headers=NAVIGATES)
        listed = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "shop:create_app", "consent", "records", "stats"],
            cwd=folder,
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    finally:
        server.terminate()
        server.communicate(timeout=60)
        shutil.rmtree(folder)
    assert ("not counted" in first.text, BANNER in first.text, "_ga" in first.cookies) == (True, True, False)
    assert (">counted" in second.text, BANNER in second.text, "_ga" in second.cookies) == (True, False, True)
    assert listed.stdout.startswith("1 answers from")
