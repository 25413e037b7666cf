"""Which sessions block a statement, asked over a connection of its own.

    BlockerWatch    finds the sessions that block a statement, while it waits
    Waiting         how the session that waits is known
    Backend         a session of the server, described for a person

What does not belong here: the migration lock (`advisory_lock.py`).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.own import in_pg_catalog
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg
    from psycopg.pq.abc import PGresult

    from chatdb_cli.postgres.pipeline import OnIdle

_LONGEST_QUERY = 100
# The default of track_activity_query_size, in bytes: the server stores no more of a statement.
_CUT_AT = 1023
# In place of a session that this role may not see.
HIDDEN_SESSION = (
    "a session that can't be seen: this role may not read pg_locks and pg_stat_activity "
    "(GRANT SELECT on both, or pg_monitor, shows it)"
)
# How long the server is silent before a statement is taken to wait, in seconds.
_SILENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class Backend:
    """A session that blocks another one.

    Attributes:
        pid: its process ID; 0 for a prepared transaction, which has none.
        since: when it connected, or its transaction began, in UTC.
        age_s: how long ago that was, in seconds.
        application: its `application_name`, or the type of a background process.
        user: its role; None for a background process, or without the privilege to see it.
        client: the address of the client, or None for a Unix socket.
        state: its state, such as `idle in transaction`, or None.
        query: the first line of its current or last statement.
    """

    pid: int
    since: str | None
    age_s: int
    application: str | None
    user: str | None
    client: str | None
    state: str | None
    query: str

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction (SELECT * FROM pg_prepared_xacts shows it)"
        facts = [
            self.application,
            self.user and f"user {self.user}",
            self.client and f"from {self.client}",
            self.state if self.state != "active" else None,
            self.since and f"since {self.since}Z, {_age(self.age_s)}",
        ]
        query = f": {self.query}" if self.query else ""
        return f"pid {self.pid} ({', '.join(filter(None, facts))}){query}"


class Waiting(NamedTuple):
    """How the session that waits is known; one of these.

    Attributes:
        pid: its process ID.
        key: the two halves of the key of an advisory lock that it alone holds.
        application: its `application_name`, which a statement can change.
    """

    pid: int = 0
    key: str = ""
    application: str = ""

    def condition(self, conn: psycopg.Connection[Any]) -> str:
        """Return the condition that finds the session in pg_stat_activity."""
        if self.pid:
            return queries.WAITING_PID.format(pid=self.pid)
        if self.key:
            return queries.WAITING_HOLDER.format(key=self.key)
        return Quoting(conn, "").fill(queries.WAITING_NAME, application=self.application)


class BlockerWatch:
    """Finds, over a connection of its own, which sessions block a session that waits.

    It never waits itself: a pooler may have no connection left for it before the other session ends.
    If it can't ask, no session is named.

    Args:
        connect: opens that connection.
        waiting: how the session is known.
        lock_timeout_ms: how long a statement waits for a lock; 0 is for ever.
        report: called with these sessions when others than before block it.

    Attributes:
        blockers: the sessions that blocked it last.
        hidden: this role may not see which sessions block another one.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        waiting: Waiting,
        lock_timeout_ms: int,
        report: Callable[[tuple[Backend, ...]], None],
    ) -> None:
        self._connect = connect
        self._waiting = waiting
        self._question = b""
        self._after_s = min(_SILENCE_S, lock_timeout_ms / 4000 or _SILENCE_S)
        self._report = report
        self._conn: psycopg.Connection[Any] | None = None
        self._can_ask = True
        self.blockers: tuple[Backend, ...] = ()
        self.hidden = False

    @property
    def on_idle(self) -> OnIdle:
        """Look for blockers while the server is silent, well before the statement gives up."""
        from chatdb_cli.postgres.pipeline import OnIdle

        return OnIdle(self._after_s, self.look)

    def look(self) -> None:
        """Read the answer to the last question, if it has arrived, and ask again."""
        blockers = self._find()
        if blockers and [b.pid for b in blockers] != [b.pid for b in self.blockers]:
            self._report(blockers)
        self.blockers = blockers or self.blockers

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for blockers as long as the block runs, in a thread of its own."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(self._after_s):
                self.look()

        thread = threading.Thread(target=watch, name="chatdb-blockers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.close()

    def forget(self) -> None:
        """Forget the blockers of a statement that is done."""
        self.blockers = ()

    def _find(self) -> tuple[Backend, ...]:
        import psycopg

        if not self._can_ask:
            return ()
        try:
            if self._conn is None:
                self._conn = self._connect()
                self._question = self._written(self._conn)
                self._ask(self._conn)
                return ()
            return self._answer(self._conn)
        except (psycopg.Error, ChatdbError):
            self._can_ask = False
            return ()

    def _written(self, conn: psycopg.Connection[Any]) -> bytes:
        """Return the question, in one message and so in one transaction."""
        sql = queries.BLOCKERS.replace("{waiting}", self._waiting.condition(conn))
        return in_pg_catalog(sql, as_login=True).encode()

    def _ask(self, conn: psycopg.Connection[Any]) -> None:
        conn.pgconn.send_query(self._question)

    def _answer(self, conn: psycopg.Connection[Any]) -> tuple[Backend, ...]:
        from psycopg.pq import DiagnosticField

        from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE

        conn.pgconn.consume_input()
        if conn.pgconn.is_busy():
            return ()
        blockers: tuple[Backend, ...] = ()
        while result := conn.pgconn.get_result():
            if result.error_field(DiagnosticField.SQLSTATE) == INSUFFICIENT_PRIVILEGE.encode():
                self.hidden, self._can_ask = True, False
                return ()
            if result.ntuples:
                rows = (_row(result, n) for n in range(result.ntuples))
                blockers = tuple(backend_from_row(**row) for row in rows)
        self._ask(conn)
        return blockers

    def close(self) -> None:
        """Close that connection."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def backend_from_row(
    *, pid: str, age_s: str | None, user: str | None, query: str | None, **others: str | None
) -> Backend:
    """Return a session of the server from the columns of a row, all of them text.

    User and query are in hexadecimal: the server may have cut them in the middle of a character.
    """
    # Masked as a whole: what its first line belongs to may be on another line, or cut off by the server.
    is_cut = len(query or "") // 2 >= _CUT_AT
    masked = mask(_from_hex(query) or "", everything=is_cut).strip()
    text = next(iter(masked.splitlines()), "").strip()
    if len(text) > _LONGEST_QUERY:
        text = text[: _LONGEST_QUERY - 3] + "..."
    return Backend(pid=int(pid), age_s=int(age_s or 0), user=_from_hex(user), query=text, **others)


def _from_hex(text: str | None) -> str | None:
    return None if text is None else bytes.fromhex(text).decode(errors="replace").rstrip("\ufffd")


def _row(result: PGresult, number: int) -> dict[str, Any]:
    """Return a row of a result as text, by the names of its columns."""
    values = {n: result.get_value(number, n) for n in range(result.nfields)}
    return {
        (result.fname(n) or b"").decode(): v and v.decode(errors="replace")
        for n, v in values.items()
    }


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds} s ago"
