"""The documentation says what is so: its links lead somewhere, its reference is the code's, its blocks run.

Every fenced block is run, parsed or loaded here, or by the tests of its page, or its language is named below with the
reason why it is not.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from functools import cache
from typing import TYPE_CHECKING, Any

import click
import jsonschema
import pytest
from click.testing import CliRunner
from werkzeug.test import Client

from consent_middleware import Records, load_config
from consent_middleware.cli import main
from consent_middleware.config import ConsentConfig
from consent_middleware.wsgi import ConsentMiddleware
from doc_pages import DOCS, ROOT, Block, anchors, blocks, completed, declared, links, pages, run
from tools import build_reference, docs_hooks

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [page.relative_to(ROOT).as_posix() for page in pages()]
KEY = "change-me-to-32-random-characters"

# Python, HTML and declarations of these pages are run here.
HERE = ("README.md", "docs/index.md", "docs/how-to/*", "docs/reference/*", "docs/regimes.md", "docs/agents.md",
        "docs/records.md", "docs/layers.md", "docs/production.md", "docs/promises.md")  # fmt: skip
# ... in front of which this is thought to stand.
BEFORE = {
    "docs/regimes.md": (
        "from starlette.applications import Starlette\n"
        "from consent_middleware.asgi import ConsentMiddleware\n"
        "app = Starlette()\n"
    ),
    "docs/agents.md": (
        "from starlette.applications import Starlette\n"
        "from consent_middleware.asgi import ConsentMiddleware\n"
        "app = Starlette()\n"
    ),
    "docs/records.md": (
        "from typing import Annotated\n"
        "from fastapi import Depends, FastAPI\n"
        "from fastapi.responses import HTMLResponse\n"
        "from consent_middleware import Consent\n"
        "from consent_middleware.site import Site\n"
        "app, User, admin = FastAPI(), str, lambda: 'root'\n"
        "consent = Consent.of_nobody(Site('consent.toml'))\n"
    ),
}
# README's Python has tests of its own.
OWN_PYTHON = {"README.md": "tests/test_readme.py"}
# Run by nobody, and why.
NOT_RUN = {
    "": "plain text",
    "text": "plain text",
    "css": "browsers pass over what they do not know, so a run proves nothing; the properties are those of banner.css",
    "sql": "for a database of one's own; tests/test_store.py makes the tables that it copies",
    "ini": "a unit of systemd's",
    "svg": "an icon; tests/test_overrides.py tries icons",
    "django": "the tags of docs/frameworks/django.md, which tests/frameworks/test_django.py renders",
}


def every_block() -> list[Block]:
    """Return all blocks of README and the documentation."""
    return [
        block
        for page in pages()
        if page.name == "README.md" or DOCS in page.parents
        for block in blocks(page)
    ]


def is_here(page: str) -> bool:
    """Return whether a page's blocks are run in this module."""
    return any(fnmatch(page, pattern) for pattern in HERE)


def of(*languages: str, here: bool = True) -> list[Any]:
    """Return the blocks of these languages that this module runs, as pytest's parameters."""
    found = [b for b in every_block() if b.language in languages and (is_here(b.page) or not here)]
    return [pytest.param(block, id=f"{block.page}:{block.line}") for block in found]


# -- links


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link, and each anchor of one, is there."""
    page = ROOT / name
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_a_lost_link_is_found(tmp_path: Path) -> None:
    """Code is no link, other sites are not asked, and headings get the anchors that they are shown with."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c!\n## Twice\n## Twice\n[a](x.md#y) `[b](z)` [c](https://d.example) ![d](e.png)\n```\n[f](g)\n```\n",
        "utf-8",
    )
    assert links(page) == ["x.md#y", "e.png"]
    assert anchors(page) == {"a-b-c", "twice", "twice-1"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("docs/")])
def test_the_tests_that_a_page_names_are_there(name: str) -> None:
    """As with the promises: nobody renames or drops what shows something without saying so."""
    text = (ROOT / name).read_text("utf-8")
    for path, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        found = (ROOT / path).read_text("utf-8")
        assert not test or re.search(rf"^(async )?def {test}\(", found, re.MULTILINE), f"{path}::{test}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("docs/")])
