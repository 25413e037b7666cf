"""The transaction of a migration, message by message.

    MigrationTransaction   returns the messages of each transaction that a run sends
    Part                   the parts of a transaction
    Timeouts, Guard        what a transaction is written with
    StepTag                what a batch carries through the pipeline

A migration's transaction is, in this order: BEGIN and settings, the lock of the target, the claim, the
statements of the file, the check of deferred constraints, a reset of what the file may have changed in
the session, the record, COMMIT.

What does not belong here: the statements that write the history (`history/write.py`), a file that runs
outside a transaction (`nontransactional.py`), sending (`postgres/pipeline.py`), which steps to run
(`runner.py`).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from chatdb_cli.history.tables import create_tables
from chatdb_cli.history.write import HistoryWriter
from chatdb_cli.migrate import queries
from chatdb_cli.postgres.messages import Lazy, join
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.effects import is_setting
from chatdb_cli.syntax.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Script
    from chatdb_cli.history.model import History
    from chatdb_cli.history.write import Author
    from chatdb_cli.migrate.mark import RunMark
    from chatdb_cli.migrate.model import StatementWatch, Step
    from chatdb_cli.syntax.statements import Statement

# The statements of a file, or of a part of it, with their numbers; None for one that could not be split.
Piece: TypeAlias = "Sequence[tuple[int, Statement]] | None"
_TRANSACTION_TIMEOUT_SINCE = 170000
_CHANGES_PREPARED = re.compile("prepare|deallocate|discard", re.IGNORECASE)


class Part(Enum):
    """The parts of a transaction; the part of a failed message tells what its error means."""

    FRAME = "frame"
    LOCK = "lock"
    CLAIM = "claim"
    FILE = "file"
    SETTLE = "settle"
    GUARD = "guard"
    WATCH = "watch"
    RECORD = "record"
    COMMIT = "commit"
    # Before the first migration, and after the last.
    ACQUIRE_LOCK = "acquire lock"
    RELEASE_LOCK = "release lock"


class StepTag(NamedTuple):
    """What the batch of a step carries through the pipeline and back.

    Attributes:
        step: the migration, in its direction.
        durable: its COMMIT waits for the disk.
    """

    step: Step
    durable: bool


class Timeouts(NamedTuple):
    """How long a migration may wait for a lock, and a statement may run; 0 is without limit.

    Attributes:
        lock_ms: `lock_timeout` of the statements of the file, in milliseconds.
        statement_ms: `statement_timeout` of these statements, in milliseconds.
        claim_ms: `lock_timeout` while the migration waits for another migrator, in milliseconds.
    """

    lock_ms: int
    statement_ms: int
    claim_ms: int

    @property
    def for_claim(self) -> Timeouts:
        """The timeouts until the claim: while it waits for another migrator, the file's do not apply."""
        return Timeouts(self.claim_ms, 0, 0)

    @property
    def settings(self) -> dict[str, str]:
        """The values of the server's settings."""
        return {
            "lock_timeout": f"{self.lock_ms}ms",
            "statement_timeout": f"{self.statement_ms}ms",
        }


