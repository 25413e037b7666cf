"""The guard of a run that is confined to its schema: isolation, and the check for data loss.

    ConfinedGuard    asks both

What does not belong here: how each of them finds what it looks for (`isolation.py`, `data_loss.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Error

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.migrate.guards.data_loss import DataLossCheck
    from chatdb_cli.migrate.guards.isolation import Isolation
    from chatdb_cli.migrate.guards.model import Prepare
    from chatdb_cli.migrate.model import LoadedStep, Loss, Step
    from chatdb_cli.migrate.transaction import Guard
    from chatdb_cli.postgres.pipeline import Outcome


class ConfinedGuard:
    """Watches every file for changes outside the schema, and checks downs for data loss before.

    Args:
        isolation: watches the files.
        data_loss: checks the downs, unless rows may be deleted.
    """

    retryable: tuple[str, ...] = ()

    def __init__(self, isolation: Isolation, data_loss: DataLossCheck) -> None:
        self._isolation = isolation
        self._data_loss = data_loss

    @property
    def losses(self) -> tuple[Loss, ...] | None:
        """The rows that the run would delete; None if that was not checked."""
        return self._data_loss.losses

    @property
    def prepare(self) -> Prepare | None:
        """What returns the statements of a file as they can be rolled back."""
        return self._isolation.prepare

    def refuse(self, loaded: LoadedStep) -> ChatdbError | None:
        """Return why a file may not run, or None."""
        return self._isolation.refuse(loaded) or self._data_loss.refuse(loaded)

    def is_safe(self, step: Step) -> bool:
        """Return whether a step may run; what it changes outside is found when it runs."""
        return self._data_loss.is_safe(step)

    def check(self) -> Outcome:
        """Check the downs that come next for data loss."""
        return self._data_loss.check()

    def guard_of(self, step: Step) -> Guard | None:  # noqa: ARG002
        """Return the statements that watch a file, the same for each."""
        return self._isolation.guard

    def explain(self, error: Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
        """Return the error of a file that changed something outside, or could not be checked."""
        return self._isolation.explain(error, loaded, notes)

    def forget(self) -> None:
        """Forget what was checked: the database may have changed since."""
        self._data_loss.forget()
