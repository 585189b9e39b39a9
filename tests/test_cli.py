from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from consent_middleware import __version__
from consent_middleware.catalog import builtin_services
from consent_middleware.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click
    from click.testing import Result

SOUND = """
use = ["youtube", "google-analytics"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
"""


def run(*arguments: str) -> Result:
    """Run a command; nothing of the process's environment reaches it."""
    unset = dict.fromkeys(["CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL", "CONSENT_SECRET_KEY"])
    return CliRunner().invoke(main, list(arguments), env=unset)


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A sound declaration in a file."""
    path = tmp_path / "consent.toml"
    path.write_text(SOUND, "utf-8")
    return path


def test_a_new_key_is_long_and_alone() -> None:
    """The output is the key and nothing else, so that a shell can take it."""
    found = run("keys", "new")
    assert found.exit_code == 0
    assert re.fullmatch(r"[\w-]{43}\n", found.output)


def test_two_new_keys_differ() -> None:
    """Every key is random."""
    assert run("keys", "new").output != run("keys", "new").output


def test_a_sound_declaration(declared: Path) -> None:
    """Exit code 0, and a line a service with what it declares."""
    found = run("check", "--config", str(declared))
    assert found.exit_code == 0
    assert found.output.splitlines()[0] == "Example Shop: 2 services, mode enforce, regime opt-in."
    assert re.search(r"^  analytics +google-analytics: cookies \d+, hosts \d+$", found.output, re.MULTILINE)


def test_a_sound_declaration_in_the_current_folder(declared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--config` the file is looked for as the middleware does."""
    monkeypatch.chdir(declared.parent)
    assert run("check").exit_code == 0


def test_the_types_know_the_sites_ids(declared: Path) -> None:
    """What the file says and what standard output says are the same: the declaration's ids, and nothing is left open."""
    target = declared.parent / "consent.d.ts"
    found = run("types", "--config", str(declared))
    assert run("types", "--config", str(declared), "--output", str(target)).exit_code == 0
    assert target.read_text("utf-8") == found.output
    assert (
        'type Category = "analytics" | "essential" | "functional" | "marketing" | "performance";'
        in found.output
    )
    assert 'type Service = "google-analytics" | "youtube";' in found.output
    assert "= string;" not in found.output


def test_the_types_of_a_site_without_services(declared: Path) -> None:
    """No id of a service is right there."""
    declared.write_text(SOUND.replace('use = ["youtube", "google-analytics"]', ""), "utf-8")
    assert "type Service = never;" in run("types", "--config", str(declared)).output


def test_what_code_and_templates_ask_for_is_checked(declared: Path) -> None:
    """An id that nobody can grant is told with its file, whether code, a template tag, a marked tag or a script asks for it."""
    folder = declared.parent
    (folder / "views.py").write_text(
        '@requires_consent("marketting")\ndef a(): consent.allows("youtube")', "utf-8"
    )
    (folder / "a.html").write_text(
        '{% consent "functional" %}{% endconsent %}<p data-category="books"></p><template data-category="{{ x }}">'
        '</template><script type="text/plain" data-service="youtub" data-src="/x.js"></script>',
        "utf-8",
    )
    (folder / "a.js").write_text("if (consent.acceptedCategory('analitics')) {}", "utf-8")
    found = run("check", "--config", str(declared))
    told = [line for line in found.output.splitlines() if " asks for consent that nobody can give: " in line]
    assert found.exit_code == 0
    assert sorted((line.split()[0], line.split("'")[1]) for line in told) == [
        ("a.html", "functional"),
        ("a.html", "youtub"),
        ("a.js", "analitics"),
        ("views.py", "marketting"),
    ]
    assert "'functional' is a category without any service" in found.output
    assert "Did you mean 'analytics'?" in found.output


def test_checking_writes_nothing(declared: Path) -> None:
    """No database is made by looking at a declaration."""
    run("check", "--config", str(declared))
    assert list(declared.parent.iterdir()) == [declared]


def test_report_mode_says_how_to_go_on(declared: Path) -> None:
    """In mode `report` the next step is named."""
    declared.write_text(SOUND.replace("[controller]", 'mode = "report"\n[controller]'), "utf-8")
    told = run("check", "--config", str(declared)).output.splitlines()[-5:]
    assert told[0] == "Report mode: no cookie and no tag is held back yet. What remains:"
    assert [line.split()[0] for line in told[1:]] == ["1.", "2.", "3.", "4."]
    assert told[-1].endswith('set [site] mode = "enforce".')


