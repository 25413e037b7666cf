"""Promises of the change log: what is an event, none lost and none twice, and no write that fails.

What is an event are tables of cases.  That none is lost is a property: random schedules of writers and
readers, each printed with its seed; --long plays many more of them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

from chatdb_cli.server import EmbeddedServer
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.servers import GROUND, Server, first

Conn = psycopg.Connection[Any]
Events = list[tuple[Any, ...]]

RESYNCHRONISE, STANDBY, MALFORMED, FORBIDDEN = "CD001", "CD002", "22023", "42501"


def ulid(number: int) -> str:
    return f"{number:026}"


ADA, BOB, CAT = ulid(1), ulid(2), ulid(3)
HALL, ROOM = ulid(11), ulid(12)
HI, YO = ulid(21), ulid(22)
THUMB, FILE, NOTE, FRIEND = ulid(31), ulid(41), ulid(51), ulid(61)
NEW, NEWER = ulid(98), ulid(99)

# Two users, two channels, two messages in one of them, and a row in each of the other tables.
WORLD = f"""
INSERT INTO users (id, email, username, auth0_id) VALUES
  ('{ADA}', 'ada@x', 'ada', 'ada'), ('{BOB}', 'bob@x', 'bob', 'bob'), ('{CAT}', 'cat@x', 'cat', 'cat');
INSERT INTO channels (id, type, name, created_by) VALUES
  ('{HALL}', 'public', 'hall', '{ADA}'), ('{ROOM}', 'public', 'room', '{ADA}');
INSERT INTO channel_members (channel_id, user_id) VALUES ('{HALL}', '{ADA}');
INSERT INTO messages (id, channel_id, user_id, content) VALUES
  ('{HI}', '{HALL}', '{ADA}', 'Hi'), ('{YO}', '{HALL}', '{ADA}', 'Yo');
INSERT INTO reactions (id, message_id, user_id, emoji) VALUES ('{THUMB}', '{HI}', '{BOB}', 'thumb');
INSERT INTO message_reads (message_id, user_id) VALUES ('{HI}', '{BOB}');
INSERT INTO message_deliveries (message_id, user_id) VALUES ('{HI}', '{BOB}');
INSERT INTO user_status (user_id, status) VALUES ('{ADA}', 'online');
INSERT INTO files (id, message_id, name, type, size, url) VALUES
  ('{FILE}', '{HI}', 'a.png', 'image/png', 1, 'x');
INSERT INTO notifications (id, user_id, type) VALUES ('{NOTE}', '{ADA}', 'news');
INSERT INTO relationships (id, user_id, related_user_id, type) VALUES
  ('{FRIEND}', '{ADA}', '{BOB}', 'friend');
"""


def value(conn: Conn, query: str, *parameters: Any) -> Any:
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def migrate(conn: Conn, schema: str = "public") -> None:
    """Run all files of the schema, with the world in it."""
    with conn.transaction():
        path = sql.SQL("{}, public").format(sql.Identifier(schema)).as_string()
        conn.execute("SELECT set_config('search_path', %s, true)", [path])
        for file in sorted((SHIPPED / "up").glob("*.sql")):
            conn.execute(file.read_text())
        conn.execute(WORLD)


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[str]:
    """The name of a database with the world; tests take copies, or transactions in it."""
    made = server.create()
    with made.connect() as conn:
        migrate(conn)
        conn.execute("TRUNCATE events")
    yield made.name
    made.drop()


@pytest.fixture
def database(server: Server, world: str) -> Iterator[Database]:
    """A copy of the world of the test's own, with an empty log."""
    made = server.create(world)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def chat(server: Server, world: str) -> Iterator[Conn]:
    """A session in a copy of the world; each test rolls back what it does."""
    made = server.create(world)
    with made.connect() as conn:
        yield conn
    made.drop()


@pytest.fixture
def log(chat: Conn) -> Iterator[Callable[..., Events]]:
    """Run statements and tell the events that they wrote; rolled back at the end."""

    def written(*statements: str) -> Events:
        mark = value(chat, "SELECT coalesce(max(seq), 0) FROM events")
        for statement in statements:
            chat.execute(statement)
        return chat.execute(
            "SELECT table_name, op, row_id, channel_id, user_id FROM events WHERE seq > %s ORDER BY seq",
            [mark],
        ).fetchall()

    with chat.transaction(force_rollback=True):
        yield written


