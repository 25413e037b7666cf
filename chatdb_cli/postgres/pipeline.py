"""Run many transactions over one connection; round trips do not grow with their number.

    Message      one statement to send
    Batch        the messages of one transaction
    Completed    a message that the server has executed, with its result
    OnIdle       what to do while the server is silent
    Outcome      how far the run came, and what stopped it

Uses libpq's pipeline mode in a loop of its own: psycopg's own pipeline reports an error up to a hundred
statements late and does not say which statement failed, and a plain `get_result` deadlocks against a
server that is itself busy sending.  What does not belong here: what a message means (`migrate/`),
retries, reports.

The rule of PostgreSQL's pipeline mode determines the result: at an error, transactions committed before
stay committed, the transaction in progress is aborted, and everything after it is skipped until the one
Sync at the end.  Source: libpq documentation, "Pipeline Mode", "Error Handling".
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

# The limits of what is in flight: if the client dies, the server still executes what it has received.
MAX_BATCHES, MAX_BYTES = 64, 1024 * 1024
# How long a canceled pipeline may continue, in seconds, before the connection is closed.
CANCEL_PATIENCE = 0.5
_CANCEL_AGAIN_S = 0.05  # how long to wait for the effect of one cancel request
_ERRORS = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_NO_COPY = b"a migration has no client that sends or receives rows"


class Message(NamedTuple):
    """One statement to send.

    Attributes:
        sql: the text, in UTF-8.
        part: its purpose; the caller's own enumeration.
        number: which statement of the file, from 0; -1 for a statement of chatdb's own.
        simple_query: send it with the simple query protocol, outside the pipeline, because the text
            could not be split into single statements.
        flush: ask for its result as soon as it is available, not with the rest of its batch.
    """

    sql: bytes
    part: Any
    number: int = -1
    simple_query: bool = False
    flush: bool = False


class Batch(NamedTuple):
    """The messages of one transaction, from BEGIN to COMMIT.

    Attributes:
        messages: what is sent, in order.
        tag: the caller's own; it comes back with each message of the batch.
    """

    messages: Sequence[Message]
    tag: Any = None


class Completed(NamedTuple):
    """A message that the server has executed.

    Attributes:
        batch: the batch that it is part of.
        message: what was sent.
        row: the first row of its result, as text, or nothing.
        command: the command tag, such as `CREATE TABLE`.
        milliseconds: time since the previous result; meaningful only if both were flushed.
    """

    batch: Batch
    message: Message
    row: tuple[str | None, ...]
    command: str
    milliseconds: float


class Outcome(NamedTuple):
    """How far a run came, and what stopped it.

    Attributes:
        batch: the batch that failed, or None.
        message: the message of that batch that failed.
        error: the server's error.
        lost: the connection broke; what was in flight may or may not have been committed.
        interrupt: the signal that ended the run; here too only the history tells what was committed.
    """

    batch: Batch | None = None
    message: Message | None = None
    error: psycopg.Error | None = None
    lost: bool = False
    interrupt: KeyboardInterrupt | None = None

    @property
    def is_bad(self) -> bool:
        """The run did not complete."""
        return bool(self.error or self.lost or self.interrupt)


class OnIdle(NamedTuple):
    """What to do while the server is silent.

    Attributes:
        after_s: how long the server is silent before `call`, in seconds.
        call: called then, and again after the same time.
    """

    after_s: float
    call: Callable[[], None]


def run_pipeline(
    conn: psycopg.Connection[Any],
    batches: Iterable[Batch],
    on_done: Callable[[Completed], None] | None = None,
    on_idle: OnIdle | None = None,
) -> Outcome:
    """Send every batch, and read the results as they arrive.

    After an error the session remains in the failed transaction: the caller must send ROLLBACK.  On a
    KeyboardInterrupt the statements in flight are canceled, and the outcome is returned when the server
    has stopped.

    Args:
        conn: an idle connection.
        batches: the transactions, consumed as there is room for them.
        on_done: called for each message that was executed, in order.
        on_idle: called whenever the server has been silent for a while.
    """
    return _Run(conn, on_done, on_idle).run(batches)


class _Sent(NamedTuple):
    """A message that was sent and not yet answered; `ends` is its batch's size if it is the last."""

    batch: Batch
    message: Message
    ends: int


