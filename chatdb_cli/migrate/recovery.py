"""Find out what is true after a connection was lost or a run was interrupted.

    recover           note the result of every step, and return the error
    reread_history    reconnect, end the old session, read the history again

What does not belong here: the words of the error (`failure.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrate import failure, queries
from chatdb_cli.postgres.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.migrate.tracker import StepTracker
    from chatdb_cli.postgres.pipeline import Outcome

_SESSION_ENDS_WITHIN_S = 10.0


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
    if not reread_history(session, state, outcome, tracker.waiting):
        undone = next(iter(state.remaining), None)
        for step in in_flight:
            tracker.finish(step, "unknown")
        return failure.explain_cut(outcome, undone, known=False)
    for step in state.done_since(before):
        tracker.finish(step, "applied" if step.direction == "up" else "reverted")
    state.replace_history(state.history)  # it also knows which steps stopped part-way
    undone = next(iter(state.remaining), None)
    if undone is None:
        fate = "every step is done"
    else:
        fate = failure.fate(undone, state, piecewise=state.unfinished_of(undone) is not None)
    error = failure.explain_cut(outcome, undone, known=True, notes=(fate,))
    if undone is not None and outcome.lost:
        tracker.finish(undone, "failed")
    return error


def reread_history(
    session: Session, state: RunState, outcome: Outcome, report: Callable[[str], None]
) -> bool:
    """Read the history into the state; return False if the result of the run can't be known.

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
            if not _end_old_session(session):
                return False
        else:
            session.roll_back()
        state.replace_history(session.read_history())
    except (ChatdbError, psycopg.Error):
        return False
    return True


def _end_old_session(session: Session) -> bool:
    """End the session of a lost connection; return False if it has not ended in time.

    The server may not have noticed that its client is gone, and could still commit.
    """
    deadline = time.monotonic() + _SESSION_ENDS_WITHIN_S
    values = {"pid": session.pid, "name": session.target.application}
    while session.conn.execute(queries.END_SESSION, values).fetchall():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
