from __future__ import annotations

import logging
import threading
import tomllib
from typing import Any

import pytest

from consent_middleware import reporting
from consent_middleware.config import load_config
from consent_middleware.filters import Verdict
from consent_middleware.reporting import Reporter, is_login
from helpers_core import declaration


def reporter(
    *, report_only: bool = False, use: tuple[str, ...] = (), essential: tuple[str, ...] = ()
) -> Reporter:
    """Return a reporter that has told nothing yet."""
    return Reporter(report_only=report_only, use=use, essential=essential)


def pasted(message: str, key: str) -> dict[str, Any]:
    """Return what a message's line for a key says, read as a file that holds nothing else."""
    (line,) = [line for line in message.splitlines() if line.startswith(f"{key} = ")]
    return tomllib.loads(line)


def pasted_service(message: str) -> dict[str, Any]:
    """Return what a message's block of lines for a service says, likewise."""
    return tomllib.loads("[[services]]\n" + message.partition("\n[[services]]\n")[2])


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    """Hear every level."""
    caplog.set_level(logging.DEBUG, "consent_middleware")


def test_each_finding_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The same cookie on every response is one line in the log."""
    subject = reporter()
    for _ in range(3):
        subject.held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    assert len(caplog.records) == 1


def test_another_cookie_is_another_finding(caplog: pytest.LogCaptureFixture) -> None:
    """Every name is told."""
    subject = reporter()
    subject.held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    subject.held_cookie("y", Verdict.HOLD_UNKNOWN, (), login=False)
    assert len(caplog.messages) == 2
    assert ["'x'" in caplog.messages[0], "'y'" in caplog.messages[1]] == [True, True]


def test_what_is_remembered_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that makes up names, or a visitor who does, fills neither memory nor log."""
    monkeypatch.setattr(reporting, "_MAX_SEEN", 5)
    subject = reporter()
    for i in range(50):
        subject.once(logging.INFO, (str(i),), "x")
        subject.is_news(b"%d=1" % i, login=False)
    assert len(caplog.records) == len(subject._seen) == 5
    assert len(subject._told) == 5


