"""A bar on standard error for what takes long, and only where a person looks at it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress"]


@contextmanager
def progress(
    label: str, length: Callable[[], int], *, shown: bool = True
) -> Iterator[Callable[[int], object]]:
    """Show a bar while the block runs; yields what is told how many more are done.

    Args:
        label: What is being done.
        length: Returns how many there are; not called where no bar is shown.
        shown: Whether a bar would be in nobody's way.
    """
    stream = sys.stderr
    if not (shown and stream.isatty()):
        yield lambda _: None
        return
    whole = max(length(), 1)
    with click.progressbar(length=whole, label=label, file=stream) as bar:
        yield bar.update
        bar.update(whole - bar.pos)  # what was not told apart
