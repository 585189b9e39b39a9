from __future__ import annotations

import csv
import http.client
import io
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from consent_middleware.cli import main
from consent_middleware.cli.exporting import export_lines
from consent_middleware.cli.files import written_aside
from consent_middleware.cli.opening import read_moment
from consent_middleware.cli.records import records
from consent_middleware.cli.serving import dashboard_server
from consent_middleware.cli.showing import plain, report_lines, statistics_lines
from consent_middleware.config import load_config
from consent_middleware.errors import StoreError
from consent_middleware.owner import Records
from consent_middleware.policy import Choice, Circumstances
from consent_middleware.records import (
    NO_SOURCE,
    AppendRecord,
    Journal,
    NoticeText,
    Source,
    SqlStore,
    build_record,
    declare,
)
from consent_middleware.records.formats import CSV_FIELDS
from consent_middleware.records.model import rfc3339
from consent_middleware.records.receipts import receipt_schema
from consent_middleware.records.statistics import Rates, Statistics
from consent_middleware.records.verification import Finding, Report
from consent_middleware.regions import Regime
from consent_middleware.signals import Signals
from helpers_core import NOW, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from click.testing import Result

    from servers import DatabaseServer

TOML = """
use = ["google-analytics"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
[records]
url = "{url}"
"""
URL = "sqlite:///records.db"
NOTICE = NoticeText.of("<section>We use cookies.</section>", "en")
DAY_S = 86_400
COMMANDS = [
    ["stats"],
    ["show", "--subject", "a"],
    ["export"],
    ["verify"],
    ["erase", "--subject", "a", "--yes"],
    ["restrict", "--subject", "a", "--yes"],
    ["rectify", "--subject", "a", "--set", "language=de", "--yes"],
    ["purge"],
    ["dashboard", "--port", "0"],
]


