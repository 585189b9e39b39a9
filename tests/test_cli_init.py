"""`consent-middleware init`: what it recognises, writes, keeps and prints."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tomllib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from werkzeug.test import Client as WsgiClient

from consent_middleware.cli import beginning, frameworks, main
from consent_middleware.cli.frameworks import FRAMEWORKS, detect
from consent_middleware.cli.searching import search
from consent_middleware.config import load_config, load_secret_keys

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

FLAGS = ("--name", "Example Shop", "--controller", "Example GmbH", "--contact", "privacy@example.com")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*options: str, typed: str = "") -> Result:
    """Run the command; nobody is there to answer, but what is typed."""
    return CliRunner().invoke(main, ["init", *options], input=typed)


def put(folder: Path, name: str, text: str) -> None:
    """Write a file, and the folders above it."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")


# -- consent.toml


def test_the_declaration_is_right_and_in_report_mode(folder: Path) -> None:
    """What is written is what the options say, and `check` accepts it."""
    done = run(*FLAGS, "--language", "de", "--language", "en", "--use", "stripe", "--use", "youtube")
    assert done.exit_code == 0, done.output
    found = load_config(folder / "consent.toml", {})
    assert (found.site.name, found.site.mode, found.site.languages) == (
        "Example Shop",
        "report",
        ["de", "en"],
    )
    assert (found.controller.name, found.controller.contact) == ("Example GmbH", "privacy@example.com")
    assert found.use == ["stripe", "youtube"]
    assert found.site.updated


def test_names_are_written_as_they_are(folder: Path) -> None:
    """Quotes, backslashes and other scripts in a name do not break the file."""
    name = 'Käse & "Co" \\ 奶酪'
    assert run("--name", name, *FLAGS[2:]).exit_code == 0
    assert load_config(folder / "consent.toml", {}).site.name == name


def test_the_example_in_the_comments_is_right(folder: Path) -> None:
    """The commented service can be used by taking the marks away."""
    run(*FLAGS)
    text = (folder / "consent.toml").read_text("utf-8")
    head, mark, example = text.partition("# [[services]]")
    raw = tomllib.loads(head + (mark + example).replace("# ", ""))
    assert list(load_config(raw, {}).catalog.services) == ["house-stats"]


def test_a_declaration_that_is_there_stays(folder: Path) -> None:
    """It is not written over, nothing is asked, and the rest is done all the same."""
    put(folder, "consent.toml", "mine")
    done = run()
    assert done.exit_code == 0, done.output
    assert "stays as it is (--force writes a new one)" in done.stdout
    assert (folder / "consent.toml").read_text("utf-8") == "mine"
    assert "Paste " in done.stdout


