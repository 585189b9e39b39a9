"""The blocks of docs/frameworks/flask.md do what it says when pasted."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

DOC = Path(__file__).resolve().parents[2] / "docs" / "frameworks" / "flask.md"
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stand in a folder with the tutorial's files, as a reader would, and run its app.py."""
    for name in ("CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "consent.toml").write_text(blocks("toml")[0], "utf-8")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "home.html").write_text(blocks("html")[0], "utf-8")
    (tmp_path / "app.py").write_text(blocks("python")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "app", raising=False)
    import app  # type: ignore[import-not-found] # noqa: PLC0415 - just written

    yield vars(app)
    app.app.extensions["consent"].site.store.close()
    monkeypatch.delitem(sys.modules, "app")


def accept(app: Flask) -> Any:
    """Return a browser that has accepted all."""
    client = app.test_client()
    form = {"action": "accept_all"}
    assert (
        client.post("/_consent/choice", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code
        == 303
    )
    return client


def test_the_tutorials_page_asks_and_waits(pasted: dict[str, Any]) -> None:
    """Banner, box and link; the block shows once accepted."""
    app: Flask = pasted["app"]
    page = app.test_client().get("/", headers=NAVIGATES).text
    assert ('id="consent-banner"' in page, "Thank you" in page) == (True, False)
    assert re.search(r'<iframe srcdoc="[^"]*YouTube is not loaded', page)
    assert (
        '<footer><a href="/_consent/preferences" data-consent="preferences">Cookie settings</a></footer>'
        in page
    )
    assert "Thank you for letting us count this visit." in accept(app).get("/").text


def test_the_views_do_what_the_page_says(pasted: dict[str, Any]) -> None:
    """The account is named, the guarded view asks first, the order passes."""
    app: Flask = pasted["app"]
    for block in blocks("python")[2:]:
        exec(block, pasted)
    client = app.test_client()
    with client.session_transaction() as session:
        session["user_id"] = "user-42"
    asked = client.get("/recommendations", headers=NAVIGATES)
    assert asked.headers["Location"] == "/_consent/preferences?next=%2Frecommendations"
    assert client.post("/order").text == "Thank you"
    assert accept(app).get("/recommendations").text == "What others like you have bought"


def test_the_factory_makes_an_app(pasted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key from the environment."""
    monkeypatch.setenv("FLASK_SECRET_KEY", "k" * 32)
    factory = {"__name__": "factory"}
    exec(blocks("python")[1], factory)
    app: Flask = factory["create_app"]()  # type: ignore[operator]
    assert pasted
    assert 'id="consent-banner"' in app.test_client().get("/nowhere", headers=NAVIGATES).text


def test_the_commands_run(pasted: dict[str, Any]) -> None:
    """Each line of the shell block, without its comment."""
    accept(pasted["app"])
    lines = [line.partition("#")[0].split() for line in blocks("sh")[0].splitlines()]
    for flask_, *arguments in lines:
        found = pasted["app"].test_cli_runner().invoke(args=arguments)
        assert (flask_, found.exit_code) == ("flask", 0), found.output
    assert len(lines) == 3
