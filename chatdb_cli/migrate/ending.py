"""End what an earlier connection of a run may still do on the server.

    end_old_session    end the session, and whatever of the run has not begun yet

A file can change the role, the application_name and every setting of its session, and can release its
session-level locks.  So a session is known by its process ID if the connection reported it.  Behind a
pooler each transaction acquires, before the file's statements, a transaction-level advisory lock with a
random key (`mark.py`): it is in pg_locks exactly until the transaction ends.  A pooler may still execute
what it has received when that transaction has ended; so a row in the audit log ends the run, and every
transaction looks for it before its claim.

What does not belong here: reading the history afterwards, what is reported (`recovery.py`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from chatdb_cli.migrate import queries
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.pipeline import Batch, run_pipeline
from chatdb_cli.postgres.sqlstates import TRANSIENT
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.migrate.session import Session

_ENDS_WITHIN_S = 10.0
# How long the row that ends the run waits for the transactions of the run, each time.
_TRY_MS = 500
_AFTERWARDS = "; then {status} shows the result, and the same command continues"


class _Pid(NamedTuple):
    """A session of the run; None is a prepared transaction."""

    pid: int | None


class _Told(NamedTuple):
    """The row of `queries.TERMINATE`."""

    told: bool


def end_old_session(session: Session) -> str | None:
    """End the session of a lost connection; return what to do if that is not certain, else None.

    The server may not have noticed that its client is gone, and could still commit.

    Args:
        session: of the run, with a new connection.

    Raises:
        psycopg.Error: the new connection is lost, too, or the history can't be written.
    """
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while True:
        pids = _terminate(session)
        if not pids and _end_run(session):
            return None
        if time.monotonic() > deadline:
            return _not_ended(pids)
        time.sleep(0.02)


def _terminate(session: Session) -> list[int | None]:
    """Tell the sessions of the run to end; return those that have not ended, None for a prepared one."""
    conn, mark = session.conn, session.mark
    values = {"pid": session.pid, "since": session.read_at}
    if mark is None:
        find = queries.OWN_SESSION.format(**values)
    else:
        find = queries.MARKED_SESSIONS.format(mark=mark.key, lock=session.lock_key, **values)
    pids = [row.pid for row in fetch(conn, _Pid, find, as_login=True)]
    for pid in filter(None, pids):
        with suppress(psycopg.errors.InsufficientPrivilege):
            fetch(conn, _Told, queries.TERMINATE.format(pid=pid), as_login=True)
    return pids


def _end_run(session: Session) -> bool:
    """End the run for what a pooler may still execute; return False to try again."""
    if session.mark is None:
        return True  # nothing but the session that has ended could execute it
    history = session.read_history()
    messages = session.transaction(history).end_run(history, _TRY_MS)
    outcome = run_pipeline(session.conn, [Batch(messages)])
    if outcome.lost or outcome.interrupt:
        raise outcome.interrupt or outcome.error  # type: ignore[misc]  # one of them is set
    session.roll_back()
    if outcome.error is not None and outcome.error.sqlstate not in TRANSIENT:
        raise outcome.error
    return outcome.error is None


def _not_ended(pids: Sequence[int | None]) -> str:
    """Return what to do about sessions that have not ended."""
    if None in pids:
        return Advice(
            "this run has left a prepared transaction, so the result is unknown: end it, as "
            "pg_prepared_xacts shows it" + _AFTERWARDS
        )
    if not pids:
        return Advice(
            "the history is locked, so the result is unknown: wait until other migrators have ended"
            + _AFTERWARDS
        )
    calls = " ".join(f"SELECT pg_terminate_backend({pid});" for pid in pids)
    return Advice(
        "the session of this run has not ended, so the result is unknown: end it with {calls}"
        + _AFTERWARDS,
        calls=calls,
    )