# --- what is an event ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A table that is logged.

    Attributes:
        key: what finds the row that the world has in it.
        event: row_id, channel_id and user_id of its events.
        row: the values of another row, and its event.
        matters: columns whose change is an event, with another value for each.
        silent: columns whose change alone is none.
    """

    key: str
    event: tuple[str | None, ...]
    row: dict[str, Any]
    new: tuple[str | None, ...]
    matters: dict[str, str]
    silent: dict[str, str]


TOUCH = {"created_at": "now() + '1s'", "updated_at": "now() + '1s'"}

TABLES = {
    "messages": Table(
        f"id = '{HI}'",
        (HI, HALL, ADA),
        {"id": NEW, "channel_id": ROOM, "user_id": BOB, "content": "new"},
        (NEW, ROOM, BOB),
        {
            "content": "'changed'",
            "content_type": "'image'",
            "status": "'read'",
            "reply_to_id": f"'{YO}'",
            "metadata": """'{"a": 1}'""",
        },
        {"edited_at": "now()", "client_message_id": "'c1'"},
    ),
    "reactions": Table(
        f"id = '{THUMB}'",
        (THUMB, HALL, BOB),
        {"id": NEW, "message_id": YO, "user_id": CAT, "emoji": "heart"},
        (NEW, HALL, CAT),
        {"message_id": f"'{YO}'", "emoji": "'heart'"},
        {},
    ),
    "channels": Table(
        f"id = '{HALL}'",
        (HALL, HALL, ADA),
        {"id": NEW, "type": "private", "name": "new", "created_by": BOB},
        (NEW, NEW, BOB),
        {
            "type": "'private'",
            "name": "'changed'",
            "description": "'changed'",
            "avatar_url": "'changed'",
            "metadata": """'{"a": 1}'""",
            "archived_at": "now()",
        },
        {},
    ),
    "channel_members": Table(
        f"channel_id = '{HALL}' AND user_id = '{ADA}'",
        (f"{HALL}:{ADA}", HALL, ADA),
        {"channel_id": ROOM, "user_id": CAT},
        (f"{ROOM}:{CAT}", ROOM, CAT),
        {"role": "'admin'", "muted_until": "now()"},
        {"last_read_message_id": f"'{HI}'", "joined_at": "now() + '1s'"},
    ),
    "message_reads": Table(
        f"message_id = '{HI}'",
        (f"{HI}:{BOB}", HALL, BOB),
        {"message_id": YO, "user_id": CAT},
        (f"{YO}:{CAT}", HALL, CAT),
        {"read_at": "now() + '1s'"},
        {},
    ),
    "message_deliveries": Table(
        f"message_id = '{HI}'",
        (f"{HI}:{BOB}", HALL, BOB),
        {"message_id": YO, "user_id": CAT},
        (f"{YO}:{CAT}", HALL, CAT),
        {"delivered_at": "now() + '1s'"},
        {},
    ),
    "user_status": Table(
        f"user_id = '{ADA}'",
        (ADA, None, ADA),
        {"user_id": BOB},
        (BOB, None, BOB),
        {"status": "'away'", "custom_status": "'on holiday'"},
        {"last_seen": "now()"},
    ),
    "files": Table(
        f"id = '{FILE}'",
        (FILE, HALL, ADA),
        {"id": NEW, "message_id": YO, "name": "b", "type": "image/png", "size": 2, "url": "y"},
        (NEW, HALL, ADA),
        {"message_id": f"'{YO}'", "name": "'b'", "type": "'b'", "size": "2", "url": "'b'"},
        {},
    ),
    "notifications": Table(
        f"id = '{NOTE}'",
        (NOTE, None, ADA),
        {"id": NEW, "user_id": BOB, "type": "news"},
        (NEW, None, BOB),
        {
            "type": "'other'",
            "content": """'{"a": 1}'""",
            "related_type": "'message'",
            "related_id": f"'{HI}'",
            "read_at": "now()",
            "expires_at": "now()",
        },
        {},
    ),
    "relationships": Table(
        f"id = '{FRIEND}'",
        (FRIEND, None, ADA),
        {"id": NEW, "user_id": BOB, "related_user_id": CAT, "type": "friend"},
        (NEW, None, BOB),
        {"related_user_id": f"'{CAT}'", "type": "'blocked'", "status": "'accepted'"},
        {},
    ),
}
# Keys, and what only a column of its own says: a change of them shows in row_id, channel_id, user_id.
KEYS = {"id", "channel_id", "user_id", "message_id", "created_by", "direct_low", "direct_high"}


def insert(table: str, values: dict[str, Any], more: str = "") -> str:
    return (
        sql.SQL("INSERT INTO {} ({}) VALUES ({})" + more)
        .format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Literal, values.values())),
        )
        .as_string()
    )


@first
@pytest.mark.parametrize("name", TABLES)
def test_each_column_of_a_logged_table_is_known_to_matter_or_not(chat: Conn, name: str) -> None:
    there = {
        row[0]
        for row in chat.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [name]
        )
    }
    table = TABLES[name]
    named = table.matters.keys() | table.silent.keys() | TOUCH.keys() | KEYS | {"deleted_at"}
    assert there <= named, "say in TABLES whether a change of the new column is an event"


@pytest.mark.parametrize("name", TABLES)
def test_an_insert_and_a_delete_are_one_event_a_row(log: Callable[..., Events], name: str) -> None:
    table = TABLES[name]
    assert log(insert(name, table.row)) == [(name, "insert", *table.new)]
    (gone,) = [e for e in log(f"DELETE FROM {name} WHERE {table.key}") if e[0] == name]
    assert gone == (name, "delete", *table.event)


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, t in TABLES.items() for c in t.matters])
def test_a_change_that_matters_is_an_event(
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
def test_a_change_to_null_and_from_it_is_an_event(
    log: Callable[..., Events], name: str, column: str
) -> None:
    table = TABLES[name]
    for other in (table.matters[column], "NULL"):
        change = f"UPDATE {name} SET {column} = {other} WHERE {table.key}"
        assert log(change) == [(name, "update", *table.event)]


@pytest.mark.parametrize("name", TABLES)
def test_a_heartbeat_or_a_marker_alone_is_no_event(
    chat: Conn, log: Callable[..., Events], name: str
) -> None:
    table = TABLES[name]
    columns = [row[0] for row in chat.execute(f"SELECT * FROM {name}").description or ()]
    for column, other in (TOUCH | table.silent).items():
        if column in columns:
            assert log(f"UPDATE {name} SET {column} = {other} WHERE {table.key}") == [], column


@pytest.mark.parametrize("name", TABLES)
def test_a_statement_that_changes_nothing_is_no_event(
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


M = "INSERT INTO messages (id, channel_id, user_id, content) VALUES "
STATUS = "INSERT INTO user_status (user_id, status) VALUES "
ON_STATUS = " ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, last_seen = now()"
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


# What is done, and the events of it in any order.  A row that goes with its message no longer knows
# the channel: the event of the message tells it.
CASES: dict[str, tuple[str, Events]] = {
    "many rows": (
        f"{M} ('{NEW}', '{HALL}', '{ADA}', 'a'), ('{NEWER}', '{ROOM}', '{ADA}', 'b')",
        [message("insert", NEW), message("insert", NEWER, ROOM)],
    ),
    "many rows, one of them changed": (
        f"UPDATE messages SET content = CASE id WHEN '{HI}' THEN 'Ho' ELSE content END",
        [message("update", HI)],
    ),
    "all rows changed": (
        "UPDATE messages SET status = 'read'",
        [message("update", HI), message("update", YO)],
    ),
    "a soft delete": (
        f"UPDATE messages SET deleted_at = now() WHERE id = '{HI}'",
        [message("delete", HI)],
    ),
    "some deleted, some changed": (
        f"UPDATE messages SET status = 'read', deleted_at = CASE id WHEN '{YO}' THEN now() END",
        [message("update", HI), message("delete", YO)],
    ),
    "a soft delete taken back": (
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
            ("files", "delete", FILE, None, None),
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
        [("notifications", op, NEW, None, CAT) for op in ("insert", "delete")],
    ),
    "a change of the user alone": (f"UPDATE users SET display_name = 'A' WHERE id = '{ADA}'", []),
    "a channel's creator who is set NULL": (
        f"UPDATE channels SET created_by = NULL WHERE id = '{ROOM}'",
        [("channels", "update", ROOM, ROOM, None)],
    ),
    "a change and back in two statements": (
        f"UPDATE messages SET status = 'read' WHERE id = '{HI}';"
        f"UPDATE messages SET status = 'sending' WHERE id = '{HI}'",
        [message("update", HI), message("update", HI)],
    ),
    "a row that comes and goes": (
        f"{M} ('{NEW}', '{HALL}', '{ADA}', 'a'); DELETE FROM messages WHERE id = '{NEW}'",
        [message("insert", NEW), message("delete", NEW)],
    ),
    "a savepoint rolled back": (
        f"SAVEPOINT s; UPDATE messages SET status = 'read'; ROLLBACK TO s;"
        f"UPDATE messages SET status = 'read' WHERE id = '{HI}'",
        [message("update", HI)],
    ),
    "ON CONFLICT DO UPDATE, there": (
        f"{STATUS} ('{ADA}', 'away') {ON_STATUS}",
        [status("update", ADA)],
    ),
    "ON CONFLICT DO UPDATE, a heartbeat": (f"{STATUS} ('{ADA}', 'online') {ON_STATUS}", []),
    "ON CONFLICT DO UPDATE, new": (
        f"{STATUS} ('{BOB}', 'away') {ON_STATUS}",
        [status("insert", BOB)],
    ),
    "ON CONFLICT DO UPDATE, both": (
        f"{STATUS} ('{ADA}', 'away'), ('{BOB}', 'away') {ON_STATUS}",
        [status("update", ADA), status("insert", BOB)],
    ),
    "ON CONFLICT DO UPDATE that its WHERE forbids": (
        f"{STATUS} ('{ADA}', 'away') {ON_STATUS} WHERE false",
        [],
    ),
    "two changes in one statement": (
        f"WITH a AS (UPDATE messages SET status = 'read' WHERE id = '{HI}' RETURNING *),"
        f" b AS (DELETE FROM notifications RETURNING *) {STATUS} ('{BOB}', 'busy')",
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
def test_what_is_an_event(chat: Conn, log: Callable[..., Events], case: str) -> None:
    if case in ON_15 and chat.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    done, expected = (CASES | ON_15)[case]
    assert sorted(log(done), key=str) == sorted(expected, key=str)


@first
def test_a_hard_delete_is_one_too_where_soft_deletes_are_off(log: Callable[..., Events]) -> None:
    events = log(
        "SELECT set_config('chat.soft_delete', 'off', true)",
        f"SELECT delete_message('{YO}', '{ADA}')",
    )
    assert events == [message("delete", YO)]


# --- none lost, none twice, in order --------------------------------------------------------------


def private(folder: Path, server: Server) -> Server:
    """Start another server of the same version, with a template that has the world in it."""
    folder.mkdir(mode=0o711, exist_ok=True)  # as root the server runs as another user
    embedded = EmbeddedServer(folder / ".chatdb", programs=server.embedded.programs)
    embedded.start()
    made = Server(embedded, server.name)
    made.execute("ALTER SYSTEM SET fsync = off")
    made.execute("ALTER SYSTEM SET max_prepared_transactions = 20")
    if made.version >= 17:
        made.execute("ALTER SYSTEM SET max_notify_queue_pages = 64")
    embedded.stop()
    embedded.start()
    template = made.create()
    with template.connect() as conn:
        migrate(conn)
    template.execute("TRUNCATE events")
    made.templates["world"] = template.name
    return made


@pytest.fixture(scope="module")
def own(server: Server) -> Iterator[Server]:
    """A server of this file's own: it is killed and copied, and its queue is small."""
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=GROUND) as folder:
        Path(folder).chmod(0o711)
        made = private(Path(folder, "own"), server)
        yield made
        made.embedded.destroy()


@pytest.fixture
def owned(own: Server) -> Iterator[Database]:
    """A copy of the world on that server."""
    made = own.create(own.templates["world"])
    yield made
    made.drop()


def read(conn: Conn, cursor: str, limit: int = 500) -> list[tuple[int | None, str]]:
    """One page: the seq and the cursor of each row."""
    return conn.execute("SELECT seq, cursor FROM events_since(%s, %s)", [cursor, limit]).fetchall()


def now(conn: Conn) -> str:
    """A cursor from now on."""
    return str(value(conn, "SELECT cursor FROM events_since()"))


def drain(conn: Conn, cursor: str, limit: int = 500) -> list[int]:
    """All events after the cursor, page by page."""
    found: list[int] = []
    while True:
        page = read(conn, cursor, limit)
        if page[-1][0] is None:
            return found
        found += [seq for seq, _ in page if seq is not None]
        cursor = page[-1][1]


@dataclass
class Change:
    """An event that was written: when, and when its transaction committed, in steps of the schedule."""

    row: str
    written: int
    committed: int = 0


@dataclass
class Writer:
    """A session that writes, and what its open transaction has written so far."""

    conn: Conn
    pending: dict[int, Change] = field(default_factory=dict)
    savepoints: list[dict[int, Change]] = field(default_factory=list)
    written: int = 0


@dataclass
class Reader:
    """A session that reads on from its cursor; `expected` are the events that it has to get."""

    writer: Writer
    cursor: str
    before: set[int]
    got: list[int] = field(default_factory=list)


