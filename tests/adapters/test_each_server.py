"""Each command of docs/servers.md as it stands: a real server, one small site, and what the wire carries."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, RemoteDisconnected
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consent_middleware import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

DOC = (Path(__file__).parents[2] / "docs" / "servers.md").read_text("utf-8")
BIN = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
LATE_S = 60
KEY = "a-secret-of-32-characters-length"
PACKAGES = {"uwsgi": "pyuwsgi", "waitress-serve": "waitress"}
CONFIG = """
use = ["google-analytics", "meta-pixel"]
[site]
name = "Example Shop"
[controller]
name = "Example GmbH"
contact = "privacy@example.com"
"""
SITE = '''
import hashlib, os, time
from pathlib import Path

FIRST = b"<!doctype html><html lang='en'><head><title>Shop</title></head><body>first"
LAST = b"last</body></html>"
HEADERS = [
    ("content-type", "text/html; charset=utf-8"),
    ("set-cookie", "session=1"),
    ("set-cookie", "_ga=1"),
    ("set-cookie", "mystery=1"),
]

def waited():
    """Whether whoever reads has got the first piece: then it lays down a file."""
    until = time.monotonic() + 20
    while not Path("go").exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True

def told(body):
    return hashlib.sha256(body).hexdigest().encode()
'''
ASGI = (
    SITE
    + """
import asyncio
from consent_middleware.asgi import ConsentMiddleware

async def site(scope, receive, send):
    if scope["type"] == "lifespan":
        for step, mark in (("startup", "up"), ("shutdown", "down")):
            await receive()
            Path(f"{mark}-{os.getpid()}").touch()
            await send({"type": f"lifespan.{step}.complete"})
        return
    path, pieces = scope["path"], [FIRST + LAST]
    if path == "/boom":
        raise RuntimeError("boom")
    if path == "/large":
        pieces = [FIRST + b"." * 2_000_000 + LAST]
    if path == "/upload":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        pieces = [told(body)]
    headers = [(name.encode(), value.encode()) for name, value in [*HEADERS, ("x-worker", str(os.getpid()))]]
    if path != "/stream":
        headers.append((b"content-length", str(len(pieces[0])).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/stream":
        await send({"type": "http.response.body", "body": FIRST, "more_body": True})
        pieces = [LAST if await asyncio.to_thread(waited) else b"nobody came"]
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else pieces[0]})

app = ConsentMiddleware(site)
"""
)
WSGI = (
    SITE
    + """
from consent_middleware.wsgi import ConsentMiddleware

def stream():
    yield FIRST
    yield LAST if waited() else b"nobody came"

