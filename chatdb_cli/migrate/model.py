"""The engine's values: what disagrees, what is planned, what became of a run.

    Problem          files and history disagree, and the way out
    Step, Plan       one migration in one direction; steps in order, and problems
    Options          how a run behaves
    Run, StepResult  each step of a run, and where the target is now
    Loss             rows that a down migration would delete
    MigrationError   an error, with the Run so far
    Progress         what happens in a run, while it happens
    Status, Repairs  files against history; what would make them agree

What does not belong here: anything that acts (the other modules of this package).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.errors import ChatdbError
from chatdb_cli.history.model import number_of

if TYPE_CHECKING:
    from chatdb_cli.files.model import Direction, Folder, Migration
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.postgres.model import Target

AppliedState = Literal["applied", "changed", "missing", "unfinished"]
ProblemCode = Literal[
    "changed", "missing", "duplicate", "out-of-order", "unfinished", "refused", "yoyo-lock"
]


class Problem(NamedTuple):
    """Files and history disagree.

    Attributes:
        code: the kind.
        version: the version that it is about, or None.
        message: what is so, with both names.
        hint: the way out.
    """

    code: ProblemCode
    version: str | None
    message: str
    hint: str


class Step(NamedTuple):
    """One migration in one direction.

    Attributes:
        direction: up or down.
        version: as in the file name.
        name: what comes behind it.
        id: the name in the history.
        migration: the files, or None where only the history has it.
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
        """What tells one step of a run from the others."""
        return self.direction, self.number


class Plan(NamedTuple):
    """What a command would do, in order, or why it can't.

    Attributes:
        steps: in the order in which they run.
        problems: what stands in the way; nothing runs while there is one.
        warnings: what is worth saying and stops nothing.
    """

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
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
]
Request = Literal["up", "down", "redo", "baseline"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step.

    Attributes:
        direction: up or down.
        version: as in the file name.
        name: what comes behind it.
        state: what became of it.
        duration_ms: measured by the server; None where it did not run.
        sql: what would be sent, in a dry run.
    """

    direction: Direction
    version: str
    name: str
    state: StepState
    duration_ms: int | None = None
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that a way back would destroy.

    Attributes:
        table: its name, with the schema in front where that is not the target's own.
        column: the column that goes, or None when whole rows do.
        rows: how many; of a column, those where it is not null.
        how: what would be done to them.
    """

    table: str
    column: str | None
    rows: int
    how: Literal["dropped table", "dropped column", "truncated", "deleted"]


@dataclass(frozen=True, slots=True)
class Run:
    """What became of an up, a down, a redo or a baseline.

    Attributes:
        target: what was migrated.
        direction: what was asked for.
        steps: each step of the plan, in order.
        current: the highest applied version now, or None.
        warnings: what was odd and stopped nothing.
        prepare_sql: in a dry run, what makes the history's tables; None where they stand.
        losses: the rows that it would have destroyed, and so was not carried out; None where
            nobody looked for any.
    """

    target: Target
    direction: Request
    steps: tuple[StepResult, ...]
    current: str | None
    warnings: tuple[str, ...] = ()
    prepare_sql: str | None = None
    losses: tuple[Loss, ...] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Something that a watcher may want to see at once.

    Attributes:
        kind: the plan stands; a step was started, or is done; the server gave notice; we wait.
        step: which, or None.
        total: how many steps the plan has.
        state: what became of the step.
        duration_ms: how long it took.
        text: what the server said, or what we wait for.
    """

    kind: Literal["planned", "started", "done", "notice", "waiting"]
    step: Step | None = None
    total: int = 0
    state: StepState | None = None
    duration_ms: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run behaves.

    Attributes:
        lock_timeout_ms: how long a statement may wait for a lock; 0 is for ever.
        statement_timeout_ms: how long it may run; 0 is for ever.
        wait_ms: how long to wait for another migrator; 0 is not at all.
        retries: how often a file is tried again that met a lock, a deadlock or a serialization
            failure.
        sync_each: every COMMIT waits for the disk, not the last alone.
        allow_data_loss: a way back may destroy rows; nobody looks for any.
        confined: nothing outside of the target's schema may change.
    """

    lock_timeout_ms: int
    statement_timeout_ms: int
    wait_ms: int
    retries: int = 0
    sync_each: bool = False
    allow_data_loss: bool = False
    confined: bool = False


class MigrationError(ChatdbError):
    """An error that ended a run.

    Attributes:
        run: what had become of each step by then.
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


Kind = Literal["changed", "missing", "yoyo-lock"]


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing in which the history is brought to agree with the files.

    Attributes:
        kind: the problem that it ends.
        version: the version that it is about, or None.
        message: what will be done.
        diff: what changed in the files since, as a unified diff; passwords are masked.
        row: what the history says now.
        migration: the files that it shall have.
        pid: of the yoyo client whose lock is removed.
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
        target: what was read.
        folder: which files.
        current: the highest applied version, or None.
        applied: each applied migration with its state, in the order of versions.
        pending: what is on disk and not applied, in order.
        problems: in what they disagree.
        warnings: what is odd and stops nothing.
    """

    target: Target
    folder: Folder
    current: str | None
    applied: tuple[tuple[AppliedMigration, AppliedState], ...]
    pending: tuple[Migration, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repairs:
    """In what the history is, or was, brought to agree with the files.

    Attributes:
        target: whose history.
        repairs: each thing, in the order of versions.
        past: the history as it was read.
        done: they were carried out.
    """

    target: Target
    repairs: tuple[Repair, ...]
    past: History
    done: bool = False
