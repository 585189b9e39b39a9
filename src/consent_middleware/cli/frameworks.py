"""Which framework a site is made with, and the lines that put the middleware around it: one table, a row each.

Looks at the site's files and at what is installed; imports neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FRAMEWORKS", "Framework", "Paste", "Project", "detect"]

_MAX_FILES = 300
_MAX_BYTES = 262_144
_FIRST = ("main.py", "app.py", "asgi.py", "wsgi.py")
_LISTS = ("pyproject.toml", "Pipfile", "setup.cfg", "requirements*.txt", "requirements/*.txt")
_SKIPPED = frozenset(
    {"tests", "test", "docs", "node_modules", "site-packages", "venv", "env", "build", "dist"}
)
_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)""")


@dataclass(frozen=True, slots=True)
class Paste:
    """What is pasted, and where; ``{app}``, ``{file}`` and ``{package}`` stand for the site's own names.

    Attributes:
        lines: Empty where nothing can be pasted; then the note says what to do.
        note: What there is to say beside; may be empty.
    """

    lines: str
    where: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Framework:
    """How a framework is recognised, what is pasted, and how its sites are run.

    Attributes:
        id: What ``--framework`` takes.
        name: As its makers write it.
        made_by: What makes an app of it, as a pattern; empty where no code is looked for. The code must name the `id`, too.
        package: The distribution that tells it where no code does; empty for none.
        paste: The lines.
        run: The command that starts the site with what .env holds; ``{module}`` is where its app is.
    """

    id: str
    name: str
    made_by: str
    package: str
    paste: Paste
    run: str


@dataclass(frozen=True, slots=True)
class Project:
    """What was found out about a site's code.

    Attributes:
        framework: None where nothing tells.
        because: What told, for the person who asks.
        file: Where the app is made, as it is called from the folder.
        app: The app's name there.
    """

    framework: Framework | None
    because: str = ""
    file: str = "main.py"
    app: str = "app"

    def fill(self, text: str) -> str:
        """Return a text of the table with the site's own names in it."""
        package = self.file.rpartition("/")[0] or "mysite"  # as Django's own tutorial calls it
        module = (
            self.file.removesuffix(".py").removesuffix("/__init__").removeprefix("src/").replace("/", ".")
        )
        return text.format(app=self.app, file=self.file, module=module, package=package)


_UVICORN = "uvicorn {module}:{app} --env-file .env"
_UVICORN_SITE = "uvicorn {module}:site --env-file .env"
_ASGI = "from consent_middleware.asgi import ConsentMiddleware\n"
_WSGI = "from consent_middleware.wsgi import ConsentMiddleware\n"
_ADDED = Paste(
    f"{_ASGI}{{app}}.add_middleware(ConsentMiddleware)",
    "into {file}, below the line that makes {app}",
    "To have the framework's own error pages covered as well, end the file with  {app} = ConsentMiddleware({app})  instead.",
)
_WRAPPED = Paste(f"{_ASGI}{{app}} = ConsentMiddleware({{app}})", "at the end of {file}")
# The framework's own commands and test client want its own object, so the whole site has another name.
_SITE = Paste(
    f"{_ASGI}site = ConsentMiddleware({{app}})",
    "at the end of {file}",
    "Serve  site,  not  {app}:  what the framework's own run command serves is without consent.",
)
_WRAPPED_WSGI = Paste(f"{_WSGI}{{app}} = ConsentMiddleware({{app}})", "at the end of {file}")

