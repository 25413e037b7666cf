"""Recover from a failure: try again, plan again, wait, or find out what is true and end the run.

    Recovery          decides which of these, after an error or a cut
    recover           note the result of every step after a cut, and return the error
    reread_history    reconnect, end the old session, read the history again

What does not belong here: the words of an error (`failure.py`), the loop (`runner.py`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import psycopg

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrate import failure
from chatdb_cli.migrate.ending import end_old_session
from chatdb_cli.migrate.parts import Part, StepTag
from chatdb_cli.postgres.advisory_lock import (
    HISTORY_LOCKED,
    AdvisoryLock,
    locked_error,
    table_holder,
)
from chatdb_cli.postgres.blockers import HIDDEN_SESSION
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.logged import log_failure
from chatdb_cli.postgres.own import keep_session
from chatdb_cli.postgres.sqlstates import (
    ASSERTION_FAILED,
    LOCK_NOT_AVAILABLE,
    TRANSIENT,
    UNKNOWN_PREPARED_STATEMENT,
)
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.history.model import History
    from chatdb_cli.migrate.guards.model import RunGuard
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.patience import Patience
    from chatdb_cli.migrate.preflight import Preflight
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.migrate.tracker import StepTracker
    from chatdb_cli.postgres.blockers import BlockerWatch
    from chatdb_cli.postgres.pipeline import Outcome

_UNREACHABLE = Advice(
    "the server can't be reached, so the result is unknown: {status} will show it; then run the same "
    "command again"
)
_UNREADABLE = (
    "the history can't be read ({reason}), so the result is unknown: {status} will show it; then run "
    "the same command again"
)
_INTERRUPTED = Advice(
    "it was interrupted again before it knew the result: {status} will show it; then run the same "
    "command again"
)
_OTHER_MIGRATOR = (Part.LOCK, Part.CLAIM, Part.RECORD)  # they fail if another migrator interferes


class Recovery:
    """Decides how a run continues after a failure, or with which error it ends.

    Args:
        session: the session of the run.
        state: the run so far.
        tracker: where results and waiting are reported.
        guard: what guards the steps.
        patience: how long to wait, and how often to try again.
        blockers: the sessions that a statement waits for.
        preflight: loads the files of steps that are planned again.
        lock: the migration lock; None behind a pooler.
        note_failure: writes a failure of a step into the audit log.
    """

    def __init__(
        self,
        session: Session,
        state: RunState,
        tracker: StepTracker,
        guard: RunGuard,
        patience: Patience,
        blockers: BlockerWatch,
        preflight: Preflight,
        lock: AdvisoryLock | None,
        note_failure: Callable[[Step, str], None],
    ) -> None:
        self._session = session
        self._state = state
        self._tracker = tracker
        self._guard = guard
        self._patience = patience
        self._blockers = blockers
        self._preflight = preflight
        self._lock = lock
        self._note_failure = note_failure
        self.note_progress()

    def note_progress(self) -> None:
        """Count waiting and tries from now: a step of the run's own is done."""
        self._patience.reset()
        self._blockers.forget()

    def after_error(self, outcome: Outcome, error: psycopg.Error) -> None:
        """Continue if another session interfered, or if another try may succeed.

        Raises:
            ChatdbError: the migration failed, or a lock could not be acquired in time.
        """
        assert outcome.message is not None  # noqa: S101  (an error belongs to a message)
        part, sqlstate = outcome.message.part, error.sqlstate
        self._guard.forget()
        if self._lock and part is Part.ACQUIRE_LOCK:
            self._lock.acquire()
            self.after_another()
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

    def after_another(self) -> None:
        """Plan the remaining steps again after another migrator held the lock."""
        before = self._state.history
        self._state.replace_history(self._session.read_history())
        self._replan(before)
        self.note_progress()

    def after_cut(self, outcome: Outcome, in_flight: Sequence[Step]) -> NoReturn:
        """Find out what is true after the connection was lost, or the user interrupted the run.

        Args:
            outcome: how the run ended.
            in_flight: the steps that may have been sent.

        Raises:
            ChatdbError: always, with what the history says now.
        """
        state, running = self._state, self._tracker.running
        error = recover(self._session, state, self._tracker, outcome, in_flight)
        result = state.results.get(running.key) if running else None
        if running and (result is None or result.state == "failed"):
            self._note_failure(running, "interrupted" if outcome.interrupt else "connection lost")
        raise error from outcome.interrupt

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
            raise self._locked(outcome, error)
        else:
            text = log.warning("lock_wait", "waiting for another migrator", lock="migration")
            self._tracker.waiting(text)

    def _locked(self, outcome: Outcome, error: psycopg.Error) -> ChatdbError:
        """Return the error of a run that waited for another session until its time was over."""
        blocker = next(iter(self._blockers.blockers), None)
        holder = HIDDEN_SESSION if blocker is None and self._blockers.hidden else blocker
        part = outcome.message.part if outcome.message else None
        if part is not Part.LOCK and blocker is None:
            found = table_holder(self._session.conn, self._session.target.schema)
            if found is not None:
                return locked_error(found, error.sqlstate, HISTORY_LOCKED)
        migrates = blocker is None or (blocker.application or "").startswith("chatdb ")
        if part is Part.LOCK or migrates:
            return locked_error(holder, error.sqlstate)
        return locked_error(holder, error.sqlstate, HISTORY_LOCKED)

    def _pause(self, outcome: Outcome, error: psycopg.Error) -> None:
        """Wait a little before the whole file is tried again."""
        pause_s = self._patience.count_try()
        assert outcome.message is not None  # noqa: S101
        reason = str(error).strip().splitlines()[0]
        if outcome.message.part is Part.GUARD and error.sqlstate == ASSERTION_FAILED:
            reason = "the rows that it would delete have changed"
        attempt, retries, step = (
            self._patience.tries,
            self._patience.options.retries,
            _step_of(outcome),
        )
        text = log.warning(
            "retry",
            f"{reason}; trying again ({attempt} of {retries})",
            what="migration",
            attempt=attempt,
            retries=retries,
            delay_ms=round(pause_s * 1000),
            sqlstate=error.sqlstate,
            version=step.version if step else None,
            name=step.name if step else None,
        )
        self._tracker.waiting(text, step)
        if not self._session.pooled:
            keep_session(self._session.conn)
        time.sleep(pause_s)
        before, fingerprint = self._state.history, self._state.fingerprint
        self._state.replace_history(self._session.read_history())
        if self._state.fingerprint != fingerprint:
            self._replan(before)

    def _replan(self, before: History) -> None:
        for step in self._state.done_since(before):
            self._tracker.finish(step, "by-another")
        self._state.replan()
        self._preflight.load(self._state.steps)

    def _failure(self, outcome: Outcome) -> ChatdbError:
        """Return the error of the step that failed, and note it in the audit log."""
        step, state = _step_of(outcome), self._state
        if step is None:
            error = failure.explain_tables(outcome, state)
        else:
            error = self._explain(outcome, step)
            self._tracker.finish(step, "failed", error=error)
            place = error.place
            where = f" at {place.file.name}:{place.line}" if place and place.line else ""
            self._note_failure(step, f"{error.sqlstate}{where}")
        if outcome.error is not None and log.enabled():
            log_failure(outcome.error, self._session.conn)
        return error

    def _explain(self, outcome: Outcome, step: Step) -> ChatdbError:
        state = self._state
        loaded = state.loaded[step.key]
        unreadable: ChatdbError | None = None
        if not loaded.transactional:  # the history knows how many of its statements are done
            try:
                with suppress(psycopg.Error):  # the file may have dropped it
                    state.replace_history(self._session.read_history())
            except ChatdbError as refused:
                unreadable = refused
        outcome = self._guard.seen(outcome, loaded)
        if outcome.message and outcome.error and outcome.message.part is Part.GUARD:
            fate = failure.fate_of(outcome, loaded, state)
            return self._guard.explain(outcome.error, loaded, (fate,))
        error = failure.explain(outcome, loaded, state, self._blockers.blockers)
        if self._blockers.hidden and error.sqlstate == LOCK_NOT_AVAILABLE:
            error = error.with_(notes=(f"it waited for {HIDDEN_SESSION}", *error.notes))
        if unreadable is not None:  # so what became of the step is not known
            error = error.with_(notes=(unreadable.message,), hint=unreadable.hint)
        return self._guard.reword(error, outcome)


