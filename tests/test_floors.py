"""Imports only go down the floors (docs/architecture.md), and importing an adapter imports no framework."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import consent_middleware

PACKAGE = Path(consent_middleware.__file__).parent
NAME = "consent_middleware"

FLOORS = {
    "errors": 0, "resources": 0, "version": 0,
    "catalog": 1, "urls": 1, "config": 1, "signals": 1, "cookies": 1, "regions": 1, "texts": 1,
    "policy": 2, "codec": 2, "filters": 2, "holding": 2, "csp": 2, "html": 2, "caching": 2, "visitor": 2, "links": 3, "whereabouts": 3,
    "endpoints": 3, "replies": 3, "rights": 3, "history": 3, "choices": 3, "banner": 3, "overrides": 3, "rehearsal": 3, "shapes": 3, "vetting": 3, "views": 3, "policy_page": 3, "policy_markdown": 3, "wellknown": 3, "assets": 3, "records": 3, "reporting": 3,
    "request": 3,
    "geo": 3, "stack": 3,
    "exchange": 4, "response": 4, "rendering": 4, "page": 4, "consent": 4, "site": 4, "snapshot": 3, "owner": 4,
    "asgi": 5, "wsgi": 5, "effects": 5, "environ": 5, "jinja": 5,
    "cli": 6,  # click, no web framework; a framework's own command line offers the same commands
    "flask": 6, "starlette": 6, "django": 6,
    "": 6,  # the package's own face re-exports; nothing below may import from it
    "scan": 7, "testing": 7, "__main__": 7,
}  # fmt: skip

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def unit(dotted: str) -> str:
    """Return the part of the package a module belongs to: its first name below the package."""
    return dotted.removeprefix(NAME).lstrip(".").partition(".")[0]


def module_of(path: Path) -> str:
    """Return the unit a file belongs to."""
    first = path.parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(path: Path, *, typing_too: bool) -> set[str]:
    """Return the units a file imports; those for type checking only where asked."""
    tree = ast.parse((PACKAGE / path).read_text("utf-8"))
    skipped: set[int] = set()
    if not typing_too:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
                skipped |= {id(child) for child in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == NAME:
                found |= {alias.name if alias.name in FLOORS else "" for alias in node.names}
            elif node.module and node.module.startswith(NAME + "."):
                found.add(unit(node.module))
        elif isinstance(node, ast.Import):
            found |= {unit(alias.name) for alias in node.names if alias.name.split(".")[0] == NAME}
    return found - {module_of(path)}


each_module = pytest.mark.parametrize("path", MODULES, ids=str)


@each_module
def test_every_module_has_a_floor(path: Path) -> None:
    """A new module says where it belongs."""
    assert module_of(path) in FLOORS


@each_module
def test_imports_only_go_down(path: Path) -> None:
    """No module imports from a floor above its own, not even for type checking."""
    own = FLOORS[module_of(path)]
    assert {name for name in imports(path, typing_too=True) if FLOORS[name] > own} == set()


def test_no_floor_has_a_circle() -> None:
    """Within a floor modules may import each other, but never round in a circle."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        graph.setdefault(module_of(path), set()).update(imports(path, typing_too=False))
    assert list(TopologicalSorter(graph).static_order())


FOREIGN = {
    "flask", "starlette", "fastapi", "django", "quart", "litestar", "werkzeug", "sqlalchemy", "anyio",
    "asyncio", "trio", "click", "sqlite3", "psycopg", "httpx", "hypothesis", "pytest",
}  # fmt: skip


@pytest.mark.parametrize(
    "module",
    ["consent_middleware", "consent_middleware.asgi", "consent_middleware.wsgi", "consent_middleware.jinja"],
)
def test_importing_imports_no_framework(module: str) -> None:
    """A fresh interpreter that imports an adapter loads no framework, no database and no event loop."""
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(done.stdout.split()) & FOREIGN == set()


CONSTRUCT = """
import sys
from consent_middleware.{module} import ConsentMiddleware
ConsentMiddleware(
    print,
    config={{"site": {{"name": "x"}}, "controller": {{"name": "x", "contact": "x"}}}},
    secret_key="a secret key that only the tests use",
)
print(*{{name.partition(".")[0] for name in sys.modules}})
"""


@pytest.mark.parametrize("module", ["asgi", "wsgi"])
def test_wrapping_an_app_opens_no_database(module: str, tmp_path: Path) -> None:
    """Constructing the middleware loads neither SQLAlchemy nor a worker thread's library, and writes no file."""
    done = subprocess.run(
        [sys.executable, "-c", CONSTRUCT.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert set(done.stdout.split()) & {"sqlalchemy", "anyio", "sqlite3"} == set()
    assert list(tmp_path.iterdir()) == []
