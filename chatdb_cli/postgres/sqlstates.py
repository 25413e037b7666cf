"""PostgreSQL's SQLSTATEs: their names, and what to do about an error that has one.

What does not belong here: errors of a connection that was never made (`connect_failures.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.redaction import mask

if TYPE_CHECKING:
    from psycopg.errors import Diagnostic

SETUP = '"chatdb setup" makes it'


def sqlstate_name(sqlstate: str | None) -> str | None:
    """Return PostgreSQL's own name of a SQLSTATE, such as `undefined_column`, or None."""
    import re

    from psycopg import errors

    try:
        name = errors.lookup(sqlstate or "").__name__
    except KeyError:
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def hint_for(sqlstate: str | None, diag: Diagnostic) -> str | None:
    """Return what to do about an error of the server, or None where it speaks for itself."""
    message = mask(diag.message_primary or "")
    if message == _STANDBY:
        sqlstate = "25006"
    template = HINTS.get(sqlstate or "")
    if template is None:
        return None
    return template.format(
        right=_right(message),
        table=diag.table_name or "the table",
        constraint=diag.constraint_name or "the constraint",
    )


def _right(message: str) -> str:
    """Return which right on which object lacks, as far as the server's words for 42501 tell."""
    if (owned := message.removeprefix("must be owner of ")) != message:
        return f"the ownership of {owned}"
    if (made := message.removeprefix("permission denied to create ")) in _ATTRIBUTES:
        return f"the attribute {_ATTRIBUTES[made]}"
    if (what := message.removeprefix("permission denied for ")) != message:
        return f"{_RIGHTS.get(what.partition(' ')[0], 'what the statement needs')} on {what}"
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
# A migration's BEGIN says READ WRITE, which a standby does not call 25006 but 0A000.
_STANDBY = "cannot set transaction read-write mode during recovery"
# By SQLSTATE; tests/test_errors.py provokes each of them.
HINTS = {
    "42P04": "a database of that name is there already: nothing to do, or choose another name",
    "42P06": "the schema is there already; write CREATE SCHEMA IF NOT EXISTS, or drop it first",
    "42P07": "something of that name is there already, perhaps made by hand: "
    "drop it, or name yours differently",
    "42501": "give the role that migrates {right}, or use another role",
    "3D000": SETUP,
    "23505": "rows in {table} break the unique rule {constraint}: clean them up in this migration, "
    "before the rule is made",
    "23503": "rows in {table} point to rows that are not there ({constraint}): clean them up in "
    "this migration, or correct the order of the statements",
    "28P01": "correct the password where it is set, or in ~/.pgpass",
    "53300": "wait, or raise the limit: max_connections of the server, or the CONNECTION LIMIT of the "
    "role or database that is named; 'SELECT * FROM pg_stat_activity' shows who is on",
    "53200": "where shared memory ran out raise max_locks_per_transaction, or spread the work over "
    "several migrations",
    "53100": "make room on the server's disk; nothing of this migration was kept",
    "55P03": "another session holds a lock on what this changes: run it again when that is done, "
    "end it with SELECT pg_terminate_backend(PID), or try longer with --retries or --lock-timeout",
    "57P03": "the server is starting or stopping: try again in a moment",
    "57014": "raise --statement-timeout if the statement has to take this long; if somebody "
    "cancelled it, run it again",
    "25006": "the server is a standby or set to read-only: name the primary",
    "25001": 'such a statement runs alone: put "-- chatdb: transactional: false" at the top of the '
    'file; for an isolation level write "-- chatdb: isolation: serializable"',
    "2D000": "the procedure commits by itself: put "
    '"-- chatdb: transactional: false" at the top of the file',
    "40P01": "two sessions wait for each other: run it again",
    "40001": "another transaction came between: run it again",
}
