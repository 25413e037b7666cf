"""Promises of the chat schema's security: who sees and changes what, and what is never stored.

Most tests work as a login of the application on the owner's connection, in a transaction that is
rolled back; a real login sees the same.
"""

from __future__ import annotations

import getpass
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from tests.support.chat import (
    ARGON2,
    BCRYPT,
    CHECK,
    FORBIDDEN,
    LATER,
    NO_DATA,
    NOBODY,
    NOT_NOW,
    STEMS,
    Conn,
    answer,
    call,
    denied,
    digest,
    filled,
    ids_of,
    insert,
    members,
    people,
    race,
    refused,
    related,
    rows,
    run,
    send,
    value,
    world,
)
from tests.support.database import Database
from tests.support.servers import Server

ROLES = ["chat_owner", "chat_app", "chat_readonly", "chat_listener"]


# What a user sees, in words of the owner's SQL: each is a condition on the rows of the table.
MINE = "channel_id IN (SELECT channel_id FROM channel_members WHERE user_id = %(me)s)"
MY_MESSAGES = f"message_id IN (SELECT id FROM messages WHERE {MINE})"
OWN = "user_id = %(me)s"
SEEN = {
    "channels": f"type = 'public' OR {MINE.replace('channel_id', 'id', 1)}",
    "channel_members": MINE,
    "messages": MINE,
    "message_edits": MY_MESSAGES,
    "message_deliveries": f"{OWN} OR {MY_MESSAGES}",
    "message_reads": f"{OWN} OR {MY_MESSAGES}",
    "reactions": MY_MESSAGES,
    "files": MY_MESSAGES,
    "typing_indicators": MINE,
    "relationships": "%(me)s IN (user_id, related_user_id)",
    "notifications": OWN,
    "notification_preferences": OWN,
    "sessions": OWN,
    "refresh_tokens": OWN,
    "sync_state": OWN,
    "user_settings": OWN,
}
OPEN = ["users", "profiles", "user_status", "rate_limits"]  # the application decides
CLOSED = ["events", "events_state"]  # neither read nor written but by the functions of the log


def furnished(conn: Conn) -> dict[str, str]:
    """The world of the operations, with rows of Ada and Bob in every table, and few of Eve's."""
    ids = world(conn)
    ada, bob, eve, first = ids["ada"], ids["bob"], ids["eve"], ids["first"]
    call(conn, "edit_message", first, ada, "First!")
    call(conn, "edit_message", ids["elsewhere"], eve, "Elsewhere!")
    call(conn, "mark_read", ids["second"], ada)
    call(conn, "mark_read", first, bob)
    call(conn, "mark_delivered", first, bob)
    call(conn, "add_reaction", first, bob, "👍")
    call(conn, "request_friend", bob, ada)
    call(conn, "block_user", ada, eve)
    for message in ("first", "second"):
        insert(conn, "files", message_id=ids[message], name="a", type="b", size=1, url="c")
    for name in ("ada", "bob", "eve"):
        who = ids[name]
        ids[f"told {name}"] = answer(conn, "notify_user", who, "system")
        call(conn, "put_setting", who, "theme", Jsonb("dark"))
        call(conn, "put_session", digest(name), {"who": name}, LATER, who)
        call(conn, "issue_token", who, digest(name), LATER)
        insert(conn, "notification_preferences", user_id=who)
        insert(conn, "sync_state", user_id=who, sync_type="x")
        insert(conn, "profiles", user_id=who)
        call(conn, "set_presence", who, "online")
    for name in ("ada", "bob"):
        call(conn, "start_typing", ids["room"], ids[name], "1 hour")
    call(conn, "put_session", digest("guest"), {}, LATER)
    answer(conn, "hit_rate_limit", "k", 1, "1 hour")
    # Somebody who made a private channel and was put out of it
    ids["ousted"] = people(conn, "ousted")[0]
    ids["lair"] = call(conn, "create_channel", ids["ousted"], "private", "lair", [ada])["id"]
    call(conn, "set_role", ids["lair"], ada, "owner")
    assert answer(conn, "remove_member", ids["lair"], ids["ousted"])
    return ids


class Scene:
    """A database with the furnished world, and a login of the application."""

    def __init__(self, database: Database, conn: Conn) -> None:
        self.database = database
        self.conn = conn
        self.ids = furnished(conn)
        self.login = f"app_{database.name}"
        if database.server.version < 15:  # as docs/security.md says
            conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        conn.execute(f"CREATE ROLE {self.login} LOGIN IN ROLE chat_app")

    @contextmanager
    def acting(self, who: str | None, role: str | None = None) -> Iterator[Conn]:
        """The connection as the application's login (or another role), on behalf of a user."""
        self.conn.execute(f"SET SESSION AUTHORIZATION {role or self.login}")
        self.behalf(self.conn, who)
        try:
            yield self.conn
        finally:
            if self.conn.info.transaction_status != TransactionStatus.INERROR:
                self.behalf(self.conn, None)
                self.conn.execute("RESET SESSION AUTHORIZATION")

    def behalf(self, conn: Conn, who: str | None) -> None:
        setting = self.ids.get(who, who) if who else ""
        conn.execute("SELECT set_config('chat.user_id', %s, false)", [setting])

    def fill(self, values: list[Any]) -> list[Any]:
        return filled(self.ids, *values)


@pytest.fixture(scope="module")
def built(server: Server) -> Iterator[Scene]:
    made = server.chat()
    with made.connect() as conn:
        scene = Scene(made, conn)
        yield scene
        conn.execute(f"DROP ROLE {scene.login}")
    made.drop()


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """The scene, in a transaction that is rolled back."""
    with built.conn.transaction(force_rollback=True):
        yield built


