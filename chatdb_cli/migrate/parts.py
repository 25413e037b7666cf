"""The values that a transaction is written with.

    Part            the parts of a transaction
    StepTag         what a batch carries through the pipeline
    Timeouts        how long its statements may wait and run
    Guard           what runs before and after a file

What does not belong here: the messages themselves (`messages.py`, `frame.py`, `transaction.py`).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.postgres.pipeline import Message
    from chatdb_cli.syntax.statements import Statement


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
