"""What the pages in docs/frameworks say that can be tried without their frameworks; tests/browser runs their apps."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from consent_middleware import load_config
from frameworks.documented import DOCS, files, interpreter

if TYPE_CHECKING:
    from pathlib import Path

COOKIES = {
    "dash.md": ["session"],
    "datasette.md": ["ds_actor", "ds_messages", "ds_csrftoken"],
    "gradio.md": ["access-token-*", "session"],
    "nicegui.md": ["session"],
    "streamlit.md": ["_streamlit_xsrf", "_streamlit_session", "_streamlit_user"],
    "wagtail.md": ["sessionid", "csrftoken", "messages", "django_language", "wagtail_sidebar_collapsed"],
}


@pytest.mark.parametrize("page", COOKIES)
def test_the_cookies_the_page_names_pass(page: str) -> None:
    """The declaration is accepted as it stands, and the framework's own cookies need no line in it."""
    catalog = load_config(tomllib.loads(files(page)["consent.toml"])).catalog
    text = (DOCS / page).read_text("utf-8")
    assert [cookie for cookie in COOKIES[page] if f"`{cookie}`" not in text] == []
    owners = {cookie: catalog.owners(cookie.replace("*", "x1")) for cookie in COOKIES[page]}
    assert owners == dict.fromkeys(COOKIES[page], ("essential",))


def test_a_framework_that_nobody_has_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the tests skip; one in the folder of `make test-frameworks` is run by the Python there."""
    monkeypatch.setattr("frameworks.documented.ROOT", tmp_path)
    assert interpreter("no_such_framework") is None
    folder = tmp_path / "build/frameworks"
    (folder / "lib/python3/site-packages/no_such_framework").mkdir(parents=True)
    assert interpreter("no_such_framework") == folder / "bin/python"