class Shop:
    """A declaration in a folder of its own, and its records."""

    def __init__(self, folder: Path, url: str = URL) -> None:
        self.folder = folder
        self.path = folder / "consent.toml"
        self.path.write_text(TOML.format(url=url), "utf-8")
        self.config = load_config(self.path, {})
        self.url = f"sqlite:///{folder}/records.db" if url == URL else url
        self._made = 0

    @property
    def environ(self) -> dict[str, str | None]:
        """What a command finds in its environment."""
        unset = dict.fromkeys(["CONSENT_CONFIG", "CONSENT_MODE", "CONSENT_RECORDS_URL"])
        return {**unset, "CONSENT_SECRET_KEY": SECRET}

    def run(self, *words: str, key: str | None = SECRET, answer: str = "", **environ: str) -> Result:
        """Run a command on the records."""
        command = ["records", *words]
        if words[0] != "schema":
            command[2:2] = ["--config", str(self.path)]
        env = self.environ | {"CONSENT_SECRET_KEY": key} | environ
        return CliRunner().invoke(main, command, env=env, input=answer)

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command in a process of its own."""
        own = [sys.executable, "-m", "consent_middleware", "records", words[0], "--config", str(self.path)]
        return [*own, *words[1:]]

    @property
    def process_environ(self) -> dict[str, str]:
        """The environment of such a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENT_")}
        return {**kept, "CONSENT_SECRET_KEY": SECRET}

    def process(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on the records in a process of its own."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.process_environ,
            **options,
        )

    def answer(
        self,
        *granted: str,
        id_: str | None = None,
        principal: str | None = "p1",
        subject: str = "",
        method: str = "prefs",
        region: str = "DE",
        now: float = NOW,
        source: Source = NO_SOURCE,
        gpc: bool = False,
    ) -> AppendRecord:
        """Return the effect of an answer that grants these and refuses all else."""
        self._made += 1
        catalog, given = self.config.catalog, frozenset(granted)
        declaration = declare(self.config)
        record = build_record(
            catalog,
            Choice(given, catalog.asked - given, int(now), Signals(gpc=gpc)),
            principal=principal,
            before=frozenset(),
            method=method,
            circumstances=Circumstances(Regime.OPT_IN, region, subject=subject),
            notice=NOTICE,
            declaration=declaration,
            now=now,
            valid_until=now + DAY_S,
            new_id=lambda: id_ or f"r{self._made}",
            source=source,
        )
        return AppendRecord(record, NOTICE, declaration)

    def keep(self, *effects: AppendRecord) -> None:
        """Write effects as a process of the site does: into a chain of their own."""
        store = SqlStore(self.url, [SECRET])
        store.append(effects)
        store.close()

    def keep_many(self, count: int) -> None:
        """Write that many answers, each of another visitor."""
        store = SqlStore(self.url, [SECRET])
        for start in range(0, count, 1_000):
            some = range(start, min(start + 1_000, count))
            store.append([self.answer("analytics", principal=f"p{at}", now=NOW + at) for at in some])
        store.close()

    def wait(self, *effects: AppendRecord) -> None:
        """Leave effects in the journal, as the site does while its database is away."""
        nowhere = SqlStore(f"sqlite:///{self.folder}/nowhere/records.db", [SECRET])
        Journal(nowhere, self.folder / "consent-journal").append(effects)

    def change(self, statement: str) -> None:
        """Change the database behind everybody's back."""
        connection = sqlite3.connect(self.folder / "records.db")
        connection.execute(statement)
        connection.commit()
        connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A site that nobody has visited."""
    return Shop(tmp_path)


@pytest.fixture
def known(shop: Shop) -> Shop:
    """A site with two answers of one account, one of a visitor without, and one of nobody."""
    shop.keep(
        shop.answer("analytics", "google-analytics", id_="first", subject="user-42"),
        shop.answer(id_="second", subject="user-42", now=NOW + 60, gpc=True),
        shop.answer(
            "analytics",
            id_="other",
            principal="p2",
            region="US-CA",
            method="banner.accept_all",
            now=NOW + 120,
        ),
        shop.answer(id_="nobody", principal=None, method="banner.reject_all", region=""),
    )
    return shop


def receipts(found: Result) -> list[dict[str, Any]]:
    """Return what was exported, line by line."""
    return [json.loads(line) for line in found.stdout.splitlines()]


def ids(found: Result) -> list[str]:
    """Return the ids of exported receipts, in their order."""
    return [receipt["record_id"] for receipt in receipts(found)]


def rows(found: Result) -> dict[str, list[str]]:
    """Return the lines of a table, by their first word."""
    return {words[0]: words[1:] for line in found.stdout.splitlines() if (words := line.split())}


# -- what cannot be done


@pytest.mark.parametrize("words", [*COMMANDS, ["replay"]], ids=lambda words: words[0])
def test_a_store_that_is_away_is_exit_code_2(shop: Shop, words: list[str]) -> None:
    """One line on standard error, nothing on standard output, no traceback."""
    (shop.folder / "records.db").write_text("this is no database, however long one reads in it", "utf-8")
    shop.wait(shop.answer())
    found = shop.run(*words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("Error: the record store ")


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_no_command_makes_a_database(shop: Shop, words: list[str]) -> None:
    """Who runs a job may be somebody else than the site, which could not write into what the job has made."""
    found = shop.run(*words)
    assert found.exit_code == 2
    assert "there is no database" in found.stderr
    assert [path.name for path in shop.folder.iterdir()] == ["consent.toml"]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_site_without_records_is_exit_code_2(tmp_path: Path, words: list[str]) -> None:
    """`records.url = "none"`: there is nothing to do anything with, and that is said."""
    found = Shop(tmp_path, "none").run(*words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == 'Error: [records] url is "none": this site keeps no records.\n'


def test_a_missing_declaration_is_one_line(shop: Shop) -> None:
    """A missing file is named."""
    shop.path.unlink()
    found = shop.run("stats")
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert "there is no file" in found.stderr


def test_a_faulty_declaration_is_one_line(shop: Shop) -> None:
    """Many faults are left to `check`, a single one is told."""
    shop.path.write_text(TOML.format(url=URL).replace("url =", "ulr ="), "utf-8")
    one = shop.run("stats")
    shop.path.write_text("nonsense = 1", "utf-8")
    many = shop.run("stats")
    assert (one.exit_code, many.exit_code) == (2, 2)
    assert (one.stderr.count("\n"), many.stderr.count("\n")) == (1, 1)
    assert "records.ulr" in one.stderr
    assert "`consent-middleware check` names them" in many.stderr


def test_a_missing_key_is_one_line(known: Shop) -> None:
    """The advice is the site's key, not a new one, under which everything would look forged."""
    found = known.run("verify", key=None)
    assert (found.exit_code, found.stdout) == (2, "")
    assert (
        found.stderr == "Error: no secret key: set CONSENT_SECRET_KEY to the keys that the site runs with.\n"
    )


def test_no_failure_tells_a_password(shop: Shop) -> None:
    """What stands in the store's address or among the keys stays there."""
    url = "postgresql+psycopg://consent:hunter2@127.0.0.1:1/consent"
    for words in COMMANDS:
        found = shop.run(*words, CONSENT_RECORDS_URL=url)
        assert found.exit_code == 2
        assert "hunter2" not in found.output
        assert SECRET not in found.output


@pytest.mark.parametrize(
    "moment", ["9", "2026-13", "2026-02-30", "01.02.2026", "yesterday", "2026-11-22 09:30", "\uff19" * 4]
)
def test_a_moment_that_is_none_is_a_usage_error(known: Shop, moment: str) -> None:
    """Records are compared with it as texts: `--before 9` would remove everything."""
    for words in (["stats", "--since"], ["export", "--until"], ["purge", "--before"]):
        found = known.run(*words, moment)
        assert found.exit_code == 2
        assert "is no moment such as" in found.stderr


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026", "2026"),
        ("2026-11", "2026-11"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T09:30:00Z", "2026-11-22T09:30:00Z"),
        ("2026-11-22T09:30", "2026-11-22T09:30:00Z"),
        ("2026-11-22T00:30:00+02:00", "2026-11-21T22:30:00Z"),
        ("2026-11-22t09:30:00z", "2026-11-22T09:30:00Z"),
    ],
)
def test_a_moment_is_read_as_records_tell_time(text: str, read: str) -> None:
    """A whole moment is brought to UTC, the beginning of one stays as it is."""
    assert read_moment(text) == read