def test_threads_tell_once(caplog: pytest.LogCaptureFixture) -> None:
    """Many workers that find the same thing at once write one line."""
    subject = reporter()
    threads = [threading.Thread(target=subject.once, args=(logging.INFO, ("a",), "x")) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("report_only", "verdict", "login", "level"),
    [
        (False, Verdict.HOLD_DECLARED, False, logging.INFO),
        (False, Verdict.HOLD_DECLARED, True, logging.INFO),
        (False, Verdict.HOLD_UNKNOWN, False, logging.WARNING),
        (False, Verdict.HOLD_UNKNOWN, True, logging.ERROR),
        (True, Verdict.HOLD_DECLARED, False, logging.WARNING),
        (True, Verdict.HOLD_DECLARED, True, logging.WARNING),
        (True, Verdict.HOLD_UNKNOWN, False, logging.WARNING),
        (True, Verdict.HOLD_UNKNOWN, True, logging.ERROR),
    ],
)
def test_how_loud_it_is(
    *, report_only: bool, verdict: Verdict, login: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What works as declared is quiet unless reports are asked for; the undeclared warns, at a log-in as an error."""
    reporter(report_only=report_only).held_cookie("x", verdict, ("ads",), login=login)
    assert [record.levelno for record in caplog.records] == [level]


@pytest.mark.parametrize(("report_only", "level"), [(False, logging.INFO), (True, logging.WARNING)])
def test_how_loud_a_hidden_cookie_is(
    *, report_only: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A hidden request cookie is heard without any setting only where reports are asked for."""
    reporter(report_only=report_only).hidden_cookie("ad", ("ads",))
    assert [record.levelno for record in caplog.records] == [level]


def test_every_line_names_the_package(caplog: pytest.LogCaptureFixture) -> None:
    """A site's log says who speaks, whatever its format shows of the logger; a percent sign does no harm."""
    subject = reporter()
    subject.once(logging.INFO, ("a",), "100 %s")
    subject.held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    subject.hidden_cookie("ad", ("ads",))
    assert caplog.messages[0] == "consent_middleware: 100 %s"
    assert all(message.startswith("consent_middleware: ") for message in caplog.messages)


ODD_NAMES = pytest.mark.parametrize("name", ["x", 'a"b', "back\\slash", "na\xefve", "a'b", "#a"])


@ODD_NAMES
def test_an_unknown_cookie_comes_with_the_essential_line_to_paste(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The line is TOML by itself, and keeps what the site has already."""
    subject = reporter(essential=("basket", "cart"))
    subject.held_cookie(name, Verdict.HOLD_UNKNOWN, (), login=False)
    assert pasted(caplog.messages[0], "essential") == {"essential": ["basket", "cart", name]}
    assert "below [cookies]:\nessential = [" in caplog.messages[0]


@ODD_NAMES
def test_an_unknown_cookie_comes_with_the_service_to_paste(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The block of a service of the site's own is TOML by itself."""
    reporter().held_cookie(name, Verdict.HOLD_UNKNOWN, (), login=False)
    (service,) = pasted_service(caplog.messages[0])["services"]
    assert [cookie["name"] for cookie in service["cookies"]] == [name]


def test_the_pasted_essential_line_is_a_sound_declaration(caplog: pytest.LogCaptureFixture) -> None:
    """What the warning shows is accepted, and declares the cookie."""
    reporter(essential=("basket",)).held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    config = load_config(declaration(cookies=pasted(caplog.messages[0], "essential")), {})
    assert config.catalog.owners("x") == config.catalog.owners("basket") == ("essential",)


def test_the_pasted_service_is_a_sound_declaration(caplog: pytest.LogCaptureFixture) -> None:
    """The block is accepted as it stands, before the site has found words of its own."""
    reporter().held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    config = load_config(declaration(**pasted_service(caplog.messages[0])), {})
    assert config.catalog.owners("x") == ("my-service",)


def test_a_name_that_stands_already_is_not_written_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The line to paste never repeats an entry."""
    reporter(essential=("x", "basket")).held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    assert pasted(caplog.messages[0], "essential") == {"essential": ["x", "basket"]}


def test_a_known_cookie_comes_with_its_service(caplog: pytest.LogCaptureFixture) -> None:
    """What the catalogue knows is declared by one word, beside the words the site has already."""
    subject = reporter(use=("youtube", "hotjar"), essential=("basket",))
    subject.held_cookie("_fbp", Verdict.HOLD_UNKNOWN, (), login=False)
    assert pasted(caplog.messages[0], "use") == {"use": ["youtube", "hotjar", "meta-pixel"]}
    assert "at the top:\nuse = [" in caplog.messages[0]
    assert "essential" not in caplog.text


def test_the_pasted_use_line_is_a_sound_declaration(caplog: pytest.LogCaptureFixture) -> None:
    """What the warning shows for a known tracker is accepted, and declares the cookie."""
    reporter(use=("youtube",)).held_cookie("_fbp", Verdict.HOLD_UNKNOWN, (), login=False)
    config = load_config(declaration(**pasted(caplog.messages[0], "use")), {})
    assert config.catalog.owners("_fbp") == ("meta-pixel",)
    assert "youtube" in config.catalog.services


@pytest.mark.parametrize(("report_only", "words"), [(False, "held back"), (True, "would hold back")])
def test_report_mode_says_would(*, report_only: bool, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is held back the log does not claim it."""
    reporter(report_only=report_only).held_cookie("x", Verdict.HOLD_DECLARED, ("ads",), login=False)
    assert caplog.messages[0].startswith(f"consent_middleware: {words} ")


@pytest.mark.parametrize(("report_only", "words"), [(False, "hid the"), (True, "would hide the")])
def test_hidden_cookies(*, report_only: bool, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """A request cookie that the app does not see is told too, by name and service."""
    reporter(report_only=report_only).hidden_cookie("ad", ("ads",))
    assert caplog.messages[0].startswith(f"consent_middleware: {words} ")
    assert "'ad' of ads" in caplog.messages[0]


def test_news_is_news_once() -> None:
    """The quick look tells a first time from a second, whatever the value."""
    subject = reporter()
    found = [subject.is_news(header, login=False) for header in (b"a=1", b"a=2; Path=/", b"b=1")]
    assert found == [True, False, True]


def test_a_name_is_news_again_at_a_log_in() -> None:
    """What was held elsewhere first is still told, once, where visitors may not get in."""
    subject = reporter()
    found = [subject.is_news(b"a=1", login=login) for login in (False, True, True, False)]
    assert found == [True, True, False, False]


def test_who_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody hears single cookies nothing needs to be put into words."""
    assert reporter().listens
    caplog.set_level(logging.WARNING, "consent_middleware")
    assert not reporter().listens


def test_reports_are_listened_for_at_the_level_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """In mode `report` the default level of logging is enough to hear single cookies."""
    caplog.set_level(logging.WARNING, "consent_middleware")
    assert reporter(report_only=True).listens
    caplog.set_level(logging.ERROR, "consent_middleware")
    assert not reporter(report_only=True).listens


@pytest.mark.parametrize(
    ("path", "yes"),
    [
        ("/login", True),
        ("/accounts/login/", True),
        ("/log-in", True),
        ("/users/sign_in", True),
        ("/sign-in", True),
        ("/auth", True),
        ("/oauth2/callback", True),
        ("/api/token", True),
        ("/LOGIN", True),
        ("/", False),
        ("/blog", False),
        ("/author/x", False),
        ("/tokens-of-love", False),
    ],
)
def test_what_looks_like_a_log_in(*, path: str, yes: bool) -> None:
    """A path that names a log-in makes a held cookie an error."""
    assert is_login(path) is yes
