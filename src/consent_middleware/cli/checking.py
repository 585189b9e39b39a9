"""The command that checks a declaration, and a deployed site from outside."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from consent_middleware.cli.fetching import Client, UnreachableError
from consent_middleware.cli.findings import Expected, Level
from consent_middleware.cli.opening import Failure, Preset, declared, with_config
from consent_middleware.cli.outside import look
from consent_middleware.cli.searching import asked_for
from consent_middleware.cli.showing import one_line
from consent_middleware.errors import ConfigError
from consent_middleware.policy_page import review_advice
from consent_middleware.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.cli.findings import Finding
    from consent_middleware.config import ConsentConfig

__all__ = ["check"]

_DEFAULT = "consent.toml"


def _address(_context: click.Context, _option: click.Parameter, given: str | None) -> str:
    """Return what ``--url`` says; without a scheme it is HTTPS."""
    if given is None:
        return ""
    url = given if "://" in given else f"https://{given}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.username:
        raise click.BadParameter(f"{given!r} is no address such as https://shop.example.")
    return parts._replace(fragment="").geturl()


@click.command()
@with_config
@click.option(
    "--url", callback=_address, metavar="URL", help="Look at the deployed site instead, from outside."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 300),
    default=10,
    show_default=True,
    help="With --url: seconds that one answer may take.",
)
@click.option("--no-answer", is_flag=True, help="With --url: do not send a refusal.")
@click.option("--json", "as_json", is_flag=True, help="With --url: the findings as JSON.")
def check(config: Path | None, url: str, timeout: float, *, no_answer: bool, as_json: bool) -> None:
    """Check a declaration, say what it declares, and what remains to be done in report mode.

    Looks through the code and templates beside it too, for categories and services that nobody can grant.

    With --url look at the deployed site, as a browser does: whether the page holds the banner, the static files and
    gpc.json are reachable, no cookie escapes, signals and Reject hold, and caches keep nobody's own page. Compares it with
    the declaration, where there is one. One refusal is sent, which the site records as it does any (--no-answer).

    \b
    Examples:
      consent-middleware check --config site/consent.toml
      consent-middleware check --url https://shop.example
      consent-middleware check --url https://shop.example --no-answer --json

    \b
    Exit codes:
      0  all is well; there may be warnings
      1  something is wrong
      2  the command cannot be understood, or the site does not answer
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    try:
        found = declared(config) if not url or _is_there(config) else None
        if found is not None and not url:
            _check(found)
            return
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    _check_site(Client(timeout), url, found, answers=not no_answer, as_json=as_json)


def _is_there(config: Path | None) -> bool:
    return (
        Preset.found(config).config is not None or "CONSENT_CONFIG" in os.environ or Path(_DEFAULT).exists()
    )


# -- the declaration


def _check(found: ConsentConfig) -> None:
    Site(found, secret_key="a key that only this check uses")  # noqa: S106 - signs nothing that is kept
    catalog = found.catalog
    click.echo(
        f"{found.site.name}: {len(catalog.services)} services, mode {found.site.mode}, regime {found.site.regime}."
    )
    for service in catalog.services.values():
        click.echo(
            f"  {service.category:<12} {service.id}: cookies {len(service.cookies)}, hosts {len(service.hosts)}"
        )
    for unit, file in asked_for(found.folder).items():
        if why := catalog.why_never(unit):
            click.echo(f"{one_line(file)} asks for consent that nobody can give: {why}")
    if advice := review_advice(found.site.updated, datetime.now(UTC).date()):
        click.echo(advice)
    if found.site.mode == "report":
        for line in _to_enforce():
            click.echo(line)


def _to_enforce() -> Iterator[str]:
    yield "Report mode: no cookie and no tag is held back yet. What remains:"
    yield '  1. Use the whole site, log-in and checkout too, without answering the banner, and read its log ("consent_middleware:").'
    yield '  2. "nobody declares it": add the line that the log gives to consent.toml, or take the cookie or tag out.'
    yield '  3. "the visitor has not granted it" is right: that is what will wait for consent.'
    yield '  4. When the log says nothing of the second kind any more, set [site] mode = "enforce".'


# -- the site


def _check_site(
    client: Client, url: str, found: ConsentConfig | None, *, answers: bool, as_json: bool
) -> None:
    if found is None:
        click.echo("There is no consent.toml here to compare with (--config).", err=True)
    if answers:
        click.echo(
            "One refusal is sent, and recorded as a visitor's is (--no-answer leaves it out).", err=True
        )
    seen: list[Finding] = []
    try:
        for finding in look(client, url, Expected(found), answers=answers):
            seen.append(finding)
            if not as_json:
                _print(finding)
    except UnreachableError as error:
        raise Failure(str(error)) from None
    counts = {level: sum(finding.level is level for finding in seen) for level in Level}
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in seen], indent=2, ensure_ascii=False))
    else:
        click.echo(
            f"{url}: {_counted(counts[Level.FAULT], 'fault')}, {_counted(counts[Level.WARNING], 'warning')}."
        )
    if counts[Level.FAULT]:
        raise SystemExit(1)


def _print(finding: Finding) -> None:
    click.echo(f"{finding.level:<8} {one_line(finding.text)}")
    if finding.mend:
        click.echo(f"         {one_line(finding.mend)}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