def test_advice_for_a_start_is_left_out(known: Shop) -> None:
    """A nightly job is not told each night what `check` tells: with no trouble standard error is empty."""
    known.path.write_text(
        known.path.read_text("utf-8").replace("[controller]", 'mode = "report"\n[controller]')
    )
    done = known.process("stats")
    assert (done.returncode, done.stderr) == (0, "")


# -- stats


def test_statistics_in_tables(known: Shop) -> None:
    """Counts and shares by language, region, method and regime, what was refused, signals and what is missing."""
    found = known.run("stats")
    told = rows(found)
    assert found.exit_code == 0
    assert found.stdout.startswith("4 answers from 2026-05-28T20:00:00Z to 2026-05-28T20:28:40Z\n")
    assert told["all"] == ["4", *["1", "25.0%"] * 4]
    assert told["DE"][:1] == ["2"]
    assert told["US-CA"][:1] == ["1"]
    assert told["unknown"][:1] == ["1"]
    assert told["opt-in"][:1] == told["en"][:1] == ["4"]
    assert told["banner.reject_all"] == ["1", "0", "0.0%", "0", "0.0%", "1", "100.0%", "0", "0.0%"]
    assert told["google-analytics"] == ["4", "3", "75.0%"]
    assert told["Global"] == ["Privacy", "Control", "1", "25.0%"]
    assert told["waiting"][-1] == told["erased"][-1] == told["put"][-1] == "0"


def test_statistics_of_a_time(known: Shop) -> None:
    """From a moment on, and before another."""
    at = rfc3339(NOW + 60)
    since, until = known.run("stats", "--since", at, "--json"), known.run("stats", "--until", at, "--json")
    assert (json.loads(since.stdout)["total"], json.loads(until.stdout)["total"]) == (2, 2)


def test_statistics_as_json(known: Shop) -> None:
    """All figures, those over time among them."""
    known.wait(known.answer())
    found = json.loads(known.run("stats", "--json").stdout)
    assert (found["total"], found["gpc"], found["waiting"]) == (4, 1, 1)
    assert found["days"] == [{"label": "2026-05-28", "given": 1, "custom": 1, "refused": 1, "withdrawn": 1}]


def test_statistics_of_nothing(known: Shop) -> None:
    """No answers are no failure."""
    found = known.run("stats", "--since", "2030")
    assert found.exit_code == 0
    assert found.stdout.startswith("No answers in this time.\n")


def test_erased_and_restricted_are_counted_apart(known: Shop) -> None:
    """They are no answers any more, and the figures say how many there are."""
    known.run("erase", "--principal", "p2", "--yes")
    known.run("restrict", "--subject", "user-42", "--yes")
    told = rows(known.run("stats"))
    assert (told["all"][0], told["erased"], told["put"][-1]) == ("1", ["1"], "2")


def test_unknown_signals_are_said() -> None:
    """A figure of -1 is not known, and a sample is named as one."""
    days = (Rates("2026-05-28", given=5),)
    found = Statistics("", "", 5, days, (), (), (), (), -1, 0, (), 3, 0, 0)
    lines = "\n".join(statistics_lines(found, 0))
    assert "Global Privacy Control  unknown" in lines
    assert "of the latest 3 answers" in lines


# -- show


def test_a_history_in_words(known: Shop) -> None:
    """Oldest first: what was said, how, for how long, under which notice."""
    found = known.run("show", "--subject", "user-42")
    first, second = found.stdout.split("\n\n")
    assert found.exit_code == 0
    assert first.startswith("2026-05-28T20:26:40Z  given, by prefs\n  record      first\n")
    assert "  given       analytics, google-analytics\n" in first
    assert second.startswith(
        "2026-05-28T20:27:40Z  withdrawn, by prefs\n  record      second\n  before it   first\n"
    )
    assert "  signals     Global Privacy Control\n" in second
    assert f"  notice      {NOTICE.sha256}\n" in second


def test_a_history_as_json(known: Shop) -> None:
    """The shape of records.json, with the notice."""
    found = json.loads(known.run("show", "--principal", "p1", "--json").stdout)
    schema = receipt_schema()
    Draft202012Validator({**schema, "$ref": "#/$defs/history"}).validate(found)
    assert [receipt["record_id"] for receipt in found["receipts"]] == ["first", "second"]
    assert found["notices"][NOTICE.sha256]["text"] == NOTICE.text


@pytest.mark.parametrize(("id_", "before"), [("second", "first"), ("nobody", None)])
def test_one_record(known: Shop, id_: str, before: str | None) -> None:
    """By its id, also where it names nobody; what came before it is known where it names somebody."""
    found = json.loads(known.run("show", "--record", id_, "--json").stdout)
    Draft202012Validator({**receipt_schema(), "$ref": "#/$defs/history"}).validate(found)
    assert [(r["record_id"], r["prev_record"]) for r in found["receipts"]] == [(id_, before)]
    assert list(found["notices"]) == [NOTICE.sha256]
    assert f"  record      {id_}\n" in known.run("show", "--record", id_).stdout


@pytest.mark.parametrize(
    "which", [["--subject", "x"], ["--principal", "x"], ["--record", "x"], ["--notice", "x"]]
)
def test_nothing_found_is_exit_code_1(known: Shop, which: list[str]) -> None:
    """Nothing on standard output, words on the other, as JSON too."""
    for more in ([], ["--json"]):
        found = known.run("show", *which, *more)
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr.startswith("There ")


