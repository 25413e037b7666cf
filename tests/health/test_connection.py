"""A server that is sick, slow, locked or gone: the health is there in time, and says what is known."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import NamedTuple

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from chatdb_cli.errors import Code, Exit
from chatdb_cli.health.ask import ask, open_inquiry
from chatdb_cli.health.check import check_connection, check_health, is_healthy
from chatdb_cli.health.watch import HealthWatch
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.target import open_target
from tests.support.database import Database, wait_for_no_sessions
from tests.support.health import as_nobody, check_of, health_of, row_of
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import Server, on_first_server, socket_of


class Answer(NamedTuple):
    n: int


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process of the server inside the block; it keeps its connection."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# --- round trips ----------------------------------------------------------------------------------


def test_all_checks_take_at_most_three_round_trips(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with Proxy(socket_of(database.server), delay=0.3) as proxy:
        health = health_of(database, project.sql, url=proxy.url(database.name))
    assert health.status == "ok", health
    assert {c.status for c in health.checks} == {"ok"}
    assert proxy.turns <= 1 + 3  # the first is that of connecting
    latency = check_of(database, "latency", project.sql)
    assert latency.status == "ok"


@pytest.mark.quick
def test_the_database_is_only_read_and_nothing_is_left_behind(database: Database) -> None:
    with database.target() as target, connect(target) as conn:
        check_connection(conn, target)
        first = conn.execute("SHOW statement_timeout").fetchone()
        assert first == ("0",)
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert conn.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)
        assert check_connection(conn, target).database == "connected"  # it can be used again
    assert database.query("SELECT count(*) FROM pg_class WHERE relname ~ 'yoyo|chatdb'") == [(0,)]


# --- slow, locked, frozen -------------------------------------------------------------------------


def test_a_question_that_is_late_or_fails_leaves_the_others_their_answers(
    database: Database, impatient: None
) -> None:
    questions = [
        ("SELECT 1 AS n", Answer),
        ("SELECT 1 / 0 AS n", Answer),
        ("SELECT 2 AS n", Answer),
        ("SELECT 3 AS n FROM pg_sleep(600)", Answer),
        ("SELECT 4 AS n FROM pg_sleep(600)", Answer),
        ("SELECT 5 AS n", Answer),
    ]
    with database.target() as target, connect(target) as conn:
        open_inquiry(conn, "public")
        one, failed, two, late, later, five = ask(conn, "public", questions)
        assert (one, two, five) == ((Answer(1),), (Answer(2),), (Answer(5),))
        assert isinstance(failed, psycopg.errors.DivisionByZero)
        assert isinstance(late, psycopg.errors.QueryCanceled)
        assert isinstance(later, psycopg.errors.QueryCanceled)
        assert conn.execute("SELECT 6").fetchone() == (6,)


def test_a_history_that_is_locked_is_unknown_and_the_rest_is_known(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as other:
        other.execute("BEGIN; LOCK TABLE chatdb_migration IN ACCESS EXCLUSIVE MODE")
        health = health_of(database, project.sql)
    unknown = {c.name for c in health.checks if c.status == "unknown"}
    assert unknown == {"pending-migrations", "unfinished-migrations", "history-problems"}
    latency = health.check("latency")
    assert latency
    assert latency.status == "degraded"
    assert "1 of the questions had no answer in time" in latency.message


def test_a_slow_network_is_degraded(database: Database) -> None:
    with Proxy(socket_of(database.server), delay=0.3) as proxy:
        limits = {"latency": "500ms", "connection": "500ms"}
        health = health_of(database, url=proxy.url(database.name), **limits)
    latency, connection = health.check("latency"), health.check("connection")
    assert latency
    assert connection
    assert (latency.status, latency.threshold) == ("degraded", 500)
    assert (connection.status, connection.threshold) == ("degraded", 500)
    assert health.latency_ms is not None
    assert health.latency_ms > 500


@on_first_server
def test_a_server_that_accepts_connections_and_is_silent_is_disconnected(
    database: Database, impatient: None
) -> None:
    with database.target() as target, connect(target) as conn:
        with frozen(conn.info.backend_pid):
            health = check_connection(conn, target)
        assert conn.closed
    assert (health.status, health.database, health.ok) == ("error", "disconnected", False)
    assert health.error
    assert health.error.code is Code.LOST
    assert "accepts connections, but does not answer" in health.error.message


@on_first_server
def test_a_server_that_freezes_between_the_questions_leaves_them_unknown(
    database: Database, impatient: None
) -> None:
    frozen_pids: list[int] = []

    def freeze(_: int, kind: str, __: int) -> None:
        if kind == "S" and len(frozen_pids) == 2:  # those of the first round trip
            os.kill(frozen_pids[0], signal.SIGSTOP)
        if kind == "S":
            frozen_pids.append(conn.info.backend_pid)

    with (
        Proxy(socket_of(database.server), on_message=freeze) as proxy,
        database.target(database_url=proxy.url(database.name)) as target,
        connect(target) as conn,
    ):
        try:
            health = check_connection(conn, target)
        finally:
            os.kill(frozen_pids[0], signal.SIGCONT)
    assert health.database == "connected"
    status = {c.name: c.status for c in health.checks}
    assert status["server-version"] == "ok"
    assert status["latency"] == "degraded"
    assert status["connections"] == "unknown"
    wait_for_no_sessions(database)


# --- gone -----------------------------------------------------------------------------------------


def test_no_server_is_a_result_with_its_reason(database: Database) -> None:
    settings = database.settings(database_url="postgresql://x@127.0.0.1:1/x")
    health = check_health(settings)
    assert (health.status, health.database, health.latency_ms) == ("error", "disconnected", None)
    (check,) = health.checks
    assert (check.name, check.status) == ("connection", "error")
    assert "Connection refused" in check.message
    assert health.error
    assert health.error.exit is Exit.UNREACHABLE


def test_a_watch_survives_a_restart_of_the_connection(database: Database) -> None:
    with database.target() as target, HealthWatch(target) as watch:
        first = watch.check()
        assert first.check("connection")
        second = watch.check()
        assert second.check("connection") is None  # the same connection
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        assert watch.check().database == "disconnected"
        assert watch.check().database == "connected"


def test_a_watch_is_not_ended_by_a_timeout_for_idle_sessions(database: Database) -> None:
    database.execute(
        f"ALTER DATABASE {database.name} SET idle_session_timeout = '50ms'; "
        f"ALTER DATABASE {database.name} SET statement_timeout = '20ms'"
    )
    with database.target() as target, HealthWatch(target) as watch:
        assert watch.check().check("connection")
        database.execute("SET statement_timeout = 0; SELECT pg_sleep(0.3)")
        second = watch.check()
    assert (second.database, second.check("connection")) == ("connected", None)  # the same one


# --- the version, the pool ------------------------------------------------------------------------


def test_a_version_that_is_too_old_is_an_error(database: Database) -> None:
    check = check_of(database, "server-version")
    assert row_of(check) == ("ok", database.server.version, 14)
    old = check_of(database, "server-version", server_version__error="99")
    assert row_of(old)[::2] == ("error", 99)
    assert "upgrade" in old.hint


def test_a_pool_whose_clients_wait_is_degraded(database: Database) -> None:
    settings = database.settings()
    with ConnectionPool[psycopg.Connection](
        database.url, min_size=1, max_size=1, open=True
    ) as pool:
        pool.wait()
        health = check_health(settings, pool=pool)
        quiet = health.check("pool")
        assert quiet
        assert row_of(quiet) == ("ok", 0, 0)
        with pool.connection():
            waiter = Thread(target=lambda: pool.putconn(pool.getconn(30)))
            waiter.start()
            while not pool.get_stats().get("requests_waiting"):
                time.sleep(0.001)
            busy = check_health(settings, pool=pool).check("pool")
        waiter.join()
    assert busy
    assert row_of(busy) == ("degraded", 1, 0)
    assert busy.message == "1 request waits for a connection of the pool; 1 of 1 are in use"


@pytest.mark.quick
def test_a_pool_is_healthy_while_its_database_answers(database: Database) -> None:
    answering = Event()
    answering.set()
    with Proxy(socket_of(database.server), on_message=lambda *_: answering.wait(60)) as proxy:
        settings = database.settings(database_url=proxy.url(database.name))
        with open_target(settings) as target, open_pool(target) as pool:
            assert is_healthy(pool, timeout_s=60)
            answering.clear()
            assert not is_healthy(pool, timeout_s=0.5)
            answering.set()
            assert is_healthy(pool, timeout_s=60)
    assert not is_healthy(pool)  # it is closed


# --- through a pooler; without privileges ---------------------------------------------------------


@pytest.mark.skipif(not PGBOUNCER, reason="there is no PgBouncer")
def test_through_a_pooler_the_health_is_the_same_and_no_setting_stays(database: Database) -> None:
    allow_owner_login(database.server)
    with pooled(database, size=1) as pooler:
        health = health_of(database, url=pooler.url(database.name))
        names = [check.name for check in health_of(database).checks]
        assert sorted(c.name for c in health.checks) == sorted(names)
        assert not [c for c in health.checks if c.status == "unknown"]
        with psycopg.connect(pooler.url(database.name)) as conn:
            assert conn.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)


def test_a_role_with_nothing_but_connect_never_makes_a_check_fail(database: Database) -> None:
    with as_nobody(database) as url:
        health = health_of(database, url=url)
    assert health.ok
    unknown = [check for check in health.checks if check.status == "unknown"]
    assert {c.name for c in unknown} == {
        "longest-transaction",
        "replication-lag",
        "replication-lag-bytes",
    }
    assert all(c.hint.startswith("to see it: GRANT pg_monitor TO ") for c in unknown)
    assert not [c for c in health.checks if "failed" in c.message]


# --- names and bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ['Schema "x"', "{schema}", "100%", "a'b\\", "ä b", "{}"])
def test_any_name_of_a_schema_can_be_checked(
    name: str, project: Project, database: Database
) -> None:
    quoted = name.replace('"', '""')
    database.execute(f'CREATE SCHEMA "{quoted}"')
    project.write_tables(1)
    settings = database.settings(schema=name, dir=str(project.sql))
    with project.migrator(database, schema=name) as migrator:
        migrator.up()
    health = check_health(settings, thresholds={"latency": "1h", "connection": "1h"})
    assert {check.status for check in health.checks} == {"ok"}, health


def test_text_that_is_not_utf8_does_not_make_a_check_fail(server: Server) -> None:
    """A database with the encoding SQL_ASCII accepts any bytes, also as the text of a query."""
    name = "health_ascii"
    server.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    database = Database(server, name)
    try:
        with database.connect(client_encoding="SQL_ASCII") as conn:
            conn.pgconn.exec_(b"BEGIN; SELECT '\xff'")
            check = check_of(database, "longest-transaction")
        assert check.status == "ok"
    finally:
        database.drop()
