"""The command line: ``consent-middleware`` or ``python -m consent_middleware``."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import click

from consent_middleware.catalog import builtin_services
from consent_middleware.cli.opening import declared
from consent_middleware.cli.policy import policy
from consent_middleware.cli.records import records
from consent_middleware.errors import ConfigError
from consent_middleware.policy_page import review_advice
from consent_middleware.site import Site

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="consent-middleware")
def main() -> None:
    """Consent for ASGI and WSGI sites.

    \b
    Examples:
      consent-middleware keys new          print a new secret key
      consent-middleware check             check consent.toml in this folder
      consent-middleware catalog           list the services that "use" knows
      consent-middleware policy            write the cookie policy
      consent-middleware records stats     count how visitors answered
      consent-middleware records verify    find what was changed among the records
    """  # noqa: D301 - click's own mark for a block that keeps its lines


main.add_command(policy)
main.add_command(records)


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
    """  # noqa: D301 - as above
    click.echo(secrets.token_urlsafe(32))


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="The declaration; default: CONSENT_CONFIG, else consent.toml in this folder.",
)
def check(config: Path | None) -> None:
    """Check a declaration and say what it declares. Exit code 1 where something is wrong.

    \b
    Example:
      consent-middleware check --config site/consent.toml
    """  # noqa: D301 - as above
    try:
        found = declared(config)
        Site(found, secret_key="a key that only this check uses")  # noqa: S106 - signs nothing that is kept
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    catalog = found.catalog
    click.echo(
        f"{found.site.name}: {len(catalog.services)} services, mode {found.site.mode}, regime {found.site.regime}."
    )
    for service in catalog.services.values():
        click.echo(
            f"  {service.category:<12} {service.id}: cookies {len(service.cookies)}, hosts {len(service.hosts)}"
        )
    if advice := review_advice(found.site.updated, datetime.now(UTC).date()):
        click.echo(advice)
    if found.site.mode == "report":
        click.echo('No cookie is held back yet. When the log is quiet, set [site] mode = "enforce".')


@main.command("catalog")
@click.argument("word", default="")
def catalog_list(word: str) -> None:
    """List the services of the built-in catalogue, or those that a word is found in.

    \b
    Example:
      consent-middleware catalog google
    """  # noqa: D301 - as above
    found = [
        s for s in builtin_services().values() if word.lower() in f"{s.id} {s.name} {s.provider}".lower()
    ]
    for service in found:
        click.echo(f"{service.id:<24}{service.category:<14}{service.name}")
    if not found:
        click.echo(f"No service with {word!r} in its name; declare it in [[services]].", err=True)
        raise SystemExit(1)