def site(environ, start_response):
    path, pieces = environ["PATH_INFO"], [FIRST + LAST]
    if path == "/boom":
        raise RuntimeError("boom")
    if path == "/large":
        pieces = [FIRST + b"." * 2_000_000 + LAST]
    if path == "/upload":
        pieces = [told(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))]
    headers = [(name.title(), value) for name, value in [*HEADERS, ("x-worker", str(os.getpid()))]]
    if path != "/stream":
        headers.append(("Content-Length", str(len(pieces[0]))))
    start_response("200 OK", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return stream() if path == "/stream" else pieces

app = ConsentMiddleware(site)
"""
)


def documented() -> list[tuple[str, str]]:
    """Return the kind and the command of each server in the docs."""
    found = []
    for kind, text in re.findall(r"^## (ASGI|WSGI)\n.*?```sh\n(.*?)```", DOC, re.DOTALL | re.MULTILINE):
        found += [(kind, line) for line in text.splitlines()]
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """A documented command, run in a folder of its own and on a port of its own."""

    def __init__(self, kind: str, command: str) -> None:
        self.kind = kind
        self.command = command
        self.program = command.split(maxsplit=1)[0]
        self.folder = Path(tempfile.mkdtemp(prefix="cm"))
        self.workers = 2 if re.search(r"--(workers|processes) 2", command) else 1
        (self.folder / "shop.py").write_text(ASGI if kind == "ASGI" else WSGI, "utf-8")
        (self.folder / "consent.toml").write_text(CONFIG, "utf-8")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; return when it listens."""
        program, *arguments = self.command.replace("8000", str(self._port)).split()
        found = shutil.which(program, path=BIN)
        if found is None:
            pytest.skip(f"{program} is not installed: pip install {PACKAGES.get(program, program)}")
        own = {key: value for key, value in os.environ.items() if not key.startswith("CONSENT_")}
        own |= {"CONSENT_SECRET_KEY": KEY}
        own["PYTHONPATH"] = os.pathsep.join([str(self.folder), own.get("PYTHONPATH", "")])
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [found, *arguments], cwd=self.folder, env=own, stdout=log, stderr=log, start_new_session=True
            )
        self._until(self._is_up)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; return its code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(LATE_S)
        self._until(lambda: not self.processes)
        return code

    def close(self) -> None:
        """End what is left, and remove the folder."""
        if self._process is not None:
            for pid in self.processes:
                os.kill(pid, signal.SIGKILL)
            self._process.wait(LATE_S)
        shutil.rmtree(self.folder)

    @property
    def processes(self) -> list[int]:
        """The ids of its processes; one that has ended, and that nobody has asked for its code, is none."""
        assert self._process is not None
        group = str(self._process.pid)
        lines = subprocess.check_output(["ps", "-A", "-o", "pid=,pgid=,stat="], text=True).splitlines()
        rows = [line.split() for line in lines]
        return [int(pid) for pid, own, state in rows if own == group and not state.startswith("Z")]

    @property
    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def connect(self) -> HTTPConnection:
        """Return a connection of its own."""
        return HTTPConnection("127.0.0.1", self._port, timeout=LATE_S)

    def ask(
        self, target: str = "/", *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        """Send one request on a connection of its own."""
        connection = self.connect()
        try:
            return exchange(connection, target, method=method, body=body, **headers)
        finally:
            connection.close()

    def choose(self) -> str:
        """Accept all; return the cookie."""
        form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        answer, _ = self.ask("/_consent/choice", method="POST", body=b"action=accept_all", **form)
        assert answer.status == 303
        return str(answer.headers["set-cookie"]).partition(";")[0]

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return self.ask("/")[0].status == 200
        except OSError:
            return False

    def _until(self, condition: Callable[[], bool]) -> None:
        late = time.monotonic() + LATE_S
        while not condition():
            assert time.monotonic() < late, self.log
            time.sleep(0.02)


def exchange(
    connection: HTTPConnection, target: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    """Send one request on a connection that is there; return the answer and its body."""
    connection.request(method, target, body, {"accept": "text/html", **headers})
    answer = connection.getresponse()
    return answer, answer.read()


def set_names(answer: HTTPResponse) -> list[str]:
    """Return the names of the cookies that an answer sets."""
    return [value.partition("=")[0] for value in answer.headers.get_all("set-cookie", [])]


@pytest.fixture(scope="module", params=documented(), ids=lambda row: f"{row[1].split()[0]}-{row[0]}")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Run each documented server once."""
    server = Server(*request.param)
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_pages_ask_and_cookies_wait_for_the_answer(server: Server) -> None:
    """Banner, declared and undeclared cookies held; after the answer they pass, and the banner is gone."""
    before, page = server.ask()
    after, answered = server.ask(cookie=server.choose())
    assert (b'id="consent-banner"' in page, set_names(before)) == (True, ["session"])
    assert (b'id="consent-banner"' in answered, set_names(after)) == (
        False,
        ["session", "_ga", "mystery"],
    )


def test_a_stream_goes_piece_by_piece(server: Server) -> None:
    """The first piece is read, banner included, while the app still waits to be let go."""
    connection = server.connect()
    connection.request("GET", "/stream", headers={"accept": "text/html"})
    answer = connection.getresponse()
    got = b""
    while b"first" not in got:
        piece = answer.read1()
        assert piece, got
        got += piece
    (server.folder / "go").touch()
    rest = answer.read()
    connection.close()
    assert b'id="consent-banner"' in got
    assert rest.startswith(b"last")


def test_head_has_no_body(server: Server) -> None:
    """HEAD has the headers of the page, filtered alike, and no byte behind them."""
    head, nothing = server.ask(method="HEAD")
    assert (head.status, nothing, set_names(head)) == (200, b"", ["session"])


def test_two_requests_on_one_connection(server: Server) -> None:
    """The length of a changed page is right: the next answer begins where it should, on the same connection."""
    if server.program == "uwsgi":
        pytest.skip("uWSGI's own HTTP closes each connection; a proxy in front keeps them")
    connection = server.connect()
    pages = []
    sockets = set()
    for _ in range(2):
        answer, page = exchange(connection, "/")
        pages.append((answer.status, page.count(b'id="consent-banner"')))
        sockets.add(connection.sock)
    connection.close()
    assert pages == [(200, 1)] * 2
    assert len(sockets - {None}) == 1


def test_large_bodies(server: Server) -> None:
    """Two megabytes come whole with the banner in them, and one megabyte goes up as it was."""
    sent = os.urandom(1_000_000)
    answer, page = server.ask("/large")
    _, told = server.ask("/upload", method="POST", body=sent)
    assert b"." * 2_000_000 in page
    assert page.count(b'id="consent-banner"') == 1
    assert int(answer.headers.get("content-length", len(page))) == len(page)
    assert told.decode() == hashlib.sha256(sent).hexdigest()


def test_an_app_that_raises(server: Server) -> None:
    """The server answers 500 (uWSGI closes the connection without a word), and goes on."""
    if server.program == "uwsgi":
        with pytest.raises(RemoteDisconnected):
            server.ask("/boom")
    else:
        assert server.ask("/boom")[0].status == 500
    assert server.ask()[0].status == 200


def test_workers_share_the_records_and_end_in_order(server: Server) -> None:
    """An answer holds on every worker and is recorded once; then no process is left, and each lifespan ended."""
    with ThreadPoolExecutor(8) as pool:
        cookies = list(pool.map(lambda _: server.choose(), range(16)))
        held: dict[str, list[str]] = {}
        late = time.monotonic() + LATE_S
        while len(held) < server.workers and time.monotonic() < late:
            answers = pool.map(lambda _: server.ask(cookie=cookies[0])[0], range(8))
            held.update((str(answer.headers["x-worker"]), set_names(answer)) for answer in answers)
    assert list(held.values()) == [["session", "_ga", "mystery"]] * server.workers
    code = server.stop()
    assert code in {0, -signal.SIGTERM}, server.log
    with closing(Records.open(server.folder / "consent.toml", KEY)) as records:
        records.replay()  # a choice that found the file locked for long waits in the journal
    connection = sqlite3.connect(server.folder / "consent-records.db")
    rows = [
        row[0]
        for row in connection.execute("select principal_id from consent_records where kind = 'consent'")
    ]
    connection.close()
    assert {rows.count(cookie.split(".")[5]) for cookie in cookies} == {1}
    marks = {
        mark: {path.name.partition("-")[2] for path in server.folder.glob(f"{mark}-*")}
        for mark in ("up", "down")
    }
    assert marks["up"] == marks["down"]
    assert len(marks["up"]) == (server.workers if server.kind == "ASGI" and server.program != "daphne" else 0)
