"""Make sure that what the browser tests need is there.

A Chromium: Playwright's own, an installed one, or Debian's; and, from npm, the libraries of the recipes.
Run by `make test` before the browser tests. Exit code 1, with words, where none can be had.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SYSTEM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_S = 300
# From npm, in the versions of libraries/package.json; some ten seconds the first time.
LIBRARIES = Path(__file__).parent / "libraries"
MODULES = LIBRARIES / "node_modules"


def playwrights_own() -> str | None:
    """Return the path of the Chromium that Playwright has downloaded, if it has."""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def installed() -> str | None:
    """Return the path of a Chromium to test with, if there is one."""
    return playwrights_own() or next((path for name in SYSTEM if (path := shutil.which(name))), None)


def run(*command: str) -> bool:
    """Run an installer; return whether it succeeded in time."""
    print("$", " ".join(command), flush=True)  # noqa: T201 - says what takes so long
    try:
        return subprocess.run(command, check=False, timeout=TIMEOUT_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install() -> None:
    """Download Playwright's Chromium and what it needs, else install the system's package."""
    is_root = os.geteuid() == 0
    if run(sys.executable, "-m", "playwright", "install", "chromium"):
        if is_root:
            run(sys.executable, "-m", "playwright", "install-deps", "chromium")
    elif shutil.which("apt-get") and is_root:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "chromium")


def has_libraries() -> bool:
    """Return whether each library is there, in its version."""
    wanted: dict[str, str] = json.loads((LIBRARIES / "package.json").read_text("utf-8"))["dependencies"]
    try:
        return all(
            json.loads((MODULES / name / "package.json").read_text("utf-8"))["version"]
            == version.rpartition("@")[2]
            for name, version in wanted.items()
        )
    except OSError:
        return False


def install_libraries() -> bool:
    """Have npm install them if they are not there; return whether they are."""
    if not has_libraries() and (npm := shutil.which("npm")):
        run(npm, "ci", "--prefix", str(LIBRARIES))
    return has_libraries()


def main() -> int:
    """Return 0 once there is a Chromium, and what the recipes need."""
    if installed() is None:
        install()
    path = installed()
    if path is None:
        print(  # noqa: T201 - the message is the point
            "The browser tests need a Chromium. Run one of:\n"
            "  python -m playwright install --with-deps chromium\n"
            "  apt-get install chromium",
            file=sys.stderr,
        )
        return 1
    print("Browser tests use", path)  # noqa: T201 - as above
    if not install_libraries():
        print(  # noqa: T201 - as above
            "The recipes' browser tests need npm, which fetches the libraries they try "
            "(tests/browser/libraries/package.json). Run:\n"
            "  apt-get install nodejs npm",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
