"""Run a plan: every step one transaction, all of them one pipeline.

    Runner    sends the steps, and continues when another migrator changed the history

A run never leaves anything between two versions: each migration commits together with its history, or
not at all, whatever is killed.

What does not belong here: choosing the steps (`plan.py`), what is known of them (`state.py`), what is
sent (`batches.py`), what an error says (`failure.py`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

import psycopg

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate import failure
from chatdb_cli.migrate.batches import Batches
from chatdb_cli.migrate.guards.data_loss import DataLossCheck
from chatdb_cli.migrate.model import MigrationError, Run, StepResult
from chatdb_cli.migrate.patience import Patience
from chatdb_cli.migrate.preflight import Preflight
from chatdb_cli.migrate.recovery import recover
from chatdb_cli.migrate.tracker import StepTracker
from chatdb_cli.migrate.transaction import Part, StepTag, script_text
from chatdb_cli.postgres.advisory_lock import AdvisoryLock, locked_error
from chatdb_cli.postgres.blockers import BlockerWatch
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pipeline import Batch, Outcome, run_pipeline
from chatdb_cli.postgres.sqlstates import (
    ASSERTION_FAILED,
    LOCK_NOT_AVAILABLE,
    TRANSIENT,
    UNKNOWN_PREPARED_STATEMENT,
)
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatdb_cli.history.model import History
    from chatdb_cli.migrate.guards.model import RunGuard
    from chatdb_cli.migrate.model import Options, Progress, Step
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState

_OTHER_MIGRATOR = (Part.LOCK, Part.CLAIM, Part.RECORD)  # they fail if another migrator interferes


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
        self._patience = Patience(options)
        self._tracker = StepTracker(state, self._lock, on_progress, self._note_progress)
        self._blockers = BlockerWatch(
            lambda: connect(target, retries=0),
            target.application,
            session.pid,
            options.lock_timeout_ms,
            lambda text: self._report(text, self._tracker.running),
        )
        self._batches = Batches(session, state, self._patience, self._report)
        data_loss = DataLossCheck(session, state, self._patience, self._blockers.on_idle)
        self._guard: RunGuard = data_loss
        if options.confined:
            from chatdb_cli.migrate.guards.confined import ConfinedGuard
            from chatdb_cli.migrate.guards.isolation import Isolation

            self._guard = ConfinedGuard(Isolation(session.conn, target.schema), data_loss)
        self._preflight = Preflight(session, state, self._guard)
        self._preflight.load(state.steps)
        self._note_progress()

    def dry_run(self) -> Run:
        """Return the plan with everything that would be sent; acquires no lock and writes nothing."""
        prepare_sql, steps = None, []
        for batch in self._batches.write(self._state.steps, self._guard.guard_of):
            tag: StepTag | None = batch.tag
            sql = script_text(batch.messages)
            if tag is None:
                prepare_sql = sql
            else:
                step = tag.step
                steps.append(
                    StepResult(step.direction, step.version, step.name, "planned", sql=sql)
                )
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
        self._session.conn.add_notice_handler(self._tracker.notice)
        while remaining := self._state.remaining:
            if self._lock and not self._lock.held and not self._can_batch(remaining[0]):
                if self._lock.acquire():
                    self._continue_after_another()
                continue
            outcome = self._send(remaining)
            if outcome.interrupt or (outcome.lost and self._state.remaining):
                self._recover(outcome)
            if outcome.error is not None and not outcome.lost:
                self._session.roll_back()
                self._handle_failure(outcome, outcome.error)

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

    # --- what went wrong --------------------------------------------------------------------------

    def _handle_failure(self, outcome: Outcome, error: psycopg.Error) -> None:
        """Continue if another session interfered, or if another try may succeed.

        Raises:
            ChatdbError: the migration failed, or a lock could not be acquired in time.
        """
        assert outcome.message is not None  # noqa: S101  (an error belongs to a message)
        part, sqlstate = outcome.message.part, error.sqlstate
        self._guard.forget()
        if self._lock and part is Part.ACQUIRE_LOCK:
            self._lock.acquire()
            self._continue_after_another()
        elif sqlstate == UNKNOWN_PREPARED_STATEMENT and self._session.keeps_prepared:
            self._session.keeps_prepared = False
        elif part in _OTHER_MIGRATOR:
            self._wait_for_another(outcome, error)
        else:
            is_transient = sqlstate in TRANSIENT or (
                part is Part.GUARD and sqlstate in self._guard.retryable
            )
            if not is_transient or not self._patience.may_retry:
                raise self._failure(outcome)
            self._pause(outcome, error)

    def _wait_for_another(self, outcome: Outcome, error: psycopg.Error) -> None:
        """Continue if the history has changed; otherwise wait, or give up.

        Raises:
            ChatdbError: it is not another migrator, or it has not finished in time.
        """
        before, fingerprint = self._state.history, self._state.fingerprint
        self._state.replace_history(self._session.read_history())
        if self._state.fingerprint != fingerprint:
            self._replan(before)
        elif error.sqlstate != LOCK_NOT_AVAILABLE:
            raise self._failure(outcome)
        elif self._patience.is_over:
            raise locked_error(next(iter(self._blockers.blockers), None), error.sqlstate)
        else:
            self._report("waiting for another migrator")

    def _pause(self, outcome: Outcome, error: psycopg.Error) -> None:
        """Wait a little before the whole file is tried again."""
        pause_s = self._patience.count_try()
        assert outcome.message is not None  # noqa: S101
        reason = str(error).strip().splitlines()[0]
        if outcome.message.part is Part.GUARD and error.sqlstate == ASSERTION_FAILED:
            reason = "the rows that it would delete have changed"
        tries = f"{self._patience.tries} of {self._patience.options.retries}"
        self._report(f"{reason}; trying again ({tries})", _step_of(outcome))
        time.sleep(pause_s)
        self._state.replace_history(self._session.read_history())

    def _continue_after_another(self) -> None:
        """Plan the remaining steps again after another migrator held the lock."""
        before = self._state.history
        self._state.replace_history(self._session.read_history())
        self._replan(before)
        self._note_progress()

    def _replan(self, before: History) -> None:
        for step in self._state.done_since(before):
            self._tracker.finish(step, "by-another")
        self._state.replan()
        self._preflight.load(self._state.steps)

    def _failure(self, outcome: Outcome) -> ChatdbError:
        """Return the error of the step that failed, and note it in the audit log."""
        step, state = _step_of(outcome), self._state
        if step is None:
            error = failure.explain_tables(outcome, state.target.schema)
        else:
            error = self._explain(outcome, step)
            self._tracker.finish(step, "failed")
            place = error.place
            where = f" at {place.file.name}:{place.line}" if place and place.line else ""
            self._note_failure(step, f"{error.sqlstate}{where}")
        log.event("failed", version=step.version if step else None, sqlstate=error.sqlstate)
        return error

    def _explain(self, outcome: Outcome, step: Step) -> ChatdbError:
        state = self._state
        loaded = state.loaded[step.key]
        if not loaded.transactional:  # the history knows how many of its statements are done
            with suppress(psycopg.Error):  # the file may have dropped it
                state.replace_history(self._session.read_history())
        if outcome.message and outcome.error and outcome.message.part is Part.GUARD:
            fate = failure.fate_of(outcome, loaded, state)
            return self._guard.explain(outcome.error, loaded, (fate,))
        return failure.explain(outcome, loaded, state, self._blockers.blockers)

    def _note_failure(self, step: Step, comment: str) -> None:
        """Note a failure in the audit log; its COMMIT waits for the disk, and so for all before."""
        if self._state.history.complete:
            self._flush(self._batches.failure(step, comment))

    def _recover(self, outcome: Outcome) -> NoReturn:
        """Find out what is true after the connection was lost, or the user interrupted the run.

        Raises:
            ChatdbError: always, with what the history says now.
        """
        state, running = self._state, self._tracker.running
        in_flight = tuple(takewhile(self._can_batch, state.remaining)) or state.remaining[:1]
        error = recover(self._session, state, self._tracker, outcome, in_flight)
        result = state.results.get(running.key) if running else None
        if running and (result is None or result.state == "failed"):
            self._note_failure(running, "interrupted" if outcome.interrupt else "connection lost")
        raise error from outcome.interrupt

    def _result(self) -> Run:
        return self._state.report(self._guard.losses)

    def _report(self, text: str, step: Step | None = None) -> None:
        self._tracker.waiting(text, step)

    def _note_progress(self) -> None:
        """Count waiting and tries from now: a step of the run's own is done."""
        self._patience.reset()
        self._blockers.forget()


def _step_of(outcome: Outcome) -> Step | None:
    """Return the step that failed; None if it was a batch before all steps."""
    tag: StepTag | None = outcome.batch.tag if outcome.batch else None
    return tag.step if tag else None
