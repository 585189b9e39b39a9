from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from consent_middleware.choices import Answer, Method
from consent_middleware.errors import ConfigError, StoreError
from consent_middleware.filters import Verdict
from consent_middleware.owner import Records
from consent_middleware.policy import DntScope, WhenOn
from consent_middleware.records import Journal, NullStore, SqlStore
from consent_middleware.site import Hooks, Site
from helpers_core import NOW, SECRET, make_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from consent_middleware.choices import Outcome
    from consent_middleware.records import Effect


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the folder that the tests run in."""
    monkeypatch.chdir(tmp_path)


def site(**sections: Any) -> Site:
    """Return a compiled site."""
    return Site(make_config(**sections), SECRET)


@pytest.mark.parametrize(
    ("records", "kind"),
    [({}, Journal), ({"on_store_failure": "refuse"}, SqlStore), ({"url": "none"}, NullStore)],
)
def test_which_store_is_used(records: dict[str, str], kind: type) -> None:
    """A database behind a journal, a database alone, or none."""
    assert type(site(records=records).store) is kind


def test_the_store_stands_beside_the_declaration(tmp_path: Path) -> None:
    """Relative paths of database and journal start from the declaration's folder."""
    found = Site(make_config().at(tmp_path), SECRET).store
    assert isinstance(found, Journal)
    assert found.store._url == f"sqlite:///{tmp_path}/consent-records.db"
    assert found._folder == tmp_path / "consent-journal"


@pytest.mark.parametrize(
    ("origins", "scheme", "host", "seen"),
    [
        ([], "http", "anything:8000", ("http", "anything:8000")),
        (["https://shop.example"], "http", "shop.example", ("https", "shop.example")),
        (["https://shop.example"], "http", "evil.example", ("https", "shop.example")),
        (
            ["https://a.example", "http://b.example:8080"],
            "https",
            "b.example:8080",
            ("http", "b.example:8080"),
        ),
    ],
)
def test_what_the_browser_sees(origins: list[str], scheme: str, host: str, seen: tuple[str, str]) -> None:
    """`origins` pins scheme and host; without it the server's word counts."""
    assert site(site={"origins": origins}).origin(scheme, host) == seen


@pytest.mark.parametrize(
    ("exclude", "path", "yes"),
    [
        ([], "/admin/x", False),
        (["/admin/*"], "/admin/x/y", True),
        (["/admin/*"], "/admin", False),
        (["/admin/*", "/embed"], "/embed", True),
        (["/embed"], "/embedded", False),
    ],
)
def test_excluded_paths(*, exclude: list[str], path: str, yes: bool) -> None:
    """Patterns match whole paths."""
    excluded = site(banner={"exclude": exclude}).excluded
    assert bool(excluded and excluded(path)) is yes


@pytest.mark.conformance("GPC-5")
@pytest.mark.parametrize(("languages", "named"), [(["en"], False), (["en", "de"], True)])
def test_vary_names_the_language_only_where_it_chose(*, languages: list[str], named: bool) -> None:
    """GPC-5: Accept-Language is named where there is more than one language."""
    assert (b"Accept-Language" in site(site={"languages": languages}).vary) is named


def test_settings_reach_the_decision() -> None:
    """What `[signals]` says is what visitors are decided by."""
    found = site(signals={"gpc": False, "dnt_scope": "all", "when_on": "ask"}, site={"consent_days": 30})
    rules = found.visitors._rules
    assert (rules.honour_gpc, rules.honour_dnt, rules.dnt_scope) == (False, True, DntScope.ALL)
    assert (rules.when_on, rules.consent_days) == (WhenOn.ASK, 30)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"cookies": {"unknown": "allow"}}, "cookies that nobody declares are set without consent"),
        ({"records": {"url": "none"}}, "no proof of consent is kept"),
        ({"site": {"mode": "report"}}, '[site] mode = "report": no cookie and no tag is held back.'),
    ],
)
def test_risky_settings_warn(sections: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture) -> None:
    """What weakens the promise is said at the start."""
    site(**sections)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("consent_middleware: [")
    assert words in caplog.text