def test_force_writes_over_it(folder: Path) -> None:
    """With --force a new one takes its place."""
    put(folder, "consent.toml", "mine")
    assert run(*FLAGS, "--force").exit_code == 0
    assert load_config(folder / "consent.toml", {}).site.name == "Example Shop"


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=["no terminal", "--yes"])
def test_what_is_missing_is_named_and_nothing_is_written(folder: Path, options: list[str]) -> None:
    """Where nobody can be asked, a missing answer is a wrong use that names the options."""
    done = run("--name", "Example Shop", *options)
    assert done.exit_code == 2
    assert "give --controller, --contact" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_person_is_asked_for_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal each missing answer is a question."""
    monkeypatch.setattr(beginning, "_somebody_is_there", lambda: True)
    done = run("--controller", "Example GmbH", typed="Shop\nme@example.com\n")
    assert done.exit_code == 0, done.output
    found = load_config(folder / "consent.toml", {})
    assert (found.site.name, found.controller.contact) == ("Shop", "me@example.com")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_terminal_is_known_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sits at a terminal is asked, who sends a file is not."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal, os.fdopen(ours, "rb"):
        monkeypatch.setattr(sys, "stdin", terminal)
        assert beginning._somebody_is_there()


def test_an_unknown_service_names_the_nearest(folder: Path) -> None:
    """A typo in --use is a wrong use, with what was probably meant."""
    done = run(*FLAGS, "--use", "gogle-analytics")
    assert (done.exit_code, list(folder.iterdir())) == (2, [])
    assert "Did you mean 'google-analytics'?" in done.stderr


def test_a_name_of_several_lines_is_refused(folder: Path) -> None:
    """What is no line of text is a wrong use."""
    done = run("--name", "a\nb", *FLAGS[2:])
    assert (done.exit_code, list(folder.iterdir())) == (2, [])
    assert "--name" in done.stderr


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    """A failure is one line and exit code 2."""
    (folder / "consent.toml").mkdir()
    done = run(*FLAGS, "--force")
    assert done.exit_code == 2
    assert "Traceback" not in done.output


# -- what templates say


def test_services_in_templates_are_proposed(folder: Path) -> None:
    """Hosts and inline scripts of known services are put into use, with the file that shows them."""
    put(
        folder,
        "templates/base.html",
        '<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>',
    )
    put(folder, "static/app.js", "fbq('init', '1')")
    done = run(*FLAGS, "--use", "stripe")
    text = (folder / "consent.toml").read_text("utf-8")
    assert '"google-analytics",  # found in templates/base.html' in text
    assert '"meta-pixel",  # found in static/app.js' in text
    assert load_config(folder / "consent.toml", {}).use == ["stripe", "meta-pixel", "google-analytics"]
    assert "google-analytics: found in templates/base.html" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://www.youtube.com/embed/1">our film</a>',
        '<!-- <script src="https://www.youtube.com/embed/1"></script> -->',
        "{# https://www.youtube.com/embed/1 #}",
        '<meta property="og:video" content="https://www.youtube.com/embed/1">',
    ],
)
def test_what_loads_nothing_is_no_service(folder: Path, text: str) -> None:
    """A link, a comment and what is said to others load nothing from there."""
    put(folder, "a.html", text)
    assert search(folder).services == {}


@pytest.mark.parametrize("place", ["node_modules/x/a.html", ".hidden/a.html", "venv/lib/a.html", "a.md"])
def test_what_is_not_the_site_s_is_not_read(folder: Path, place: str) -> None:
    """Libraries, environments and other files are left alone."""
    put(folder, place, '<iframe src="https://www.youtube.com/embed/1"></iframe>')
    put(folder, "venv/pyvenv.cfg", "")
    assert search(folder).services == {}


def test_who_shares_a_host_is_not_proposed_twice(folder: Path) -> None:
    """Where services share a host, the one that shows otherwise is meant, else the one that is no marketing."""
    put(folder, "a.html", '<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>')
    assert list(search(folder).services) == ["google-analytics"]


def test_another_consent_manager_is_named(folder: Path) -> None:
    """Two banners would ask: it is said, and not declared."""
    put(folder, "a.html", '<script src="https://consent.cookiebot.com/uc.js"></script>')
    done = run(*FLAGS)
    assert "another consent manager, is loaded in a.html" in done.stdout
    assert load_config(folder / "consent.toml", {}).use == []


def test_the_language_of_the_pages_is_taken(folder: Path) -> None:
    """What templates say of their language is the site's, where there are texts in it."""
    put(folder, "a.html", '<!doctype html><html class="x" lang="de">')
    put(folder, "b.html", '<html lang="xx">')
    run(*FLAGS)
    assert load_config(folder / "consent.toml", {}).site.languages == ["de"]


def test_a_file_name_cannot_write_into_the_declaration(folder: Path) -> None:
    """A line break in a file's name does not end its comment."""
    put(folder, "a\nuse = 1.html", '<iframe src="https://www.youtube.com/embed/1"></iframe>')
    assert run(*FLAGS).exit_code == 0
    assert load_config(folder / "consent.toml", {}).use == ["youtube"]


def test_a_large_project_is_read_to_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files beyond the bound are not opened."""
    monkeypatch.setattr("consent_middleware.cli.searching._MAX_FILES", 1)
    put(folder, "a.html", "nothing")
    put(folder, "b.html", '<iframe src="https://www.youtube.com/embed/1"></iframe>')
    assert search(folder).services == {}


# -- the key


def test_a_key_that_only_its_owner_reads(folder: Path) -> None:
    """A new .env holds one key that the middleware takes, and is closed to others."""
    run(*FLAGS)
    name, _, value = (folder / ".env").read_text().strip().partition("=")
    assert load_secret_keys(None, {name: value}) == [value]
    assert len(value) == 43
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_what_is_in_env_stays(folder: Path) -> None:
    """The key is a line of its own below what was there, whose mode stays, too."""
    put(folder, ".env", "DEBUG=1")
    (folder / ".env").chmod(0o640)
    run(*FLAGS)
    first, second = (folder / ".env").read_text().splitlines()
    assert (first, second.partition("=")[0]) == ("DEBUG=1", "CONSENT_SECRET_KEY")
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o640


@pytest.mark.parametrize("line", ["CONSENT_SECRET_KEY=mine", "export CONSENT_SECRET_KEY = 'mine'"])
def test_a_key_is_not_written_twice(folder: Path, line: str) -> None:
    """A key that is set stays the only one."""
    put(folder, ".env", f"A=1\n{line}\n")
    done = run(*FLAGS)
    assert "sets CONSENT_SECRET_KEY already" in done.stdout
    assert (folder / ".env").read_text() == f"A=1\n{line}\n"


def test_a_key_that_is_commented_out_is_none(folder: Path) -> None:
    """A comment or an empty value does not count as a key."""
    put(folder, ".env", "# CONSENT_SECRET_KEY=old\nCONSENT_SECRET_KEY=\n")
    run(*FLAGS)
    assert len((folder / ".env").read_text().splitlines()) == 3


def test_git_leaves_it_out(folder: Path) -> None:
    """In a repository .env, the database and the journal are put into .gitignore, each once."""
    (folder / ".git").mkdir()
    put(folder, ".gitignore", "*.db\nbuild/")
    run(*FLAGS)
    assert (folder / ".gitignore").read_text().splitlines() == ["*.db", "build/", ".env", "consent-journal/"]
    assert ".gitignore leaves out" not in run().stdout


def test_a_repository_above_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the repository's own .gitignore leaves out already is not repeated below."""
    (folder / ".git").mkdir()
    put(folder, ".gitignore", ".env\n*.db\nconsent-journal/\n")
    put(folder, "site/app.py", "")
    monkeypatch.chdir(folder / "site")
    run(*FLAGS)
    assert not (folder / "site" / ".gitignore").exists()


