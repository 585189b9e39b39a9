"""Consent on a Django site, through its real WSGI and ASGI handlers."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
import threading
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "frameworks.django_site.settings")

import django
import pytest
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.cache import cache
from django.core.checks import registry as checks_registry
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import CommandError, ManagementUtility, call_command
from django.http import HttpResponse
from django.template import Context, Engine, TemplateSyntaxError
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import (
    override_settings,
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)
from django.utils.functional import SimpleLazyObject

from consent_middleware import ConfigError, ConsentError, UnknownIdError, asgi, wsgi
from consent_middleware.django import ConsentMiddleware, conf, consent_options, get_consent
from consent_middleware.django.checks import check_consent
from consent_middleware.django.nonce import make_nonce
from frameworks.django_site import views
from frameworks.django_site.serving import BROWSER, Answer, Shop

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

MIDDLEWARE = "consent_middleware.django.ConsentMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
CSP = "csp.middleware.CSPMiddleware"
OTHER = "frameworks.django_site.views.Other"
LISTED = settings.MIDDLEWARE
WITHOUT_APP = [name for name in settings.INSTALLED_APPS if name != "consent_middleware.django"]


@pytest.fixture(scope="module", autouse=True)
def _site() -> Iterator[None]:
    """Set Django up, with a database in memory and one user."""
    django.setup()
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    from django.contrib.auth.models import User  # noqa: PLC0415 - there are no models before the set-up

    User.objects.create_superuser("owner", password="let me in")
    yield
    teardown_databases(databases, verbosity=0)
    teardown_test_environment()


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Begin with nothing kept, and let go of the site that a test has made."""
    cache.clear()
    views.CALLS.clear()
    views.CLOSED.clear()
    yield
    conf.forget(setting="CONSENT")


Serve = Callable[..., Shop]


