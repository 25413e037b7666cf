"""Notifications of new events."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from psycopg import sql

from tests.support.chat_events import (
    ADA,
    EDIT_MESSAGE,
    HALL,
    HI,
    INSERT_MESSAGES,
    INSERT_STATUS,
    MODES,
    NEW,
    ON_STATUS_CONFLICT,
    PAUSE,
    ROOM,
    SEND_MESSAGE,
    Conn,
    assert_cursor_refused,
    assert_fails,
    cursor_now,
    migrate,
    read_all_pages,
    value,
)
from tests.support.database import Database
from tests.support.servers import Server, on_first_server


def rung(listener: Conn) -> list[dict[str, Any]]:
    """Return the notifications up to now: all before a marker that the listener sends itself."""
    payloads: list[str] = []
    listener.execute("NOTIFY chat_events, 'end'")
    for told in listener.notifies(timeout=60):
        if told.payload == "end":
            break
        payloads.append(told.payload)
    return [json.loads(payload) for payload in payloads]


SITTING = "SELECT (date_part('epoch', clock_timestamp()) * 50)::bigint"


def test_a_notification_says_what_has_changed_and_no_more(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        some = "CASE id WHEN %s THEN 'read' ELSE content END"  # updates all rows, and changes one
        for statement, table, op, channel, ids in (
            (f"{INSERT_MESSAGES} ('{NEW}', '{HALL}', '{ADA}', 'a')", "messages", "insert", HALL, [NEW]),
            (f"UPDATE messages SET content = {some}", "messages", "update", HALL, [NEW]),
            ("UPDATE messages SET deleted_at = now() WHERE id = %s", "messages", "delete", HALL, [NEW]),
            ("DELETE FROM messages WHERE id = %s", "messages", "delete", HALL, [NEW]),
            ("UPDATE channels SET name = name || %s", "channels", "update", None, [HALL, ROOM]),
            (f"{INSERT_STATUS} ('{ADA}', 'busy') {ON_STATUS_CONFLICT}", "user_status", "update", None,
             [ADA]),
        ):  # fmt: skip
            conn.execute(PAUSE)
            conn.execute(statement, [NEW] if "%s" in statement else None)
            (notification,) = rung(listener)
            notification["ids"].sort()
            expected = {"v": 1, "schema": "public", "table": table, "op": op}
            assert notification == expected | {"channel_id": channel, "ids": ids, "more": False}


def test_changes_that_are_not_events_or_are_rolled_back_send_no_notification(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        conn.execute(PAUSE)
        conn.execute("UPDATE messages SET updated_at = now()")
        conn.execute(f"SELECT touch_last_seen('{ADA}')")
        with conn.transaction(force_rollback=True):
            conn.execute(SEND_MESSAGE)
        assert rung(listener) == []


def test_typing_sends_a_notification_and_writes_no_event(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        for _ in range(2):
            conn.execute(PAUSE)
            conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        notifications = rung(listener)
        assert [(s["table"], s["channel_id"], s["ids"]) for s in notifications] == [
            ("typing_indicators", HALL, [f"{HALL}:{ADA}"])
        ] * 2
        assert value(conn, "SELECT count(*) FROM events") == 0


@pytest.mark.parametrize("table", MODES)
def test_the_session_decides_when_to_notify_else_the_table(
    database: Database, listener: Conn, table: str
) -> None:
    """Other sessions, which write all the time in the mode of the table, have no effect on it."""
    with database.connect() as conn, database.connect() as other:
        conn.execute("SELECT set_notify_mode(%s)", [table])
        for session in (None, "", *MODES, "EVERY", "bogus", "'; --"):
            if session is not None:
                conn.execute("SELECT set_config('chat.notify', %s, false)", [session])
            begin = value(conn, SITTING)
            for _ in range(20):
                other.execute(EDIT_MESSAGE, [HI])
                conn.execute(f"{INSERT_STATUS} ('{ADA}', 'away') {ON_STATUS_CONFLICT}")
                conn.execute(f"{INSERT_STATUS} ('{ADA}', 'busy') {ON_STATUS_CONFLICT}")
            sittings = value(conn, SITTING) - begin + 1
            tables = [notification["table"] for notification in rung(listener)]
            mine, others = tables.count("user_status"), tables.count("messages")
            assert others == {"every": 20, "off": 0}.get(table, others), session
            mode = session or table
            if mode == "every":
                assert mine == 40, session
            elif mode == "off":
                assert mine == 0, session
            elif table == "doorbell":
                assert 1 <= mine + others <= sittings, session
            else:  # the only one that notifies once in 20 ms: the other modes do not silence it
                assert 1 <= mine <= 40, session
            conn.execute(PAUSE)


@on_first_server
def test_an_unknown_notification_mode_is_refused(database: Database) -> None:
    with database.connect() as conn:
        assert_fails(conn, "23514", "SELECT set_notify_mode('loud')")
        assert_fails(conn, "23502", "SELECT set_notify_mode(NULL)")


def test_one_notification_is_sent_in_20_ms_whatever_the_load(
    database: Database, listener: Conn
) -> None:
    def write() -> None:
        with database.connect() as conn:
            for _ in range(150):
                conn.execute(SEND_MESSAGE)

    with database.connect() as conn:
        begin = value(conn, SITTING)
        threads = [threading.Thread(target=write) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(rung(listener)) <= value(conn, SITTING) - begin + 1


@on_first_server
def test_statements_of_one_session_notify_once_in_20_ms(database: Database, listener: Conn) -> None:
    with database.connect() as conn:
        begin = value(conn, SITTING)
        for _ in range(100):
            conn.execute("SELECT ring_doorbell('messages', 'insert', '{1}', '{1}')")
        assert 1 <= len(rung(listener)) <= value(conn, SITTING) - begin + 1


def test_a_transaction_that_stays_open_after_notifying_does_not_silence_others(
    database: Database, listener: Conn
) -> None:
    """Whether it is idle, or continues to write for more intervals than there are advisory lock keys."""
    with database.connect() as conn, database.connect() as idle, database.connect() as busy:
        idle.execute("BEGIN")
        idle.execute(SEND_MESSAGE)
        busy.execute("BEGIN")
        begin = value(conn, SITTING)
        while value(conn, SITTING) < begin + 70:
            busy.execute(SEND_MESSAGE)
        assert value(conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") <= 2
        count = 0
        for _ in range(10):
            conn.execute(PAUSE)
            conn.execute(SEND_MESSAGE)
            count += len(rung(listener))
        assert count >= 8, "all but the few whose lock key one of the two holds"
        busy.execute("COMMIT")
        assert len(rung(listener)) == 1


def test_a_notification_that_a_savepoint_rolled_back_does_not_count(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("SAVEPOINT s")
        conn.execute(SEND_MESSAGE)
        conn.execute("ROLLBACK TO s")
        conn.execute(PAUSE)
        conn.execute(SEND_MESSAGE)
        conn.execute("COMMIT")
        assert len(rung(listener)) == 1


@on_first_server
def test_mode_every_notifies_for_each_statement_up_to_ten_and_then_says_more(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        conn.execute("SELECT set_notify_mode('every')")
        for statements in (1, 3, 12):
            with conn.transaction():
                for _ in range(statements):
                    conn.execute(SEND_MESSAGE)
            notifications = rung(listener)
            assert len(notifications) == min(statements, 10)
            assert [s["more"] for s in notifications] == [False] * min(statements, 9) + [True] * (
                statements > 9
            )


def test_each_listener_is_notified_and_reads_for_itself(database: Database) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(database.connect()) for _ in range(4)]
        conn = stack.enter_context(database.connect())
        for one in listeners:
            one.execute("LISTEN chat_events")
        begin = cursor_now(conn)
        conn.execute(PAUSE)
        conn.execute(SEND_MESSAGE)
        for one in listeners:
            assert len([s for s in rung(one) if s]) == 1
            assert len(read_all_pages(one, begin)) == 1
            one.execute("UNLISTEN *")


# 63 bytes that must be quoted in SQL, in JSON, or both.
HOSTILE = ('"' + "'" + "\\" + "\x01" * 9 + "a b.é")[:20].ljust(62, '"')


@on_first_server
def test_a_payload_is_valid_and_short_whatever_is_in_it(server: Server) -> None:
    database = server.create()
    with database.connect() as conn, database.connect() as listener:
        name = sql.Identifier(HOSTILE)
        assert len(HOSTILE.encode()) == 63
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        migrate(conn, HOSTILE)
        conn.execute(sql.SQL("SET search_path = {}, public").format(name))
        conn.execute(
            "INSERT INTO users (email, username, auth0_id)"
            " SELECT n || '@y', 'user_' || n, n FROM generate_series(1, 100) n"
        )
        conn.execute("SET chat.notify = 'every'")
        listener.execute("LISTEN chat_events")
        conn.execute(
            "INSERT INTO channel_members (channel_id, user_id)"
            f" SELECT '{HALL}', id FROM users WHERE auth0_id ~ '^[0-9]'"
        )
        listener.execute("NOTIFY chat_events, 'end'")
        payload = next(iter(listener.notifies(timeout=60))).payload
        document = json.loads(payload)
        assert len(payload.encode()) <= 2000
        assert set(document) == {"v", "schema", "table", "op", "channel_id", "ids", "more"}
        assert document["schema"] == HOSTILE
        assert (len(document["ids"]), document["more"], document["channel_id"]) == (20, True, None)
        assert {len(one) for one in document["ids"]} == {53}
    database.drop()


@on_first_server
def test_two_copies_in_one_database_notify_and_read_separately(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn, database.connect() as other:
        other.execute("CREATE SCHEMA other")
        migrate(other, "other")
        other.execute("SET search_path = other, public")
        cursors = cursor_now(conn), cursor_now(other)
        assert cursors[0].split("|")[0] != cursors[1].split("|")[0]
        rung(listener)
        counts = {"public": 0, "other": 0}
        # Were the limit shared, the copy that writes second would not notify in any window.
        begin = value(conn, SITTING)
        while min(counts.values()) < 3:
            assert value(conn, SITTING) < begin + 3000, (
                "each copy notifies, whatever the other does"
            )
            for connection in (conn, other):
                connection.execute(SEND_MESSAGE)
            for notification in rung(listener):
                counts[notification["schema"]] += 1
        written = [
            value(c, "SELECT count(*) FROM events WHERE op = 'insert' AND row_id !~ '^0{9}'")
            for c in (conn, other)
        ]
        assert [
            len(read_all_pages(c, cursor)) for c, cursor in zip((conn, other), cursors, strict=True)
        ] == written
        assert_cursor_refused(conn, cursors[1])