def test_outside_of_a_repository_there_is_no_gitignore(folder: Path) -> None:
    """Nothing is made that nobody needs."""
    run(*FLAGS)
    assert sorted(path.name for path in folder.iterdir()) == [".env", "consent.toml"]


# -- the framework

FOUND: dict[str, tuple[dict[str, str], str, str, str]] = {
    "flask": ({"shop.py": "import flask\napp = flask.Flask(__name__)\n"}, "flask", "shop.py", "app"),
    "a factory": ({"shop/__init__.py": "def create():\n    site = Flask(__name__)\n"}, "flask", "shop/__init__.py", "site"),
    "typed": ({"main.py": "api: FastAPI = FastAPI(\n)"}, "fastapi", "main.py", "api"),
    "fastapi first": ({"a.py": "x = Starlette()", "app/main.py": "app = FastAPI()"}, "fastapi", "app/main.py", "app"),
    "starlette": ({"src/shop/web.py": "app = Starlette()"}, "starlette", "src/shop/web.py", "app"),
    "litestar": ({"app.py": "app = Litestar([])"}, "litestar", "app.py", "app"),
    "quart": ({"app.py": "app = Quart(__name__)"}, "quart", "app.py", "app"),
    "sanic": ({"app.py": "app = Sanic('shop')"}, "sanic", "app.py", "app"),
    "aiohttp": ({"app.py": "from aiohttp import web\nshop = web.Application()"}, "aiohttp", "app.py", "shop"),
    "no aiohttp": (
        {"app.py": "import aiohttp, tornado\napp = tornado.web.Application()", "requirements.txt": "aiohttp\nsanic"},
        "sanic", "main.py", "app",
    ),
    "django": (
        {"manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')", "app.py": "a = Flask(1)"},
        "django", "mysite/wsgi.py", "application",
    ),
    "requirements": ({"requirements.txt": "# flask\nDjango>=5\n"}, "django", "main.py", "app"),
    "pyproject": ({"pyproject.toml": 'name = "my-flask"\ndependencies = ["fastapi[standard]>=0.1"]'}, "fastapi", "main.py", "app"),
    "Pipfile": ({"Pipfile": '[packages]\nquart = "*"\n'}, "quart", "main.py", "app"),
    "not its tests": ({"tests/app.py": "app = Flask(1)", "requirements/base.txt": "starlette"}, "starlette", "main.py", "app"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOUND)
def test_a_framework_is_recognised(folder: Path, what: str) -> None:
    """By manage.py, by the code that makes an app, by what is asked to be installed."""
    files, framework, file, app = FOUND[what]
    for name, text in files.items():
        put(folder, name, text)
    found = detect(folder)
    assert found.framework is FRAMEWORKS[framework]
    assert (found.file, found.app) == (file, app)


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"flask"}, "flask"),
        ({"fastapi", "starlette"}, "fastapi"),
        ({"flask", "django"}, None),
        (set[str](), None),
    ],
)
def test_what_is_installed_tells_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch, installed: set[str], expected: str | None
) -> None:
    """Where no file tells, the one framework that is installed is meant."""
    monkeypatch.setattr(frameworks, "find_spec", lambda name: name if name in installed else None)
    found = detect(folder).framework
    assert (found.id if found else None) == expected


