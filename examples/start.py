"""Start one of the examples, with its framework's own server, and a tracker: ``python -m examples.start flask-shop``.

The records of consent and the database lie in a temporary folder that goes when it ends, and keys are made anew each
time. The sites know nothing of this program; they read their settings from the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.shop.ports import HOST, listen
from examples.shop.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXAMPLES", "FOLDER", "Example"]

FOLDER = Path(__file__).resolve().parent
_TRACKER = "http://localhost:8100"  # what the sites ask where nobody says otherwise
_START_S = 60
_END_S = 10


@dataclass(frozen=True, slots=True)
class Example:
    """A site.

    Attributes:
        serve: The server's command, behind ``python``, without the port.
        port: How the command is told the port.
        key: The environment variable that the site reads its key from.
        before: What is run before, behind ``python``.
    """

    serve: str
    port: str = "--port {}"
    key: str = "CONSENT_SECRET_KEY"
    before: str = ""


EXAMPLES = {
    "flask-shop": Example("-m flask --app teashop run", key="FLASK_SECRET_KEY"),
    "fastapi-blog": Example("-m uvicorn blog.main:app"),
    "django-site": Example(
        "manage.py runserver --noreload", "127.0.0.1:{}", "DJANGO_SECRET_KEY", before="manage.py demo"
    ),
    "static-site": Example("-m uvicorn app:app"),
    "litestar-app": Example("-m uvicorn trails.app:app"),
}


def main() -> None:
    """Read the options, start the tracker and the site, say what to open, end cleanly."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="example-") as state:
        _run(options, Path(state))
    print("\nClosed.", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="examples.start", description="Small sites with consent.")
    parser.add_argument("name", choices=EXAMPLES, help="which one")
    parser.add_argument(
        "--port", type=int, default=8000, help="where to listen; a taken port is stepped over"
    )
    parser.add_argument("--tracker-port", type=int, help="use a tracker that runs already")
    return parser.parse_args()


def _run(options: argparse.Namespace, state: Path) -> None:
    example, folder = EXAMPLES[options.name], FOLDER / options.name.replace("-", "_")
    port = _free(options.port)
    with _tracker(options.tracker_port) as tracker:
        env = _environment(example, folder, tracker, state)
        if example.before:
            subprocess.run(
                [sys.executable, *example.before.split()], cwd=folder, env=env, check=True, process_group=0
            )
        command = [sys.executable, *example.serve.split(), *example.port.format(port).split()]
        # In a group of its own: Ctrl-C comes to us, and we pass it on, once.
        with subprocess.Popen(command, cwd=folder, env=env, process_group=0) as server:
            try:
                _await(server, port)
                print(f"\nOpen      http://{HOST}:{port}")
                print(f"Tracker   {tracker}  (plays Google, Meta and YouTube)\n")
                print(_look_for(folder / "README.md"))
                print("\nCtrl-C ends it.\n", flush=True)
                raise SystemExit(f"The server has ended by itself, with code {server.wait()}.")
            finally:
                _end(server)


def _free(port: int) -> int:
    """Return the port asked for, else the next that is free."""
    try:
        with listen(port) as listener:
            found: int = listener.getsockname()[1]
    except OSError as error:
        raise SystemExit(f"No port from {port} up can be used: {error}") from None
    if port not in {0, found}:
        print(f"Port {port} is taken, so this is {found}.")
    return found


@contextlib.contextmanager
def _tracker(port: int | None) -> Iterator[str]:
    """Give the address of the tracker, which runs here unless there is one already."""
    if port:
        yield f"http://localhost:{port}"
        return
    tracker = Tracker(listen(int(_TRACKER.rpartition(":")[2])))
    tracker.start()
    yield f"http://localhost:{tracker.port}"
    tracker.stop()


def _environment(example: Example, folder: Path, tracker: str, state: Path) -> dict[str, str]:
    made = {
        example.key: secrets.token_urlsafe(32),
        "CONSENT_RECORDS_JOURNAL": str(state / "consent-journal"),
        "CONSENT_RECORDS_URL": f"sqlite:///{state / 'consent-records.db'}",
        "EXAMPLE_DATABASE": str(state / "db.sqlite3"),
    }
    pages = folder / "pages"
    if pages.is_dir() and tracker != _TRACKER:  # plain files cannot ask for an address
        made["PAGES"] = str(_copied(pages, state / "pages", tracker))
    given = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**made, **given, "TRACKER": tracker}


def _copied(pages: Path, target: Path, tracker: str) -> Path:
    shutil.copytree(pages, target)
    for page in target.glob("*.html"):
        page.write_text(page.read_text("utf-8").replace(_TRACKER, tracker), "utf-8")
    return target


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"The server has not started; its code is {server.poll()}.")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Let the server end as Ctrl-C does; one that does not is killed."""
    if server.poll() is None:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(_END_S)
        except subprocess.TimeoutExpired:
            server.kill()


def _look_for(readme: Path) -> str:
    """Return the numbered list of a README."""
    steps = re.findall(r"^\d\. .*$", readme.read_text("utf-8"), re.MULTILINE)
    return "\n".join(["What to look for", *(f"  {step}" for step in steps)])


if __name__ == "__main__":
    main()
