"""The database servers of the tests: real, private, durable, and gone at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import NullPool, create_engine, text

import install_servers
import servers
from servers import MARIADB, POSTGRES, REQUIRE, DatabaseServer, find_postgres, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent

SQL_OF_SAFETY = {
    "PostgreSQL": {"show fsync": "on", "show synchronous_commit": "on", "show listen_addresses": ""},
    "MariaDB": {"select @@innodb_flush_log_at_trx_commit": "1", "select @@skip_networking": "1"},
}

STARTS_AND_IS_KILLED = """
import os, signal, sys
from servers import find_postgres
server = find_postgres()()
server.start()
print(server.pid, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Give each of the session's servers."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


def ask(url: str, *statements: str) -> Sequence[str]:
    """Run statements in one transaction; return the rows' first values of the last."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        *before, last = statements
        for statement in before:
            connection.execute(text(statement))
        result = connection.execute(text(last))
        return [str(value) for value in result.scalars()] if result.returns_rows else []


def test_a_fresh_database_is_another_one(server: DatabaseServer) -> None:
    """What one test writes, no other sees."""
    first, second = server.fresh(), server.fresh()
    ask(first, "create table basket (apples integer)")
    ask(second, "create table basket (apples integer)")
    assert first != second
    assert server.url() not in {first, second}


def test_a_killed_server_comes_back_with_what_was_committed(server: DatabaseServer) -> None:
    """Through its recovery; an orderly stop is survived, too."""
    url = server.fresh()
    ask(url, "create table basket (apples integer)", "insert into basket values (3)")
    server.kill()
    assert server.pid is None
    server.start()
    assert ask(url, "select apples from basket") == ["3"]
    server.stop()
    assert server.pid is None
    server.start()
    assert ask(url, "select apples from basket") == ["3"]


def test_the_server_is_durable_and_listens_on_no_port(server: DatabaseServer) -> None:
    """A commit is on the disk; nobody but this machine's socket reaches it."""
    asked = SQL_OF_SAFETY[server.name]
    assert {statement: ask(server.url(), statement)[0] for statement in asked} == asked


@pytest.mark.usefixtures("postgres")
def test_killed_tests_leave_no_server_behind() -> None:
    """No process and no folder."""
    make = find_postgres()
    assert make is not None
    done = subprocess.run(
        [sys.executable, "-c", STARTS_AND_IS_KILLED],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, folder = done.stdout.split()
    late = time.monotonic() + 15
    while (Path(folder).exists() or servers._is_alive(int(pid))) and time.monotonic() < late:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not servers._is_alive(int(pid))


def test_a_server_that_cannot_start_says_why(postgres: servers.PostgresServer) -> None:
    """In the words of its log."""
    server = servers.PostgresServer(postgres.program, {"no_such_setting": "1"})
    with pytest.raises(RuntimeError, match="no_such_setting"):
        server.start()
    server.close()


@pytest.mark.parametrize("wanted", [POSTGRES, MARIADB])
def test_a_missing_server_skips_or_fails(monkeypatch: pytest.MonkeyPatch, wanted: servers.Wanted) -> None:
    """It fails where a variable says that it must be there, and both ways say what to install."""
    monkeypatch.delenv(REQUIRE, raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install"):
        refuse(wanted)
    monkeypatch.setenv(REQUIRE, "1")
    with pytest.raises(pytest.fail.Exception, match=f"apt-get install.*{REQUIRE} is set"):
        refuse(wanted)


def test_only_postgresql_must_be_there_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB's tests skip there."""
    monkeypatch.delenv(REQUIRE, raising=False)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI is set"):
        refuse(POSTGRES)
    with pytest.raises(pytest.skip.Exception):
        refuse(MARIADB)


def test_packages_may_not_start_their_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A policy forbids it while they are installed, and is gone afterwards; another's own stays."""
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install_servers, "POLICY", policy)
    with install_servers.services_stay_down():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()
    policy.write_text("theirs")
    with install_servers.services_stay_down():
        pass
    assert policy.read_text() == "theirs"