# --- what is seen ---------------------------------------------------------------------------------


def seen(conn: Conn, table: str) -> list[Any]:
    return sorted(conn.execute(f"SELECT t::text FROM {table} t").fetchall())


def test_row_level_security_is_on_where_it_says_who_says_what_to_whom(scene: Scene) -> None:
    found = scene.conn.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname !~ 'yoyo|^chatdb'"
    )
    state = {name: (on, forced) for name, on, forced in found}
    assert state == {
        **dict.fromkeys(SEEN, (True, False)),
        **dict.fromkeys((*OPEN, *CLOSED), (False, False)),
    }  # fmt: skip


@pytest.mark.parametrize("who", ["ada", "bob", "eve", "ousted"])
def test_a_user_sees_what_is_theirs_and_nothing_else(scene: Scene, who: str) -> None:
    me = {"me": scene.ids[who]}
    for table, condition in SEEN.items():
        mine = f"SELECT t::text FROM {table} t WHERE {condition}"
        theirs = sorted(scene.conn.execute(mine, me).fetchall())
        total = value(scene.conn, f"SELECT count(*) FROM {table}")
        if who == "ada":
            assert theirs, table
        if who in {"eve", "ousted"}:
            assert len(theirs) < total, table
        with scene.acting(who) as conn:
            assert seen(conn, table) == theirs, table


@pytest.mark.parametrize("who", [None, NOBODY, "no id at all", "' OR true --"])
def test_who_acts_for_nobody_sees_and_changes_nothing(scene: Scene, who: str | None) -> None:
    with scene.acting(who) as conn:
        for table in SEEN:
            public = " WHERE type <> 'public'" if table == "channels" and who else ""
            assert value(conn, f"SELECT count(*) FROM {table}{public}") == 0, table
            if table != "message_edits":
                assert conn.execute(f"DELETE FROM {table}").rowcount == 0, table


WAYS = ["login", "session authorization", "role"]


@pytest.fixture(scope="module")
def login(built: Scene) -> Iterator[Conn]:
    """A session that has really logged in as the application."""
    ident = Path(value(built.conn, "SHOW ident_file"))
    before = ident.read_text()
    ident.write_text(before + f'chatdb "{getpass.getuser()}" {built.login}\n')
    built.conn.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while True:
        try:
            with psycopg.connect(built.database.url, user=built.login, autocommit=True) as conn:
                yield conn
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    ident.write_text(before)
    built.conn.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("way", WAYS)
def test_row_level_security_holds_on_whichever_way_one_becomes_the_application(
    scene: Scene, login: Conn, way: str
) -> None:
    conn = login if way == "login" else scene.conn
    if way == "session authorization":
        conn.execute(f"SET SESSION AUTHORIZATION {scene.login}")
    elif way == "role":
        conn.execute("SET ROLE chat_app")
    try:
        with conn.transaction(force_rollback=True):
            assert sum(value(conn, f"SELECT count(*) FROM {table}") for table in SEEN) == 0
            conn.execute("SELECT set_config('chat.user_id', %s, true)", [scene.ids["eve"]])
            assert len(rows(conn, "search_messages", scene.ids["eve"], "e")) == 1
            denied(conn, FORBIDDEN, "search_messages", scene.ids["ada"], "e")
            denied(conn, FORBIDDEN, "open_direct_channel", scene.ids["ada"], scene.ids["bob"])
            denied(conn, FORBIDDEN, "erase_user", scene.ids["ada"])
            send(conn, scene.ids["hall"], scene.ids["eve"])
            assert rows(conn, "list_messages", scene.ids["room"]) == []
        with conn.transaction(force_rollback=True):  # set for a transaction, gone with it
            assert value(conn, "SELECT count(*) FROM messages") == 0
    finally:
        conn.execute("RESET ROLE")
        conn.execute("RESET SESSION AUTHORIZATION")


def test_the_owner_is_not_held_back(scene: Scene) -> None:
    assert value(scene.conn, "SELECT count(*) FROM messages") > 5
    found = rows(scene.conn, "search_messages", scene.ids["ada"], "first")
    assert ids_of(found) == [scene.ids["first"]]


@pytest.mark.parametrize(
    ("operation", "condition"),
    [
        ("list_messages($1, 50, $2)", "(id < "),
        ("unread_counts($1)", "(id > "),
        ("list_notifications($1, 50, $2)", "(id < "),
    ],
)
def test_a_page_is_one_index_range_under_row_level_security_too(
    scene: Scene, operation: str, condition: str
) -> None:
    """A condition that might leak what it is given is asked last: the whole channel would be read."""
    scene.conn.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    scene.conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
    with scene.acting("ada") as conn:
        types = "(text, text)" if "$2" in operation else "(text)"
        conn.execute(f"PREPARE page {types} AS SELECT * FROM {operation}")
        arguments = "('a', 'b')" if "$2" in operation else "('a')"
        plan = "\n".join(row[0] for row in conn.execute(f"EXPLAIN EXECUTE page{arguments}"))
        conn.execute("DEALLOCATE page")
    ranges = [line for line in plan.splitlines() if "Index Cond" in line]
    assert any(condition in line.replace("(id)::text", "id") for line in ranges), plan


