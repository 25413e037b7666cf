"""Promises about the target of a connection, and the errors of one that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import backoff_s
from chatdb_cli.postgres.connect_failures import connection_failure
from chatdb_cli.postgres.ping import ping
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.database import Database
from tests.support.proxy import Proxy
from tests.support.servers import socket_of

SERVICE = "[far]\nhost=10.9.9.9\nport=5433\nuser=app\ndbname=shop\n"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "services").write_text(SERVICE)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))


@pytest.mark.parametrize("url", ["service=far", "postgresql:///?service=far"])
@pytest.mark.usefixtures("service")
def test_a_service_is_shown_as_the_server_that_it_names(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    target = open_target(load_settings({"database_url": url}, environ={}, cwd=Path("/")))
    assert target.where == "app@10.9.9.9:5433/shop"
    assert target.params["host"] == "10.9.9.9"
    assert "service" not in target.params


@pytest.mark.parametrize("url", ["service=fra", "postgresql:///?service=fra"])
@pytest.mark.usefixtures("service")
def test_an_unknown_service_is_refused_and_never_the_default_server(url: str) -> None:
    settings = load_settings({"database_url": url}, environ={}, cwd=Path("/"))
    with pytest.raises(ChatdbError, match="definition of service") as caught:
        open_target(settings)
    assert caught.value.exit == 2
    assert "PGSERVICEFILE" in (caught.value.hint or "")


UNPROTECTED = ["service=far", "host=db.example dbname=d user=u", "host=localhost hostaddr=10.9.9.9"]


@pytest.mark.parametrize("url", UNPROTECTED)
@pytest.mark.usefixtures("service")
def test_production_is_not_reached_without_protection(url: str) -> None:
    settings = load_settings({"database_url": url, "env": "production"}, environ={}, cwd=Path("/"))
    with pytest.raises(ChatdbError) as caught:
        open_target(settings)
    assert caught.value.exit == 8
    assert "the setting insecure" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "url",
    ["host=/run/postgresql", "host=127.0.0.1", "host=::1", "host=db.example sslmode=verify-full"],
)
def test_production_is_reached_when_the_connection_is_protected(url: str) -> None:
    open_target(
        load_settings({"database_url": url, "env": "production"}, environ={}, cwd=Path("/"))
    )


FAILURES = {
    'connection failed: connection to server at "::1", port 5432 failed: Connection refused\n'
    "\tIs the server running on that host and accepting TCP/IP connections?\n"
    'connection to server at "127.0.0.1", port 5432 failed: FATAL:  password authentication '
    'failed for user "app"': (Code.LOGIN, "28P01", False),
    'connection failed: connection to server at "::1", port 5432 failed: Connection refused\n'
    'connection to server at "127.0.0.1", port 5432 failed: FATAL:  database "x" does not '
    "exist": (Code.MISSING_DATABASE, "3D000", False),
    "connection failed: FATAL:  sorry, too many clients already": (Code.UNREACHABLE, "53300", True),
    "connection failed: FATAL:  remaining connection slots are reserved for roles with the "
    "SUPERUSER attribute": (Code.UNREACHABLE, "53300", True),
    "connection failed: FATAL:  the database system is starting up": (
        Code.UNREACHABLE, "57P03", True,
    ),
    "": (Code.UNREACHABLE, None, False),
}  # fmt: skip


@pytest.mark.parametrize("text", FAILURES)
def test_of_several_addresses_the_error_of_the_one_that_answered_is_reported(text: str) -> None:
    code, sqlstate, transient = FAILURES[text]
    error, again = connection_failure(psycopg.OperationalError(text), "app@localhost:5432/x")
    assert (error.code, error.sqlstate, again) == (code, sqlstate, transient)
    assert ("FATAL" in error.message) == ("FATAL" in text)


SOCKET = 'connection to server on socket "/run/.s.PGSQL.5432" failed: '
ERRNOS = {
    f"{SOCKET}No such file or directory": "ENOENT",
    f"{SOCKET}Permission denied": "EACCES",
    'connection to server at "10.9.9.9", port 5432 failed: Connection timed out': "ETIMEDOUT",
    'connection to server at "10.9.9.9", port 5432 failed: No route to host': "EHOSTUNREACH",
    'connection to server at "10.9.9.9", port 5432 failed: Network is unreachable': "ENETUNREACH",
    'could not translate host name "x" to address: Name or service not known': "ENOTFOUND",
    # A file that the settings name, not the socket.
    'connection to server at "10.9.9.9", port 5432 failed: could not read certificate file "c": '
    "No such file or directory": None,
}


@pytest.mark.parametrize("text", ERRNOS)
def test_a_socket_keeps_the_name_of_its_error(text: str) -> None:
    error, _ = connection_failure(psycopg.OperationalError(f"connection failed: {text}"), "here")
    assert (error.code, error.errno) == (Code.UNREACHABLE, ERRNOS[text])
    assert error.hint


@pytest.mark.quick
def test_a_pool_uses_the_schema_of_the_target(database: Database) -> None:
    database.execute('CREATE SCHEMA "odd ""s"""')
    with open_pool(database.target(schema='odd "s"')) as pool, pool.connection() as conn:
        assert conn.execute("SELECT current_schema()").fetchone() == ('odd "s"',)