def test_a_notice(known: Shop) -> None:
    """The text that was shown, as it was stored."""
    assert known.run("show", "--notice", NOTICE.sha256).stdout == f"{NOTICE.text}\n"
    assert json.loads(known.run("show", "--notice", NOTICE.sha256, "--json").stdout) == {"text": NOTICE.text}


@pytest.mark.parametrize(
    "which", [[], ["--subject", "a", "--principal", "b"], ["--record", "a", "--notice", "b"]]
)
def test_one_thing_is_shown_at_a_time(known: Shop, which: list[str]) -> None:
    """Nothing, or two at once, is a usage error."""
    assert known.run("show", *which).exit_code == 2


def test_what_is_put_aside_is_marked(known: Shop) -> None:
    """The owner still sees it, and is told not to use it; who is not named has put nothing aside."""
    known.run("restrict", "--subject", "user-42", "--yes")
    assert known.run("show", "--subject", "user-42").stdout.count("  restricted  put aside") == 2
    assert known.run("show", "--record", "first").stdout.count("  restricted  put aside") == 1
    assert "restricted" not in known.run("show", "--record", "nobody").stdout


def test_a_visitor_steers_no_terminal(shop: Shop) -> None:
    """What a browser called itself is shown without control characters."""
    shop.keep(shop.answer("analytics", source=Source(user_agent="a\x1b]0;owned\x07\nb", page="/\x9b2J")))
    told = shop.run("show", "--principal", "p1").stdout
    assert "  browser     a\N{REPLACEMENT CHARACTER}]0;owned\N{REPLACEMENT CHARACTER} b\n" in told
    assert not set(told) & {"\x1b", "\x07", "\x9b"}
    assert plain("a\tb\nc\r\u202ed") == "a\tb\nc\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}d"


@pytest.mark.parametrize("words", [["show", "--subject", "user-42"], ["export"]])
def test_what_still_waits_is_said(known: Shop, words: list[str]) -> None:
    """Choices in the journal are not in the store yet."""
    known.wait(known.answer())
    assert known.run(*words).stderr.startswith("1 choice waits in the journal")


# -- export


def test_receipts_a_line(known: Shop) -> None:
    """In the order they were stored, each as the schema says."""
    found = known.run("export")
    assert (found.exit_code, found.stderr) == (0, "")
    assert ids(found) == ["first", "second", "other", "nobody"]
    for receipt in receipts(found):
        Draft202012Validator(receipt_schema()).validate(receipt)


def test_a_table(known: Shop) -> None:
    """Names first, then a row for each."""
    first, *rest = csv.reader(io.StringIO(known.run("export", "--format", "csv").stdout, newline=""))
    assert tuple(first) == CSV_FIELDS
    assert [row[0] for row in rest] == ["first", "second", "other", "nobody"]


@pytest.mark.parametrize(
    ("format_", "name"), [("json-ld", "dct:identifier"), ("kantara", "consentReceiptID")]
)
def test_the_words_of_other_systems(known: Shop, format_: str, name: str) -> None:
    """Each line is a whole document."""
    found = receipts(known.run("export", "--format", format_))
    assert [one[name] for one in found] == ["first", "second", "other", "nobody"]
    assert all(("@context" in one) == (format_ == "json-ld") for one in found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--principal", "p2"], ["other"]),
        (["--subject", "user-42"], ["first", "second"]),
        (["--since", rfc3339(NOW + 60)], ["second", "other"]),
        (["--until", rfc3339(NOW + 60)], ["first", "nobody"]),
        (["--since", "2027"], []),
    ],
)
def test_some_receipts(known: Shop, words: list[str], expected: list[str]) -> None:
    """One person's, or those of a time; none is no failure."""
    found = known.run("export", *words)
    assert (found.exit_code, ids(found)) == (0, expected)


def test_an_empty_table_has_its_names(known: Shop) -> None:
    """A table without rows is one still."""
    assert (
        known.run("export", "--format", "csv", "--since", "2027").stdout_bytes
        == ",".join(CSV_FIELDS).encode() + b"\r\n"
    )


def test_what_is_put_aside_is_exported_on_request_only(known: Shop) -> None:
    """It is not to be used unless somebody says so."""
    known.run("restrict", "--subject", "user-42", "--yes")
    assert ids(known.run("export")) == ["other", "nobody"]
    assert ids(known.run("export", "--with-restricted")) == ["first", "second", "other", "nobody"]


def test_an_export_into_a_file(known: Shop) -> None:
    """The same bytes, for the owner's eyes alone, and nothing else in the folder."""
    target = known.folder / "out" / "all.jsonl"
    target.parent.mkdir()
    target.write_text("of yesterday", "utf-8")
    found = known.run("export", "--output", str(target))
    assert (found.exit_code, found.output) == (0, "")
    assert target.read_text("utf-8") == known.run("export", "--output", "-").stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_an_export_that_fails_leaves_the_file_as_it_was(known: Shop) -> None:
    """A record that cannot be read half way: exit code 2, yesterday's file stands, nothing lies beside it."""
    target = known.folder / "out" / "all.jsonl"
    target.parent.mkdir()
    target.write_text("of yesterday", "utf-8")
    known.change("alter table consent_declarations rename to elsewhere")
    found = known.run("export", "--output", str(target))
    assert found.exit_code == 2
    assert target.read_text("utf-8") == "of yesterday"
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_named(known: Shop) -> None:
    """Not the name of a file that would have been written beside."""
    found = known.run("export", "--output", str(known.folder / "nowhere" / "all.jsonl"))
    assert (found.exit_code, found.stderr) == (
        2,
        f"Error: {known.folder}/nowhere: No such file or directory\n",
    )


