"""Connections, transactions and locks: who holds what, since when, and how to end it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

import psycopg
import pytest

from chatdb_cli.postgres.quoting import Quoting
from tests.support.database import Database, wait_for_session
from tests.support.health import as_nobody, check_of, row_of


@contextmanager
def blocked(database: Database) -> Iterator[tuple[int, int]]:
    """Yield the pids of a session that holds a lock, and of one that waits for it."""
    database.execute("CREATE TABLE t (password text)")
    with database.connect(application_name="web") as holder, database.connect() as waiter:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE t /* password 'hunter2' */")
        thread = Thread(target=waiter.execute, args=("SELECT FROM t",))
        thread.start()
        wait_for_session(database, f"pid = {waiter.info.backend_pid} AND wait_event_type = 'Lock'")
        try:
            yield holder.info.backend_pid, waiter.info.backend_pid
        finally:
            holder.execute("ROLLBACK")
            thread.join()


# --- connections ----------------------------------------------------------------------------------


def test_connections_are_counted_against_those_that_ordinary_roles_may_open(
    small: Database,
) -> None:
    """max_connections is 10, and 3 of them are for superusers."""
    assert check_of(small, "connections").status == "ok"
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(small.connect())
        check = check_of(small, "connections")
        assert row_of(check) == ("degraded", 86, 80)
        assert check.message == "6 of 7 connections are used"
        idle = stack.enter_context(small.connect())
        idle.execute("BEGIN")
        check = check_of(small, "connections")
        assert row_of(check) == ("error", 100, 95)
        assert check.message == "7 of 7 connections are used, 1 of them idle in a transaction"
        assert "max_connections" in check.hint


def test_a_role_that_may_only_connect_can_count_the_connections(database: Database) -> None:
    with as_nobody(database) as url, database.connect():
        check = check_of(database, "connections", url=url, connections="0")
    assert check.status == "degraded"
    assert int(re.findall("[0-9]+", check.message)[0]) >= 3


# --- transactions ---------------------------------------------------------------------------------


def test_the_longest_transaction_is_named_with_its_session_and_its_query(
    database: Database,
) -> None:
    quiet = check_of(database, "longest-transaction")
    assert row_of(quiet) == ("ok", 0, 300_000)
    with database.connect(application_name="report") as first, database.connect() as second:
        pid = first.info.backend_pid
        first.execute("BEGIN")
        first.execute("SELECT 1 /* password 'hunter2' */")
        second.execute("BEGIN")
        assert check_of(database, "longest-transaction").status == "ok"
        check = check_of(database, "longest-transaction", longest_transaction="0s")
        error = check_of(database, "longest-transaction", longest_transaction__error="0s")
    assert (check.status, check.threshold) == ("degraded", 0)
    assert (error.status, error.threshold) == ("error", 0)
    assert f": pid {pid} (report, user postgres, idle in transaction): SELECT 1 " in check.message
    assert "hunter2" not in check.message
    assert f"SELECT pg_terminate_backend({pid})" in check.hint


@pytest.mark.parametrize(
    "name", ["longest-transaction", "replication-lag", "replication-lag-bytes"]
)
def test_what_a_role_may_not_see_is_unknown_with_the_grant_that_shows_it(
    name: str, database: Database
) -> None:
    with as_nobody(database) as url:
        check = check_of(database, name, url=url)
        assert (check.status, check.value) == ("unknown", None)
        assert "role 'health_nobody' may not see" in check.message
        database.execute(check.hint.partition(": ")[2])
        assert check_of(database, name, url=url).status == "ok"


def test_a_prepared_transaction_is_named_with_the_command_that_ends_it(small: Database) -> None:
    assert check_of(small, "prepared-transactions").value == 0
    with small.connect() as conn:
        conn.execute("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'it''s'")
    check = check_of(small, "prepared-transactions", prepared_transactions__error="0s")
    assert (check.status, check.threshold) == ("error", 0)
    assert "of role postgres is prepared" in check.message
    small.execute(check.hint.rpartition(": ")[2])
    assert check_of(small, "prepared-transactions").value == 0


# --- locks ----------------------------------------------------------------------------------------


def test_blocked_sessions_are_counted_and_the_one_that_blocks_them_is_named(
    database: Database,
) -> None:
    assert check_of(database, "blocked-sessions").value == 0
    with blocked(database) as (holder, waiter):
        check = check_of(database, "blocked-sessions", blocked_sessions="0s")
        error = check_of(database, "blocked-sessions", blocked_sessions__error="0s")
        with as_nobody(database) as url:
            poor = check_of(database, "blocked-sessions", url=url, blocked_sessions="0s")
    assert (check.status, error.status, poor.status) == ("degraded", "error", "degraded")
    assert f"1 session waits for a lock, pid {waiter} for " in check.message
    assert (
        f"; blocked by pid {holder} (web, user postgres, idle in transaction): LOCK"
        in check.message
    )
    assert "hunter2" not in check.message
    assert f"SELECT pg_terminate_backend({holder})" in check.hint
    assert f"; blocked by pid {holder} (web, user postgres)" in poor.message  # the rest is hidden


def test_a_prepared_transaction_that_blocks_is_named_as_one(small: Database) -> None:
    small.execute("CREATE TABLE t ()")
    small.execute("BEGIN; LOCK TABLE t; PREPARE TRANSACTION 'forgotten'")
    with small.connect() as waiter:
        thread = Thread(target=waiter.execute, args=("SELECT FROM t",))
        thread.start()
        wait_for_session(small, f"pid = {waiter.info.backend_pid} AND wait_event_type = 'Lock'")
        check = check_of(small, "blocked-sessions", blocked_sessions="0s")
        small.execute("ROLLBACK PREPARED 'forgotten'")
        thread.join()
    assert "blocked by a prepared transaction" in check.message
    assert "ROLLBACK PREPARED" in check.hint


# --- another migrator -----------------------------------------------------------------------------


def hold_migration_lock(conn: psycopg.Connection[Any], schema: str = "public") -> None:
    conn.execute(f"SELECT pg_advisory_lock({Quoting(conn, schema).session_key})")


def test_another_migrator_at_work_is_named_with_its_age(database: Database) -> None:
    assert check_of(database, "migrator").message == "no migrator is at work"
    with database.connect(application_name="chatdb 0123abcd") as conn:
        pid = conn.info.backend_pid
        hold_migration_lock(conn, "other")
        assert check_of(database, "migrator").value == 0
        hold_migration_lock(conn)
        assert check_of(database, "migrator").status == "ok"  # it may work for ten minutes
        check = check_of(database, "migrator", migrator="0s")
        with as_nobody(database) as url:
            poor = check_of(database, "migrator", url=url)
    assert check.status == "degraded"
    assert f": pid {pid} (chatdb 0123abcd, user postgres" in check.message
    assert (poor.status, poor.value) == ("unknown", None)
    assert poor.message.startswith(f"a migrator is at work (pid {pid}); ")
    assert "GRANT pg_monitor" in poor.hint