def test_who_may_become_the_owner_but_has_not_acts_for_themselves_alone(scene: Scene) -> None:
    """A member of the owner without its rights is held back by the policies: here, too."""
    scene.conn.execute("CREATE ROLE heir NOINHERIT IN ROLE chat_app, postgres")
    scene.conn.execute("GRANT USAGE ON SCHEMA public TO heir")
    for signature in ("search_messages(text, text, integer, text, text)", "erase_user(text)"):
        scene.conn.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO heir")
    with scene.acting("eve", role="heir") as conn:
        denied(conn, FORBIDDEN, "search_messages", scene.ids["ada"], "first")
        denied(conn, FORBIDDEN, "erase_user", scene.ids["ada"])


# --- what is changed, by SQL without a WHERE ------------------------------------------------------

# Who, what, and how many rows it changes, or how it is refused. Nothing here names a row.
STATEMENTS: list[tuple[str, str, int | str]] = [
    *[("eve", f"DELETE FROM {table}", count) for table, count in {
        "channels": 1, "channel_members": 1, "messages": 1, "message_deliveries": 0,
        "message_reads": 0, "reactions": 0, "files": 0, "typing_indicators": 0,
        "relationships": 0, "notifications": 1, "notification_preferences": 1, "sessions": 1,
        "refresh_tokens": 1, "sync_state": 1, "user_settings": 1}.items()],
    *[("ousted", f"DELETE FROM {table}", 0) for table in SEEN if table != "message_edits"],
    *[("eve", f"UPDATE {change}", count) for change, count in {
        "channels SET name = 'x'": 1,
        "channels SET archived_at = now()": 1,
        "channel_members SET last_read_message_id = NULL": 1,
        "messages SET content = 'x'": 1,
        "messages SET deleted_at = now()": 1,
        "message_deliveries SET delivered_at = now()": 0,
        "message_reads SET read_at = now()": 0,
        "reactions SET emoji = 'x'": 0,
        "files SET url = 'x'": 0,
        "typing_indicators SET expires_at = now()": 0,
        "relationships SET status = 'rejected'": 0,
        "relationships SET type = 'friend'": 0,
        "notifications SET read_at = now()": 1,
        "notification_preferences SET email = false": 1,
        "sessions SET data = '{}'": 1,
        "refresh_tokens SET revoked_at = now()": 1,
        "sync_state SET last_sync = now()": 1,
        "user_settings SET theme = 'light'": 1}.items()],
    # a member who runs nothing
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
    ("bob", "DELETE FROM files", 1),
    ("bob", "UPDATE files SET message_id = '{first}'", FORBIDDEN),
    ("bob", "UPDATE typing_indicators SET expires_at = now()", 1),
    ("bob", "UPDATE typing_indicators SET channel_id = '{hall}'", FORBIDDEN),
    *[("bob", f"UPDATE {table} SET user_id = '{{eve}}'", FORBIDDEN) for table in (
        "notifications", "sessions", "refresh_tokens", "sync_state", "typing_indicators")],
    # who asked does not answer; who was blocked does not unblock
    ("bob", "UPDATE relationships SET status = 'accepted'", FORBIDDEN),
    ("bob", "DELETE FROM relationships", 1),
    ("ada", "UPDATE relationships SET status = 'accepted' WHERE type = 'friend'", 1),
    ("ada", "UPDATE relationships SET status = 'accepted'", 2),
    ("ada", "UPDATE relationships SET user_id = '{eve}' WHERE type = 'friend'", FORBIDDEN),
    ("ada", "DELETE FROM relationships", 2),
    # who runs a channel takes messages away, and changes none
    ("ada", "UPDATE messages SET content = 'x'", FORBIDDEN),
    ("ada", "UPDATE messages SET deleted_at = now()", 5),
    ("ada", "UPDATE channel_members SET role = 'admin' WHERE user_id = '{bob}'", 4),
]  # fmt: skip