def test_only_a_file_is_written_over(tmp_path: Path) -> None:
    """A pipe or a device is not renamed away."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="only a file"), written_aside(tmp_path / "pipe"):
        pass


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it points to is written."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with written_aside(tmp_path / "link") as file:
        file.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_text_is_utf_8_whatever_the_locale(shop: Shop) -> None:
    """Under cron there may be no locale."""
    shop.keep(shop.answer("analytics", subject="jürgen-日本"))
    done = subprocess.run(
        shop.command("export"),
        capture_output=True,
        check=True,
        timeout=60,
        env={**shop.process_environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    )
    assert json.loads(done.stdout.decode())["subject_id"] == "jürgen-日本"


def test_lines_come_as_they_are_read() -> None:
    """A receipt is written before the next one is asked for."""
    asked: list[int] = []

    def some() -> Iterator[dict[str, Any]]:
        for at in range(2):
            asked.append(at)
            yield {"at": at}

    lines = export_lines(some(), "jsonl")
    assert next(lines) == b'{"at":0}\n'
    assert asked == [0]


def test_a_reader_that_has_enough_is_no_traceback(shop: Shop) -> None:
    """`export | head` ends quietly."""
    shop.keep_many(2_000)
    with subprocess.Popen(
        shop.command("export"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=shop.process_environ
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        process.wait(30)
    assert told == b""


# -- memory


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Shop]:
    """Sites with a thousand and with twenty thousand records."""
    found = {count: Shop(tmp_path_factory.mktemp(str(count))) for count in (1_500, 6_000)}
    for count, shop in found.items():
        shop.keep_many(count)
    return found


@contextmanager
def _traced() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("words", [["export"], ["verify"]], ids=" ".join)
def test_memory_does_not_grow_with_the_records(
    sizes: dict[int, Shop], words: list[str], tmp_path: Path
) -> None:
    """Four times as many records need no more memory."""
    output = ["--output", str(tmp_path / "out")] if words[0] == "export" else []
    peaks = []
    sizes[1_500].run(*words, *output)  # what is loaded once does not count
    for shop in sizes.values():
        with _traced() as peak:
            assert shop.run(*words, *output).exit_code == 0
            peaks.append(peak())
    assert peaks[1] < 1.5 * peaks[0]


# -- progress


@pytest.mark.parametrize("words", [["export", "--output", "{}/all.jsonl"], ["verify"], ["replay"]])
def test_a_terminal_sees_a_bar(known: Shop, words: list[str]) -> None:
    """On standard error, where somebody looks at it; standard output stays what it is."""
    import pty  # noqa: PLC0415 - there is none on every system

    known.wait(known.answer(id_="late"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        known.command(*(word.format(known.folder) for word in words)),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**known.process_environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        told = _read_all(ours)
        assert process.stdout
        written = process.stdout.read()
        assert process.wait(30) == 0
    assert b"100%" in told
    assert b"%" not in written


def _read_all(handle: int) -> bytes:
    found = b""
    try:
        while more := os.read(handle, 65_536):
            found += more
    except OSError:  # the other side is closed
        pass
    os.close(handle)
    return found


def test_a_pipe_sees_no_bar(known: Shop) -> None:
    """A job's mail has no bars."""
    done = known.process("verify")
    assert (done.returncode, done.stderr) == (0, "")


# -- verify


def test_all_is_well(known: Shop) -> None:
    """Exit code 0, and the counts."""
    found = known.run("verify")
    told = rows(found)
    assert found.exit_code == 0
    assert (told["records"][-1], told["chains"], told["findings"]) == ("5", ["1"], ["0"])
    assert found.stdout.endswith("\nEverything is as it was written.\n")


def test_a_change_is_found_and_named(known: Shop) -> None:
    """Exit code 1, and a line that says what and where."""
    known.change(
        "update consent_records set document = replace(document, 'refused', 'given') where record_id = 'second'"
    )
    found = known.run("verify")
    assert found.exit_code == 1
    (line,) = (line for line in found.stdout.splitlines() if line.startswith("changed "))
    assert line.endswith("/3  what this record (second) says was changed")


def test_findings_as_json(known: Shop) -> None:
    """For a program: the counts, the findings, the heads."""
    known.change("delete from consent_records where record_id = 'second'")
    found = known.run("verify", "--json")
    told = json.loads(found.stdout)
    assert (found.exit_code, told["clean"], told["records"]) == (1, False, 4)
    assert [finding["kind"] for finding in told["findings"]] == ["missing"]
    assert [set(head) for head in told["heads"].values()] == [{"count", "hash"}]


