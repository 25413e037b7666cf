"""The values of the engine: what is planned, and the result of a run.

    Step, Plan       one migration in one direction; steps in order, and problems
    LoadedStep       a step with its file, split into statements
    Options          how a run behaves; StatementWatch is what watches its statements
    Confines         what keeps the files of a run inside of a test schema
    Run, StepResult  each step of a run, and the current version
    Loss             rows that a down migration would delete
    MigrationError   an error, with the run so far
    Progress         what happens in a run, while it happens
    Status, Repairs  files against history; what would make them agree
    Marks            migrations that are marked as applied, or as not applied

What does not belong here: anything that acts (the other modules of this package).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.errors import ChatdbError
from chatdb_cli.history.model import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chatdb_cli.files.model import Direction, Folder, Migration, Script
    from chatdb_cli.findings import Finding
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.syntax.statements import Statement

AppliedState = Literal["applied", "changed", "missing", "unfinished"]


class Step(NamedTuple):
    """One migration in one direction.

    Attributes:
        direction: up or down.
        version: as in the file name.
        name: the id without its version.
        id: the name in the history.
        migration: the files, or None if only the history has it.
    """

    direction: Direction
    version: str
    name: str
    id: str
    migration: Migration | None

    @property
    def number(self) -> int:
        """The version as a number; -1 for an id that has none."""
        return number_of(self.version)

    @property
    def key(self) -> tuple[Direction, int]:
        """What identifies a step in a run."""
        return self.direction, self.number


class LoadedStep(NamedTuple):
    """A step with its file.

    Attributes:
        step: the migration, in its direction.
        script: the file that runs.
        statements: its statements, or None if it could not be split and is sent as one message.
        down: the down file of an up step, which the history keeps too.
        transactional: the file runs inside one transaction, not statement by statement.
    """

    step: Step
    script: Script
    statements: Sequence[Statement] | None
    down: Script | None
    transactional: bool


class Plan(NamedTuple):
    """What a command would do, in order, or why it can't.

    Attributes:
        steps: in the order in which they run.
        problems: why nothing can run, if there are any.
        warnings: what the user should know, but does not stop the run.
    """

    steps: tuple[Step, ...]
    problems: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()


StepState = Literal[
    "applied",
    "reverted",
    "planned",
    "failed",
    "resumed",
    "not-run",
    "unknown",
    "by-another",
    "marked",
    "unmarked",
]
Request = Literal["up", "down", "redo", "baseline", "mark", "unmark"]
MarkRequest = Literal["baseline", "mark", "unmark"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of one step.

    Attributes:
        direction: up or down.
        version: as in the file name.
        name: the id without its version.
        state: the result.
        duration_ms: in milliseconds, measured by the server; None if it did not run.
        sql: what would be sent, in a dry run.
        path: in a dry run, the file; None if its text is that of the history.
        file_sql: in a dry run, the part of `sql` that is in the file; None for a secret file.
    """

    direction: Direction
    version: str
    name: str
    state: StepState
    duration_ms: int | None = None
    sql: str | None = None
    path: Path | None = None
    file_sql: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows or values that a down migration would delete.

    Attributes:
        table: its name, with its schema if that is not the target's.
        column: the column whose values would be lost, or None if whole rows are lost.
        rows: the number of rows; for a column, those where a value is lost.
        how: how they would be lost.
    """

    table: str
    column: str | None
    rows: int
    how: Literal[
        "dropped table",
        "dropped column",
        "dropped attribute",
        "truncated",
        "deleted",
        "changed",
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """The result of an up, a down, a redo or a baseline.

    Attributes:
        target: the database and schema.
        direction: what was asked for.
        steps: each step of the plan, in order.
        current: the highest applied version now, or None.
        warnings: what the user should know, but did not stop the run.
        prepare_sql: in a dry run, what creates the history's tables; None if they exist.
        losses: the rows that it would have deleted, so it did not run; None if that was not
            checked.
    """

    target: Target
    direction: Request
    steps: tuple[StepResult, ...]
    current: str | None
    warnings: tuple[str, ...] = ()
    prepare_sql: str | None = None
    losses: tuple[Loss, ...] | None = None


class Progress(NamedTuple):
    """Something that happens in a run.

    Attributes:
        kind: the plan is made; a step has started, or is done; the server sent a notice; the run
            waits.
        step: the step that it is about, or None.
        total: the number of steps of the plan.
        state: the result of the step.
        duration_ms: how long the step took, in milliseconds.
        text: the notice, or what the run waits for.
    """

    kind: Literal["planned", "started", "done", "notice", "waiting"]
    step: Step | None = None
    total: int = 0
    state: StepState | None = None
    duration_ms: int | None = None
    text: str = ""


class StatementWatch(NamedTuple):
    """Queries that a run sends around the statements of a file, inside its transaction.

    A file that runs outside a transaction is not watched.  A file that is tried again is watched from
    its start.

    Attributes:
        before: sent before the first statement; returns one text.
        after: sent after each statement, and at last when the deferred constraints were checked; returns
            one text.
        note: called with the step and each text, in order.
    """

    before: str
    after: str
    note: Callable[[Step, str], None]


class Confines(NamedTuple):
    """What confines a run to its schema.

    Attributes:
        role: the role that owns what the schema holds; its rights are all that a file has.  None if
            there is none: then the files are only watched.
        extensions: the schemas where the extensions of the files go, the first that exists.
        mark: the comment of the roles that the files create.
    """

    role: str | None
    extensions: tuple[str, ...]
    mark: str


class Options(NamedTuple):
    """How a run behaves.

    Attributes:
        lock_timeout_ms: how long a statement may wait for a lock, in milliseconds; 0 is no limit.
        statement_timeout_ms: how long a statement may run, in milliseconds; 0 is no limit.
        wait_ms: how long to wait for another migrator, in milliseconds; 0 does not wait.
        retries: how often a file is tried again after a lock timeout, a deadlock or a serialization
            failure.
        sync_each: every COMMIT waits for the disk, not only the last.
        allow_data_loss: allow a down migration to delete rows, without checking.
        confined: what keeps the files inside of the target's schema, or None if nothing does.
        watch: what is sent around the statements of each file, or None.
    """

    lock_timeout_ms: int
    statement_timeout_ms: int
    wait_ms: int
    retries: int = 0
    sync_each: bool = False
    allow_data_loss: bool = False
    confined: Confines | None = None
    watch: StatementWatch | None = None


class MigrationError(ChatdbError):
    """An error that ended a run.

    Attributes:
        run: the result of each step so far.
    """

    def __init__(self, error: ChatdbError, run: Run) -> None:
        super().__init__(
            error.code,
            error.message,
            hint=error.hint,
            place=error.place,
            inner=error.inner,
            sqlstate=error.sqlstate,
            errno=error.errno,
            notes=error.notes,
        )
        self.run = run


Kind = Literal["changed", "missing", "yoyo-lock", "invalid-history"]


class Repair(NamedTuple):
    """One change that makes the history agree with the files.

    Attributes:
        kind: the problem that it solves.
        version: the version that it is about, or None.
        message: what will be done.
        diff: what changed in the files since then, as a unified diff; passwords are masked.
        row: the migration as the history has it now.
        migration: the files that the history will have.
        pid: the process ID of the yoyo client whose lock is removed.
    """

    kind: Kind
    version: str | None
    message: str
    diff: str = ""
    row: AppliedMigration | None = None
    migration: Migration | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Files against history.

    Attributes:
        target: the database and schema.
        folder: the folder of the files.
        current: the highest applied version, or None.
        applied: each applied migration with its state, in the order of versions.
        pending: the migrations that are on disk and not applied, in order.
        problems: the differences that stop a run.
        warnings: what the user should know, but does not stop a run.
    """

    target: Target
    folder: Folder
    current: str | None
    applied: tuple[tuple[AppliedMigration, AppliedState], ...]
    pending: tuple[Migration, ...]
    problems: tuple[Finding, ...]
    warnings: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Exactly the files are applied, as they are now."""
        states = {state for _, state in self.applied}
        return states == {"applied"} and not (self.pending or self.problems)


class Mark(NamedTuple):
    """One migration that is marked as applied, or as not applied; nothing is run.

    Attributes:
        version: as in the file name.
        name: the id without its version.
        id: the name in the history.
        before: its state now: `pending`, `applied` or `unfinished`.
        after: its state afterwards: `applied` or `pending`.
        migration: the files that the history will have, or None if it is removed.
        row: the migration as the history has it now, or None.
    """

    version: str
    name: str
    id: str
    before: str
    after: str
    migration: Migration | None
    row: AppliedMigration | None


class Marks(NamedTuple):
    """The changes of the history that a mark, an unmark or a baseline makes.

    Attributes:
        target: the database and schema.
        request: what was asked for.
        marks: each change.
        past: the history as it was read.
    """

    target: Target
    request: MarkRequest
    marks: tuple[Mark, ...]
    past: History


class Repairs(NamedTuple):
    """The changes that make, or made, the history agree with the files.

    Attributes:
        target: the database and schema.
        repairs: each change, in the order of versions.
        past: the history as it was read.
        done: the changes were made.
    """

    target: Target
    repairs: tuple[Repair, ...]
    past: History
    done: bool = False
