"""The command that a site begins with: a declaration in report mode, a key, and the lines to paste."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consent_middleware.catalog import builtin_services
from consent_middleware.cli.declaring import KEY, declaration, has_key, keep_out, put_key
from consent_middleware.cli.frameworks import FRAMEWORKS, detect
from consent_middleware.cli.opening import in_words
from consent_middleware.cli.searching import search
from consent_middleware.cli.showing import one_line
from consent_middleware.config import load_config
from consent_middleware.errors import nearest
from consent_middleware.texts import available_languages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consent_middleware.cli.frameworks import Framework, Project
    from consent_middleware.cli.searching import Found

__all__ = ["init"]

_FILE = "consent.toml"
_QUESTIONS = {
    "name": "The site's name, as visitors know it",
    "controller": "Who answers for the data (a company or a person)",
    "contact": "Where visitors reach them about privacy (an address or a page)",
}


@dataclass(frozen=True, slots=True)
class _Given:
    """What the options say; empty where they do not."""

    name: str
    controller: str
    contact: str
    languages: tuple[str, ...]
    use: tuple[str, ...]
    asks: bool

    def answers(self) -> dict[str, str]:
        """Return what the options say or a person answers.

        Raises:
            click.UsageError: Something is missing, and nobody is there to answer.
        """
        given = {flag: getattr(self, flag).strip() for flag in _QUESTIONS}
        missing = [flag for flag, value in given.items() if not value]
        if missing and not self.asks:
            flags = ", ".join(f"--{flag}" for flag in missing)
            raise click.UsageError(f"Nobody is here to ask: give {flags}.")
        for flag in missing:
            given[flag] = str(click.prompt(_QUESTIONS[flag])).strip()
        for flag, value in given.items():
            if not value.isprintable():
                raise click.UsageError(f"--{flag}: {value!r} is not a line of text.")
        return given


def _known(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return what ``--use`` says, checked."""
    for id_ in given:
        if id_ not in builtin_services():
            hint = nearest(id_, builtin_services()) or "`consent-middleware catalog` lists what there is."
            raise click.BadParameter(f"{id_!r} is not in the catalogue. {hint}")
    return tuple(dict.fromkeys(given))


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


@click.command()
@click.option("--name", default="", help="The site's name, as visitors know it.")
@click.option("--controller", default="", help="Who answers for the data: a company or a person.")
@click.option("--contact", default="", help="Where visitors reach them: a mail address, or a page.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    type=click.Choice(available_languages()),
    metavar="TAG",
    help="A language of the site's pages, such as en or de; may be given again. Default: what the templates say, else en.",
)
@click.option(
    "--use",
    multiple=True,
    callback=_known,
    metavar="ID",
    help="A service of the catalogue that the site uses; may be given again.",
)
@click.option("--framework", type=click.Choice(list(FRAMEWORKS)), help="Where it is not recognised.")
@click.option("--force", is_flag=True, help="Write over a consent.toml that is there.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
def init(
    name: str,
    controller: str,
    contact: str,
    languages: tuple[str, ...],
    use: tuple[str, ...],
    framework: str | None,
    *,
    force: bool,
    yes: bool,
) -> None:
    """Begin: write consent.toml and a key for the site in this folder, and print the two lines to paste.

    Recognises the framework, and proposes the services that templates and scripts seem to use. The declaration is in
    report mode: nothing of the site changes but that the banner shows. What is there already is kept.

    \b
    Examples:
      consent-middleware init
      consent-middleware init --name "Example Shop" --controller "Example GmbH" --contact privacy@example.com
      consent-middleware init --language de --language en --use google-analytics --use stripe

    \b
    Exit codes:
      0  done
      2  something is missing or wrong, or a file cannot be written
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    folder = Path.cwd()
    project = detect(folder, framework or "")
    given = _Given(name, controller, contact, languages, use, asks=not yes and _somebody_is_there())
    with in_words():
        click.echo(_recognised(project))
        _write_declaration(folder, given, force=force)
        _write_key(folder)
    for line in _next_steps(project):
        click.echo(line)


def _recognised(project: Project) -> str:
    if project.framework is None:
        return "The framework is not recognised (--framework names it); these are the general lines."
    return f"This is {project.framework.name}{f': {project.because}' if project.because else ''}."


def _write_declaration(folder: Path, given: _Given, *, force: bool) -> None:
    path = folder / _FILE
    if path.exists() and not force:
        click.echo(f"{_FILE} is there already and stays as it is (--force writes a new one).")
        return
    found = search(folder)
    text = declaration(
        **given.answers(),
        languages=given.languages or list(found.languages) or ["en"],
        use=given.use,
        found=found.services,
        today=datetime.now(UTC).date().isoformat(),
    )
    load_config(tomllib.loads(text), environ={})  # what this writes is what `check` accepts
    path.write_text(text, "utf-8", newline="\n")
    click.echo(f"{_FILE} is written, in report mode: the banner shows, and nothing is held back yet.")
    for line in _told(found, given):
        click.echo(line)


def _told(found: Found, given: _Given) -> Iterator[str]:
    for id_, file in found.services.items():
        if id_ not in given.use:
            yield f"  {id_}: found in {one_line(file)}, and put into use. Take it out if that is wrong."
    for name, file in found.managers.items():
        yield f"  {name}, another consent manager, is loaded in {one_line(file)}: visitors would be asked twice. Take its tag out."


def _write_key(folder: Path) -> None:
    env = folder / ".env"
    if has_key(env):
        click.echo(f".env sets {KEY} already; it stays.")
    else:
        put_key(env)
        click.echo(f".env holds a new secret key, {KEY}. Keep it secret, and the same on every server.")
    if added := keep_out(folder):
        click.echo(f".gitignore leaves out {', '.join(added)} now.")


def _next_steps(project: Project) -> Iterator[str]:
    chosen = [project.framework] if project.framework else [FRAMEWORKS["asgi"], FRAMEWORKS["wsgi"]]
    for framework in chosen:
        yield from _paste(project, framework)
    yield ""
    yield "Then:"
    yield f"  1. Run the site with what .env holds:  {project.fill(' or '.join(f.run for f in chosen))}"
    if find_spec("dotenv") is None:
        yield "     That needs python-dotenv:  pip install python-dotenv"
    yield '  2. Use the site without answering the banner. Lines in its log that begin "consent_middleware:" say what would'
    yield "     be held back, and which line of consent.toml declares it."
    yield "  3. consent-middleware check  says whether consent.toml is right, and when to switch to enforce."
    yield "  4. Once it is deployed:  consent-middleware check --url https://shop.example"


def _paste(project: Project, framework: Framework) -> Iterator[str]:
    paste = framework.paste
    name = "" if project.framework else f" ({framework.name})"
    if paste.lines:
        yield ""
        yield f"Paste {project.fill(paste.where)}{name}:"
        yield ""
        for line in project.fill(paste.lines).splitlines():
            yield f"    {line}"
    if paste.note:
        yield ""
        yield project.fill(paste.note)
