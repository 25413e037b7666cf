"""PostgreSQL's SQLSTATEs by name, for errors that chatdb treats in a special way.

psycopg has a class for each SQLSTATE; where an exception is at hand, `except errors.DuplicateSchema` is
better than a comparison.  What does not belong here: what a user can do about an error (`hints.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psycopg import errors

if TYPE_CHECKING:
    from typing import Final


def sqlstate_of(error: type[errors.Error]) -> str:
    """Return the SQLSTATE of one of psycopg's error classes."""
    return error.sqlstate or ""


# Plain SQL has no ASSERT: a statement that must fail if a condition is false divides by zero then.
ASSERTION_FAILED: Final = sqlstate_of(errors.DivisionByZero)
INSUFFICIENT_PRIVILEGE: Final = sqlstate_of(errors.InsufficientPrivilege)
# XX000: of a statement about the catalog, an object was dropped while it was read.
INTERNAL_ERROR: Final = sqlstate_of(errors.InternalError_)
# `lock_timeout` has expired, or NOWAIT found a lock held.
LOCK_NOT_AVAILABLE: Final = sqlstate_of(errors.LockNotAvailable)
UNDEFINED_DATABASE: Final = sqlstate_of(errors.InvalidCatalogName)
# A prepared statement is unknown to this session: a pooler gave the transaction another one.
UNKNOWN_PREPARED_STATEMENT: Final = sqlstate_of(errors.InvalidSqlStatementName)
UNIQUE_VIOLATION: Final = sqlstate_of(errors.UniqueViolation)
# The same transaction may succeed if it is tried again.
TRANSIENT: Final = (
    LOCK_NOT_AVAILABLE,
    sqlstate_of(errors.DeadlockDetected),
    sqlstate_of(errors.SerializationFailure),
)


def sqlstate_name(sqlstate: str | None) -> str | None:
    """Return PostgreSQL's own name of a SQLSTATE, such as `undefined_column`, or None."""
    try:
        name = errors.lookup(sqlstate or "").__name__
    except KeyError:
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).strip("_").lower()