class Schedule:
    """Random steps of writers and readers, one at a time: a seed gives the same schedule again.

    A writer that would have to wait for another gives up after a millisecond, which is one more way to
    roll back.
    """

    def __init__(self, sessions: list[Conn], seed: int, *, prepare: bool) -> None:
        self.random = random.Random(seed)
        self.sessions = list(sessions)
        self.prepare = prepare
        self.step = 0
        self.prepared: dict[str, dict[int, Change]] = {}
        self.truth: dict[int, Change] = {}
        self.writers = [Writer(self.connect()) for _ in range(5)]
        self.readers: list[Reader] = []

    def connect(self) -> Conn:
        conn = self.sessions.pop()
        conn.execute("SET lock_timeout = '1ms'")
        conn.execute(f"SET chat.notify = '{'off' if self.prepare else ''}'")
        return conn

    def play(self, steps: int) -> None:
        for self.step in range(1, steps + 1):
            if not self.readers or (self.random.random() < 0.02 and len(self.readers) < 4):
                self.new_reader()
            if self.random.random() < 0.6:
                self.write(self.random.choice(self.writers))
            else:
                self.read(self.random.choice(self.readers))
        for writer in self.writers + [r.writer for r in self.readers]:
            self.step += 1
            if self.random.random() < 0.5:
                self.commit(writer)
            else:
                self.rollback(writer)
        while self.prepared:
            self.finish_prepared(self.writers[0])
        for reader in self.readers:
            self.check(reader)

    # -- writing

    def idle(self, writer: Writer) -> bool:
        return writer.conn.info.transaction_status == TransactionStatus.IDLE

    def write(self, writer: Writer) -> None:
        choose = self.random.random()
        if self.idle(writer):
            if self.prepared and choose < 0.1:
                self.finish_prepared(writer)
            elif choose < 0.5:
                isolation = self.random.choice(
                    ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
                )
                writer.conn.execute(f"BEGIN ISOLATION LEVEL {isolation}")
                writer.conn.execute("SELECT 1")  # takes the snapshot
            else:
                self.change(writer)
                self.commit(writer)
        elif choose < 0.15:
            self.commit(writer)
        elif choose < 0.22:
            self.rollback(writer)
        elif choose < 0.26 and self.prepare:
            self.prepare_transaction(writer)
        elif choose < 0.34:
            writer.conn.execute(f"SAVEPOINT s{len(writer.savepoints)}")
            writer.savepoints.append(dict(writer.pending))
        elif choose < 0.42 and writer.savepoints:
            kept = writer.savepoints.pop()
            name = f"s{len(writer.savepoints)}"
            if self.random.random() < 0.6:
                writer.conn.execute(f"ROLLBACK TO {name}; RELEASE {name}")
                writer.pending = kept
            else:
                writer.conn.execute(f"RELEASE {name}")
        else:
            self.change(writer)

    def statement(self) -> str:
        r = self.random
        some = f"(SELECT id FROM messages OFFSET {r.randrange(8)} LIMIT {r.choice([1, 1, 3])})"
        new = f"INSERT INTO messages (channel_id, user_id, content) SELECT '{HALL}', '{ADA}', 'x'"
        return r.choice(
            [
                new,
                f"{new} FROM generate_series(1, {r.choice([2, 5, 40])})",
                f"UPDATE messages SET content = '{self.step}' WHERE id IN {some}",
                f"UPDATE messages SET deleted_at = now() WHERE id IN {some}",
                f"UPDATE messages SET updated_at = now() WHERE id IN {some}",
                f"DELETE FROM messages WHERE id IN {some}",
                "INSERT INTO reactions (message_id, user_id, emoji)"
                f" SELECT id, '{ADA}', 'x' FROM messages WHERE id IN {some} ON CONFLICT DO NOTHING",
                f"DO $$ BEGIN BEGIN {new}; RAISE division_by_zero; EXCEPTION WHEN OTHERS THEN NULL; END;"
                f" {new}; END $$",
            ]
        )

    def change(self, writer: Writer) -> None:
        begun = not self.idle(writer)
        try:
            if not begun:
                writer.conn.execute("BEGIN")
            writer.conn.execute(self.statement())
            rows = writer.conn.execute(
                "SELECT seq, table_name || row_id FROM events"
                " WHERE xid = pg_current_xact_id_if_assigned() AND seq > %s",
                [writer.written],
            ).fetchall()
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.SerializationFailure,
            psycopg.errors.ForeignKeyViolation,
            psycopg.errors.DeadlockDetected,
        ):
            self.rollback(writer)
            return
        for seq, row in rows:
            writer.pending[seq] = Change(row, self.step)
            writer.written = max(writer.written, seq)

    def commit(self, writer: Writer) -> None:
        try:
            writer.conn.execute("COMMIT")
        except psycopg.errors.SerializationFailure:
            self.rollback(writer)
        else:
            self.made_true(writer.pending)
            self.clear(writer)

    def rollback(self, writer: Writer) -> None:
        writer.conn.execute("ROLLBACK")
        self.clear(writer)

    def prepare_transaction(self, writer: Writer) -> None:
        name = f"p{self.step}"
        try:
            writer.conn.execute(f"PREPARE TRANSACTION '{name}'")
        except psycopg.errors.SerializationFailure:
            self.rollback(writer)
        else:
            self.prepared[name] = writer.pending
            self.clear(writer)

    def finish_prepared(self, writer: Writer) -> None:
        name = self.random.choice(list(self.prepared))
        changes = self.prepared.pop(name)
        if self.random.random() < 0.7:
            writer.conn.execute(f"COMMIT PREPARED '{name}'")
            self.made_true(changes)
        else:
            writer.conn.execute(f"ROLLBACK PREPARED '{name}'")

    def made_true(self, changes: dict[int, Change]) -> None:
        for change in changes.values():
            change.committed = self.step
        self.truth |= changes

    def clear(self, writer: Writer) -> None:
        writer.pending, writer.savepoints = {}, []

    # -- reading

    def new_reader(self) -> None:
        conn = self.connect()
        with conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor = now(conn)
            before = {row[0] for row in conn.execute("SELECT seq FROM events")}
        self.readers.append(Reader(Writer(conn), cursor, before))

    def read(self, reader: Reader) -> None:
        """Read a page, and take all of it or only the beginning; or do something else between pages."""
        choose = self.random.random()
        writer = reader.writer
        if choose < 0.15:
            if not self.idle(writer):
                self.commit(writer) if choose < 0.1 else self.rollback(writer)
            else:
                isolation = self.random.choice(
                    ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
                )
                writer.conn.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        elif choose < 0.25 and not self.idle(writer):
            self.change(writer)  # a reader that writes itself
        elif choose < 0.3 and self.idle(writer) and self.sessions:
            self.sessions.insert(0, writer.conn)
            writer.conn = self.connect()  # the cursor is all that a reader needs to go on
        else:
            try:
                page = read(writer.conn, reader.cursor, self.random.choice([1, 2, 3, 10, 100, 500]))
            except psycopg.errors.SerializationFailure:
                self.rollback(writer)
                return
            taken = page[: self.random.choice([1, 2, len(page)])]
            reader.got += [seq for seq, _ in taken if seq is not None]
            reader.cursor = taken[-1][1]

    def check(self, reader: Reader) -> None:
        reader.got += drain(reader.writer.conn, reader.cursor, self.random.choice([2, 20, 500]))
        assert len(reader.got) == len(set(reader.got)), "twice"
        assert set(reader.got) == self.truth.keys() - reader.before, "lost"
        written, rows = 0, dict[str, int]()
        for seq in reader.got:
            change = self.truth[seq]
            assert change.committed >= written, "after a change that was made after its commit"
            written = max(written, change.written)
            assert rows.get(change.row, 0) < seq, "changes of a row in another order"
            rows[change.row] = seq


@pytest.mark.parametrize("prepare", [False, True], ids=["bell", "two-phase"])
def test_readers_get_each_event_once_and_in_order_whatever_the_schedule(
    request: pytest.FixtureRequest, owned: Database, prepare: bool
) -> None:
    rounds = 400 if request.config.getoption("--long") else 5
    start = random.randrange(10**9)
    with ExitStack() as stack:
        sessions = [stack.enter_context(owned.connect()) for _ in range(11)]
        for seed in range(start, start + rounds):
            try:
                Schedule(sessions, seed, prepare=prepare).play(250)
            except BaseException as error:
                error.add_note(f"seed {seed}, prepare {prepare}")
                raise


SEND = f"INSERT INTO messages (channel_id, user_id, content) VALUES ('{HALL}', '{ADA}', 'x')"
EDIT = "UPDATE messages SET metadata = metadata || jsonb_build_object('n', random()) WHERE id = %s"


def test_readers_get_each_event_once_at_full_speed(database: Database) -> None:
    """Not one step at a time: what happens between two looks of the same statement."""
    done = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(number)
        with database.connect() as conn:
            for _ in range(60):
                with conn.transaction(force_rollback=chance.random() < 0.2):
                    for _ in range(chance.choice([1, 1, 2, 8])):
                        conn.execute(SEND)
                    with conn.transaction(force_rollback=chance.random() < 0.5):
                        conn.execute(EDIT, [chance.choice([HI, YO])])

    def follow(cursor: str, limit: int) -> list[int]:
        found: list[int] = []
        with database.connect() as conn:
            last = False
            while True:
                page = read(conn, cursor, limit)
                page = page[: random.randint(1, len(page))]
                found += [seq for seq, _ in page if seq is not None]
                cursor = page[-1][1]
                if page[-1][0] is None:
                    if last:
                        return found
                    last = done.is_set()

    with database.connect() as conn, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(follow, now(conn), limit) for limit in (1, 7, 500)]
        writers = [pool.submit(write, number) for number in range(5)]
        wait(writers)
        done.set()
        for writer in writers:
            writer.result()
        rows = dict(conn.execute("SELECT seq, table_name || row_id FROM events").fetchall())
        for reader in readers:
            found = reader.result()
            assert sorted(found) == sorted(rows)
            for row in set(rows.values()):
                of_row = [seq for seq in found if rows[seq] == row]
                assert of_row == sorted(of_row)


