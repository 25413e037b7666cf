"""What became of a run, as values.

    Run              each step of it, and where the target is now
    MigrationError   an error, with the Run so far
    Event            what a watcher may want to see at once
    Options          how a run behaves
    Loss             rows that a way back would destroy

What does not belong here: carrying it out (`runner.py`), drawing it (`render.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chatdb_cli.errors import ChatdbError

if TYPE_CHECKING:
    from chatdb_cli.files.model import Direction
    from chatdb_cli.plan import Step
    from chatdb_cli.postgres.model import Target

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
class Event:
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
            sqlstate=error.sqlstate,
            errno=error.errno,
            notes=error.notes,
        )
        self.run = run
