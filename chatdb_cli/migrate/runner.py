"""Run a plan: every step one transaction, all of them one pipeline.

    Runner    sends the steps, and continues when another migrator changed the history

A run never leaves anything between two versions: each migration commits together with its history, or
not at all, whatever is killed.

What does not belong here: choosing the steps (`plan.py`), what is known of them (`state.py`), what is
sent (`batches.py`), what an error says (`failure.py`).
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate import failure
from chatdb_cli.migrate.batches import Batches
from chatdb_cli.migrate.guards.data_loss import DataLossCheck
from chatdb_cli.migrate.messages import script_text
from chatdb_cli.migrate.model import MigrationError, Run, StepResult
from chatdb_cli.migrate.parts import Part, StepTag
from chatdb_cli.migrate.patience import Patience
from chatdb_cli.migrate.preflight import Preflight
from chatdb_cli.migrate.recovery import Recovery
from chatdb_cli.migrate.tracker import StepTracker
from chatdb_cli.postgres.advisory_lock import AdvisoryLock
from chatdb_cli.postgres.blockers import BlockerWatch
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pipeline import Batch, Outcome, run_pipeline
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatdb_cli.migrate.guards.model import RunGuard
    from chatdb_cli.migrate.model import Options, Progress, Step
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState


class Runner:
    """Runs one plan in one session.

    Args:
        session: the session.
        state: the plan, and the history that it was made for.
        options: how to behave.
        on_progress: called as things happen.

    Raises:
        ChatdbError: a file can't run; nothing has run then.
    """

    def __init__(
        self,
        session: Session,
        state: RunState,
        options: Options,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._session = session
        self._state = state
        target = session.target
        # Behind a pooler, where no session is the run's own, only the claim keeps others out.
        self._lock = (
            None
            if session.pooled
            else AdvisoryLock(session.conn, target.schema, options.wait_ms, self._report)
        )
        patience = Patience(options)
        self._tracker = StepTracker(
            state, self._lock, on_progress, self._note_progress, options.watch
        )
        self._blockers = BlockerWatch(
            lambda: connect(target, retries=0),
            session.waiting,
            options.lock_timeout_ms,
            self._tracker.blocked,
        )
        self._batches = Batches(session, state, patience, self._report)
        data_loss = DataLossCheck(session, state, patience, self._blockers.on_idle)
        self._guard: RunGuard = data_loss
        if options.confined:
            from chatdb_cli.migrate.confine.guard import ConfinedGuard

            self._guard = ConfinedGuard(session, options.confined, data_loss)
        preflight = Preflight(session, state, self._guard)
        preflight.load(state.steps)
        self._recovery = Recovery(
            session, state, self._tracker, self._guard, patience, self._blockers, preflight,
            self._lock, self._note_failure,
        )  # fmt: skip

    def dry_run(self) -> Run:
        """Return the plan with everything that would be sent; acquires no lock and writes nothing."""
        prepare_sql, steps = None, []
        for batch in self._batches.write(self._state.steps, self._guard.guard_of):
            tag: StepTag | None = batch.tag
            if tag is None:
                prepare_sql = script_text(batch.messages)
            else:
                step = tag.step
                script = self._state.loaded[step.key].script
                sql, file_sql = (
                    f"-- {script.path.name} is secret: its statements are not shown\n",
                    None,
                )
                if not script.directives.secret:
                    sql = script_text(batch.messages)
                    file_sql = script_text(m for m in batch.messages if m.part is Part.FILE)
                steps.append(
                    StepResult(
                        step.direction, step.version, step.name, "planned", sql=sql,
                        path=script.path, file_sql=file_sql,
                    )
                )  # fmt: skip
        state = self._state
        return Run(
            state.target,
            state.request,
            tuple(steps),
            state.current,
            state.plan.warnings,
            prepare_sql,
        )

    def run(self) -> Run:
        """Run the plan.

        Raises:
            MigrationError: a migration failed, or the run was interrupted.
        """
        first_conn, is_durable = self._session.conn, True
        first_conn.add_notice_handler(self._tracker.notice)
        self._tracker.planned()
        try:
            try:
                self._run_steps()
            finally:
                is_durable = self._flush()  # what was committed must stay, whatever happens next
                if self._lock:
                    self._lock.release()
        except (ChatdbError, psycopg.Error, KeyboardInterrupt) as problem:
            error = failure.explain_end(problem)
            raise MigrationError(error, self._result()) from problem.__cause__
        finally:
            self._blockers.close()
            first_conn.remove_notice_handler(self._tracker.notice)
            if self._session.conn is not first_conn:
                self._session.conn.close()
        if not is_durable:
            error = ChatdbError(
                Code.LOST,
                "every step is done, but the server did not confirm that it is on disk",
                hint=Advice("look at {status}"),
            )
            raise MigrationError(error, self._result())
        return self._result()

    def _run_steps(self) -> None:
        while remaining := self._state.remaining:
            if self._lock and not self._lock.held and not self._can_batch(remaining[0]):
                if self._lock.acquire():
                    self._recovery.after_another()
                continue
            outcome = self._send(remaining)
            if outcome.interrupt or (outcome.lost and self._state.remaining):
                in_flight = tuple(takewhile(self._can_batch, self._state.remaining))
                self._recovery.after_cut(outcome, in_flight or self._state.remaining[:1])
            if outcome.error is not None and not outcome.lost:
                self._session.roll_back()
                self._recovery.after_error(outcome, outcome.error)

    # --- sending ----------------------------------------------------------------------------------

    def _can_batch(self, step: Step) -> bool:
        """Return whether a step can be sent together with others."""
        return self._guard.is_safe(step) and self._state.loaded[step.key].transactional

    def _send(self, steps: tuple[Step, ...]) -> Outcome:
        """Send the next steps: one that runs outside of a transaction, or all before the next such."""
        together = tuple(takewhile(self._can_batch, steps))
        if together:
            prepared = self._session.keeps_prepared
            return self._run_batches(
                self._batches.write(
                    together, self._guard.guard_of, prepared=prepared, lock=self._lock
                )
            )
        outcome = Outcome()
        if not self._state.history.complete:
            outcome = self._run_batches(self._batches.write((), self._guard.guard_of))
        if outcome.is_bad:
            return outcome
        if not self._guard.is_safe(steps[0]):
            with self._tracker.muted_notices():
                return self._guard.check()
        ((step, expected_version),) = self._state.expected_versions(steps[:1])
        file = self._batches.nontransactional(step)
        return file.run(expected_version, self._tracker.completed, self._blockers.on_idle)

    def _run_batches(self, batches: Iterator[Batch]) -> Outcome:
        return run_pipeline(
            self._session.conn, batches, self._tracker.completed, self._blockers.on_idle
        )

    def _flush(self, batch: Batch | None = None) -> bool:
        """Wait until everything committed is on disk; return False if the server did not confirm it.

        Args:
            batch: a transaction whose COMMIT waits; by default one that does nothing else.
        """
        if self._session.conn.closed or (batch is None and not self._tracker.unflushed):
            return not self._tracker.unflushed
        outcome = run_pipeline(self._session.conn, [batch or self._batches.flush()])
        if outcome.is_bad:
            if not outcome.lost:
                self._session.roll_back()
            return False
        self._tracker.unflushed = False
        return True

    def _note_failure(self, step: Step, comment: str) -> None:
        """Note a failure in the audit log; its COMMIT waits for the disk, and so for all before."""
        if self._state.history.complete:
            self._flush(self._batches.failure(step, comment))

    def _result(self) -> Run:
        return self._state.report(self._guard.losses)

    def _report(self, text: str, step: Step | None = None) -> None:
        self._tracker.waiting(text, step)

    def _note_progress(self) -> None:
        self._recovery.note_progress()
