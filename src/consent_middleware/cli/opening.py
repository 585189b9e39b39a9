"""What every command on the records begins with: the declaration opened, and each failure said in one line.

Exit code 2 is a command that could not be done: the declaration, the keys or the store stand in the way.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from consent_middleware.config import load_config
from consent_middleware.errors import ConfigError, StoreError
from consent_middleware.owner import NoRecordsError, Records
from consent_middleware.records import Person, resolve_url
from consent_middleware.records.model import rfc3339
from consent_middleware.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consent_middleware.config import ConsentConfig
    from consent_middleware.site import ConfigSource

__all__ = [
    "Failure",
    "Preset",
    "declared",
    "in_words",
    "moment",
    "opened",
    "person_of",
    "quiet",
    "read_moment",
    "with_config",
    "with_person",
    "with_span",
]

F = TypeVar("F", bound="Callable[..., Any]")
_DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


class Failure(click.ClickException):
    """The command could not be done; says why in one line."""

    exit_code = 2


@contextmanager
def in_words() -> Iterator[None]:
    """Say in one line, and with exit code 2, what a site's owner can mend."""
    try:
        yield
    except ConfigError as error:
        raise Failure(_config_words(error)) from None
    except (NoRecordsError, StoreError) as error:
        raise Failure(str(error)) from None
    except BrokenPipeError:  # who reads has had enough, as `head` does
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror or type(error).__name__}") from None


def _config_words(error: ConfigError) -> str:
    if error.source == "secret_key":
        return "no secret key: set CONSENT_SECRET_KEY to the keys that the site runs with."
    if len(error.faults) > 1:
        return f"{error.source}: {len(error.faults)} faults; `consent-middleware check` names them."
    fault = error.faults[0]
    hint = f" {fault.hint}" if fault.hint and "\n" not in fault.hint else ""
    return f"{error.source}: {fault.path}{': ' if fault.path else ''}{fault.problem}{hint}"


@dataclass(frozen=True, slots=True)
class Preset:
    """What a framework's own command line knows of its app; stands for ``--config`` where that is not given.

    Attributes:
        config: The app's declaration.
        secret_key: The keys it runs with; None: ``CONSENT_SECRET_KEY``.
    """

    config: ConfigSource
    secret_key: tuple[str, ...] | None

    @classmethod
    def found(cls, given: Path | None) -> Preset:
        """Return what a command is about: the declaration it was given, else the app it runs for, if any."""
        context = click.get_current_context(silent=True)
        preset = context.find_object(cls) if context and given is None else None
        return preset or cls(given, None)


def declared(config: Path | None) -> ConsentConfig:
    """Return the declaration that a command is about.

    Raises:
        ConfigError: With every fault found.
    """
    return load_config(Preset.found(config).config)


@contextmanager
def opened(config: Path | None, *, makes: bool = False) -> Iterator[Records]:
    """Open the records of a declaration, for one command.

    Args:
        config: Its path; None for the default places.
        makes: A database file that is not there yet may be made; else that is a failure, since whoever runs this
            command may be somebody else than the site, which could then not write into it.
    """
    with in_words():
        found = declared(config)
        with quiet():
            records = Records(Site(found, Preset.found(config).secret_key))
        if not makes:
            _check_file(found)
        try:
            yield records
        finally:
            records.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out the advice that a site gives when it starts: `check` gives it, a nightly job need not."""
    logger = logging.getLogger("consent_middleware")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_file(config: ConsentConfig) -> None:
    from sqlalchemy import make_url  # noqa: PLC0415 - only where records are opened
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

    try:
        url = make_url(resolve_url(config.records.url, config.folder))
    except (ArgumentError, ValueError):  # opening says so
        return
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or name in {"", ":memory:"} or name.startswith("file:"):
        return
    if not Path(name).exists():
        raise Failure(f"there is no database {name} yet: the first choice makes it.")


# -- options


def with_config(command: F) -> F:
    """Give a command the option ``--config``."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="The declaration; default: CONSENT_CONFIG, else consent.toml in this folder.",
    )(command)


def with_person(command: F) -> F:
    """Give a command the options that say whose records it is about."""
    command = click.option("--subject", metavar="ID", help="Whose: an account, as the site names it.")(
        command
    )
    return click.option("--principal", metavar="ID", help="Whose: the id in a visitor's records.")(command)


def person_of(principal: str | None, subject: str | None) -> Person:
    """Return the person that the options name.

    Raises:
        click.UsageError: They name nobody, or two.
    """
    if bool(principal) == bool(subject):
        raise click.UsageError("Say whose records: either --principal or --subject.")
    return Person(principal=principal or None, subject=subject or None)


def read_moment(text: str) -> str:
    """Return a moment as records tell time, or the beginning of one: a year, a month, a day.

    Args:
        text: ``2026``, ``2026-11``, ``2026-11-22``, or a whole moment of RFC 3339; without a zone it is UTC.

    Raises:
        ValueError: It is none.
    """
    if found := _DAY.fullmatch(text):
        year, month, day = (int(part or 1) for part in found.groups())
        date(year, month, day)
        return text
    if "T" not in text.upper():
        raise ValueError(text)
    at = datetime.fromisoformat(text.upper())
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        return rfc3339(at.timestamp())
    except OverflowError as error:
        raise ValueError(text) from error


def moment(_context: click.Context, _option: click.Parameter, given: str) -> str:
    """Return what an option says, for its callback; nothing stays nothing."""
    try:
        return read_moment(given) if given else ""
    except ValueError:
        words = f"{given!r} is no moment such as 2026-11, 2026-11-22 or 2026-11-22T09:30:00Z."
        raise click.BadParameter(words) from None


def with_span(command: F) -> F:
    """Give a command the options ``--since`` and ``--until``."""
    since, until = (
        "From that moment on: 2026, 2026-11, 2026-11-22, or RFC 3339.",
        "Before that moment: 2026-12 is until the end of November.",
    )
    command = click.option("--until", callback=moment, default="", metavar="MOMENT", help=until)(command)
    return click.option("--since", callback=moment, default="", metavar="MOMENT", help=since)(command)