def test_the_catalogue_is_listed() -> None:
    """A line for every built-in service, beginning with the id that `use` takes."""
    found = run("catalog")
    assert found.exit_code == 0
    assert [line.split()[0] for line in found.stdout.splitlines()] == list(builtin_services())


@pytest.mark.parametrize("word", ["google", "GOOGLE", "Google LLC"])
def test_the_catalogue_is_searched(word: str) -> None:
    """A word is looked for in ids, names and providers, whatever its case."""
    found = run("catalog", word)
    expected = [
        service.id
        for service in builtin_services().values()
        if any(word.lower() in text.lower() for text in (service.id, service.name, service.provider))
    ]
    assert found.exit_code == 0
    assert "google-analytics" in expected
    assert [line.split()[0] for line in found.stdout.splitlines()] == expected


def test_a_line_of_the_catalogue_says_category_and_name() -> None:
    """Beside the id stands what a site owner chooses by."""
    (line,) = run("catalog", "meta-pixel").stdout.splitlines()
    assert re.split(r" {2,}", line) == ["meta-pixel", "marketing", builtin_services()["meta-pixel"].name]


def test_a_word_that_is_nowhere_in_the_catalogue_is_exit_code_1() -> None:
    """Nothing found: nothing on standard output, and standard error says what to do instead."""
    found = run("catalog", "zzzzzz")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "'zzzzzz'" in found.stderr
    assert "[[services]]" in found.stderr


def test_a_fault_is_exit_code_1(declared: Path) -> None:
    """Every fault goes to standard error, nothing to standard output, and the code says that it failed."""
    declared.write_text(
        SOUND.replace("youtube", "yuotube").replace('contact = "privacy@example.com"', ""), "utf-8"
    )
    found = run("check", "--config", str(declared))
    assert (found.exit_code, found.stdout) == (1, "")
    assert "2 faults" in found.stderr
    assert "'youtube'?" in found.stderr
    assert "Traceback" not in found.output


def test_a_missing_file_is_exit_code_1(tmp_path: Path) -> None:
    """No file: what to write is said."""
    found = run("check", "--config", str(tmp_path / "nothing.toml"))
    assert found.exit_code == 1
    assert "there is no file" in found.stderr


def test_a_broken_template_is_found(declared: Path) -> None:
    """What only the construction finds is checked too."""
    declared.write_text(SOUND.replace("[controller]", 'templates = "nowhere"\n[controller]'), "utf-8")
    found = run("check", "--config", str(declared))
    assert found.exit_code == 1
    assert "there is no folder" in found.stderr


def every_command(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command and group."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from every_command(child, (*path, name))


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_no_help_shows_a_mark_of_its_source(words: tuple[str, ...]) -> None:
    """What keeps the lines of an example apart is not shown, as text or as a control character."""
    found = run(*words, "--help")
    assert found.exit_code == 0
    assert "\\b" not in found.output
    assert "\b" not in found.output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "    consent-middleware init              begin: consent.toml, a key, the lines to paste"),
        ((), "    consent-middleware keys new          print a new secret key"),
        ((), "    consent-middleware check             check consent.toml in this folder"),
        (("keys", "new"), '    export CONSENT_SECRET_KEY="$(consent-middleware keys new)"'),
        (("init",), "    consent-middleware init"),
        (("check",), "    consent-middleware check --config site/consent.toml"),
        (("check",), "    consent-middleware check --url https://shop.example"),
        (("catalog",), "    consent-middleware catalog google"),
    ],
)
def test_an_example_is_a_line_of_its_own(words: tuple[str, ...], line: str) -> None:
    """An example in the help can be copied as it stands."""
    assert line in run(*words, "--help").output.splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        ["keys", "-h"],
        ["keys", "new", "-h"],
        ["check", "-h"],
        ["init", "-h"],
        ["catalog", "-h"],
    ],
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    """Help is there at every level, in the short form too."""
    found = run(*arguments)
    assert found.exit_code == 0
    assert found.output.startswith("Usage: ")


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], ["keys", "old"]])
def test_a_wrong_command_is_exit_code_2(arguments: list[str]) -> None:
    """A typo is a usage error, not a traceback."""
    assert run(*arguments).exit_code == 2


def test_the_version() -> None:
    """`--version` says the package's."""
    assert __version__ in run("--version").output


def test_python_m_is_the_same_command() -> None:
    """`python -m consent_middleware` is the command line, under its own name."""
    done = subprocess.run(
        [sys.executable, "-m", "consent_middleware", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("Usage: consent-middleware ")
