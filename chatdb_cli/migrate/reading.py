"""Read the history of a target patiently: another session may have locked one of its tables.

    read_target_history    read it, and wait for a lock as long as the settings say
    read_patiently         the same for anything that reads tables of the history

What does not belong here: what is read (`history/read.py`), whether it may be written (`entry.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import psycopg

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.history.read import read_history

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.model import Target

_T = TypeVar("_T")
# One try waits so long, in milliseconds: then the session that holds the lock is named.
_TRY_MS = 500


def read_target_history(
    conn: psycopg.Connection[Any], target: Target, report: Callable[[str], None] = ignore
) -> History:
    """Read the history of a target; the arguments are those of `read_patiently`.

    Raises:
        ChatdbError: `LOCKED`; or what `read_history` raises.
    """
    return read_patiently(
        conn, target, lambda limit_ms: read_history(conn, target.schema, limit_ms), report
    )


def read_patiently(
    conn: psycopg.Connection[Any],
    target: Target,
    read: Callable[[int], _T],
    report: Callable[[str], None] = ignore,
) -> _T:
    """Return what is read; wait for a session that has locked a table of the history.

    Args:
        conn: an idle connection.
        target: the database and schema; its settings say how long to wait.
        read: reads, and waits at most so many milliseconds for a lock.
        report: called with a line when it has to wait.

    Raises:
        ChatdbError: `LOCKED`, with the session that holds the lock.
    """
    deadline = time.monotonic() + target.settings.wait_ms / 1000
    reported: int | str = ""
    while True:
        remaining_ms = max(1, round((deadline - time.monotonic()) * 1000))
        try:
            return read(min(_TRY_MS, remaining_ms))
        except psycopg.errors.LockNotAvailable as error:
            from chatdb_cli.postgres.advisory_lock import (
                HISTORY_LOCKED,
                locked_error,
                table_holder,
            )

            holder = table_holder(conn, target.schema)
            if time.monotonic() >= deadline:
                raise locked_error(holder, error.sqlstate, HISTORY_LOCKED) from None
            who = holder if isinstance(holder, str) else holder.pid if holder else ""
            if holder and who != reported:
                reported = who
                text = f"waiting for a lock on the history: {holder}"
                report(log.warning("lock_wait", text, lock="history"))
