"""Send chatdb's own statements so that names in them are found in pg_catalog alone.

    fetch           the rows of a statement
    keep_session    keep the server from ending an idle session
    in_pg_catalog   the text that is sent for it

In a schema where others may create objects, an operator or a function of theirs can fit the arguments of
a statement better than that of pg_catalog, and would run with the privileges of the role that sends it.
So the path is set in the same message, which also works through a pooler.  Other transactions, such as
that of a migration (`migrate/frame.py`), set it themselves.

What does not belong here: the statements (`queries.py` of each package).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from chatdb_cli.postgres import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import psycopg

_T = TypeVar("_T")
_IDLE_SESSION_TIMEOUT_SINCE = 140000


def fetch(
    conn: psycopg.Connection[Any],
    row_type: Callable[..., _T],
    sql: str,
    lock_timeout_ms: int | None = None,
    *,
    as_login: bool = False,
) -> list[_T]:
    """Send one statement in one message, and return its rows.

    The settings of a transaction that is open stay as they are.

    Args:
        conn: a connection that is idle and in autocommit mode, or in a transaction that has not failed.
        row_type: called with the columns of each row, by their names.
        sql: the statement, with its values in it (`quoting.py`).
        lock_timeout_ms: how long it may wait for a lock, in milliseconds; None is what the session has.
        as_login: send it as the role that logged in.  The default of that role can be another one
            (`ALTER ROLE ... SET role`), which does not see what the sessions of its login do.

    Raises:
        psycopg.Error: the server's error.
    """
    from psycopg.pq import TransactionStatus
    from psycopg.rows import kwargs_row

    idle = conn.info.transaction_status is TransactionStatus.IDLE
    if lock_timeout_ms is not None:
        sql = f"{queries.LOCK_TIMEOUT.format(milliseconds=max(1, lock_timeout_ms))};\n{sql}"
    with conn.cursor(row_factory=kwargs_row(row_type)) as cursor:
        cursor.execute(
            in_pg_catalog(sql, restore=not idle, as_login=as_login).encode(), prepare=False
        )
        while cursor.description is None and cursor.nextset():
            pass
        return cursor.fetchall()


def keep_session(conn: psycopg.Connection[Any]) -> None:
    """Keep the server from ending an idle session, for which a role or a database may set a time.

    Args:
        conn: an idle connection with a session of its own: a pooler would give the setting to others.
    """
    if conn.info.server_version >= _IDLE_SESSION_TIMEOUT_SINCE:
        conn.execute(queries.NO_IDLE_TIMEOUT)


def in_pg_catalog(sql: str, *, restore: bool = False, as_login: bool = False) -> str:
    """Return a statement with those that have its names found in pg_catalog alone.

    Args:
        sql: the statement.
        restore: undo the settings after it, in a transaction that is open.
        as_login: it is sent as the role that logged in.
    """
    if as_login:
        sql = f"{queries.OWN_ROLE};\n{sql}"
    if not restore:
        return f"{queries.PG_CATALOG_ONLY};\n{sql}"
    return (
        f"{queries.OWN_SAVEPOINT};\n{queries.PG_CATALOG_ONLY};\n{sql};\n{queries.OWN_SAVEPOINT_END}"
    )
