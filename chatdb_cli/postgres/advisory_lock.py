"""The migration lock: the advisory lock that allows one migrator at a time.

    AdvisoryLock    the lock of a target, held until it is released or its session ends
    hold_lock       the same, held until the end of a block

The lock is polled: a session that waits inside PostgreSQL has a snapshot, and CREATE INDEX CONCURRENTLY
of another session would wait for it.  The lock avoids useless work and tells who holds it; the claim
(`history/write.py`) is what ensures that no migration is applied twice.  What does not belong here:
`lock_timeout` and retries (`migrate/`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.blockers import HIDDEN_SESSION, Backend, backend_from_row
from chatdb_cli.postgres.own import fetch, keep_session
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg


# The pause between two tries, in seconds: it doubles from the first to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


class AdvisoryLock:
    """The migration lock of a target; it is also released when its session ends.

    `acquire` and `release` cost a round trip each.  A caller that sends a batch of statements anyway
    sends `acquire_sql` first and `release_sql` last, and reports their results with `held` and
    `note_released`.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        wait_ms: how long to wait for the session that holds the lock, in milliseconds; 0 does not wait.
        report: called with a line when another session holds the lock, and when the lock was lost.

    Attributes:
        held: this session holds the lock.
        acquire_sql: a statement that acquires the lock, or fails with `ASSERTION_FAILED` if another
            session holds it.
        release_sql: a statement that releases the lock and returns whether it was held.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        wait_ms: int,
        report: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._key = Quoting(conn, schema).session_key
        self._wait_ms = wait_ms
        self._report = report
        self.held = False
        self.acquire_sql = queries.LOCK_OR_FAIL.format(key=self._key)
        self.release_sql = queries.UNLOCK.format(key=self._key)

    def acquire(self) -> bool:
        """Acquire the lock, and return whether another session held it before.

        Raises:
            ChatdbError: `LOCKED`, with the session that holds it.
        """
        deadline = time.monotonic() + self._wait_ms / 1000
        pause, reported_pid = _FIRST_PAUSE_S, None
        while not self._is_true(queries.TRY_LOCK.format(key=self._key)):
            holder = _holder(self._conn, self._key)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise locked_error(holder)
            pid = holder if isinstance(holder, str) else holder and holder.pid
            if pid and pid != reported_pid:
                reported_pid = pid
                text = f"waiting for another migrator: {holder}"
                blockers = []
                if log.enabled() and isinstance(holder, Backend):
                    blockers = [asdict(holder)]
                self._report(log.warning("lock_wait", text, lock="migration", blockers=blockers))
            if pause == _FIRST_PAUSE_S:
                keep_session(self._conn)
            time.sleep(min(pause, remaining))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        self.held = True
        return pause > _FIRST_PAUSE_S

    def release(self) -> None:
        """Release the lock, if it is held and its connection is usable."""
        import psycopg

        if self.held and not self._conn.closed:
            with suppress(psycopg.Error):
                self.note_released(was_held=self._is_true(self.release_sql))

    def note_released(self, *, was_held: bool) -> None:
        """Note that the lock is released, and report if it had been lost before.

        Args:
            was_held: the result of `release_sql`.
        """
        self.held = False
        if not was_held:
            text = Advice(
                "the migration lock was lost before the end; is there a pooler in transaction mode? "
                "If so, give {pooler_transaction}"
            )
            self._report(log.warning("lock_lost", text))

    def _is_true(self, query: str) -> bool:
        row = self._conn.execute(query.encode()).fetchone()
        return bool(row and row[0])


@contextmanager
def hold_lock(
    conn: psycopg.Connection[Any], schema: str, wait_ms: int, report: Callable[[str], None]
) -> Iterator[None]:
    """Hold the migration lock of a target while a block runs; the arguments are `AdvisoryLock`'s.

    Raises:
        ChatdbError: `LOCKED`, with the session that holds it.
    """
    lock = AdvisoryLock(conn, schema, wait_ms, report)
    lock.acquire()
    keep_session(conn)  # it waits for what others do in the block
    try:
        yield
    finally:
        lock.release()


def _holder(conn: psycopg.Connection[Any], key: str) -> Backend | str | None:
    """Return the session that holds the lock; a text if this role may not see it; None if it is gone."""
    return find_session(conn, queries.LOCK_HOLDER.format(key=key))


def table_holder(conn: psycopg.Connection[Any], schema: str) -> Backend | str | None:
    """Return the session that keeps others from reading a table of the history, as `_holder` does.

    Args:
        conn: an idle connection.
        schema: the schema of the history.
    """
    return find_session(conn, Quoting(conn, schema).fill(queries.TABLE_HOLDER, name=schema))


def find_session(conn: psycopg.Connection[Any], sql: str) -> Backend | str | None:
    """Return the session that a statement finds; a text if this role may not see it, or None."""
    from psycopg.errors import InsufficientPrivilege

    try:
        return next(iter(fetch(conn, backend_from_row, sql, as_login=True)), None)
    except InsufficientPrivilege:
        return HIDDEN_SESSION


_MIGRATOR_RUNS = "another migrator is running on this target, and did not finish in time"
HISTORY_LOCKED = "another session has locked the history, and did not release it in time"


def locked_error(
    holder: Backend | str | None, sqlstate: str | None = None, what: str = _MIGRATOR_RUNS
) -> ChatdbError:
    """Return the error of a migrator that waited for another session until its time was over.

    Args:
        holder: that session, a text in its place, or None if it is not known.
        sqlstate: the server's, if it reported the end of the waiting.
        what: what it waited for.
    """
    end = ""
    if holder and not isinstance(holder, str):
        end = f"; if it hangs, end it: SELECT pg_terminate_backend({holder.pid})"
    return ChatdbError(
        Code.LOCKED,
        what + (f": {holder}" if holder else ""),
        hint=Advice("wait for it, or wait longer with {wait}{end}", end=end),
        sqlstate=sqlstate,
    )
