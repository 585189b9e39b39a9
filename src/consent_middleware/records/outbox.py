"""Opt-outs on their way to the site's `on_opt_out` hook: each is told at least once, whatever dies in between.

One file an opt-out, on the disk before the visitor is answered and gone once the hook has returned. A hook that fails
is called again later; so is one whose process died. `record_id` tells a second telling from a second opt-out.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING

from consent_middleware.records.model import ConsentRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Outbox"]

_RETRY_S = 60
_log = logging.getLogger("consent_middleware")


class Outbox:
    """Keep opt-outs until the site has been told of them.

    Args:
        folder: Where they wait; made when first needed.
        clock: Returns seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._due = 0.0  # what an earlier process left is due at once
        self._unwritten: dict[str, ConsentRecord] = {}

    @property
    def is_due(self) -> bool:
        """Whether somebody should look into it; asked at every request, so it opens nothing."""
        return self._clock() >= self._due

    def put(self, record: ConsentRecord) -> None:
        """Keep an opt-out. Where the disk does not take it, only this process remembers it, and the log says so."""
        path = self._folder / f"{record.record_id}.json"
        aside = path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(record.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            # The hour, as in the records of those who refuse.
            hour = int(time.time()) // 3600 * 3600
            os.utime(aside, (hour, hour))
            aside.rename(path)
        except OSError as error:
            _log.error("consent_middleware: an opt-out waits in memory only (%s)", error.strerror)
            self._unwritten[record.record_id] = record
        self._due = 0.0

    def waiting(self) -> Sequence[ConsentRecord]:
        """Return what the site has not been told yet; from now on nothing is due for a minute."""
        self._due = self._clock() + _RETRY_S
        found = list(self._unwritten.values())
        for path in sorted(self._folder.glob("*.json")):
            record = _read(path)
            if record is not None:
                found.append(record)
        return found

    def done(self, record: ConsentRecord) -> None:
        """Forget an opt-out that the hook has taken."""
        self._unwritten.pop(record.record_id, None)
        try:
            (self._folder / f"{record.record_id}.json").unlink(missing_ok=True)
        except OSError as error:
            _log.error("consent_middleware: an opt-out will be told again (%s)", error.strerror)


def _read(path: Path) -> ConsentRecord | None:
    """Return a file's record; None for one that another worker has told, or that is not ours."""
    try:
        return ConsentRecord.from_dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        _log.error("consent_middleware: %s in the outbox cannot be read; it is left where it is.", path.name)
        return None