FRAMEWORKS = {
    framework.id: framework
    for framework in (
        Framework(
            "django",
            "Django",
            "",
            "django",
            Paste(
                'INSTALLED_APPS += ["consent_middleware.django"]\n'
                'MIDDLEWARE = ["consent_middleware.django.ConsentMiddleware", *MIDDLEWARE]',
                "at the end of {package}/settings.py",
            ),
            "dotenv run -- python manage.py runserver",
        ),
        Framework("fastapi", "FastAPI", "FastAPI", "fastapi", _ADDED, _UVICORN),
        Framework("litestar", "Litestar", "Litestar", "litestar", _SITE, _UVICORN_SITE),
        Framework("sanic", "Sanic", "Sanic", "sanic", _SITE, _UVICORN_SITE),
        Framework(
            "quart",
            "Quart",
            "Quart",
            "quart",
            Paste(
                f"{_ASGI}{{app}}.asgi_app = ConsentMiddleware({{app}}.asgi_app)",
                "into {file}, below the line that makes {app}",
            ),
            "quart --app {module} run",
        ),
        Framework(
            "flask",
            "Flask",
            "Flask",
            "flask",
            Paste(
                "from consent_middleware.flask import Consent\nConsent({app})",
                "into {file}, below the line that makes {app}",
            ),
            "flask --app {module} run",
        ),
        Framework("starlette", "Starlette", "Starlette", "starlette", _ADDED, _UVICORN),
        Framework(  # its package tells nothing: most who install it want its client
            "aiohttp",
            "aiohttp",
            r"(?<!tornado\.)web\.Application",
            "",
            Paste(
                "",
                "",
                "aiohttp.web speaks neither ASGI nor WSGI, so no middleware of ours can wrap {app} itself. Put a small ASGI app\n"
                "before it, as a proxy: docs/frameworks/aiohttp.md has it, to be copied as  front.py.",
            ),
            "uvicorn front:app --env-file .env",
        ),
        Framework("asgi", "an ASGI app", "", "", _WRAPPED, _UVICORN),
        Framework("wsgi", "a WSGI app", "", "", _WRAPPED_WSGI, "dotenv run -- gunicorn {module}:{app}"),
    )
}
"""By id; where several could be meant, the first is."""


def detect(folder: Path, wanted: str = "") -> Project:
    """Find out what a site is made with: by its code, by what it asks to be installed, by what is installed.

    Args:
        folder: The site's.
        wanted: An id of `FRAMEWORKS` where it is known already; then only the names are looked for.
    """
    if wanted:
        framework = FRAMEWORKS[wanted]
        return _by_code(folder, [framework]) or _by_manage(folder, framework) or Project(framework)
    django = _by_manage(folder, FRAMEWORKS["django"])
    every = list(FRAMEWORKS.values())
    return django or _by_code(folder, every) or _by_lists(folder) or _by_installed() or Project(None)


def _by_manage(folder: Path, framework: Framework) -> Project | None:
    manage = folder / "manage.py"
    if framework.id != "django" or not manage.is_file():
        return None
    settings = _SETTINGS.search(_read(manage))
    package = settings[1].split(".")[0] if settings else "mysite"
    return Project(framework, "there is a manage.py", f"{package}/wsgi.py", "application")


def _by_code(folder: Path, frameworks: list[Framework]) -> Project | None:
    codes = [(path.relative_to(folder).as_posix(), _read(path)) for path in _modules(folder)]
    for framework in filter(lambda f: f.made_by, frameworks):
        made = re.compile(
            rf"^[ \t]*(\w+)(?:\s*:\s*[\w.]+)?\s*=\s*(?:\w+\.)*{framework.made_by}\(", re.MULTILINE
        )
        for name, code in codes:
            if framework.id in code.lower() and (found := made.search(code)):
                return Project(framework, f"{name} makes one", name, found[1])
    return None


def _by_lists(folder: Path) -> Project | None:
    """Return what the site's requirements name."""
    for path in (path for pattern in _LISTS for path in sorted(folder.glob(pattern))):
        text = re.sub(r"(?m)#.*$", "", _read(path)).lower()
        for framework in filter(lambda f: f.package, FRAMEWORKS.values()):
            if re.search(rf"(?<![\w./-]){framework.package}(?![\w./-])", text):
                return Project(framework, f"{path.relative_to(folder).as_posix()} asks for it")
    return None


def _by_installed() -> Project | None:
    """Return what is installed, where that is one only; Starlette is part of FastAPI."""
    found = [f for f in FRAMEWORKS.values() if f.package and find_spec(f.package)]
    if any(f.id == "fastapi" for f in found):
        found = [f for f in found if f.id != "starlette"]
    return Project(found[0], "it is what is installed") if len(found) == 1 else None


def _modules(folder: Path) -> Iterator[Path]:
    """Yield the site's modules, those that usually hold the app first; a bounded number."""
    for pattern in ("*.py", "*/*.py", "src/*/*.py"):
        paths = (p for p in folder.glob(pattern) if not _is_skipped(p.relative_to(folder).parts))
        names = sorted(islice(paths, _MAX_FILES), key=lambda p: (p.name not in _FIRST, p.as_posix()))
        yield from names


def _is_skipped(parts: tuple[str, ...]) -> bool:
    return parts[-1].startswith(("test_", "conftest")) or any(
        part.startswith(".") or part in _SKIPPED for part in parts[:-1]
    )


def _read(path: Path) -> str:
    """Return a file's text, as far as it can be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
