"""The transaction of a migration, message by message.

Around the file's statements stand settings, lock and claim, and behind them what a file may have left
in the session, the record, COMMIT.  Here too: what makes the history's tables, and what a failure
leaves in the log.  The tables are yoyo's, made by yoyo's own DDL, and `chatdb_migration`.

What does not belong here: reading the history (`history.py`), sending (`pipeline.py`), which steps to
take (`runner.py`).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.files.model import checksum
from chatdb_cli.history import queries as history_queries
from chatdb_cli.history.model import YOYO_TABLES
from chatdb_cli.history.tables import yoyo_ddl
from chatdb_cli.migrate import queries
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.redaction import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Migration, Script
    from chatdb_cli.history.model import History
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.syntax.statements import Statement

_TRANSACTION_TIMEOUT_SINCE = 170000
_PREPARING = re.compile("prepare|deallocate|discard", re.IGNORECASE)


class Part(Enum):
    """The parts of a migration's transaction, by which a failure is known for what it is."""

    FRAME = "frame"
    LOCK = "lock"
    CLAIM = "claim"
    FILE = "file"
    SETTLE = "settle"
    GUARD = "guard"
    RECORD = "record"
    COMMIT = "commit"
    # Before all of them, and after.
    ACQUIRE_LOCK = "acquire lock"
    RELEASE_LOCK = "release lock"


def author() -> tuple[str, str, str]:
    """Return who runs this: user, host, version of chatdb."""
    import os
    import socket

    from chatdb_cli._version import __version__

    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return user, socket.gethostname(), __version__


class StepTag(NamedTuple):
    """What the batch of a step carries through the pipeline and back.

    Attributes:
        step: the migration, in its direction.
        durable: its COMMIT waits for the disk.
    """

    step: Step
    durable: bool


class Timeouts(NamedTuple):
    """How long a migration may wait for a lock, and a statement may run; 0 is for ever.

    Attributes:
        lock_ms: `lock_timeout` of the file's statements.
        statement_ms: `statement_timeout` of them.
        claim_ms: `lock_timeout` while the migration waits for another migrator.
    """

    lock_ms: int
    statement_ms: int
    claim_ms: int


class Guard(NamedTuple):
    """What watches a file at work; a statement of it that fails undoes the file.

    Attributes:
        before: the statements in front of the file, in the file's own settings.
        after: those behind it, as the role that migrates.
        snapshot: all of them see the same of what other sessions do.
    """

    before: Sequence[str] = ()
    after: Sequence[str] = ()
    snapshot: bool = False