def test_a_reader_goes_on_from_any_row_of_any_page(database: Database) -> None:
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(4):
            conn.execute(SEND)
        conn.execute(f"{SEND}, ('{HALL}', '{ADA}', 'y'), ('{HALL}', '{ADA}', 'z')")
        whole = drain(conn, begin)
        assert len(whole) == 7
        for limit in range(1, 9):
            page = read(conn, begin, limit)
            for seq, cursor in page:
                rest = drain(conn, cursor, limit)
                assert rest == [s for s in whole if s > (seq or 0)], f"{seq} of {limit}"


def test_a_page_is_the_same_however_often_it_is_read_and_whatever_comes(database: Database) -> None:
    with database.connect() as conn, database.connect() as other:
        begin = now(conn)
        other.execute("BEGIN")
        other.execute(SEND)
        for _ in range(3):
            conn.execute(SEND)
        ((_, cursor),) = read(conn, begin, 1)[:1]
        page = [seq for seq, _ in read(conn, cursor, 10)]
        other.execute("COMMIT")
        conn.execute(SEND)
        assert [seq for seq, _ in read(conn, cursor, 10)] == page
        assert len(drain(conn, begin)) == 5


def test_without_an_event_one_row_brings_the_cursor_to_keep(database: Database) -> None:
    with database.connect() as conn:
        for empty in (None, ""):
            (row,) = conn.execute("SELECT * FROM events_since(%s)", [empty]).fetchall()
            assert row[:-1] == (None,) * 7
            assert row[-1]
        assert read(conn, now(conn)) == [(None, now(conn))]
        conn.execute(SEND)
        assert read(conn, now(conn)) == [(None, now(conn))], "an empty cursor begins from now"


@first
def test_events_since_is_called_with_limits_of_all_sizes(database: Database) -> None:
    with database.connect() as conn:
        begin = now(conn)
        conn.execute(SEND)
        for limit in ("1", "2147483647", "NULL"):
            ((seq,),) = conn.execute(f"SELECT seq FROM events_since('{begin}', {limit})").fetchall()
            assert seq
        for limit in ("0", "-1"):
            refused(conn, MALFORMED, f"SELECT events_since('{begin}', {limit})")


# --- cursors that say nothing any more --------------------------------------------------------------


