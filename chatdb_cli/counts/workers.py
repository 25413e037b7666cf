"""Several connections that work on one list of statements, all in the same snapshot.

    Crew    the connections; its method `run` yields the rows of each statement as it is done

The connection that holds the snapshot works, too, so that the work is done even if no other connection
can be opened.  A worker that waits for a lock (another session has requested an ACCESS EXCLUSIVE lock
meanwhile, and new locks queue after it) gives its statement back: that first connection holds the
locks already and never waits.  What does not belong here: what the statements mean (`snapshot.py`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from chatdb_cli.counts.ranges import Work

    Connection = psycopg.Connection[Any]
    Opening = Callable[[], AbstractContextManager[Connection]]

# How long a canceled statement is waited for before it is canceled again, in seconds.
_CANCEL_AGAIN_S = 0.5


class Done(NamedTuple):
    """A statement that is done.

    Attributes:
        work: the statement.
        rows: its rows.
        seconds: the time that it took.
    """

    work: Work
    rows: list[Any]
    seconds: float


class Crew:
    """The workers, and the statements that are left.

    Args:
        first: the connection that holds the snapshot and its locks.
        others: each opens another connection.
        begin: begins a transaction in the snapshot on another connection, after the end of the last one.
        row_factory: makes the rows.
        report: called with a line if other connections can't be opened.
    """

    def __init__(
        self,
        first: Connection,
        others: Sequence[Opening],
        begin: Callable[[Connection], None],
        row_factory: Any,
        report: Callable[[str], None],
    ) -> None:
        self._first, self._others = first, others
        self._begin = begin
        self._row_factory = row_factory
        self._report = report
        self._changed = threading.Condition()
        # All of these are changed under the condition alone.
        self._left: deque[Work] = deque()
        self._returned: deque[Work] = deque()
        self._with_others = 0  # statements that may be given back
        self._busy: set[Connection] = set()
        self._stopping = False
        self._events: SimpleQueue[Done | Future[str | None]] = SimpleQueue()

    def run(self, works: Sequence[Work]) -> Generator[Done]:
        """Run statements, and yield each that is done in the thread of the caller.

        Args:
            works: the statements, in the order in which they are begun.

        Raises:
            psycopg.Error: of a statement; all others are canceled.
        """
        self._left.extend(works)
        others = self._others[: max(len(works) - 1, 0)]
        executor = ThreadPoolExecutor(1 + len(others), thread_name_prefix="chatdb-counts")
        futures: list[Future[str | None]] = []
        done, refused = 0, False
        try:
            # In here, because an interrupt may come as soon as the first of them runs.
            futures.append(executor.submit(self._lead))
            futures += [executor.submit(self._join, other) for other in others]
            for future in futures:
                future.add_done_callback(self._events.put)
            while done < len(works):
                event = self._events.get()
                if isinstance(event, Done):
                    done += 1
                    yield event
                elif (reason := event.result()) and not refused:
                    self._report(f"continuing with fewer connections: {reason}")
                    refused = True
        finally:
            self._stop(futures)
            executor.shutdown(wait=False)

    def cancel(self) -> None:
        """Make `run` fail, from any thread."""
        canceled: Future[str | None] = Future()
        canceled.set_exception(psycopg.errors.QueryCanceled("canceled by the caller"))
        self._events.put(canceled)

    def _stop(self, futures: Sequence[Future[str | None]]) -> None:
        """Cancel what runs, and wait for it; a connection that is being opened is not waited for."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        while True:
            with self._changed:
                busy = tuple(self._busy)
            if not busy:
                break
            for conn in busy:
                with suppress(psycopg.Error):
                    conn.cancel_safe(timeout=_CANCEL_AGAIN_S)
            wait(futures, _CANCEL_AGAIN_S)

    def _lead(self) -> None:
        """Work on the connection that holds the locks; also on what others gave back."""
        while work := self._next(leads=True):
            self._events.put(self._run(self._first, work))

    def _join(self, opening: Opening) -> str | None:
        """Work on another connection; return why it could not take part, or None."""
        from psycopg_pool import PoolClosed, PoolTimeout

        try:
            with opening() as conn:
                return self._follow(conn)
        except (PoolClosed, PoolTimeout) as error:
            return str(error)

    def _follow(self, conn: Connection) -> str | None:
        label: str | None = None
        while work := self._next(leads=False):
            try:
                if work.label != label:  # the locks of other tables are released
                    label = None
                    self._begin(conn)
                    label = work.label
                done = self._run(conn, work)
            except psycopg.errors.LockNotAvailable:
                label = None
                self._settle(work)
            except psycopg.Error as error:
                if label is not None and not conn.broken:
                    raise
                self._settle(work)
                return str(error).partition("\n")[0]
            else:
                self._events.put(done)
                self._settle()
        return None

    def _run(self, conn: Connection, work: Work) -> Done:
        start = time.monotonic()
        with self._changed:
            if self._stopping:
                raise psycopg.errors.QueryCanceled("canceled before it began")
            self._busy.add(conn)
        try:
            cursor = conn.cursor(row_factory=self._row_factory)
            rows = cursor.execute(work.sql.encode()).fetchall()
        finally:
            with self._changed:
                self._busy.discard(conn)
        return Done(work, rows, time.monotonic() - start)

    def _next(self, *, leads: bool) -> Work | None:
        """Return the next statement, or None at the end; the leader waits for what may come back."""
        with self._changed:
            while not self._stopping:
                if leads and self._returned:
                    return self._returned.popleft()
                if self._left:
                    self._with_others += not leads
                    return self._left.popleft()
                if not leads or not self._with_others:
                    return None
                self._changed.wait()
        return None

    def _settle(self, returned: Work | None = None) -> None:
        """Note that a worker is done with a statement, or gives it back."""
        with self._changed:
            self._with_others -= 1
            if returned:
                self._returned.append(returned)
            self._changed.notify_all()