class MigrationTransaction:
    """Writes the transaction of a migration, message by message.

    Args:
        conn: the connection that will send it, for its quoting.
        schema: the target's schema.
        history: what was read from it.
        author: who runs chatdb, as (user, host, version of chatdb).
        watched: somebody wants to know of each statement at once.
        application: the name that a session of a pooler has to have meanwhile, for `RESET ALL` takes
            it away there.
        prepared: `preparation` is sent in front of the migrations.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        schema: str,
        history: History,
        author: tuple[str, str, str],
        *,
        watched: bool = False,
        application: str | None = None,
        prepared: bool = False,
    ) -> None:
        self._names = Quoting(conn, schema)
        self._author = author
        self._watched = watched
        self._application = application
        self._prepared = prepared
        self._version = history.server_version
        self._unrecorded = {a.number for a in history.applied if not a.recorded}
        self._path = self._names.path(history.extension_schemas)

    def prepare(self, history: History, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that makes what the history lacks, and adopts what yoyo did."""
        names = self._names
        statements = yoyo_ddl(names, YOYO_TABLES - history.tables)
        if "chatdb_migration" not in history.tables:
            statements += [
                names.fill(history_queries.CREATE_TABLE),
                *map(names.fill, history_queries.COMMENTS),
            ]
        statements.append(names.fill(history_queries.ADOPT))
        return [
            *self._begin("READ COMMITTED", timeouts, wait_for_disk=False),
            *(_message(s, Part.CLAIM) for s in statements),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def turn(self, lock: str) -> list[Message]:
        """Return the transaction that takes a migrator's turn, or fails.

        Args:
            lock: the statement that does so.
        """
        return [_START[0], _message(lock, Part.ACQUIRE_LOCK), _message(queries.COMMIT, Part.FRAME)]

    def end_of_turn(self, lock: str) -> Message:
        """Return what ends a migrator's turn, behind its last COMMIT.

        Args:
            lock: the statement that does so.
        """
        return _message(lock, Part.RELEASE_LOCK)

    def preparation(self) -> list[Message]:
        """Return the transaction that prepares what every migration sends."""
        return [
            _START[0],
            _message(queries.DEALLOCATE, Part.FRAME),
            *self._prepare(),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def _prepare(self) -> list[Message]:
        prepare = self._names.prepare
        return [
            _message(prepare(name, sql), Part.FRAME)
            for sql, name in history_queries.PREPARED.items()
        ]

    def migration(
        self,
        step: Step,
        script: Script,
        other: Script | None,
        statements: Sequence[Statement] | None,
        head: int | None,
        timeouts: Timeouts,
        *,
        wait_for_disk: bool,
        guard: Guard | None = None,
    ) -> list[Message]:
        """Return the whole transaction of one migration.

        Args:
            step: which migration, in which direction.
            script: the file that runs.
            other: the down file beside it, which the history keeps too.
            statements: the file's statements, or None when it goes whole.
            head: the highest version that the history has to have for the plan to hold.
            timeouts: for this file.
            wait_for_disk: its COMMIT waits, and with it all those before.
            guard: watches the file.
        """
        # What a file prepares has to go, and with it goes what is ours.
        dealt = not self._prepared or bool(_PREPARING.search(script.text))
        guard, isolation = guard or Guard(), script.directives.isolation
        if guard.snapshot and isolation == "READ COMMITTED":
            isolation = "REPEATABLE READ"
        return [
            *self._begin(isolation, timeouts, wait_for_disk=wait_for_disk),
            self._claim(step, script, other, head, timeouts),
            *self._guarded(script, statements, guard, dealt=dealt),
            *self._after(timeouts, wait_for_disk=wait_for_disk),
            self._record(step, plain=dealt),
            *(self._prepare() if dealt and self._prepared else ()),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def opening(self, timeouts: Timeouts) -> list[Message]:
        """Return what begins a transaction in which files are tried, and nothing stays."""
        return self._begin("READ COMMITTED", timeouts, wait_for_disk=False)

    def trial(
        self,
        step: Step,
        script: Script,
        statements: Sequence[Statement] | None,
        head: int | None,
        timeouts: Timeouts,
        guard: Guard,
    ) -> list[Message]:
        """Return one file inside such a transaction, behind its claim.

        Args:
            step: which migration, in which direction.
            script: the file that runs.
            statements: the file's statements, or None when it goes whole.
            head: the highest version that the history has to have for the plan to hold.
            timeouts: for this file.
            guard: looks at what it does.
        """
        waiting = Timeouts(timeouts.claim_ms, 0, 0)
        return [
            self._settings(waiting, wait_for_disk=False),
            self._claim(step, script, None, head, timeouts),
            *self._guarded(script, statements, guard, dealt=True),
        ]

    def _guarded(
        self,
        script: Script,
        statements: Sequence[Statement] | None,
        guard: Guard,
        *,
        dealt: bool,
    ) -> list[Message]:
        """Return the file's statements, and behind them what takes from the session what they left."""
        clean = queries.CLEAN if self._application is None else queries.CLEAN_POOLED
        role, rest = clean[: len(queries.RESET_ROLE)], clean[len(queries.RESET_ROLE) :]
        return [
            *(_message(s, Part.GUARD) for s in guard.before),
            *file(script, statements, flush=self._watched),
            *(_message(s, Part.SETTLE) for s in queries.SETTLE),
            *(_message(s, Part.FRAME) for s in role),
            *(_message(s, Part.GUARD) for s in guard.after),
            *(_message(s, Part.FRAME) for s in rest if dealt or s != queries.DEALLOCATE),
        ]

    def _after(self, timeouts: Timeouts, *, wait_for_disk: bool) -> list[Message]:
        """Return the settings that the record goes by, behind a RESET ALL."""
        if not self._prepared:
            return [self._settings(timeouts, wait_for_disk=wait_for_disk)]
        settings = (
            (queries.OWN_NAMES,) if wait_for_disk else (queries.OWN_NAMES, queries.NO_WAITING)
        )
        return [_message(s, Part.FRAME) for s in settings]

    def piecewise(
        self,
        step: Step,
        script: Script,
        other: Script | None,
        head: int | None,
        timeouts: Timeouts,
        done: Sequence[str] | None,
    ) -> list[Message]:
        """Return the transaction that begins a file without one of its own, or goes on with it.

        Args:
            step: which migration, in which direction.
            script: the file that runs.
            other: the down file beside it.
            head: the highest version that the history has to have for the plan to hold.
            timeouts: for this file.
            done: the checksums of the statements that are done, None when it has not begun.
        """
        fill = self._names.fill
        if done is not None:
            up = step.direction == "up"
            claim = fill(
                history_queries.CLAIM_RESUMED,
                id=step.id,
                direction=step.direction,
                done=_array(done),
                up_checksum=script.checksum if up else None,
                up_text=mask(script.text) if up else None,
            )
        elif step.direction == "down":
            claim = fill(history_queries.CLAIM_PIECEWISE_DOWN, id=step.id, head=head)
        else:
            claim = self._claim_up(step, script, other, head, timeouts, piecewise=True)
        return [
            *self._begin("READ COMMITTED", timeouts, wait_for_disk=True),
            _message(claim, Part.CLAIM),
            *self.session(timeouts),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def session(self, timeouts: Timeouts) -> list[Message]:
        """Return what has the session set as such a file expects it."""
        sql = self._names.fill(
            queries.SESSION_SETTINGS,
            path=self._path,
            lock_timeout=f"{timeouts.lock_ms}ms",
            statement_timeout=f"{timeouts.statement_ms}ms",
        )
        return [_message(sql, Part.FRAME)]

    def piece(self, step: Step, script: Script, number: int, statement: Message) -> list[Message]:
        """Return a statement of such a file and its journal, in one transaction."""
        return [
            _message(queries.BEGIN.format(isolation=script.directives.isolation), Part.FRAME),
            statement,
            *(_message(s, Part.SETTLE) for s in queries.SETTLE),
            *self.journal(step, number, statement)[1:],
        ]

    def journal(
        self, step: Step, number: int, statement: Message, *, patient: bool = False
    ) -> list[Message]:
        """Return the transaction that notes a statement of such a file as done.

        Args:
            step: the migration.
            number: which statement of its file, from 0.
            statement: the statement.
            patient: it was run without a `lock_timeout`.
        """
        done = self._names.fill(
            history_queries.JOURNAL_DONE,
            id=step.id,
            direction=step.direction,
            number=number,
            checksum=checksum(statement.sql.decode()),
        )
        return [
            _START[0],
            *(_message(s, Part.FRAME) for s in queries.OWN_ROLE),
            _message(done, Part.RECORD),
            *([_message(queries.IMPATIENT, Part.FRAME)] if patient else []),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def begun(
        self, step: Step, number: int, statement: str, before: Sequence[str], *, patient: bool
    ) -> list[Message]:
        """Return the transaction that notes that a statement on an index is about to run without one.

        Args:
            step: the migration.
            number: which statement of its file, from 0.
            statement: the statement.
            before: the relations that it meets.
            patient: it is to run without a `lock_timeout`.
        """
        sql = self._names.fill(
            history_queries.JOURNAL_BEGUN,
            id=step.id,
            direction=step.direction,
            number=number,
            statement=statement,
            before=_array(before),
        )
        return [
            _START[0],
            *(_message(s, Part.FRAME) for s in queries.OWN_ROLE),
            _message(sql, Part.RECORD),
            *([_message(queries.PATIENT, Part.FRAME)] if patient else []),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def removal(self, index: str, *, patient: bool) -> list[Message]:
        """Return what removes the invalid index that a statement has left.

        Args:
            index: its name, as SQL.
            patient: wait for whoever uses it, as long as it takes.
        """
        drop = Message(f"{queries.DROP_INDEX}{index}".encode(), Part.FRAME, simple_query=True)
        if not patient:
            return [drop]
        return [
            _message(queries.PATIENT, Part.FRAME),
            drop,
            _message(queries.IMPATIENT, Part.FRAME),
        ]

    def finish(self, step: Step, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that ends such a file: the record, and nothing left behind."""
        gone = self._names.fill(history_queries.UNCLAIM, id=step.id)
        return [
            *_START,
            *(_message(s, Part.FRAME) for s in queries.CLEAN[len(queries.RESETS) :]),
            self._settings(timeouts, wait_for_disk=True),
            *([_message(gone, Part.RECORD)] if step.direction == "down" else []),
            self._record(step),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def failure(self, step: Step, comment: str, timeouts: Timeouts) -> list[Message]:
        """Return the transaction that notes a failure; its COMMIT waits for the disk."""
        return self._on_disk(_message(self.log("failed", step.id, comment), Part.RECORD), timeouts)

    def flush(self, timeouts: Timeouts) -> list[Message]:
        """Return a transaction that does nothing but wait until all before is on the disk."""
        return self._on_disk(
            _message(self._names.fill(history_queries.FLUSH), Part.RECORD), timeouts
        )

    def log(self, operation: str, id_: str | None, comment: str) -> str:
        """Return the statement that writes a line into the audit log."""
        user, host, _ = self._author
        return self._names.fill(
            history_queries.LOG,
            id=id_,
            operation=operation,
            user=user[:255],
            host=host[:255],
            comment=comment[:255],
        )

    def alone(self, statements: Sequence[str], timeouts: Timeouts) -> list[Message]:
        """Return a transaction of the history's own, kept apart from every migration."""
        return [
            *self._begin("READ COMMITTED", timeouts, wait_for_disk=True),
            *(_message(s, Part.CLAIM) for s in statements),
            _message(queries.COMMIT, Part.COMMIT),
        ]

    def mark(self, migration: Migration, head: int | None) -> list[str]:
        """Return the statements that take a migration as applied without running it.

        Args:
            migration: its files.
            head: the highest version that the history has to have.
        """
        user, host, version = self._author
        sql = self._names.fill(
            history_queries.MARK,
            version=migration.number,
            id=migration.id,
            head=head,
            client=f"{user}@{host}",
            chatdb=version,
            **kept(migration),
        )
        return [sql, self.log("mark", migration.id, f"baseline, chatdb {version}")]

    def _on_disk(self, message: Message, timeouts: Timeouts) -> list[Message]:
        settings = self._settings(timeouts, wait_for_disk=True)
        return [*_START, settings, message, _message(queries.COMMIT, Part.COMMIT)]

    def _begin(self, isolation: str, timeouts: Timeouts, *, wait_for_disk: bool) -> list[Message]:
        """Return all that stands before the claim: settings, and the lock of this target.

        The file's own timeouts begin with the claim: waiting for another migrator is none of them.
        """
        begin = [_message(queries.BEGIN.format(isolation=isolation), Part.FRAME), *_START[1:]]
        waiting = Timeouts(timeouts.claim_ms, 0, 0)
        settings = self._settings(waiting, wait_for_disk=wait_for_disk)
        if isolation == "READ COMMITTED":
            lock = queries.LOCK.format(key=self._names.lock_key)
            return [*begin, settings, _message(lock, Part.LOCK)]
        limit = self._names.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [
            *begin,
            _message(limit, Part.FRAME),
            _message(queries.NO_STATEMENT_TIMEOUT, Part.FRAME),
            _message(self._names.fill(history_queries.LOCK_BEFORE_SNAPSHOT), Part.LOCK),
            settings,
        ]

    def _settings(self, timeouts: Timeouts, *, wait_for_disk: bool) -> Message:
        sql = queries.SETTINGS + ("" if wait_for_disk else queries.NO_WAIT)
        values: dict[str, str | int | None] = {
            "path": self._path,
            "lock_timeout": f"{timeouts.lock_ms}ms",
            "statement_timeout": f"{timeouts.statement_ms}ms",
        }
        if self._application is not None:
            sql += queries.APPLICATION
            values["application"] = self._application
        if self._version >= _TRANSACTION_TIMEOUT_SINCE:
            sql += queries.TRANSACTION_TIMEOUT
            values["transaction_timeout"] = "0"
        return _message(self._names.fill(sql, **values), Part.FRAME)

    def _claim(
        self, step: Step, script: Script, other: Script | None, head: int | None, timeouts: Timeouts
    ) -> Message:
        own = {
            "lock_timeout": f"{timeouts.lock_ms}ms",
            "statement_timeout": f"{timeouts.statement_ms}ms",
        }
        if step.direction == "down":
            sql = self._fill(history_queries.CLAIM_DOWN, id=step.id, head=head, **own)
        else:
            sql = self._claim_up(step, script, other, head, timeouts)
        return Message(sql.encode(), Part.CLAIM, flush=True)

    def _claim_up(
        self,
        step: Step,
        script: Script,
        other: Script | None,
        head: int | None,
        timeouts: Timeouts,
        *,
        piecewise: bool = False,
    ) -> str:
        user, host, version = self._author
        return self._fill(
            history_queries.CLAIM_UP,
            version=step.number,
            id=step.id,
            **_kept(script, other),
            client=f"{user}@{host}",
            chatdb=version,
            unfinished="up" if piecewise else None,
            done="{}" if piecewise else None,
            head=head,
            lock_timeout=f"{timeouts.lock_ms}ms",
            statement_timeout=f"{timeouts.statement_ms}ms",
        )

    def _record(self, step: Step, *, plain: bool = True) -> Message:
        user, host, version = self._author
        more: dict[str, int] = {"version": step.number}
        template = history_queries.RECORD_UP
        if step.direction == "down":
            template = history_queries.RECORD_DOWN
            # Of a file that never came to its end, yoyo has no row.
            more = {"least": int(step.number in self._unrecorded)}
        fill = self._names.fill if plain else self._fill
        comment = f"chatdb {version}"
        sql = fill(template, id=step.id, user=user[:255], host=host[:255], comment=comment, **more)
        return _message(sql, Part.RECORD)

    def _fill(self, template: str, **values: str | int | None) -> str:
        """Return a statement with its values; by the name under which it is prepared, if it is."""
        if self._prepared:
            return self._names.execute(history_queries.PREPARED[template], template, **values)
        return self._names.fill(template, **values)


def script_text(messages: Iterable[Message]) -> str:
    """Return messages as a script that psql runs as it stands."""
    return "".join(f"{m.sql.decode().rstrip()}\n;\n" for m in messages)


_START = (
    Message(queries.BEGIN.format(isolation="READ COMMITTED").encode(), Part.FRAME),
    *(Message(s.encode(), Part.FRAME) for s in queries.RESETS),
)


def kept(migration: Migration) -> dict[str, str | None]:
    """Return what the history keeps of a migration's files, by column."""
    return _kept(migration.up, migration.down)


def _kept(up: Script, down: Script | None) -> dict[str, str | None]:
    return {
        "up_checksum": up.checksum,
        "down_checksum": down.checksum if down else None,
        "up_text": mask(up.text),
        "down_text": _runnable(down),
    }


def _runnable(other: Script | None) -> str | None:
    """Return a down text to keep; none that holds a password, which has no place in a table."""
    return other.text if other and mask(other.text) == other.text else None


def _array(values: Sequence[str]) -> str:
    """Return checksums or numbers as the literal of an array."""
    return f"{{{','.join(values)}}}"


def _message(sql: str, part: Part) -> Message:
    return Message(sql.encode(), part)


def file(
    script: Script, statements: Sequence[Statement] | None, *, flush: bool = False
) -> list[Message]:
    """Return the statements of a file; one that could not be cut goes whole."""
    if statements is not None:
        return [
            Message(s.text.encode(), Part.FILE, n, flush=flush) for n, s in enumerate(statements)
        ]
    return [Message(script.text.encode(), Part.FILE, 0, simple_query=True)]