def refused(conn: Conn, state: str, statement: str, *parameters: Any) -> str:
    """The statement is refused with this SQLSTATE; the answer is what it says."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(statement, parameters or None)
    assert caught.value.sqlstate == state, caught.value
    return f"{caught.value}"


def refuses(conn: Conn, cursor: str, state: str = RESYNCHRONISE) -> str:
    return refused(conn, state, "SELECT events_since(%s)", cursor)


def burn(conn: Conn, xids: int) -> None:
    """Use up xids, as other transactions of the cluster do."""
    conn.execute(
        f"DO $$ BEGIN FOR i IN 1..{xids} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )


@first
def test_a_malformed_cursor_is_refused_as_such(database: Database) -> None:
    with database.connect() as conn:
        epoch = now(conn).split("|")[0]
        conn.execute(SEND)
        for cursor in (
            " ", "0", "5:5:", epoch, f"{epoch}|", f"{epoch}|5", f"{epoch}|5:3:", f"{epoch}|0:0:",
            f"{epoch}|5:9:8,7", f"{epoch}|5:9:4", f"{epoch}|5:9:,",
            f"{epoch}|5:5:|5:5:", f"{epoch}|5:5:|5:5:|1",
            f"{epoch}|5:5:|6:5:|1.1|-", f"{epoch}|5:5:|5:5:|{'9' * 30}.1|-",
            f"{epoch}|5:5:|5:5:|1.1|{'9' * 30}-",
            f"{epoch}|5:5:|5:5:|x|-", f"{epoch}|5:5:\n", f"{now(conn)}|", f"x{now(conn)}",
            "'; DROP TABLE events; --", "\u20ac" * 5000,
        ):  # fmt: skip
            assert "no cursor of the change log" in refuses(conn, cursor, MALFORMED)


def test_a_copied_database_is_noticed_and_has_a_log_of_its_own(
    server: Server, database: Database
) -> None:
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(3):
            conn.execute(SEND)
        middle = read(conn, begin, 2)[0][1]
    copy = server.create(database.name)
    with copy.connect() as conn:
        for cursor in (begin, middle):
            refuses(conn, cursor)
        fresh = now(conn)
        assert now(conn) == fresh, "the epoch begins once"
        for cursor in (begin, middle):
            refuses(conn, cursor)
        conn.execute(SEND)
        assert len(drain(conn, fresh)) == 1
    copy.drop()
    with database.connect() as conn:
        assert len(drain(conn, begin)) == 3
        refuses(conn, fresh)


def test_two_readers_that_find_a_copy_at_once_agree_on_its_epoch(
    server: Server, database: Database
) -> None:
    copy = server.create(database.name)
    cursors: list[str] = []
    with copy.connect() as first_one:
        first_one.execute("BEGIN")
        cursors.append(now(first_one))

        def second() -> None:
            with copy.connect() as conn:
                cursors.append(now(conn))

        thread = threading.Thread(target=second)
        thread.start()
        copy.execute(
            "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype ="
            " 'transactionid') LOOP PERFORM pg_sleep(0.002); END LOOP; END $$"
        )
        first_one.execute("COMMIT")
        thread.join()
        first_one.execute(SEND)
        assert [len(drain(first_one, cursor)) for cursor in cursors] == [1, 1]
    copy.drop()


def dump(database: Database, *more: str) -> str:
    programs = database.server.embedded.programs
    return subprocess.run(
        [programs / "pg_dump", *more, database.url], check=True, capture_output=True, text=True
    ).stdout


def restore(database: Database, text: str) -> None:
    programs = database.server.embedded.programs
    subprocess.run(
        [programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", database.url],
        input=text, check=True, capture_output=True, text=True,
    )  # fmt: skip


def test_old_events_of_a_restored_database_never_come_up_as_new_ones(
    database: Database, own: Server
) -> None:
    """Not now, not when a running transaction has the xid of one, not when xids pass theirs."""
    xid = "SELECT pg_current_xact_id()::text::bigint"
    with own.create().connect() as conn:
        there = value(conn, xid)
    with database.connect() as conn:
        burn(conn, max(0, there - value(conn, xid)) + 2000)  # the restoring takes hundreds
        begin = now(conn)
        for _ in range(200):
            conn.execute(SEND)
        old = value(conn, "SELECT count(*) FROM events")
        text = dump(database)
        conn.execute("DROP OWNED BY chat_listener")  # the roles are of the other cluster
    restored = own.create()
    restore(restored, text)
    with restored.connect() as conn, restored.connect() as writer, restored.connect() as late:
        assert value(conn, "SELECT count(*) FROM events") == old
        assert value(conn, "SELECT min(xid::text::bigint) FROM events") > value(conn, xid)
        conn.execute(SEND)  # before anybody has read
        writer.execute("BEGIN")
        writer.execute(SEND)
        conn.execute(
            "UPDATE events SET xid = %s WHERE seq = (SELECT min(seq) FROM events)",
            [str(value(writer, xid))],
        )
        late.execute("BEGIN")
        late.execute("SELECT 1")
        refuses(conn, begin)
        fresh = now(conn)
        assert drain(conn, fresh) == []
        writer.execute("COMMIT")
        late.execute(SEND)
        late.execute("COMMIT")
        conn.execute(SEND)
        new = drain(conn, fresh)
        assert len(new) == 3
        for _ in range(4):
            burn(conn, 700)
            conn.execute(SEND)
        assert value(conn, xid) > there + 2000 + 200
        assert drain(conn, fresh, 2)[:3] == new
        assert len(drain(conn, fresh)) == 7
        refuses(conn, begin)
    restored.drop()


def test_a_log_that_nobody_reads_after_a_restore_can_be_purged(
    database: Database, own: Server
) -> None:
    database.execute(SEND)
    restored = own.create()
    restore(restored, dump(database))
    with restored.connect() as conn:
        conn.execute("UPDATE events SET xid = '99999999999'")
        conn.execute(SEND)
        while value(conn, "SELECT purge_events('0s')"):
            pass
        assert value(conn, "SELECT count(*) FROM events") == 0
    restored.drop()


def test_a_dump_restored_into_the_same_database_is_noticed(database: Database) -> None:
    with database.connect() as conn:
        begin = now(conn)
        conn.execute(SEND)
        text = dump(database, "--clean", "--if-exists")
        conn.execute(SEND)
        after = now(conn)
    restore(database, text)
    with database.connect() as conn:
        for cursor in (begin, after):
            refuses(conn, cursor)
        fresh = now(conn)
        conn.execute(SEND)
        assert len(drain(conn, fresh)) == 1


@pytest.mark.parametrize("savepoint", [False, True])
def test_the_first_reader_of_all_has_what_it_wrote_itself_later_like_any_other(
    database: Database, savepoint: bool
) -> None:
    """It begins the epoch, and an old event may even have the xid that it has."""
    with database.connect() as conn:
        conn.execute("TRUNCATE events_state")
        conn.execute(
            "INSERT INTO events (xid, table_name, op, row_id)"
            " SELECT (pg_current_xact_id()::text::bigint + n)::text::xid8, 'messages', 'insert', 'old'"
            " FROM generate_series(1, 50) n"
        )
        conn.execute("BEGIN")
        if savepoint:
            conn.execute("SAVEPOINT s")
        conn.execute(SEND)
        assert value(conn, "SELECT count(*) FROM events WHERE xid = pg_current_xact_id()") == 2
        cursor = now(conn)
        assert drain(conn, cursor) == []
        conn.execute("COMMIT")
        assert drain(conn, cursor) == [value(conn, "SELECT max(seq) FROM events")]


def test_a_reset_begins_a_new_epoch_and_loses_nothing_that_is_being_written(
    database: Database,
) -> None:
    with database.connect() as conn, database.connect() as writer:
        conn.execute(SEND)
        begin = now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND)
        fresh = str(value(conn, "SELECT events_reset()"))
        refuses(conn, begin)
        writer.execute("COMMIT")
        conn.execute(SEND)
        assert len(drain(conn, fresh)) == 2
        assert len(drain(conn, now(conn))) == 0


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_reset_is_possible_in_a_transaction_of_any_kind(database: Database, level: str) -> None:
    with database.connect() as conn, database.connect() as other:
        conn.execute(f"BEGIN ISOLATION LEVEL {level}")
        conn.execute("SELECT count(*) FROM users")
        other.execute(SEND)
        fresh = str(value(conn, "SELECT events_reset()"))
        other.execute(SEND)
        conn.execute("COMMIT")
        other.execute(SEND)
        assert len(drain(conn, fresh)) == (2 if level == "READ COMMITTED" else 3)


def test_a_cursor_ahead_of_the_database_is_told(database: Database) -> None:
    with database.connect() as conn:
        conn.execute(SEND)
        epoch, snapshot = now(conn).split("|")
        xmax = int(snapshot.split(":")[1]) + 100_000
        for ahead in (f"{xmax}:{xmax}:", f"{snapshot}|{xmax}:{xmax}:|1.1|1-1"):
            assert "restored" in refuses(conn, f"{epoch}|{ahead}")


def test_a_transaction_older_than_the_cursor_is_told_and_loses_nothing(database: Database) -> None:
    """It does not see yet what the cursor holds for read, or what the page is about."""
    with database.connect() as conn, database.connect() as old, database.connect() as writer:
        conn.execute(SEND)
        begin = now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND)
        conn.execute(SEND)  # so that the writer's xid lies in the middle
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert len(drain(old, begin)) == 1
        writer.execute("COMMIT")
        pages = read(conn, begin, 1)
        cursors = [pages[0][1], read(conn, pages[0][1], 5)[-1][1]]
        for cursor in cursors:
            refuses(old, cursor)
        old.execute("ROLLBACK")
        assert [len(drain(old, cursor)) for cursor in cursors] == [1, 0]


def test_after_a_crash_events_under_xids_given_anew_are_not_lost(own: Server) -> None:
    """The xids of transactions that were rolled back just before it have not reached the disk."""
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        conn.execute(SEND)
        begin = now(conn)
        for _ in range(30):
            with conn.transaction(force_rollback=True):
                conn.execute(SEND)
        cursors = [begin, now(conn), read(conn, begin)[-1][1]]
        kill(own)
    with database.connect() as conn:
        for _ in range(40):
            conn.execute(SEND)
        assert [len(drain(conn, cursor)) for cursor in cursors] == [40] * 3
    database.drop()


def kill(server: Server) -> None:
    """Stop the server as a crash does, and start it again."""
    pid = server.embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGQUIT)
    while server.embedded.status().running:
        pass
    server.embedded.start()


def test_a_restart_is_nothing_to_a_cursor(own: Server) -> None:
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(3):
            conn.execute(SEND)
        middle = read(conn, begin, 2)[0][1]
    own.embedded.stop()
    own.embedded.start()
    with database.connect() as conn:
        conn.execute(SEND)
        assert len(drain(conn, begin)) == 4
        assert len(drain(conn, middle)) == 3
    database.drop()


@first
def test_a_standby_says_that_it_is_one(own: Server) -> None:
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        begin = now(conn)
    home = own.embedded.home.with_name(".standby")
    standby = EmbeddedServer(home, programs=own.embedded.programs)
    try:
        standby.start()
        standby.stop()
        mine, theirs = own.embedded.status(), standby.status()
        assert mine.data
        assert theirs.data
        # The embedded server admits nobody to replication but for this test.
        with (own.embedded.home / "hba.conf").open("a") as file:
            file.write("local replication all trust\n")
        own.execute("SELECT pg_reload_conf()")
        own.execute("CHECKPOINT")
        with database.connect() as conn:
            conn.execute("SELECT pg_backup_start('standby', true)" if own.version >= 15
                         else "SELECT pg_start_backup('standby', true, false)")  # fmt: skip
            shutil.rmtree(theirs.data)
            subprocess.run(["cp", "-a", mine.data, theirs.data], check=True)
            label = value(
                conn,
                "SELECT labelfile FROM pg_backup_stop()" if own.version >= 15
                else "SELECT labelfile FROM pg_stop_backup(false)",
            )  # fmt: skip
        (theirs.data / "postmaster.pid").unlink()
        (theirs.data / "backup_label").write_text(label)
        (theirs.data / "standby.signal").touch()
        for name in ("backup_label", "standby.signal"):
            shutil.chown(theirs.data / name, theirs.data.stat().st_uid)
        with (theirs.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={mine.socket_dir} user=postgres'\n")
        standby.start()
        with database.connect() as conn:
            conn.execute(SEND)
            lsn = value(conn, "SELECT pg_current_wal_lsn()")
        with psycopg.connect(standby.url(database.name), autocommit=True) as conn:
            while value(conn, "SELECT pg_last_wal_replay_lsn() < %s", lsn):
                pass
            assert value(conn, "SELECT count(*) FROM events") == 1, "it streams"
            assert value(conn, "SELECT count(*) FROM pg_stat_wal_receiver") == 1
            for cursor in (begin, ""):
                assert "primary" in refuses(conn, cursor, STANDBY)
    finally:
        standby.destroy()
    database.drop()


# --- purging --------------------------------------------------------------------------------------


def test_purging_goes_in_batches_oldest_first_and_keeps_what_is_young(database: Database) -> None:
    with database.connect() as conn:
        for _ in range(10):
            conn.execute(SEND)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq <= (SELECT min(seq) + 6 FROM events)"
        )
        purge = "SELECT purge_events('1 hour', 3)"
        assert [value(conn, purge) for _ in range(4)] == [3, 3, 1, 0]
        assert value(conn, "SELECT count(*) FROM events") == 3


def test_a_cursor_from_before_what_was_purged_is_told_and_others_are_not(
    database: Database,
) -> None:
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(4):
            conn.execute(SEND)
        middle = read(conn, begin, 2)[0][1]
        done = read(conn, begin)[-1][1]
        conn.execute(SEND)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq < (SELECT max(seq) FROM events)"
        )
        assert value(conn, "SELECT purge_events('1 hour')") == 4
        for cursor in (begin, middle):
            assert "purged" in refuses(conn, cursor)
        assert len(drain(conn, done)) == 1
        fresh = now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 1
        assert drain(conn, fresh) == []
        assert drain(conn, now(conn)) == []
        refuses(conn, done)


def test_what_a_long_transaction_may_still_change_the_order_of_is_not_purged(
    database: Database,
) -> None:
    """Nothing that a reader has not got yet goes, and nobody is told of a purge that hurt nobody."""
    with database.connect() as conn, database.connect() as writer:
        conn.execute(SEND)
        writer.execute("BEGIN")
        writer.execute(SEND)
        begin = now(conn)
        for _ in range(3):
            conn.execute(SEND)
        cursor = read(conn, begin)[-1][1]
        assert value(conn, "SELECT purge_events('0s')") == 1, "what was settled before it began"
        assert drain(conn, cursor) == []
        assert len(drain(conn, begin)) == 3
        writer.execute("COMMIT")
        assert len(drain(conn, cursor)) == 1
        assert len(drain(conn, begin)) == 4
        cursor = now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 4
        assert drain(conn, cursor) == []
        refuses(conn, begin)


def test_who_has_not_read_a_late_commit_is_told_when_it_is_purged(database: Database) -> None:
    """The cursor is newer than it, but for the one transaction that was running then."""
    with database.connect() as conn, database.connect() as writer:
        begin = now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND)
        conn.execute(SEND)
        cursor = read(conn, begin)[-1][1]
        writer.execute("COMMIT")
        assert value(conn, "SELECT purge_events('0s')") == 2
        refuses(conn, cursor)


@first
def test_two_who_purge_at_once_do_not_wait_for_each_other(database: Database) -> None:
    with database.connect() as conn, database.connect() as other:
        for _ in range(4):
            conn.execute(SEND)
        conn.execute("BEGIN")
        assert value(conn, "SELECT purge_events('0s', 2)") == 2
        assert value(other, "SELECT purge_events('0s', 2)") == 0
        conn.execute("COMMIT")
        assert value(other, "SELECT purge_events('0s', 9)") == 2


def test_readers_have_all_or_are_told_while_it_is_purged_under_them(database: Database) -> None:
    """Each event is written down a second time, where nothing is purged."""
    database.execute(
        "SELECT events_since(); CREATE TABLE shadow (seq bigint);"
        "CREATE FUNCTION cast_shadow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO shadow VALUES (NEW.seq); RETURN NULL; END';"
        "CREATE TRIGGER shadow AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION cast_shadow()"
    )
    done = threading.Event()
    told: list[int] = []
    failed: list[str] = []

    def follow(number: int) -> None:
        chance = random.Random(number)
        with database.connect() as conn:
            conn.execute("SET default_transaction_isolation = 'repeatable read'")
            cursor, before, got = "", set[int](), set[int]()
            while not done.is_set():
                try:
                    with conn.transaction():
                        page = read(conn, cursor, chance.choice([1, 5, 100]))
                        there = {row[0] for row in conn.execute("SELECT seq FROM shadow")}
                except psycopg.Error as error:
                    if error.sqlstate != RESYNCHRONISE:
                        failed.append(str(error))
                        return
                    told.append(number)
                    cursor, got = "", set()
                    continue
                if not cursor:
                    before = there
                elif page[-1][0] is None and there - before != got:
                    failed.append(f"{number} misses {there - before - got}")
                got |= {seq for seq, _ in page if seq is not None}
                cursor = page[-1][1]
                if chance.random() < 0.05:
                    time.sleep(0.02)  # falls behind

    def write() -> None:
        with database.connect() as conn:
            while not done.is_set():
                conn.execute(SEND)

    threads = [threading.Thread(target=follow, args=[n]) for n in range(3)]
    threads += [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    purged = 0
    with database.connect() as conn, database.connect() as long:
        for _ in range(3):
            long.execute("BEGIN")
            long.execute(SEND)
            for _ in range(30):
                purged += value(conn, "SELECT purge_events('2 ms', 7)")
            long.execute("COMMIT")
            for _ in range(30):
                purged += value(conn, "SELECT purge_events('2 ms', 7)")
    done.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert purged


# --- cost -----------------------------------------------------------------------------------------


def buffers(conn: Conn, query: str, *parameters: Any) -> int:
    """How many pages of the shared buffers a query touches, all that its functions do included."""
    plan = value(conn, f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}", *parameters)
    top = plan[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


PAGE = "SELECT * FROM events_since(%s, %s)"


def fill(conn: Conn, events: int) -> None:
    """As many events as that, ten of a transaction, as if they had been written one after the other."""
    burn(conn, events // 10)
    conn.execute(
        "INSERT INTO events (xid, table_name, op, row_id)"
        " SELECT ((pg_current_xact_id()::text::bigint - 1 - (%(n)s - i) / 10)::text)::xid8,"
        " 'messages', 'insert', i"
        " FROM generate_series(1, %(n)s) i",
        {"n": events},
    )


def cost(conn: Conn, long: Conn, events: int, plans: str) -> dict[str, int]:
    """What a poll, a first page and a later one touch after so many events that have been read."""
    long.execute("BEGIN")
    long.execute("SELECT pg_current_xact_id()")
    conn.execute(SEND)
    begin = now(conn)
    fill(conn, events)
    conn.execute("ANALYZE events")
    conn.execute(f"SET plan_cache_mode = '{plans}'")
    cursor = now(conn)
    for _ in range(60):
        conn.execute(SEND)
    later = read(conn, cursor, 10)[-1][1]
    end = now(conn)
    for _ in range(7):  # the plans that the session keeps
        read(conn, later, 10)
        read(conn, end)
    found = {
        "poll": buffers(conn, PAGE, end, 500),
        "from now": buffers(conn, PAGE, "", 500),
        "first page": buffers(conn, PAGE, cursor, 10),
        "next page": buffers(conn, PAGE, later, 10),
    }
    found["page in the middle of all"] = buffers(conn, PAGE, read(conn, begin, 50)[-1][1], 50)
    long.execute("ROLLBACK")
    return found


@pytest.mark.parametrize("plans", ["auto", "force_generic_plan"])
def test_a_page_costs_the_same_however_long_the_log_and_a_transaction_are(
    server: Server, world: str, plans: str
) -> None:
    seen = []
    for events in (1_000, 200_000):
        made = server.create(world)
        with made.connect() as conn, made.connect() as long:
            seen.append(cost(conn, long, events, plans))
        made.drop()
    few, many = seen
    for what, touched in many.items():
        assert touched < 2 * few[what] + 30, (what, few, many)


def test_a_page_of_a_transaction_of_many_events_costs_the_same_however_many(
    database: Database,
) -> None:
    seen = []
    with database.connect() as conn, database.connect() as bulk:
        fill(conn, 50_000)
        for events in (1_000, 50_000):
            bulk.execute("BEGIN")
            bulk.execute(
                "INSERT INTO events (table_name, op, row_id)"
                f" SELECT 'messages', 'insert', i FROM generate_series(1, {events}) i"
            )
            conn.execute(SEND)
            cursor = now(conn)  # the transaction is one of those that are running
            while_open = buffers(conn, PAGE, cursor, 100)
            bulk.execute("COMMIT")
            page = read(conn, cursor, 100)
            next_page = buffers(conn, PAGE, page[-1][1], 100)
            seen.append((while_open, buffers(conn, PAGE, cursor, 100), next_page))
    for few, many in zip(*seen, strict=True):
        assert many < 2 * few + 30, seen


# --- the doorbell ---------------------------------------------------------------------------------


@pytest.fixture
def listener(database: Database) -> Iterator[Conn]:
    with database.connect() as conn:
        conn.execute("LISTEN chat_events")
        yield conn


def rung(listener: Conn) -> list[dict[str, Any]]:
    """What the bell said up to now: everything before the word that the listener tells itself."""
    payloads: list[str] = []
    listener.execute("NOTIFY chat_events, 'end'")
    for told in listener.notifies(timeout=60):
        if told.payload == "end":
            break
        payloads.append(told.payload)
    return [json.loads(payload) for payload in payloads]


# Two sittings of 20 ms apart, so that the bell may ring again.
PAUSE = "SELECT pg_sleep(0.041)"
SITTING = "SELECT (date_part('epoch', clock_timestamp()) * 50)::bigint"


def test_the_bell_says_what_has_changed_and_no_more(database: Database, listener: Conn) -> None:
    with database.connect() as conn:
        some = "CASE id WHEN %s THEN 'read' ELSE status END"  # touches all rows, and changes one
        for statement, table, op, channel, ids in (
            (f"{M} ('{NEW}', '{HALL}', '{ADA}', 'a')", "messages", "insert", HALL, [NEW]),
            (f"UPDATE messages SET status = {some}", "messages", "update", HALL, [NEW]),
            ("UPDATE messages SET deleted_at = now() WHERE id = %s", "messages", "delete", HALL, [NEW]),
            ("DELETE FROM messages WHERE id = %s", "messages", "delete", HALL, [NEW]),
            ("UPDATE channels SET name = name || %s", "channels", "update", None, [HALL, ROOM]),
            (f"{STATUS} ('{ADA}', 'busy') {ON_STATUS}", "user_status", "update", None, [ADA]),
        ):  # fmt: skip
            conn.execute(PAUSE)
            conn.execute(statement, [NEW] if "%s" in statement else None)
            (said,) = rung(listener)
            said["ids"].sort()
            expected = {"v": 1, "schema": "public", "table": table, "op": op}
            assert said == expected | {"channel_id": channel, "ids": ids, "more": False}


def test_what_is_no_event_or_rolled_back_does_not_ring(database: Database, listener: Conn) -> None:
    with database.connect() as conn:
        conn.execute(PAUSE)
        conn.execute("UPDATE messages SET updated_at = now()")
        conn.execute(f"SELECT touch_last_seen('{ADA}')")
        with conn.transaction(force_rollback=True):
            conn.execute(SEND)
        assert rung(listener) == []


def test_typing_rings_and_writes_no_event(database: Database, listener: Conn) -> None:
    with database.connect() as conn:
        for _ in range(2):
            conn.execute(PAUSE)
            conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        said = rung(listener)
        assert [(s["table"], s["channel_id"], s["ids"]) for s in said] == [
            ("typing_indicators", HALL, [f"{HALL}:{ADA}"])
        ] * 2
        assert value(conn, "SELECT count(*) FROM events") == 0


MODES = ["doorbell", "every", "off"]


@pytest.mark.parametrize("table", MODES)
def test_the_session_says_when_to_ring_else_the_table(
    database: Database, listener: Conn, table: str
) -> None:
    """Others, who write all the time as the table says, change nothing about it."""
    with database.connect() as conn, database.connect() as other:
        conn.execute("SELECT set_notify_mode(%s)", [table])
        for session in (None, "", *MODES, "EVERY", "bogus", "'; --"):
            if session is not None:
                conn.execute("SELECT set_config('chat.notify', %s, false)", [session])
            begin = value(conn, SITTING)
            for _ in range(20):
                other.execute(EDIT, [HI])
                conn.execute(f"{STATUS} ('{ADA}', 'away') {ON_STATUS}")
                conn.execute(f"{STATUS} ('{ADA}', 'busy') {ON_STATUS}")
            sittings = value(conn, SITTING) - begin + 1
            rings = [said["table"] for said in rung(listener)]
            mine, others = rings.count("user_status"), rings.count("messages")
            assert others == {"every": 20, "off": 0}.get(table, others), session
            mode = session or table
            if mode == "every":
                assert mine == 40, session
            elif mode == "off":
                assert mine == 0, session
            elif table == "doorbell":
                assert 1 <= mine + others <= sittings, session
            else:  # the only one with a bell: not silenced by those without, or with every
                assert 1 <= mine <= 40, session
            conn.execute(PAUSE)


@first
def test_a_mode_that_is_none_is_refused(database: Database) -> None:
    with database.connect() as conn:
        refused(conn, "23514", "SELECT set_notify_mode('loud')")
        refused(conn, "23502", "SELECT set_notify_mode(NULL)")


def test_the_bell_rings_once_in_20_ms_whatever_the_load(database: Database, listener: Conn) -> None:
    def write() -> None:
        with database.connect() as conn:
            for _ in range(150):
                conn.execute(SEND)

    with database.connect() as conn:
        begin = value(conn, SITTING)
        threads = [threading.Thread(target=write) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(rung(listener)) <= value(conn, SITTING) - begin + 1


@first
def test_who_looked_at_the_same_moment_does_not_ring_after_the_first(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        begin = value(conn, SITTING)
        for _ in range(100):
            conn.execute("SELECT ring_doorbell('messages', 'insert', '{1}', '{1}')")
        assert 1 <= len(rung(listener)) <= value(conn, SITTING) - begin + 1


def test_a_transaction_that_stays_open_after_ringing_silences_nobody(
    database: Database, listener: Conn
) -> None:
    """Be it idle, or writing on through more sittings than the bell has keys."""
    with database.connect() as conn, database.connect() as idle, database.connect() as busy:
        idle.execute("BEGIN")
        idle.execute(SEND)
        busy.execute("BEGIN")
        begin = value(conn, SITTING)
        while value(conn, SITTING) < begin + 70:
            busy.execute(SEND)
        assert value(conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") <= 2
        rings = 0
        for _ in range(10):
            conn.execute(PAUSE)
            conn.execute(SEND)
            rings += len(rung(listener))
        assert rings >= 8, "all but the few whose key one of the two holds"
        busy.execute("COMMIT")
        assert len(rung(listener)) == 1


def test_a_ring_that_a_savepoint_took_back_does_not_count(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("SAVEPOINT s")
        conn.execute(SEND)
        conn.execute("ROLLBACK TO s")
        conn.execute(PAUSE)
        conn.execute(SEND)
        conn.execute("COMMIT")
        assert len(rung(listener)) == 1


@first
def test_every_rings_for_each_statement_up_to_ten_and_then_says_more(
    database: Database, listener: Conn
) -> None:
    with database.connect() as conn:
        conn.execute("SELECT set_notify_mode('every')")
        for statements in (1, 3, 12):
            with conn.transaction():
                for _ in range(statements):
                    conn.execute(SEND)
            said = rung(listener)
            assert len(said) == min(statements, 10)
            assert [s["more"] for s in said] == [False] * min(statements, 9) + [True] * (
                statements > 9
            )


def test_each_listener_is_rung_and_reads_for_itself(database: Database) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(database.connect()) for _ in range(4)]
        conn = stack.enter_context(database.connect())
        for one in listeners:
            one.execute("LISTEN chat_events")
        begin = now(conn)
        conn.execute(PAUSE)
        conn.execute(SEND)
        for one in listeners:
            assert len([s for s in rung(one) if s]) == 1
            assert len(drain(one, begin)) == 1
            one.execute("UNLISTEN *")


# 63 bytes that have to be quoted in SQL, in JSON, or both.
HOSTILE = ('"' + "'" + "\\" + "\x01" * 9 + "a b.é")[:20].ljust(62, '"')


@first
def test_a_payload_is_valid_and_short_whatever_is_in_it(server: Server) -> None:
    made = server.create()
    with made.connect() as conn, made.connect() as listener:
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
        said = json.loads(payload)
        assert len(payload.encode()) <= 2000
        assert set(said) == {"v", "schema", "table", "op", "channel_id", "ids", "more"}
        assert said["schema"] == HOSTILE
        assert (len(said["ids"]), said["more"], said["channel_id"]) == (20, True, None)
        assert {len(one) for one in said["ids"]} == {53}
    made.drop()


@first
def test_two_copies_in_one_database_ring_and_read_apart(database: Database, listener: Conn) -> None:
    with database.connect() as conn, database.connect() as other:
        other.execute("CREATE SCHEMA other")
        migrate(other, "other")
        other.execute("SET search_path = other, public")
        cursors = now(conn), now(other)
        assert cursors[0].split("|")[0] != cursors[1].split("|")[0]
        rung(listener)
        begin = value(conn, SITTING)
        while value(conn, SITTING) < begin + 5:
            conn.execute(SEND)
            other.execute(SEND)
        said = [s["schema"] for s in rung(listener)]
        assert said.count("public") >= 3, "one is rung as often as the other"
        assert said.count("other") >= 3
        written = [
            value(c, "SELECT count(*) FROM events WHERE op = 'insert' AND row_id !~ '^0{9}'")
            for c in (conn, other)
        ]
        assert [
            len(drain(c, cursor)) for c, cursor in zip((conn, other), cursors, strict=True)
        ] == written
        refuses(conn, cursors[1])


# --- a write never fails because of an event --------------------------------------------------------


BIG = {
    "a message": f"INSERT INTO messages (channel_id, user_id, content_type, content) VALUES"
    f" ('{HALL}', '{ADA}', 'system', repeat('😀', 1000000))",
    "its metadata": f"UPDATE messages SET metadata = jsonb_build_object('a', repeat('x', 1000000))"
    f" WHERE id = '{HI}'",
    "numbers": """UPDATE messages SET metadata = ('{"a": 1' || repeat('0', 10000) || '}')::jsonb""",
    "a name": "UPDATE channels SET name = repeat('😀', 255), description = repeat('\"', 100000)",
    "an emoji": "INSERT INTO reactions (message_id, user_id, emoji)"
    f" VALUES ('{YO}', '{ADA}', repeat('😀', 50))",
    "a file": "UPDATE files SET url = repeat('x', 1000000), name = repeat('\"', 255)",
    "a status": "UPDATE user_status SET custom_status = repeat('\\', 1000000)",
    "a notification": "UPDATE notifications SET content = jsonb_build_object('a', repeat('x', 1000000))",
    "many rows": "INSERT INTO messages (channel_id, user_id, content)"
    f" SELECT '{HALL}', '{ADA}', repeat('x', 4000) FROM generate_series(1, 500)",
}


@first
@pytest.mark.parametrize("mode", MODES)
def test_a_row_of_any_size_is_written(chat: Conn, mode: str) -> None:
    for name, statement in BIG.items():
        with chat.transaction():
            chat.execute("SELECT set_config('chat.notify', %s, true)", [mode])
            before = value(chat, "SELECT count(*) FROM events")
            chat.execute(statement)
            assert value(chat, "SELECT count(*) FROM events") > before, name
            raise psycopg.Rollback


def usage(conn: Conn) -> float:
    return float(value(conn, "SELECT pg_notification_queue_usage()"))


def small_queue(server: Server) -> None:
    if server.version < 17:
        pytest.skip(
            "a queue that can be filled cheaply came with PostgreSQL 17; below it holds 8 GB"
        )


@first
def test_a_listener_that_sits_in_a_transaction_makes_no_write_fail(
    own: Server, owned: Database
) -> None:
    small_queue(own)
    with owned.connect() as conn, owned.connect() as sitting:
        sitting.execute("LISTEN chat_events")
        sitting.execute("BEGIN")
        sitting.execute("SELECT 1")
        begin = now(conn)
        conn.execute("SELECT set_notify_mode('every')")
        conn.execute(
            f"{M} " + ", ".join(f"('{ulid(1000 + n)}', '{HALL}', '{ADA}', 'x')" for n in range(20))
        )
        for n in range(600):  # each of these rings is half a kilobyte
            conn.execute("UPDATE messages SET metadata = jsonb_build_object('n', %s::int)", [n])
        assert 0.4 < usage(conn) < 0.9, "it stops ringing when the queue is half full"
        assert len(drain(conn, begin)) == 20 + 600 * 22
        sitting.execute("ROLLBACK")


@first
def test_a_full_queue_makes_no_write_fail(own: Server, owned: Database) -> None:
    small_queue(own)
    with owned.connect() as conn, owned.connect() as sitting:
        sitting.execute("LISTEN of_another_application")
        sitting.execute("BEGIN")
        sitting.execute("SELECT 1")
        while usage(conn) < 0.97:
            conn.execute("SELECT pg_notify('of_another_application', repeat('x', 7000))")
        with pytest.raises(psycopg.Error, match="queue"):
            conn.execute(
                "SELECT pg_notify('of_another_application', n || repeat('x', 7000))"
                " FROM generate_series(1, 20) n"
            )
        begin = now(conn)
        for mode in MODES:
            conn.execute("SELECT set_config('chat.notify', %s, false)", [mode])
            conn.execute(SEND)
            conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        assert len(drain(conn, begin)) == 3
        sitting.execute("ROLLBACK")


@first
def test_a_transaction_of_thousands_of_statements_does_not_fill_the_queue(
    own: Server, owned: Database
) -> None:
    small_queue(own)
    with owned.connect() as conn:
        for mode in ("every", "doorbell"):
            conn.execute("SELECT set_config('chat.notify', %s, false)", [mode])
            conn.execute(f"DO $$ BEGIN FOR i IN 1..4000 LOOP {SEND}; END LOOP; END $$")
            assert usage(conn) < 0.1


@first
def test_a_listener_that_died_makes_no_write_fail(database: Database) -> None:
    with database.connect() as conn:
        dead = database.connect()
        dead.execute("LISTEN chat_events")
        conn.execute("SELECT pg_terminate_backend(%s)", [dead.info.backend_pid])
        begin = now(conn)
        for _ in range(5):
            conn.execute(PAUSE)
            conn.execute(SEND)
        assert len(drain(conn, begin)) == 5
        with pytest.raises(psycopg.OperationalError):
            dead.execute("SELECT 1")
        dead.close()


@pytest.mark.parametrize("where", ["session", "table"])
def test_two_phase_commit_works_with_the_bell_off(owned: Database, where: str) -> None:
    with owned.connect() as conn:
        conn.execute(
            "SET chat.notify = 'off'" if where == "session" else "SELECT set_notify_mode('off')"
        )
        begin = now(conn)
        conn.execute("BEGIN")
        conn.execute(SEND)
        conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        conn.execute("PREPARE TRANSACTION 'kept'")
        assert drain(conn, begin) == []
        conn.execute(SEND)
        cursor = now(conn)
        conn.execute("COMMIT PREPARED 'kept'")
        assert len(drain(conn, cursor)) == 1
        assert len(drain(conn, begin)) == 2


def test_a_sequence_that_fell_back_makes_no_write_fail_and_loses_nothing(
    database: Database,
) -> None:
    """As it does after a crash of a copied database, and on a replica that takes over."""
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(6):
            conn.execute(SEND)
        conn.execute(
            "SELECT setval(pg_get_serial_sequence('events', 'seq'), min(seq), false) FROM events"
        )
        for _ in range(6):
            conn.execute(SEND)
        rows = sorted(conn.execute("SELECT seq, row_id FROM events").fetchall())
        assert len({seq for seq, _ in rows}) == 6
        for limit in (1, 2, 3, 5, 500):
            found, cursor = list[tuple[int, str]](), begin
            while True:
                page = conn.execute(
                    "SELECT seq, row_id, cursor FROM events_since(%s, %s)", [cursor, limit]
                ).fetchall()
                cursor = page[-1][2]
                if page[-1][0] is None:
                    break
                found += [row[:2] for row in page]
            assert sorted(found) == rows, limit
        highest = rows[-1][0]
        conn.execute("SELECT setval(pg_get_serial_sequence('events', 'seq'), min(seq)) FROM events")
        fresh = str(value(conn, "SELECT events_reset()"))
        conn.execute(SEND)
        assert drain(conn, fresh) == [highest + 1], "a reset puts it right"


@first
def test_a_write_goes_on_where_the_state_is_gone(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("DELETE FROM events_state")
        conn.execute(SEND)
        assert value(conn, "SELECT count(*) FROM events") == 1


@first
@pytest.mark.parametrize("mode", MODES)
def test_the_search_path_of_the_caller_is_nothing_to_the_log(chat: Conn, mode: str) -> None:
    """Tables, functions and operators of the same names, in a schema and among the temporary ones."""
    with chat.transaction(force_rollback=True):
        chat.execute("CREATE SCHEMA evil")
        for where in ("evil", "pg_temp"):
            for name in ("events", "events_state", "messages", "events_bell"):
                chat.execute(f"CREATE TABLE {where}.{name} (id text)")
            for call in (
                "ring_doorbell(text, text, text[], text[])",
                "bell_is_due()",
                "clock_timestamp()",
                "events_origin()",
                "pg_notify(text, text)",
                "pg_current_xact_id()",
            ):
                chat.execute(
                    f"CREATE FUNCTION {where}.{call} RETURNS text LANGUAGE plpgsql AS"
                    " 'BEGIN RAISE EXCEPTION $$evil$$; END'"
                )
        chat.execute(
            "CREATE FUNCTION evil.boom(text, text) RETURNS text LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION $$evil$$; END';"
            "CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.boom)"
        )
        cursor = now(chat)
        chat.execute("SELECT set_config('chat.notify', %s, true)", [mode])
        chat.execute("SET LOCAL search_path = pg_temp, evil, pg_catalog")
        before = value(chat, "SELECT count(*) FROM public.events")
        chat.execute(SEND.replace("INTO messages", "INTO public.messages"))
        chat.execute(f"UPDATE public.channel_members SET role = 'admin' WHERE user_id = '{ADA}'")
        chat.execute(f"DELETE FROM public.reactions WHERE id = '{THUMB}'")
        assert value(chat, "SELECT count(*) FROM public.events") == before + 3
        for where in ("evil", "pg_temp"):
            assert value(chat, f"SELECT count(*) FROM {where}.events") == 0
        page = chat.execute("SELECT seq FROM public.events_since(%s)", [cursor]).fetchall()
        assert page == [(None,)], "its own are for later"


# --- rights ---------------------------------------------------------------------------------------


def as_role(conn: Conn, role: str, user: str = ADA) -> None:
    conn.execute(f"SET LOCAL ROLE {role}")
    conn.execute("SELECT set_config('chat.user_id', %s, true)", [user])


def test_who_may_write_messages_needs_no_right_on_the_log(chat: Conn) -> None:
    with chat.transaction(force_rollback=True):
        before = value(chat, "SELECT count(*) FROM events")
        as_role(chat, "chat_app")
        sent = value(chat, f"SELECT id FROM send_message('{HALL}', '{ADA}', 'x')")
        chat.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        chat.execute(f"SELECT mark_read('{sent}', '{ADA}')")
        chat.execute(f"SELECT set_presence('{ADA}', 'busy')")
        chat.execute("RESET ROLE")
        assert value(chat, "SELECT count(*) FROM events") == before + 3


LOG = {
    "read": "SELECT * FROM events",
    "read the state": "SELECT * FROM events_state",
    "write": "INSERT INTO events (table_name, op, row_id) VALUES ('messages', 'insert', 'forged')",
    "change": "UPDATE events SET op = 'delete'",
    "delete": "DELETE FROM events",
    "truncate": "TRUNCATE events",
    "count": "SELECT nextval('events_bell')",
    "ring": "SELECT ring_doorbell('messages', 'insert', '{}', '{}')",
    "be silent": "SELECT set_notify_mode('off')",
    "reset": "SELECT events_reset()",
    "purge": "SELECT purge_events('0s')",
    "follow": "SELECT * FROM events_since()",
}


@pytest.mark.parametrize("role", ["chat_app", "chat_readonly", "chat_listener"])
@pytest.mark.parametrize("what", LOG)
def test_only_the_listener_reads_the_log_and_nobody_writes_it(
    chat: Conn, role: str, what: str
) -> None:
    with chat.transaction(force_rollback=True):
        as_role(chat, role)
        if (role, what) == ("chat_listener", "follow"):
            assert value(chat, LOG[what]) is None
        else:
            refused(chat, FORBIDDEN, LOG[what])


def test_the_listener_may_do_nothing_else(chat: Conn) -> None:
    rights = chat.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND CASE"
        " WHEN relkind = 'S' THEN has_sequence_privilege('chat_listener', oid, 'USAGE, SELECT, UPDATE')"
        " WHEN relkind IN ('r', 'v') THEN has_any_column_privilege('chat_listener', oid,"
        " 'SELECT, INSERT, UPDATE, REFERENCES')"
        " OR has_table_privilege('chat_listener', oid, 'DELETE, TRUNCATE, TRIGGER') END"
    ).fetchall()
    assert rights == []
    with chat.transaction(force_rollback=True):
        as_role(chat, "chat_listener")
        refused(chat, FORBIDDEN, f"SELECT send_message('{HALL}', '{ADA}', 'x')")
        refused(chat, FORBIDDEN, f"SELECT list_messages('{HALL}')")


@pytest.mark.parametrize(
    "name", [*(f"log_{name}" for name in TABLES), "ring_typing", "keep_message_edit"]
)
def test_nobody_forges_with_a_trigger_on_a_table_of_their_own(chat: Conn, name: str) -> None:
    with chat.transaction(force_rollback=True):
        as_role(chat, "chat_app")
        chat.execute("CREATE TEMPORARY TABLE mine (id text, channel_id text, user_id text)")
        refused(
            chat, FORBIDDEN,
            "CREATE TRIGGER forged AFTER INSERT ON mine REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        )  # fmt: skip