class _InFlight:
    """What was sent and not yet answered, and its size."""

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self._bytes = self._batches = 0

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def has_room(self) -> bool:
        """Another batch may be sent."""
        return self._batches < MAX_BATCHES and self._bytes < MAX_BYTES

    @property
    def first(self) -> _Sent | None:
        """The message whose results arrive next."""
        return self._sent[0] if self._sent else None

    def add(self, sent: _Sent) -> None:
        """Note that a message was sent."""
        self._sent.append(sent)

    def add_batch(self, size: int) -> None:
        """Count a batch that was sent, of so many bytes."""
        self._bytes += size
        self._batches += 1

    def pop(self) -> _Sent:
        """Remove and return the message that has been answered."""
        sent = self._sent.popleft()
        if sent.ends:
            self._bytes -= sent.ends
            self._batches -= 1
        return sent

    def reset_size(self) -> None:
        """Count nothing, also of a batch that continues after a simple query."""
        self._bytes = self._batches = 0


class _Run:
    """The state of one run: what is in flight, and what stopped it."""

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
        self.in_flight = _InFlight()
        self.failed: _Sent | None = None
        self.error: psycopg.Error | None = None
        self.lost = False
        self.synced = False  # the one Sync of the current pipeline has been sent
        self.last_result: PGresult | None = None
        self.clock = time.monotonic()

    def run(self, batches: Iterable[Batch]) -> Outcome:
        interrupt = None
        try:
            for simple, group in groupby(batches, _has_simple_query):
                if simple:
                    for batch in group:
                        self._run_with_simple_query(batch)
                else:
                    self._run_pipelined(group)
                if self.error is not None:
                    break
        except KeyboardInterrupt as signal:
            interrupt = signal
            self._stop()
        except psycopg.OperationalError as error:
            self._note_loss(error)
        except BaseException:  # from a callback: the server must not continue with what was sent
            self._stop()
            raise
        failed_batch, message = self.failed[:2] if self.failed else (None, None)
        lost = self.lost or self.pgconn.status != pq.ConnStatus.OK
        return Outcome(failed_batch, message, self.error, lost, interrupt)

    def _run_with_simple_query(self, batch: Batch) -> None:
        """Send a batch in three parts: what precedes the simple query, that query, and the rest."""
        messages = batch.messages
        at = next(n for n, m in enumerate(messages) if m.simple_query)
        before, rest = messages[:at], messages[at + 1 :]
        if before:
            self._run_pipelined(iter([batch._replace(messages=before)]), ends=False)
        if self.error is None:
            self._run_simple_query(batch, messages[at])
        if self.error is None and rest:
            self._run_pipelined(iter([batch._replace(messages=rest)]))

    def _run_pipelined(self, batches: Iterator[Batch], *, ends: bool = True) -> None:
        self.pgconn.enter_pipeline_mode()
        self.clock = time.monotonic()
        more, self.synced = True, False
        while True:
            while more and self.in_flight.has_room:
                if (batch := next(batches, None)) is None:
                    more = False
                else:
                    self._send(batch, ends=ends)
            if not self.synced and (not more or self.error is not None):
                self.pgconn.pipeline_sync()
                more, self.synced = False, True
            if self._read():
                break
            if self.error is None or self.synced:
                self._wait()
        self.pgconn.exit_pipeline_mode()
        self.in_flight.reset_size()

    def _send(self, batch: Batch, *, ends: bool) -> None:
        """Send a whole batch, then ask for its results as soon as they are available.

        The COMMIT is sent with the rest, so that a client that freezes or dies leaves no open
        transaction.
        """
        size, drained, last = 0, 0, len(batch.messages)
        for n, message in enumerate(batch.messages, 1):
            size += len(message.sql) or 1
            self.pgconn.send_query_params(message.sql, None)
            self.in_flight.add(_Sent(batch, message, size if ends and n == last else 0))
            if len(self.in_flight) == 1:
                self._request_single_rows()
            if message.flush:
                self.pgconn.send_flush_request()
            if size - drained > MAX_BYTES:  # a large file is not kept in libpq's buffer
                self._drain()
                drained = size
                if self.error is not None:
                    return
        self.pgconn.send_flush_request()
        self.in_flight.add_batch(size)

    def _drain(self) -> None:
        """Wait until libpq has written what was sent, and read the results that arrive meanwhile."""
        while self.pgconn.flush():
            self._wait()
            self._read()

    def _request_single_rows(self) -> None:
        """Receive the rows of the next statement one by one, and discard each.

        A file may select more than fits into memory.
        """
        first = self.in_flight.first
        if self.error is None and first and first.message.number >= 0:
            self.pgconn.set_single_row_mode()

    def _read(self) -> bool:
        """Read every available result; return True when the Sync has been answered."""
        while not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            if result is None:
                if not self.in_flight:
                    return False
                self._complete()
                self._request_single_rows()
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return True
            elif result.status != pq.ExecStatus.SINGLE_TUPLE:
                self._note_result(result)
        return False

    def _note_result(self, result: PGresult) -> None:
        self.last_result = result
        if result.status in _ERRORS and self.error is None and self.in_flight:
            self.failed = self.in_flight.first
            self.error = errors.error_from_result(result)

    def _complete(self) -> None:
        """Report the first message in flight: all its results have arrived."""
        sent = self.in_flight.pop()
        if self.error is not None:
            return
        result, self.last_result = self.last_result, None
        if self.on_done and result is not None:
            now = time.monotonic()
            elapsed, self.clock = (now - self.clock) * 1000, now
            self.on_done(
                Completed(
                    sent.batch, sent.message, _first_row(result), _command_tag(result), elapsed
                )
            )

    def _run_simple_query(self, batch: Batch, message: Message) -> None:
        """Send a text that could not be split with the simple query protocol."""
        self.clock = time.monotonic()
        self.in_flight.add(_Sent(batch, message, 0))
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
                self._note_result(result)
        self._complete()

    def _wait(self) -> None:
        """Sleep until there is something to read, or room to write what is still to be sent.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        events = selectors.EVENT_READ
        if self.pgconn.flush():
            events |= selectors.EVENT_WRITE
        # A flush that finds the socket full reads what has arrived; then nothing more may arrive.
        if not self.pgconn.is_busy():
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self.pgconn.socket, events)
            ready = selector.select(self.on_idle.after_s if self.on_idle else None)
        if any(mask & selectors.EVENT_READ for _, mask in ready):
            self.pgconn.consume_input()
        elif not ready and self.on_idle:
            self.on_idle.call()

    def _note_loss(self, error: psycopg.Error) -> None:
        self.lost = True
        if self.error is None:
            self.error = error
            self.failed = self.in_flight.first

    def _stop(self) -> None:
        """Cancel until nothing is in flight; close the connection if that takes too long.

        A cancel that arrives between two statements has no effect, so it is sent repeatedly.
        """
        self.error = self.error or errors.QueryCanceled("interrupted")
        deadline = time.monotonic() + CANCEL_PATIENCE
        self.on_idle = OnIdle(_CANCEL_AGAIN_S, _do_nothing)
        try:
            if self.pgconn.pipeline_status != pq.PipelineStatus.OFF and not self.synced:
                self.pgconn.pipeline_sync()
            while time.monotonic() < deadline:
                if self.pgconn.pipeline_status == pq.PipelineStatus.OFF:
                    if not self.pgconn.is_busy() and self.pgconn.get_result() is None:
                        return
                elif self._read() and self._left_pipeline():
                    return
                self.conn.cancel_safe(timeout=1)
                self._wait()
            self.conn.close()
            self.lost = True
        except psycopg.Error as error:
            self._note_loss(error)

    def _left_pipeline(self) -> bool:
        """Leave pipeline mode; return False if another Sync is still to be answered.

        A signal may arrive after the first Sync is sent and before that is noted: then there are two.
        """
        try:
            self.pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            return False
        return True


def _do_nothing() -> None:
    """Do nothing."""


def _has_simple_query(batch: Batch) -> bool:
    return any(message.simple_query for message in batch.messages)


def _first_row(result: PGresult) -> tuple[str | None, ...]:
    if result.status != pq.ExecStatus.TUPLES_OK or not result.ntuples:
        return ()
    values = (result.get_value(0, n) for n in range(result.nfields))
    return tuple(None if v is None else v.decode() for v in values)


def _command_tag(result: PGresult) -> str:
    return (result.command_status or b"").decode()
