"""The chat schema: rows written directly, and operations called as the application calls them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.paths import SHIPPED

Conn = psycopg.Connection[Any]


STEMS = [path.stem for path in sorted((SHIPPED / "up").glob("*.sql"))]


BCRYPT = "$2b$12$" + "a" * 53


ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b/dWRWJTmaaJObG"


NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK = "23502", "23503", "23505", "23514"


TOO_LONG, MALFORMED = "22001", "22P02"


def insert(conn: Conn, table: str, **values: Any) -> str:
    """Insert a row; the answer is its first column."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    row = conn.execute(statement, list(values.values())).fetchone()
    assert row is not None
    return str(row[0])


def value(conn: Conn, query: str, *parameters: Any) -> Any:
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def assert_insert_fails(
    conn: Conn, state: str, constraint: str | None, table: str, **values: Any
) -> None:
    """The row is refused with this SQLSTATE by this constraint (or, for NOT NULL, column)."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        insert(conn, table, **values)
    diag = caught.value.diag
    named = diag.column_name if state == NOT_NULL else diag.constraint_name
    assert (diag.sqlstate, named) == (state, constraint)


def insert_user(conn: Conn, name: str, **values: Any) -> str:
    values = {"email": f"{name}@example.org", "username": name, "auth0_id": name, **values}
    return insert(conn, "users", **values)


def insert_users(conn: Conn, count: int) -> list[str]:
    rows = conn.execute(
        "INSERT INTO users (email, username, auth0_id)"
        " SELECT n || '@example.org', 'user_' || n, 'auth0|' || n FROM generate_series(1, %s) n"
        " RETURNING id",
        [count],
    )
    return [row[0] for row in rows]


def run(conn: Conn, direction: str, stem: str, path: str = "public") -> None:
    text = (SHIPPED / direction / f"{stem}.sql").read_text()
    with conn.transaction():
        conn.execute("SELECT set_config('search_path', %s, true)", [path])
        conn.execute(text)


def wait_until_blocked(watcher: Conn, pid: int) -> bool:
    """Wait until that backend waits for a lock."""
    for _ in range(500):
        query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        if value(watcher, query, pid):
            return True
        watcher.execute("SELECT pg_sleep(0.01)")
    return False


def race(first: Conn, other: Conn, one: Any, two: Any) -> BaseException | None:
    """`one` runs in a transaction on `first`; `two` on `other` starts before it commits."""
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            two()
            outcome.append(None)
        except psycopg.Error as error:
            outcome.append(error)

    late = threading.Thread(target=run)
    with first.transaction():
        one()
        late.start()
        assert wait_until_blocked(first, other.info.backend_pid)
    late.join(20)
    assert not late.is_alive()
    return outcome[0]


NOBODY = "0" * 26


LATER = "2100-01-01"


NO_DATA, FORBIDDEN, WRONG_STATE, INVALID_VALUE = "P0002", "42501", "55000", "22023"


Row = dict[str, Any]


def rows(conn: Conn, function: str, *args: Any, **named: Any) -> list[Row]:
    """What a function gives, a dictionary a row."""
    named_args = [sql.SQL("{} => %s").format(sql.Identifier(name)) for name in named]
    statement = sql.SQL("SELECT * FROM {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([sql.SQL("%s")] * len(args) + named_args)
    )
    values = [Jsonb(v) if isinstance(v, dict) else v for v in (*args, *named.values())]
    return conn.cursor(row_factory=dict_row).execute(statement, values).fetchall()


def call(conn: Conn, function: str, *args: Any, **named: Any) -> Row:
    """The one row of a function."""
    results = rows(conn, function, *args, **named)
    assert len(results) == 1
    return results[0]


def call_value(conn: Conn, function: str, *args: Any, **named: Any) -> Any:
    """The one value of a function."""
    row = call(conn, function, *args, **named)
    assert list(row) == [function]
    return row[function]


def assert_call_fails(
    conn: Conn, state: str, function: str, *args: Any, **named: Any
) -> str | None:
    """A call is refused with this SQLSTATE; the constraint that it names."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        rows(conn, function, *args, **named)
    assert caught.value.sqlstate == state
    return caught.value.diag.constraint_name


def ids_of(found: list[Row], key: str = "id") -> list[str]:
    return [row[key] for row in found]


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def create_people(conn: Conn, *names: str) -> list[str]:
    """Users of these names."""
    ids = [
        call(conn, "create_user", f"{n}@example.org", n, password_hash=BCRYPT)["id"] for n in names
    ]
    assert ids == sorted(ids)
    return ids


def send(conn: Conn, channel: str, user: str, content: str = "Hi", **more: Any) -> str:
    return str(call(conn, "send_message", channel, user, content, **more)["id"])


