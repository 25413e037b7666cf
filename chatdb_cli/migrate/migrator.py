"""Migrate a target: status, up, down, redo, baseline, repair.

    Migrator   reads files and history, makes a plan, runs it

The entry point of the engine, for the command line and for library users.  Nothing here prints;
progress goes through one callback.

What does not belong here: how files are read (`files/`), which steps to run (`plan.py`), running them
(`runner.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.history.access import require_readable
from chatdb_cli.history.read import (
    read_log,
    read_texts,
    require_own_tables,
    require_schema,
)
from chatdb_cli.migrate import compare, entry, plan
from chatdb_cli.migrate.model import (
    Options,
    Plan,
    Progress,
    Repairs,
    Run,
    Status,
)
from chatdb_cli.migrate.reading import read_patiently, read_target_history
from chatdb_cli.migrate.refusals import plan_refusals, refuse_contradiction, refuse_problems
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.model import Target, require_target
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.model import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any, Literal

    import psycopg

    from chatdb_cli.files.model import Files, Folder
    from chatdb_cli.history.model import History, LogEntry
    from chatdb_cli.migrate.model import Confines, MarkRequest, Marks, StatementWatch, Step
    from chatdb_cli.migrate.parts import Timeouts
    from chatdb_cli.migrate.transaction import MigrationTransaction


class Migrator(Closing):
    """Migrates one target.

    Args:
        target: a database and a schema; or settings that name them, and then the migrator opens the
            target, and `close` closes it, as does the end of a `with` block.
        directory: the folder that holds `up/` and `down/`; `@chat` for the shipped schema; by
            default the settings' own, else `./sql`.
        progress: called as things happen.
        sync_each: every COMMIT waits for the disk.
        confined: what keeps the files inside of the target's schema, or None if nothing does.
        watch: what is sent around the statements of each file, or None.
    """

    def __init__(
        self,
        target: Target | Settings,
        directory: str | Path | None = None,
        *,
        progress: Callable[[Progress], None] = ignore,
        sync_each: bool = False,
        confined: Confines | None = None,
        watch: StatementWatch | None = None,
    ) -> None:
        self._owned = isinstance(target, Settings)
        self._progress = progress
        if isinstance(target, Settings):
            settings = target
        else:
            require_target(target)
            settings = target.settings
        named = str(directory) if directory is not None else settings.directory
        self._named = named
        self._kept: tuple[psycopg.Connection[Any], Files] | None = None
        self.target = open_target(target, self._report) if isinstance(target, Settings) else target
        self._options = Options(
            settings.lock_timeout_ms,
            settings.statement_timeout_ms,
            settings.wait_ms,
            settings.retries,
            sync_each,
            confined=confined,
            watch=watch,
        )

    @cached_property
    def folder(self) -> Folder:
        """The folder of the files.

        Raises:
            ChatdbError: `USAGE`, there is none.
        """
        return choose_folder(self._named)

    def close(self) -> None:
        """Close the target, if the migrator opened it."""
        if self._owned:
            self.target.close()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Keep one connection, and the files as they are now, for every call in the block.

        So a rehearsal, which is a hundred short runs, takes half the time.
        """
        files = read_migrations(self.folder)
        with self._connect() as conn:
            self._kept = conn, files
            try:
                yield conn
            finally:
                self._kept = None

    def status(self, *, check_downs: bool = False) -> Status:
        """Compare files and history; writes nothing and needs no right to write.

        Args:
            check_downs: check that every down file could run, not only those of pending migrations and
                those that were changed after they were applied.

        Raises:
            ChatdbError: no connection, or no such schema.
        """
        files = self._read_files()
        with self._connect() as conn:
            history = self._read(conn)
        pending = compare.pending(files, history.applied)
        problems = [*compare.problems(files, history.applied)]
        downs = files.migrations if check_downs else compare.unchecked_downs(files, history.applied)
        if pending or downs:
            from chatdb_cli.migrate.file_checks import find_refusals

            refusals = find_refusals(pending, downs, history.server_version)
            problems += map(compare.refused_problem, refusals)
        if history.strangers:
            problems.append(compare.strangers_problem(history, self.target.schema))
        if history.yoyo_lock:
            problems.append(compare.yoyo_lock_problem(history.yoyo_lock))
        return Status(
            self.target,
            self.folder,
            compare.current(history.applied),
            compare.states(files, history.applied),
            pending,
            tuple(problems),
            (*compare.warnings(files, history.applied), *self._overruled(history)),
        )

    def history(self, limit: int | None = None) -> tuple[LogEntry, ...]:
        """Return the audit log, newest first; writes nothing.

        Args:
            limit: how many entries at most; None for all.

        Raises:
            ChatdbError: `USAGE` for a limit below 1; `HISTORY` if it can't be read; or no connection.
        """
        if limit is not None and limit < 1:
            raise ChatdbError(Code.USAGE, f"the limit {limit} is not a whole number from 1")
        with self._connect() as conn:
            past = self._read(conn)
            if not past.exists:
                return ()
            require_readable(past.access, audit_log=True)
            with explain_failures("the audit log can't be read"):
                return read_patiently(
                    conn,
                    self.target,
                    lambda limit_ms: read_log(conn, self.target.schema, limit, limit_ms),
                    self._report,
                )

    def up(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        allow_out_of_order: bool = False,
        allow_non_empty: bool = False,
        dry_run: bool = False,
    ) -> Run:
        """Apply what is pending.

        Args:
            to: the last version to apply.
            steps: the highest number of migrations to apply.
            allow_out_of_order: also apply a file that is older than the newest applied one.
            allow_non_empty: create the objects of the files also in a schema that holds others and has
                no history.
            dry_run: only return what would be sent; acquires no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` has the result of each step.
            ChatdbError: nothing ran.
        """
        refuse_contradiction(to=to, steps=steps)
        files = self._read_files(downs=False)

        def plan_up(past: History, remaining: Sequence[Step] | None = None) -> Plan:
            limit = len(remaining) if remaining is not None and steps is not None else steps
            return plan.up(
                files, past.applied, to=to, steps=limit, allow_out_of_order=allow_out_of_order
            )

        with self._connect() as conn:
            past = self._read(conn)
            first = plan_up(past)
            if first.steps or first.problems:  # the history keeps the down files, too
                files = self._read_files()
                first = plan_up(past)
            if first.steps and not first.problems and not dry_run:
                entry.require_empty(past, self.target, override=allow_non_empty)
            return self._migrate(conn, past, files, first, "up", plan_up, dry_run=dry_run)

    def down(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        everything: bool = False,
        allow_data_loss: bool = False,
        dry_run: bool = False,
    ) -> Run:
        """Roll back the newest migration, or more; refused if rows would be lost.

        Args:
            to: roll back everything that is newer; this version stays; `0` is everything.
            steps: the number of migrations to roll back; 1 by default.
            everything: roll back all migrations.
            allow_data_loss: allow it to delete rows.
            dry_run: only return what would be sent; acquires no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` has the result of each step.
            ChatdbError: nothing ran.
        """
        refuse_contradiction(to=to, steps=steps, everything=everything or None)
        files = self._read_files()
        with self._connect() as conn:
            past = self._read(conn)
            first = plan.down(files, past.applied, to=to, steps=steps, everything=everything)
            replan = partial(plan.remaining_downs, files)
            return self._migrate(
                conn, past, files, first, "down", replan, dry_run=dry_run, guard=not allow_data_loss
            )

    def redo(self, *, allow_data_loss: bool = False, dry_run: bool = False) -> Run:
        """Roll back the newest migration and apply it again; refused if rows would be lost.

        Args:
            allow_data_loss: allow it to delete rows.
            dry_run: only return what would be sent; acquires no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` has the result of each step.
            ChatdbError: nothing ran.
        """
        files = self._read_files()
        with self._connect() as conn:
            past = self._read(conn)
            first = plan.redo(files, past.applied)
            replan = partial(plan.remaining_downs, files)
            return self._migrate(
                conn, past, files, first, "redo", replan, dry_run=dry_run, guard=not allow_data_loss
            )

    def baseline(self, version: str) -> Run:
        """Mark everything up to a version as applied, without running it; it raises as `marks` does."""
        return self.mark(self.marks("baseline", version))

    def marks(self, request: MarkRequest, *versions: str) -> Marks:
        """Return what marking migrations as applied, or as not applied, would change; writes nothing.

        Args:
            request: `mark` or `unmark` these versions; `baseline` marks all up to the last of them, and
                unmarks those after it.
            versions: numbers, or names of files.

        Raises:
            ChatdbError: `REFUSED` for a baseline where a migration was applied by running it; `USAGE`
                if a version is unknown; `HISTORY` if the history has it for another migration.
        """
        from chatdb_cli.migrate import marks

        files = self._read_files()
        refuse_problems(marks.file_problems(files, request), files)
        with self._connect() as conn:
            past = self._read(conn)
        return marks.plan_marks(self.target, files, past, request, versions)

    def mark(self, planned: Marks, *, dry_run: bool = False) -> Run:
        """Make exactly the changes that `marks` returned, or none.

        Args:
            planned: what `marks` returned.
            dry_run: only return them as a run; writes nothing.

        Raises:
            ChatdbError: `HISTORY` if the history was changed in the meantime.
        """
        from chatdb_cli.migrate import marks

        if planned.marks and not dry_run:
            with (
                self._connect() as conn,
                self._write_history(conn, planned.past) as (transaction, timeouts),
            ):
                marks.carry_out(conn, transaction, planned, timeouts)
        return marks.report(planned, dry_run=dry_run)

    def repairs(self) -> Repairs:
        """Return the changes that would make the history agree with the files; writes nothing.

        Raises:
            ChatdbError: `REFUSED` if no applied migration has a file; or a file can't be read, or two
                files have the same version.
        """
        from chatdb_cli.migrate import repair

        files = self._read_files()
        with self._connect() as conn:
            past = self._read(conn)
            if not past.exists:
                return Repairs(self.target, (), past)
            # A file that was not read, or is ambiguous, can't be accepted.
            problems = compare.problems(files, past.applied)
            refuse_problems([p for p in problems if p.code in ("duplicate", "refused")], files)
            ids = [row.id for row in repair.changed(files, past)]
            texts = read_texts(conn, self.target.schema, ids) if ids else {}
        return Repairs(self.target, repair.repairs(files, past, texts), past)

    def repair(self, shown: Repairs) -> Repairs:
        """Make exactly the changes that `repairs` returned, or none.

        Args:
            shown: what `repairs` returned.

        Raises:
            ChatdbError: `HISTORY` if the history was changed in the meantime.
        """
        from chatdb_cli.migrate import repair

        if not shown.repairs:
            return shown
        with (
            self._connect() as conn,
            self._write_history(conn, shown.past) as (transaction, timeouts),
        ):
            repair.carry_out(conn, transaction, shown.past, shown.repairs, timeouts)
        for change in shown.repairs:
            log.info("history_repair", change.message, kind=change.kind, version=change.version)
        return Repairs(self.target, shown.repairs, shown.past, done=True)

    def _write_history(
        self, conn: psycopg.Connection[Any], history: History
    ) -> AbstractContextManager[tuple[MigrationTransaction, Timeouts]]:
        from chatdb_cli.migrate.session import write_history

        require_own_tables(history, self.target.schema)
        self._require_writable(history)
        return write_history(conn, self.target, history, self._options, self._report)

    def _report(self, text: str) -> None:
        self._progress(Progress("waiting", text=text))

    def _read_files(self, *, downs: bool = True) -> Files:
        return self._kept[1] if self._kept else read_migrations(self.folder, downs=downs)

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        if self._kept and not self._kept[0].closed:
            yield self._kept[0]
            return
        with (
            blame_tunnel(self.target),
            connect(self.target, self._report) as conn,
        ):
            yield conn

    def _read(self, conn: psycopg.Connection[Any]) -> History:
        with explain_failures("the history can't be read"):
            past = read_target_history(conn, self.target, self._report)
        require_schema(past, self.target.schema)
        entry.require_own_history(past, self.target)
        return past

    def _require_writable(self, past: History) -> None:
        facts = entry.Writability(past.database, past.user, past.is_standby, past.is_read_only)
        override = self.target.settings.allow_read_only_override
        entry.require_writable(facts, override=override)

    def _overruled(self, past: History) -> tuple[str, ...]:
        warning = entry.path_hint(past, self.target)
        return (warning,) if warning else ()

    def _migrate(
        self,
        conn: psycopg.Connection[Any],
        past: History,
        files: Files,
        first: Plan,
        direction: Literal["up", "down", "redo"],
        replan: Callable[[History, Sequence[Step]], Plan],
        *,
        dry_run: bool,
        guard: bool = False,
    ) -> Run:
        if first.problems:
            refuse_problems(first.problems, files, plan_refusals(first, past))
        first = first._replace(warnings=first.warnings + self._overruled(past))
        if first.steps and not dry_run:
            self._require_writable(past)
        if not first.steps:
            self._progress(Progress("planned"))
            return Run(self.target, direction, (), compare.current(past.applied), first.warnings)
        require_own_tables(past, self.target.schema)
        # Imported here: a run that has nothing to do starts without them.
        from chatdb_cli.migrate.runner import Runner
        from chatdb_cli.migrate.session import Session
        from chatdb_cli.migrate.state import RunState

        # A dry run acquires no lock, so it checks no rows: it returns the statements of the files.
        options = self._options._replace(allow_data_loss=dry_run or not guard)
        with explain_failures("the history can't be read"):
            session = Session(conn, self.target, past)
            state = RunState(self.target, direction, first, past, replan)
            runner = Runner(session, state, options, self._progress)
        return runner.dry_run() if dry_run else runner.run()
