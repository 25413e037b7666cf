"""The transaction of a migration, message by message.

    MigrationTransaction   returns the messages of each transaction that a run sends

A migration's transaction is, in this order: BEGIN and settings, the lock of the target, the claim, the
statements of the file, the check of deferred constraints, a reset of what the file may have changed in
the session, the record, COMMIT.

What does not belong here: what is around the statements of every transaction (`frame.py`), the
statements that write the history (`history/write.py`), a file that runs outside a transaction
(`nontransactional.py`), sending (`postgres/pipeline.py`), which steps to run (`runner.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.history.tables import create_tables
from chatdb_cli.history.write import HistoryWriter
from chatdb_cli.migrate import queries
from chatdb_cli.migrate.frame import Frame
from chatdb_cli.migrate.messages import START, file_messages, split_pieces, to_message
from chatdb_cli.migrate.parts import Guard, Part, Timeouts
from chatdb_cli.postgres.messages import join
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Script
    from chatdb_cli.history.model import History
    from chatdb_cli.history.write import Author
    from chatdb_cli.migrate.mark import RunMark
    from chatdb_cli.migrate.messages import Piece
    from chatdb_cli.migrate.model import StatementWatch, Step
    from chatdb_cli.syntax.statements import Statement

_CHANGES_PREPARED = re.compile("prepare|deallocate|discard", re.IGNORECASE)


class MigrationTransaction:
    """Returns the messages of each transaction that a run sends.

    Args:
        conn: the connection that sends them, which quotes names and values.
        schema: the target's schema.
        history: the history that was read.
        author: who runs chatdb.
        watched: the result of each statement is wanted as soon as it is there.
        application: the application_name to set again after each RESET ALL; a session of a pooler needs
            it, a session of its own has it anyway.
        prepared: the messages of `prepare_statements` are sent before those of the migrations.
        watch: what is sent around the statements of each file, or None.
        mark: marks each transaction as one of the run; a session of its own needs none.
        prepares: statements of a guard that are prepared beside those of the migrations.

    Attributes:
        writer: returns the statements that write the history.
        frame: returns the messages around the statements of each transaction.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        history: History,
        author: Author,
        *,
        watched: bool = False,
        application: str | None = None,
        prepared: bool = False,
        watch: StatementWatch | None = None,
        mark: RunMark | None = None,
        prepares: Sequence[str] = (),
    ) -> None:
        self._prepares = prepares
        self._quoting = Quoting(conn, schema)
        self.writer = HistoryWriter(
            self._quoting, author, prepared=prepared, encoding=history.encoding
        )
        self._watched = watched
        self._prepared = prepared
        self._watch = watch
        self._mark = mark
        self._unrecorded = {a.number for a in history.applied if not a.recorded}
        self.frame = Frame(
            self._quoting,
            self.writer,
            history,
            application=application,
            prepared=prepared,
            mark=mark,
        )

    # --- before the first migration, and after the last -------------------------------------------

    def create_tables(self, history: History, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that creates the history's tables, and adopts what yoyo applied."""
        statements = create_tables(self._quoting, history)
        return [
            *self.frame.begin(
                "READ COMMITTED",
                timeouts,
                wait_for_disk=False,
                checked="_yoyo_log" in history.tables,
            ),
            *(to_message(s, Part.CLAIM) for s in statements),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def acquire_lock(self, acquire_sql: str) -> list[Message]:
        """Return the transaction that acquires the migration lock, or fails if another session holds it.

        Args:
            acquire_sql: the statement that does so.
        """
        return [
            START[0],
            to_message(acquire_sql, Part.ACQUIRE_LOCK),
            to_message(queries.COMMIT, Part.FRAME),
        ]

    def release_lock(self, release_sql: str) -> Message:
        """Return the message that releases the migration lock, after the last COMMIT.

        Args:
            release_sql: the statement that does so.
        """
        return to_message(release_sql, Part.RELEASE_LOCK)

    def prepare_statements(self, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that prepares the statements which every migration executes.

        Each waits for a session that has locked a table of the history.
        """
        limit = self._quoting.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [
            START[0],
            to_message(queries.PG_CATALOG_ONLY, Part.FRAME),
            to_message(limit, Part.FRAME),
            to_message(queries.NO_STATEMENT_TIMEOUT, Part.FRAME),
            to_message(queries.DEALLOCATE, Part.FRAME),
            *(m._replace(part=Part.CLAIM) for m in self._prepare()),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def _prepare(self) -> list[Message]:
        statements = (*self.writer.prepare(), *self._prepares)
        return [to_message(statement, Part.FRAME) for statement in statements]

    # --- a migration ------------------------------------------------------------------------------

    def migration(
        self,
        step: Step,
        script: Script,
        down: Script | None,
        statements: Sequence[Statement] | None,
        expected_version: int | None,
        timeouts: Timeouts,
        *,
        wait_for_disk: bool,
        guard: Guard | None = None,
    ) -> Sequence[Message]:
        """Return the whole transaction of one migration.

        Args:
            step: the migration, and its direction.
            script: the file that runs.
            down: the down file that the history keeps with an up file.
            statements: the statements of the file, or None if it could not be split.
            expected_version: the newest version that the history must hold when the step begins.
            timeouts: those of this file.
            wait_for_disk: its COMMIT waits for the disk, and so for all commits before it.
            guard: runs before and after the file.
        """
        # A file may change the prepared statements of the session, ours among them.
        keeps_prepared = self._prepared and not _CHANGES_PREPARED.search(script.text)
        guard, isolation = guard or Guard(), script.directives.isolation
        if guard.snapshot and isolation == "READ COMMITTED":
            isolation = "REPEATABLE READ"
        pieces: list[Piece] = []
        last: Piece = None
        if guard.file:
            *pieces, last = split_pieces(script, statements)
        begin = [
            *(
                message
                for piece in pieces
                for message in self._piece(script, piece, guard, isolation, timeouts)
            ),
            *self.frame.begin(isolation, timeouts, wait_for_disk=wait_for_disk),
        ]
        begin.append(self._claim(step, script, down, expected_version, timeouts))
        end = [
            *self.frame.settings_of_record(timeouts, wait_for_disk=wait_for_disk),
            self.record(step, prepared=keeps_prepared),
            *(self._prepare() if self._prepared and not keeps_prepared else ()),
            *(to_message(s, Part.FRAME) for s in guard.commit),
            to_message(queries.COMMIT, Part.COMMIT),
        ]
        file = self._guarded(script, statements, guard, last, keeps_prepared=keeps_prepared)
        return join(begin, *file, end)

    def _piece(
        self, script: Script, piece: Piece, guard: Guard, isolation: str, timeouts: Timeouts
    ) -> list[Message]:
        """Return the transaction of a statement that commits before the file is claimed."""
        keeps_prepared = self._prepared and not _CHANGES_PREPARED.search(script.text)
        file = self._guarded(script, None, guard, piece, keeps_prepared=keeps_prepared)
        return [
            *self.frame.begin(isolation, timeouts, wait_for_disk=False),
            self.frame.settings(timeouts, wait_for_disk=False),
            *(message for part in file for message in part),
            *self.frame.wait_after_reset(),
            *(to_message(s, Part.FRAME) for s in guard.commit),
            to_message(queries.COMMIT, Part.FRAME),
        ]

    def begin_trial(self, timeouts: Timeouts) -> list[Message]:
        """Return the messages that begin a transaction in which files are tried; it never commits."""
        return self.frame.begin("READ COMMITTED", timeouts, wait_for_disk=False)

    def trial(
        self,
        step: Step,
        script: Script,
        statements: Sequence[Statement] | None,
        expected_version: int | None,
        timeouts: Timeouts,
        guard: Guard,
    ) -> Sequence[Message]:
        """Return the claim and the statements of one file inside such a transaction.

        The arguments are those of `migration`.
        """
        begin = [
            self.frame.settings(timeouts.for_claim, wait_for_disk=False),
            self._claim(step, script, None, expected_version, timeouts),
        ]
        return join(begin, *self._guarded(script, statements, guard, keeps_prepared=False))

    def _claim(
        self,
        step: Step,
        script: Script,
        down: Script | None,
        expected_version: int | None,
        timeouts: Timeouts,
    ) -> Message:
        if step.direction == "down":
            sql = self.writer.claim_down(
                step.id, expected_version, self.frame.file_settings(timeouts)
            )
        else:
            settings = self.frame.file_settings(timeouts)
            sql = self.writer.claim_up(step.id, script, down, expected_version, settings)
        return Message(sql.encode(), Part.CLAIM, flush=True)

    def _guarded(
        self,
        script: Script,
        statements: Sequence[Statement] | None,
        guard: Guard,
        piece: Piece = None,
        *,
        keeps_prepared: bool,
    ) -> list[Sequence[Message]]:
        """Return the statements of the file, and those that reset the session after it, part by part.

        Args:
            script: the file.
            statements: its statements, where the guard does not send them itself.
            guard: runs before and after the file.
            piece: the statements that the guard sends, with their numbers.
            keeps_prepared: the statements of the session that are prepared stay so.
        """
        clean = self.frame.clean
        role, rest = clean[: len(queries.RESET_ROLE)], clean[len(queries.RESET_ROLE) :]
        if keeps_prepared:
            rest = tuple(s for s in rest if s != queries.DEALLOCATE)
        rest = (rest[0], queries.NO_STATEMENT_TIMEOUT, *rest[1:])  # the first is RESET ALL
        alone = guard.file is None or script.directives.transactional
        return [
            self._guard(guard.before, path=guard.path or self.frame.file_path),
            *self._file(script, statements, guard, piece),
            [
                *(to_message(s, Part.FRAME) for s in role),
                *self._guard(guard.after, number=-1 if alone or not piece else piece[-1][0]),
                *(to_message(s, Part.FRAME) for s in rest),
            ],
        ]

    def _guard(
        self, statements: Sequence[str], path: str | None = None, number: int = -1
    ) -> list[Message]:
        """Return the statements of a guard, whose names are found in pg_catalog alone.

        Args:
            statements: the statements.
            path: the statement that sets the search path after them, or None.
            number: the only statement of the file that they watch, or -1 for all of them.
        """
        if not statements and path in (None, self.frame.file_path):
            return []
        return [
            to_message(queries.PG_CATALOG_ONLY, Part.FRAME),
            *(Message(s.encode(), Part.GUARD, number) for s in statements),
            *([to_message(path, Part.FRAME)] if path else []),
        ]

    def _file(
        self, script: Script, statements: Sequence[Statement] | None, guard: Guard, piece: Piece
    ) -> list[Sequence[Message]]:
        """Return the statements of the file, the check of what they deferred, and what watches them."""
        settle = [to_message(s, Part.SETTLE) for s in queries.SETTLE]
        if guard.file:
            return [guard.file(script, piece), settle]
        file = file_messages(script, statements, flush=self._watched)
        if self._watch is None:
            return [file, settle]
        after = to_message(self._watch.after, Part.WATCH)
        watched = (message for statement in file for message in (statement, after))
        return [[to_message(self._watch.before, Part.WATCH), *watched, *settle, after]]

    def record(self, step: Step, *, prepared: bool = False) -> Message:
        """Return the message that records a step as done.

        Args:
            step: the migration, and its direction.
            prepared: the prepared statements of the session still exist.
        """
        recorded = step.number not in self._unrecorded
        sql = self.writer.record(step.id, step.direction, has_yoyo_row=recorded, prepared=prepared)
        return to_message(sql, Part.RECORD)

    # --- the history alone ------------------------------------------------------------------------

    def failure(self, step: Step, comment: str, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that logs a failure; its COMMIT waits for the disk."""
        return self._on_disk(self.writer.log("failed", step.id, comment), timeouts)

    def flush(self, timeouts: Timeouts) -> list[Message]:
        """Return a transaction that changes nothing, but waits until all before it is on the disk."""
        return self._on_disk(self.writer.flush(), timeouts)

    def end_run(self, history: History, try_ms: int) -> list[Message]:
        """Return the transaction after which no transaction of the run passes its mark.

        Args:
            history: the history as it is now; missing tables are created.
            try_ms: how long to wait for a transaction of the run that is not over, in milliseconds.
        """
        assert self._mark is not None  # noqa: S101
        end = self.writer.end_run(self._mark.run)
        create = [] if history.complete else create_tables(self._quoting, history)
        return [
            *START,
            self.frame.settings(Timeouts(try_ms, 0, 0), wait_for_disk=True),
            *(to_message(s, Part.FRAME) for s in create),
            to_message(self.writer.lock_before_snapshot(), Part.FRAME),
            to_message(queries.MARK.format(mark=self._mark.key), Part.FRAME),
            to_message(end, Part.RECORD),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def history_only(self, statements: Sequence[str], timeouts: Timeouts) -> list[Message]:
        """Return a transaction that writes the history and runs no file."""
        return [
            *self.frame.begin("READ COMMITTED", timeouts, wait_for_disk=True),
            *(to_message(s, Part.CLAIM) for s in statements),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def _on_disk(self, sql: str, timeouts: Timeouts) -> list[Message]:
        settings = self.frame.settings(timeouts, wait_for_disk=True)
        return [
            *START,
            settings,
            to_message(sql, Part.RECORD),
            to_message(queries.COMMIT, Part.COMMIT),
        ]
