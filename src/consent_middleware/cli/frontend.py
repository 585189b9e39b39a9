"""The command that writes TypeScript's declarations of what a page offers to scripts, with the site's own ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consent_middleware.cli.opening import declared, in_words, with_config
from consent_middleware.resources import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consent_middleware.catalog import Catalog

__all__ = ["declarations", "types"]

_FILE = ("static", "consent.d.ts")


def declarations(catalog: Catalog) -> str:
    """Return ``consent.d.ts`` for one site: a wrong id is a compiler's error there."""
    text = read_text(*_FILE)
    for name, ids in {"Category": catalog.categories, "Service": catalog.services}.items():
        text = text.replace(f"type {name} = string;", f"type {name} = {_union(ids)};", 1)
    return text


def _union(ids: Iterable[str]) -> str:
    return " | ".join(map(json.dumps, sorted(ids))) or "never"


@click.command()
@with_config
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; default: standard output."
)
def types(config: Path | None, output: Path | None) -> None:
    """Write TypeScript's declarations of window.consent, its events and state.json.

    The categories and services of the declaration are the only ids that they accept. Run it again when the
    declaration has changed.

    \b
    Examples:
      consent-middleware types > src/consent.d.ts
      consent-middleware types --output src/consent.d.ts

    \b
    Exit codes:
      0  done
      2  it could not be done
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    with in_words():
        text = declarations(declared(config).catalog)
        if output:
            output.write_text(text, "utf-8", newline="\n")
        else:
            click.echo(text, nl=False)
