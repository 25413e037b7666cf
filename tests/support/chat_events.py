"""The change log of the chat schema: its first rows, cursors, and servers for single modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.chat import BCRYPT
from tests.support.paths import SHIPPED
from tests.support.servers import Server

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
INSERT INTO files (id, user_id, message_id, name, type, size, url) VALUES
  ('{FILE}', '{ADA}', '{HI}', 'a.png', 'image/png', 1, 'x');
INSERT INTO notifications (id, user_id, type) VALUES ('{NOTE}', '{ADA}', 'news');
INSERT INTO relationships (id, user_id, related_user_id, type) VALUES
  ('{FRIEND}', '{ADA}', '{BOB}', 'friend');
INSERT INTO profiles (user_id) VALUES ('{ADA}');
"""


def value(conn: Conn, query: str, *parameters: Any) -> Any:
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def migrate(conn: Conn, schema: str = "public") -> None:
    """Run all files of the chat schema and insert the rows of WORLD."""
    with conn.transaction():
        path = sql.SQL("{}, public").format(sql.Identifier(schema)).as_string()
        conn.execute("SELECT set_config('search_path', %s, true)", [path])
        for file in sorted((SHIPPED / "up").glob("*.sql")):
            conn.execute(file.read_text())
        conn.execute(WORLD)


@dataclass(frozen=True)
class Table:
    """A table that is logged.

    Attributes:
        key: the condition that finds its row in WORLD.
        event: row_id, channel_id and user_id of the events of that row.
        row: the values of another row.
        new: row_id, channel_id and user_id of the events of the other row.
        matters: columns whose change is an event, with a new value for each.
        silent: columns whose change alone is no event, with a new value for each.
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
            "reply_to_id": f"'{YO}'",
            "metadata": """'{"a": 1}'""",
        },
        {"edited_at": "now()", "client_message_id": "'c1'", "status": "'read'"},
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
        {
            "id": NEW,
            "user_id": BOB,
            "message_id": YO,
            "name": "b",
            "type": "c",
            "size": 2,
            "url": "y",
        },
        (NEW, HALL, BOB),
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
            "in_app": "false",
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
    "users": Table(
        f"id = '{CAT}'",
        (CAT, None, CAT),
        {"id": NEW, "email": "new@x", "username": "new", "auth0_id": "new"},
        (NEW, None, NEW),
        {
            "email": "'Cat@x'",
            "username": "'CAT'",
            "full_name": "'Cat'",
            "display_name": "'Cat'",
            "avatar_url": "'c'",
            "is_active": "false",
            "is_verified": "true",
        },
        {
            "last_seen_at": "now()",
            "last_login_at": "now()",
            "auth0_id": "'other'",
            "password_hash": f"'{BCRYPT}'",
        },
    ),
    "profiles": Table(
        f"user_id = '{ADA}'",
        (ADA, None, ADA),
        {"user_id": BOB},
        (BOB, None, BOB),
        {"bio": "'new'"},
        {},
    ),
}


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


INSERT_MESSAGES = "INSERT INTO messages (id, channel_id, user_id, content) VALUES "


INSERT_STATUS = "INSERT INTO user_status (user_id, status) VALUES "


ON_STATUS_CONFLICT = (
    " ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, last_seen = now()"
)


def world_template(server: Server) -> str:
    """Return the name of a template database with the rows of WORLD and an empty log."""
    if "world" not in server.templates:
        template = server.create()
        with template.connect() as conn:
            migrate(conn)
            conn.execute("TRUNCATE events")
        server.templates["world"] = template.name
    return server.templates["world"]


def start_private_server(folder: Path, server: Server) -> Server:
    """Start another server of the same version, with a template database that has the rows of WORLD."""
    folder.mkdir(mode=0o711, exist_ok=True)  # as root the server runs as another user
    embedded = EmbeddedServer(folder / ".chatdb", programs=server.embedded.programs)
    embedded.start()
    private_server = Server(embedded, server.name)
    private_server.execute("ALTER SYSTEM SET fsync = off")
    private_server.execute("ALTER SYSTEM SET max_prepared_transactions = 20")
    if private_server.version >= 17:
        private_server.execute("ALTER SYSTEM SET max_notify_queue_pages = 64")
    embedded.stop()
    embedded.start()
    world_template(private_server)
    return private_server


def read_page(conn: Conn, cursor: str, limit: int = 500) -> list[tuple[int | None, str]]:
    """Read one page; return the seq and the cursor of each row."""
    return conn.execute("SELECT seq, cursor FROM events_since(%s, %s)", [cursor, limit]).fetchall()


def cursor_now(conn: Conn) -> str:
    """Return a cursor after which only later events come."""
    return str(value(conn, "SELECT cursor FROM events_since()"))


def read_all_pages(conn: Conn, cursor: str, limit: int = 500) -> list[int]:
    """Read all events after a cursor, page by page; return their numbers."""
    numbers: list[int] = []
    while True:
        page = read_page(conn, cursor, limit)
        if page[-1][0] is None:
            return numbers
        numbers += [seq for seq, _ in page if seq is not None]
        cursor = page[-1][1]


SEND_MESSAGE = (
    f"INSERT INTO messages (channel_id, user_id, content) VALUES ('{HALL}', '{ADA}', 'x')"
)


EDIT_MESSAGE = (
    "UPDATE messages SET metadata = metadata || jsonb_build_object('n', random()) WHERE id = %s"
)


def assert_fails(conn: Conn, state: str, statement: str, *parameters: Any) -> str:
    """Check that a statement fails with this SQLSTATE; return its message."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        conn.execute(statement, parameters or None)
    assert caught.value.sqlstate == state, caught.value
    return f"{caught.value}"


def assert_cursor_refused(conn: Conn, cursor: str, state: str = RESYNCHRONISE) -> str:
    return assert_fails(conn, state, "SELECT events_since(%s)", cursor)


def use_up_xids(conn: Conn, xids: int) -> None:
    """Use up transaction ids, as other transactions of the cluster do."""
    conn.execute(
        f"DO $$ BEGIN FOR i IN 1..{xids} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )


# Two intervals of 20 ms, after which the next statement notifies again (sql/up/0036_doorbell.sql).
PAUSE = "SELECT pg_sleep(0.041)"


MODES = ["doorbell", "every", "off"]
