"""The error of a file that reached outside of its test schema, or that needs a right which it lacks.

    explain_right    the server refused a statement: the schema's role has no right to it
    explain_reach    the watch found a change: which statement made it, and to what

What does not belong here: finding the changes (`watch.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.postgres.diagnosis import server_error
from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, sqlstate_of
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.privileged import find_privileged
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.migrate.confine.rights import Rights
    from chatdb_cli.migrate.confine.watch import Object, Watch
    from chatdb_cli.migrate.model import LoadedStep

_RIGHT = "the file needs a right that it does not have in a test schema"
_ALONE = "the statement can't run in a transaction, as every file of a test schema does"
# Why the server refuses what `migrate up` may do.
REASONS = {
    INSUFFICIENT_PRIVILEGE: _RIGHT,
    sqlstate_of(psycopg.errors.ActiveSqlTransaction): _ALONE,
    sqlstate_of(psycopg.errors.InvalidTransactionTermination): _ALONE,
}
_WAY_OUT = Advice(
    "in a test schema a migration may change nothing else: create what it needs in a migration, leave "
    "this out of the files that tests run, or use a test database of its own: {setup_test_database}"
)


def explain_right(failure: ChatdbError, text: str, watch: Watch) -> ChatdbError:
    """Return the error of a statement that PostgreSQL refused.

    Args:
        failure: the error as any other run would get it.
        text: the statement.
        watch: knows the event triggers of the database.
    """
    reason = REASONS[failure.sqlstate or ""]
    return failure.with_(
        code=Code.REFUSED,
        message=f"{reason}: {failure.message}{_roles(text)}",
        hint=_WAY_OUT,
        notes=(*_event_triggers(watch), *failure.notes),
    )


def explain_reach(
    conn: psycopg.Connection[Any],
    watch: Watch,
    rights: Rights,
    loaded: LoadedStep,
    number: int,
    notes: tuple[str, ...],
) -> ChatdbError:
    """Find the statement that reached outside, by running the file again and rolling back.

    Args:
        conn: an idle connection in autocommit mode.
        watch: looks for changes.
        rights: runs the statements as the run did.
        loaded: the file.
        number: the statement, in a file of which each commits; -1 for the whole file.
        notes: what became of the run; the last notes of the error.
    """
    script = loaded.script
    statements = loaded.statements or (Statement(script.text, 0),)
    numbered = list(enumerate(statements))
    if number >= 0:
        numbered = numbered[number : number + 1]
    place = Location(script.path)
    changed: set[Object] = set()
    watch.begin()
    try:
        before = watch.outside() if watch.before else set()
        conn.execute(rights.path.encode())
        for n, statement in numbered:
            _run(conn, rights, loaded, n, statement)
            changed = watch.changed()
            if watch.before:
                changed |= watch.outside() ^ before
            if changed:
                place = locate(script.text, statement.offset, script.path)
                break
    except psycopg.Error:  # this time the file failed in another way
        pass
    return ChatdbError(
        Code.REFUSED,
        f"this reaches outside of the test schema{watch.roll_back(changed)}",
        hint=_WAY_OUT,
        place=place,
        notes=(*_event_triggers(watch), *notes),
    )


def explain_other(error: psycopg.Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
    """Return the error of a file whose changes could not be determined."""
    code = Code.LOCKED if error.sqlstate == LOCK_NOT_AVAILABLE else Code.REFUSED
    what = "could not determine what it changes outside of the test schema"
    failure = server_error(error, code, what)
    return failure.with_(place=Location(loaded.script.path), notes=failure.notes + notes)


def _run(
    conn: psycopg.Connection[Any],
    rights: Rights,
    loaded: LoadedStep,
    number: int,
    statement: Statement,
) -> None:
    for message in rights.file(loaded.script, [(number, statement)]):
        conn.execute(message.sql)


def _roles(text: str) -> str:
    """Return the roles that a statement about roles names, which the server does not always tell."""
    privileged = find_privileged(text)
    names = [name for name in (*privileged.makes, *privileged.names) if name] if privileged else []
    return f" (role {', '.join(names)})" if names else ""


def _event_triggers(watch: Watch) -> Sequence[str]:
    """Return a note that names the event triggers, which run with what the file does."""
    names = watch.surroundings.event_triggers
    if not names:
        return ()
    which = "event trigger" if len(names) == 1 else "event triggers"
    return (
        f"the database has the {which} {', '.join(names)}, which runs inside of every file, and may be "
        "what reaches outside",
    )