@pytest.mark.usefixtures("folder")
def test_an_unknown_framework_gets_the_general_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing tells, the lines for any ASGI and any WSGI app are printed."""
    monkeypatch.setattr(frameworks, "find_spec", lambda _: None)
    printed = run(*FLAGS).stdout
    assert printed.startswith("The framework is not recognised (--framework names it)")
    assert "from consent_middleware.asgi import" in printed
    assert "from consent_middleware.wsgi import" in printed


@pytest.mark.parametrize("id_", FRAMEWORKS)
def test_the_framework_can_be_named(folder: Path, id_: str) -> None:
    """Each framework of the table prints its lines, the command that reads .env, and nothing left to fill in."""
    put(folder, "manage.py", "")
    printed = run(*FLAGS, "--framework", id_).stdout
    assert printed.startswith(f"This is {FRAMEWORKS[id_].name}")
    assert "{" not in printed
    pasted = [line for line in printed.partition("\nThen:")[0].splitlines() if line.startswith("    ")]
    assert len(pasted) == (0 if id_ == "aiohttp" else 2)


@pytest.mark.parametrize("id_", ["litestar", "sanic"])
def test_the_whole_site_gets_a_name_of_its_own(folder: Path, id_: str) -> None:
    """Where the framework's own commands want its own object, it keeps its name, and the site that is served has another."""
    put(folder, "shop.py", f"app = {FRAMEWORKS[id_].made_by}([])")
    printed = run(*FLAGS).stdout
    assert "    site = ConsentMiddleware(app)\n" in printed
    assert "uvicorn shop:site --env-file .env" in printed
    assert "Serve  site,  not  app" in printed


def test_for_aiohttp_there_is_a_page(folder: Path) -> None:
    """Nothing can be pasted into it, so what to do instead is named."""
    put(folder, "shop.py", "from aiohttp import web\napp = web.Application()")
    printed = run(*FLAGS).stdout
    assert printed.startswith("This is aiohttp: shop.py makes one.")
    assert "Paste" not in printed
    assert "docs/frameworks/aiohttp.md" in printed
    assert "uvicorn front:app --env-file .env" in printed


def test_a_framework_that_is_named_is_looked_for_in_the_code(folder: Path) -> None:
    """Names of the site's own stand in the lines of the framework that was named."""
    put(folder, "a.py", "app = FastAPI()")
    put(folder, "b.py", "site = Flask(__name__)")
    printed = run(*FLAGS, "--framework", "flask").stdout
    assert "Paste into b.py, below the line that makes site:" in printed


@pytest.mark.parametrize("id_", ["flask", "fastapi", "starlette", "asgi", "wsgi"])
def test_the_lines_put_the_banner_into_a_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, id_: str
) -> None:
    """What is printed for a framework works as it stands."""
    app = APPS[id_]
    run(*FLAGS)
    monkeypatch.setenv("CONSENT_SECRET_KEY", "k" * 32)
    scope: dict[str, Any] = {"__name__": "pasted"}
    exec(app, scope)
    exec(detect(folder, id_).fill(FRAMEWORKS[id_].paste.lines), scope)
    ask = ask_wsgi if id_ in {"flask", "wsgi"} else ask_asgi
    assert "consent-banner" in ask(scope["app"])


PAGE = b"<!doctype html><html lang='en'><head><title>Hi</title></head><body>Hello</body></html>"
APPS = {
    "flask": f"from flask import Flask\napp = Flask('x')\napp.add_url_rule('/', view_func=lambda: {PAGE!r})",
    "fastapi": (
        "from fastapi import FastAPI\nfrom fastapi.responses import HTMLResponse\napp = FastAPI()\n"
        f"app.get('/')(lambda: HTMLResponse({PAGE!r}))"
    ),
    "starlette": (
        "from starlette.applications import Starlette\nfrom starlette.responses import HTMLResponse\n"
        f"from starlette.routing import Route\napp = Starlette(routes=[Route('/', lambda _: HTMLResponse({PAGE!r}))])"
    ),
    "asgi": f"from starlette.responses import HTMLResponse\napp = HTMLResponse({PAGE!r})",
    "wsgi": f"def app(_, start):\n    start('200 OK', [('Content-Type', 'text/html')])\n    return [{PAGE!r}]",
}


def ask_wsgi(app: Any) -> str:
    """Return the page of a WSGI app."""
    return WsgiClient(app).get("/").text


def ask_asgi(app: Any) -> str:
    """Return the page of an ASGI app."""

    async def fetch() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return (await client.get("/")).text

    return asyncio.run(fetch())


@pytest.mark.usefixtures("folder")
def test_what_reads_env_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without python-dotenv nothing reads .env, so the command that installs it is printed."""
    monkeypatch.setattr(beginning, "find_spec", lambda name: None if name == "dotenv" else find_spec(name))
    assert "pip install python-dotenv" in run(*FLAGS).stdout


def test_a_package_is_run_by_its_name(folder: Path) -> None:
    """An app in a package's __init__ is named by the package."""
    put(folder, "shop/__init__.py", "app = Flask(__name__)")
    assert "flask --app shop run" in run(*FLAGS).stdout