def test_a_list_or_a_table_stands_by_itself(name: str) -> None:
    """Behind a line of text, the site would show it as more of that text."""
    text = re.sub(
        r"^( *)```.*?^\1```$", "\n", (ROOT / name).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    assert re.findall(r"^(?![-|*\d]|  |<!--)[^\n]*\S\n(?:- |\d\. |\|)[^\n]*", text, re.MULTILINE) == []


# -- the versions

VERSIONS = re.findall(r"^\| (\w+) \| ([\d.]+) \|", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)


def lower_bounds() -> dict[str, str]:
    """Return the oldest version of everything that pyproject.toml asks for; what it does twice, the newer."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [line for extra in project["optional-dependencies"].values() for line in extra]
    found = [("python", project["requires-python"].removeprefix(">="))]
    found += re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(wanted), re.MULTILINE)
    return dict(sorted(found, key=lambda pair: [int(part) for part in pair[1].split(".")]))


def test_the_versions_are_those_that_are_asked_for() -> None:
    """The table's, and all of README's."""
    bounds, readme = lower_bounds(), (ROOT / "README.md").read_text("utf-8")
    assert {name: bounds.get(name.lower()) for name, _ in VERSIONS} == dict(VERSIONS)
    stated = re.findall(r"(\w+) (\d+\.\d+) or newer", readme)
    assert len(stated) >= 5
    assert set(stated) <= set(VERSIONS)


@pytest.mark.parametrize(("name", "oldest"), VERSIONS[1:], ids=[name for name, _ in VERSIONS[1:]])
def test_a_frameworks_page_says_its_version(name: str, oldest: str) -> None:
    """In its first lines, as the table has it."""
    page = (DOCS / "frameworks" / f"{name.lower()}.md").read_text("utf-8")
    assert (
        f"For {name} {oldest} or newer ([versions](../index.md#supported-versions))"
        in page.partition("## ")[0]
    )


def test_the_pythons_are_those_of_the_package() -> None:
    """Each Python that the table names is a classifier of the package, and each classifier is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    classified = re.findall(r":: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)
    row = re.search(r"^\| Python \|.*", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    assert row
    assert set(re.findall(r"3\.\d+", row[0])) == set(classified)


# -- the reference


@pytest.mark.parametrize("name", build_reference.PAGES)
def test_the_reference_is_the_codes(name: str) -> None:
    """`make reference` has been run since a key or a command changed."""
    assert (DOCS / "reference" / name).read_text("utf-8") == build_reference.PAGES[name]()


def test_every_key_says_what_it_is_for() -> None:
    """In the schema, where editors show it and the reference takes it from."""
    schema = ConsentConfig.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    mute = [
        key for model in models for key, field in model["properties"].items() if not field.get("description")
    ]
    assert mute == []


def test_the_schema_is_printed_for_editors() -> None:
    """It takes README's declaration, and finds a misspelt key."""
    schema = json.loads(CliRunner().invoke(main, ["schema"]).output)
    given = tomllib.loads(next(b.text for b in blocks(ROOT / "README.md") if b.language == "toml"))
    jsonschema.validate(given, schema)
    with pytest.raises(jsonschema.ValidationError, match="nmae"):
        jsonschema.validate({**given, "site": {"name": "Shop", "nmae": "Shop"}}, schema)


# -- the site's navigation


def test_new_pages_find_their_place() -> None:
    """A star takes what is not named, each page once; a folder that is empty is left out."""
    nav = [
        {"Home": "index.md"},
        {"A": ["a/first.md", "a/*.md"]},
        {"B": ["b/*.md"]},
        {"C": ["x.md", {"D": ["a/z*.md"]}]},
    ]
    found = docs_hooks.expanded(nav, ["index.md", "a/zoo.md", "a/new.md", "a/first.md", "x.md"])
    assert found == [{"Home": "index.md"}, {"A": ["a/first.md", "a/new.md", "a/zoo.md"]}, {"C": ["x.md"]}]


def test_links_out_of_the_site_become_names() -> None:
    """The site has no README and no sources; the repository has."""
    told = docs_hooks.leaving("[en](../src/en.toml), [b](b.md#c), ![d](../e.png)", "a.md")
    assert told == "en (`src/en.toml`), [b](b.md#c), ![d](../e.png)"


# -- the blocks


@cache
def owners(page: str) -> list[str]:
    """Return the tests that name a page, and so run what is in it."""
    below = page.removeprefix("docs/")
    wanted = (f'"{page.rpartition("/")[2]}"', f'"{below}"', page)
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_docs.py"]
    return [path.name for path in found if any(name in path.read_text("utf-8") for name in wanted)]


def runner(block: Block) -> str:
    """Return what runs a block, empty if nothing does."""
    if block.language in NOT_RUN:
        return NOT_RUN[block.language]
    if block.language in {"sh", "json"} or is_here(block.page):
        known = block.language in {"sh", "json", "python", "toml", "html"}
        return "this module" if known else ", ".join(owners(block.page))
    return ", ".join(owners(block.page))


def test_nothing_stands_in_a_page_that_nobody_runs() -> None:
    """Each block has a test, or its language a reason."""
    assert [f"{b.page}:{b.line} ({b.language})" for b in every_block() if not runner(b)] == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, as a reader would, with a key in the environment."""
    for name in ("CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONSENT_SECRET_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = [
    page
    for page in pages()
    if is_here(name := page.relative_to(ROOT).as_posix())
    and name not in OWN_PYTHON
    and not name.startswith("docs/how-to/")  # tests/test_how_to.py runs these, and looks at what they do
    and any(block.language == "python" for block in blocks(page))
]


@pytest.mark.parametrize("page", RUN, ids=[page.stem for page in RUN])
def test_python_runs(page: Path, folder: Path) -> None:
    """Block after block, beside the page's own declaration."""
    (folder / "consent.toml").write_text(declared(page).replace("GeoLite2-Country.mmdb", ""), "utf-8")
    before: dict[str, Any] = {}
    exec(BEFORE.get(page.relative_to(ROOT).as_posix(), ""), before)
    space = run(page, before)
    for value in space.values():
        if isinstance(value, Records):
            value.close()
    assert space


@pytest.mark.parametrize("block", of("toml"))
def test_a_declaration_is_accepted(block: Block, folder: Path) -> None:
    """As it stands, or as a part of one."""
    assert load_config(tomllib.loads(completed(block.text)), {}).folder == folder


@pytest.mark.parametrize("block", of("json", here=False))
def test_json_is_json(block: Block) -> None:
    """Whatever it is an example of."""
    json.loads(block.text)


@pytest.mark.parametrize("block", of("html"))
def test_html_loads_nothing_before_an_answer(block: Block, folder: Path) -> None:
    """Behind the middleware, beside the page's declaration: each address in it waits."""

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [f"<!doctype html><title>A page</title>{block.text}".encode()]

    declaration = tomllib.loads(declared(ROOT / block.page)) | {"records": {"url": "none"}}
    page = Client(ConsentMiddleware(app, declaration, KEY)).get("/").text
    assert 'id="consent-banner"' in page
    loading = re.findall(r'<(?:script|iframe|img)\b[^>]*?[ "]src="(?!/_consent/)([^"]+)"', page)
    assert loading == []
    assert folder


COMMAND = re.compile(
    r"(?:^(?:[A-Z_]+=\S+ +)*|\$\()(?:consent-middleware|flask consent|python manage\.py consent|python -m consent_middleware) +([^)>|#]*)"
)


def parsed(line: str) -> str:
    """Parse a shell line; return what is wrong with it. What is no command of ours is another tool's."""
    ours = COMMAND.search(line)
    if ours is None:
        return ""
    rest = shlex.split(ours[1])
    command: click.Command = main
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"{rest[0]}: no such command"
        command = command.commands[rest.pop(0)]
    try:
        command.make_context(command.name, rest)
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("block", of("sh", here=False))
def test_a_command_is_understood(block: Block) -> None:
    """Each line of ours parses, with its options; nothing is run."""
    assert [wrong for line in block.text.replace("\\\n", " ").splitlines() if (wrong := parsed(line))] == []


@pytest.mark.parametrize(
    "line",
    [
        "consent-middleware chekc",
        "consent-middleware check --ulr x",
        "flask consent nothing",
        "python manage.py consent no",
    ],
)
def test_a_misspelt_command_is_found(line: str) -> None:
    """So that the test above can fail."""
    assert parsed(line)
