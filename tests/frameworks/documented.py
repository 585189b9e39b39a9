"""The app of a framework's page in docs/frameworks, started as the page says."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DOCS", "Running", "files", "interpreter", "start"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "frameworks"
START_S = 60
# A line that names a file, and the block below it.
_FILE = re.compile(r"^[^\n`]*`([\w./]+\.\w+)`[^\n]*:\n\n```\w+\n(.*?)```", re.MULTILINE | re.DOTALL)


def interpreter(package: str) -> Path | None:
    """Return a Python that has a framework: this one, else that of ``make test-frameworks``; None where neither has."""
    if find_spec(package) is not None:
        return Path(sys.executable)
    own = ROOT / "build" / "frameworks"
    return own / "bin" / "python" if any(own.glob(f"lib/python*/site-packages/{package}")) else None


def files(page: str) -> dict[str, str]:
    """Return the text of every file that a page of docs/frameworks shows, by its path."""
    return dict(_FILE.findall((DOCS / page).read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class Running:
    """A documented app that answers.

    Attributes:
        url: Its address, without a slash at the end.
        log: Where it writes.
    """

    url: str
    log: Path


def start(name: str, folder: Path, python: Path) -> Iterator[Running]:
    """Run the command that stands last in a page's first block; stop it when the generator is closed.

    Args:
        name: Of the page, e.g. ``dash``.
        folder: Holds the page's files.
        python: Has the framework.
    """
    block = re.findall(r"```sh\n(.*?)```", (DOCS / f"{name}.md").read_text("utf-8"), re.DOTALL)[0]
    command, *arguments = shlex.split(block.splitlines()[-1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--noreload", str(port)] if "manage.py" in arguments else ["--port", str(port)]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python.with_name(command), *arguments, *where],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + START_S
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield Running(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it waits for a browser that keeps its connection
            process.kill()
            process.wait()


def environment() -> dict[str, str]:
    """Return the environment of a documented app: a key, this checkout, and nothing that calls home."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "CONSENT_SECRET_KEY": "a-secret-of-32-characters-length",
        "PYTHONPATH": str(ROOT / "src"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