def test_more_findings_than_are_kept() -> None:
    """Their number is said."""
    report = Report(findings=[Finding("cut", "a/1", "gone\x1b")], more=2)
    *_, finding, last = report_lines(report)
    assert (finding, last) == ("cut         a/1  gone\N{REPLACEMENT CHARACTER}", "... and 2 more.")


def test_the_first_run_makes_the_witness(known: Shop) -> None:
    """It says so, since it has compared nothing with it."""
    witness = known.folder / "witness.json"
    first, second = (known.run("verify", "--witness", str(witness)) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "written for the first time" in first.stderr
    assert second.stderr == ""
    assert [head["count"] for head in json.loads(witness.read_text("utf-8"))["heads"].values()] == [5]


def test_a_witness_finds_a_cut_that_the_database_hides(known: Shop) -> None:
    """The older database put back is clean by itself; the witness knows better, and stays as it was."""
    witness, database = known.folder / "witness.json", known.folder / "records.db"
    older = database.read_bytes()
    known.keep(known.answer(id_="late"))
    known.run("verify", "--witness", str(witness))
    before = witness.read_bytes()
    database.write_bytes(older)
    assert known.run("verify").exit_code == 0
    found = known.run("verify", "--witness", str(witness))
    assert found.exit_code == 1
    assert "and is gone" in found.stdout
    assert witness.read_bytes() == before


def test_a_witness_goes_on_with_the_records(known: Shop) -> None:
    """What came since is in it after the next clean run."""
    witness = known.folder / "witness.json"
    known.run("verify", "--witness", str(witness))
    known.keep(known.answer())
    known.run("verify", "--witness", str(witness))
    assert len(json.loads(witness.read_text("utf-8"))["heads"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": "2", "heads": {}}',
        '{"schema_version": "1", "heads": {"a": {"count": "1"}}}',
        "\xff",
    ],
)
def test_a_file_that_is_no_witness_is_exit_code_2(known: Shop, text: str) -> None:
    """It is neither believed nor written over."""
    witness = known.folder / "witness.json"
    witness.write_bytes(text.encode("latin-1"))
    found = known.run("verify", "--witness", str(witness))
    assert (found.exit_code, found.stdout) == (2, "")
    assert "is no witness" in found.stderr
    assert witness.read_bytes() == text.encode("latin-1")


def test_no_witness_is_made_where_something_is_wrong(known: Shop) -> None:
    """What is not clean proves nothing later."""
    known.change("delete from consent_records where record_id = 'second'")
    found = known.run("verify", "--witness", str(known.folder / "witness.json"))
    assert found.exit_code == 1
    assert "is not written" in found.stderr
    assert not (known.folder / "witness.json").exists()


def test_a_witness_in_a_folder_that_is_not_there(known: Shop) -> None:
    """A disk that is not mounted is said before anything is read."""
    found = known.run("verify", "--witness", str(known.folder / "away" / "witness.json"))
    assert (found.exit_code, found.stdout) == (2, "")
    assert "No such file" in found.stderr


def test_another_key_is_a_finding(known: Shop) -> None:
    """What the key at hand has not signed counts as forged."""
    found = known.run("verify", key="another key that has signed nothing here")
    assert found.exit_code == 1
    assert "forged" in found.stdout


# -- a person's rights


def test_erase(known: Shop) -> None:
    """What was said is gone, and the chain is whole."""
    found = known.run("erase", "--subject", "user-42", "--yes")
    assert (found.exit_code, found.stdout) == (0, "2 records of account user-42 erased.\n")
    assert known.run("show", "--subject", "user-42").exit_code == 1
    assert known.run("verify").exit_code == 0


def test_what_waits_is_erased_too(known: Shop) -> None:
    """A choice in the journal is theirs as well."""
    known.wait(known.answer(subject="user-42", now=NOW + 300))
    assert known.run("erase", "--subject", "user-42", "--yes").stdout.startswith("3 records")


@pytest.mark.parametrize(
    "words",
    [["erase"], ["restrict"], ["restrict", "--lift"], ["rectify", "--set", "language=de"]],
    ids=" ".join,
)
@pytest.mark.parametrize("person", [["--subject", "nobody"], ["--principal", "nobody"]], ids=" ".join)
def test_nobody_found_is_exit_code_1(known: Shop, words: list[str], person: list[str]) -> None:
    """A typo in an id is not taken for done."""
    found = known.run(*words, *person, "--yes")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.startswith("There are no records of ")


@pytest.mark.parametrize(
    "words", [["erase"], ["restrict"], ["rectify", "--set", "language=de"]], ids=" ".join
)
@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_changes(known: Shop, words: list[str], answer: str) -> None:
    """A no, nothing, or nobody there to answer: exit code 1, and everything is as it was."""
    before = known.run("export").stdout
    found = known.run(*words, "--subject", "user-42", answer=answer)
    assert (found.exit_code, found.stdout) == (1, "")
    assert "account user-42" in found.stderr
    assert known.run("export").stdout == before


def test_a_yes_is_enough(known: Shop) -> None:
    """Who says yes needs no option."""
    assert known.run("erase", "--principal", "p2", answer="y\n").exit_code == 0


def test_restrict_and_lift(known: Shop) -> None:
    """Put aside and taken back; twice is no failure."""
    told = [
        known.run("restrict", "--subject", "user-42", "--yes", *more)
        for more in ([], [], ["--lift"], ["--lift"])
    ]
    assert [one.exit_code for one in told] == [0, 0, 0, 0]
    assert [one.stdout for one in told] == [
        "2 records of account user-42 put aside.\n",
        "They are put aside already.\n",
        "2 records of account user-42 used again.\n",
        "They are used again already.\n",
    ]


def test_rectify(known: Shop) -> None:
    """What the site got wrong is right in every record, and the chain is whole."""
    found = known.run(
        "rectify", "--subject", "user-42", "--set", "jurisdiction=AT", "--set", "subject_id=user=43", "--yes"
    )
    assert (found.exit_code, found.stdout) == (0, "2 records of account user-42 put right.\n")
    shown = json.loads(known.run("show", "--subject", "user=43", "--json").stdout)
    assert [r["jurisdiction"] for r in shown["receipts"]] == ["AT", "AT"]
    assert known.run("verify").exit_code == 0


@pytest.mark.parametrize(
    "given",
    [
        ["state=given"],
        ["language"],
        ["language="],
        ["language=de", "language=en"],
        ["jurisdiction=Germany"],
        ["subject_id= "],
        ["subject_id=a\nb"],
        ["subject_id=" + "x" * 256],
    ],
    ids=lambda given: given[0][:20],
)
def test_what_cannot_be_put_right(known: Shop, given: list[str]) -> None:
    """What the person said is no matter of it, and a value has a form."""
    before = known.run("export").stdout
    words = [word for one in given for word in ("--set", one)]
    assert known.run("rectify", "--subject", "user-42", *words, "--yes").exit_code == 2
    assert known.run("export").stdout == before


@pytest.mark.parametrize(
    "words", [["erase"], ["restrict"], ["rectify", "--set", "language=de"]], ids=" ".join
)
@pytest.mark.parametrize(
    "person", [[], ["--subject", "a", "--principal", "b"], ["--subject", ""]], ids=" ".join
)
def test_exactly_one_person(known: Shop, words: list[str], person: list[str]) -> None:
    """Nobody, or two, is a usage error."""
    found = known.run(*words, *person, "--yes")
    assert found.exit_code == 2
    assert "either --principal or --subject" in found.stderr


# -- retention


@pytest.fixture
def old(shop: Shop) -> Shop:
    """A site with records of long ago, and one of today."""
    then = time.time() - 4 * 366 * DAY_S
    shop.keep(*(shop.answer("analytics", principal=f"p{at}", now=then + at) for at in range(3)))
    shop.keep(shop.answer("analytics", id_="new", now=time.time() - DAY_S))
    return shop


def test_purge_by_retention(old: Shop) -> None:
    """What is older than the declaration says is gone, what is left can be verified."""
    assert old.run("purge", "--dry-run").stdout.startswith("3 records older than ")
    assert ids(old.run("export"))[-1] == "new"
    found = old.run("purge")
    assert found.exit_code == 0
    assert ids(old.run("export")) == ["new"]
    assert old.run("purge").stdout.startswith("0 records older than ")
    assert old.run("verify").exit_code == 0


def test_purge_before_a_moment_that_retention_has_passed(old: Shop) -> None:
    """Nobody is asked where the records are too old anyway."""
    found = old.run("purge", "--before", "2019")
    assert found.exit_code == 0
    assert found.stdout.startswith("0 records older than 2019 removed")


@pytest.mark.parametrize(
    ("more", "answer", "code", "left"), [([], "", 1, 4), ([], "y\n", 0, 0), (["--yes"], "", 0, 0)]
)
def test_what_retention_keeps_is_not_removed_unasked(
    old: Shop, more: Sequence[str], answer: str, code: int, left: int
) -> None:
    """It is proof that the site means to keep."""
    found = old.run("purge", "--before", rfc3339(time.time() - 3_600), *more, answer=answer)
    assert found.exit_code == code
    assert len(ids(old.run("export"))) == left


# -- the journal


def test_replay(known: Shop) -> None:
    """What waited is in the store, and the number is said."""
    known.wait(known.answer(id_="late"))
    known.wait(known.answer(id_="later"))
    found = known.run("replay")
    assert (found.exit_code, found.stdout) == (0, "2 choices put into the store.\n")
    assert ids(known.run("export"))[-2:] == ["late", "later"]
    assert known.run("replay").stdout == "Nothing waited in the journal.\n"


def test_replay_makes_the_database(shop: Shop) -> None:
    """Where the file is gone, what waits must not be."""
    shop.wait(shop.answer(id_="late"))
    assert shop.run("replay").exit_code == 0
    assert ids(shop.run("export")) == ["late"]


def test_nothing_is_lost_while_the_store_is_away(shop: Shop) -> None:
    """Exit code 2, and the choice still waits."""
    (shop.folder / "records.db").mkdir()
    shop.wait(shop.answer())
    assert shop.run("replay").exit_code == 2
    (shop.folder / "records.db").rmdir()
    assert shop.run("replay").stdout == "1 choice put into the store.\n"


# -- schema


def test_the_schema_needs_no_declaration(shop: Shop) -> None:
    """It is the same for every site."""
    assert json.loads(shop.run("schema", key=None).stdout) == receipt_schema()


# -- the page


@pytest.fixture
def served(known: Shop) -> Iterator[int]:
    """The port of a running dashboard."""
    owner = Records.open(known.path, SECRET)
    server = dashboard_server(owner.dashboard, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
    owner.close()


def ask(
    port: int, target: str = "/", method: str = "GET", host: str | None = "127.0.0.1"
) -> http.client.HTTPResponse:
    """Send a request; return the response, read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, target, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    response = connection.getresponse()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return response


def test_the_page(served: int) -> None:
    """The owner's page, not to be kept, framed, or to load anything."""
    response = ask(served)
    assert response.status == 200
    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert response.getheader("Cache-Control") == "no-store"
    assert (
        response.getheader("Content-Security-Policy")
        == "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    assert "Example Shop" in response.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST"])
def test_this_machine_has_several_names(served: int, host: str) -> None:
    """Also behind another port, as through a tunnel."""
    assert ask(served, host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost/evil.example",
        "127.0.0.1:port",
        "[::1",
        "0.0.0.0",
    ],
)
def test_another_name_is_refused(served: int, host: str | None) -> None:
    """A page whose name was made to point here (DNS rebinding) reads no figures."""
    response = ask(served, host=host)
    assert response.status == 403
    assert "Example Shop" not in response.text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/"),
        ("HEAD", "/"),
        ("DELETE", "/"),
        ("GET", "/records.json"),
        ("GET", "/favicon.ico"),
    ],
)
def test_there_is_one_page(served: int, method: str, target: str) -> None:
    """Nothing else, and nothing can be sent."""
    assert ask(served, target, method).status == 404


