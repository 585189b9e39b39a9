"""Disks that can be filled and emptied again: a small file system of its own, or a process that may write no more."""

from __future__ import annotations

import os
import resource
import subprocess
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soak.served import Server

__all__ = ["Disk", "small_disk"]

_SIZE = "8m"
_BLOCK = b"\0" * 4096


class Disk(ABC):
    """A disk for the store.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self, server: Server, *, journal: bool) -> None:
        """Take all room.

        Args:
            server: Who writes there.
            journal: Whether the journal stands on this disk too.
        """

    @abstractmethod
    def empty(self, server: Server) -> None:
        """Give the room back."""


class _SmallFileSystem(Disk):
    """A real one of eight megabytes; mounting it needs root."""

    def fill(self, server: Server, *, journal: bool) -> None:  # noqa: ARG002 - the disk is the same for all
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(_BLOCK):
                    pass
            except OSError:
                return

    def empty(self, server: Server) -> None:  # noqa: ARG002
        (self.folder / "ballast").unlink()


class _SmallFiles(Disk):
    """The longest file that the server may write: the store's cannot grow, or nothing can be written at all."""

    def fill(self, server: Server, *, journal: bool) -> None:
        longest = max(path.stat().st_size for path in self.folder.glob("records.db*"))
        _limit(server, 1 if journal else longest)

    def empty(self, server: Server) -> None:
        _limit(server, resource.RLIM_INFINITY)


def _limit(server: Server, size: int) -> None:
    hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def small_disk(kind: str, folder: Path) -> Iterator[Disk]:
    """Give a disk.

    Args:
        kind: ``tmpfs``; ``limit``, which needs no root, and a server of one process; ``any`` takes the first if it can.
        folder: Where it shall be; made.
    """
    folder.mkdir()
    if kind == "limit":
        yield _SmallFiles(folder)
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    is_mounted = (
        os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    if not is_mounted:
        if kind == "tmpfs":
            pytest.skip("mounting a small file system needs root; the runs with limited files need none")
        yield _SmallFiles(folder)
        return
    try:
        yield _SmallFileSystem(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
