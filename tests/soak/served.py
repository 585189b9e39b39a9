"""A real server in processes of its own, which may be killed and started again while browsers wait at its door."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Server"]

_TESTS = Path(__file__).parents[1]
_CONFIG = """
use = ["google-analytics", "meta-pixel"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
[records]
"""


class Server:
    """Gunicorn with two forked workers of sixteen threads, or uvicorn with one event loop.

    The listening socket is the tests' own: whoever comes while no server runs waits for the next one.

    Args:
        kind: ``gunicorn`` or ``uvicorn``.
        folder: Of the declaration and the log; its path is short.
        records: The declaration's section of that name.
    """

    def __init__(self, kind: str, folder: Path, records: Mapping[str, str]) -> None:
        self.kind = kind
        self.address = folder / "s"
        self.config = folder / "consent.toml"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        section = "".join(f'{name} = "{value}"\n' for name, value in records.items())
        self.config.write_text(_CONFIG + section, "utf-8")
        # Gunicorn reads this file, and versions without such a socket pass over it.
        (folder / "gunicorn.conf.py").write_text("control_socket_disable = True\n", "utf-8")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self.address))
        self._door.listen(128)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
        self.kill()
        self._door.close()
        if problem is not None:
            print(self.log, file=sys.stderr)  # noqa: T201 - pytest shows it with the test that fails

    @property
    def pid(self) -> int:
        """The number of its first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said last."""
        return "\n".join((self._folder / "log").read_text(errors="replace").splitlines()[-30:])

    def start(self) -> None:
        """Start it; it answers when it can."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command()],
                cwd=self._folder,
                env=os.environ | {"PYTHONPATH": str(_TESTS)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._door.fileno()],
                start_new_session=True,
            )

    def kill(self) -> None:
        """End each of its processes by SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _command(self) -> list[str]:
        door = self._door.fileno()
        if self.kind == "uvicorn":
            quiet = ["--no-access-log", "--lifespan=off"]
            return ["uvicorn", "--factory", "soak.app:make_asgi", f"--fd={door}", *quiet]
        workers = ["--preload", "--workers=2", "--threads=16"]
        return ["gunicorn", *workers, f"--bind=fd://{door}", "soak.app:make_wsgi()"]
