"""What a run expects of its guard: `DataLossCheck`, or `ConfinedGuard` in a test schema.

What does not belong here: a guard itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Error

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import LoadedStep, Loss, Step
    from chatdb_cli.migrate.parts import Guard
    from chatdb_cli.postgres.pipeline import Outcome
    from chatdb_cli.syntax.statements import Statement

    Prepare = Callable[[Script, Sequence[Statement] | None], Sequence[Statement] | None]


class RunGuard(Protocol):
    """Decides which steps may run, and adds statements that watch them.

    Attributes:
        retryable: the SQLSTATEs of its own statements after which a file is tried again.
    """

    retryable: tuple[str, ...]

    @property
    def losses(self) -> tuple[Loss, ...] | None:
        """The rows that the run would delete; None if that was not checked."""

    @property
    def prepare(self) -> Prepare | None:
        """What returns the statements of a file as they run inside a transaction.

        None if a file that asks for it runs outside of one.
        """

    def refuse(self, loaded: LoadedStep) -> ChatdbError | None:
        """Return why a file can't be guarded, or None."""

    def is_safe(self, step: Step) -> bool:
        """Return whether a step may be sent; otherwise `check` comes first."""

    def check(self) -> Outcome:
        """Check the next steps, so that they are safe afterwards."""

    def guard_of(self, step: Step) -> Guard | None:
        """Return the statements that watch a step."""

    def seen(self, outcome: Outcome, loaded: LoadedStep) -> Outcome:
        """Return an outcome with the statement of the file that failed, whatever was sent for it."""

    def reword(self, failure: ChatdbError, outcome: Outcome) -> ChatdbError:
        """Return the error of a step that failed at a statement of its own, in the guard's words."""

    def explain(self, error: Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
        """Return the error of a step that failed at one of these statements."""

    def forget(self) -> None:
        """Forget what was checked: the database may have changed since."""
