"""The scratch database of a rehearsal: migrated up and down, read, and renewed after a failure.

What does not belong here: what a step must leave (`rehearsal.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.model import Comparison
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code, Exit
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import MigrationError
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.own import fetch
from chatdb_cli.rehearse import queries
from chatdb_cli.rehearse.lock_trace import LockTrace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.catalog.model import Snapshot
    from chatdb_cli.files.model import Folder, Migration
    from chatdb_cli.migrate.model import Run
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.rehearse.model import LockReport
    from chatdb_cli.scratch.database import ScratchPlace

# What says nothing about a migration: the rehearsal itself ends.
_ENDS = (Exit.UNREACHABLE, Exit.TUNNEL, Exit.INTERNAL, Exit.INTERRUPTED, Exit.TERMINATED)


class FailedUp(NamedTuple):
    """A version that could not be applied on the way to another."""

    migration: Migration
    error: ChatdbError


class Stage(Closing):
    """The scratch database of a rehearsal.

    Args:
        place: where it is created.
        folder: the folder of the migrations.
        migrations: in the order in which they are applied.
        locks: trace the locks of each up.

    Attributes:
        folder: the folder of the migrations.
        migrations: in the order in which they are applied.
        target: the scratch database.
        applied: how many of the migrations are applied.
    """

    def __init__(
        self, place: ScratchPlace, folder: Folder, migrations: Sequence[Migration], *, locks: bool
    ) -> None:
        self._place = place
        self.folder = folder
        self._locks = locks
        self._stack = ExitStack()
        self._snapshot: Snapshot | None = None
        self.applied = 0
        self.migrations = migrations
        self.target = self._open()

    def close(self) -> None:
        """Drop the database."""
        self._stack.close()

    def renew(self, count: int) -> None:
        """Drop the database, create another, and apply the first migrations in it.

        They were applied before, so they can be applied again.

        Raises:
            ChatdbError: they can't.
        """
        self._stack.close()
        self._stack = ExitStack()
        self.target = self._open()
        if failed := self.apply_before(count):
            raise failed.error

    def apply_before(self, position: int) -> FailedUp | None:
        """Apply every migration before a position that is not applied; return the one that failed."""
        if self.applied >= position:
            return None
        error = self._run(
            lambda m: m.up(
                steps=position - self.applied, allow_out_of_order=True, allow_non_empty=True
            )
        )
        if error is None:
            self.applied = position
            return None
        if not isinstance(error, MigrationError):
            raise error
        run = error.run
        done = sum(step.state in ("applied", "resumed") for step in run.steps)
        return FailedUp(self.migrations[self.applied + done], error)

    def up(self) -> ChatdbError | None:
        """Apply the next migration, and return the error if it fails.

        Raises:
            ChatdbError: the files can't be applied at all.
        """
        error = self._run(lambda m: m.up(steps=1, allow_out_of_order=True, allow_non_empty=True))
        if error is not None and not isinstance(error, MigrationError):
            raise error
        self.applied += error is None
        return error

    def down(self) -> ChatdbError | None:
        """Roll back the newest migration, and return the error if it fails."""
        error = self._run(lambda m: m.down(steps=1, allow_data_loss=True))
        self.applied -= error is None
        return error

    def snapshot(self) -> Snapshot:
        """Return the database as it is."""
        if self._snapshot is None:
            with explain_failures("the scratch database can't be read"):
                names = [row.name for row in fetch(self._conn, _Schema, queries.SCHEMAS)]
                self._snapshot = read_snapshot(self._conn, names)
        return self._snapshot

    def compare(self, expected: Snapshot, *, column_order: bool = False) -> Comparison:
        """Return what differs from a snapshot."""
        now = self.snapshot()
        if now.objects == expected.objects:
            return Comparison(())
        return compare_snapshots(expected, now, column_order=column_order)

    def locks(self, migration: Migration) -> LockReport | None:
        """Return the locks that the last up of a version took; None if they were not traced."""
        return self._trace.locks(migration.version, migration.up) if self._trace else None

    def _open(self) -> Target:
        target = self._stack.enter_context(self._place.database())
        self._trace = LockTrace(target.schema) if self._locks else None
        watch = self._trace.watch if self._trace else None
        self._migrator = Migrator(target, self.folder.path, watch=watch)
        self._stack.enter_context(self._migrator.connected())
        self._conn: psycopg.Connection[Any] = self._stack.enter_context(connect(target))
        self._conn.prepare_threshold = 0  # the same questions are asked a hundred times
        self._snapshot = None
        self.applied = 0
        return target

    def _run(self, migrate: Callable[[Migrator], Run]) -> ChatdbError | None:
        """Run the engine in the database; return its error if that is about a migration."""
        self._snapshot = None
        try:
            migrate(self._migrator)
        except ChatdbError as error:
            if error.exit in _ENDS:
                raise self._ended(error) from None
            return _about_files(error)
        return None

    def _ended(self, error: ChatdbError) -> ChatdbError:
        """Return the error of a rehearsal that was ended: the scratch database is of no interest."""
        if error.code not in (Code.INTERRUPTED, Code.TERMINATED):
            return error
        return ChatdbError(
            error.code,
            f"{error.code.slug}; nothing but the scratch database was changed, and it is dropped",
        )


def _about_files(error: ChatdbError) -> ChatdbError:
    """Return an error of the engine without what it says of the scratch database."""
    notes = tuple(note for note in error.notes if " was rolled back; " not in note)
    hint = error.hint
    if hint is not None and hint.startswith("correct the file and run "):
        hint = "correct the file, and rehearse it again"
    run = error.run if isinstance(error, MigrationError) else None
    plain = ChatdbError(
        error.code,
        error.message,
        hint=hint,
        place=error.place,
        inner=error.inner,
        sqlstate=error.sqlstate,
        errno=error.errno,
        notes=notes,
    )
    return plain if run is None else MigrationError(plain, run)


class _Schema(NamedTuple):
    """A row of `queries.SCHEMAS`."""

    name: str
