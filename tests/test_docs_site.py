"""The documentation as a site: it builds without a warning, asks no other host for anything, and a fault stops it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from doc_pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def build(config: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """Build a site strictly, as `make docs` does."""
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(config),
        "--site-dir",
        str(to),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_asked_of_another_host(site: Path) -> None:
    """No font, script, style, picture or frame of anybody else's; only links that a reader may follow."""
    asked = set()
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?!a\b)[a-z][^>]*>", page.read_text("utf-8")):
            if not re.match(r"<link rel=.?canonical", tag):
                asked.update(
                    re.findall(r"""(?:src|href|srcset|data|action)=["']?((?:https?:)?//[^"' >]+)""", tag)
                )
    for sheet in site.rglob("*.css"):
        asked.update(
            re.findall(r"""(?:url\(|@import\s*)["']?((?:https?:)?//[^"')]+)""", sheet.read_text("utf-8"))
        )
    assert asked == set()


def test_the_reference_is_whole(site: Path) -> None:
    """What is made of docstrings has come with its arguments, and every page is led to."""
    text = (site / "reference" / "python.html").read_text("utf-8")
    assert [
        name
        for name in ("ConsentMiddleware", "identify", "on_opt_out", "LateChangeError")
        if name not in text
    ] == []
    home = (site / "index.html").read_text("utf-8")
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")} - {"404.html", "index.html"}
    assert {page for page in pages if f'href="{page}"' not in home} == set()


def test_a_fault_stops_it(tmp_path: Path) -> None:
    """A lost page, a lost anchor, a page that nothing leads to."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n[a](lost.md) [b](#nowhere)\n", "utf-8")
    (tmp_path / "docs" / "stray.md").write_text("# Stray\n", "utf-8")
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nnav: [index.md]\nplugins: []\nhooks: []\n", "utf-8"
    )
    done = build(config, tmp_path / "site")
    assert done.returncode == 1
    assert [word for word in ("'lost.md'", "'#nowhere'", "stray.md") if word not in done.stderr] == []