@pytest.mark.parametrize(("who", "statement", "outcome"), STATEMENTS)
def test_a_forgotten_where_reaches_no_row_of_others(
    scene: Scene, who: str, statement: str, outcome: int | str
) -> None:
    filled_in = re.sub(r"{(\w+)}", lambda name: scene.ids[name[1]], statement)
    with scene.acting(who) as conn:
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
    ("bob", "files", {"message_id": "{first}", "name": "a", "type": "b", "size": 1, "url": "c"}),
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
    ("bob", "refresh_tokens", {"user_id": "{ada}", "token_hash": digest("z"),
                               "expires_at": LATER}),
    ("bob", "sync_state", {"user_id": "{ada}", "sync_type": "z"}),
    ("ada", "user_settings", {"user_id": "{ousted}"}),
    (None, "channels", {"type": "public", "name": "x"}),
    (None, "messages", {"channel_id": "{hall}", "user_id": "{eve}", "content": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("who", "table", "row"), INSERTS)
def test_nobody_writes_in_the_name_of_another(
    scene: Scene, who: str | None, table: str, row: dict[str, Any]
) -> None:
    values = dict(zip(row, scene.fill(list(row.values())), strict=True))
    with scene.acting(who) as conn:
        refused(conn, FORBIDDEN, None, table, **values)


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
    *[f"TRUNCATE {table}" for table in (*SEEN, *OPEN, *CLOSED)],
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
def test_the_application_builds_empties_and_becomes_nothing(
    built: Scene, login: Conn, statement: str
) -> None:
    with login.transaction(force_rollback=True):
        built.behalf(login, "ada")
        with pytest.raises(psycopg.Error) as caught, login.transaction():
            login.execute(statement)
    assert caught.value.sqlstate == FORBIDDEN


# --- operations -----------------------------------------------------------------------------------

# Who, the operation, its arguments, and whether it says something other than False and nothing.
RIGHTFUL: list[tuple[str | None, str, list[Any], bool]] = [
    (None, "create_user", ["new@example.org", "new_user", "n"], True),
    (None, "find_user_by_email", ["ADA@example.org"], True),
    (None, "use_token", [digest("ada")], True),
    (None, "put_session", [digest("new"), {}, LATER], False),
    (None, "get_session", [digest("ada")], True),
    (None, "get_session", [digest("guest")], True),
    (None, "hit_rate_limit", ["new", 1, "1 s"], True),
    (None, "notify_user", ["{ada}", "system"], True),
    (None, "purge_expired", [], False),
    ("ada", "find_user", ["{ada}"], True),
    ("ada", "update_user", ["{ada}", {"full_name": "A"}], True),
    ("ada", "touch_last_seen", ["{ada}"], True),
    ("ada", "set_presence", ["{ada}", "away"], True),
    ("ada", "erase_user", ["{ada}"], True),
    ("ada", "find_channel", ["{room}"], True),
    ("ada", "update_channel", ["{room}", {"name": "N"}], True),
    ("ada", "update_channel", ["{room}", {"type": "public"}], True),
    ("ada", "archive_channel", ["{room}"], True),
    ("ada", "archive_channel", ["{archive}", False], True),
    ("bob", "open_direct_channel", ["{bob}", "{ada}"], True),
    ("bob", "open_direct_channel", ["{bob}", "{eve}"], True),
    ("bob", "open_direct_channel", ["{bob}", "{bob}"], True),
    ("ada", "add_member", ["{room}", "{eve}", "admin"], True),
    ("ada", "add_member", ["{room}", "{bob}"], False),
    ("ousted", "add_member", ["{hall}", "{ousted}"], True),
    ("ada", "remove_member", ["{room}", "{bob}"], True),
    ("bob", "remove_member", ["{room}", "{bob}"], True),
    ("bob", "remove_member", ["{room}", "{ada}"], False),
    ("eve", "remove_member", ["{room}", "{bob}"], False),
    ("ada", "set_role", ["{room}", "{bob}", "admin"], True),
    ("ada", "set_role", ["{room}", "{ada}", "member"], True),
    ("bob", "is_member", ["{room}", "{ada}"], True),
    ("eve", "is_member", ["{room}", "{ada}"], False),
    ("bob", "list_channels", ["{bob}"], True),
    ("bob", "unread_counts", ["{bob}"], True),
    ("bob", "send_message", ["{room}", "{bob}", "x", "c1", "{first}"], True),
    ("ada", "send_message", ["{room}", "{ada}", "x", "a1"], True),
    ("bob", "edit_message", ["{second}", "{bob}", "x"], True),
    ("bob", "delete_message", ["{second}", "{bob}"], True),
    ("ada", "delete_message", ["{second}", "{ada}"], True),
    ("eve", "delete_message", ["{first}", "{eve}"], False),
    ("bob", "find_message", ["{first}"], True),
    ("eve", "find_message", ["{first}"], False),
    ("ada", "find_message_by_client_id", ["{ada}", "a1"], True),
    ("eve", "find_message_by_client_id", ["{ada}", "a1"], False),
    ("bob", "list_messages", ["{room}"], True),
    ("eve", "list_messages", ["{room}"], False),
    ("bob", "search_messages", ["{bob}", "first"], True),
    ("eve", "search_messages", ["{eve}", "first"], False),
    ("bob", "mark_read", ["{second}", "{bob}"], True),
    ("bob", "mark_delivered", ["{second}", "{bob}"], True),
    ("bob", "mark_delivered", ["{first}", "{bob}"], False),
    ("bob", "add_reaction", ["{first}", "{bob}", "👍"], True),
    ("ada", "add_reaction", ["{first}", "{ada}", "👍"], True),
    ("bob", "remove_reaction", ["{first}", "{bob}", "👍"], True),
    ("ada", "remove_reaction", ["{first}", "{bob}", "👍"], False),
    ("ada", "issue_token", ["{ada}", digest("new"), LATER], True),
    ("ada", "revoke_tokens", ["{ada}"], True),
    ("bob", "revoke_tokens", ["{ada}"], False),
    ("bob", "request_friend", ["{bob}", "{eve}"], True),
    ("ada", "request_friend", ["{ada}", "{bob}"], True),
    ("ada", "answer_friend", ["{ada}", "{bob}", True], True),
    ("ada", "answer_friend", ["{ada}", "{bob}", False], True),
    ("ada", "block_user", ["{ada}", "{bob}"], True),
    ("bob", "block_user", ["{bob}", "{ada}"], True),
    ("eve", "block_user", ["{eve}", "{ada}"], True),
    ("ada", "unblock_user", ["{ada}", "{eve}"], True),
    ("eve", "unblock_user", ["{ada}", "{eve}"], False),
    ("ada", "list_notifications", ["{ada}"], True),
    ("bob", "list_notifications", ["{ada}"], False),
    ("ada", "mark_notification_read", ["{told ada}", "{ada}"], True),
    ("bob", "mark_notification_read", ["{told ada}", "{ada}"], False),
    ("ada", "put_setting", ["{ada}", "theme", Jsonb("light")], True),
    ("ousted", "put_setting", ["{ousted}", "k", Jsonb(1)], True),
    ("bob", "start_typing", ["{room}", "{bob}"], True),
    ("bob", "start_typing", ["{group}", "{bob}"], True),
    ("bob", "list_typing", ["{room}"], True),
    ("eve", "list_typing", ["{room}"], False),
]  # fmt: skip


@pytest.mark.parametrize(("who", "function", "args", "something"), RIGHTFUL)
def test_operations_do_what_the_user_may(
    scene: Scene, who: str | None, function: str, args: list[Any], something: bool
) -> None:
    with scene.acting(who) as conn:
        found = rows(conn, function, *scene.fill(args))
    told = found[0][function] if found and list(found[0]) == [function] else found
    assert bool(told) is something


# Who, the operation, its arguments, and the SQLSTATE that answers.
WRONGFUL: list[tuple[str | None, str, list[Any], str]] = [
    (None, "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    (None, "create_channel", ["{ada}", "public", "x"], FORBIDDEN),
    (None, "search_messages", ["{ada}", "first"], FORBIDDEN),
    (None, "search_messages", [None, "first"], FORBIDDEN),
    (None, "open_direct_channel", ["{ada}", "{bob}"], FORBIDDEN),
    (None, "open_direct_channel", [None, "{bob}"], FORBIDDEN),
    (None, "erase_user", ["{ada}"], FORBIDDEN),
    (None, "erase_user", [None], FORBIDDEN),
    (None, "mark_read", ["{first}", "{bob}"], NO_DATA),
    ("eve", "search_messages", ["{ada}", "first"], FORBIDDEN),
    ("eve", "search_messages", [None, "first"], FORBIDDEN),
    ("eve", "open_direct_channel", ["{ada}", "{bob}"], FORBIDDEN),
    ("eve", "open_direct_channel", [None, "{bob}"], FORBIDDEN),
    ("eve", "open_direct_channel", ["{eve}", "{ada}"], FORBIDDEN),
    ("eve", "erase_user", ["{ada}"], FORBIDDEN),
    ("bob", "create_channel", ["{ada}", "public", "x"], FORBIDDEN),
    ("bob", "update_channel", ["{room}", {"name": "x"}], NO_DATA),
    ("eve", "update_channel", ["{room}", {"name": "x"}], NO_DATA),
    ("eve", "update_channel", ["{archive}", {"name": "x"}], NO_DATA),
    ("bob", "archive_channel", ["{room}"], NO_DATA),
    ("bob", "archive_channel", ["{direct}"], NO_DATA),
    ("bob", "add_member", ["{room}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{room}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{gone}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{archive}", "{eve}", "admin"], FORBIDDEN),
    ("eve", "add_member", ["{archive}", "{ousted}"], FORBIDDEN),
    ("eve", "add_member", ["{direct}", "{eve}"], FORBIDDEN),
    ("bob", "add_member", ["{direct}", "{eve}"], NOT_NOW),
    ("ousted", "add_member", ["{lair}", "{ousted}", "owner"], FORBIDDEN),
    ("bob", "set_role", ["{room}", "{bob}", "owner"], FORBIDDEN),
    ("bob", "set_role", ["{room}", "{ada}", "member"], NO_DATA),
    ("eve", "set_role", ["{room}", "{bob}", "admin"], NO_DATA),
    ("eve", "send_message", ["{room}", "{eve}", "x"], FORBIDDEN),
    ("eve", "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    ("bob", "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    ("bob", "send_message", ["{archive}", "{bob}", "x"], NOT_NOW),
    ("bob", "edit_message", ["{first}", "{bob}", "x"], FORBIDDEN),
    ("bob", "edit_message", ["{first}", "{ada}", "x"], FORBIDDEN),
    ("ada", "edit_message", ["{second}", "{ada}", "x"], FORBIDDEN),
    ("ada", "edit_message", ["{second}", "{bob}", "x"], FORBIDDEN),
    ("eve", "edit_message", ["{first}", "{ada}", "x"], NO_DATA),
    ("bob", "edit_message", ["{old}", "{bob}", "x"], NOT_NOW),
    ("bob", "delete_message", ["{first}", "{bob}"], FORBIDDEN),
    ("bob", "delete_message", ["{first}", "{ada}"], FORBIDDEN),
    ("bob", "mark_read", ["{first}", "{ada}"], FORBIDDEN),
    ("eve", "mark_read", ["{first}", "{bob}"], NO_DATA),
    ("bob", "mark_delivered", ["{first}", "{ada}"], FORBIDDEN),
    ("bob", "add_reaction", ["{first}", "{ada}", "x"], FORBIDDEN),
    ("eve", "add_reaction", ["{first}", "{eve}", "x"], NO_DATA),
    ("bob", "issue_token", ["{ada}", digest("new"), LATER], FORBIDDEN),
    ("bob", "request_friend", ["{ada}", "{eve}"], FORBIDDEN),
    ("bob", "answer_friend", ["{ada}", "{bob}", True], FORBIDDEN),
    ("eve", "answer_friend", ["{ada}", "{bob}", True], NO_DATA),
    ("eve", "request_friend", ["{eve}", "{ada}"], FORBIDDEN),
    ("bob", "block_user", ["{ada}", "{ousted}"], FORBIDDEN),
    ("bob", "put_setting", ["{ada}", "theme", Jsonb("light")], FORBIDDEN),
    ("bob", "start_typing", ["{room}", "{ada}"], FORBIDDEN),
    ("eve", "start_typing", ["{room}", "{eve}"], FORBIDDEN),
]  # fmt: skip


@pytest.mark.parametrize(("who", "function", "args", "state"), WRONGFUL)
def test_operations_refuse_what_the_user_may_not(
    scene: Scene, who: str | None, function: str, args: list[Any], state: str
) -> None:
    with scene.acting(who) as conn:
        denied(conn, state, function, *scene.fill(args))


@pytest.mark.parametrize("kind", ["public", "private", "group"])
def test_a_user_makes_a_channel_with_others_and_runs_it(scene: Scene, kind: str) -> None:
    bob, eve, ousted = (scene.ids[n] for n in ("bob", "eve", "ousted"))
    with scene.acting("bob") as conn:
        made = call(conn, "create_channel", bob, kind, "New", [eve], [ousted])["id"]
        assert members(conn, made) == {bob: "owner", eve: "member", ousted: "admin"}
        said = send(conn, made, bob)
        assert call(conn, "archive_channel", made)["archived_at"] is not None
        call(conn, "archive_channel", made, False)
    with scene.acting("ousted") as conn:
        assert answer(conn, "delete_message", said, ousted) is True
        assert answer(conn, "remove_member", made, eve) is True
    with scene.acting("eve") as conn:
        assert len(rows(conn, "find_channel", made)) == (kind == "public")


def test_who_joins_a_public_channel_reads_and_writes_there(scene: Scene) -> None:
    ousted, hall = scene.ids["ousted"], scene.ids["hall"]
    with scene.acting("ousted") as conn:
        assert rows(conn, "list_messages", hall) == []
        assert answer(conn, "add_member", hall, ousted) is True
        assert len(rows(conn, "list_messages", hall)) == 1
        send(conn, hall, ousted)
        denied(conn, FORBIDDEN, "set_role", hall, ousted, "owner")
        assert answer(conn, "remove_member", hall, ousted) is True
        assert rows(conn, "list_messages", hall) == []
        denied(conn, FORBIDDEN, "send_message", hall, ousted, "x")


def test_a_direct_channel_that_both_left_comes_back_for_both(scene: Scene) -> None:
    ada, bob, direct = (scene.ids[n] for n in ("ada", "bob", "direct"))
    for who in ("ada", "bob"):
        with scene.acting(who) as conn:
            assert answer(conn, "remove_member", direct, scene.ids[who]) is True
            assert rows(conn, "find_channel", direct) == []
    with scene.acting("bob") as conn:
        assert call(conn, "open_direct_channel", bob, ada)["id"] == direct
        assert set(members(conn, direct)) == {ada, bob}


def test_a_row_may_be_deleted_for_good_by_its_author_and_those_who_run_the_channel(
    scene: Scene,
) -> None:
    scene.conn.execute("SET LOCAL chat.soft_delete = off")
    with scene.acting("bob") as conn:
        denied(conn, FORBIDDEN, "delete_message", scene.ids["first"], scene.ids["bob"])
    with scene.acting("ada") as conn:
        for message in ("first", "second"):  # with the receipts, reactions and files of others
            assert answer(conn, "delete_message", scene.ids[message], scene.ids["ada"]) is True
    gone = "SELECT count(*) FROM messages WHERE id IN (%s, %s)"
    assert value(scene.conn, gone, scene.ids["first"], scene.ids["second"]) == 0


def test_who_is_erased_by_themselves_is_erased_as_by_the_owner(scene: Scene) -> None:
    """Also what others hold of them, such as a block, which they could not delete themselves."""
    eve = scene.ids["eve"]
    with scene.acting("eve") as conn:
        assert answer(conn, "erase_user", eve) is True
    assert not {r for r in related(scene.conn) if eve in r}
    own = [table for table, condition in SEEN.items() if condition == OWN]
    for table in (*own, "channel_members", "profiles", "user_status"):
        left = f"SELECT count(*) FROM {table} WHERE user_id = %s"
        assert value(scene.conn, left, eve) == 0, table
    assert "eve" not in value(scene.conn, "SELECT u::text FROM users u WHERE id = %s", eve)


def test_an_edit_by_the_application_is_kept_in_the_name_of_the_user(scene: Scene) -> None:
    with scene.acting("bob") as conn:
        call(conn, "edit_message", scene.ids["second"], scene.ids["bob"], "New")
        edits = conn.execute("SELECT previous_content, edited_by FROM message_edits ORDER BY id")
        assert edits.fetchall() == [("First", scene.ids["ada"]), ("Second", scene.ids["bob"])]


def test_a_marker_that_waits_for_a_promotion_is_moved(built: Scene) -> None:
    """The policy must not judge the member's new row by the role of a moment ago."""
    conn = built.conn
    ada, bob = people(conn, "marker_ada", "marker_bob")
    room = call(conn, "create_channel", ada, "private", "room", [bob])["id"]
    with built.database.connect() as other:
        other.execute(f"SET ROLE {built.login}")
        built.behalf(other, bob)
        for role in ("admin", "member"):
            said = send(conn, room, ada)
            promotion, mark = ("set_role", room, bob, role), ("mark_read", said, bob)
            error = race(
                conn,
                other,
                lambda args=promotion: rows(conn, *args),
                lambda args=mark: rows(other, *args),
            )
            assert error is None
            marker = "SELECT last_read_message_id FROM channel_members WHERE user_id = %s"
            assert value(conn, marker, bob) == said
    conn.execute("DELETE FROM channels WHERE id = %s", [room])


# --- roles ----------------------------------------------------------------------------------------


def functions(conn: Conn, condition: str) -> set[str]:
    found = conn.execute(
        f"SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND {condition}"
    )
    return {name for (name,) in found}


def test_what_is_security_definer_is_not_for_everybody(scene: Scene) -> None:
    """But for triggers, and what policies ask: that answers for the acting user alone."""
    everybody = "prosecdef AND prorettype <> 'trigger'::regtype AND has_function_privilege({}, oid, 'EXECUTE')"  # noqa: E501
    asked = {"sees_channel", "runs_channel", "is_empty_channel", "may_add_member",
             "may_change_member"}  # fmt: skip
    for role, more in (("chat_listener", {"events_since"}), ("chat_readonly", set())):
        assert functions(scene.conn, everybody.format(f"'{role}'")) == asked | more
    assert functions(scene.conn, everybody.format("'chat_app'")) > asked


def test_the_application_has_rights_on_rows_alone(scene: Scene) -> None:
    granted = scene.conn.execute(
        "SELECT relname, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
        "  FROM pg_class, aclexplode(relacl) a"
        " WHERE relnamespace = 'public'::regnamespace AND grantee = 'chat_app'::regrole GROUP BY 1"
    ).fetchall()
    rows_ = dict.fromkeys((*SEEN, *OPEN), "DELETE INSERT SELECT UPDATE")
    others = {
        "message_edits": "SELECT",
        "public_users": "SELECT",
        "relationships": "DELETE INSERT SELECT",  # and of what may change, column by column
    }
    assert dict(granted) == {**rows_, **others}


def test_nothing_is_granted_to_everybody(scene: Scene) -> None:
    public = scene.conn.execute(
        "SELECT relname FROM pg_class, aclexplode(relacl)"
        " WHERE relnamespace = 'public'::regnamespace AND grantee = 0"
    )
    assert public.fetchall() == []


def test_reports_read_all_rows_and_no_secret(scene: Scene) -> None:
    total = {t: value(scene.conn, f"SELECT count(*) FROM {t}") for t in SEEN}
    secret = {"sessions", "refresh_tokens"}
    with scene.acting(None, role="chat_readonly") as conn:
        for table in (*SEEN, "profiles", "user_status", "public_users"):
            if table not in secret:
                count = value(conn, f"SELECT count(*) FROM {table}")
                assert count == total.get(table, count) > 0
        open_ = conn.execute(
            "SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
            " WHERE relnamespace = 'public'::regnamespace AND attnum > 0"
            " AND attname ~ 'hash|auth0|token|secret'"
            " AND relkind IN ('r', 'v') AND has_column_privilege(attrelid, attnum, 'SELECT')"
        )
        assert open_.fetchall() == []
        assert value(conn, "SELECT count(email) FROM users") > 3
        for statement in (
            "SELECT * FROM users", "SELECT password_hash FROM users", "SELECT auth0_id FROM users",
            "SELECT count(*) FROM users WHERE password_hash LIKE '%'",
            "SELECT users FROM users", "SELECT token_hash FROM refresh_tokens",
            "SELECT FROM sessions", "SELECT FROM rate_limits", "SELECT FROM chatdb_migration",
            "SELECT * FROM find_user('x')", "SELECT use_token('x')",
            "SELECT * FROM get_session('x')", "SELECT purge_expired()",
            "SELECT * FROM search_messages('x', 'x')", "SELECT erase_user('x')",
            *[f"DELETE FROM {t}" for t in (*SEEN, *OPEN)],
            "UPDATE messages SET content = 'x'", "INSERT INTO profiles (user_id) VALUES ('x')",
            "TRUNCATE messages", "CREATE TABLE mine ()",
        ):  # fmt: skip
            with pytest.raises(psycopg.Error) as caught, conn.transaction():
                conn.execute(statement)
            assert caught.value.sqlstate == FORBIDDEN, statement


def test_a_listener_reads_no_table(scene: Scene) -> None:
    readable = scene.conn.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'v') AND has_any_column_privilege('chat_listener', oid, 'SELECT')"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_class.oid AND deptype = 'e')"
    )
    assert readable.fetchall() == []
    with scene.acting(None, role="chat_listener") as conn:
        assert call(conn, "events_since")["cursor"]


def test_no_one_logs_in_as_a_group_and_the_owners_may_build(scene: Scene) -> None:
    found = scene.conn.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND NOT rolcanlogin"
        " AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole",
        [ROLES],
    )
    assert {name for (name,) in found} == set(ROLES)
    with scene.acting(None, role="chat_owner") as conn:
        conn.execute("CREATE TABLE mine ()")


