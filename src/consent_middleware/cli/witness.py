"""The witness: a file with the heads of a verification, for the next one to be compared with.

It proves something only where those who can change the database cannot change it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from consent_middleware.cli.files import written_aside
from consent_middleware.cli.opening import Failure
from consent_middleware.records.chain import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["heads_as_json", "read_witness", "write_witness"]

_VERSION = "1"


def read_witness(path: Path) -> dict[str, Head] | None:
    """Return the heads of an earlier verification; None where there was none yet.

    Raises:
        Failure: The file is no witness.
        OSError: It cannot be read.
    """
    try:
        return _heads(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        if not path.parent.is_dir():  # said before the long reading, not after it
            raise
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failure(f"{path} is no witness that `records verify` has written.") from None


def write_witness(path: Path, heads: Mapping[str, Head]) -> None:
    """Keep the heads of a verification that found nothing.

    Raises:
        OSError: They cannot be kept.
    """
    text = json.dumps({"schema_version": _VERSION, "heads": heads_as_json(heads)}, indent=1, sort_keys=True)
    with written_aside(path) as file:
        file.write(f"{text}\n".encode())


def heads_as_json(heads: Mapping[str, Head]) -> dict[str, dict[str, Any]]:
    """Return heads as plain data, by their chains."""
    return {chain: {"count": head.count, "hash": head.hash} for chain, head in heads.items()}


def _heads(found: Mapping[str, Any]) -> dict[str, Head]:
    if found["schema_version"] != _VERSION:
        raise ValueError(found["schema_version"])
    return {chain: _head(chain, head) for chain, head in found["heads"].items()}


def _head(chain: str, found: Mapping[str, Any]) -> Head:
    if type(found["count"]) is not int or not isinstance(found["hash"], str):
        raise TypeError(chain)
    return Head(chain, found["count"], found["hash"])
