"""The commands that change the records: a person's rights, retention, and what waits in the journal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from consent_middleware.cli.opening import moment, opened, person_of, with_config, with_person
from consent_middleware.cli.progress import progress
from consent_middleware.records.effects import RECTIFIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from consent_middleware.records import Person

__all__ = ["erase", "purge", "rectify", "replay", "restrict"]

_FORMS = {
    "subject_id": (re.compile(r".{1,255}"), "an account, of 255 characters at most"),
    "jurisdiction": (re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?"), "a country or region such as DE or US-CA"),
    "language": (re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}"), "a language such as de or pt-BR"),
}
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


def _ask(question: str, *, yes: bool) -> None:
    """Let whoever is there say no."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def _who(person: Person) -> str:
    return f"principal {person.principal}" if person.principal else f"account {person.subject}"


def _records(count: int) -> str:
    return f"{count:,} record" if count == 1 else f"{count:,} records"


def _nothing(person: Person) -> SystemExit:
    """Return the exit of a command that has found nothing."""
    click.echo(f"There are no records of {_who(person)}.", err=True)
    return SystemExit(1)


@click.command()
@with_config
@with_person
@_yes
def erase(config: Path | None, principal: str | None, subject: str | None, *, yes: bool) -> None:
    """Blank everything that a person's records say (GDPR article 17). What was is gone for good.

    The blank places stay, so that the chain can still be verified. That the person was erased is noted, even where
    nothing was found: a record of theirs that still waits somewhere in a journal does not come back.

    \b
    Example:
      consent-middleware records erase --subject user-42

    \b
    Exit codes:
      0  it is done
      1  there were no records, or you said no
      2  it could not be done
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    person = person_of(principal, subject)
    with opened(config) as records:
        _ask(f"Erase everything that the records say of {_who(person)}?", yes=yes)
        done = records.erase(person)
    if not done:
        raise _nothing(person)
    click.echo(f"{_records(done)} of {_who(person)} erased.")


@click.command()
@with_config
@with_person
@click.option("--lift", is_flag=True, help="Let them be used again.")
@_yes
def restrict(
    config: Path | None, principal: str | None, subject: str | None, *, lift: bool, yes: bool
) -> None:
    """Put a person's records aside (GDPR article 18): kept, but in no statistics and no export, and with no say.

    \b
    Examples:
      consent-middleware records restrict --subject user-42
      consent-middleware records restrict --subject user-42 --lift

    \b
    Exit codes:
      0  it is done, or was so already
      1  there are no records, or you said no
      2  it could not be done
    """  # noqa: D301 - as above
    person = person_of(principal, subject)
    now = "used again" if lift else "put aside"
    with opened(config) as records:
        _ask(f"Shall the records of {_who(person)} be {now}?", yes=yes)
        done = records.restrict(person, on=not lift)
        if not done and next(iter(records.receipts(person=person, restricted=True)), None) is None:
            raise _nothing(person)
    click.echo(f"{_records(done)} of {_who(person)} {now}." if done else f"They are {now} already.")


def _changes(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return what ``--set`` says, checked."""
    found: dict[str, str] = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in RECTIFIABLE or name in found:
            known = ", ".join(sorted(RECTIFIABLE))
            raise click.BadParameter(f"{one!r}: accepted are {known}, each once, as name=value.")
        form, words = _FORMS[name]
        if not (form.fullmatch(value) and value.strip() and value.isprintable()):
            raise click.BadParameter(f"{one!r} is not {words}.")
        found[name] = value
    return found


@click.command()
@with_config
@with_person
@click.option(
    "--set",
    "changes",
    multiple=True,
    required=True,
    callback=_changes,
    metavar="NAME=VALUE",
    help="subject_id, jurisdiction or language, and what is right; may be given again.",
)
@_yes
def rectify(
    config: Path | None, principal: str | None, subject: str | None, changes: dict[str, str], *, yes: bool
) -> None:
    """Put right what the site got wrong about a person (GDPR article 16), in all of their records.

    What was written first stays in the chain. What the person said is not changed: a new choice does that.

    \b
    Example:
      consent-middleware records rectify --principal sT3yWq0aZcE9bKfD --set jurisdiction=AT

    \b
    Exit codes:
      0  it is done
      1  there are no records, or you said no
      2  it could not be done
    """  # noqa: D301 - as above
    person = person_of(principal, subject)
    with opened(config) as records:
        told = ", ".join(f"{name} {value}" for name, value in changes.items())
        _ask(f"Shall the records of {_who(person)} say {told}?", yes=yes)
        done = records.rectify(person, changes)
    if not done:
        raise _nothing(person)
    click.echo(f"{_records(done)} of {_who(person)} put right.")


@click.command()
@with_config
@click.option(
    "--before",
    callback=moment,
    default="",
    metavar="MOMENT",
    help="Older than that moment; default: [records] retention ago.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@click.option("--yes", is_flag=True, help="Do not ask where --before is within the retention.")
def purge(config: Path | None, before: str, *, dry_run: bool, yes: bool) -> None:
    """Remove what is older than [records] retention. What is put aside stays; the rest can still be verified.

    Stopped half way, it goes on the next time. A moment with --before that the retention has not come to yet is
    asked about, since it removes proof that the site means to keep.

    \b
    Examples:
      consent-middleware records purge --dry-run
      consent-middleware records purge              nightly, from cron
      consent-middleware records purge --before 2024-01-01

    \b
    Exit codes:
      0  it is done, or there was nothing to do
      1  you said no
      2  it could not be done
    """  # noqa: D301 - as above
    with opened(config) as records:
        kept = records.cutoff()
        at = before or kept
        due = records.purge(at, dry=True).deleted
        if dry_run:
            click.echo(f"{_records(due)} older than {at} would be removed.")
            return
        if at > kept:
            _ask(f"Remove {_records(due)} older than {at}, though the retention keeps them?", yes=yes)
        with progress("Removing", lambda: due) as tell:
            done = records.purge(at, progress=tell)
    click.echo(f"{_records(done.deleted)} older than {at} removed, {done.blanked:,} blanked in their place.")


@click.command()
@with_config
def replay(config: Path | None) -> None:
    """Put the choices that wait in the journal into the store. The site does so by itself with the next choice.

    \b
    Example:
      consent-middleware records replay

    \b
    Exit codes:
      0  nothing waits any more
      2  the store is away, or it could not be done; nothing is lost
    """  # noqa: D301 - as above
    with opened(config, makes=True) as records, progress("Replaying", records.waiting) as tell:
        done = records.replay(tell) if records.waiting() else 0
    told = "1 choice" if done == 1 else f"{done:,} choices"
    click.echo(f"{told} put into the store." if done else "Nothing waited in the journal.")