def test_where_roles_cannot_be_made_the_schema_is_complete_and_a_notice_says_so(
    scene: Scene,
) -> None:
    """The server has the roles by now: here they go under other names until the rollback."""
    conn = scene.conn
    notices: list[str | None] = []
    for role in ROLES:
        conn.execute(f"ALTER ROLE {role} RENAME TO hidden_{role}")
    conn.execute("CREATE ROLE lonely; CREATE SCHEMA lone AUTHORIZATION lonely")
    conn.execute("SET LOCAL ROLE lonely")
    conn.add_notice_handler(handler := lambda said: notices.append(said.message_primary))
    try:
        for stem in STEMS:
            run(conn, "up", stem, "lone, public")
    finally:
        conn.remove_notice_handler(handler)
    for role in ROLES:
        assert (
            f'the role "{role}" is missing, and "lonely" may not create it: going on without it'
            in notices
        )
    conn.execute("SET LOCAL search_path = lone, public")
    ids = world(conn)
    assert len(rows(conn, "search_messages", ids["ada"], "first")) == 1
    on = (
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'lone'::regnamespace AND relrowsecurity"
    )
    assert value(conn, on) == len(SEEN)
    for stem in reversed(STEMS):
        run(conn, "down", stem, "lone, public")
    left = "SELECT count(*) FROM {} WHERE {} = 'lone'::regnamespace"
    assert value(conn, left.format("pg_class", "relnamespace")) == 0
    assert value(conn, left.format("pg_proc", "pronamespace")) == 0


