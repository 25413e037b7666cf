"""What it means if rows can't be read, and what to do then.

What does not belong here: rights, which are checked before anything is read (`tables.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from chatdb_cli.errors import Code
from chatdb_cli.postgres.diagnosis import unexpected_error
from chatdb_cli.postgres.sqlstates import sqlstate_of
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.errors import ChatdbError

_HINTS = {
    sqlstate_of(errors.LockNotAvailable): Advice(
        "another session holds a lock on a table, such as for ALTER TABLE or TRUNCATE: count again when "
        "it is done, or wait longer with {lock_timeout}"
    ),
    sqlstate_of(
        errors.SerializationFailure
    ): "the standby canceled it, to apply what the primary has "
    "changed: count on the primary, set hot_standby_feedback, or raise max_standby_streaming_delay",
    sqlstate_of(
        errors.OutOfMemory
    ): "if shared memory is exhausted, raise max_locks_per_transaction, or name fewer tables",
    sqlstate_of(
        errors.InsufficientPrivilege
    ): "a view reads tables with the rights of its owner, from which a policy hides rows, or which may "
    "not read them: name the tables themselves",
    sqlstate_of(errors.QueryCanceled): Advice(
        "raise {statement_timeout} if it has to take this long; if someone canceled it, run it again"
    ),
}


@contextmanager
def explain_count_failures() -> Iterator[None]:
    """Turn an exception of psycopg in the block into a `ChatdbError` that tells what failed.

    Raises:
        ChatdbError: `LOST`, `LOCKED`, `LOGIN`, or `UNREADABLE` for all else.
    """
    try:
        yield
    except psycopg.Error as error:
        raise count_failure(error) from None


def count_failure(error: psycopg.Error) -> ChatdbError:
    """Return the error of a statement that could not count rows, with what to do then."""
    failure = unexpected_error(error, "the rows can't be counted", Code.UNREADABLE)
    return failure.with_(hint=_HINTS.get(error.sqlstate or "", failure.hint))
