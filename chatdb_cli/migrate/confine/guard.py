"""The guard of a run that is confined to a test schema: rights, watch, and the check for data loss.

    ConfinedGuard    asks each of them

What does not belong here: how each of them works (`rights.py`, `watch.py`, `migrate/guards/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate.confine import lasting
from chatdb_cli.migrate.confine.explain import (
    REASONS,
    explain_other,
    explain_reach,
    explain_right,
)
from chatdb_cli.migrate.confine.rights import Rights
from chatdb_cli.migrate.confine.unwrap import unwrap
from chatdb_cli.migrate.confine.watch import Watch
from chatdb_cli.migrate.parts import Guard, Part
from chatdb_cli.postgres.sqlstates import ASSERTION_FAILED
from chatdb_cli.syntax.location import locate

if TYPE_CHECKING:
    from psycopg import Error

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.migrate.guards.data_loss import DataLossCheck
    from chatdb_cli.migrate.guards.model import Prepare
    from chatdb_cli.migrate.model import Confines, LoadedStep, Loss, Step
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.postgres.pipeline import Outcome


class ConfinedGuard:
    """Runs every file with the rights of a test schema, watches it, and checks downs for data loss.

    Args:
        session: the session of the run.
        confines: the role of the schema, and where extensions go.
        data_loss: checks the downs, unless rows may be deleted.
    """

    retryable: tuple[str, ...] = ()
    prepare: Prepare | None = staticmethod(lasting.prepare)

    def __init__(self, session: Session, confines: Confines, data_loss: DataLossCheck) -> None:
        schema = session.target.schema
        self._session = session
        self._confines = confines
        self._data_loss = data_loss
        self._watch = Watch(session.conn, schema, confines.role)
        self._rights = Rights(session.conn, schema, confines, self._watch.surroundings)
        self._failed_at, self._text = -1, ""
        self._loaded: LoadedStep | None = None
        session.prepares = self._watch.prepare

    @property
    def losses(self) -> tuple[Loss, ...] | None:
        """The rows that the run would delete; None if that was not checked."""
        return self._data_loss.losses

    def refuse(self, loaded: LoadedStep) -> ChatdbError | None:
        """Return why a file may not run, or None."""
        schema = self._session.target.schema
        return lasting.refuse(loaded, schema) or self._data_loss.refuse(loaded)

    def is_safe(self, step: Step) -> bool:
        """Return whether a step may run; what it changes outside is found when it runs."""
        return self._data_loss.is_safe(step)

    def check(self) -> Outcome:
        """Check the downs that come next for data loss."""
        return self._data_loss.check()

    def guard_of(self, step: Step) -> Guard | None:  # noqa: ARG002
        """Return what runs and watches a file, the same for each."""
        watch = self._watch
        after = watch.after_prepared if self._session.keeps_prepared else watch.after
        return Guard(
            watch.before,
            after,
            snapshot=True,
            path=self._rights.path,
            file=self._rights.file,
            commit=self._rights.commit,
        )

    def seen(self, outcome: Outcome, loaded: LoadedStep) -> Outcome:
        """Return an outcome with the statement of the file that failed."""
        self._failed_at = outcome.message.number if outcome.message else -1
        seen = unwrap(outcome, loaded, self._rights.numbers)
        self._loaded = loaded
        number = seen.message.number if seen.message else -1
        self._text = loaded.statements[number].text if loaded.statements and number >= 0 else ""
        return seen

    def reword(self, failure: ChatdbError, outcome: Outcome) -> ChatdbError:
        """Return the error of a statement; one that the rights refused says so."""
        part = outcome.message.part if outcome.message else None
        is_refused = self._confines.role is not None and failure.sqlstate in REASONS
        if is_refused and part in (Part.FILE, Part.SETTLE):
            return explain_right(self._placed(failure), self._text, self._watch)
        return failure

    def _placed(self, failure: ChatdbError) -> ChatdbError:
        """Return an error with a line: what was deferred failed after the last statement."""
        loaded = self._loaded
        if failure.place is None or failure.place.line is not None or not loaded:
            return failure
        last = loaded.statements[-1].offset if loaded.statements else 0
        return failure.with_(place=locate(loaded.script.text, last, loaded.script.path))

    def explain(self, error: Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
        """Return the error of a file that changed something outside, or could not be checked."""
        if error.sqlstate != ASSERTION_FAILED:
            return explain_other(error, loaded, notes)
        return explain_reach(
            self._session.conn, self._watch, self._rights, loaded, self._failed_at, notes
        )

    def forget(self) -> None:
        """Forget what was checked: the database may have changed since."""
        self._data_loss.forget()
