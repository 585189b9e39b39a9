"""Bad use gets a clear word, early and once: what, where, why, and how to mend it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import flask
import pytest
import quart
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from consent_middleware import ConfigError, Consent, asgi, wsgi
from consent_middleware.choices import Answer, Method
from consent_middleware.flask import Consent as FlaskConsent
from consent_middleware.flask import requires_consent as flask_requires
from consent_middleware.html.marks import marks
from consent_middleware.site import Hooks, Site
from consent_middleware.starlette import ConsentRequired
from consent_middleware.starlette import requires_consent as starlette_requires
from helpers_core import SECRET, make_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Serve

HTML = ("Content-Type", "text/html; charset=utf-8")
MADE = pytest.mark.parametrize(
    "adapter", [asgi.ConsentMiddleware, wsgi.ConsentMiddleware], ids=["asgi", "wsgi"]
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the folder that the tests run in, and read nothing of the process's environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def told(log: pytest.LogCaptureFixture, text: str) -> list[str]:
    """Return the warnings that hold a text."""
    return [r.getMessage() for r in log.records if r.levelno >= logging.WARNING and text in r.getMessage()]


# -- what is wrapped


@MADE
@pytest.mark.parametrize(
    ("app", "hint"),
    [
        (Starlette, "This is the class Starlette: make an app of it first"),
        ("shop:app", "Found str: give the app itself first"),
        ({"site": {"name": "Shop"}}, "Found dict: give the app itself first"),
        (None, "Found NoneType: give the app itself first"),
    ],
    ids=["class", "name", "declaration", "none"],
)
def test_what_is_no_app_at_all_is_named(adapter: Any, app: Any, hint: str) -> None:
    """A class, a name or a declaration in the app's place is found at construction, and no other adapter is proposed."""
    with pytest.raises(ConfigError, match=r"is no (?:ASGI|WSGI) app") as caught:
        adapter(app, make_config(), SECRET)
    assert caught.value.faults[0].hint.startswith(hint)


def test_an_app_that_was_wrapped_inside_is_not_wrapped_again(declaration: Callable[..., Any]) -> None:
    """Flask's and Quart's own object is refused where what it calls is a middleware already."""
    shop = flask.Flask("shop")
    shop.secret_key, shop.config["CONSENT_CONFIG"] = SECRET, declaration()
    FlaskConsent(shop)
    other = quart.Quart("other")
    other.asgi_app = asgi.ConsentMiddleware(other.asgi_app, declaration(), SECRET)  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="wrapped already"):
        wsgi.ConsentMiddleware(shop, declaration(), SECRET)
    with pytest.raises(ConfigError, match="wrapped already"):
        asgi.ConsentMiddleware(other, declaration(), SECRET)


def test_a_hook_that_is_no_function_is_found_at_construction() -> None:
    """What cannot be called is named with what it would be given, all of them at once."""
    with pytest.raises(ConfigError) as caught:
        Hooks(region="DE", on_change=7)  # type: ignore[arg-type]
    assert [str(fault) for fault in caught.value.faults] == [
        "region: is no function. Found 'DE'. Give one that takes a ConsentRequest.",
        "on_change: is no function. Found 7. Give one that takes a ConsentRecord.",
    ]


# -- what nobody can grant


def test_a_category_without_a_service_is_told_once(log: pytest.LogCaptureFixture) -> None:
    """Asking for a category that visitors are not asked about warns once, with the lines that mend it; these do."""
    consent = Consent.of_nobody(Site(make_config(use=["google-analytics"]), SECRET))
    assert [consent.allows(unit) for unit in ("marketing", "marketing", "analytics")] == [False] * 3
    (words,) = told(log, "without any service")
    assert "'marketing'" in words
    assert words.endswith('[[categories]]\nid = "marketing"')
    log.clear()
    mended = make_config(use=["google-analytics"], categories=[{"id": "marketing"}])
    assert not Consent.of_nobody(Site(mended, SECRET)).allows("marketing")
    assert told(log, "without any service") == []


def test_a_view_that_nobody_may_see_is_told(
    declaration: Callable[..., Any], log: pytest.LogCaptureFixture
) -> None:
    """`requires_consent` warns: Flask's where the view is made, Starlette's with the first request."""
    shop = flask.Flask("shop")
    shop.secret_key, shop.config["CONSENT_CONFIG"] = SECRET, declaration()
    FlaskConsent(shop)
    site = shop.extensions["consent"].site
    unasked = next(iter(site.catalog.unasked))
    with shop.app_context():
        flask_requires(unasked)(lambda: "never")
    assert len(told(log, f"{unasked!r} is a category without any service")) == 1
    log.clear()
    other = Consent.of_nobody(Site(make_config(use=["stripe"]), SECRET))
    connection = HTTPConnection({"type": "http", "headers": [], "state": {"consent": other}})
    with pytest.raises(ConsentRequired):
        asyncio.run(_asked(starlette_requires("marketing"), connection))
    assert len(told(log, "'marketing' is a category without any service")) == 1


async def _asked(dependency: Any, connection: HTTPConnection) -> Any:
    return await dependency(connection)


