"""The first ten minutes with real processes: init, the pasted lines, the log, check, enforce, a look from outside."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

PAGE = "<!doctype html><html lang='en'><head><title>Shop</title></head><body>Hello</body></html>"
FLASK = f"""
from flask import Flask, make_response

app = Flask(__name__)


@app.get("/")
def home():
    answer = make_response("{PAGE}")
    answer.set_cookie("_ga", "GA1.1.1.1")
    answer.set_cookie("basket", "1")
    return answer


@app.get("/privacy")
def privacy():
    return "{PAGE}"
"""
FASTAPI = f"""
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()


@app.get("/")
async def home():
    answer = HTMLResponse("{PAGE}")
    answer.set_cookie("_ga", "GA1.1.1.1")
    answer.set_cookie("basket", "1")
    return answer


@app.get("/privacy")
async def privacy():
    return HTMLResponse("{PAGE}")
"""


@dataclass
class Beginner:
    """Somebody with an app in a folder, who does what is printed."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The tests' own, without what would take the place of the folder's files."""
        return {key: value for key, value in os.environ.items() if not key.startswith("CONSENT_")}

    def consent(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the package's own."""
        command = [sys.executable, "-m", "consent_middleware", *words]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def change(self, file: str, pattern: str, line: str) -> None:
        """Put a line in the place of the one line that a pattern finds."""
        path = self.folder / file
        text, count = re.subn(rf"(?m)^{pattern}.*$", lambda _: line, path.read_text("utf-8"))
        assert count == 1
        path.write_text(text, "utf-8")

    @contextmanager
    def running(self, command: str) -> Iterator[str]:
        """Run the site by the command that was printed, on a free port; yields its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [sys.executable, "-m", *shlex.split(command), "--port", str(port)]
        with (self.folder / "log").open("wb") as log:
            server = subprocess.Popen(
                words, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(30)

    @property
    def log(self) -> str:
        """What the site has said."""
        return (self.folder / "log").read_text("utf-8")


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens."""
    late = time.monotonic() + 60
    while True:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "the site did not start"
        assert time.monotonic() < late
        time.sleep(0.05)


def lines_to_paste(printed: str) -> str:
    """Return the indented lines between "Paste" and "Then"."""
    part = printed.partition("\nPaste ")[2].partition("\nThen:")[0]
    return "".join(f"{line.strip()}\n" for line in part.splitlines() if line.startswith("    "))


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [("Flask", "app.py", FLASK), ("FastAPI", "main.py", FASTAPI)],
    ids=["flask", "fastapi"],
)
def test_the_whole_session(tmp_path: Path, name: str, file: str, code: str) -> None:
    """From a site without consent to one that a look from outside finds nothing wrong with, by what is printed alone."""
    (tmp_path / file).write_text(code, "utf-8")
    person = Beginner(tmp_path)
    begun = person.consent(
        "init", "--name", "Example Shop", "--controller", "Example GmbH", "--contact", "privacy@example.com"
    )
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout.startswith(f"This is {name}: {file} makes one.")
    made = re.escape(f"app = {name}(")
    pasted = lines_to_paste(begun.stdout)
    assert len(pasted.splitlines()) == 2
    line = next(line for line in code.splitlines() if re.match(made, line))
    person.change(file, made, f"{line}\n{pasted}")
    (command,) = re.findall(r"with what \.env holds:  (.+)", begun.stdout)

    with person.running(command) as address, urllib.request.urlopen(address, timeout=30) as answer:
        assert "consent-banner" in answer.read().decode()
        assert len(answer.headers.get_all("set-cookie")) == 2  # nothing is held back yet
    assert "would hold back Set-Cookie '_ga'" in person.log
    assert "would hold back Set-Cookie 'basket'" in person.log

    for key in ("use", "essential"):
        (declared,) = re.findall(rf"(?m)^{key} = .+$", person.log)
        person.change("consent.toml", rf"{key} = ", declared)
    checked = person.consent("check")
    assert checked.returncode == 0, checked.stderr
    assert 'set [site] mode = "enforce"' in checked.stdout
    person.change("consent.toml", "mode = ", 'mode = "enforce"')

    with person.running(command) as address:
        looked = person.consent("check", "--url", address)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert looked.stdout.splitlines()[-1] == f"{address}: 0 faults, 0 warnings."
    assert "Reject works" in looked.stdout
    assert "would hold back" not in person.log
