"""Run a file that can't run inside one transaction: statement by statement, with a journal.

Each statement commits together with its line in the journal, as a migration does with its record.  A
statement that PostgreSQL refuses inside a transaction block (it does so before the statement has any
effect) runs outside; if chatdb is killed after it and before its line is written, it runs again.  A
statement that works on an index CONCURRENTLY has two lines: one before it runs, one when it is done.  If
chatdb is killed between the two, the next run finds out what the statement did: an index that exists is
done, an index that is INVALID is dropped.

What does not belong here: the transactions of the journal (`journal.py`), error messages, retries, the
rest of the run (`runner.py`).
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import errors, pq
from psycopg.rows import class_row

from chatdb_cli import log
from chatdb_cli.migrate import queries
from chatdb_cli.migrate.index_check import is_index_of
from chatdb_cli.migrate.journal import Journal, journal_text
from chatdb_cli.migrate.messages import to_message
from chatdb_cli.migrate.parts import Part, StepTag
from chatdb_cli.postgres.pipeline import Batch, Outcome, run_pipeline
from chatdb_cli.syntax.effects import is_setting, parse_concurrent_index_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from chatdb_cli.files.model import Script
    from chatdb_cli.history.model import Unfinished
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.parts import Timeouts
    from chatdb_cli.migrate.transaction import MigrationTransaction
    from chatdb_cli.postgres.pipeline import Completed, Message, OnIdle
    from chatdb_cli.syntax.effects import ConcurrentIndexStatement

# PostgreSQL refuses the statement inside a transaction block; a procedure wants to end the transaction.
_NOT_INSIDE = (
    errors.ActiveSqlTransaction.sqlstate,
    errors.InvalidTransactionTermination.sqlstate,
)
_END = to_message(queries.COMMIT, Part.COMMIT)


class _Index(NamedTuple):
    """A row of `queries.INDEXES`."""

    oid: str
    name: str
    is_valid: bool
    qualified_name: str


class _Relation(NamedTuple):
    """A row of `queries.RELATIONS`."""

    oid: str


class NontransactionalFile:
    """Runs one file, from its first statement or from the one at which it stopped.

    Args:
        conn: an idle connection in autocommit mode that holds the migration lock.
        transaction: returns the messages that every transaction has.
        step: the migration, and its direction.
        script: its file.
        messages: the statements of the file.
        down: the down file that the history keeps with an up file.
        unfinished: what the history holds about the file if it stopped part-way.
        timeouts: those of this file.
        report: called with a line when an index was dropped, or a statement was found done.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        transaction: MigrationTransaction,
        step: Step,
        script: Script,
        messages: Sequence[Message],
        down: Script | None,
        unfinished: Unfinished | None,
        timeouts: Timeouts,
        report: Callable[[str], None],
    ) -> None:
        self._conn = conn
        self._journal = Journal(transaction, step, script, timeouts)
        self._messages = messages
        self._down = down
        self._unfinished = unfinished
        self._current = messages[self._first] if self._first < len(messages) else _END
        self._indexes_before: frozenset[str] = frozenset()
        self._first_is_done = False  # the statement that was running when the last run ended
        self._other_index: str | None = None  # the one that has the name of its index
        self._report = report
        self._names = {"version": step.version, "name": step.name}

    def run(
        self, expected_version: int | None, on_done: Callable[[Completed], None], on_idle: OnIdle
    ) -> Outcome:
        """Run the statements that are not done.

        Args:
            expected_version: the newest version that the history must hold.
            on_done: called for the claim, each statement of the file, the record and the last COMMIT.
            on_idle: called while the server is silent.
        """
        self._on_done, self._on_idle = on_done, on_idle
        try:
            outcome = self._run(expected_version)
        except psycopg.Error as error:
            outcome = self._outcome(error, lost=self._conn.closed)
        except KeyboardInterrupt as signal:
            outcome = self._outcome(interrupt=signal)
        if outcome.is_bad and not (outcome.lost or self._conn.closed):
            self._reset_session()
            if self._is_untouched(outcome):
                self._send(self._journal.give_up())
        return outcome

    def _is_untouched(self, outcome: Outcome) -> bool:
        """Return whether a file failed at its first statement, and that statement has left nothing.

        Then its claim is given up, so that it is pending as before and blocks no other file.
        """
        message = outcome.message
        if message is None or message.part is not Part.FILE or message.number != 0 or self._first:
            return False
        index = parse_concurrent_index_statement(message.sql.decode())
        if index is None:
            return True
        if index.kind == "drop":  # one that fails half-way leaves its index INVALID
            return not self._indexes_before
        new = (i for i in self._find_indexes(index) if i.oid not in self._indexes_before)
        return all(i.is_valid for i in new)

    def script(self, expected_version: int | None) -> list[Message]:
        """Return all that `run` would send, each statement of the file outside a transaction."""
        messages = [*self._begin(expected_version), *self._settings_done()]
        if statement := self._statement_begun:
            try:
                for message in (self._journal.session_settings(), *self._settings_done()):
                    self._conn.pgconn.exec_(message.sql)
                for name in self._find_invalid_indexes(statement):
                    unlimited = self._waits_without_limit(self._first)
                    messages += self._journal.drop_index(name, unlimited=unlimited)
            finally:
                self._reset_session()
        for number, message in islice(enumerate(self._messages), self._first, None):
            if not (self._first_is_done and number == self._first):
                messages.append(message)
            messages += self._journal.done(number, message)
        return messages + self._journal.finish()

    @property
    def _first(self) -> int:
        """The number of the first statement that is not done."""
        return len(self._unfinished.statements_done) if self._unfinished else 0

    @property
    def _statement_begun(self) -> str | None:
        return self._unfinished.statement_begun if self._unfinished else None

    def _settings_done(self) -> list[Message]:
        """Return the SET statements among those that are done: the other statements depend on them."""
        return [m for m in self._messages[: self._first] if is_setting(m.sql.decode())]

    def _begin(self, expected_version: int | None) -> list[Message]:
        done = self._unfinished.statements_done if self._unfinished else None
        return self._journal.begin(self._down, expected_version, done)

    def _reset_session(self) -> None:
        """Undo what the file has set in the session; it may have set another role."""
        self._roll_back()
        for reset in queries.RESETS:
            self._conn.pgconn.exec_(reset.encode())

    def _roll_back(self) -> None:
        if self._conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            self._conn.pgconn.exec_(queries.ROLLBACK.encode())

    def _run(self, expected_version: int | None) -> Outcome:
        outcome = self._send(self._begin(expected_version), Part.CLAIM)
        for message in self._settings_done():
            if not outcome.is_bad:
                outcome = self._send([message])
        if self._statement_begun is not None and not outcome.is_bad:
            outcome = self._drop_invalid_indexes(self._statement_begun)
        if self._other_index is not None and not outcome.is_bad:
            return self._outcome(_other_index_error(self._other_index))
        for number, message in islice(enumerate(self._messages), self._first, None):
            if outcome.is_bad:
                return outcome
            outcome = self._run_statement(number, message)
        if outcome.is_bad:
            return outcome
        return self._send(self._journal.finish(), Part.RECORD, Part.COMMIT)

    def _batch(self, messages: list[Message]) -> Batch:
        return Batch(messages, StepTag(self._journal.step, durable=True))

    def _outcome(
        self,
        error: psycopg.Error | None = None,
        *,
        lost: bool = False,
        interrupt: KeyboardInterrupt | None = None,
    ) -> Outcome:
        """Return the outcome of an error at the current statement that came between two pipelines."""
        return Outcome(self._batch([self._current]), self._current, error, lost, interrupt)

    def _send(self, messages: list[Message], *parts: Part) -> Outcome:
        """Send a transaction, and report the results of some parts of it to the caller of `run`."""

        def report(completed: Completed) -> None:
            if completed.message.part in parts:
                self._on_done(completed)

        return run_pipeline(self._conn, [self._batch(messages)], report, self._on_idle)

    def _drop_invalid_indexes(self, statement: str) -> Outcome:
        """Drop the indexes that the statement which was running has left INVALID."""
        outcome = Outcome()
        for name in self._find_invalid_indexes(statement, check=True):
            unlimited = self._waits_without_limit(self._first)
            outcome = self._send(self._journal.drop_index(name, unlimited=unlimited))
            if outcome.is_bad:
                break
            text = f"dropped the INVALID index {name} that the last run left"
            self._report(log.info("nontransactional", text, **self._names, index=name))
        return outcome

    def _run_statement(self, number: int, message: Message) -> Outcome:
        self._current = message
        if self._first_is_done and number == self._first:
            text = f"statement {number + 1} was already done when the last run ended"
            self._report(log.info("nontransactional", text, **self._names, statement=number + 1))
            return self._send(self._journal.done(number, message))
        index = parse_concurrent_index_statement(message.sql.decode())
        if index is not None:
            return self._run_on_index(number, message, index)
        outcome = self._send(self._journal.statement(number, message), Part.FILE)
        if outcome.error is None or outcome.message != message or outcome.lost:
            return outcome
        if outcome.error.sqlstate not in _NOT_INSIDE:
            return outcome
        self._roll_back()
        outcome = self._send([message._replace(simple_query=True)], Part.FILE)
        if outcome.is_bad:
            return outcome
        return self._send(self._journal.done(number, message))

    def _run_on_index(
        self, number: int, message: Message, index: ConcurrentIndexStatement
    ) -> Outcome:
        """Run a statement between its two lines in the journal."""
        unlimited, relations = self._waits_without_limit(number), self._find_relations(index)
        if invalid := self._find_invalid_namesake(index, message):
            error = errors.ObjectNotInPrerequisiteState(
                f"the index {invalid} exists already and is INVALID, and IF NOT EXISTS would keep it "
                f"so: drop it first, with DROP INDEX CONCURRENTLY {invalid}"
            )
            return self._outcome(error)
        self._indexes_before = frozenset(relations)
        begun = self._journal.begun(number, message, relations, unlimited=unlimited)
        outcome = self._send(begun)
        if not outcome.is_bad:
            outcome = self._send([message._replace(simple_query=True)], Part.FILE)
        if not outcome.is_bad:
            outcome = self._send(self._journal.done(number, message, unlimited=unlimited))
        return outcome

    def _waits_without_limit(self, number: int) -> bool:
        """Return whether a statement on an index waits for locks without a limit.

        No other session queues after a statement that works CONCURRENTLY, and it must wait for every
        older transaction: a limit would only leave an invalid index.  A limit that the file itself has
        set is kept.
        """
        earlier = (m.sql.decode().lower() for m in self._messages[:number])
        return self._journal.script.directives.lock_timeout_ms is None and not any(
            "lock_timeout" in sql for sql in earlier
        )

    def _find_indexes(self, index: ConcurrentIndexStatement) -> list[_Index]:
        """Return all indexes that the statement could have created."""
        table = index.names[0] if index.kind == "create" else None
        cursor = self._conn.cursor(row_factory=class_row(_Index))
        return cursor.execute(queries.INDEXES, {"table": table}).fetchall()

    def _find_invalid_namesake(
        self, index: ConcurrentIndexStatement, message: Message
    ) -> str | None:
        """Return the INVALID index at which `IF NOT EXISTS` would skip the statement, or None."""
        text = journal_text(message, self._journal.script)
        if index.kind != "create" or not re.search(r"\bIF\s+NOT\s+EXISTS\b", text, re.IGNORECASE):
            return None
        names = (
            row.qualified_name
            for row in self._find_indexes(index)
            if not row.is_valid and _is_named_by(index, row.name)
        )
        return next(names, None)

    def _find_relations(self, index: ConcurrentIndexStatement) -> list[str]:
        """Return the OIDs of the relations that tell, after the statement, what it did."""
        if index.kind == "drop":
            cursor = self._conn.cursor(row_factory=class_row(_Relation))
            return [row.oid for row in cursor.execute(queries.RELATIONS, (list(index.names),))]
        return [row.oid for row in self._find_indexes(index)]

    def _find_invalid_indexes(self, text: str, *, check: bool = False) -> list[str]:
        """Find out what the statement that was running did; return the INVALID indexes it left.

        Args:
            text: the statement as the journal keeps it; the file may have another one there by now.
            check: compare a new index with the one that the statement makes; somebody else may have made
                it in the meantime.
        """
        index = parse_concurrent_index_statement(text)
        if index is None or self._unfinished is None:
            return []
        before = set(self._unfinished.relations_before)
        is_same = journal_text(self._current, self._journal.script) == text
        if index.kind == "drop":
            remaining = before.intersection(self._find_relations(index))
            self._first_is_done = is_same and bool(before) and not remaining
            return []
        new = [
            row
            for row in self._find_indexes(index)
            if row.oid not in before and _is_named_by(index, row.name)
        ]
        if index.kind == "create" and is_same:
            valid = [row for row in new if row.is_valid]
            made = [row for row in valid if not check or is_index_of(self._conn, row.oid, text)]
            self._first_is_done = bool(made)
            if valid and not made and index.index is not None:
                self._other_index = valid[0].qualified_name
        return [row.qualified_name for row in new if not row.is_valid]


def _other_index_error(name: str) -> errors.Error:
    """Return the error of an index that was made by somebody else while chatdb did not run."""
    return errors.ObjectNotInPrerequisiteState(
        f"the index {name} exists already, but it is not the one that this statement makes: drop it "
        f"with DROP INDEX CONCURRENTLY {name}, or give one of them another name"
    )


def _is_named_by(index: ConcurrentIndexStatement, name: str) -> bool:
    """Return whether an index has the name that a statement gives, or one that PostgreSQL chooses."""
    if index.kind == "reindex":
        return True  # the query returns no others
    if index.index is None:
        return re.search("_idx[0-9]*$", name) is not None
    return index.index == '"' + name.replace('"', '""') + '"'
