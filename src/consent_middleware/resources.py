"""Where the package's templates and static files stand: inside an installed wheel, or in a checkout."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["read_bytes", "read_text", "resource_root"]


@cache
def resource_root() -> Traversable:
    """Return the folder that holds ``templates/`` and ``static/``.

    A wheel carries both inside the package; an editable install finds them at the top of the checkout.
    """
    package = files("consent_middleware")
    if package.joinpath("templates").is_dir():
        return package
    return Path(__file__).resolve().parents[2]


def read_bytes(*parts: str) -> bytes:
    """Return one resource's bytes, e.g. ``read_bytes("static", "banner", "guard.js")``."""
    return resource_root().joinpath(*parts).read_bytes()


def read_text(*parts: str) -> str:
    """Return one resource's text."""
    return read_bytes(*parts).decode("utf-8")