@pytest.mark.parametrize("open_", [True, False])
def test_a_schema_that_is_open_to_everybody_is_named(server: Server, open_: bool) -> None:
    made = server.chat()
    notices: list[str | None] = []
    with made.connect() as conn:
        for stem in reversed(STEMS[STEMS.index("0033_roles") :]):
            run(conn, "down", stem)
        conn.execute(f"{'GRANT' if open_ else 'REVOKE'} CREATE ON SCHEMA public "
                     f"{'TO' if open_ else 'FROM'} PUBLIC")  # fmt: skip
        conn.add_notice_handler(lambda said: notices.append(said.message_primary))
        run(conn, "up", "0033_roles")
    made.drop()
    assert ('everybody may create objects in schema "public"' in notices) is open_


def test_several_databases_make_the_roles_at_the_same_moment(server: Server) -> None:
    """Roles belong to the whole cluster: no database may fail for what another does."""
    steps = STEMS[STEMS.index("0033_roles") :]
    made = [server.chat() for _ in range(3)]
    failed: list[psycopg.Error] = []
    together = threading.Barrier(len(made))

    def build(database: Database) -> None:
        with database.connect() as conn:
            together.wait(20)
            try:
                for stem in steps:
                    run(conn, "up", stem)
            except psycopg.Error as error:
                failed.append(error)

    for database in made:
        with database.connect() as conn:
            for stem in reversed(steps):
                run(conn, "down", stem)
    for role in ROLES:  # out of the way, with all that they were granted elsewhere
        server.execute(f"ALTER ROLE {role} RENAME TO hidden_{role}")
    try:
        builders = [threading.Thread(target=build, args=[database]) for database in made]
        for builder in builders:
            builder.start()
        for builder in builders:
            builder.join(60)
        assert failed == []
        for database in made:
            granted = "SELECT has_table_privilege('chat_app', 'messages', 'SELECT')"
            assert database.query(granted) == [(True,)]
    finally:
        for database in made:
            database.drop()
        for role in ROLES:
            server.execute(f"DROP ROLE IF EXISTS {role}")
            server.execute(f"ALTER ROLE hidden_{role} RENAME TO {role}")


