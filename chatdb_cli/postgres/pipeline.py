"""Many transactions through one connection, with round trips that do not grow with their number.

    Message    one statement on its way to the server
    Idle       what to do while the server is silent
    Outcome    how far the run came, and what stopped it

Speaks libpq's pipeline mode in a loop of its own: psycopg's own pipeline tells of an error a hundred
statements late and not whose it was, and a plain `get_result` deadlocks against a server that is
itself busy sending.  What does not belong here: what a message means (`frame.py` writes it,
`runner.py` the steps), retries, reports.

PostgreSQL's rule for a pipeline gives the semantics: at an error what was committed before stays, the
transaction in progress is lost, and everything behind it is skipped until the one Sync at the end.
Source: libpq documentation, "Pipeline Mode", "Error Handling".
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import errors, pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from psycopg.pq.abc import PGresult

# What may be under way: a client that dies leaves the server to go on with what it had sent.
MAX_BATCHES, MAX_BYTES = 64, 1024 * 1024
# How long a cancelled pipeline may go on, in seconds, before the backend is closed.
CANCEL_PATIENCE = 0.5
_ERRORS = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_NO_COPY = b"a migration has no client that sends or takes rows"


class Message(NamedTuple):
    """One statement on its way to the server.

    Attributes:
        sql: what is sent, in UTF-8.
        part: what it is for; the caller's own enumeration.
        number: which statement of the file, from 0; -1 for one of the frame.
        whole: the grammar could not cut it: it goes as one simple message, outside the pipeline.
        at_once: its answer is wanted as soon as it is there, not with the rest of its batch.
    """

    sql: bytes
    part: Any
    number: int = -1
    whole: bool = False
    at_once: bool = False


class Completed(NamedTuple):
    """A message that the server has carried out.

    Attributes:
        batch: which batch, from 0.
        message: what was sent.
        row: the first row of its result, as text, or nothing.
        command: the command tag, such as `CREATE TABLE`.
        milliseconds: since the answer before it; of use where both came at once.
    """

    batch: int
    message: Message
    row: tuple[str | None, ...]
    command: str
    milliseconds: float


class Outcome(NamedTuple):
    """How far a run came, and what stopped it.

    Attributes:
        batch: the batch that failed, or None.
        message: the message of it that failed.
        error: what the server said.
        lost: the connection broke; what was under way may or may not have happened.
        interrupt: the signal that ended the run; here too only the history knows what happened.
    """

    batch: int | None = None
    message: Message | None = None
    error: psycopg.Error | None = None
    lost: bool = False
    interrupt: KeyboardInterrupt | None = None

    @property
    def is_bad(self) -> bool:
        """It did not come to its end."""
        return bool(self.error or self.lost or self.interrupt)


class OnIdle(NamedTuple):
    """What to do while the server is silent.

    Attributes:
        after_s: for how long, in seconds.
        call: is called then, and again after as long.
    """

    after_s: float
    call: Callable[[], None]


def run_pipeline(
    conn: psycopg.Connection[Any],
    batches: Iterable[Sequence[Message]],
    on_done: Callable[[Completed], None] | None = None,
    on_idle: OnIdle | None = None,
) -> Outcome:
    """Send every batch, and read what comes back as it comes.

    A batch is a transaction from BEGIN to COMMIT.  After an error the server is left in the failed
    transaction: a ROLLBACK is still due.  On a KeyboardInterrupt the server is told to stop, and the
    outcome says so once it has.

    Args:
        conn: an idle connection.
        batches: the messages of each transaction, taken when there is room for them.
        on_done: called for each message that was carried out, in order.
        on_idle: called whenever the server has been silent for a while.
    """
    return _Run(conn, on_done, on_idle).run(batches)


class _Run:
    """The state of one run: what was sent and not yet answered, and what stopped it."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        on_done: Callable[[Completed], None] | None,
        on_idle: OnIdle | None,
    ) -> None:
        self.conn = conn
        self.pgconn = conn.pgconn
        self.on_done = on_done
        self.on_idle = on_idle
        self.patience = on_idle.after_s if on_idle else None  # how long one wait may take
        # (batch, message, bytes of the batch that ends with it, else 0)
        self.waiting: deque[tuple[int, Message, int]] = deque()
        self.bytes = self.batches = 0  # under way
        self.failed: tuple[int, Message] | None = None
        self.error: psycopg.Error | None = None
        self.lost = False
        self.synced = False  # the one Sync of the present pipeline is sent
        self.last: PGresult | None = None
        self.clock = time.monotonic()

    def run(self, batches: Iterable[Sequence[Message]]) -> Outcome:
        interrupt = None
        try:
            for uncut, group in groupby(enumerate(batches), lambda b: any(m.whole for m in b[1])):
                if uncut:
                    for number, messages in group:
                        self._with_simple(number, messages)
                else:
                    self._pipeline(group)
                if self.error is not None:
                    break
        except KeyboardInterrupt as signal:
            interrupt = signal
            self._stop()
        except psycopg.OperationalError as error:
            self._lose(error)
        except BaseException:  # of a callback: nothing may go on behind our back
            self._stop()
            raise
        batch, message = self.failed if self.failed else (None, None)
        lost = self.lost or self.pgconn.status != pq.ConnStatus.OK
        return Outcome(batch, message, self.error, lost, interrupt)

    def _with_simple(self, number: int, batch: Sequence[Message]) -> None:
        """Send a batch in three: what stands before the uncut message, that one, and the rest."""
        at = next(n for n, m in enumerate(batch) if m.whole)
        before, rest = batch[:at], batch[at + 1 :]
        if before:
            self._pipeline(iter([(number, before)]), ends=False)
        if self.error is None:
            self._simple(number, batch[at])
        if self.error is None and rest:
            self._pipeline(iter([(number, rest)]))

    def _pipeline(
        self, batches: Iterator[tuple[int, Sequence[Message]]], *, ends: bool = True
    ) -> None:
        self.pgconn.enter_pipeline_mode()
        self.clock = time.monotonic()
        more, self.synced = True, False
        while True:
            while more and self.batches < MAX_BATCHES and self.bytes < MAX_BYTES:
                if (item := next(batches, None)) is None:
                    more = False
                else:
                    self._queue(*item, ends=ends)
            if not self.synced and (not more or self.error is not None):
                self.pgconn.pipeline_sync()
                more, self.synced = False, True
            if self._read():
                break
            if self.error is None or self.synced:
                self._wait()
        self.pgconn.exit_pipeline_mode()
        self.bytes = self.batches = 0  # of a batch that goes on behind a simple message, too

    def _queue(self, number: int, batch: Sequence[Message], *, ends: bool) -> None:
        """Queue a batch to its last message, then ask for its results as soon as they are there.

        The COMMIT goes out with the rest, so that a client that freezes or dies leaves no transaction
        open behind it.
        """
        size = sum(len(m.sql) for m in batch) or 1
        for n, message in enumerate(batch, 1):
            self.pgconn.send_query_params(message.sql, None)
            self.waiting.append((number, message, size if ends and n == len(batch) else 0))
            if len(self.waiting) == 1:
                self._drop_rows()
            if message.at_once:
                self.pgconn.send_flush_request()
        self.pgconn.send_flush_request()
        self.bytes += size
        self.batches += 1

    def _drop_rows(self) -> None:
        """Have the rows of the statement that comes next row by row, to be forgotten at once.

        A file may select more than fits into memory.
        """
        if self.error is None and self.waiting and self.waiting[0][1].number >= 0:
            self.pgconn.set_single_row_mode()

    def _read(self) -> bool:
        """Take every result that is there; True when the Sync has come back."""
        while not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            if result is None:
                if not self.waiting:
                    return False
                self._answered()
                self._drop_rows()
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return True
            elif result.status != pq.ExecStatus.SINGLE_TUPLE:
                self._note(result)
        return False

    def _note(self, result: PGresult) -> None:
        self.last = result
        if result.status in _ERRORS and self.error is None and self.waiting:
            self.failed = self.waiting[0][:2]
            self.error = errors.error_from_result(result)

    def _answered(self) -> None:
        """The message at the head is done: it has brought all its results."""
        number, message, ends = self.waiting.popleft()
        if ends:
            self.bytes -= ends
            self.batches -= 1
        if self.error is not None:
            return
        if self.on_done and self.last is not None:
            now = time.monotonic()
            elapsed, self.clock = (now - self.clock) * 1000, now
            self.on_done(Completed(number, message, _row(self.last), _tag(self.last), elapsed))
        self.last = None

    def _simple(self, number: int, message: Message) -> None:
        """Send what could not be cut as one simple message."""
        self.clock = time.monotonic()
        self.waiting.append((number, message, 0))
        self.pgconn.send_query(message.sql)
        self.pgconn.set_single_row_mode()
        while True:
            while self.pgconn.is_busy():
                self._wait()
            result = self.pgconn.get_result()
            if result is None:
                break
            if result.status == pq.ExecStatus.COPY_IN:
                self.pgconn.put_copy_end(_NO_COPY)
            elif result.status == pq.ExecStatus.COPY_OUT:
                while self.pgconn.get_copy_data(0)[0] > 0:
                    pass
            elif result.status != pq.ExecStatus.SINGLE_TUPLE:
                self._note(result)
        self._answered()

    def _wait(self) -> None:
        """Sleep until the server has something for us, or room for what we still have to send.

        Raises:
            psycopg.OperationalError: the connection is gone.
        """
        want = selectors.EVENT_READ
        if self.pgconn.flush():
            want |= selectors.EVENT_WRITE
        # A flush that finds the line full reads what has come; nothing more may come then.
        if not self.pgconn.is_busy():
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self.pgconn.socket, want)
            ready = selector.select(self.patience)
        if any(mask & selectors.EVENT_READ for _, mask in ready):
            self.pgconn.consume_input()
        elif not ready and self.on_idle:
            self.on_idle.call()

    def _lose(self, error: psycopg.Error) -> None:
        self.lost = True
        if self.error is None:
            self.error = error
            self.failed = self.waiting[0][:2] if self.waiting else None

    def _stop(self) -> None:
        """Cancel on the server until nothing is under way; close the connection if that fails.

        A cancel that arrives between two statements is lost, so it is sent again and again.
        """
        self.error = self.error or errors.QueryCanceled("interrupted")
        deadline = time.monotonic() + CANCEL_PATIENCE
        self.on_idle, self.patience = None, 0.05
        try:
            if self.pgconn.pipeline_status != pq.PipelineStatus.OFF and not self.synced:
                self.pgconn.pipeline_sync()
            while time.monotonic() < deadline:
                if self.pgconn.pipeline_status == pq.PipelineStatus.OFF:
                    if not self.pgconn.is_busy() and self.pgconn.get_result() is None:
                        return
                elif self._read() and self._is_over():
                    return
                self.conn.cancel_safe(timeout=1)
                self._wait()
            self.conn.close()
            self.lost = True
        except psycopg.Error as error:
            self._lose(error)

    def _is_over(self) -> bool:
        """Leave the pipeline; False when it goes on to another Sync.

        A signal may come when the first is sent, and before that is noted: there are two then.
        """
        try:
            self.pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            return False
        return True


def _row(result: PGresult) -> tuple[str | None, ...]:
    if result.status != pq.ExecStatus.TUPLES_OK or not result.ntuples:
        return ()
    values = (result.get_value(0, n) for n in range(result.nfields))
    return tuple(None if v is None else v.decode() for v in values)


def _tag(result: PGresult) -> str:
    return (result.command_status or b"").decode()