def test_the_page_of_a_time(served: int) -> None:
    """`since` and `until` reach the figures; what is no moment is said to be none."""
    whole, none = ask(served), ask(served, "/?since=2030-01&until=2031")
    assert none.status == 200
    assert whole.text != none.text  # type: ignore[attr-defined]
    assert ask(served, "/?since=%27").status == 400


def test_a_store_that_goes_away_is_said_on_the_page() -> None:
    """In words, and the server goes on."""

    def page(**_: str) -> str:
        raise StoreError("the record store cannot be read")

    server = dashboard_server(page, 0)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    assert ask(server.server_port).status == 503
    thread.join()
    server.server_close()


def test_the_server_answers_this_machine_alone(known: Shop) -> None:
    """It prints where it is, is bound to loopback, and Ctrl-C ends it with exit code 0."""
    with subprocess.Popen(
        known.command("dashboard", "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**known.process_environ, "PYTHONUNBUFFERED": ""},
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        port = int(line.removeprefix("http://127.0.0.1:").partition("/")[0])
        try:
            assert ask(port).status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_exit_code_2(known: Shop, served: int) -> None:
    """The system's words, in one line."""
    found = known.run("dashboard", "--port", str(served))
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1


# -- in processes of their own


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["stats"], 0),
        (["erase", "--subject", "nobody", "--yes"], 1),
        (["verify", "--witness", "/nowhere/at/all"], 2),
    ],
)
def test_exit_codes_for_cron(known: Shop, words: list[str], code: int) -> None:
    """What a shell sees: the code, and words on the right side."""
    done = known.process(*words)
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
    assert bool(done.stderr) == (code != 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [(["verify"], 0), (["show", "--subject", "nobody"], 1), (["export", "--since", "soon"], 2)],
)
def test_exit_codes_of_other_commands(known: Shop, words: list[str], code: int) -> None:
    """Each code means the same whichever command ends with it."""
    done = known.run(*words)
    assert done.exit_code == code
    assert bool(done.stdout) == (code == 0)
    assert bool(done.stderr) == (code != 0)


