"""The commands that look into the records: figures, and what one person said."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from consent_middleware.cli.opening import opened, person_of, with_config, with_person, with_span
from consent_middleware.cli.showing import history_lines, plain, statistics_lines
from consent_middleware.records import Person

if TYPE_CHECKING:
    from pathlib import Path

    from consent_middleware.owner import Records

__all__ = ["print_json", "show", "stats", "tell_waiting", "with_json"]

with_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def print_json(found: Any) -> None:
    """Print plain data."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def tell_waiting(found: Records) -> None:
    """Say that the store does not have everything yet."""
    if waiting := found.waiting():
        told = "1 choice waits" if waiting == 1 else f"{waiting:,} choices wait"
        click.echo(f"{told} in the journal, and not here yet: `records replay` puts that right.", err=True)


@click.command()
@with_config
@with_span
@with_json
def stats(config: Path | None, since: str, until: str, *, as_json: bool) -> None:
    """Count how visitors answered. Records that are erased or put aside are not among the answers.

    \b
    Examples:
      consent-middleware records stats
      consent-middleware records stats --since 2026-10 --until 2026-11 --json

    \b
    Exit codes:
      0  done, also where there are no answers
      2  it could not be done
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    with opened(config) as found:
        counted, waiting = found.statistics(since=since, until=until), found.waiting()
    if as_json:
        print_json({**asdict(counted), "waiting": waiting})
        return
    for line in statistics_lines(counted, waiting):
        click.echo(line)


@click.command()
@with_config
@with_person
@click.option("--record", "record_id", metavar="ID", help="One record.")
@click.option("--notice", "sha256", metavar="SHA256", help="The text that visitors were shown, by its hash.")
@with_json
def show(
    config: Path | None,
    principal: str | None,
    subject: str | None,
    record_id: str | None,
    sha256: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what a person said and when, one record, or a notice that visitors were shown.

    With --json a history has the shape of records.json, which a visitor gets (docs/receipts.md).

    \b
    Examples:
      consent-middleware records show --subject user-42
      consent-middleware records show --principal sT3yWq0aZcE9bKfD --json
      consent-middleware records show --record Qm7xN2fLrV4uHs1k

    \b
    Exit codes:
      0  done
      1  nothing was found
      2  it could not be done
    """  # noqa: D301 - as above
    if sum(map(bool, (principal, subject, record_id, sha256))) != 1:
        raise click.UsageError("Say what: one of --principal, --subject, --record and --notice.")
    with opened(config) as opened_:
        if sha256:
            _show_notice(opened_.notice(sha256), as_json=as_json)
            return
        found = opened_.entry(record_id) if record_id else opened_.history(person_of(principal, subject))
        aside = _aside(opened_, found["receipts"])
        tell_waiting(opened_)
    if not found["receipts"]:
        click.echo("There are no such records; what is erased is not shown.", err=True)
        raise SystemExit(1)
    if as_json:
        print_json(found)
        return
    for line in history_lines(found, aside):
        click.echo(line)


def _aside(records_: Records, receipts: list[dict[str, Any]]) -> frozenset[str]:
    """Return which of some receipts are put aside; who is not named can put nothing aside."""
    persons = {Person(principal=r["principal_id"]) for r in receipts if r["principal_id"]}
    persons |= {Person(subject=r["subject_id"]) for r in receipts if r["subject_id"]}
    used = {r["record_id"] for r in records_.history(*persons, restricted=False)["receipts"]}
    named = (r for r in receipts if r["principal_id"] or r["subject_id"])
    return frozenset(r["record_id"] for r in named if r["record_id"] not in used)


def _show_notice(text: str | None, *, as_json: bool) -> None:
    if text is None:
        click.echo("There is no such notice.", err=True)
        raise SystemExit(1)
    if as_json:
        print_json({"text": text})
    else:
        click.echo(plain(text))
