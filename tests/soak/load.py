"""Visitors who answer the banner over HTTP, many at once, and note what they were told."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Ledger", "Told", "Visitor", "crowd", "newcomers", "wavering"]

_PATIENCE_S = 120
_FORM = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
    "sec-fetch-site": "same-origin",
}


class Told(NamedTuple):
    """What the site said to an answer.

    Attributes:
        status: Of the response; 0 where none came.
        cookie: The new consent cookie, empty where none was set.
    """

    status: int
    cookie: str = ""

    @property
    def principal(self) -> str:
        """Whom the cookie names; empty where nobody."""
        return self.cookie.split(".")[5].partition("~")[0] if self.cookie else ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the answer holds from now on."""
        return self.status == 200 and bool(self.cookie)


class Ledger:
    """What the visitors were told. Safe under threads.

    Attributes:
        acknowledged: The states that hold, in their order, by whom.
        count: How many answers were acknowledged.
        sorry: How many were answered 503.
        unanswered: How many got no response.
        other: Responses that nobody expects.
    """

    def __init__(self) -> None:
        self.acknowledged: defaultdict[str, list[str]] = defaultdict(list)
        self.count = self.sorry = self.unanswered = 0
        self.other: list[Told] = []
        self._turn = threading.Condition()

    def note(self, told: Told, principal: str, state: str) -> None:
        """Take what a visitor was told."""
        with self._turn:
            if told.is_acknowledged:
                self.acknowledged[principal].append(state)
                self.count += 1
            elif told.status == 503 and not told.cookie:
                self.sorry += 1
            elif told.status == 0:
                self.unanswered += 1
            else:
                self.other.append(told)
            self._turn.notify_all()

    def wait(self, is_enough: Callable[[], bool]) -> None:
        """Wait until something holds that visitors bring about.

        Raises:
            TimeoutError: It does not come to hold.
        """
        with self._turn:
            if not self._turn.wait_for(is_enough, _PATIENCE_S):
                raise TimeoutError(f"{self.count} acknowledged, {self.sorry} sorry, {self.unanswered} lost")

    def wait_for(self, more: int) -> None:
        """Wait until so many answers more are acknowledged."""
        enough = self.count + more
        self.wait(lambda: self.count >= enough)


class _Connection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, address: Path) -> None:
        super().__init__("shop.example", timeout=_PATIENCE_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(str(self._address))


class Visitor:
    """One who answers the banner, over a connection that is kept while it lasts."""

    def __init__(self, address: Path) -> None:
        self._connection = _Connection(address)

    def say(self, form: dict[str, str], cookie: str = "") -> Told:
        """Send an answer; return what came back."""
        headers = _FORM | ({"cookie": cookie} if cookie else {})
        try:
            self._connection.request("POST", "/_consent/choice", urlencode(form), headers)
            response = self._connection.getresponse()
        except (OSError, HTTPException):
            self._connection.close()
            return Told(0)
        try:  # with the headers a browser has its cookie, whatever becomes of the body
            response.read()
        except (OSError, HTTPException):
            self._connection.close()
        return Told(response.status, (response.headers["set-cookie"] or "").partition(";")[0])

    def close(self) -> None:
        """Leave."""
        self._connection.close()


Course = Callable[[Visitor, Ledger, threading.Event], None]


def newcomers(visitor: Visitor, ledger: Ledger, over: threading.Event) -> None:
    """Accept everything, each time as somebody else."""
    while not over.is_set():
        told = visitor.say({"action": "accept_all"})
        ledger.note(told, told.principal, "given")


_YES = {"action": "accept_all"}, "given"
_PARTLY = {"action": "save", "category": "analytics"}, "custom"
_NO = {"action": "reject_all"}, "withdrawn"


def wavering(visitor: Visitor, ledger: Ledger, over: threading.Event) -> None:
    """Say yes, something else and yes again, then no; whoever said no comes back as somebody else."""
    principal = cookie = ""
    for form, state in cycle([_YES, _PARTLY, _YES, _NO]):
        acknowledged = False
        while not acknowledged:
            if over.is_set():
                return
            told = visitor.say(form, cookie)
            acknowledged = told.is_acknowledged
            principal = told.principal or principal
            ledger.note(told, principal, state)
        cookie = told.cookie if told.principal else ""


@contextmanager
def crowd(course: Course, address: Path, size: int = 32) -> Iterator[Ledger]:
    """Let visitors come, all at once; at the end each has heard the answer to what it said last."""
    ledger, over = Ledger(), threading.Event()
    visitors = [Visitor(address) for _ in range(size)]
    threads = [threading.Thread(target=course, args=(one, ledger, over), daemon=True) for one in visitors]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        over.set()
        for thread in threads:
            thread.join(_PATIENCE_S)
        for visitor in visitors:
            visitor.close()
    assert not any(thread.is_alive() for thread in threads)