# -- what is written about them

DOCS = Path(__file__).parents[1] / "docs" / "records-cli.md"


@pytest.mark.parametrize("name", sorted(records.commands))
def test_the_reference_tells_every_command_and_option(name: str) -> None:
    """A heading for each command, and below it each of its options."""
    _, _, rest = DOCS.read_text("utf-8").partition(f"\n## {name}\n")
    told = rest.partition("\n## ")[0]
    options = {word for option in records.commands[name].params for word in option.opts} - {"--config"}
    assert told
    assert {option for option in options if f"`{option}" not in told} == set()


@pytest.mark.parametrize("name", sorted(records.commands))
def test_every_command_has_an_example(name: str) -> None:
    """One that can be copied as it stands; those that can fail say with which exit codes."""
    told = CliRunner().invoke(main, ["records", name, "--help"]).stdout
    assert f"    consent-middleware records {name}" in told
    assert ("Exit codes:" in told) == (name != "schema")


# -- on servers


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_the_other_databases(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> None:
    """More records than are fetched at once: all are exported, verified and counted."""
    server: DatabaseServer = request.getfixturevalue(name)
    shop = Shop(tmp_path, server.fresh())
    shop.keep_many(2_500)
    assert len(ids(shop.run("export"))) == 2_500
    assert shop.run("verify").exit_code == 0
    assert json.loads(shop.run("stats", "--json").stdout)["total"] == 2_500
    assert shop.run("erase", "--principal", "p7", "--yes").exit_code == 0
    assert shop.run("purge", "--before", "2026-12", "--yes").exit_code == 0
