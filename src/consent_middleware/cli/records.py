"""``consent-middleware records``: the consent records, for the site's owner, from cron and in CI."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from consent_middleware.cli.exporting import FORMATS, export_lines
from consent_middleware.cli.files import written_aside
from consent_middleware.cli.looking import print_json, show, stats, tell_waiting, with_json
from consent_middleware.cli.opening import opened, person_of, with_config, with_person, with_span
from consent_middleware.cli.progress import progress
from consent_middleware.cli.showing import report_lines
from consent_middleware.cli.upkeep import erase, purge, rectify, replay, restrict
from consent_middleware.cli.witness import heads_as_json, read_witness, write_witness
from consent_middleware.records.receipts import receipt_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.records.verification import Report

__all__ = ["records"]

_AT_ONCE = 1_000


@click.group()
def records() -> None:
    """The consent records: figures, one person's history, export, verification, retention, rights.

    Each command reads the site's declaration, and CONSENT_SECRET_KEY with the keys that the site runs with.

    \b
    Examples:
      consent-middleware records stats                      how visitors answered
      consent-middleware records show --subject user-42     what one of them said
      consent-middleware records verify                     whether all is as it was written
      consent-middleware records export --output all.jsonl  everything, to take away

    \b
    Exit codes of all commands:
      0  it is done
      1  nothing was found, or something that should not be: each command says
      2  it could not be done: the command line, the declaration, the keys, the store
    """  # noqa: D301 - click's own mark for a block that keeps its lines


for _command in (stats, show, erase, restrict, rectify, purge, replay):
    records.add_command(_command)


@records.command()
@with_config
@click.option("--format", "format_", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@with_span
@with_person
@click.option("--with-restricted", is_flag=True, help="Also what is put aside.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A file, there once it is complete and readable by you alone; default: standard output.",
)
def export(
    config: Path | None,
    format_: str,
    since: str,
    until: str,
    principal: str | None,
    subject: str | None,
    output: Path | None,
    *,
    with_restricted: bool,
) -> None:
    """Write receipts, oldest first, one a line, as they are read: millions need little memory.

    \b
    jsonl    receipts (docs/receipts.md)
    csv      a table with a line of names first
    json-ld  JSON-LD in DPV terms: each line is a whole document with its context
    kantara  Kantara consent receipts 1.1

    \b
    Examples:
      consent-middleware records export --output all.jsonl
      consent-middleware records export --format csv --since 2026-11 | gzip > november.csv.gz
      consent-middleware records export --subject user-42 --format json-ld

    \b
    Exit codes:
      0  done, also where there is nothing to write
      2  it could not be done; standard output then has only a part, a file is as it was before
    """  # noqa: D301 - as above
    person = person_of(principal, subject) if principal or subject else None
    with opened(config) as found, _destination(output) as (file, is_seen):
        receipts = found.receipts(person=person, since=since, until=until, restricted=with_restricted)
        with progress("Exporting", found.count, shown=not is_seen) as tell:
            for place, line in enumerate(export_lines(receipts, format_), 1):
                file.write(line)
                if place % _AT_ONCE == 0:
                    tell(_AT_ONCE)
            file.flush()
        tell_waiting(found)


@contextmanager
def _destination(output: Path | None) -> Iterator[tuple[IO[bytes], bool]]:
    """Yield where to write to, and whether that is a terminal."""
    if output is None or str(output) == "-":
        stream = sys.stdout.buffer
        yield stream, stream.isatty()
        return
    with written_aside(output) as file:
        yield file, False


@records.command()
@with_config
@click.option(
    "--witness",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with the heads in this file; where all is well, keep today's there.",
)
@with_json
def verify(config: Path | None, witness: Path | None, *, as_json: bool) -> None:
    """Find what was changed, dropped, moved, cut or forged among the records, and name it.

    The end of a chain can be cut off without a trace by who can change the database and has kept an older copy of
    it. A witness finds that too: a file with how far each chain had come, made by the first run. Keep it where
    nobody who can change the database can change it, for instance on another machine.

    \b
    Examples:
      consent-middleware records verify
      consent-middleware records verify --witness /mnt/elsewhere/consent-witness.json

    \b
    Exit codes:
      0  everything is as it was written
      1  it is not: each finding is named, and the witness stays as it was
      2  it could not be done
    """  # noqa: D301 - as above
    with opened(config) as found:
        heads = read_witness(witness) if witness else None
        with progress("Verifying", found.count) as tell:
            report = found.verify(witness=heads, progress=tell)
        if witness and report.is_clean:
            write_witness(witness, report.heads)
    _print_report(report, as_json=as_json)
    if witness and heads is None:
        told = "written for the first time" if report.is_clean else "not there, and is not written"
        click.echo(f"The witness {witness} was {told}: nothing was compared with it.", err=True)
    if not report.is_clean:
        raise SystemExit(1)


def _print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"clean": report.is_clean, **asdict(report), "heads": heads_as_json(report.heads)})
        return
    for line in report_lines(report):
        click.echo(line)


@records.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of a receipt; that of a history is its $defs.history.

    \b
    Example:
      consent-middleware records schema > receipt.schema.json
    """  # noqa: D301 - as above
    print_json(receipt_schema())


@records.command()
@with_config
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0: any free one."
)
def dashboard(config: Path | None, port: int) -> None:
    """Show the figures as a page in a browser on this machine; nobody else can reach it. Ctrl-C ends it.

    ?since=2026-10&until=2026-11 behind the address shows that time only.

    \b
    Example:
      consent-middleware records dashboard --port 9000

    \b
    Exit codes:
      0  ended with Ctrl-C
      2  it could not be done: the store is away, or the port is taken
    """  # noqa: D301 - as above
    from consent_middleware.cli.serving import dashboard_server  # noqa: PLC0415 - seldom asked for

    with opened(config) as found:
        found.count()  # a store that is away is said now
        with dashboard_server(found.dashboard, port) as server:
            click.echo(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                click.echo("")