class Guard(NamedTuple):
    """Statements that run before and after a file; if one fails, the file is rolled back.

    Attributes:
        before: the statements before the file, in the file's own settings but its search path.
        after: the statements after it, as the role that migrates.
        snapshot: all statements of the transaction see one snapshot.
        path: the statement that sets another search path for the file, or None.
        file: returns the messages of the file's statements, each with its number, in place of the
            statements themselves; a file that needs no transaction then commits after each of them.
        commit: the statements before the COMMIT.
    """

    before: Sequence[str] = ()
    after: Sequence[str] = ()
    snapshot: bool = False
    path: str | None = None
    file: Callable[[Script, Sequence[tuple[int, Statement]] | None], list[Message]] | None = None
    commit: Sequence[str] = ()


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
        self._application = application
        self._prepared = prepared
        self._watch = watch
        self._mark = mark
        self._has_citus = history.has_citus
        self._server_version = history.server_version
        self._unrecorded = {a.number for a in history.applied if not a.recorded}
        self.search_path = self._quoting.path(())  # the server adds the schemas of extensions

    # --- before the first migration, and after the last -------------------------------------------

    def create_tables(self, history: History, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that creates the history's tables, and adopts what yoyo applied."""
        statements = create_tables(self._quoting, history)
        return [
            *self.begin(
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
            *pieces, last = _pieces(script, statements)
        begin = [
            *(
                message
                for piece in pieces
                for message in self._piece(script, piece, guard, isolation, timeouts)
            ),
            *self.begin(isolation, timeouts, wait_for_disk=wait_for_disk),
        ]
        begin.append(self._claim(step, script, down, expected_version, timeouts))
        end = [
            *self._settings_of_record(timeouts, wait_for_disk=wait_for_disk),
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
            *self.begin(isolation, timeouts, wait_for_disk=False),
            self.settings(timeouts, wait_for_disk=False),
            *(message for part in file for message in part),
            *(to_message(s, Part.FRAME) for s in guard.commit),
            to_message(queries.COMMIT, Part.FRAME),
        ]

    def begin_trial(self, timeouts: Timeouts) -> list[Message]:
        """Return the messages that begin a transaction in which files are tried; it never commits."""
        return self.begin("READ COMMITTED", timeouts, wait_for_disk=False)

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
            self.settings(timeouts.for_claim, wait_for_disk=False),
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
            sql = self.writer.claim_down(step.id, expected_version, self.file_settings(timeouts))
        else:
            settings = self.file_settings(timeouts)
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
        clean = queries.CLEAN if self._application is None else queries.CLEAN_POOLED
        role, rest = clean[: len(queries.RESET_ROLE)], clean[len(queries.RESET_ROLE) :]
        if keeps_prepared:
            rest = tuple(s for s in rest if s != queries.DEALLOCATE)
        rest = (rest[0], queries.NO_STATEMENT_TIMEOUT, *rest[1:])  # the first is RESET ALL
        alone = guard.file is None or script.directives.transactional
        return [
            self._guard(guard.before, path=guard.path or self._file_path),
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
        if not statements and path in (None, self._file_path):
            return []
        return [
            to_message(queries.PG_CATALOG_ONLY, Part.FRAME),
            *(Message(s.encode(), Part.GUARD, number) for s in statements),
            *([to_message(path, Part.FRAME)] if path else []),
        ]

    @property
    def _file_path(self) -> str:
        return self._quoting.fill(queries.SEARCH_PATH, path=self.search_path)

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

    def _settings_of_record(self, timeouts: Timeouts, *, wait_for_disk: bool) -> list[Message]:
        """Return the settings that the record needs after RESET ALL.

        In a session of its own three suffice, in place of the long SELECT: the record names its schema,
        and its other timeouts are the defaults.  `history/prepared.py` has the gain of both together.
        """
        if not self._prepared:
            return [self.settings(timeouts.for_claim, wait_for_disk=wait_for_disk)]
        waits = wait_for_disk or self._has_citus
        commit = queries.SYNCHRONOUS_COMMIT if waits else queries.ASYNCHRONOUS_COMMIT
        limit = self._quoting.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [to_message(s, Part.FRAME) for s in (queries.PG_CATALOG_ONLY, limit, commit)]

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
            self.settings(Timeouts(try_ms, 0, 0), wait_for_disk=True),
            *(to_message(s, Part.FRAME) for s in create),
            to_message(self.writer.lock_before_snapshot(), Part.FRAME),
            to_message(queries.MARK.format(mark=self._mark.key), Part.FRAME),
            to_message(end, Part.RECORD),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def history_only(self, statements: Sequence[str], timeouts: Timeouts) -> list[Message]:
        """Return a transaction that writes the history and runs no file."""
        return [
            *self.begin("READ COMMITTED", timeouts, wait_for_disk=True),
            *(to_message(s, Part.CLAIM) for s in statements),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def _on_disk(self, sql: str, timeouts: Timeouts) -> list[Message]:
        settings = self.settings(timeouts, wait_for_disk=True)
        return [
            *START,
            settings,
            to_message(sql, Part.RECORD),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    # --- the parts --------------------------------------------------------------------------------

    def begin(
        self, isolation: str, timeouts: Timeouts, *, wait_for_disk: bool, checked: bool = True
    ) -> list[Message]:
        """Return the messages before the claim: BEGIN, settings, and the lock of this target.

        Args:
            isolation: the isolation level.
            timeouts: those of the file.
            wait_for_disk: the COMMIT waits for the disk.
            checked: the audit log exists, so a run that was ended there can be told.
        """
        check = self._check_mark() if checked else []
        begin = [to_message(queries.BEGIN.format(isolation=isolation), Part.FRAME), *START[1:]]
        settings = self.settings(timeouts.for_claim, wait_for_disk=wait_for_disk)
        if isolation == "READ COMMITTED":
            lock = queries.LOCK.format(key=self._quoting.lock_key)
            return [*begin, settings, *self.mark(), to_message(lock, Part.LOCK), *check]
        limit = self._quoting.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [
            *begin,
            to_message(limit, Part.FRAME),
            to_message(self.writer.lock_before_snapshot(), Part.LOCK),
            settings,
            *self.mark(),
            *check,
        ]

    def mark(self) -> list[Message]:
        """Return the message that marks the transaction as one of the run; none in an own session."""
        if self._mark is None:
            return []
        return [to_message(queries.MARK.format(mark=self._mark.key), Part.FRAME)]

    def _check_mark(self) -> list[Message]:
        """Return the message that fails if the run was ended, because its connection was lost."""
        if self._mark is None:
            return []
        return [to_message(self.writer.run_continues(self._mark.run), Part.FRAME)]

    def settings(self, timeouts: Timeouts, *, wait_for_disk: bool) -> Message:
        """Return the message that has the transaction's settings."""
        waits = wait_for_disk or self._has_citus
        sql = queries.SETTINGS + (queries.WAIT if waits else queries.NO_WAIT)
        values = timeouts.settings
        if self._application is not None:
            sql += queries.APPLICATION
            values["application"] = self._application
        if self._server_version >= _TRANSACTION_TIMEOUT_SINCE:
            sql += queries.TRANSACTION_TIMEOUT
            values["transaction_timeout"] = "0"
        return to_message(self._quoting.fill(sql, **values), Part.FRAME)

    def file_settings(self, timeouts: Timeouts) -> dict[str, str]:
        """Return the values of the settings that a file starts with; its claim sets them."""
        return {**timeouts.settings, "path": self.search_path}

    def session_settings(self, timeouts: Timeouts) -> Message:
        """Return the message that has the session's settings for a file outside a transaction."""
        sql = self._quoting.fill(queries.SESSION_SETTINGS, **self.file_settings(timeouts))
        return to_message(sql, Part.FRAME)


def _pieces(script: Script, statements: Sequence[Statement] | None) -> list[Piece]:
    """Return the parts of a file that commit one after the other; the last one with its record.

    Only a file that needs no transaction, and that a guard runs in one, has more than one.  Each starts
    with the settings of those before it.
    """
    if not statements:
        return [None if statements is None else []]
    numbered = list(enumerate(statements))
    if script.directives.transactional:
        return [numbered]
    pieces: list[Piece] = []
    settings: list[tuple[int, Statement]] = []
    for number, statement in numbered:
        if is_setting(statement.text):
            settings.append((number, statement))
        else:
            pieces.append([*settings, (number, statement)])
    return pieces or [numbered]


def to_message(sql: str, part: Part) -> Message:
    """Return one of chatdb's own statements as a message."""
    return Message(sql.encode(), part)


def exclusive_settings(quoting: Quoting, path: str, timeouts: Timeouts) -> tuple[str, ...]:
    """Return the statements that give a transaction its settings, and keep migrators out until its end.

    Args:
        quoting: of the connection, for the target's schema.
        path: the search path of the statements that follow.
        timeouts: of these statements.
    """
    settings = quoting.fill(queries.SETTINGS, **timeouts.settings)
    lock = queries.LOCK.format(key=quoting.lock_key)
    return settings, lock, quoting.fill(queries.SEARCH_PATH, path=path)


def file_messages(
    script: Script, statements: Sequence[Statement] | None, *, flush: bool = False
) -> Sequence[Message]:
    """Return the statements of a file; a file that could not be split is one message.

    Args:
        script: the file.
        statements: its statements, or None if it could not be split.
        flush: the result of each statement is wanted as soon as it is there.
    """

    def make(number: int, statement: Statement) -> Message:
        return Message(statement.text.encode(), Part.FILE, number, flush=flush)

    if isinstance(statements, Statements):
        return Lazy(statements, make)
    if statements is not None:
        return [make(number, statement) for number, statement in enumerate(statements)]
    return [Message(script.text.encode(), Part.FILE, 0, simple_query=True)]


def script_text(messages: Iterable[Message]) -> str:
    """Return messages as a script that psql can run."""
    return "".join(f"{m.sql.decode().rstrip()}\n;\n" for m in messages)


# BEGIN, and the reset of what an earlier user of the session may have set.
START = (
    to_message(queries.BEGIN.format(isolation="READ COMMITTED"), Part.FRAME),
    *(to_message(s, Part.FRAME) for s in (*queries.RESETS, queries.NO_STATEMENT_TIMEOUT)),
)
