"""The chat schema: insert rows directly, and call its operations as the application does."""

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
    """Insert a row; return its first column."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
    )
    row = conn.execute(statement, list(values.values())).fetchone()
    assert row is not None
    return str(row[0])


def value(conn: Conn, query: str, *parameters: Any) -> Any:
    """Return the only value that a query returns."""
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def assert_insert_fails(
    conn: Conn, state: str, constraint: str | None, table: str, **values: Any
) -> None:
    """Check that inserting a row fails: SQLSTATE, and the constraint (for NOT NULL: the column)."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        insert(conn, table, **values)
    diag = caught.value.diag
    name = diag.column_name if state == NOT_NULL else diag.constraint_name
    assert (diag.sqlstate, name) == (state, constraint)


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
    """Wait up to 5 seconds until a backend waits for a lock; return whether it does."""
    for _ in range(500):
        query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        if value(watcher, query, pid):
            return True
        watcher.execute("SELECT pg_sleep(0.01)")
    return False


def race(first: Conn, second: Conn, first_call: Any, second_call: Any) -> BaseException | None:
    """Call `first_call` in a transaction on `first`, and `second_call` on `second` before that commits.

    Return the error of `second_call`, if it failed.
    """
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            second_call()
            outcome.append(None)
        except psycopg.Error as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    with first.transaction():
        first_call()
        thread.start()
        assert wait_until_blocked(first, second.info.backend_pid)
    thread.join(20)
    assert not thread.is_alive()
    return outcome[0]


NOBODY = "0" * 26


LATER = "2100-01-01"


NO_DATA, FORBIDDEN, WRONG_STATE, INVALID_VALUE = "P0002", "42501", "55000", "22023"


Row = dict[str, Any]


def rows(conn: Conn, function: str, *args: Any, **named: Any) -> list[Row]:
    """Call a function; return its rows as dictionaries."""
    named_args = [sql.SQL("{} => %s").format(sql.Identifier(name)) for name in named]
    statement = sql.SQL("SELECT * FROM {}({})").format(
        sql.Identifier(function), sql.SQL(", ").join([sql.SQL("%s")] * len(args) + named_args)
    )
    values = [Jsonb(v) if isinstance(v, dict) else v for v in (*args, *named.values())]
    return conn.cursor(row_factory=dict_row).execute(statement, values).fetchall()


def call(conn: Conn, function: str, *args: Any, **named: Any) -> Row:
    """Call a function; return its only row."""
    results = rows(conn, function, *args, **named)
    assert len(results) == 1
    return results[0]


def call_value(conn: Conn, function: str, *args: Any, **named: Any) -> Any:
    """Call a function; return its only value."""
    row = call(conn, function, *args, **named)
    assert list(row) == [function]
    return row[function]


def assert_call_fails(
    conn: Conn, state: str, function: str, *args: Any, **named: Any
) -> str | None:
    """Check that a call fails with this SQLSTATE; return the constraint that the error names."""
    with pytest.raises(psycopg.Error) as caught, conn.transaction():
        rows(conn, function, *args, **named)
    assert caught.value.sqlstate == state
    return caught.value.diag.constraint_name


def ids_of(rows: list[Row], key: str = "id") -> list[str]:
    return [row[key] for row in rows]


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def create_people(conn: Conn, *names: str) -> list[str]:
    """Create users with these names; return their ids."""
    ids = [
        call(conn, "create_user", f"{n}@example.org", n, password_hash=BCRYPT)["id"] for n in names
    ]
    assert ids == sorted(ids)
    return ids


def send(conn: Conn, channel: str, user: str, content: str = "Hi", **more: Any) -> str:
    return str(call(conn, "send_message", channel, user, content, **more)["id"])


def create_world(conn: Conn) -> dict[str, str]:
    """Create a few users, channels and messages; return the id of each by its name.

    Ada has a private room and a group with Bob; Eve is alone in the public hall.
    """
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
    """Replace each value in braces by the id of that name."""
    return [
        fill_ids(ids, *v)
        if isinstance(v, list)
        else ids[v[1:-1]]
        if isinstance(v, str) and v[:1] == "{"
        else v
        for v in values
    ]


def members(conn: Conn, channel: str) -> dict[str, str]:
    rows = conn.execute(
        "SELECT user_id, role FROM channel_members WHERE channel_id = %s", [channel]
    )
    return dict(rows.fetchall())


def relationships(conn: Conn) -> set[tuple[str, str, str, str]]:
    return set(conn.execute("SELECT user_id, related_user_id, type, status FROM relationships"))


def small_world(conn: Conn) -> dict[str, str]:
    """Insert two users, a channel of each type and a message; return their ids by name."""
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
    """Insert messages; each is given by its number, and by whether it is deleted."""
    conn.cursor().executemany(
        "INSERT INTO messages (id, channel_id, user_id, content, deleted_at)"
        " VALUES (%s, %s, %s, 'x', CASE WHEN %s THEN now() END)",
        [(ulid(n), channel, user, deleted) for n, deleted in messages],
    )


class TwoSessions:
    """Two sessions in one database, and new users for each test."""

    def __init__(self, first: Conn, second: Conn) -> None:
        self.first = first
        self.second = second
        self.user_count = 0

    def create_people(self) -> tuple[str, str]:
        self.user_count += 2
        names = (f"user_{self.user_count - 1}", f"user_{self.user_count}")
        ada, bob = create_people(self.first, *names)
        return ada, bob

    def room(self) -> tuple[str, str, str, str]:
        """Create two users and a private channel with a message; return the four ids."""
        ada, bob = self.create_people()
        room = call(self.first, "create_channel", ada, "private", "room", [bob])["id"]
        return ada, bob, room, send(self.first, room, ada, "First")

    def race(self, first_call: tuple[Any, ...], second_call: tuple[Any, ...]) -> tuple[Row, Row]:
        """Run two calls concurrently: the second waits until the first has committed."""
        answers: list[list[Row]] = [[], []]

        def run(index: int, conn: Conn, arguments: tuple[Any, ...]) -> None:
            answers[index] = rows(conn, *arguments)

        error = race(
            self.first,
            self.second,
            lambda: run(0, self.first, first_call),
            lambda: run(1, self.second, second_call),
        )
        if error:
            raise error
        return answers[0][0], answers[1][0]

    def fail_late_call(
        self, first_call: tuple[Any, ...], late_call: tuple[Any, ...]
    ) -> Callable[[], Row]:
        """Check that `late_call` fails in a REPEATABLE READ transaction from before `first_call`.

        Return a function that retries `late_call` in a new transaction.
        """
        self.second.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        value(self.second, "SELECT count(*) FROM users")
        rows(self.first, *first_call)

        def retry() -> Row:
            self.second.execute("ROLLBACK")
            return rows(self.second, *late_call)[0]

        try:
            with pytest.raises(SERIALIZATION):
                rows(self.second, *late_call)
        finally:
            self.second.execute("ROLLBACK")
        return retry
