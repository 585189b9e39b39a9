"""The command line: ``consent-middleware`` or ``python -m consent_middleware``."""

from __future__ import annotations

import json
import secrets

import click

from consent_middleware.catalog import builtin_services
from consent_middleware.cli.beginning import init
from consent_middleware.cli.checking import check
from consent_middleware.cli.frontend import types
from consent_middleware.cli.policy import policy
from consent_middleware.cli.records import records
from consent_middleware.config import ConsentConfig

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="consent-middleware")
def main() -> None:
    """Consent for ASGI and WSGI sites.

    \b
    Examples:
      consent-middleware init              begin: consent.toml, a key, the lines to paste
      consent-middleware check             check consent.toml in this folder
      consent-middleware check --url https://shop.example    look at the deployed site
      consent-middleware keys new          print a new secret key
      consent-middleware catalog           list the services that "use" knows
      consent-middleware schema            print the JSON Schema of consent.toml
      consent-middleware policy            write the cookie policy
      consent-middleware types             write consent.d.ts, for TypeScript
      consent-middleware records stats     count how visitors answered
      consent-middleware records verify    find what was changed among the records
    """  # noqa: D301 - click's own mark for a block that keeps its lines


main.add_command(init)
main.add_command(check)
main.add_command(policy)
main.add_command(records)
main.add_command(types)


@main.group()
def keys() -> None:
    """Secret keys that sign the consent cookie."""


@keys.command("new")
def keys_new() -> None:
    """Print a new random key.

    \b
    Example:
      export CONSENT_SECRET_KEY="$(consent-middleware keys new)"

    To rotate, put the new key behind the old one, comma-separated: the last signs, all verify.

    \b
    Exit codes:
      0  done
    """  # noqa: D301 - as above
    click.echo(secrets.token_urlsafe(32))


@main.command("catalog")
@click.argument("word", default="")
def catalog_list(word: str) -> None:
    """List the services of the built-in catalogue, or those that a word is found in.

    \b
    Example:
      consent-middleware catalog google

    \b
    Exit codes:
      0  done
      1  the word is in no service
    """  # noqa: D301 - as above
    found = [
        s for s in builtin_services().values() if word.lower() in f"{s.id} {s.name} {s.provider}".lower()
    ]
    for service in found:
        click.echo(f"{service.id:<24}{service.category:<14}{service.name}")
    if not found:
        click.echo(f"No service with {word!r} in its name; declare it in [[services]].", err=True)
        raise SystemExit(1)


@main.command()
def schema() -> None:
    """Print the JSON Schema of consent.toml, from which editors complete and check it.

    \b
    Example:
      consent-middleware schema > consent.schema.json

    The first line of consent.toml then names it: #:schema ./consent.schema.json

    \b
    Exit codes:
      0  done
    """  # noqa: D301 - as above
    click.echo(json.dumps(ConsentConfig.model_json_schema(), indent=2))
