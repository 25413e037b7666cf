"""Which changes are events: tables of cases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.chat_events import (
    ADA,
    BOB,
    CAT,
    FILE,
    HALL,
    HI,
    INSERT_MESSAGES,
    INSERT_STATUS,
    NEW,
    NEWER,
    NOTE,
    ON_STATUS_CONFLICT,
    ROOM,
    TABLES,
    THUMB,
    TOUCH,
    YO,
    Conn,
    Events,
    insert,
)
from tests.support.servers import on_first_server

# Keys, and what the event has in columns of its own: row_id, channel_id, user_id.
KEYS = {"id", "channel_id", "user_id", "message_id", "created_by", "direct_low", "direct_high"}


@on_first_server
@pytest.mark.parametrize("name", TABLES)
def test_each_column_of_a_logged_table_is_known_to_matter_or_not(chat: Conn, name: str) -> None:
    columns = {
        row[0]
        for row in chat.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [name]
        )
    }
    table = TABLES[name]
    named = table.matters.keys() | table.silent.keys() | TOUCH.keys() | KEYS | {"deleted_at"}
    assert columns <= named, "say in TABLES whether a change of the new column is an event"


@pytest.mark.parametrize("name", TABLES)
def test_an_insert_and_a_delete_write_one_event_a_row(
    log: Callable[..., Events], name: str
) -> None:
    table = TABLES[name]
    assert log(insert(name, table.row)) == [(name, "insert", *table.new)]
    (gone,) = [e for e in log(f"DELETE FROM {name} WHERE {table.key}") if e[0] == name]
    assert gone == (name, "delete", *table.event)


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, t in TABLES.items() for c in t.matters])
def test_a_change_that_matters_writes_an_event(
    log: Callable[..., Events], name: str, column: str
) -> None:
    table = TABLES[name]
    change = f"UPDATE {name} SET {column} = {table.matters[column]} WHERE {table.key}"
    assert log(change) == [(name, "update", *table.event)]
    assert log(change) == [], "the second time nothing changes"


@pytest.mark.parametrize(
    ("name", "column"),
    [("channels", "description"), ("channel_members", "muted_until"), ("notifications", "read_at")],
)
def test_a_change_to_null_or_from_null_writes_an_event(
    log: Callable[..., Events], name: str, column: str
) -> None:
    table = TABLES[name]
    for other in (table.matters[column], "NULL"):
        change = f"UPDATE {name} SET {column} = {other} WHERE {table.key}"
        assert log(change) == [(name, "update", *table.event)]


@pytest.mark.parametrize("name", TABLES)
def test_a_heartbeat_or_a_read_marker_alone_writes_no_event(
    chat: Conn, log: Callable[..., Events], name: str
) -> None:
    table = TABLES[name]
    columns = [row[0] for row in chat.execute(f"SELECT * FROM {name}").description or ()]
    for column, other in (TOUCH | table.silent).items():
        if column in columns:
            assert log(f"UPDATE {name} SET {column} = {other} WHERE {table.key}") == [], column


@pytest.mark.parametrize("name", TABLES)
def test_a_statement_that_changes_nothing_writes_no_event(
    log: Callable[..., Events], name: str
) -> None:
    table = TABLES[name]
    column = next(iter(table.matters))
    assert log(insert(name, table.row)) != []
    assert (
        log(
            f"INSERT INTO {name} SELECT * FROM {name} WHERE false",
            f"UPDATE {name} SET {column} = {table.matters[column]} WHERE false",
            f"UPDATE {name} SET {column} = {column}",
            f"DELETE FROM {name} WHERE false",
            insert(name, table.row, " ON CONFLICT DO NOTHING"),
        )
        == []
    )


MERGE = (
    f"MERGE INTO user_status u USING (VALUES ('{ADA}', 'busy'), ('{BOB}', 'away')) v (id, status)"
    " ON u.user_id = v.id WHEN MATCHED THEN UPDATE SET status = v.status"
    " WHEN NOT MATCHED THEN INSERT (user_id, status) VALUES (v.id, v.status)"
)
MEMBER = ("channel_members", "update", f"{HALL}:{ADA}", HALL, ADA)


def message(op: str, row: str, channel: str = HALL) -> tuple[str, ...]:
    return ("messages", op, row, channel, ADA)


def status(op: str, person: str) -> tuple[str | None, ...]:
    return ("user_status", op, person, None, person)


# Statements, and their events in any order.  A row deleted with its message does not know the
# channel any more: the event of the message has it.
CASES: dict[str, tuple[str, Events]] = {
    "many rows": (
        f"{INSERT_MESSAGES} ('{NEW}', '{HALL}', '{ADA}', 'a'), ('{NEWER}', '{ROOM}', '{ADA}', 'b')",
        [message("insert", NEW), message("insert", NEWER, ROOM)],
    ),
    "many rows, one of them changed": (
        f"UPDATE messages SET content = CASE id WHEN '{HI}' THEN 'Ho' ELSE content END",
        [message("update", HI)],
    ),
    "all rows changed": (
        "UPDATE messages SET content = 'read'",
        [message("update", HI), message("update", YO)],
    ),
    "a soft delete": (
        f"UPDATE messages SET deleted_at = now() WHERE id = '{HI}'",
        [message("delete", HI)],
    ),
    "some deleted, some changed": (
        f"UPDATE messages SET content = 'read', deleted_at = CASE id WHEN '{YO}' THEN now() END",
        [message("update", HI), message("delete", YO)],
    ),
    "a soft delete undone": (
        f"UPDATE messages SET deleted_at = now() WHERE id = '{HI}';"
        "UPDATE messages SET deleted_at = NULL",
        [message("delete", HI), message("update", HI)],
    ),
    "a soft delete of a channel": (
        f"UPDATE channels SET deleted_at = now() WHERE id = '{HALL}'",
        [("channels", "delete", HALL, HALL, ADA)],
    ),
    "a message with all that hangs on it": (
        f"DELETE FROM messages WHERE id = '{HI}'",
        [
            message("delete", HI),
            ("reactions", "delete", THUMB, None, BOB),
            ("message_reads", "delete", f"{HI}:{BOB}", None, BOB),
            ("message_deliveries", "delete", f"{HI}:{BOB}", None, BOB),
            ("files", "delete", FILE, None, ADA),
        ],
    ),
    "a message that another answers": (
        f"UPDATE messages SET reply_to_id = '{YO}' WHERE id = '{HI}';"
        f"DELETE FROM messages WHERE id = '{YO}'",
        [message("update", HI), message("update", HI), message("delete", YO)],
    ),
    "a user with what only they have": (
        "INSERT INTO notifications (id, user_id, type) VALUES"
        f" ('{NEW}', '{CAT}', 'news'); DELETE FROM users WHERE id = '{CAT}'",
        [
            *[("notifications", op, NEW, None, CAT) for op in ("insert", "delete")],
            ("users", "delete", CAT, None, CAT),
        ],
    ),
    "a soft delete of a user": (
        f"UPDATE users SET deleted_at = now() WHERE id = '{CAT}'",
        [("users", "delete", CAT, None, CAT)],
    ),
    "a channel's creator who is set NULL": (
        f"UPDATE channels SET created_by = NULL WHERE id = '{ROOM}'",
        [("channels", "update", ROOM, ROOM, None)],
    ),
    "a change and back in two statements": (
        f"UPDATE messages SET content = 'read' WHERE id = '{HI}';"
        f"UPDATE messages SET content = 'Hi' WHERE id = '{HI}'",
        [message("update", HI), message("update", HI)],
    ),
    "a row that comes and goes": (
        f"{INSERT_MESSAGES} ('{NEW}', '{HALL}', '{ADA}', 'a'); DELETE FROM messages WHERE id = '{NEW}'",
        [message("insert", NEW), message("delete", NEW)],
    ),
    "a savepoint rolled back": (
        f"SAVEPOINT s; UPDATE messages SET content = 'read'; ROLLBACK TO s;"
        f"UPDATE messages SET content = 'read' WHERE id = '{HI}'",
        [message("update", HI)],
    ),
    "ON CONFLICT DO UPDATE, there": (
        f"{INSERT_STATUS} ('{ADA}', 'away') {ON_STATUS_CONFLICT}",
        [status("update", ADA)],
    ),
    "ON CONFLICT DO UPDATE, a heartbeat": (
        f"{INSERT_STATUS} ('{ADA}', 'online') {ON_STATUS_CONFLICT}",
        [],
    ),
    "ON CONFLICT DO UPDATE, new": (
        f"{INSERT_STATUS} ('{BOB}', 'away') {ON_STATUS_CONFLICT}",
        [status("insert", BOB)],
    ),
    "ON CONFLICT DO UPDATE, both": (
        f"{INSERT_STATUS} ('{ADA}', 'away'), ('{BOB}', 'away') {ON_STATUS_CONFLICT}",
        [status("update", ADA), status("insert", BOB)],
    ),
    "ON CONFLICT DO UPDATE that its WHERE forbids": (
        f"{INSERT_STATUS} ('{ADA}', 'away') {ON_STATUS_CONFLICT} WHERE false",
        [],
    ),
    "two changes in one statement": (
        f"WITH a AS (UPDATE messages SET content = 'read' WHERE id = '{HI}' RETURNING *),"
        f" b AS (DELETE FROM notifications RETURNING *) {INSERT_STATUS} ('{BOB}', 'busy')",
        [
            message("update", HI),
            ("notifications", "delete", NOTE, None, ADA),
            status("insert", BOB),
        ],
    ),
    "COPY": ("COPY user_status (user_id) FROM PROGRAM 'echo " + BOB + "'", [status("insert", BOB)]),
    "joining a group counts its members": (
        f"INSERT INTO channels (id, type, name, created_by) VALUES ('{NEW}', 'group', 'g', '{ADA}');"
        f"INSERT INTO channel_members (channel_id, user_id) VALUES ('{NEW}', '{ADA}')",
        [
            ("channels", "insert", NEW, NEW, ADA),
            ("channel_members", "insert", f"{NEW}:{ADA}", NEW, ADA),
        ],
    ),
    "typing": (
        "INSERT INTO typing_indicators (channel_id, user_id, expires_at)"
        f" VALUES ('{HALL}', '{ADA}', now());"
        "UPDATE typing_indicators SET expires_at = now() + '5s'; DELETE FROM typing_indicators",
        [],
    ),
    "operation: request_friend locks two users and changes none": (
        f"INSERT INTO relationships (id, user_id, related_user_id, type) VALUES"
        f" ('{NEW}', '{CAT}', '{BOB}', 'friend'); SELECT request_friend('{CAT}', '{BOB}')",
        [("relationships", "insert", NEW, None, CAT)],
    ),
    "operation: touch_last_seen": (f"SELECT touch_last_seen('{ADA}')", []),
    "operation: set_presence": (f"SELECT set_presence('{ADA}', 'busy')", [status("update", ADA)]),
    "operation: set_presence, the same": (f"SELECT set_presence('{ADA}', 'online')", []),
    "operation: start_typing": (f"SELECT start_typing('{HALL}', '{ADA}')", []),
    "operation: delete_message": (
        f"SELECT delete_message('{HI}', '{ADA}')",
        [message("delete", HI)],
    ),
    "operation: delete_message, the second time": (
        f"SELECT delete_message('{HI}', '{ADA}'); SELECT delete_message('{HI}', '{ADA}')",
        [message("delete", HI)],
    ),
    "operation: edit_message": (
        f"SELECT edit_message('{HI}', '{ADA}', 'Ho')",
        [message("update", HI)],
    ),
    "operation: mark_read moves the marker and writes a receipt": (
        f"SELECT mark_read('{YO}', '{ADA}')",
        [("message_reads", "insert", f"{YO}:{ADA}", HALL, ADA)],
    ),
    "operation: mark_read, the second time": (
        f"SELECT mark_read('{YO}', '{ADA}'); SELECT mark_read('{YO}', '{ADA}')",
        [("message_reads", "insert", f"{YO}:{ADA}", HALL, ADA)],
    ),
}
ON_15 = {
    "MERGE": (MERGE, [status("update", ADA), status("insert", BOB)]),
    "MERGE that does nothing": (MERGE.replace("UPDATE SET status = v.status", "DO NOTHING")
        .replace("INSERT (user_id, status) VALUES (v.id, v.status)", "DO NOTHING"), []),
    "MERGE with a delete": (
        f"MERGE INTO user_status u USING (VALUES ('{ADA}')) v (id) ON u.user_id = v.id"
        " WHEN MATCHED THEN DELETE",
        [status("delete", ADA)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES | ON_15)
def test_each_statement_writes_the_documented_events(
    chat: Conn, log: Callable[..., Events], case: str
) -> None:
    if case in ON_15 and chat.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    done, expected = (CASES | ON_15)[case]
    assert sorted(log(done), key=str) == sorted(expected, key=str)


@on_first_server
def test_a_hard_delete_writes_an_event_where_soft_deletes_are_off(
    log: Callable[..., Events],
) -> None:
    events = log(
        "SELECT set_config('chat.soft_delete', 'off', true)",
        f"SELECT delete_message('{YO}', '{ADA}')",
    )
    assert events == [message("delete", YO)]