def test_a_sound_site_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The defaults are quiet."""
    site()
    assert caplog.records == []


GUESSED = "consent_middleware: a secret key can be guessed; make one: consent-middleware keys new"


@pytest.mark.parametrize(
    "keys",
    [
        "hunter2",
        "hunter2-15chars",
        "change-me-hunter2-and-more-of-it",
        [SECRET, "hunter2"],
        ["hunter2", SECRET],
    ],
)
def test_a_key_that_can_be_guessed_warns_without_showing_it(
    caplog: pytest.LogCaptureFixture, keys: str | list[str]
) -> None:
    """A key that is short or an example's is told of once, never repeated."""
    Site(make_config(), keys)
    assert caplog.messages == [GUESSED]


@pytest.mark.parametrize("key", ["hunter2-16-chars", "please-change-me-later"])
def test_a_key_of_sixteen_characters_warns_of_nothing(caplog: pytest.LogCaptureFixture, key: str) -> None:
    """Only what is short or begins like the example is taken for a key that can be guessed."""
    Site(make_config(), key)
    assert caplog.messages == []


@pytest.mark.parametrize("mode", ["enforce", "report"])
def test_the_lines_to_paste_hold_what_the_site_has(caplog: pytest.LogCaptureFixture, mode: str) -> None:
    """The reporter knows the site's own `use` and `essential`, so a pasted line loses nothing."""
    found = site(use=["youtube"], cookies={"essential": ["basket"]}, site={"mode": mode})
    for name in ("foo", "_fbp"):
        found.reporter.held_cookie(name, Verdict.HOLD_UNKNOWN, (), login=False)
    assert '\nessential = ["basket", "foo"]\n' in caplog.text
    assert '\nuse = ["youtube", "meta-pixel"]' in caplog.text


def test_no_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a secret nothing starts."""
    monkeypatch.delenv("CONSENT_SECRET_KEY", raising=False)
    with pytest.raises(ConfigError, match="keys new"):
        Site(make_config())


def answered(subject: Site, *granted: str) -> Outcome:
    """Return what an unknown visitor's answer leads to."""
    nobody = subject.visitors.see(None, None, None, secure=True, now=NOW).visitor
    answer = Answer(frozenset(granted), Method.PREFS)
    return subject.choices.take(nobody, answer, language="en", secure=True, now=NOW)


def test_a_committed_choice_is_in_the_store(tmp_path: Path) -> None:
    """A choice's record goes where the declaration says, and comes back for the hook."""
    subject = Site(make_config(use=["youtube"]).at(tmp_path), SECRET, clock=lambda: NOW)
    durable = subject.commit(answered(subject))
    assert isinstance(subject.store, Journal)
    (found,) = Records(subject).receipts()
    subject.store.close()
    event = found["event"]
    assert (event["state"], found["principal_id"], event["method"]) == ("refused", None, "prefs")
    assert [record.record_id for record in durable or ()] == [found["record_id"]]


def test_the_journal_may_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the checkout cannot be written to, two variables name what can: nothing lands beside the declaration."""
    code, data = tmp_path / "code", tmp_path / "data"
    code.mkdir()
    data.mkdir()
    (code / "consent.toml").write_text(
        'use = ["meta-pixel"]\n[site]\nname = "x"\nregime = "opt-out"\n[controller]\nname = "x"\ncontact = "y"\n',
        "utf-8",
    )
    monkeypatch.setenv("CONSENT_RECORDS_URL", f"sqlite:///{data}/records.db")
    monkeypatch.setenv("CONSENT_RECORDS_JOURNAL", str(data / "journal"))
    subject = Site(code / "consent.toml", SECRET, hooks=Hooks(on_opt_out=print), clock=lambda: NOW)
    subject.commit(answered(subject))
    assert isinstance(subject.store, Journal)
    subject.store._write([])
    subject.store.close()
    assert [path.name for path in code.iterdir()] == ["consent.toml"]
    kinds = {path.parent.name for path in (data / "journal").rglob("*.json")}
    assert kinds == {"journal", "declarations", "opt-outs"}


class _Away(NullStore):
    """A store that takes nothing."""

    def append(self, effects: Sequence[Effect]) -> list[int]:  # noqa: ARG002 - as every store takes it
        """Refuse."""
        raise StoreError("the store is away")


@pytest.mark.parametrize(("granted", "durable"), [((), ()), (("youtube",), None)])
def test_without_proof_only_a_refusal_takes_effect(
    granted: tuple[str, ...], durable: tuple[()] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no record is durable a grant must not be acknowledged, and the log says so in the store's words."""
    subject = site(use=["youtube"])
    subject.store = _Away()
    assert subject.commit(answered(subject, *granted)) == durable
    assert caplog.messages == ["consent_middleware: a choice could not be recorded: the store is away"]
