"""A file that can't run inside one transaction: statement by statement, with a journal.

Each statement commits together with its line in the journal, as a migration does with its history.  One
that PostgreSQL refuses inside a transaction block (it says so before it does anything) runs without,
between two lines of the journal: it has begun, and it is done.  A run that begins after a kill between
these two finds out what became of it: an index that is there is done, one that is INVALID is removed.

What does not belong here: the SQL of the journal (`frame.py`), what is said of a failure, retries,
what becomes of the rest of a run (`runner.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

from chatdb_cli import pipeline, queries, sqltext
from chatdb_cli.frame import CLAIM, COMMIT, FILE, RECORD, Frame, Timeouts
from chatdb_cli.pipeline import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.migrations import Script
    from chatdb_cli.pipeline import Done, Idle, Message
    from chatdb_cli.plan import Applied, Step

# PostgreSQL refuses a statement inside a transaction block; a procedure wants to end one itself.
_NOT_INSIDE = ("25001", "2D000")


class Journal:
    """Runs one file, from where it stopped.

    Args:
        conn: an idle connection in autocommit mode, with the migration lock.
        frame: writes what is sent beside the file's statements.
        step: which migration, in which direction.
        script: its file.
        messages: the file's statements.
        other: the down file beside it.
        begun: what the history says of it, when it was begun already.
        timeouts: for this file.
        tell: called with a line when something was removed, or found done.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        frame: Frame,
        step: Step,
        script: Script,
        messages: Sequence[Message],
        other: Script | None,
        begun: Applied | None,
        timeouts: Timeouts,
        tell: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._frame = frame
        self._step = step
        self._script = script
        self._messages = messages
        self._other = other
        self._done = begun.done or () if begun else None
        self._before = begun.before if begun else None
        self._timeouts = timeouts
        self._tell = tell

    def run(self, head: int | None, on_done: Callable[[Done], None], on_idle: Idle) -> Outcome:
        """Run what is left of the file.

        Args:
            head: the highest version that the history has to have for the plan to hold.
            on_done: called for the claim, each statement of the file, the record and the last COMMIT.
            on_idle: as for `pipeline.run`.
        """
        self._on_done, self._on_idle = on_done, on_idle
        self._at: Message | None = None
        try:
            outcome = self._run(head)
        except psycopg.Error as error:
            outcome = Outcome(0, self._at, error, lost=self._conn.closed)
        except KeyboardInterrupt as signal:
            outcome = Outcome(0, self._at, interrupt=signal)
        if _is_bad(outcome) and not self._conn.closed:
            self._leave()
        return outcome

    def script(self, head: int | None) -> list[Message]:
        """Return all that `run` would send, each statement of the file without a transaction."""
        messages = self._begin(head)
        for number, message in enumerate(self._messages):
            if number >= self._first:
                messages += [message, *self._frame.journal(self._step, number, message)]
            elif sqltext.is_setting(message.sql.decode()):
                messages.append(message)
        return messages + self._frame.finish(self._step, self._timeouts)

    @property
    def _first(self) -> int:
        return len(self._done or ())

    def _begin(self, head: int | None) -> list[Message]:
        return self._frame.piecewise(
            self._step, self._script, self._other, head, self._timeouts, self._done
        )

    def _leave(self) -> None:
        """Take from the session what the file has set; it may have taken a role."""
        if self._conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            self._conn.pgconn.exec_(b"ROLLBACK")
        for reset in queries.RESETS:
            self._conn.pgconn.exec_(reset.encode())

    def _run(self, head: int | None) -> Outcome:
        outcome = self._send(self._begin(head), CLAIM)
        for number, message in enumerate(self._messages):
            if _is_bad(outcome):
                return outcome
            if number >= self._first:
                outcome = self._statement(number, message)
            elif sqltext.is_setting(message.sql.decode()):
                outcome = self._send([message])  # what comes behind goes by it
        if _is_bad(outcome):
            return outcome
        return self._send(self._frame.finish(self._step, self._timeouts), RECORD, COMMIT)

    def _send(self, messages: list[Message], *parts: str) -> Outcome:
        """Send a transaction, and pass on what becomes of some parts of it."""

        def passed_on(done: Done) -> None:
            if done.message.part in parts:
                self._on_done(done)

        return pipeline.run(self._conn, [messages], passed_on, self._on_idle)

    def _statement(self, number: int, message: Message) -> Outcome:
        self._at = message
        before, self._before = self._before, None
        if before is None:
            piece = self._frame.piece(self._step, self._script, number, message)
            outcome = self._send(piece, FILE)
            if outcome.error is None or outcome.message != message:
                return outcome
            if outcome.lost or outcome.error.sqlstate not in _NOT_INSIDE:
                return outcome
            self._conn.pgconn.exec_(b"ROLLBACK")
        index = sqltext.concurrent(message.sql.decode())
        if before is not None and index and self._is_done(index, before):
            self._tell(f"statement {number + 1} was done already when the last run ended")
            return self._send(self._frame.journal(self._step, number, message))
        return self._bare(number, message, index)

    def _bare(self, number: int, message: Message, index: sqltext.Concurrent | None) -> Outcome:
        """Run a statement without a transaction, between two lines of the journal."""
        lock_ms = self._timeouts.lock_ms
        # Nobody stands in a queue behind one that works on an index concurrently, and it has to wait
        # for every transaction that is older: a limit would only leave an invalid index.
        patient = index is not None and self._script.directives.lock_timeout_ms is None
        before = self._relations(index) if index else ()
        outcome = self._send(
            self._frame.begun(self._step, number, before, 0 if patient else lock_ms)
        )
        if outcome.error is None:
            outcome = self._send([replace(message, whole=True)], FILE)
        if outcome.error is None:
            outcome = self._send(self._frame.journal(self._step, number, message, lock_ms))
        return outcome

    def _indexes(self, index: sqltext.Concurrent) -> list[tuple[str, str, bool, str]]:
        """Return (oid, name, valid, qualified name) of all that the statement could have left."""
        table = index.names[0] if index.kind == "create" else None
        return self._conn.execute(queries.INDEXES, {"table": table}).fetchall()

    def _relations(self, index: sqltext.Concurrent) -> list[str]:
        """Return what there is before the statement, so that afterwards one knows what it left."""
        if index.kind == "drop":
            rows = self._conn.execute(queries.RELATIONS, (list(index.names),)).fetchall()
            return [row[0] for row in rows]
        return [oid for oid, *_ in self._indexes(index)]

    def _is_done(self, index: sqltext.Concurrent, before: Sequence[str]) -> bool:
        """Return whether a statement that was begun is done; remove the invalid index that it left."""
        if index.kind == "drop":
            there = self._relations(index)
            return bool(before) and not set(before) & set(there)
        new = [row for row in self._indexes(index) if row[0] not in before]
        for _, _, valid, name in new:
            if not valid:
                self._conn.execute(queries.DROP_INDEX + name)
                self._tell(f"removed the INVALID index {name} that the last try left")
        return index.kind == "create" and any(valid for _, _, valid, _ in new)


def _is_bad(outcome: Outcome) -> bool:
    return bool(outcome.error or outcome.interrupt or outcome.lost)
