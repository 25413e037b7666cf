"""What a user can do about an error of the server, by its SQLSTATE.

What does not belong here: errors of a connection that was never opened (`connect_failures.py`), errors
of the change log (`events/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors

from chatdb_cli.postgres.sqlstates import sqlstate_of
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.secrets import mask_message

if TYPE_CHECKING:
    from psycopg.errors import Diagnostic

SETUP = Advice("{setup} creates it")


def hint_for(sqlstate: str | None, diag: Diagnostic) -> str | None:
    """Return what to do about an error of the server, or None if its message is enough."""
    message = mask_message(diag.message_primary or "")
    if message == _STANDBY:
        sqlstate = sqlstate_of(errors.ReadOnlySqlTransaction)
    template = HINTS.get(sqlstate or "")
    if template is None:
        return None
    return Advice(
        template,
        right=_missing_right(message),
        table=diag.table_name or "the table",
        constraint=diag.constraint_name or "the constraint",
    )


def _missing_right(message: str) -> str:
    """Return the missing right and its object, as far as the server's message for 42501 names them."""
    owned = message.removeprefix("must be owner of ")
    if owned != message:
        return f"the ownership of {owned}"
    kind = message.removeprefix("permission denied to create ")
    if kind in _ATTRIBUTES:
        return f"the attribute {_ATTRIBUTES[kind]}"
    denied = message.removeprefix("permission denied for ")
    if denied != message:
        right = _RIGHTS.get(denied.partition(" ")[0], "what the statement needs")
        return f"{right} on {denied}"
    return "the right that is named"


_ATTRIBUTES = {"database": "CREATEDB", "role": "CREATEROLE"}
_RIGHTS = {
    "database": "CREATE",
    "function": "EXECUTE",
    "language": "USAGE",
    "procedure": "EXECUTE",
    "schema": "USAGE and CREATE",
    "sequence": "USAGE",
    "table": "SELECT, INSERT or what else the statement needs",
    "tablespace": "CREATE",
    "type": "USAGE",
}
# A migration's BEGIN has READ WRITE, for which a standby reports not 25006 but 0A000.
_STANDBY = "cannot set transaction read-write mode during recovery"
_BY_ERROR: dict[type[errors.Error], str] = {
    errors.DuplicateDatabase: "a database of that name exists already: nothing to do, or choose "
    "another name",
    errors.DuplicateSchema: "the schema exists already; write CREATE SCHEMA IF NOT EXISTS, or drop "
    "it first",
    errors.DuplicateTable: "an object of that name exists already, perhaps created by hand: "
    "drop it, or choose another name",
    errors.InsufficientPrivilege: "give the role that migrates {right}, or use another role",
    errors.InvalidCatalogName: "{setup} creates it",
    errors.UniqueViolation: "rows in {table} violate unique constraint {constraint}: fix them earlier "
    "in this migration, before the constraint is added",
    errors.ForeignKeyViolation: "rows in {table} reference rows that do not exist ({constraint}): fix "
    "them earlier in this migration, or correct the order of the statements",
    errors.InvalidPassword: "correct the password where it is set, or in ~/.pgpass",
    errors.TooManyConnections: "wait, or raise the limit: max_connections of the server, or the "
    "CONNECTION LIMIT of the role or database that is named; 'SELECT * FROM pg_stat_activity' lists "
    "the sessions",
    errors.OutOfMemory: "if shared memory is exhausted, raise max_locks_per_transaction, or divide "
    "the work among several migrations",
    errors.DiskFull: "free space on the server's disk; this migration was rolled back",
    errors.LockNotAvailable: "another session holds a lock on what this changes: run it again when "
    "that session is done, end it with SELECT pg_terminate_backend(PID), or try longer with {retries} "
    "or {lock_timeout}",
    errors.CannotConnectNow: "the server is starting or stopping: try again in a moment",
    errors.QueryCanceled: "raise {statement_timeout} if the statement has to take this long; if "
    "someone canceled it, run it again",
    errors.ReadOnlySqlTransaction: "the server is a standby or set to read-only: name the primary",
    errors.ActiveSqlTransaction: "such a statement cannot run inside a transaction: put "
    '"-- chatdb: transactional: false" at the top of the file; for an isolation level write '
    '"-- chatdb: isolation: serializable"',
    errors.InvalidTransactionTermination: "the procedure commits by itself: put "
    '"-- chatdb: transactional: false" at the top of the file',
    errors.DeadlockDetected: "two sessions waited for each other: run it again",
    errors.SerializationFailure: "a concurrent transaction changed the same data: run it again",
}
# The templates of `Advice`, by SQLSTATE; tests/migrate/test_sqlstates.py provokes each of them.
HINTS = {sqlstate_of(error): hint for error, hint in _BY_ERROR.items()}
