"""Migrate a target: status, up, down, redo, baseline, repair.

    Migrator   reads files and history, plans, has the plan carried out
    Status     files against history

This is the deep room: whoever migrates, from the command line or from a program, comes through here.
What does not belong here: how files are read (`migrations.py`), what to do in which order (`plan.py`),
carrying it out (`runner.py`).  Nothing here prints; progress goes through one callback.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import find_refused_statement, read_migrations
from chatdb_cli.history.read import read_history, read_log, read_texts, require_schema
from chatdb_cli.migrate import compare, plan
from chatdb_cli.migrate.model import (
    Options,
    Plan,
    Problem,
    Progress,
    Repairs,
    Run,
    Status,
    StepResult,
)
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.model import Target, require_target
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.model import Settings
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any, Literal

    import psycopg

    from chatdb_cli.files.model import Files
    from chatdb_cli.history.model import History, LogEntry
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.transaction import MigrationTransaction, Timeouts


class Migrator(Closing):
    """Migrates one target.

    Args:
        target: a database and a schema; or settings that name them, and then the migrator opens the
            target, and `close` closes it, as does the end of a `with` block.
        directory: the folder that holds `up/` and `down/`; `@chat` for the shipped schema; by
            default the settings' own, else `./sql`, else the shipped one.
        progress: called as things happen.
        sync_each: every COMMIT waits for the disk.
        confined: nothing outside of the target's schema may change.
    """

    def __init__(
        self,
        target: Target | Settings,
        directory: str | Path | None = None,
        *,
        progress: Callable[[Progress], None] = ignore,
        sync_each: bool = False,
        confined: bool = False,
    ) -> None:
        self._owned = isinstance(target, Settings)
        self._progress = progress
        if isinstance(target, Settings):
            settings = target
        else:
            require_target(target)
            settings = target.settings
        named = str(directory) if directory is not None else settings.directory
        self.folder = choose_folder(named)
        self.target = open_target(target, self._report) if isinstance(target, Settings) else target
        self._options = Options(
            settings.lock_timeout_ms,
            settings.statement_timeout_ms,
            settings.wait_ms,
            settings.retries,
            sync_each,
            confined=confined,
        )

    def close(self) -> None:
        """Close the target, if the migrator opened it."""
        if self._owned:
            self.target.close()

    def status(self) -> Status:
        """Compare files and history; writes nothing and needs no right to write.

        Raises:
            ChatdbError: no connection, or no such schema.
        """
        files = read_migrations(self.folder)
        with self._connect() as conn:
            past = self._read(conn)
        todo = compare.pending(files, past.applied)
        bad = tuple(
            Problem("refused", m.version, compare.describe(e), e.hint or "")
            for m in todo
            if (e := find_refused_statement(m.up, split_statements(m.up.text)))
        )
        return Status(
            self.target,
            self.folder,
            compare.current(past.applied),
            compare.states(files, past.applied),
            todo,
            (*compare.problems(files, past.applied), *bad, *_yoyo_lock(past)),
            compare.warnings(files, past.applied),
        )

    def is_whole(self) -> bool:
        """Return whether all files are applied as they are, and nothing else; writes nothing."""
        found = self.status()
        states = {state for _, state in found.applied}
        whole = bool(found.applied) and states == {"applied"}
        return whole and not (found.pending or found.problems)

    def history(self) -> tuple[LogEntry, ...]:
        """Return the audit log, oldest first; writes nothing."""
        with self._connect() as conn:
            past = self._read(conn)
            if not past.exists:
                return ()
            with explain_failures("the audit log can't be read"):
                return read_log(conn, self.target.schema)

    def up(
        self,
        *,
        to: str | None = None,
        steps: int | None = None,
        allow_out_of_order: bool = False,
        dry_run: bool = False,
    ) -> Run:
        """Apply what is pending.

        Args:
            to: the last version to apply.
            steps: how many at the most.
            allow_out_of_order: also a file that is older than the newest applied one.
            dry_run: only say what would be sent; takes no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` tells how far it came.
            ChatdbError: anything that stopped it before.
        """
        _exclusive(to=to, steps=steps)
        files = read_migrations(self.folder, downs=False)

        def plan_up(past: History, left: Sequence[Step] | None = None) -> Plan:
            many = len(left) if left is not None and steps is not None else steps
            return plan.up(
                files, past.applied, to=to, steps=many, allow_out_of_order=allow_out_of_order
            )

        with self._connect() as conn:
            past = self._read(conn)
            self._refuse_shipped(past)
            first = plan_up(past)
            if first.steps or first.problems:  # the way back, too, for the history keeps it
                files = read_migrations(self.folder)
                first = plan_up(past)
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
        """Take back the newest migration, or more; refused where rows would be destroyed.

        Args:
            to: take back all that is newer; this one stays; `0` is all.
            steps: how many; 1 by default.
            everything: all of them.
            allow_data_loss: also where rows are destroyed.
            dry_run: only say what would be sent; takes no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` tells how far it came.
            ChatdbError: anything that stopped it before.
        """
        _exclusive(to=to, steps=steps, all=everything or None)
        files = read_migrations(self.folder)
        with self._connect() as conn:
            past = self._read(conn)
            first = plan.down(files, past.applied, to=to, steps=steps, everything=everything)
            go_on = _go_on(files)
            return self._migrate(
                conn, past, files, first, "down", go_on, dry_run=dry_run, guard=not allow_data_loss
            )

    def redo(self, *, allow_data_loss: bool = False, dry_run: bool = False) -> Run:
        """Take back the newest migration and apply it again; refused where rows would be destroyed.

        Args:
            allow_data_loss: also where rows are destroyed.
            dry_run: only say what would be sent; takes no lock and writes nothing.

        Raises:
            MigrationError: a migration failed; its `run` tells how far it came.
            ChatdbError: anything that stopped it before.
        """
        files = read_migrations(self.folder)
        with self._connect() as conn:
            past = self._read(conn)
            first = plan.redo(files, past.applied)
            go_on = _go_on(files)
            return self._migrate(
                conn, past, files, first, "redo", go_on, dry_run=dry_run, guard=not allow_data_loss
            )

    def baseline(self, version: str) -> Run:
        """Take everything up to a version as applied, without running it.

        Args:
            version: the last one.

        Raises:
            ChatdbError: `REFUSED` for a history that is not empty, `USAGE` for an unknown version.
        """
        files = read_migrations(self.folder)
        first = plan.baseline(files, version)
        _refuse_problems(first.problems, files)
        with self._connect() as conn:
            past = self._read(conn)
            self._refuse_shipped(past)
            if past.applied:
                raise ChatdbError(
                    Code.REFUSED,
                    f"the history is not empty: {compare.current(past.applied)} is applied",
                    hint="a baseline is for a database that has the schema and no history yet; "
                    'look at "chatdb migrate status"',
                )
            chosen = [s.migration for s in first.steps if s.migration]
            from chatdb_cli.migrate import repair

            with self._alone(conn, past) as (frame, timeouts):
                repair.baseline(conn, frame, past, chosen, timeouts)
        steps = tuple(StepResult("up", m.version, m.name, "marked") for m in chosen)
        newest = max(chosen, key=lambda m: m.number)
        return Run(self.target, "baseline", steps, newest.version, first.warnings)

    def repairs(self) -> Repairs:
        """Find in what the history could be brought to agree with the files; writes nothing.

        Raises:
            ChatdbError: `REFUSED` when no applied migration has a file; a file that can't be read, or a
                version that two files have.
        """
        from chatdb_cli.migrate import repair

        files = read_migrations(self.folder)
        with self._connect() as conn:
            past = self._read(conn)
            if not past.exists:
                return Repairs(self.target, (), past)
            # What is not read, or may be another migration's, is nothing to be accepted.
            found = compare.problems(files, past.applied)
            _refuse_problems([p for p in found if p.code in ("duplicate", "refused")], files)
            ids = [row.id for row in repair.changed(files, past)]
            texts = read_texts(conn, self.target.schema, ids) if ids else {}
        return Repairs(self.target, repair.repairs(files, past, texts), past)

    def repair(self, shown: Repairs) -> Repairs:
        """Carry out what `repairs` has found: just that, or nothing.

        Raises:
            ChatdbError: `HISTORY` when the history was changed in the meantime.
        """
        from chatdb_cli.migrate import repair

        if not shown.repairs:
            return shown
        with self._connect() as conn, self._alone(conn, shown.past) as (frame, timeouts):
            repair.carry_out(conn, frame, shown.past, shown.repairs, timeouts)
        return Repairs(self.target, shown.repairs, shown.past, done=True)

    @contextmanager
    def _alone(
        self, conn: psycopg.Connection[Any], past: History
    ) -> Iterator[tuple[MigrationTransaction, Timeouts]]:
        """Keep other migrators out while the history alone is written."""
        from chatdb_cli.history.write import find_author
        from chatdb_cli.migrate.transaction import MigrationTransaction, Timeouts
        from chatdb_cli.postgres.advisory_lock import hold_lock

        wait_ms = self._options.wait_ms
        timeouts = Timeouts(wait_ms, self._options.statement_timeout_ms, max(1, wait_ms))
        frame = MigrationTransaction(conn, self.target.schema, past, find_author())

        def tell(text: str) -> None:
            self._progress(Progress("waiting", text=text))

        if is_pooled(conn, self.target, past.pid):
            yield frame, timeouts
        else:
            with hold_lock(conn, self.target.schema, wait_ms, tell):
                yield frame, timeouts

    def _report(self, text: str) -> None:
        self._progress(Progress("waiting", text=text))

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        with (
            blame_tunnel(self.target),
            connect(self.target, self._report) as conn,
        ):
            yield conn

    def _read(self, conn: psycopg.Connection[Any]) -> History:
        with explain_failures("the history can't be read"):
            past = read_history(conn, self.target.schema)
        require_schema(past, self.target.schema)
        return past

    def _refuse_shipped(self, past: History) -> None:
        """Keep the shipped schema, when nobody named it, out of a schema that has other things."""
        folder = self.folder
        if folder.shipped and not folder.named and past.other_relations and not past.exists:
            raise ChatdbError(
                Code.REFUSED,
                f"schema {self.target.schema!r} holds tables already, and without a ./sql the chat "
                "schema that comes with chatdb would go into it",
                hint="name your own folder with --dir, or mean it with --dir @chat",
            )

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
        _refuse_problems(first.problems, files)
        if not first.steps:
            self._progress(Progress("planned"))
            return Run(self.target, direction, (), compare.current(past.applied), first.warnings)
        # Imported here: a run that has nothing to do starts without them.
        from chatdb_cli.migrate.runner import Runner
        from chatdb_cli.migrate.session import Session
        from chatdb_cli.migrate.state import RunState

        # A dry run tries nothing, for it takes no lock: it shows the files' own statements.
        options = replace(self._options, allow_data_loss=dry_run or not guard)
        with explain_failures("the history can't be read"):
            session = Session(conn, self.target, past.pid)
            state = RunState(self.target, direction, first, past, replan)
            runner = Runner(session, state, options, self._progress)
        return runner.dry_run() if dry_run else runner.run()


def _refuse_problems(problems: Sequence[Problem], files: Files) -> None:
    if not problems:
        return
    problem = problems[0]
    others = tuple(p.message for p in problems[1:])
    if problem.code == "refused":  # the error itself knows the place, too
        error = next(e for e in files.refused if compare.describe(e) == problem.message)
        error.notes += others
        raise error
    raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint, notes=others)


def _exclusive(**options: object) -> None:
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise ChatdbError(
            Code.USAGE, f"{' and '.join(given)} contradict each other", hint="give one of them"
        )


def _yoyo_lock(past: History) -> tuple[Problem, ...]:
    lock = past.yoyo_lock
    if lock is None:
        return ()
    return (
        Problem(
            "yoyo-lock",
            None,
            f"a yoyo client with process id {lock.pid} has held its lock since {lock.since} UTC",
            'if it is gone, "chatdb migrate repair" removes the row; chatdb does not wait for it',
        ),
    )


def _go_on(files: Files) -> Callable[[History, Sequence[Step]], Plan]:
    """Return how to go on with what is left of a way back, after another changed the history.

    Just that or nothing: what was not shown at first is never taken back.
    """

    def replan(past: History, left: Sequence[Step]) -> Plan:
        done = {a.number for a in past.applied}
        kept = [s for s in left if (s.number in done) == (s.direction == "down")]
        if kept and kept[0].direction == "down":
            newest = plan.down(files, past.applied).steps[0]
            if newest.number != kept[0].number:
                raise ChatdbError(
                    Code.HISTORY,
                    f"{newest.id} was applied by another in the meantime, and {kept[0].id} "
                    "is no longer the newest",
                    hint='look at "chatdb migrate status" and decide again',
                )
        return Plan(tuple(kept))

    return replan