MARKS: dict[str, tuple[bytes, list[str]]] = {
    "script": (b'<script type="text/plain" data-category="a">x()</script>', ["a"]),
    "upper case": (b"<SCRIPT TYPE=text/plain data-service=a>x()</SCRIPT>", ["a"]),
    "another script": (b'<script data-category="a">x()</script>', []),
    "frame": (b'<iframe data-src="/x" data-service="a"></iframe>', ["a"]),
    "as Klaro has it": (b'<img data-name="a" data-src="/x">', ["a"]),
    "service first": (b'<img data-category="b" data-service="a" data-src="/x">', ["a", "a"]),
    "template": (b'<template data-category="!a">x</template>', ["!a"]),
    "several": (b'<template data-category=" a b ">x</template>', ["a b"]),
    "somebody else's": (b'<li data-category="books" data-name="x">x</li>', []),
    "no tag": (b"data-category=", []),
    "not closed": (b'<template data-category="a"', []),
    "a closing tag": (b'</template data-category="a">', []),
}


@pytest.mark.parametrize(("page", "found"), MARKS.values(), ids=MARKS.keys())
def test_what_a_page_marks_up_is_found(page: bytes, found: list[str]) -> None:
    """Only what the page's script would bring to life counts, and nothing makes it stumble."""
    assert list(marks(page)) == found


@pytest.mark.parametrize("mode", ["enforce", "report"])
def test_a_tag_that_never_runs_is_told_once(serve: Serve, log: pytest.LogCaptureFixture, mode: str) -> None:
    """A page's mark that is unknown, or a category without a service, is one warning in the log; what can run is none."""
    tags = (
        b'<script type="text/plain" data-category="analitics">a()</script><template data-category="performance">x</template>'
        b'<img data-src="/x" data-service="nope analytics"><template data-category="!analytics">x</template>'
        b'<p data-category="books">x</p>'
    )
    page = b"<!doctype html><html lang='en'><head><title>x</title></head><body>" + tags + b"</body></html>"
    app = serve((200, [HTML], [page]), {"use": ["google-analytics"], "services": [], "site": {"mode": mode}})
    for path in ("/a", "/a", "/b"):
        app.visit(path)
    words = told(log, "which never runs")
    assert [word.split("'")[1] for word in words] == ["analitics", "performance"]
    assert "Did you mean 'analytics'?" in words[0]
    assert '[[categories]]\nid = "performance"' in words[1]


# -- what is shared by mistake


def test_another_apps_cookie_on_this_host_is_told(serve: Serve, log: pytest.LogCaptureFixture) -> None:
    """A consent cookie that another key signed is one warning that names [site] id; so is one of another declaration."""
    page = b"<!doctype html><html><head><title>x</title></head><body>x</body></html>"
    key = "a key that both apps have, by mistake"
    app = serve((200, [HTML], [page]), secret_key=key)
    app.site.started = app.site.clock() - 60
    for other_key in ("a key of the other app's alone", key):
        other = Site(make_config(use=["stripe", "youtube"]), other_key)
        for _ in range(2):
            app.visit(headers={"cookie": _granting(other, app.site.clock())})
    words = told(log, '[site] id = "shop"')
    assert ["none of this site's keys" in word for word in words] == [True, False]
    assert "another consent.toml" in words[1]
    log.clear()
    app.visit(headers={"cookie": app.granting("all")})
    assert told(log, "[site] id") == []


def _granting(site: Site, now: float) -> str:
    """Return the `Cookie` header of a visitor who granted everything to a site, just now."""
    visitor = site.visitors.see(None, None, None, secure=True, now=now).visitor
    answer = Answer(site.catalog.asked, Method.ACCEPT_ALL)
    outcome = site.choices.take(visitor, answer, language="en", secure=True, now=now)
    assert outcome.set_cookie is not None
    return outcome.set_cookie.decode().partition(";")[0]


# -- records


@pytest.mark.parametrize(
    ("place", "why"),
    [("nowhere/a.db", "there is no folder"), ("a.toml/a.db", "there is no folder"), (".", "is a folder")],
)
@pytest.mark.parametrize(
    ("failure", "until"), [("journal", "answers wait as files in "), ("refuse", "a yes is answered 503")]
)
def test_a_database_that_cannot_be_written_is_told_at_the_start(
    tmp_path: Path, log: pytest.LogCaptureFixture, place: str, why: str, failure: str, until: str
) -> None:
    """A SQLite file whose folder is not there is a warning at construction, with what becomes of answers until then."""
    (tmp_path / "a.toml").write_text("")
    Site(make_config(records={"url": f"sqlite:///{place}", "on_store_failure": failure}), SECRET)
    (words,) = told(log, "[records] url")
    assert why in words
    assert until in words


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "sqlite:///:memory:", "sqlite://", "postgresql+psycopg://u:p@db/x"]
)
def test_a_database_that_can_be_written_is_not(log: pytest.LogCaptureFixture, url: str) -> None:
    """A file to come, one in memory and another machine's are nothing to warn of; none is opened."""
    Site(make_config(records={"url": url}), SECRET)
    assert told(log, "[records] url") == []
