"""Find out what is true after a connection was lost or a run was interrupted.

    reread_history    reconnect, end the old session, read the history again

What does not belong here: which error is raised then (`failure.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrate import queries
from chatdb_cli.postgres.connect import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.postgres.pipeline import Outcome

_SESSION_ENDS_WITHIN_S = 10.0


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
