"""The migration lock: the advisory lock that lets one migrator in.

    AdvisoryLock    the lock of a target, for as long as a session lasts
    hold_lock       the same for as long as a block lasts

The lock is polled, with nothing held between two tries: a session that waits inside PostgreSQL has a
snapshot, and CREATE INDEX CONCURRENTLY of another session would wait for it.  It saves work and names
its holder; that no migration is applied twice is ensured by the claim (`history/write.py`).  What does
not belong here: `lock_timeout` and trying again (`migrate/`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.blockers import backend_from_row
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.blockers import Backend

# The pause between two tries, in seconds: it doubles from the first to the second.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


class AdvisoryLock:
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
        self._key = Quoting(conn, schema).session_key
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
                raise locked_error(holder)
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
def hold_lock(
    conn: psycopg.Connection[Any], schema: str, wait_ms: int, tell: Callable[[str], None]
) -> Iterator[None]:
    """Hold the migration lock of a target while a block runs; the arguments are those of `Lock`.

    Raises:
        ChatdbError: `LOCKED`, and who holds it.
    """
    lock = AdvisoryLock(conn, schema, wait_ms, tell)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def _holder(conn: psycopg.Connection[Any], key: str) -> Backend | None:
    row = conn.execute(queries.LOCK_HOLDER.format(key=key).encode()).fetchone()
    return backend_from_row(row) if row else None


def locked_error(holder: Backend | None, sqlstate: str | None = None) -> ChatdbError:
    """Return the error of somebody who waited long enough for another migrator."""
    end = f"; if it hangs, end it: SELECT pg_terminate_backend({holder.pid})" if holder else ""
    return ChatdbError(
        Code.LOCKED,
        "another migrator is at work on this target, and did not finish in time"
        + (f": {holder}" if holder else ""),
        hint=f"wait for it, or wait longer with --wait{end}",
        sqlstate=sqlstate,
    )