def recover(
    session: Session,
    state: RunState,
    tracker: StepTracker,
    outcome: Outcome,
    in_flight: Sequence[Step],
) -> ChatdbError:
    """Note the result of every step that was sent, and return the error that ends the run.

    Args:
        session: the session of the run; it gets a new connection if its own was lost.
        state: the run so far; its history is replaced.
        tracker: where results are noted.
        outcome: how the run ended.
        in_flight: the steps that may have been sent.
    """
    before = state.history
    advice = reread_history(session, state, outcome, tracker.waiting)
    if advice is not None:
        undone = next(iter(state.remaining), None)
        for step in in_flight:
            tracker.finish(step, "unknown")
        return failure.explain_cut(outcome, undone, advice)
    for step in state.done_since(before):
        tracker.finish(step, "applied" if step.direction == "up" else "reverted")
    state.replace_history(state.history)  # it also knows which steps stopped part-way
    undone = next(iter(state.remaining), None)
    if undone is None:
        fate = "every step is done"
    else:
        fate = failure.fate(undone, state, piecewise=state.unfinished_of(undone) is not None)
    error = failure.explain_cut(outcome, undone, notes=(fate,))
    if undone is not None and outcome.lost:
        tracker.finish(undone, "failed", error=error)
    return error


def reread_history(
    session: Session, state: RunState, outcome: Outcome, report: Callable[[str], None]
) -> str | None:
    """Read the history into the state; return what to do if the result of the run can't be known.

    Of a lost connection it is known only when the session of it has ended for certain.

    Args:
        session: the session of the run; it gets a new connection if its own was lost.
        state: its history is replaced.
        outcome: how the run ended.
        report: called with a line while the server can't be reached.
    """
    try:
        if outcome.lost:
            session.conn.close()
            session.conn = connect(session.target, report)
            if advice := end_old_session(session):
                return advice
        else:
            session.roll_back()
        state.replace_history(session.read_history())
    except ChatdbError:
        return _UNREACHABLE
    except psycopg.Error as error:
        if session.conn.closed:
            return _UNREACHABLE
        reason = str(error).strip().partition("\n")[0]
        return Advice(_UNREADABLE, reason=reason)
    except KeyboardInterrupt:  # a second one
        return _INTERRUPTED
    return None


def _step_of(outcome: Outcome) -> Step | None:
    """Return the step that failed; None if it was a batch before all steps."""
    tag: StepTag | None = outcome.batch.tag if outcome.batch else None
    return tag.step if tag else None
