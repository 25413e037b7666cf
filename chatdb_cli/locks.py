"""Who stands in the way: the lock that lets one migrator in, and whom a statement waits for.

    Lock        the migration lock of a target, for as long as a session lasts
    held        it is held for as long as a block lasts
    Watch       looks, from a connection of its own, whom a session waits for
    Session     one that stands in the way, as a person wants to see it

The lock is asked for again and again, with nothing held between two tries: a session that waits inside
PostgreSQL has a snapshot, for which another's CREATE INDEX CONCURRENTLY would wait in its turn.  It
saves work and names its holder; that no migration is ever applied twice is the claim's doing
(`frame.py`).  What does not belong here: `lock_timeout` and trying again (`runner.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatdb_cli import queries
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.names import Names
from chatdb_cli.redaction import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

# The pause between two tries, in seconds: it doubles from the first to the second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_LONGEST_QUERY = 100


@dataclass(frozen=True, slots=True)
class Session:
    """A session that stands in the way.

    Attributes:
        pid: its process on the server; 0 for a prepared transaction, which has none.
        since: when it connected, or its transaction began, in UTC.
        age_s: how long ago that was, in seconds.
        application: what it calls itself.
        user: who logged in; None for one of the server's own, or where we may not see it.
        client: the address it came from, or None for the server's own machine.
        state: such as `idle in transaction`, or None.
        query: the first line of what it runs, or ran last.
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


class Lock:
    """The migration lock of a target, which lets one migrator in; it goes with its connection, too.

    It costs a turn of its own to `take` and to `release` it.  Whoever sends much at once sends `ask` in
    front, which fails where another holds it, and `give_back` behind, and says what came of them.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        wait_ms: how long to wait for whoever holds it; 0 is not at all.
        tell: called with a line when there is somebody to wait for, and when the lock was lost.

    Attributes:
        held: it is ours.
        ask: the statement that takes it at once, or fails with 22012.
        give_back: the one that returns whether it was still there.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        wait_ms: int,
        tell: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._key = Names(conn, schema).session_key
        self._wait_ms = wait_ms
        self._tell = tell
        self.held = False
        self.ask = queries.LOCK_OR_FAIL.format(key=self._key)
        self.give_back = queries.UNLOCK.format(key=self._key)

    def take(self) -> bool:
        """Take it, when whoever holds it is done, and return whether it had to be waited for.

        Raises:
            ChatdbError: `LOCKED`, and who holds it.
        """
        deadline = time.monotonic() + self._wait_ms / 1000
        pause, told = _FIRST_PAUSE_S, None
        while not self._is_true(queries.TRY_LOCK.format(key=self._key)):
            holder = _holder(self._conn, self._key)
            left = deadline - time.monotonic()
            if left <= 0:
                raise locked(holder)
            if holder and holder.pid != told:
                told = holder.pid
                self._tell(f"waiting for another migrator: {holder}")
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        self.held = True
        return pause > _FIRST_PAUSE_S

    def release(self) -> None:
        """Give it back, if it is held and its connection can be asked."""
        import psycopg

        if self.held and not self._conn.closed:
            with suppress(psycopg.Error):
                self.gave_back(was_there=self._is_true(self.give_back))

    def gave_back(self, *, was_there: bool) -> None:
        """Note that it is not ours any more, and tell when it had gone before.

        Args:
            was_there: what `give_back` returned.
        """
        self.held = False
        if not was_there:
            self._tell(
                "the migration lock was gone before the end; is there a pooler in between? "
                "If so, say --pooler transaction"
            )

    def _is_true(self, query: str) -> bool:
        row = self._conn.execute(query.encode()).fetchone()
        return bool(row and row[0])


@contextmanager
def held(
    conn: psycopg.Connection[Any], schema: str, wait_ms: int, tell: Callable[[str], None]
) -> Iterator[None]:
    """Hold the migration lock of a target while a block runs; the arguments are those of `Lock`.

    Raises:
        ChatdbError: `LOCKED`, and who holds it.
    """
    lock = Lock(conn, schema, wait_ms, tell)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def _holder(conn: psycopg.Connection[Any], key: str) -> Session | None:
    row = conn.execute(queries.LOCK_HOLDER.format(key=key).encode()).fetchone()
    return _session(row) if row else None


def locked(holder: Session | None, sqlstate: str | None = None) -> ChatdbError:
    """Return the error of somebody who waited long enough for another migrator."""
    end = f"; if it hangs, end it: SELECT pg_terminate_backend({holder.pid})" if holder else ""
    return ChatdbError(
        Code.LOCKED,
        "another migrator is at work on this target, and did not finish in time"
        + (f": {holder}" if holder else ""),
        hint=f"wait for it, or wait longer with --wait{end}",
        sqlstate=sqlstate,
    )


class Watch:
    """Looks, from a connection of its own, whom a session waits for.

    It never waits itself: a pooler may have nothing left for this connection before the other is
    done.  Where it can't look, nobody is named.

    Args:
        connect: opens that connection.
        application: the name of the session.
        pid: its process, or 0 where a pooler hides it.
    """

    def __init__(
        self, connect: Callable[[], psycopg.Connection[Any]], application: str, pid: int
    ) -> None:
        self._connect = connect
        self._values = (application.encode(), str(pid).encode())
        self._conn: psycopg.Connection[Any] | None = None
        self._blind = False

    def look(self) -> tuple[Session, ...]:
        """Take the answer to the last question if it is there, and ask again."""
        import psycopg

        if self._blind:
            return ()
        try:
            if self._conn is None:
                self._conn = self._connect()
                self._ask(self._conn)
                return ()
            return self._answer(self._conn)
        except (psycopg.Error, ChatdbError):
            self._blind = True
            return ()

    def _ask(self, conn: psycopg.Connection[Any]) -> None:
        conn.pgconn.send_query_params(queries.BLOCKERS.encode(), self._values)

    def _answer(self, conn: psycopg.Connection[Any]) -> tuple[Session, ...]:
        conn.pgconn.consume_input()
        if conn.pgconn.is_busy():
            return ()
        found: tuple[Session, ...] = ()
        while result := conn.pgconn.get_result():
            values = (
                [result.get_value(row, column) for column in range(result.nfields)]
                for row in range(result.ntuples)
            )
            found = tuple(_session([v and v.decode() for v in row]) for row in values)
        self._ask(conn)
        return found

    def close(self) -> None:
        """Close that connection."""
        if self._conn is not None:
            self._conn.close()


def _session(row: Sequence[Any]) -> Session:
    pid, since, age, application, user, client, state, query = row
    query = mask(query or "").strip()
    if len(query) > _LONGEST_QUERY:
        query = query[: _LONGEST_QUERY - 3] + "..."
    return Session(int(pid), since, int(age or 0), application, user, client, state, query)


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds} s ago"