# --- nothing secret in plain text -----------------------------------------------------------------

PASSWORDS = [
    "Passw0rd", "", " ", "correct horse battery staple", "$2b$12$", "$2b$12$short",
    BCRYPT.replace("$12$", "$09$"), BCRYPT + "x", "x" + BCRYPT, BCRYPT.replace("a", "!", 1),
    "$1$salt$3RQWXQ1nLtbVnZk6pYaBs.", "$argon2i" + ARGON2[9:], "5f4dcc3b5aa765d61d8327deb882cf99",
]  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_in_plain_text_is_refused(scene: Scene, password: str) -> None:
    named = denied(
        scene.conn, CHECK, "create_user", "x@example.org", "xenia", password_hash=password
    )
    assert named == "users_password_hash_format"
    change = {"password_hash": password}
    named = denied(scene.conn, CHECK, "update_user", scene.ids["ada"], change)
    assert named == "users_password_hash_format"


@pytest.mark.parametrize(
    "token",
    [b"", b"secret", b"x" * 32, b"0123456789abcdef0123456789abcdef", b" " * 32, b"\\" * 32,
     b"a\\b'c\"d e/f+g=h-i_j.k~l!m@n#o$p%", digest("x").hex().encode(), digest("x")[:31],
     digest("x") + b"\0", b"eyJhbGciOiJIUzI1NiJ9.e30.XmNK3GpH"],
)  # fmt: skip
def test_a_token_or_session_id_in_plain_text_is_refused(scene: Scene, token: bytes) -> None:
    named = denied(scene.conn, CHECK, "issue_token", scene.ids["ada"], token, LATER)
    assert named == "refresh_tokens_token_hash_digest"
    named = denied(scene.conn, CHECK, "put_session", token, {}, LATER)
    assert named == "sessions_session_hash_digest"