@pytest.fixture(params=["wsgi", "asgi"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run the test over each of Django's handlers."""
    return str(request.param)


@pytest.fixture
def serve(kind: str) -> Iterator[Serve]:
    """Give a shop whose settings are changed as the test says."""
    changes: list[override_settings] = []

    def make(wrap: Callable[[Any], Any] = lambda handler: handler, **changed: Any) -> Shop:
        changes.append(override_settings(**changed))
        changes[-1].enable()
        return Shop(kind, wrap)

    yield make
    for change in reversed(changes):
        change.disable()


@pytest.fixture
def shop(serve: Serve) -> Shop:
    """Serve the shop as its settings stand."""
    return serve()


def consent(**changes: Any) -> dict[str, Any]:
    """Return the setting CONSENT with sections of the declaration changed; hooks go beside it."""
    declared = settings.CONSENT["config"]
    sections = {
        key: changes.pop(key) for key in list(changes) if key in {"site", "records", "banner", "cookies"}
    }
    merged = {**declared, **{key: {**declared.get(key, {}), **value} for key, value in sections.items()}}
    return {"config": merged, **changes}


def with_middleware(*names: str, at: int = 1) -> list[str]:
    """Return the site's middleware with some more."""
    listed = list(settings.MIDDLEWARE)
    return [*listed[:at], *names, *listed[at:]]


# -- pages


def test_page_gets_the_banner_and_is_private(shop: Shop) -> None:
    """A page by a template is asked in, holds trackers back, has the right length, and is nobody else's."""
    answer = shop.visit()
    assert answer.has_banner
    assert 'src="https://www.googletagmanager.com' not in answer.text.replace("data-src=", "")
    assert answer.get("content-length") == str(len(answer.body))
    assert answer.get("cache-control") == "private"
    assert "Sec-GPC" in (answer.get("vary") or "")


def test_asynchronous_view_gets_the_same(shop: Shop) -> None:
    """An asynchronous view's page is the same as a plain one's."""
    assert shop.visit("/async/").body == shop.visit("/").body


def test_what_is_no_page_stays_as_it_is(shop: Shop) -> None:
    """Of JSON neither a byte nor a header of caching is changed."""
    answer = shop.visit("/data.json")
    assert answer.body == b'{"a": 1}'
    assert answer.get("cache-control") is None


def test_head_has_no_wrong_length(shop: Shop) -> None:
    """A HEAD request is not told the length of a page without its banner."""
    assert shop.request("HEAD", "/", BROWSER).get("content-length") is None


def test_below_a_mount_point(shop: Shop) -> None:
    """Addresses of ours stand below SCRIPT_NAME or root_path, and are answered there."""
    assert 'action="/shop/_consent/choice"' in shop.request("GET", "/", BROWSER, mount="/shop").text
    assert shop.request("GET", "/_consent/preferences", BROWSER, mount="/shop").status == 200


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("target", "status"), [("/missing/", 404), ("/broken/", 500)])
def test_error_pages_get_it_too(
    serve: Serve, target: str, status: int, caplog: pytest.LogCaptureFixture, *, debug: bool
) -> None:
    """Django's plain and technical error pages carry the banner, and keep their status."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    shop = serve(DEBUG=debug)
    answer = shop.visit(target)
    assert (answer.status, answer.has_banner) == (status, True)


# -- answers


def test_choice_without_scripts(serve: Serve, tmp_path: Path) -> None:
    """A plain form post is answered by a redirect with the cookie, once the record is durable; CSRF checks stay out."""
    shop = serve(CONSENT=consent(records={**kept_in(tmp_path), "ip": "truncate"}))
    answer = shop.choose("accept_all", referer="https://shop.example/order/")
    assert (answer.status, answer.get("location")) == (303, "/order/")
    assert answer.set_names == ["__Host-consent"]
    with sqlite3.connect(tmp_path / "records.db") as connection:
        rows = connection.execute("select document from consent_records where kind = 'consent'").fetchall()
    connection.close()
    assert len(rows) == 1
    assert "203.0.113.0" in rows[0][0]
    page = shop.visit("/", answer.all("set-cookie")[0].partition(";")[0])
    assert not page.has_banner
    assert 'src="https://www.googletagmanager.com' in page.text


def test_choice_by_script(shop: Shop) -> None:
    """A script is answered with the state."""
    answer = shop.choose("reject_all", accept="application/json")
    assert answer.status == 200
    assert "analytics" not in answer.json()["granted"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"sec-fetch-site": "cross-site"}, 403), ({"content-type": "text/plain"}, 415)],
)
def test_bad_choices_change_nothing(shop: Shop, headers: dict[str, str], status: int) -> None:
    """A choice from elsewhere or in another form is refused in words."""
    answer = shop.choose("accept_all", **headers)
    assert (answer.status, answer.set_names) == (status, [])


def test_half_a_form_is_no_choice(shop: Shop) -> None:
    """A body that ends early, or is too long, grants nothing."""
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    half = shop.request("POST", "/_consent/choice", {**form, "content-length": "99"}, b"action=accept_all")
    assert (half.status, half.set_names) == (400, [])
    long = b"action=accept_all&x=" + b"x" * 20_000
    assert shop.request("POST", "/_consent/choice", form, long).status == 413


def test_global_privacy_control(shop: Shop) -> None:
    """With Sec-GPC nobody is asked, and marketing waits."""
    answer = shop.visit("/", **{"sec-gpc": "1"})
    assert not answer.has_banner
    assert shop.visit("/_consent/state.json", **{"sec-gpc": "1"}).json()["signals"]["gpc"] is True


@pytest.mark.parametrize(
    "cookie", ["__Host-consent=v1.forged", "__Host-consent=\x7f", "=; ;;", "consent=" + "x" * 5000]
)
def test_broken_cookies_are_no_consent(shop: Shop, cookie: str) -> None:
    """A forged, oversized or malformed cookie is no consent, and no error."""
    answer = shop.visit("/", cookie)
    assert (answer.status, answer.has_banner) == (200, True)


def test_unknown_host_is_djangos_business(shop: Shop) -> None:
    """A host that ALLOWED_HOSTS does not know gets Django's own answer."""
    assert shop.request("GET", "/", {**BROWSER, "host": "evil.example"}).status == 400


def test_unknown_host_where_django_does_not_mind(serve: Serve) -> None:
    """Where nothing of the site asks for the host, nor do we."""
    shop = serve(MIDDLEWARE=[MIDDLEWARE])
    assert shop.request("GET", "/", {**BROWSER, "host": "evil.example"}).status == 200


def test_body_that_breaks_off_is_no_choice() -> None:
    """A client that goes away while it sends its choice has not chosen."""

    class Gone:
        def read(self, *_: object) -> bytes:
            raise OSError("gone")

    form = "application/x-www-form-urlencoded"
    request: Any = RequestFactory(headers={"sec-fetch-site": "same-origin"}).post(
        "/_consent/choice", b"action=accept_all", content_type=form
    )
    request._stream = Gone()
    answer: Any = ConsentMiddleware(lambda _request: None)(request)
    assert (answer.status_code, list(answer.cookies)) == (400, [])


def test_proxys_word_counts_as_settings_say(serve: Serve) -> None:
    """Behind a proxy that the settings trust, the cookie is that of HTTPS and of the outer host."""
    shop = serve(USE_X_FORWARDED_HOST=True, ALLOWED_HOSTS=["outer.example"])
    headers = {"host": "inner", "x-forwarded-host": "outer.example", "origin": "https://outer.example"}
    assert shop.choose("accept_all", **headers, **{"sec-fetch-site": ""}).status == 303


def test_well_known_resource_stands_behind_the_app(shop: Shop) -> None:
    """gpc.json is ours where no view answers."""
    answer = shop.visit("/.well-known/gpc.json")
    assert (answer.status, answer.json()["gpc"]) == (200, True)
    assert shop.visit("/.well-known/other").status == 404


def test_what_a_well_known_resource_replaces_is_closed() -> None:
    """The app's own 404 is closed with ours."""
    closed: list[str] = []
    missing: Any = HttpResponse(status=404)
    missing._resource_closers.append(lambda: closed.append("missing"))
    own: Any = ConsentMiddleware(lambda _request: missing)(RequestFactory().get("/.well-known/gpc.json"))
    own.close()
    assert (own.status_code, closed) == (200, ["missing"])


def test_static_files(shop: Shop) -> None:
    """The banner's script is served, and kept for ever."""
    found = re.search(r'src="(/_consent/static/[^"]+)"', shop.visit().text)
    assert found
    assert "immutable" in (shop.visit(found[1]).get("cache-control") or "")


# -- cookies


def test_cookies_of_who_waits_do_not_leave(shop: Shop) -> None:
    """Trackers' and undeclared cookies are held back; essential ones pass as Django wrote them."""
    answer = shop.visit("/cookies/")
    assert answer.all("set-cookie") == ["django_language=de; Path=/"]


def test_granted_cookies_leave(shop: Shop) -> None:
    """Who agreed gets them all."""
    assert {"_ga", "django_language"} <= set(shop.visit("/cookies/", shop.granting()).set_names)


def test_cookies_set_past_django(shop: Shop) -> None:
    """A Set-Cookie among the headers is filtered like one in the jar."""
    assert shop.visit("/raw-cookie/").set_names == []
    assert shop.visit("/raw-cookie/", shop.granting()).all("set-cookie") == ["_ga=GA1.1.1; Path=/"]


def test_cookies_of_other_middleware(serve: Serve) -> None:
    """What another middleware sets is filtered, and it sees as little as a view."""
    shop = serve(MIDDLEWARE=with_middleware(OTHER))
    answer = shop.visit("/what-i-see/", f"{shop.refusing()}; _ga=GA1.1.1; sessionid=abc")
    assert answer.json()["other middleware"] == "sessionid"
    assert "_fbp=fb.1; Path=/" not in answer.all("set-cookie")


def test_hidden_cookies_cannot_be_read(shop: Shop) -> None:
    """Neither a refused service's cookie nor the consent cookie is to be found anywhere in the request."""
    answer = shop.visit("/what-i-see/", f"{shop.refusing()}; _ga=GA1.1.1; sessionid=abc; _fbp=fb")
    seen = answer.json()
    assert seen.pop("COOKIES") == ["sessionid"]
    assert {value.strip("; ") for value in seen.values() if value} == {"sessionid=abc"}


def test_what_was_read_outside_is_read_anew(serve: Serve) -> None:
    """Cookies and headers that a middleware outside has had Django read are hidden all the same."""
    shop = serve(MIDDLEWARE=with_middleware("frameworks.django_site.views.Outside", at=0))
    seen = shop.visit("/what-i-see/", f"{shop.refusing()}; _ga=GA1.1.1; sessionid=abc").json()
    assert (seen["COOKIES"], seen["headers"]) == (["sessionid"], "sessionid=abc")


def test_refused_cookies_are_expired(shop: Shop) -> None:
    """What the browser still holds is deleted on the host and on its domains: several headers for one name."""
    found = shop.visit("/", f"{shop.refusing()}; _ga=GA1.1.1").all("set-cookie")
    gone = [value for value in found if value.startswith("_ga=")]
    assert len(gone) > 1
    assert all("Max-Age=0" in value for value in gone)


def test_names_that_django_cannot_write(shop: Shop) -> None:
    """A visitor's odd cookie name that a pattern matches is no error."""
    assert shop.visit("/", f"{shop.refusing()}; _ga_[(é=1; _ga_{{=2").status == 200


@pytest.mark.parametrize("name", ["SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "LANGUAGE_COOKIE_NAME"])
def test_renamed_cookies_are_known(serve: Serve, name: str) -> None:
    """Django's own cookies stay essential, whatever the settings call them."""
    shop = serve(**{name: "house_cookie"})
    assert shop.visit("/what-i-see/", "house_cookie=1").json()["META"] == "house_cookie=1"
    assert conf.site().catalog.owners("house_cookie") == ("essential",)


def test_form_is_protected_and_works(shop: Shop) -> None:
    """Csrftoken and messages pass, and a protected form is taken."""
    page = shop.visit("/order/")
    assert page.set_names == ["csrftoken"]
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    headers = {
        **BROWSER,
        "cookie": page.all("set-cookie")[0].partition(";")[0],
        "content-type": "application/x-www-form-urlencoded",
        "origin": "https://shop.example",
    }
    form = f"csrfmiddlewaretoken={token[1]}".encode()
    done = shop.request("POST", "/order/", headers, form)
    assert (done.status, done.set_names) == (302, ["messages"])
    said = done.all("set-cookie")[0].partition(";")[0]
    assert "Thank you" in shop.visit("/order/", said).text


def log_in(shop: Shop) -> Answer:
    """Log the owner in through the admin's form."""
    page = shop.visit("/admin/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    headers = {
        **BROWSER,
        "cookie": page.all("set-cookie")[0].partition(";")[0],
        "content-type": "application/x-www-form-urlencoded",
        "origin": "https://shop.example",
    }
    form = f"username=owner&password=let+me+in&next=/admin/&csrfmiddlewaretoken={token[1]}".encode()
    return shop.request("POST", "/admin/login/", headers, form)


def test_admin(shop: Shop) -> None:
    """The admin's log-in page carries the banner, and logging in works."""
    assert shop.visit("/admin/login/").has_banner
    done = log_in(shop)
    assert (done.status, done.get("location")) == (302, "/admin/")
    jar = "; ".join(value.partition(";")[0] for value in done.all("set-cookie"))
    assert "Log out" in shop.visit("/admin/", jar).text


# -- in the site's code


def test_server_side_choice(shop: Shop) -> None:
    """`request.consent.update` sets the cookie with the very response."""
    answer = shop.visit("/choose/")
    assert answer.set_names == ["__Host-consent"]
    cookie = answer.all("set-cookie")[0].partition(";")[0]
    assert "counted" in shop.visit("/tags/", cookie).text


def test_template_tags(shop: Shop) -> None:
    """A part is left out, or sent inert, or a frame that waits; the link leads to the settings."""
    page = shop.visit("/tags/").text
    assert "counted" not in page
    assert '<template data-service="meta-pixel"><p>inert</p></template>' in page
    assert 'data-src="https://www.youtube.com/embed/x"' in page
    link = (
        '<a href="/_consent/preferences?lang=en" data-consent="preferences" class="small">Cookie settings</a>'
    )
    assert link in page
    assert "counted" in shop.visit("/tags/", shop.granting()).text


def test_placeholder_escapes_what_it_is_given() -> None:
    """What comes from a variable cannot leave its attribute; underscores are hyphens."""
    made = template('{% consent_placeholder "youtube" src=src data_x=title %}')
    out = made.render(Context({"src": 'https://www.youtube.com/"><b>', "title": "A & B"}))
    assert out == (
        '<iframe data-service="youtube" data-src="https://www.youtube.com/&quot;&gt;&lt;b&gt;" '
        'data-x="A &amp; B"></iframe>'
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{% consent "analitycs" %}x{% endconsent %}', "Did you mean 'analytics'"),
        ('{% consent_template "nothing" %}x{% endconsent_template %}', "neither a category nor a service"),
        ("{% consent %}x{% endconsent %}", "takes one category or service"),
        ("{% consent 12 %}x{% endconsent %}", "in quotes"),
    ],
)
def test_bad_tags_are_found_at_compile_time(source: str, words: str) -> None:
    """A template that asks for what is not declared does not compile, and says why."""
    with pytest.raises(TemplateSyntaxError, match=words):
        template(source)


def test_bad_variables_are_found_when_rendered() -> None:
    """A variable's unknown id is an error too."""
    with pytest.raises(UnknownIdError):
        template("{% consent unit %}x{% endconsent %}").render(
            Context({"unit": "nothing", "request": RequestFactory().get("/")})
        )


def test_tags_without_a_request() -> None:
    """Where there is no request, nobody has agreed; the link works all the same."""
    out = template('{% consent "analytics" %}x{% endconsent %}{% consent_link "Settings" %}').render(
        Context()
    )
    assert out.startswith('<a href="/_consent/preferences')
    assert ">Settings</a>" in out


def template(source: str) -> Any:
    """Return a compiled template that loads the tags."""
    libraries = {"consent": "consent_middleware.django.templatetags.consent"}
    return Engine(libraries=libraries).from_string("{% load consent %}" + source)


@override_settings(
    CONSENT={"config": {**settings.CONSENT["config"], "site": {"name": "x", "regime": "opt-out"}}}
)
def test_where_no_middleware_ran_nobody_has_answered() -> None:
    """A view's unit test finds a visitor who said nothing; to change that is an error."""
    nobody = get_consent(RequestFactory().get("/"))
    assert (nobody.answered, nobody.allows("essential"), nobody.allows("analytics")) == (False, True, False)
    with pytest.raises(ConsentError, match="the middleware saw no request here"):
        nobody.update({"analytics": True})
    with pytest.raises(ConsentError, match="the middleware saw no request here"):
        nobody.identify("user-1")


def test_hooks_by_path_and_by_name(serve: Serve) -> None:
    """A hook may be named by its path, be awaitable, and is given Django's request."""
    seen: list[str] = []

    async def skip(request: Any) -> bool:
        seen.append(type(request.raw).__name__)
        return bool(request.path == "/")

    shop = serve(
        CONSENT=consent(
            site={"regime": "by-region"},
            region="frameworks.django_site.views.region",
            skip=skip,
            on_opt_out=print,
        )
    )
    assert not shop.visit("/").has_banner
    assert seen == [{"wsgi": "WSGIRequest", "asgi": "ASGIRequest"}[shop.kind]]
    assert shop.visit("/_consent/state.json").json()["regime"] == "opt-out"


def test_on_change_runs_once_it_is_durable(serve: Serve, tmp_path: Path) -> None:
    """The site hears of a choice, in place under WSGI and in a worker thread under ASGI."""
    heard: list[bool] = []

    def on_change(_record: object) -> None:
        heard.append(threading.current_thread() is threading.main_thread())

    shop = serve(CONSENT=consent(records=kept_in(tmp_path), on_change=on_change))
    shop.granting()
    assert heard == [shop.kind == "wsgi"]


def test_opt_outs_are_told_at_least_once(serve: Serve, tmp_path: Path) -> None:
    """A hook that fails is told again, by the next request of the next process."""
    told_of: list[str] = []
    in_main: list[bool] = []

    def on_opt_out(record: Any) -> None:
        told_of.append(record.record_id)
        in_main.append(threading.current_thread() is threading.main_thread())
        if len(told_of) == 1:
            raise RuntimeError("away")

    shop = serve(
        CONSENT=consent(site={"regime": "opt-out"}, records=kept_in(tmp_path), on_opt_out=on_opt_out)
    )
    shop.choose("opt_out")
    assert len(told_of) == 1
    conf.forget(setting="CONSENT")
    Shop(shop.kind).visit("/data.json")
    assert told_of == [told_of[0]] * 2
    assert in_main == [shop.kind == "wsgi"] * 2


def kept_in(folder: Path) -> dict[str, str]:
    """Return the section of a store of its own."""
    return {"url": f"sqlite:///{folder}/records.db", "journal": f"{folder}/journal"}


def test_log_in_identifies_the_visitor(serve: Serve, tmp_path: Path) -> None:
    """A receiver of `user_logged_in` binds the browser to its account in the log-in's own response."""
    shop = serve(CONSENT=consent(records=kept_in(tmp_path)))
    user_logged_in.connect(views.follow)
    try:
        done = log_in(shop)
    finally:
        user_logged_in.disconnect(views.follow)
    assert {"sessionid", "__Host-consent"} <= set(done.set_names)


def test_subject_is_read_from_the_session(serve: Serve, tmp_path: Path) -> None:
    """The `subject` hook runs before the session's middleware, and may ask the session's store itself."""
    from django.contrib.sessions.backends.db import SessionStore  # noqa: PLC0415 - a model, as above

    subjects: list[object] = []

    def subject(request: Any) -> str | None:
        key = request.cookies.get(settings.SESSION_COOKIE_NAME)
        subjects.append(SessionStore(key).get("_auth_user_id") if key else None)
        return None

    shop = serve(CONSENT=consent(records=kept_in(tmp_path), subject=subject))
    jar = "; ".join(value.partition(";")[0] for value in log_in(shop).all("set-cookie"))
    shop.visit("/", jar)
    assert subjects[-1] == "1"


def test_keys_are_derived_and_can_be_rotated(serve: Serve) -> None:
    """A cookie signed under an old SECRET_KEY counts while it is a fallback, and no longer."""
    shop = serve()
    cookie = shop.granting()
    rotated = serve(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY])
    assert not rotated.visit("/", cookie).has_banner
    fresh = rotated.granting()
    assert not serve(SECRET_KEY_FALLBACKS=[]).visit("/", fresh).has_banner
    assert serve(SECRET_KEY_FALLBACKS=[]).visit("/", cookie).has_banner


def test_own_key_and_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the setting comes first, then the environment's, then what is derived."""
    derived = conf.keys()
    assert settings.SECRET_KEY not in derived
    monkeypatch.setenv("CONSENT_SECRET_KEY", "old,new")
    assert conf.keys() == ["old", "new"]
    with override_settings(CONSENT=consent(secret_key="own")):
        assert conf.keys() == ["own"]


def test_dict_starts_from_base_dir() -> None:
    """What a dict names by a relative path is kept beside manage.py, too."""
    assert conf.declaration().folder == settings.BASE_DIR


def test_paths_start_from_base_dir(tmp_path: Path) -> None:
    """The declaration is found beside manage.py, wherever the process was started."""
    (tmp_path / "consent.toml").write_text(
        '[site]\nname = "x"\n[controller]\nname = "x"\ncontact = "y"\n[records]\nurl = "none"\n', "utf-8"
    )
    for given in ({}, {"config": "consent.toml"}, {"config": tmp_path / "consent.toml"}):
        with override_settings(BASE_DIR=tmp_path, CONSENT=given):
            assert conf.declaration().folder == tmp_path


# -- caches


def test_cached_page_is_personal_to_each(serve: Serve) -> None:
    """`cache_page` keeps the page without us: nobody is served what another visitor said."""
    shop = serve()
    yes, no = shop.granting(), shop.refusing()
    for cookie, asked, held in [
        (yes, False, False),
        ("", True, True),
        (no, False, True),
        (yes, False, False),
    ]:
        page = shop.visit("/cached/", cookie)
        assert page.has_banner is asked
        assert ('type="text/plain"' in page.text) is held
    assert views.CALLS == ["cached"]


def test_whole_site_cache_inside(serve: Serve) -> None:
    """The same with the cache middlewares, which then stand inside of ours."""
    listed = list(settings.MIDDLEWARE)
    shop = serve(MIDDLEWARE=[listed[0], UPDATE, *listed[1:], FETCH])
    yes = shop.granting()
    assert not shop.visit("/cached/", yes).has_banner
    assert shop.visit("/cached/").has_banner
    assert not shop.visit("/cached/", yes).has_banner
    assert views.CALLS == ["cached"]


def test_page_that_read_consent_is_not_kept(serve: Serve) -> None:
    """What a view made of one visitor's consent is no other's, even under `cache_page`."""
    shop = serve()
    assert "counted" in shop.visit("/cached-tags/", shop.granting()).text
    assert "counted" not in shop.visit("/cached-tags/").text
    assert len(views.CALLS) == 2


def test_conditional_get(serve: Serve) -> None:
    """The same visitor's page is not sent again; once they have answered, it is."""
    shop = serve(MIDDLEWARE=with_middleware(CONDITIONAL))
    tag = shop.visit("/").get("etag")
    assert tag
    again = shop.visit("/", if_none_match=tag)
    assert (again.status, again.body, again.get("etag")) == (304, b"", tag)
    assert shop.visit("/", shop.refusing(), if_none_match=tag).status == 200


@pytest.mark.parametrize("at", [0, 1])
def test_gzip_outside_and_inside(serve: Serve, at: int) -> None:
    """The page is compressed with the banner in it, whichever way round."""
    shop = serve(MIDDLEWARE=with_middleware(GZIP, at=at))
    answer = shop.visit("/admin/login/", accept_encoding="gzip, br")
    assert answer.get("content-encoding") == "gzip"
    assert 'id="consent-banner"' in gzip.decompress(answer.body).decode()
    assert answer.get("content-length") in {str(len(answer.body)), None}


# -- policies and languages


def test_nonce_of_django_csp(serve: Serve) -> None:
    """A strict policy's nonce stands on our scripts, even on a page that used none itself."""
    from csp.constants import NONCE, STRICT_DYNAMIC  # noqa: PLC0415 - beside its only use

    policy = {"DIRECTIVES": {"script-src": [NONCE, STRICT_DYNAMIC]}}
    shop = serve(MIDDLEWARE=with_middleware(CSP), CONTENT_SECURITY_POLICY=policy)
    page = shop.visit()
    nonce = re.search(r"'nonce-([^']+)'", page.get("content-security-policy") or "")
    assert nonce
    assert f'nonce="{nonce[1]}"' in page.text


def test_policies_stand_side_by_side(serve: Serve) -> None:
    """Our policy joins the site's in one header, which is how a list of policies is written."""
    changed = {**consent(), "config": {**settings.CONSENT["config"], "csp": {"mode": "enforce"}}}
    policy = {"DIRECTIVES": {"img-src": ["'self'"]}}
    shop = serve(MIDDLEWARE=with_middleware(CSP), CONTENT_SECURITY_POLICY=policy, CONSENT=changed)
    theirs, ours = (shop.visit().get("content-security-policy") or "").split(", ")
    assert "img-src 'self'" in theirs
    assert "report-uri /_consent/csp-report" in ours


def test_no_nonce_where_it_would_switch_inline_code_off(serve: Serve) -> None:
    """A policy that allows inline code gets no nonce it did not ask for."""
    from csp.constants import NONCE, UNSAFE_INLINE  # noqa: PLC0415 - beside its only use

    policy = {"DIRECTIVES": {"script-src": ["'self'", NONCE, UNSAFE_INLINE]}}
    shop = serve(MIDDLEWARE=with_middleware(CSP), CONTENT_SECURITY_POLICY=policy)
    assert "nonce" not in (shop.visit().get("content-security-policy") or "")


def test_nonce_of_djangos_own_policy() -> None:
    """Django 6.0 keeps a lazy nonce under another name; it is made in time, too."""
    made: list[str] = []

    def make() -> str:
        made.append("once")
        return "abcd"

    request: Any = RequestFactory().get("/")
    request._csp_nonce = SimpleLazyObject(make)
    make_nonce(request)
    assert made == ["once"]


@pytest.mark.skipif(django.VERSION < (6,), reason="Django has a policy of its own from 6.0 on")
def test_nonce_of_a_strict_policy_of_django(serve: Serve) -> None:
    """Django's own policy gets its nonce on our scripts, too."""
    policy = {"script-src": ["<CSP_NONCE_SENTINEL>", "'strict-dynamic'"]}
    own = "django.middleware.csp.ContentSecurityPolicyMiddleware"
    page = serve(MIDDLEWARE=with_middleware(own), SECURE_CSP=policy).visit()
    nonce = re.search(r"'nonce-([^']+)'", page.get("content-security-policy") or "")
    assert nonce
    assert f'nonce="{nonce[1]}"' in page.text


def test_language_of_the_page(shop: Shop) -> None:
    """The banner speaks the language that LocaleMiddleware chose for the page."""
    assert "Alle ablehnen" in shop.visit("/", "django_language=de").text
    assert "Reject all" in shop.visit("/", accept_language="en").text


def test_language_of_our_own_pages(shop: Shop) -> None:
    """Our own pages follow the language a visitor has chosen on the site before the browser's."""
    own = "/_consent/preferences"
    assert '<html lang="de"' in shop.visit(own, "django_language=de", accept_language="en").text
    assert '<html lang="de"' in shop.visit(own, accept_language="de").text
    assert '<html lang="en"' in shop.visit(own).text


def test_language_without_locale_middleware(serve: Serve) -> None:
    """Without LocaleMiddleware the browser's languages count, as on any site."""
    shop = serve(MIDDLEWARE=[name for name in settings.MIDDLEWARE if "Locale" not in name])
    page = shop.visit("/_consent/preferences", "django_language=de", accept_language="en")
    assert '<html lang="en"' in page.text


# -- bodies


def test_stream_goes_on_as_it_comes(kind: str) -> None:
    """A page that comes in pieces gets the banner, leaves in pieces, and is closed."""
    shop = Shop(kind)
    answer = shop.visit("/stream/" if kind == "wsgi" else "/stream-async/")
    assert answer.has_banner
    assert b"<p>one</p>" in answer.chunks[1]
    assert b"<p>two</p>" not in answer.chunks[1]
    assert (["stream"] if kind == "wsgi" else []) == views.CLOSED


def test_stream_inside_of_plain_middleware(serve: Serve) -> None:
    """Middleware that is not asynchronous puts ours into a thread; a stream goes on piece by piece all the same."""
    shop = serve(MIDDLEWARE=with_middleware(OTHER))
    answer = shop.visit("/stream/" if shop.kind == "wsgi" else "/stream-async/")
    assert answer.has_banner
    assert b"<p>two</p>" not in answer.chunks[1]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_stream_of_the_other_colour(kind: str) -> None:
    """Where a view's stream does not go with its handler, Django gathers it with a warning; the banner is in."""
    shop = Shop(kind)
    assert shop.visit("/stream/" if kind == "asgi" else "/stream-async/").has_banner


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_files(shop: Shop) -> None:
    """A file that is no page passes untouched; one that is a page gets the banner."""
    plain = shop.visit("/download/")
    assert plain.body == (settings.BASE_DIR / "settings.py").read_bytes()
    assert plain.get("content-length") == str(len(plain.body))
    page = shop.visit("/page-file/")
    assert page.has_banner
    assert page.get("content-length") in {str(len(page.body)), None}


def test_file_wrapper_gets_the_file_itself() -> None:
    """A server that sends files by itself is handed the file, where it is no page."""
    shop = Shop("wsgi")
    wrapped: list[Any] = []

    def wrapper(file: Any, size: int) -> Any:
        wrapped.append(file)
        return iter(lambda: file.read(size), b"")

    shop.file_wrapper = wrapper
    shop.visit("/download/")
    assert [file.name for file in wrapped] == [str(settings.BASE_DIR / "settings.py")]
    wrapped[0].close()
    assert shop.visit("/page-file/").has_banner
    assert len(wrapped) == 1


def test_parts_are_left_alone(shop: Shop) -> None:
    """A partial response is sent as it is."""
    answer = shop.visit("/part/")
    assert (answer.status, answer.body) == (206, b"<p>mid")


# -- Django's own test clients


FORM = {"action": "accept_all"}
ASKED = {**BROWSER, "host": "shop.example"}


def test_plain_test_client() -> None:
    """`django.test.Client` sees the banner, keeps the cookie, and then gets the page without."""
    client = Client(headers=ASKED)
    first = client.get("/", secure=True)
    assert b'id="consent-banner"' in first.content
    assert first.templates[0].name == "home.html"
    chosen = client.post("/_consent/choice", FORM, secure=True, headers={"sec-fetch-site": "same-origin"})
    assert chosen.status_code == 415  # the client sends multipart, which no form of ours does
    chosen = client.post(
        "/_consent/choice",
        "action=accept_all",
        content_type="application/x-www-form-urlencoded",
        secure=True,
        headers={"sec-fetch-site": "same-origin"},
    )
    assert chosen.cookies["__Host-consent"].value.startswith("v1.")
    assert b'id="consent-banner"' not in client.get("/", secure=True).content


def test_asynchronous_test_client() -> None:
    """So does `AsyncClient`, in one event loop."""

    async def visit() -> list[bool]:
        client = AsyncClient(headers=ASKED)
        before = await client.get("/", secure=True)
        await client.get("/choose/", secure=True)
        after = await client.get("/tags/", secure=True)
        return [b'id="consent-banner"' in before.content, b"counted" in after.content]

    assert asyncio.run(visit()) == [True, True]


def test_runserver_watches_the_declaration(tmp_path: Path) -> None:
    """`runserver` starts again when consent.toml changes; where nothing can be read, the checks say so."""
    watched: list[Path] = []

    class Reloader:
        watch_file = watched.append

    with override_settings(BASE_DIR=tmp_path, CONSENT={}):
        conf.watch(sender=Reloader)
    with override_settings(CONSENT="consent.toml"):
        conf.watch(sender=Reloader)
    with override_settings(CONSENT=consent()):
        conf.watch(sender=Reloader)
    assert watched == [tmp_path.resolve() / "consent.toml"]


def test_site_is_made_once(serve: Serve) -> None:
    """Each test client makes a handler; the site behind them is one, until a setting changes."""
    first = conf.site()
    assert ConsentMiddleware(lambda request: request).site is first
    serve(CONSENT=consent())
    assert conf.site() is not first
    second = conf.site()
    conf.forget(setting="DEBUG")
    assert conf.site() is second


# -- a wrapped handler


def test_wrapped_handler(serve: Serve, kind: str) -> None:
    """The handler may be wrapped instead: `get_consent` and the tags find the consent."""
    wrap = wsgi.ConsentMiddleware if kind == "wsgi" else asgi.ConsentMiddleware
    shop = serve(lambda handler: wrap(handler, **consent_options()), MIDDLEWARE=settings.MIDDLEWARE[1:])
    assert shop.visit("/").has_banner
    page = shop.visit("/tags/", shop.granting())
    assert "counted" in page.text
    assert page.get("cache-control") == "private"


def test_wrapped_handler_with_the_middleware(serve: Serve, kind: str) -> None:
    """With the middleware in it, too, that one defers, and gives `request.consent`."""
    wrap = wsgi.ConsentMiddleware if kind == "wsgi" else asgi.ConsentMiddleware
    shop = serve(lambda handler: wrap(handler, **consent_options()))
    assert shop.visit("/").text.count('id="consent-banner"') == 1
    assert shop.visit("/choose/").set_names == ["__Host-consent"]
    assert "counted" in shop.visit("/cached-tags/", shop.granting()).text
    assert "counted" not in shop.visit("/cached-tags/").text


# -- the documentation

DOC = Path(__file__).resolve().parents[2] / "docs" / "frameworks" / "django.md"


def block(language: str, containing: str) -> str:
    """Return the fenced block of the documentation that holds a text."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", DOC.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return next(textwrap.dedent(text) for _, text in found if containing in text)


def test_five_minutes_work(serve: Serve, tmp_path: Path) -> None:
    """The tutorial's settings and declaration, as they stand, put the banner into a page, and the checks are content."""
    (tmp_path / "consent.toml").write_text(block("toml", "google-analytics"), "utf-8")
    names: dict[str, Any] = {"INSTALLED_APPS": [*WITHOUT_APP], "MIDDLEWARE": settings.MIDDLEWARE[1:]}
    exec(block("python", "INSTALLED_APPS"), names)
    shop = serve(
        BASE_DIR=tmp_path, CONSENT={}, INSTALLED_APPS=names["INSTALLED_APPS"], MIDDLEWARE=names["MIDDLEWARE"]
    )
    assert check_consent() == []
    assert shop.visit().has_banner


def test_documented_template_compiles(serve: Serve) -> None:
    """The template's block renders."""
    serve()
    source = block("django", "endconsent").removeprefix("{% load consent %}")
    assert "data-src" in template(source).render(Context())


def test_documented_types() -> None:
    """The typed request, settings and view are what a project can paste; tests/frameworks/typed_django.py checks the types."""
    names: dict[str, Any] = {}
    exec(block("python", "ConsentSettings"), names)
    request = names["ConsentHttpRequest"]()
    request.consent = get_consent(request)
    assert names["home"](request).content == b""
    assert set(names["CONSENT"]) <= set(conf.KEYS)


def test_documented_accounts(serve: Serve, tmp_path: Path) -> None:
    """The hook and the receivers of the documentation bind a log-in, and know the account afterwards."""
    names: dict[str, Any] = {}
    exec(block("python", "user_logged_out"), names)
    shop = serve(CONSENT=consent(records=kept_in(tmp_path), subject=names["subject"]))
    try:
        done = log_in(shop)
        assert {"sessionid", "__Host-consent"} <= set(done.set_names)
        jar = {value.partition("=")[0]: value.partition(";")[0] for value in done.all("set-cookie")}
        shop.choose("accept_all", "; ".join(jar.values()))
    finally:
        user_logged_in.disconnect(names["logged_in"])
        user_logged_out.disconnect(names["logged_out"])
    assert conf.site().latest_choice("1") is not None


def test_documented_wrapper(serve: Serve) -> None:
    """The wrapped handler of the documentation serves a page."""
    names: dict[str, Any] = {}
    serve()
    exec(block("python", "get_wsgi_application"), names)
    shop = Shop("wsgi", lambda _handler: names["application"])
    assert shop.visit().has_banner


def test_documented_setting_and_test() -> None:
    """Every key of the documented setting is one, and the documented test passes."""
    names: dict[str, Any] = {}
    exec(block("python", '"region": "shop'), names)
    assert set(names["CONSENT"]) <= set(conf.KEYS)
    exec(block("python", "BannerTest"), names)
    result = unittest.TestResult()
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        unittest.defaultTestLoader.loadTestsFromTestCase(names["BannerTest"]).run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


# -- manage.py consent


def manage(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[object, str]:
    """Run `manage.py`; return its exit code and what it wrote."""
    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["/srv/shop/manage.py", *argv]).execute()
    written = capsys.readouterr()
    return ended.value.code, written.out + written.err


def test_the_command_is_about_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither declaration nor key need be named; Django's own options may stand anywhere, and --config has the last word."""
    settings_option = f"--settings={os.environ['DJANGO_SETTINGS_MODULE']}"
    code, said = manage(capsys, "consent", "check", settings_option)
    assert (code, said.splitlines()[0]) == (0, "Example Shop: 3 services, mode enforce, regime opt-in.")
    code, said = manage(capsys, "consent", "--pythonpath", ".", "check", "--config", "nowhere.toml")
    assert (code, "there is no file 'nowhere.toml'" in said) == (1, True)


def test_the_command_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    """All but `init`, whether `help` stands before or behind; a command that there is not is exit code 2."""
    _, said = manage(capsys, "consent", "-h")
    listed = re.findall(r"^  (\w+)  ", said, re.MULTILINE)
    assert listed == ["catalog", "check", "keys", "policy", "records", "schema", "types"]
    assert said.startswith("Usage: manage.py consent [OPTIONS] COMMAND")
    ManagementUtility(["manage.py", "help", "consent"]).execute()
    assert capsys.readouterr().out == said
    assert manage(capsys, "consent", "chekc")[0] == 2


@pytest.mark.parametrize("kind", ["wsgi"], indirect=True)
def test_the_command_reads_the_projects_records(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`manage.py consent records` counts and verifies with the derived key; `call_command` does the same in code."""
    serve(CONSENT=consent(records=kept_in(tmp_path))).granting()
    code, said = manage(capsys, "consent", "records", "stats", "--json")
    assert (code, json.loads(said)["total"]) == (0, 1)
    assert manage(capsys, "consent", "records", "verify")[0] == 0
    call_command("consent", "records", "stats")
    with pytest.raises(CommandError, match="either --principal or --subject") as unclear:
        call_command("consent", "records", "erase", "--yes")
    assert unclear.value.returncode == 2
    with override_settings(SECRET_KEY="another key than the records were signed with"):
        with pytest.raises(CommandError, match="exit code 1") as forged:
            call_command("consent", "records", "verify")
        assert forged.value.returncode == 1


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"CONSENT": {"confg": "x"}}, "CONSENT['confg']: is not a setting."),
        ({"CONSENT": {"config": {"site": {"nmae": "x"}}}}, "site.nmae: 'nmae' is not a known key."),
        ({"SECRET_KEY": "", "CONSENT": {"config": settings.CONSENT["config"]}}, "no secret key"),
    ],
)
def test_settings_the_command_cannot_use(
    changed: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, every fault, and no traceback."""
    with override_settings(**changed):
        code, said = manage(capsys, "consent", "records", "stats")
    assert (code, problem in said) == (2, True)


# -- what is wrong, and how to mend it


def told(**changed: Any) -> dict[str, CheckMessage]:
    """Return what `manage.py check` says under changed settings, by id."""
    with override_settings(**changed):
        return {str(message.id): message for message in check_consent()}


def test_a_sound_site_passes_its_checks() -> None:
    """Nothing is said of the shop as it is, nor with harmless middleware outside."""
    assert told() == {}
    assert told(MIDDLEWARE=with_middleware("django.middleware.security.SecurityMiddleware", GZIP, at=0)) == {}


def test_checks_are_registered() -> None:
    """`manage.py check` runs them."""
    registered: set[Any] = checks_registry.registry.registered_checks
    assert check_consent in registered


BAD_CONFIG = {"site": {"nmae": "x"}, "controller": {"name": "x", "contact": "y"}}


@pytest.mark.parametrize(
    ("id_", "changed", "problem", "hint"),
    [
        ("E001", {"CONSENT": {"config": "nowhere.toml"}}, "there is no file", "[controller]"),
        ("E001", {"CONSENT": {"config": BAD_CONFIG}}, "site.nmae", "name"),
        ("E002", {"CONSENT": "consent.toml"}, "is str, not a dict", "CONSENT = {"),
        ("E002", {"CONSENT": {"confg": "x"}}, "CONSENT['confg']: is not a setting", "'config'"),
        ("E002", {"CONSENT": consent(region="shop.nowhere")}, "cannot be imported", "full path"),
        ("E002", {"CONSENT": consent(region=7)}, "CONSENT['region']: is no function", "full path"),
        ("E003", {"CONSENT": consent(secret_key="")}, "no secret to sign", "keys new"),
        ("E003", {"SECRET_KEY": ""}, "SECRET_KEY setting must not be empty", "CONSENT_SECRET_KEY"),
        ("E004", {"MIDDLEWARE": [MIDDLEWARE, *LISTED]}, "more than once", "Keep the first"),
        (
            "E005",
            {"MIDDLEWARE": [UPDATE, *LISTED, FETCH]},
            "UpdateCacheMiddleware outside",
            "first in the list",
        ),
        ("E006", {"INSTALLED_APPS": WITHOUT_APP}, "INSTALLED_APPS", "Add 'consent_middleware.django'"),
        ("W001", {"MIDDLEWARE": LISTED[1:]}, "does not name ConsentMiddleware", "first"),
        ("W002", {"MIDDLEWARE": [OTHER, *LISTED]}, "views.Other outside", "first"),
    ],
)
def test_checks_say_what_is_wrong(id_: str, changed: dict[str, Any], problem: str, hint: str) -> None:
    """Each fault has an id, says where it is, and how to mend it."""
    message = told(**changed)[f"consent.{id_}"]
    assert problem in message.msg
    assert hint in str(message.hint)


def test_checks_name_every_fault_of_the_declaration() -> None:
    """All of a declaration's faults come at once, one message each."""
    with override_settings(
        CONSENT={"config": {"site": {"name": "x", "regime": "none?"}, "use": ["nothing"]}}
    ):
        found = [message.msg for message in check_consent()]
    assert len(found) >= 3
    assert all(message.startswith("dict: ") for message in found)


@pytest.mark.parametrize(
    "changed",
    [
        {"MIDDLEWARE": [MIDDLEWARE, *LISTED]},
        {"MIDDLEWARE": [UPDATE, *LISTED, FETCH]},
        {"INSTALLED_APPS": WITHOUT_APP},
        {"CONSENT": {"config": "nowhere.toml"}},
        {"CONSENT": {"confg": "x"}},
    ],
)
def test_what_cannot_work_does_not_start(changed: dict[str, Any]) -> None:
    """A server that never runs the checks fails at its start all the same."""
    with override_settings(**changed), pytest.raises(ConfigError):
        WSGIHandler()


def test_handler_in_the_wrong_class() -> None:
    """Django's middleware around a whole handler is refused with the right name."""
    with pytest.raises(ConfigError, match=r"consent_middleware\.wsgi\.ConsentMiddleware"):
        ConsentMiddleware(WSGIHandler())  # type: ignore[arg-type]


def test_importing_reads_no_settings() -> None:
    """The package can be imported before there are settings, as `INSTALLED_APPS` and asgi.py do."""
    script = "import consent_middleware.django; from django.conf import settings; print(settings.configured)"
    without = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, env=without
    )
    assert done.stdout.strip() == "False"