def create_world(conn: Conn) -> dict[str, str]:
    """Ada runs a private room with Bob and a group; Eve is in the public hall alone."""
    ada, bob, eve = create_people(conn, "ada", "bob", "eve")
    ids = {"ada": ada, "bob": bob, "eve": eve, "nobody": NOBODY}

    def create(by: str, kind: str, name: str, *members: str) -> str:
        return str(call(conn, "create_channel", by, kind, name, list(members))["id"])

    ids["room"] = create(ada, "private", "room", bob)
    ids["group"] = create(ada, "group", "group", bob)
    ids["hall"] = create(eve, "public", "hall")
    ids["archive"] = create(ada, "public", "archive", bob)
    ids["old"] = send(conn, ids["archive"], bob, "Old")
    call(conn, "archive_channel", ids["archive"])
    ids["gone"] = create(ada, "private", "gone", bob)
    ids["lost"] = send(conn, ids["gone"], bob, "Lost")
    conn.execute("UPDATE channels SET deleted_at = now() WHERE id = %s", [ids["gone"]])
    ids["direct"] = call(conn, "open_direct_channel", ada, bob)["id"]
    ids["first"] = send(conn, ids["room"], ada, "First", client_message_id="a1")
    ids["second"] = send(conn, ids["room"], bob, "Second")
    ids["deleted"] = send(conn, ids["room"], ada, "Deleted")
    assert call_value(conn, "delete_message", ids["deleted"], ada)
    ids["elsewhere"] = send(conn, ids["hall"], eve, "Elsewhere")
    return ids


def fill_ids(ids: dict[str, str], *values: Any) -> list[Any]:
    """Values in braces stand for the ids of the small world."""
    return [ids[v[1:-1]] if isinstance(v, str) and v[:1] == "{" else v for v in values]


def members(conn: Conn, channel: str) -> dict[str, str]:
    rows = conn.execute(
        "SELECT user_id, role FROM channel_members WHERE channel_id = %s", [channel]
    )
    return dict(rows.fetchall())


def relationships(conn: Conn) -> set[tuple[str, str, str, str]]:
    return set(conn.execute("SELECT user_id, related_user_id, type, status FROM relationships"))


def small_world(conn: Conn) -> dict[str, str]:
    """A few rows: two users, a channel of each type, a message."""
    ada, bob = sorted([insert_user(conn, "ada"), insert_user(conn, "bob")])
    ids = {"ada": ada, "bob": bob}
    for kind in ("public", "private", "group"):
        ids[kind] = insert(conn, "channels", type=kind, name=kind)
    ids["direct"] = insert(conn, "channels", type="direct", direct_low=ada, direct_high=bob)
    ids["message"] = insert(conn, "messages", channel_id=ids["public"], user_id=ada, content="Hi")
    return ids


def counts(conn: Conn, *tables: str) -> list[int]:
    return [value(conn, f"SELECT count(*) FROM {table}") for table in tables]


SERIALIZATION = psycopg.errors.SerializationFailure


def ulid(n: int) -> str:
    return f"{n:026}"


def insert_messages(conn: Conn, channel: str, user: str, messages: list[tuple[int, bool]]) -> None:
    """Messages by number, with whether they are deleted."""
    conn.cursor().executemany(
        "INSERT INTO messages (id, channel_id, user_id, content, deleted_at)"
        " VALUES (%s, %s, %s, 'x', CASE WHEN %s THEN now() END)",
        [(ulid(n), channel, user, deleted) for n, deleted in messages],
    )


class TwoSessions:
    """Two sessions of one database, and users of the test's own."""

    def __init__(self, one: Conn, other: Conn) -> None:
        self.one = one
        self.other = other
        self.made = 0

    def create_people(self) -> tuple[str, str]:
        self.made += 2
        names = (f"user_{self.made - 1}", f"user_{self.made}")
        ada, bob = create_people(self.one, *names)
        return ada, bob

    def room(self) -> tuple[str, str, str, str]:
        """A private channel of two, and a message in it."""
        ada, bob = self.create_people()
        room = call(self.one, "create_channel", ada, "private", "room", [bob])["id"]
        return ada, bob, room, send(self.one, room, ada, "First")

    def race(self, one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Row, Row]:
        """Both calls at once; the second waits until the first has committed."""
        answers: list[list[Row]] = [[], []]

        def run(place: int, conn: Conn, arguments: tuple[Any, ...]) -> None:
            answers[place] = rows(conn, *arguments)

        error = race(
            self.one,
            self.other,
            lambda: run(0, self.one, one),
            lambda: run(1, self.other, other),
        )
        if error:
            raise error
        return answers[0][0], answers[1][0]

    def late(self, one: tuple[Any, ...], other: tuple[Any, ...]) -> Callable[[], Row]:
        """`other`, in a REPEATABLE READ transaction that began before `one` was done."""
        self.other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        value(self.other, "SELECT count(*) FROM users")
        rows(self.one, *one)

        def retry() -> Row:
            self.other.execute("ROLLBACK")
            return rows(self.other, *other)[0]

        try:
            with pytest.raises(SERIALIZATION):
                rows(self.other, *other)
        finally:
            self.other.execute("ROLLBACK")
        return retry
