"""What docs/recipes say beside their front-end code, which tests/browser/test_browser_recipes.py runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from consent_middleware import load_config
from consent_middleware.cli import main

RECIPES = Path(__file__).resolve().parents[1] / "docs" / "recipes"
PAGES = sorted(RECIPES.glob("*.md"))
BASE = """
use = ["google-analytics"]
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
[site]
name = "Example Shop"
"""


def block(page: str, language: str) -> str:
    """Return the only fenced block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (RECIPES / page).read_text("utf-8"), re.DOTALL)
    return str(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8"))
    assert [link for link in links if not (RECIPES / link).is_file()] == []


def test_the_readme_names_every_recipe() -> None:
    """The list leads to all of them."""
    readme = (RECIPES.parents[1] / "README.md").read_text("utf-8")
    assert [page.name for page in PAGES if f"docs/recipes/{page.name}" not in readme] == []


def test_the_line_for_other_origins_is_right() -> None:
    """It is accepted below the table it belongs to."""
    line = block("spa.md", "toml").removeprefix("[site]\n")
    origins = load_config(tomllib.loads(BASE + line)).site.origins
    assert origins == ["https://shop.example", "https://app.shop.example"]


def test_the_command_writes_the_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, in the folder of consent.toml."""
    (tmp_path / "src").mkdir()
    (tmp_path / "consent.toml").write_text(BASE, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONSENT_CONFIG", raising=False)
    program, *arguments = block("typescript.md", "sh").split()
    assert (program, CliRunner().invoke(main, arguments).exit_code) == ("consent-middleware", 0)
    assert '"google-analytics"' in (tmp_path / "src/consent.d.ts").read_text("utf-8")
