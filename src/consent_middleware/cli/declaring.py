"""The files that a site begins with: a short consent.toml, the key in .env, and what version control leaves out."""

from __future__ import annotations

import json
import os
import re
import secrets
from typing import TYPE_CHECKING

from consent_middleware.cli.showing import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["KEY", "declaration", "has_key", "keep_out", "put_key"]

KEY = "CONSENT_SECRET_KEY"
_SET = re.compile(rb"^[ \t]*(?:export[ \t]+)?CONSENT_SECRET_KEY[ \t]*=[ \t]*\S", re.MULTILINE)
_NOT_KEPT = {
    ".env": {".env", ".env*", "*.env", ".env.*"},
    "consent-records.db*": {"consent-records.db*", "*.db", "*.db*"},
    "consent-journal/": {"consent-journal", "consent-journal/"},
}
"""What holds secrets or visitors' answers, and the patterns that leave it out of version control."""

_TEXT = """\
# What this site stores and loads, for consent-middleware.  Check it with:  consent-middleware check

# From the built-in catalogue, which `consent-middleware catalog` lists: the cookies and tags of these wait for consent.
use = {use}

[site]
name = {name}
languages = {languages}  # the first is the fallback
policy_url = "/privacy"  # the privacy policy, a page of yours; the banner links to it
updated = "{today}"  # the day you last looked through this file
mode = "report"  # nothing is held back, the log says what would be; "enforce" once the log is quiet
# origins = ["https://shop.example"]  # where browsers find the site, if a proxy stands before it

[controller]  # who answers for the data
name = {controller}
contact = {contact}

[cookies]
essential = []  # cookies of your own that the site cannot work without; those of known software are essential already

# What the catalogue does not know. The log names such cookies, with the lines to paste.
# [[services]]
# id = "house-stats"
# name = "House statistics"
# category = "analytics"
# hosts = ["stats.example.com"]
# cookies = [{{ name = "hs_*", retention = "P13M", purpose = "Counts visits." }}]
"""


def declaration(
    *,
    name: str,
    controller: str,
    contact: str,
    languages: Iterable[str],
    use: Iterable[str],
    found: Mapping[str, str],
    today: str,
) -> str:
    """Return a consent.toml in report mode.

    Args:
        use: Ids of the catalogue, as the site's owner gave them.
        found: More of them, each with the file that shows it.
        today: As ``2026-11-22``.
    """
    services = {
        **dict.fromkeys(use, ""),
        **{id_: f"found in {file}" for id_, file in found.items() if id_ not in use},
    }
    return _TEXT.format(
        use=_list(services),
        name=_quoted(name),
        languages=_quoted(list(languages)),
        controller=_quoted(controller),
        contact=_quoted(contact),
        today=today,
    )


def _list(services: Mapping[str, str]) -> str:
    lines = (f"    {_quoted(id_)},{f'  # {one_line(why)}' if why else ''}\n" for id_, why in services.items())
    return "[\n" + "".join(lines) + "]" if services else "[]"


def _quoted(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)  # a JSON string, or an array of them, is a TOML one


def has_key(path: Path) -> bool:
    """Return whether an .env file sets a key already.

    Raises:
        OSError: It is there, and cannot be read.
    """
    return path.exists() and bool(_SET.search(path.read_bytes()))


def put_key(path: Path) -> None:
    """Add a new random key to an .env file; what stands there stays. A file that this makes is its owner's alone.

    Raises:
        OSError: It cannot be written.
    """
    _append(path, f"{KEY}={secrets.token_urlsafe(32)}\n", mode=0o600)


def keep_out(folder: Path) -> list[str]:
    """Have git leave out what holds the key and visitors' answers; return the lines that were added to .gitignore.

    Does nothing in a folder that is in no repository.

    Raises:
        OSError: .gitignore cannot be read or written.
    """
    above = [folder, *folder.parents]
    root = next((place for place in above if (place / ".git").exists()), None)
    own = folder / ".gitignore"
    if root is None and not own.exists():
        return []
    read = above[: above.index(root) + 1] if root else [folder]
    there = {line for place in read for line in _patterns(place / ".gitignore")}
    missing = [pattern for pattern, same in _NOT_KEPT.items() if not there & same]
    if missing:
        _append(own, "".join(f"{pattern}\n" for pattern in missing))
    return missing


def _append(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Add whole lines to a file; one that this makes has the mode, as far as the umask lets it."""
    before = path.read_bytes() if path.exists() else b""
    line_end = "" if not before or before.endswith(b"\n") else "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode), "ab") as file:
        file.write((line_end + text).encode())


def _patterns(path: Path) -> set[str]:
    lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
    return {line.strip().removeprefix("/").removeprefix("**/") for line in lines}
