"""A folder with a short path: a socket's may have about a hundred characters."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder."""
    with tempfile.TemporaryDirectory(prefix="cm") as name:
        yield Path(name)
