"""The server as a whole: replication, the NOTIFY queue, transaction IDs, the cache."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.health import as_nobody, check_of, health_of, row_of
from tests.support.servers import Server, allow_logins
from tests.support.standby import copied


def test_the_lag_of_a_standby_is_seen_from_both_sides(database: Database, server: Server) -> None:
    """Its replay is paused, and the primary writes on."""
    alone = check_of(database, "replication-lag")
    assert (alone.status, alone.value, alone.message) == ("ok", 0, "no standby is connected")
    database.execute("CREATE TABLE t (a int)")
    with allow_logins(server, "local replication postgres trust"), copied(server) as standby:
        standby.start(hot=True)
        url = standby.url(database.name)
        names = ("replication-lag", "replication-lag-bytes")
        healthy = health_of(database, url=url)
        assert {c.name for c in healthy.checks if c.status != "ok"} == {"pending-migrations"}
        assert {c.status for c in healthy.checks if c.name in names} == {"ok"}
        _wait_for(lambda: "1 standby is connected" in check_of(database, names[0]).message)
        with database.connect() as primary, psycopg_connect(url) as replica:
            replica.execute("SELECT pg_wal_replay_pause()")
            primary.execute("INSERT INTO t SELECT generate_series(1, 10000)")
            _wait_for(
                lambda: (
                    check_of(database, names[1], replication_lag_bytes="10kB").status == "degraded"
                )
            )
            _wait_for(
                lambda: (
                    check_of(database, names[1], url=url, replication_lag_bytes="10kB").status
                    == "degraded"
                )
            )
            paused = check_of(database, names[0], url=url, replication_lag="0s")
            assert paused.status == "degraded"
            assert paused.message.startswith("replay is paused on this standby, ")
            replica.execute(paused.hint.partition(" continues")[0])
        _wait_for(lambda: check_of(database, names[1], url=url).value == 0)
        standby.stop()
        _wait_for(lambda: check_of(database, names[0]).message == "no standby is connected")


def psycopg_connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True)


def _wait_for(condition: Any) -> None:
    paused = threading.Event()
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        paused.wait(0.1)


def test_a_replication_slot_without_a_consumer_holds_back_the_log(small: Database) -> None:
    assert check_of(small, "replication-slots").value == 0
    small.execute("SELECT pg_create_physical_replication_slot('gone', true)")
    try:
        small.execute("CREATE TABLE t AS SELECT generate_series(1, 10000)")
        with as_nobody(small) as url:  # creating the role writes to the log
            check = check_of(small, "replication-slots", replication_slots="1kB")
            assert check_of(small, "replication-slots", url=url).message == check.message
        assert check.status == "degraded"
        assert check.message.startswith("replication slot 'gone' (without a consumer) holds back ")
    finally:
        small.execute("SELECT pg_drop_replication_slot('gone')")
    assert check.hint.endswith("SELECT pg_drop_replication_slot('gone')")


def test_the_notify_queue_fills_while_a_listener_does_not_read(small: Database) -> None:
    assert row_of(check_of(small, "notify-queue")) == ("ok", 0, 10)
    with small.connect() as listener, small.connect() as writer:
        listener.execute("LISTEN here")
        listener.execute("BEGIN")
        listener.execute("SELECT 1")
        # A notification of this size takes a page; 800 of a million pages are rounded to 0.1 %.
        fill = (
            "SELECT count(pg_notify('here', n || repeat('x', 7000))) FROM generate_series(1, 800) n"
        )
        writer.execute(fill)
        check = check_of(small, "notify-queue", notify_queue="0%")
        with as_nobody(small) as url:
            assert check_of(small, "notify-queue", url=url) == check_of(small, "notify-queue")
        listener.execute("ROLLBACK")
    assert (check.status, check.value) == ("degraded", 0.1)
    assert "long transaction" in check.hint


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({}, "ok"),
        ({"xid_age": "1"}, "degraded"),
        ({"xid_age": "1", "xid_age__error": "2"}, "error"),
    ],
)
def test_the_age_of_the_oldest_transaction_id_is_compared_with_both_limits(
    limits: dict[str, str], status: str, database: Database
) -> None:
    for _ in range(3):
        database.execute("SELECT pg_current_xact_id()")
    check = check_of(database, "xid-age", **limits)
    assert check.status == status
    assert check.value
    assert "VACUUM FREEZE" in check.hint or status == "ok"


def test_the_cache_is_judged_once_enough_blocks_were_read(small: Database) -> None:
    """The table is 30 times as large as shared_buffers; each block has one row."""
    few = check_of(small, "cache-hit-ratio")
    assert few.status == "ok"
    assert "only" in few.message
    small.execute("CREATE TABLE t (a text); ALTER TABLE t ALTER a SET STORAGE PLAIN")
    small.execute("INSERT INTO t SELECT repeat('x', 8000) FROM generate_series(1, 3600)")
    small.execute("DO $$ BEGIN FOR i IN 1..30 LOOP PERFORM count(*) FROM t; END LOOP; END $$")
    check = check_of(small, "cache-hit-ratio")
    assert (check.status, check.threshold) == ("degraded", 90)
    assert check.value is not None
    assert check.value < 50
    assert "shared_buffers" in check.hint
    assert check_of(small, "cache-hit-ratio", cache_hit_ratio="0.1%").status == "ok"
