"""Write the pages of docs/reference that are made from the code: consent.toml from its models, commands from their help.

    python -m tools.build_reference

They are kept in the repository, where links and searches find them; tests/test_docs.py compares them with the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consent_middleware.cli import main as commands
from consent_middleware.config import ConsentConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PAGES", "cli", "consent_toml"]

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- made by tools/build_reference.py: change the code instead -->"
WIDTH = 100
TOP = f"""# consent.toml

{MADE}

Every key, what it takes, and what it is where it is left out. Only `[site] name` and `[controller]` have to be there;
a key that is not listed here is an error. A dict of the same shape may be given instead (`config=`).

Editors that know TOML complete and check the file once it names its schema in the first line:

```sh
consent-middleware schema > consent.schema.json
```

```toml
#:schema ./consent.schema.json
[site]
name = "Example Shop"

[controller]
name = "Example GmbH"
contact = "privacy@example.com"
```

Where the code does not say it, `CONSENT_CONFIG` says where the file is, and `CONSENT_SECRET_KEY` holds the keys.
`CONSENT_MODE`, `CONSENT_RECORDS_URL` and `CONSENT_RECORDS_JOURNAL` override `[site] mode`, `[records] url` and `[records] journal`.
"""


def consent_toml() -> str:
    """Return the reference of consent.toml, from the JSON Schema of its models."""
    schema = ConsentConfig.model_json_schema()
    plain, parts = [], []
    for key, field in schema["properties"].items():
        section, is_list = _section(field)
        if section is None:
            plain.append(_row(key, field, key in schema["required"]))
        else:
            parts += _part(f"[[{key}]]" if is_list else f"[{key}]", field, schema["$defs"], section)
    table = "\n".join([*_TABLE, *plain])
    return f"{TOP}\n## At the top of the file\n\n{table}\n" + "".join(f"\n{part}" for part in parts)


_TABLE = ("| key | takes | left out | |", "|---|---|---|---|")


def _part(title: str, field: Mapping[str, Any], models: Mapping[str, Any], name: str) -> list[str]:
    """Return a section of the file, and those of the tables in it."""
    model = models[name]
    rows, below = [], []
    for key, inner in model["properties"].items():
        rows.append(_row(key, inner, key in model.get("required", ())))
        section, _ = _section(inner)
        if section:
            below += _part(f"{title} {key}", inner, models, section)
    table = "\n".join([*_TABLE, *rows])
    return [f"## `{title}`\n\n{field['description']}\n\n{table}\n", *below]


def _kinds(field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]


def _section(field: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the model of a table, and whether there may be several."""
    for kind in _kinds(field):
        reference = kind.get("$ref") or kind.get("items", {}).get("$ref")
        if reference:
            return reference.rpartition("/")[2], "$ref" not in kind
    return None, False


def _row(key: str, field: Mapping[str, Any], required: bool) -> str:  # noqa: FBT001 - of a table
    default = field.get("default")
    if required:
        left_out = "must be there"
    elif default is None:
        left_out = ""
    else:
        left_out = f"`{json.dumps(default)}`"
    takes = " or ".join(_takes(kind) for kind in _kinds(field))
    return f"| `{key}` | {takes} | {left_out} | {field['description']} |"


def _takes(kind: Mapping[str, Any]) -> str:
    """Return in words what a JSON Schema accepts."""
    if "enum" in kind:
        return ", ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    if "$ref" in kind:
        return "a table"
    match kind["type"]:
        case "array":
            items = kind["items"]
            if "$ref" in items:
                return "tables"
            return f"a list of {_takes(items)}" if "enum" in items else "a list of texts"
        case "object":
            return "texts by language"
        case "boolean":
            return "`true`, `false`"
        case "integer":
            return "a number"
        case _:
            return "a text"


def cli() -> str:
    """Return the reference of the command line, from each command's own help."""
    parts = [
        f"## {path}\n\n```text\n{_help(command, path)}\n```\n"
        for path, command in _commands("consent-middleware", commands)
    ]
    return (
        f"# Commands\n\n{MADE}\n\n`consent-middleware` is also `python -m consent_middleware`, and `flask consent` has the "
        "same commands for the app's own\ndeclaration and keys. What the commands on the records have in common stands in "
        "[records-cli.md](../records-cli.md).\n\n" + "\n".join(parts)
    )


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _commands(f"{path} {name}", inner)


def _help(command: click.Command, path: str) -> str:
    settings = {**commands.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=path, **settings) as context:
        return command.get_help(context)


PAGES = {"consent-toml.md": consent_toml, "cli.md": cli}
"""Each page, and what makes it."""


def main() -> None:
    """Write them."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), "utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
