"""A file that can't run inside one transaction: statement by statement, with a journal.

Each statement commits together with its line in the journal, as a migration does with its history.  One
that PostgreSQL refuses inside a transaction block (it says so before it does anything) runs without;
killed between it and its line, it runs again.  One that works on an index CONCURRENTLY stands between
two lines: it has begun, and it is done.  A run that comes after a kill between these two finds out what
became of it: an index that is there is done, one that is INVALID is removed.

What does not belong here: the SQL of the journal (`frame.py`), what is said of a failure, retries,
what becomes of the rest of a run (`runner.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors, pq

from chatdb_cli.migrate import queries
from chatdb_cli.migrate.transaction import Part, StepTag
from chatdb_cli.postgres.pipeline import Batch, Message, Outcome, run_pipeline
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.effects import is_setting, parse_concurrent_index_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from chatdb_cli.files.model import Script
    from chatdb_cli.history.model import Unfinished
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.transaction import MigrationTransaction, Timeouts
    from chatdb_cli.postgres.pipeline import Completed, OnIdle
    from chatdb_cli.syntax.effects import ConcurrentIndexStatement

# PostgreSQL refuses a statement inside a transaction block; a procedure wants to end one itself.
_NOT_INSIDE = ("25001", "2D000")
_END = Message(queries.COMMIT.encode(), Part.COMMIT)


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
        frame: MigrationTransaction,
        step: Step,
        script: Script,
        messages: Sequence[Message],
        other: Script | None,
        begun: Unfinished | None,
        timeouts: Timeouts,
        tell: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._frame = frame
        self._step = step
        self._script = script
        self._messages = messages
        self._other = other
        self._done = begun.statements_done if begun else None
        self._begun = begun.statement_begun if begun else None
        self._before = begun.relations_before if begun else ()
        self._at = next(iter(messages[self._first :]), _END)
        self._is_done = False  # the statement that was under way
        self._timeouts = timeouts
        self._tell = tell

    def run(
        self, head: int | None, on_done: Callable[[Completed], None], on_idle: OnIdle
    ) -> Outcome:
        """Run what is left of the file.

        Args:
            head: the highest version that the history has to have for the plan to hold.
            on_done: called for the claim, each statement of the file, the record and the last COMMIT.
            on_idle: as for `pipeline.run`.
        """
        self._on_done, self._on_idle = on_done, on_idle
        try:
            outcome = self._run(head)
        except psycopg.Error as error:
            outcome = Outcome(self._batch([self._at]), self._at, error, lost=self._conn.closed)
        except KeyboardInterrupt as signal:
            outcome = Outcome(self._batch([self._at]), self._at, interrupt=signal)
        if outcome.is_bad and not (outcome.lost or self._conn.closed):
            self._leave()
        return outcome

    def script(self, head: int | None) -> list[Message]:
        """Return all that `run` would send, each statement of the file without a transaction."""
        messages = [*self._begin(head), *self._settings()]
        if self._begun is not None:
            try:
                for message in (*self._frame.session(self._timeouts), *self._settings()):
                    self._conn.pgconn.exec_(message.sql)
                for name in self._left_behind(self._begun):
                    messages += self._frame.removal(name, patient=self._is_patient(self._first))
            finally:
                self._leave()
        for number, message in enumerate(self._messages[self._first :], self._first):
            if not (self._is_done and number == self._first):
                messages.append(message)
            messages += self._frame.journal(self._step, number, message)
        return messages + self._frame.finish(self._step, self._timeouts)

    def _settings(self) -> list[Message]:
        """Return those of the statements that are done by which the others go."""
        return [m for m in self._messages[: self._first] if is_setting(m.sql.decode())]

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
        outcome = self._send(self._begin(head), Part.CLAIM)
        for message in self._settings():
            if not outcome.is_bad:
                outcome = self._send([message])
        if self._begun is not None and not outcome.is_bad:
            for name in self._left_behind(self._begun):
                removal = self._frame.removal(name, patient=self._is_patient(self._first))
                outcome = self._send(removal)
                if outcome.is_bad:
                    return outcome
                self._tell(f"removed the INVALID index {name} that the last try left")
        for number, message in enumerate(self._messages[self._first :], self._first):
            if outcome.is_bad:
                return outcome
            outcome = self._statement(number, message)
        if outcome.is_bad:
            return outcome
        return self._send(self._frame.finish(self._step, self._timeouts), Part.RECORD, Part.COMMIT)

    def _batch(self, messages: list[Message]) -> Batch:
        return Batch(messages, StepTag(self._step, durable=True))

    def _send(self, messages: list[Message], *parts: Part) -> Outcome:
        """Send a transaction, and pass on what becomes of some parts of it."""

        def passed_on(done: Completed) -> None:
            if done.message.part in parts:
                self._on_done(done)

        return run_pipeline(self._conn, [self._batch(messages)], passed_on, self._on_idle)

    def _statement(self, number: int, message: Message) -> Outcome:
        self._at = message
        if self._is_done and number == self._first:
            self._tell(f"statement {number + 1} was done already when the last run ended")
            return self._send(self._frame.journal(self._step, number, message))
        index = parse_concurrent_index_statement(message.sql.decode())
        if index is not None:
            return self._on_index(number, message, index)
        piece = self._frame.piece(self._step, self._script, number, message)
        outcome = self._send(piece, Part.FILE)
        if outcome.error is None or outcome.message != message or outcome.lost:
            return outcome
        if outcome.error.sqlstate not in _NOT_INSIDE:
            return outcome
        self._conn.pgconn.exec_(b"ROLLBACK")
        outcome = self._send([message._replace(simple_query=True)], Part.FILE)
        if outcome.is_bad:
            return outcome
        return self._send(self._frame.journal(self._step, number, message))

    def _on_index(self, number: int, message: Message, index: ConcurrentIndexStatement) -> Outcome:
        """Run a statement between two lines of the journal: it has begun, it is done."""
        patient, before = self._is_patient(number), self._relations(index)
        text = _kept(message)
        if invalid := self._hidden(index, text):
            error = errors.ObjectNotInPrerequisiteState(
                f"the index {invalid} is there already and INVALID, and IF NOT EXISTS would leave it "
                f"so: drop it first, with DROP INDEX CONCURRENTLY {invalid}"
            )
            return Outcome(self._batch([message]), message, error)
        begun = self._frame.begun(self._step, number, text, before, patient=patient)
        outcome = self._send(begun)
        if not outcome.is_bad:
            outcome = self._send([message._replace(simple_query=True)], Part.FILE)
        if not outcome.is_bad:
            outcome = self._send(self._frame.journal(self._step, number, message, patient=patient))
        return outcome

    def _is_patient(self, number: int) -> bool:
        """Return whether a statement on an index waits for locks as long as it takes.

        Nobody stands in a queue behind one that works CONCURRENTLY, and it has to wait for every
        transaction that is older: a limit would only leave an invalid index.  One that the file itself
        has set holds.
        """
        own = (m.sql.decode().lower() for m in self._messages[:number])
        return self._script.directives.lock_timeout_ms is None and not any(
            "lock_timeout" in sql for sql in own
        )

    def _indexes(self, index: ConcurrentIndexStatement) -> list[tuple[str, str, bool, str]]:
        """Return (oid, name, valid, qualified name) of all that the statement could have left."""
        table = index.names[0] if index.kind == "create" else None
        return self._conn.execute(queries.INDEXES, {"table": table}).fetchall()

    def _hidden(self, index: ConcurrentIndexStatement, text: str) -> str | None:
        """Return the index that `IF NOT EXISTS` would be content with although it is INVALID."""
        if index.kind != "create" or not re.search(r"\bIF\s+NOT\s+EXISTS\b", text, re.IGNORECASE):
            return None
        found = (i for i in self._indexes(index) if not i[2] and _made_by(index, i[1]))
        return next((name for _, _, _, name in found), None)

    def _relations(self, index: ConcurrentIndexStatement) -> list[str]:
        """Return what there is before the statement, so that afterwards one knows what it left."""
        if index.kind == "drop":
            rows = self._conn.execute(queries.RELATIONS, (list(index.names),)).fetchall()
            return [row[0] for row in rows]
        return [oid for oid, *_ in self._indexes(index)]

    def _left_behind(self, text: str) -> list[str]:
        """Find out what became of the statement that was under way; return invalid indexes it left.

        By now the file may say something else in its place.
        """
        index = parse_concurrent_index_statement(text)
        if index is None:
            return []
        same = _kept(self._at) == text
        if index.kind == "drop":
            there = self._relations(index)
            self._is_done = same and bool(self._before) and not set(self._before) & set(there)
            return []
        new = [
            i for i in self._indexes(index) if i[0] not in self._before and _made_by(index, i[1])
        ]
        self._is_done = same and index.kind == "create" and any(valid for _, _, valid, _ in new)
        return [name for _, _, valid, name in new if not valid]


def _kept(message: Message) -> str:
    """Return a statement as the journal keeps it."""
    return mask(message.sql.decode())


def _made_by(index: ConcurrentIndexStatement, name: str) -> bool:
    """Return whether an index has the name that a statement gives, or lets PostgreSQL choose."""
    if index.kind == "reindex":
        return True  # no others were asked for
    if index.index is None:
        return re.search("_idx[0-9]*$", name) is not None
    return index.index == '"' + name.replace('"', '""') + '"'
