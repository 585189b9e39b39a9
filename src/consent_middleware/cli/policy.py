"""The command that writes the cookie policy: as Markdown or HTML, for a site whose own policy is a file."""

from __future__ import annotations

from pathlib import Path

import click

from consent_middleware.cli.opening import declared, in_words, quiet, with_config
from consent_middleware.policy_markdown import markdown
from consent_middleware.policy_page import facts
from consent_middleware.site import Site
from consent_middleware.texts import available_languages

__all__ = ["policy"]


@click.command()
@with_config
@click.option(
    "--language",
    type=click.Choice(available_languages()),
    metavar="TAG",
    help="Such as en or de; default: the site's first.",
)
@click.option("--format", "form", type=click.Choice(["md", "html"]), default="md", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; default: standard output."
)
def policy(config: Path | None, language: str | None, form: str, output: Path | None) -> None:
    """Write the cookie policy that the declaration makes, to put into the site's own policy.

    HTML is a part of a page, without styles; headings begin at h2. What only the site's code knows (its hooks) is not
    in it: GET <path>/policy knows that, too.

    \b
    Examples:
      consent-middleware policy
      consent-middleware policy --language de --format html --output cookies.de.html

    \b
    Exit codes:
      0  done
      2  it could not be done
    """  # noqa: D301 - click's own mark for a block that keeps its lines
    with in_words():
        found = declared(config)
        wanted = language or found.site.languages[0]
        if form == "md":
            text = markdown(facts(found, wanted))
        else:
            with quiet():
                site = Site(found, secret_key="a key that only this command uses")  # noqa: S106 - signs nothing
            text = f"{site.policy_fragment(wanted)}\n"
        if output:
            output.write_text(text, "utf-8", newline="\n")
        else:
            click.echo(text, nl=False)
