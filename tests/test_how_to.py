"""What the how-to pages show does what they say: their Python is pasted as it stands, and asked."""

from __future__ import annotations

import re
import sys
import tomllib
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from consent_middleware import Records, load_config
from consent_middleware.wsgi import ConsentMiddleware
from doc_pages import DOCS, blocks, completed, declared, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Paste = Callable[..., dict[str, Any]]

KEY = "change-me-to-32-random-characters"
OURS = {"Sec-Fetch-Site": "same-origin"}
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
ACCEPT = {"action": "accept_all"}


@pytest.fixture
def paste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paste]:
    """Stand in a folder with a page's declaration, as a reader would, and run its Python."""
    for name in ("CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONSENT_SECRET_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    spaces: list[dict[str, Any]] = []

    def pasted(name: str, **namespace: Any) -> dict[str, Any]:
        page = DOCS / name
        (tmp_path / "consent.toml").write_text(declared(page), "utf-8")
        spaces.append(run(page, namespace))
        return spaces[-1]

    yield pasted
    for space in spaces:
        if hasattr(space.get("app"), "extensions"):
            space["app"].extensions["consent"].site.store.close()


def allows(body: bytes, declaration: dict[str, Any]) -> tuple[str, str]:
    """Return a page as it leaves before an answer, and after everything was accepted."""

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [b"<!doctype html><title>Page</title>", body]

    browser = Client(ConsentMiddleware(app, {**declaration, "records": {"url": "none"}}, KEY))
    before = browser.get("/").text
    browser.post("/_consent/choice", data=ACCEPT, headers=OURS)
    return before, browser.get("/").text


def test_a_cdn_may_keep_what_is_the_same_for_everyone(paste: Paste) -> None:
    """cdn.md: one copy serves who has answered and who has not; any other page is private."""
    app = paste("how-to/cdn.md")["app"]
    new, known = app.test_client(), app.test_client()
    known.post("/_consent/choice", data=ACCEPT, headers=OURS)
    first, second = new.get("/about"), known.get("/about")
    assert first.data == second.data
    assert 'id="consent-banner"' in first.text
    assert (first.headers["Cache-Control"], "Vary" in first.headers) == ("public, max-age=300", False)
    assert "Set-Cookie" not in first.headers
    mine = known.get("/basket")
    assert (mine.headers["Cache-Control"], mine.headers["Vary"]) == ("private", "Sec-GPC, DNT, Cookie")


def test_a_pages_nonce_is_put_on_our_tags(paste: Paste) -> None:
    """csp.md: the nonce of the app's policy, which stays as it is."""
    answer = paste("how-to/csp.md")["app"].test_client().get("/", headers=NAVIGATES)
    own, consents = (
        answer.headers.getlist("Content-Security-Policy-Report-Only"),
        answer.headers.getlist("Content-Security-Policy"),
    )
    nonce = re.match(r"script-src 'nonce-([\w-]+)'; style-src", consents[0])
    assert nonce
    assert re.findall(r'nonce="([^"]*)"', answer.text) == [nonce[1]] * 3
    assert " cdn.example.net;" in own[0]


def test_consent_mode_pages_tell_vendors(paste: Paste) -> None:
    """consent-mode.md: the declared vendors are compiled into the page's script; the server asks for itself."""
    sent: list[str] = []
    space = paste("how-to/consent-mode.md", send_to_meta=sent.append)
    for answer in (False, True):
        space["after_order"](SimpleNamespace(allows=lambda _id, answer=answer: answer), "an order")
    assert sent == ["an order"]
    before, _ = allows(b"", tomllib.loads(declared(DOCS / "how-to/consent-mode.md")))
    guard = re.search(r'src="(/_consent/static/\w+/guard.js)"', before)
    assert guard


def test_basic_mode_loads_nothing_and_advanced_loads_at_once() -> None:
    """consent-mode.md: with `hold = false` the tags pass before an answer."""
    tag = b'<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>'
    basic, advanced, _ = (b.text for b in blocks(DOCS / "how-to/consent-mode.md") if b.language == "toml")
    assert [tag.decode() in allows(tag, tomllib.loads(completed(one)))[0] for one in (basic, advanced)] == [
        False,
        True,
    ]


def test_sites_in_one_process_do_not_share_an_answer(paste: Paste) -> None:
    """several-domains.md: each host has its own cookie and record store; what one was told the other does not know."""
    space = paste("how-to/several-domains.md")
    browser = Client(space["app"])
    shop, test = ({"base_url": f"https://{name}"} for name in space["SITES"])
    said = browser.post("/_consent/choice", data=ACCEPT, headers=OURS, **shop)
    assert said.headers["Set-Cookie"].startswith("__Host-consent=")
    assert ['id="consent-banner"' in browser.get("/", **where).text for where in (shop, test)] == [
        False,
        True,
    ]
    for site in space["SITES"].values():
        site.site.store.close()


def test_the_names_of_shared_and_separate_cookies() -> None:
    """several-domains.md: `cookie_domain` and `id` make the names that the page says."""
    shared, forum = (b.text for b in blocks(DOCS / "how-to/several-domains.md") if b.language == "toml")
    names = []
    for text in (shared, forum):
        declaration = {**tomllib.loads(completed(text)), "records": {"url": "none"}}
        browser = Client(ConsentMiddleware(lambda *_: [], declaration, KEY))
        path = declaration["site"].get("path", "/_consent")
        said = browser.post(f"{path}/choice", data=ACCEPT, headers=OURS, base_url="https://shop.example")
        names.append(
            (
                said.headers["Set-Cookie"].partition("=")[0],
                "Domain=shop.example" in said.headers["Set-Cookie"],
            )
        )
    assert names == [("__Secure-consent", True), ("__Host-consent-forum", False)]


def test_an_accounts_answer_follows_it(paste: Paste) -> None:
    """known-users.md: said on one device, known on another and in a job; the account page takes it back."""
    space = paste("how-to/known-users.md")
    app = space["app"]

    app.add_url_rule("/", view_func=lambda: str(space["g"].consent.allows("marketing")))

    phone, laptop = app.test_client(), app.test_client()
    phone.post("/login")
    phone.post("/_consent/choice", data=ACCEPT, headers=OURS)
    assert laptop.get("/").text == "False"
    laptop.post("/login")
    assert laptop.get("/").text == "True"
    phone.post("/account/privacy")
    assert phone.get("/").text == "False"
    records = Records.open("consent.toml")
    latest = records.latest_choice("user-42")
    records.close()
    assert latest
    assert not latest.allows("marketing")
    laptop.post("/logout")
    assert laptop.get("/").text == "False"


def test_keys_rotate(paste: Paste) -> None:
    """key-rotation.md: its own assertions hold."""
    assert paste("how-to/key-rotation.md")["cookie"].startswith("consent=v1.")


def test_a_former_consents_cookie_goes(paste: Paste) -> None:
    """migrate.md: it is deleted though nobody declared it, and what is not there is not."""
    browser = paste("how-to/migrate.md")["app"].test_client()
    browser.set_cookie("CookieConsent", "{stamp:'x',statistics:true}")
    answer = browser.get("/")
    deleted = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
    assert [line.partition("=")[0] for line in deleted] == ["CookieConsent"]
    assert browser.get_cookie("CookieConsent") is None
    assert 'id="consent-banner"' in answer.text


def test_which_of_cookiebots_marks_count(caplog: pytest.LogCaptureFixture) -> None:
    """migrate-from-cookiebot.md: its own marks stay off for good; unmarked tags and new marks come with a yes."""
    page = DOCS / "how-to/migrate-from-cookiebot.md"
    marked, unmarked, anew = (b.text.encode() for b in blocks(page) if b.language == "html")
    declaration = tomllib.loads(declared(page))
    before, after = allows(marked, declaration)
    assert all(tag in text for tag in marked.decode().splitlines() for text in (before, after))
    before, after = allows(unmarked, declaration)
    assert (unmarked.decode() in before, unmarked.decode() in after) == (False, True)
    before, _ = allows(anew, declaration)
    assert ' src="https' not in before
    allows(b'<script id="Cookiebot" src="https://consent.cookiebot.com/uc.js"></script>', declaration)
    assert "another consent manager" in caplog.text


def test_the_groups_of_a_database_become_a_declaration(
    paste: Paste, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """migrate-from-django-cookie-consent.md: what its script prints is taken as it is."""
    cookie = SimpleNamespace(name="_ga", path="/", description="Tells visitors apart.")
    stats = SimpleNamespace(
        varname="stats", name="Statistics", is_required=False, description="Counts visits."
    )
    stats.cookie_set = SimpleNamespace(all=lambda: [cookie])
    models = ModuleType("cookie_consent.models")
    models.CookieGroup = SimpleNamespace(objects=SimpleNamespace(all=lambda: [stats]))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cookie_consent", ModuleType("cookie_consent"))
    monkeypatch.setitem(sys.modules, "cookie_consent.models", models)
    groups = paste("how-to/migrate-from-django-cookie-consent.md")["groups"]
    assert '"services"' in capsys.readouterr().out
    config = load_config({**tomllib.loads(completed("")), "services": groups}, {})
    assert config.catalog.services["stats"].cookies[0].name == "_ga"
