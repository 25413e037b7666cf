"""What is logged about connections, about chatdb's own statements, and about errors of the server.

    log_connection    a connection was opened
    log_query         a statement of chatdb's own was executed
    log_failure       a constraint was violated, or a trigger function failed

What does not belong here: the list of events (`log_events.py`), what an error says to people
(`diagnosis.py`).
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from chatdb_cli import log
from chatdb_cli.postgres import queries
from chatdb_cli.syntax.secrets import mask, mask_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.postgres.model import Target

_LONGEST_SQL = 200
_INTEGRITY = "23"  # the class of SQLSTATEs for violated constraints
_NAME = r'"(?:[^"]|"")+"|[\w$]+'
# A line of the server's context, in any language: the name of a function without arguments, such as a
# trigger function, and the number of a line.
_FUNCTION = re.compile(rf"PL/pgSQL.*?(?P<function>(?:({_NAME})\.)?({_NAME}))\(\)\D*(?P<line>\d+)?")


class _Trigger(NamedTuple):
    """A row of `queries.TRIGGERS_OF_FUNCTION`; the function has no trigger if both are None."""

    table: str | None
    trigger: str | None


def log_connection(conn: psycopg.Connection[Any], target: Target, start: float) -> None:
    """Log that a connection was opened; with the level debug, log each statement on it from now on.

    Args:
        conn: the connection.
        target: what it is connected to.
        start: when that began, by the monotonic clock.
    """
    info = conn.info
    number = info.server_version
    version = info.parameter_status("server_version") or f"{number // 10000}.{number % 10000}"
    log.info(
        "connection",
        f"connected to {target.where}",
        state="opened",
        host=target.host,
        port=target.port,
        database=info.dbname,
        user=info.user,
        pid=info.backend_pid,
        server_version=version,
        ssl=conn.pgconn.ssl_in_use,
        duration_ms=round((time.monotonic() - start) * 1000),
    )
    if log.enabled(log.DEBUG):
        conn.cursor_factory = _LoggedCursor


class _LoggedCursor(psycopg.Cursor[Any]):
    """A cursor that logs each statement with its duration."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        with _timed(self, query):
            return super().execute(query, *arguments, **options)


@contextmanager
def _timed(cursor: psycopg.Cursor[Any], query: Any) -> Iterator[None]:
    start, sqlstate = time.monotonic(), None
    try:
        yield
    except psycopg.Error as error:
        sqlstate = error.sqlstate
        raise
    finally:
        text = query if isinstance(query, str | bytes) else query.as_bytes(cursor)
        sql = text.decode(errors="replace") if isinstance(text, bytes) else text
        log_query(sql, time.monotonic() - start, rows=max(cursor.rowcount, 0), sqlstate=sqlstate)


def log_query(sql: str, seconds: float, *, rows: int, sqlstate: str | None) -> None:
    """Log one of chatdb's own statements, with the level debug.

    Args:
        sql: the statement.
        seconds: how long it took.
        rows: how many rows it returned or changed.
        sqlstate: of its error, or None.
    """
    sql = " ".join(mask(sql).split())[:_LONGEST_SQL]
    duration_ms = round(seconds * 1000, 1)
    log.debug(
        "query",
        f"{sql} ({duration_ms} ms)",
        sql=sql,
        rows=rows,
        duration_ms=duration_ms,
        sqlstate=sqlstate,
    )


def log_failure(error: psycopg.Error, conn: psycopg.Connection[Any]) -> None:
    """Log what the server tells about a constraint or a trigger, if the error is about one.

    Args:
        error: the error of a statement.
        conn: the connection, whose transaction has ended; the catalog is asked over it.
    """
    diag, sqlstate = error.diag, error.sqlstate or ""
    if sqlstate.startswith(_INTEGRITY):
        log.error(
            "constraint_violation",
            mask_message(diag.message_primary or sqlstate),
            schema=diag.schema_name,
            table=diag.table_name,
            column=diag.column_name,
            constraint=diag.constraint_name,
            sqlstate=sqlstate,
        )
    if diag.context and not conn.closed:
        _log_trigger(diag.context, mask_message(diag.message_primary or sqlstate), sqlstate, conn)


def _log_trigger(context: str, message: str, sqlstate: str, conn: psycopg.Connection[Any]) -> None:
    """Log the innermost function of the context that is a trigger function, if one is.

    The catalog tells that, and the trigger if there is only one: the context names functions alone.
    """
    for line in context.splitlines():
        match = _FUNCTION.search(line)
        if match is None:
            continue
        schema, name = (part and _unquoted(part) for part in match.group(2, 3))
        cursor = conn.cursor(row_factory=class_row(_Trigger))
        try:
            values = {"schema": schema, "name": name}
            triggers = cursor.execute(queries.TRIGGERS_OF_FUNCTION, values).fetchall()
        except psycopg.Error:  # the connection is lost: the failure itself is reported anyway
            return
        if triggers:
            table, trigger = triggers[0] if len(triggers) == 1 else (None, None)
            log.error(
                "trigger_error",
                message,
                table=table,
                trigger=trigger,
                function=f"{match['function']}()",
                line=int(match["line"]) if match["line"] else None,
                sqlstate=sqlstate,
            )
            return


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
