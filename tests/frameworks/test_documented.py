"""What the pages in docs/frameworks say that can be tried without their frameworks; tests/browser runs their apps."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from consent_middleware import load_config
from frameworks.documented import DOCS, files, interpreter

if TYPE_CHECKING:
    from pathlib import Path

COOKIES = {
    "dash": ["session"],
    "datasette": ["ds_actor", "ds_messages", "ds_csrftoken"],
    "gradio": ["access-token-*", "session"],
    "nicegui": ["session"],
    "streamlit": ["_streamlit_xsrf", "_streamlit_session", "_streamlit_user"],
    "wagtail": ["sessionid", "csrftoken", "messages", "django_language", "wagtail_sidebar_collapsed"],
}


@pytest.mark.parametrize("name", COOKIES)
def test_the_cookies_the_page_names_pass(name: str) -> None:
    """The declaration is accepted as it stands, and the framework's own cookies need no line in it."""
    catalog = load_config(tomllib.loads(files(name)["consent.toml"])).catalog
    page = (DOCS / f"{name}.md").read_text("utf-8")
    assert [cookie for cookie in COOKIES[name] if f"`{cookie}`" not in page] == []
    owners = {cookie: catalog.owners(cookie.replace("*", "x1")) for cookie in COOKIES[name]}
    assert owners == dict.fromkeys(COOKIES[name], ("essential",))


@pytest.mark.parametrize("name", COOKIES)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (DOCS / f"{name}.md").read_text("utf-8"))
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_a_framework_that_nobody_has_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the tests skip; one in the folder of `make test-frameworks` is run by the Python there."""
    monkeypatch.setattr("frameworks.documented.ROOT", tmp_path)
    assert interpreter("no_such_framework") is None
    folder = tmp_path / "build/frameworks"
    (folder / "lib/python3/site-packages/no_such_framework").mkdir(parents=True)
    assert interpreter("no_such_framework") == folder / "bin/python"