def test_digests_are_taken_whatever_their_bytes(scene: Scene) -> None:
    scene.conn.execute(
        "INSERT INTO refresh_tokens (user_id, token_hash, expires_at)"
        " SELECT %s, sha256(n::text::bytea), now() FROM generate_series(1, 2000) n",
        [scene.ids["ada"]],
    )
    for odd in (
        b"\\" * 31 + b"\0",
        b"x" * 31 + b"\xff",
        b"\0" * 32,
        b"\xff" * 32,
        b"x" * 31 + b"\n",
    ):
        call(scene.conn, "issue_token", scene.ids["ada"], odd, LATER)


def test_hashes_of_both_kinds_are_taken(scene: Scene) -> None:
    for good in (BCRYPT, ARGON2):
        call(scene.conn, "update_user", scene.ids["ada"], {"password_hash": good})


def test_an_identifier_of_sql_in_an_argument_is_only_text(scene: Scene) -> None:
    nasty = "'; DROP TABLE messages; --"
    with scene.acting("ada") as conn:
        said = send(conn, scene.ids["room"], scene.ids["ada"], nasty, client_message_id=nasty)
        found = rows(conn, "search_messages", scene.ids["ada"], nasty)
        assert ids_of(found) == [said]
        denied(conn, NO_DATA, "update_channel", nasty, {"name": "x"})
        denied(conn, "22023", "update_channel", scene.ids["room"], {nasty: "x"})
        name = call(conn, "update_channel", scene.ids["room"], {"name": nasty})["name"]
        assert name == nasty
    literal = sql.Literal(nasty).as_string(scene.conn)
    assert value(scene.conn, f"SELECT count(*) FROM messages WHERE content = {literal}") == 1
