from __future__ import annotations

import logging
import threading

import pytest

from consent_middleware import reporting
from consent_middleware.filters import Verdict
from consent_middleware.reporting import Reporter, is_login


def reporter(*, report_only: bool = False) -> Reporter:
    """Return a reporter that has told nothing yet."""
    return Reporter(report_only=report_only)


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
    assert [record.args for record in caplog.records] == [(), ()]
    assert ["'x'" in caplog.messages[0], "'y'" in caplog.messages[1]] == [True, True]


def test_what_is_remembered_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that makes up names, or a visitor who does, fills neither memory nor log."""
    monkeypatch.setattr(reporting, "_MAX_SEEN", 5)
    subject = reporter()
    for i in range(50):
        subject.once(logging.INFO, (str(i),), "x")
        subject.is_news(b"%d=1" % i)
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
    ("verdict", "login", "level"),
    [
        (Verdict.HOLD_DECLARED, False, logging.INFO),
        (Verdict.HOLD_DECLARED, True, logging.INFO),
        (Verdict.HOLD_UNKNOWN, False, logging.WARNING),
        (Verdict.HOLD_UNKNOWN, True, logging.ERROR),
    ],
)
def test_how_loud_it_is(
    *, verdict: Verdict, login: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What works as declared is quiet; what nobody declared warns; at a log-in it is an error."""
    reporter().held_cookie("x", verdict, ("ads",), login=login)
    assert [record.levelno for record in caplog.records] == [level]


def test_an_unknown_cookie_comes_with_the_line_to_paste(caplog: pytest.LogCaptureFixture) -> None:
    """The warning shows both ways to declare it."""
    reporter().held_cookie("x", Verdict.HOLD_UNKNOWN, (), login=False)
    assert 'essential = ["x"]' in caplog.text
    assert 'cookies = [{ name = "x"' in caplog.text


def test_a_known_cookie_comes_with_its_service(caplog: pytest.LogCaptureFixture) -> None:
    """What the catalogue knows is declared by one word."""
    reporter().held_cookie("_ga", Verdict.HOLD_UNKNOWN, (), login=False)
    assert 'use = ["google-analytics"]' in caplog.text
    assert "essential" not in caplog.text


@pytest.mark.parametrize(("report_only", "words"), [(False, "held back"), (True, "would hold back")])
def test_report_mode_says_would(*, report_only: bool, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is held back the log does not claim it."""
    reporter(report_only=report_only).held_cookie("x", Verdict.HOLD_DECLARED, ("ads",), login=False)
    assert caplog.messages[0].startswith(words)


@pytest.mark.parametrize(("report_only", "words"), [(False, "hid the"), (True, "would hide the")])
def test_hidden_cookies(*, report_only: bool, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """A request cookie that the app does not see is told too, by name and service."""
    reporter(report_only=report_only).hidden_cookie("ad", ("ads",))
    assert caplog.messages[0].startswith(words)
    assert "'ad' of ads" in caplog.messages[0]


def test_news_is_news_once() -> None:
    """The quick look tells a first time from a second, whatever the value."""
    subject = reporter()
    assert [subject.is_news(b"a=1"), subject.is_news(b"a=2; Path=/"), subject.is_news(b"b=1")] == [
        True,
        False,
        True,
    ]


def test_who_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody hears single cookies nothing needs to be put into words."""
    assert reporter().listens
    caplog.set_level(logging.WARNING, "consent_middleware")
    assert not reporter().listens


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
