"""The distribution: what the wheel and the sdist hold, and that the wheel works away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import consent_middleware

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "consent_middleware"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the sdist once."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment that the wheel is installed in; the dependencies are those of the test run."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return folder


def run(installed: Path, script: str, cwd: Path) -> str:
    """Run a script in the clean environment, where the checkout cannot be imported."""
    site = next(installed.glob("lib/python*/site-packages"))
    # Not site directories: an editable install's .pth file must not lead back to the checkout.
    path = os.pathsep.join([str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    environment = {"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [str(installed / "bin" / "python"), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def relative_files(folder: Path) -> set[str]:
    """Return the files below a folder, without what Python leaves there."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel: Path) -> None:
    """Modules, catalogue, texts, templates, static files and py.typed are all in the wheel."""
    names = {name.removeprefix("consent_middleware/") for name in zipfile.ZipFile(wheel).namelist()}
    expected = {name for name in relative_files(SOURCE) if not name.startswith("texts/po/")}
    expected |= {f"templates/{name}" for name in relative_files(ROOT / "templates")}
    expected |= {f"static/{name}" for name in relative_files(ROOT / "static")}
    assert expected - names == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["py.typed", "templates/banner.html", "static/banner/guard.js", "static/consent.d.ts", "catalog/presets.toml", "texts/en.toml",
     "texts/mo/de.mo", "texts/cldr/de.json", "texts/cldr/LICENSE", "catalog/services/google-analytics.toml"],
)  # fmt: skip
def test_the_wheel_holds_each_kind_of_file(wheel: Path, name: str) -> None:
    """One of each kind, by name."""
    assert f"consent_middleware/{name}" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.slow
def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    """No test, no benchmark, no database and no example is installed with it."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"consent_middleware", f"consent_middleware-{consent_middleware.__version__}.dist-info"}


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    """The wheel can be built from the sdist alone, and holds the same files."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--wheel",
            "--outdir",
            str(tmp_path / "out"),
            str(source),
        ],
        capture_output=True,
        check=True,
        timeout=300,
    )
    (again,) = (tmp_path / "out").glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


RENDER = """
import consent_middleware, sys
from consent_middleware.site import Site
from consent_middleware.banner import Shape
site = Site(
    {"site": {"name": "Example Shop"}, "controller": {"name": "Example GmbH", "contact": "x"}, "use": ["youtube"]},
    "a secret key that only the tests use",
)
sys.stdout.buffer.write(site.banner.snippets("en", "", Shape.ASK).body)
"""


@pytest.mark.slow
def test_the_installed_wheel_renders_the_banner(installed: Path, tmp_path: Path) -> None:
    """Away from the checkout the banner comes out as it does here."""
    here = subprocess.run(
        [sys.executable, "-c", RENDER], capture_output=True, text=True, check=True, timeout=60
    )
    there = run(installed, RENDER, tmp_path)
    assert 'id="consent-banner"' in there
    assert there == here.stdout.strip()


@pytest.mark.slow
def test_the_installed_wheel_uses_its_own_files(installed: Path, tmp_path: Path) -> None:
    """Installed, code and resources come from the environment, not from the checkout."""
    script = (
        "import consent_middleware; from consent_middleware.resources import resource_root; "
        "print(consent_middleware.__file__); print(resource_root())"
    )
    module, root = run(installed, script, tmp_path).splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(root) == Path(module).parent


@pytest.mark.slow
def test_the_installed_command_line_runs(installed: Path, tmp_path: Path) -> None:
    """`python -m consent_middleware` works from the wheel, and knows its version."""
    script = "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('consent_middleware', run_name='__main__')"
    assert consent_middleware.__version__ in run(installed, script, tmp_path)


def test_the_version_is_the_newest_in_the_changelog() -> None:
    """Module, metadata and the changelog's newest heading agree."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert consent_middleware.__version__ == metadata["version"] == headings[0]


def test_the_package_says_that_it_is_typed() -> None:
    """PEP 561: type checkers read our annotations."""
    assert (SOURCE / "py.typed").is_file()


def test_everything_exported_is_there() -> None:
    """`__all__` names nothing that is missing."""
    assert [name for name in consent_middleware.__all__ if not hasattr(consent_middleware, name)] == []
