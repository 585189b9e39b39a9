"""`manage.py consent`: the commands of ``consent-middleware``, for this project's declaration and keys."""

from __future__ import annotations

from argparse import REMAINDER, ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from consent_middleware.cli import main
from consent_middleware.cli.opening import Failure, Preset
from consent_middleware.django import conf
from consent_middleware.errors import ConfigError

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Hand everything over to click, whose options are not Django's."""

    help = "Consent: what `consent-middleware` does, for this project's declaration and keys."
    requires_system_checks = ()  # a nightly job says what is wrong with its own work

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as `manage.py consent ...`; the two options that Django itself has read already are left out."""
        read = ArgumentParser(add_help=False, allow_abbrev=False)
        read.add_argument("--settings")
        read.add_argument("--pythonpath")
        _, rest = read.parse_known_args(argv[2:])
        _group().main(rest, f"{Path(argv[0]).name} {argv[1]}")

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """Answer `manage.py help consent`."""
        _group().main(["--help"], f"{prog_name} {subcommand}", standalone_mode=False)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever `call_command("consent", ...)` is given."""
        parser.add_argument("args", nargs=REMAINDER)

    def handle(self, *args: str, **_: object) -> None:
        """Run as `call_command("consent", "records", "purge")` does.

        Raises:
            CommandError: The command could not be done, or found something wrong.
        """
        try:
            _group().main(args, "consent", standalone_mode=False)
        except click.ClickException as error:
            raise CommandError(error.format_message(), returncode=error.exit_code) from error
        except SystemExit as error:  # what was found has been printed
            code = error.code if isinstance(error.code, int) else 1
            raise CommandError(f"consent {' '.join(args)}: exit code {code}", returncode=code) from error


def _group() -> click.Group:
    """Return the commands; a project that has this one has begun already."""
    return click.Group(
        "consent",
        commands={name: command for name, command in main.commands.items() if name != "init"},
        help=Command.help,
        callback=_preset,
        context_settings=main.context_settings,
    )


def _preset() -> None:
    """Tell the commands whose declaration and keys they are for.

    Raises:
        Failure: The settings or the declaration cannot be used.
    """
    keys = None
    try:
        with suppress(ImproperlyConfigured):  # no SECRET_KEY: what needs one says so
            keys = tuple(conf.keys())
        click.get_current_context().obj = Preset(conf.declaration(), keys)
    except ConfigError as error:
        raise Failure(str(error)) from None