@pytest.mark.parametrize(("tries", "nominal"), [(0, 0.1), (3, 0.8), (6, 5.0), (100_000, 5.0)])
def test_the_pause_between_two_tries_doubles_up_to_its_limit(tries: int, nominal: float) -> None:
    assert 0.5 * nominal <= backoff_s(tries, 0.1, 5.0) < 1.5 * nominal


def test_a_caller_waits_for_a_connection_of_a_pool_as_long_as_is_set_and_no_longer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library asks for, and not how fast the machine is: once it was 3 s more."""
    asked = Asked(monkeypatch)
    answering = threading.Event()
    answering.set()
    flags = {"pool_wait": "300ms", "pool_size": "1"}
    with Proxy(socket_of(database.server), on_message=lambda *_: answering.wait(60)) as proxy:
        url = proxy.url(database.name)
        settings = load_settings({"database_url": url, **flags}, environ={}, cwd=Path("/"))
        with (
            open_target(settings) as target,
            open_pool(target) as by_setting,
            open_pool(target, wait=0.6) as by_argument,
        ):
            for pool, wait in ((by_setting, 0.3), (by_argument, 0.6)):
                with pool.connection(timeout=60):
                    asked.clear()
                    assert wait <= time_out(pool)  # all connections are in use
                    assert asked.kinds == ["a connection"]
                    asked.check(wait)
                answering.clear()
                asked.clear()
                assert wait <= time_out(pool)  # the server hangs
                assert asked.kinds[:2] == ["a connection", "an answer"]
                assert asked.limits[1] <= wait / 2  # then there is time for another one
                asked.check(wait)
                answering.set()
            with pytest.raises(ValueError, match="wait is 0, and must be more than 0"):
                open_pool(target, wait=0)


class Asked:
    """What a pool waits for, one after the other, and the limit that it sets to each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kinds: list[str] = []
        self.limits: list[float] = []
        self.begun: list[float] = []
        self.ended: list[float] = []
        wait_for_connection, wait_for_answer = ConnectionPool.getconn, ping

        def getconn(pool: ConnectionPool[Any], timeout: float | None = None) -> Any:
            assert timeout is not None
            with self.noted("a connection", timeout):
                return wait_for_connection(pool, timeout)

        def answer(conn: psycopg.Connection[Any], timeout_s: float) -> bool:
            with self.noted("an answer", timeout_s):
                return wait_for_answer(conn, timeout_s)

        monkeypatch.setattr(ConnectionPool, "getconn", getconn)
        monkeypatch.setattr("chatdb_cli.postgres.pool.ping", answer)

    @contextmanager
    def noted(self, kind: str, limit: float) -> Iterator[None]:
        self.kinds.append(kind)
        self.limits.append(limit)
        self.begun.append(time.monotonic())
        try:
            yield
        finally:
            self.ended.append(time.monotonic())

    def clear(self) -> None:
        for noted in (self.kinds, self.limits, self.begun, self.ended):
            noted.clear()

    def check(self, wait: float) -> None:
        """Check that each limit is at most what is left of the wait when it is set."""
        assert self.limits[0] <= wait
        for i in range(1, len(self.limits)):
            assert self.limits[i] <= wait - (self.ended[i - 1] - self.begun[0])


def test_a_connection_that_does_not_answer_is_replaced_within_the_wait(database: Database) -> None:
    with database.target() as target, open_pool(target, wait=60) as pool:
        with pool.connection() as conn:
            pid = conn.info.backend_pid
        database.execute(f"SELECT pg_terminate_backend({pid}, 60000)")
        with pool.connection() as conn:
            assert conn.info.backend_pid != pid


def time_out(pool: ConnectionPool[Any]) -> float:
    """Return how long it took to get no connection, in seconds."""
    start = time.monotonic()
    with pytest.raises(PoolTimeout), pool.connection():
        pass
    return time.monotonic() - start
