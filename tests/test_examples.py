"""The examples beside their READMEs, without a browser; tests/browser/test_browser_examples.py visits the sites."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx
import pytest

from consent_middleware import load_config
from examples.start import EXAMPLES, FOLDER

ROOT = Path(__file__).resolve().parents[1]
SITE_FOLDERS = {path.parent.name.replace("_", "-") for path in FOLDER.glob("*/README.md")}
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

each_example = pytest.mark.parametrize("name", EXAMPLES)


def folder_of(name: str) -> Path:
    """Return where an example is."""
    return FOLDER / name.replace("-", "_")


@each_example
def test_readme_gives_the_commands_that_are_run(name: str) -> None:
    """What a README tells to type, by one command and by hand, is what starts the site; it says what to look for."""
    readme = (folder_of(name) / "README.md").read_text("utf-8")
    example = EXAMPLES[name]
    assert f"`make example NAME={name}`" in readme
    assert f"`python {example.serve.removesuffix(' --noreload')}`" in readme
    assert not example.before or f"`python {example.before}`" in readme
    assert f"`export {example.key}=...`" in readme
    assert "\n3. " in readme


@each_example
def test_declaration_holds_back(name: str) -> None:
    """Each site has a declaration of its own that is enforced, and links to its policy."""
    config = load_config(folder_of(name) / "consent.toml")
    assert config.site.mode == "enforce"
    assert config.site.policy_url.startswith("/privacy")
    assert {"google-analytics", "meta-pixel", "youtube", "house-stats"} <= config.catalog.services.keys()


def test_make_lists_the_examples() -> None:
    """Without a name, or with one that there is not, the command says which there are, and installs nothing."""
    for name in ("", "nothing-of-the-kind"):
        command = ["make", "--no-print-directory", "example", f"NAME={name}", "VENV=nowhere"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode != 0
        assert set(done.stdout.rpartition(": ")[2].split()) == set(EXAMPLES) == SITE_FOLDERS
    assert not (ROOT / "nowhere").exists()


def test_static_pages_answer_304_until_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The static site's pages and files keep their validators; a page's changes with the visitor's answer."""
    monkeypatch.setenv("CONSENT_SECRET_KEY", "a key that is long enough and signs nothing but these tests")
    monkeypatch.setenv("CONSENT_RECORDS_URL", "none")
    from examples.static_site.app import app  # noqa: PLC0415 - it reads the environment

    async def visit() -> None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hut.example") as client:
            page = await client.get("/", headers=PAGE)
            again = await client.get("/", headers={**PAGE, "if-none-match": page.headers["etag"]})
            assert (page.status_code, again.status_code) == (200, 304)
            assert 'id="consent-banner"' in page.text
            same_origin = {"sec-fetch-site": "same-origin"}
            await client.post("/_consent/choice", data={"action": "reject_all"}, headers=same_origin)
            chosen = await client.get("/", headers={**PAGE, "if-none-match": page.headers["etag"]})
            assert chosen.status_code == 200
            sheet = await client.get("/hut.css")
            assert sheet.content == (folder_of("static-site") / "pages" / "hut.css").read_bytes()
            unchanged = await client.get("/hut.css", headers={"if-none-match": sheet.headers["etag"]})
            assert unchanged.status_code == 304

    asyncio.run(visit())
