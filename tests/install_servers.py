"""Say which database servers are there for the tests; install what is missing, on Debian and as root.

Run by `make test` before the tests. Exit code 0 in any case: the fixtures of servers.py decide what a missing
server means.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from servers import MARIADB, POSTGRES, Wanted, find_mariadb, find_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = Path("/usr/sbin/policy-rc.d")
PACKAGES = {POSTGRES: "postgresql", MARIADB: "mariadb-server"}
TIMEOUT_S = 300


def there() -> dict[Wanted, str]:
    """Return the programs that were found."""
    makers = {POSTGRES: find_postgres(), MARIADB: find_mariadb()}
    return {wanted: str(make().program) for wanted, make in makers.items() if make}


def may_install() -> bool:
    """Whether this is a Debian or the like, and we are root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextmanager
def services_stay_down() -> Iterator[None]:
    """Forbid the packages to start their services, as a container's own policy does."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink()


def run(*command: str) -> None:
    """Run an installer; what it could not do shows in what is there afterwards."""
    print("$", " ".join(command), flush=True)  # noqa: T201 - says what takes so long
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        subprocess.run(command, check=False, timeout=TIMEOUT_S, env=quiet)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error)  # noqa: T201 - as above


def main() -> int:
    """Tell, install and tell."""
    found = there()
    missing = [package for wanted, package in PACKAGES.items() if wanted not in found]
    if missing and may_install():
        with services_stay_down():
            run("apt-get", "update", "-qq")
            run(
                "apt-get",
                "install",
                "-y",
                "-qq",
                "-o",
                "Dpkg::Use-Pty=0",
                "--no-install-recommends",
                *missing,
            )
        found = there()
    for wanted in PACKAGES:
        text = f"Tests use {found[wanted]}" if wanted in found else f"No {wanted.name} server: {wanted.hint}"
        print(text)  # noqa: T201 - the message is the point
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
