"""The rows that a user changes by SQL without a WHERE clause."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from tests.support.chat import (
    FORBIDDEN,
    LATER,
    Conn,
    assert_insert_fails,
    digest,
    insert,
)
from tests.support.chat_security import CLOSED, OPEN, VISIBLE_ROWS, Scene

# User, statement, and the number of changed rows or the SQLSTATE. No statement names a row.
STATEMENTS: list[tuple[str, str, int | str]] = [
    *[("eve", f"DELETE FROM {table}", count) for table, count in {
        "channels": 1, "channel_members": 1, "messages": 1, "message_deliveries": 0,
        "message_reads": 0, "reactions": 0, "files": 1, "typing_indicators": 0,
        "relationships": 0, "notifications": 1, "notification_preferences": 1,
        "refresh_tokens": 1, "sync_state": 1, "user_settings": 1}.items()],
    *[("ousted", f"DELETE FROM {table}", 0) for table in VISIBLE_ROWS
      if table not in ("message_edits", "sessions")],
    *[(who, "DELETE FROM sessions", FORBIDDEN) for who in ("eve", "ousted")],
    # the status moves by receipts and by the operation, also forward, and of one's own messages
    *[(who, f"UPDATE messages SET status = '{status}' WHERE user_id = '{{{who}}}'", FORBIDDEN)
      for who in ("ada", "bob") for status in ("delivered", "read", "error")],
    ("ada", "UPDATE messages SET status = 'error', deleted_at = now() WHERE id = '{second}'", FORBIDDEN),
    ("ada", "UPDATE messages SET status = status, content = 'x' WHERE id = '{first}'", 1),
    *[("eve", f"UPDATE {change}", count) for change, count in {
        "channels SET name = 'x'": 1,
        "channels SET archived_at = now()": 1,
        "channels SET type = type": 1,
        "channel_members SET last_read_message_id = NULL": 1,
        "messages SET content = 'x'": 1,
        "messages SET deleted_at = now()": 1,
        "message_deliveries SET delivered_at = now()": 0,
        "message_reads SET read_at = now()": 0,
        "reactions SET emoji = 'x'": 0,
        "files SET url = 'x'": 1,
        "typing_indicators SET expires_at = now()": 0,
        "relationships SET status = 'rejected'": 0,
        "relationships SET type = 'friend'": 0,
        "notifications SET read_at = now()": 1,
        "notification_preferences SET email = false": 1,
        "sessions SET data = '{}'": 1,
        "refresh_tokens SET revoked_at = now()": 1,
        "sync_state SET last_sync = now()": 1,
        "user_settings SET theme = 'light'": 1}.items()],
    # not even by those who run the channel
    *[("eve", f"UPDATE channels SET {change}", FORBIDDEN) for change in (
        "type = 'private'", "id = generate_ulid()",
        "type = 'direct', direct_low = '{ada}', direct_high = '{bob}'",
        "type = 'direct', direct_low = '{eve}', direct_high = '{eve}'")],
    # a member without a role in the channel
    ("bob", "UPDATE channels SET name = 'x'", 0),
    ("bob", "UPDATE channels SET created_by = NULL", 0),
    ("bob", "DELETE FROM channels", 0),
    ("bob", "UPDATE channel_members SET muted_until = 'infinity'", 5),
    ("bob", "UPDATE channel_members SET role = 'owner'", FORBIDDEN),
    ("bob", "UPDATE channel_members SET user_id = '{eve}'", FORBIDDEN),
    ("bob", "UPDATE channel_members SET channel_id = '{hall}'", FORBIDDEN),
    ("bob", "UPDATE channel_members SET channel_id = '{lair}'", FORBIDDEN),
    ("bob", "DELETE FROM channel_members", 5),
    ("bob", "UPDATE messages SET content = 'x'", 3),
    ("bob", "UPDATE messages SET user_id = '{ada}'", FORBIDDEN),
    ("bob", "UPDATE messages SET channel_id = '{hall}'", FORBIDDEN),
    ("bob", "DELETE FROM messages", 3),
    ("bob", "UPDATE message_edits SET previous_content = 'x'", FORBIDDEN),
    ("bob", "DELETE FROM message_edits", FORBIDDEN),
    ("bob", "DELETE FROM message_reads", 1),
    ("bob", "DELETE FROM reactions", 1),
    ("bob", "DELETE FROM files", 2),
    ("bob", "UPDATE files SET user_id = '{ada}'", FORBIDDEN),
    ("bob", "UPDATE files SET message_id = '{first}'", FORBIDDEN),
    ("bob", "UPDATE typing_indicators SET expires_at = now()", 1),
    ("bob", "UPDATE typing_indicators SET channel_id = '{hall}'", FORBIDDEN),
    *[("bob", f"UPDATE {table} SET user_id = '{{eve}}'", FORBIDDEN) for table in (
        "notifications", "sessions", "refresh_tokens", "sync_state", "typing_indicators")],
    # the sender of a request can't answer it; a blocked user can't unblock
    ("bob", "UPDATE relationships SET status = 'accepted'", FORBIDDEN),
    ("bob", "DELETE FROM relationships", 1),
    ("ada", "UPDATE relationships SET status = 'accepted' WHERE type = 'friend'", 1),
    ("ada", "UPDATE relationships SET status = 'accepted'", 2),
    ("ada", "UPDATE relationships SET user_id = '{eve}' WHERE type = 'friend'", FORBIDDEN),
    ("ada", "DELETE FROM relationships", 2),
    # an admin of a channel deletes messages, and changes none
    ("ada", "UPDATE messages SET content = 'x'", FORBIDDEN),
    ("ada", "UPDATE messages SET deleted_at = now()", 5),
    *[("ada", f"UPDATE messages SET {change} WHERE id = '{{second}}'", FORBIDDEN)
      for change in ("user_id = '{ada}'", "user_id = '{ada}', deleted_at = now()",
                     "content = 'x', deleted_at = now()", "channel_id = '{group}', deleted_at = now()")],
    ("ada", "UPDATE channel_members SET role = 'admin' WHERE user_id = '{bob}'", 4),
]  # fmt: skip


@pytest.mark.parametrize(("who", "statement", "outcome"), STATEMENTS)
def test_a_forgotten_where_clause_changes_no_row_of_others(
    scene: Scene, who: str, statement: str, outcome: int | str
) -> None:
    filled_in = re.sub(r"{(\w+)}", lambda name: scene.ids[name[1]], statement)
    with scene.act_as(who) as conn:
        if isinstance(outcome, int):
            assert conn.execute(filled_in).rowcount == outcome
        else:
            with pytest.raises(psycopg.Error) as caught, conn.transaction():
                conn.execute(filled_in)
            assert caught.value.sqlstate == outcome


# Rows that a user may not write, mostly in the name of another.
INSERTS: list[tuple[str | None, str, dict[str, Any]]] = [
    ("bob", "channels", {"type": "public", "name": "x", "created_by": "{ada}"}),
    ("bob", "channels", {"type": "public", "name": "x"}),
    ("bob", "channels", {"type": "direct", "created_by": "{bob}", "direct_low": "{bob}",
                         "direct_high": "{bob}"}),
    ("eve", "channel_members", {"channel_id": "{room}", "user_id": "{eve}"}),
    ("eve", "channel_members", {"channel_id": "{archive}", "user_id": "{eve}", "role": "admin"}),
    ("eve", "channel_members", {"channel_id": "{archive}", "user_id": "{ousted}"}),
    ("eve", "channel_members", {"channel_id": "{direct}", "user_id": "{eve}"}),
    ("bob", "channel_members", {"channel_id": "{room}", "user_id": "{eve}"}),
    ("ousted", "channel_members", {"channel_id": "{lair}", "user_id": "{ousted}"}),
    ("eve", "messages", {"channel_id": "{room}", "user_id": "{eve}", "content": "x"}),
    ("eve", "messages", {"channel_id": "{archive}", "user_id": "{eve}", "content": "x"}),
    ("bob", "messages", {"channel_id": "{room}", "user_id": "{ada}", "content": "x"}),
    ("bob", "message_edits", {"message_id": "{first}", "previous_content": "x"}),
    ("eve", "message_deliveries", {"message_id": "{first}", "user_id": "{eve}"}),
    ("bob", "message_deliveries", {"message_id": "{first}", "user_id": "{ada}"}),
    ("eve", "message_reads", {"message_id": "{first}", "user_id": "{eve}"}),
    ("bob", "message_reads", {"message_id": "{first}", "user_id": "{ada}"}),
    ("eve", "reactions", {"message_id": "{first}", "user_id": "{eve}", "emoji": "x"}),
    ("bob", "reactions", {"message_id": "{first}", "user_id": "{ada}", "emoji": "x"}),
    ("ada", "files", {"user_id": "{bob}", "name": "a", "type": "b", "size": 1, "url": "c"}),
    ("bob", "files", {"user_id": "{ada}", "message_id": "{first}", "name": "a", "type": "b",
                      "size": 1, "url": "c"}),
    ("bob", "files", {"user_id": "{bob}", "message_id": "{first}", "name": "a", "type": "b",
                      "size": 1, "url": "c"}),
    ("eve", "typing_indicators", {"channel_id": "{room}", "user_id": "{eve}", "expires_at": LATER}),
    ("bob", "typing_indicators", {"channel_id": "{group}", "user_id": "{ada}",
                                  "expires_at": LATER}),
    ("bob", "relationships", {"user_id": "{eve}", "related_user_id": "{bob}", "type": "friend"}),
    ("bob", "relationships", {"user_id": "{bob}", "related_user_id": "{eve}", "type": "friend",
                              "status": "accepted"}),
    ("bob", "notifications", {"user_id": "{ada}", "type": "system"}),
    ("ousted", "notification_preferences", {"user_id": "{ada}"}),
    ("bob", "sessions", {"user_id": "{ada}", "session_hash": digest("z"), "expires_at": LATER}),
    ("bob", "sessions", {"session_hash": digest("z"), "expires_at": LATER}),
    *[("bob", "messages", {"channel_id": "{room}", "user_id": "{bob}", "content": "x",
                           "status": status}) for status in ("delivered", "read", "error")],
    ("bob", "refresh_tokens", {"user_id": "{ada}", "token_hash": digest("z"),
                               "expires_at": LATER}),
    ("bob", "sync_state", {"user_id": "{ada}", "sync_type": "z"}),
    ("ada", "user_settings", {"user_id": "{ousted}"}),
    (None, "channels", {"type": "public", "name": "x"}),
    (None, "messages", {"channel_id": "{hall}", "user_id": "{eve}", "content": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "table", "row"), INSERTS)
def test_a_user_can_not_write_in_the_name_of_another(
    scene: Scene, who: str | None, table: str, row: dict[str, Any]
) -> None:
    values = dict(zip(row, scene.fill(list(row.values())), strict=True))
    with scene.act_as(who) as conn:
        assert_insert_fails(conn, FORBIDDEN, None, table, **values)


NEVER = [
    "CREATE TABLE mine ()",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE EXTENSION hstore",
    "ALTER TABLE messages ADD mine int",
    "ALTER TABLE messages DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE messages DISABLE TRIGGER ALL",
    "CREATE POLICY mine ON messages USING (true)",
    "DROP POLICY messages_read ON messages",
    "CREATE TRIGGER mine BEFORE INSERT ON messages EXECUTE FUNCTION set_updated_at()",
    "CREATE INDEX mine ON messages (content)",
    "DROP TABLE files",
    "DROP FUNCTION sees_channel(text)",
    "DROP VIEW public_users",
    "ALTER FUNCTION acting_user() OWNER TO CURRENT_USER",
    "CREATE OR REPLACE FUNCTION acting_user() RETURNS text LANGUAGE sql RETURN 'x'",
    "COMMENT ON TABLE messages IS 'mine'",
    "SET ROLE postgres",
    "SET ROLE chat_owner",
    "SET SESSION AUTHORIZATION postgres",
    "SET session_replication_role = replica",
    "SET LOCAL row_security = off; SELECT FROM messages",
    "COPY messages TO '/dev/null'",
    "SELECT FROM chatdb_migration",
    "SELECT FROM _yoyo_migration",
    "DELETE FROM _yoyo_migration",
    *[f"TRUNCATE {table}" for table in (*VISIBLE_ROWS, *OPEN, *CLOSED)],
    *[f"SELECT FROM {table}" for table in CLOSED],
    *[f"DELETE FROM {table}" for table in CLOSED],
    "INSERT INTO events (table_name, op, row_id) VALUES ('messages', 'insert', 'x')",
    "UPDATE events_state SET floor = '9'",
    "SELECT * FROM events_since('')",
    "SELECT events_reset()",
    "SELECT set_notify_mode('off')",
    "SELECT ring_doorbell('messages', 'insert', '{}', '{}')",
    "SELECT setval('events_bell', 1)",
    "CREATE TEMP TABLE mine (); CREATE TRIGGER mine AFTER INSERT ON mine EXECUTE FUNCTION log_files()",
]


@pytest.mark.parametrize("statement", NEVER)
def test_the_application_can_not_create_truncate_or_change_its_role(
    built: Scene, login: Conn, statement: str
) -> None:
    with login.transaction(force_rollback=True):
        built.set_user(login, "ada")
        with pytest.raises(psycopg.Error) as caught, login.transaction():
            login.execute(statement)
    assert caught.value.sqlstate == FORBIDDEN


def test_the_pair_of_a_direct_channel_does_not_change(scene: Scene) -> None:
    """Not even for one of the two who runs it, as in a channel that was imported."""
    scene.conn.execute(
        "UPDATE channel_members SET role = 'owner' WHERE channel_id = %s", [scene.ids["direct"]]
    )
    with scene.act_as("ada") as conn:
        for change in (
            "direct_low = direct_high", "direct_high = direct_low",
            "type = 'group', name = 'x', direct_low = NULL, direct_high = NULL",
        ):  # fmt: skip
            with pytest.raises(psycopg.Error) as caught, conn.transaction():
                conn.execute(f"UPDATE channels SET {change} WHERE type = 'direct'")
            assert caught.value.sqlstate == FORBIDDEN
        assert conn.execute("UPDATE channels SET description = 'x'").rowcount == 6


@pytest.mark.parametrize(("table", "row"), [(t, r) for who, t, r in INSERTS if who])
def test_a_policy_that_refuses_a_row_without_a_user_says_just_that(
    scene: Scene, table: str, row: dict[str, Any]
) -> None:
    """Except of edits, which the application may not write at all."""
    if table == "message_edits":
        return
    values = dict(zip(row, scene.fill(list(row.values())), strict=True))
    with (
        scene.act_as(None) as conn,
        pytest.raises(psycopg.Error, match=r"chat\.user_id is not set"),
        conn.transaction(),
    ):
        insert(conn, table, **values)


@pytest.mark.parametrize("action", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize(
    "table", [t for t in VISIBLE_ROWS if t not in ("message_edits", "sessions")]
)
def test_a_change_without_a_user_says_so_instead_of_doing_nothing(
    scene: Scene, table: str, action: str
) -> None:
    column = {"channels": "name", "relationships": "type"}.get(table, "user_id")
    with (
        scene.act_as(None) as conn,
        pytest.raises(psycopg.Error) as caught,
        conn.transaction(),
    ):
        conn.execute(action.format(table, column, column))
    diag = caught.value.diag
    assert (diag.sqlstate, diag.message_primary) == (FORBIDDEN, "chat.user_id is not set")
    assert "set_config('chat.user_id'" in str(diag.message_hint)


@pytest.mark.parametrize(
    ("statement", "functions"),
    [
        ("DELETE FROM sessions", ["end_session(session_hash)", "end_sessions(user_id)"]),
        ("DELETE FROM sessions WHERE false", ["end_session(session_hash)"]),
        ("UPDATE messages SET status = 'read'", ["set_message_status(", "mark_read()"]),
        (
            "INSERT INTO messages (channel_id, user_id, content, status)"
            " SELECT channel_id, user_id, content, 'read' FROM messages WHERE user_id = acting_user()",
            ["set_message_status(", "mark_read()"],
        ),
    ],
)
def test_a_statement_that_an_operation_replaces_is_refused_and_names_it(
    scene: Scene, statement: str, functions: list[str]
) -> None:
    with scene.act_as("ada") as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(statement)
    assert caught.value.sqlstate == FORBIDDEN
    assert all(function in str(caught.value.diag.message_hint) for function in functions)
    owner = scene.conn.execute(statement.replace("'read'", "status"))
    assert owner.rowcount >= 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO messages (channel_id, user_id, content) VALUES ('{room}', '{bob}', 'x')",
        "INSERT INTO message_reads (message_id, user_id) VALUES ('{second}', '{bob}')",
        "INSERT INTO message_deliveries (message_id, user_id) VALUES ('{second}', '{bob}')",
        "INSERT INTO reactions (message_id, user_id, emoji) VALUES ('{first}', '{bob}', 'x')",
        "INSERT INTO typing_indicators VALUES ('{hall}', '{bob}', now())",
        "UPDATE typing_indicators SET expires_at = now()",
        "UPDATE messages SET content = 'x' WHERE user_id = '{bob}'",
    ],
)
def test_a_deleted_user_writes_nothing_by_sql_either(scene: Scene, statement: str) -> None:
    filled_in = re.sub(r"{(\w+)}", lambda name: scene.ids[name[1]], statement)
    scene.conn.execute(
        "INSERT INTO channel_members (channel_id, user_id) VALUES (%(hall)s, %(bob)s)", scene.ids
    )
    with scene.act_as("bob") as conn:
        assert conn.execute(filled_in).rowcount > 0
    scene.conn.execute("UPDATE users SET deleted_at = now() WHERE id = %(bob)s", scene.ids)
    with scene.act_as("bob") as conn, pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(filled_in.replace("'x'", "'y'").replace("'{second}'", "'{first}'"))
    assert caught.value.sqlstate == FORBIDDEN
