"""Ask the server all questions in two round trips, and never wait for long.

    keep_session    keep the server from ending the session between two checks
    open_inquiry    begin the transaction, and learn which server and session it is
    ask             send all questions in one pipeline, and return the answer to each

A question that fails or takes too long has an error as its answer; the others are still answered: each
ends with a Sync, and the transaction returns to a savepoint after it.  The server stops a statement when
the time for all of them is over.  If it does not even do that, or the network is gone, the client closes
the connection.  What does not belong here: the questions (`checks/`), what an answer means.
"""

from __future__ import annotations

import selectors
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors, pq
from psycopg.adapt import Transformer

from chatdb_cli import log
from chatdb_cli.health import queries
from chatdb_cli.health.definition import Server
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import psycopg
    from psycopg.pq.abc import PGresult

# How long all questions together may take on the server, and how long one may wait for a lock.
TIMEOUT_MS, LOCK_TIMEOUT_MS = 2000, 500
# How much longer the client waits for the answers, which have to travel.
_GRACE_S = 1.0
# The relations in the target's schema that some check reads.
RELATIONS = (
    "_yoyo_migration", "chatdb_migration", "yoyo_lock", "events", "events_state",
    "sessions", "rate_limits", "typing_indicators", "notifications", "refresh_tokens",
)  # fmt: skip


class _Statement(NamedTuple):
    """A statement of the pipeline; a Sync follows it if it may fail."""

    sql: str
    row: type[Any] | None = None
    sync: bool = False
    note: Callable[[float], None] | None = None


def keep_session(conn: psycopg.Connection[Any]) -> None:
    """Keep the server from ending the session between two checks, unless a pooler shares it.

    The connection is closed if the server does not answer in time.

    Args:
        conn: an idle connection in autocommit mode.
    """
    keep = queries.KEEP_SESSION.format(pid=conn.info.backend_pid)
    _run(conn, [_Statement(keep, sync=True)])


def open_inquiry(
    conn: psycopg.Connection[Any], schema: str, note: Callable[[float], None] | None = None
) -> Server:
    """Begin the transaction of the questions, and return what the server says about itself.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        note: called with the seconds of the first round trip, which costs the server nothing.

    Raises:
        psycopg.Error: the server does not answer, or not in time; the connection is closed then.
    """
    quoting = Quoting(conn, schema)
    relations = "{" + ",".join(RELATIONS) + "}"
    limits = quoting.fill(
        queries.SET_LIMITS, timeout_ms=str(TIMEOUT_MS), lock_timeout_ms=str(LOCK_TIMEOUT_MS)
    )
    server = quoting.fill(queries.SERVER, relations=relations, name=schema)
    *_, answer = _run(
        conn,
        [
            _Statement(queries.BEGIN, sync=True, note=note),
            _Statement(limits),
            _Statement(queries.SAVEPOINT),
            _Statement(server, Server, sync=True),
        ],
    )
    if isinstance(answer, tuple):
        (row,) = answer
        return Server(*row)
    conn.close()
    raise answer


def ask(
    conn: psycopg.Connection[Any],
    schema: str,
    questions: Sequence[tuple[str, type[Any]]],
    meanwhile: Callable[[], object] = lambda: None,
    note: Callable[[int, float], None] | None = None,
) -> list[tuple[Any, ...] | psycopg.Error]:
    """Ask all questions in one round trip, end the transaction, and return the answer to each.

    An answer is the rows, or the error.  The connection is closed if the server does not answer in time.

    Args:
        conn: a connection after `open_inquiry`.
        schema: the target's schema.
        questions: the statement of each, and the type of its rows.
        meanwhile: called after they are sent, while the server works.
        note: called with the number of each question, from 0, and the seconds that its answer took.
    """
    quoting = Quoting(conn, schema)
    budget = _Statement(quoting.fill(queries.SET_REMAINING_TIME, timeout_ms=str(TIMEOUT_MS)))
    keys = {"{key}": quoting.session_key, "{lock_key}": quoting.lock_key}
    statements: list[_Statement] = []
    for number, (sql, row) in enumerate(questions):
        for name, key in keys.items():
            sql = sql.replace(name, key)
        sql = quoting.fill(sql, name=schema)
        statements += (
            budget,
            _Statement(sql, row, True, note and partial(note, number)),
            _Statement(queries.ROLLBACK_TO_SAVEPOINT),
        )
    statements.append(_Statement(queries.COMMIT, sync=True))
    answers = _run(conn, statements, meanwhile=meanwhile)
    return [answer for s, answer in zip(statements, answers, strict=True) if s.row]


def _run(
    conn: psycopg.Connection[Any],
    statements: Sequence[_Statement],
    meanwhile: Callable[[], object] = lambda: None,
) -> list[tuple[Any, ...] | psycopg.Error]:
    """Send statements in one pipeline, and return the rows or the error of each."""
    answers: list[tuple[Any, ...] | psycopg.Error] = []
    try:
        _send(conn.pgconn, statements)
        conn.pgconn.flush()
        meanwhile()
        _receive(conn, statements, answers)
    except errors.OperationalError as error:
        conn.close()
        answers += [error] * (len(statements) - len(answers))
    except BaseException:  # such as Ctrl-C: what is in flight belongs to no one
        conn.close()
        raise
    return answers


def _send(pgconn: pq.abc.PGconn, statements: Sequence[_Statement]) -> None:
    pgconn.enter_pipeline_mode()
    for statement in statements:
        pgconn.send_query_params(statement.sql.encode(), None)
        if statement.sync:
            pgconn.pipeline_sync()


def _receive(
    conn: psycopg.Connection[Any],
    statements: Sequence[_Statement],
    answers: list[tuple[Any, ...] | psycopg.Error],
) -> None:
    """Receive the results of all statements in order.

    Raises:
        psycopg.OperationalError: the connection is lost, or the time is over.
    """
    received = time.monotonic()
    deadline = received + TIMEOUT_MS / 1000 + _GRACE_S
    with selectors.DefaultSelector() as selector:
        selector.register(conn.pgconn.socket, selectors.EVENT_READ)

        for statement in statements:
            begun = time.monotonic()
            answer = _answer(conn, statement, _next(conn.pgconn, selector, deadline))
            answers.append(answer)
            if log.enabled(log.DEBUG):
                _log(statement, answer, time.monotonic() - begun)
            if statement.note:
                received, before = time.monotonic(), received
                statement.note(received - before)
            _next(conn.pgconn, selector, deadline)  # the None that ends the results of a statement
            if statement.sync:
                _next(conn.pgconn, selector, deadline)
    conn.pgconn.exit_pipeline_mode()


def _log(statement: _Statement, answer: tuple[Any, ...] | psycopg.Error, seconds: float) -> None:
    """Log a statement, with the time since the answer to the one before."""
    from chatdb_cli.postgres.logged import log_query

    if isinstance(answer, tuple):
        log_query(statement.sql, seconds, rows=len(answer), sqlstate=None)
    else:
        log_query(statement.sql, seconds, rows=0, sqlstate=answer.sqlstate)


def _next(
    pgconn: pq.abc.PGconn, selector: selectors.BaseSelector, deadline: float
) -> PGresult | None:
    """Return the next result as soon as it has arrived."""
    while True:
        unsent = pgconn.flush()
        if not pgconn.is_busy():
            return pgconn.get_result()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0)
        selector.modify(pgconn.socket, events)
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not selector.select(remaining):
            raise errors.OperationalError("the server did not answer in time")
        pgconn.consume_input()


def _answer(
    conn: psycopg.Connection[Any], statement: _Statement, result: PGresult | None
) -> tuple[Any, ...] | psycopg.Error:
    """Return the rows of a result, or its error.

    Raises:
        psycopg.OperationalError: the connection is lost.
    """
    if result is None or result.status == pq.ExecStatus.PIPELINE_ABORTED:
        return errors.InternalError("not executed")
    if result.status == pq.ExecStatus.FATAL_ERROR:
        error = errors.error_from_result(result)
        if conn.pgconn.status == pq.ConnStatus.BAD:
            raise errors.OperationalError(str(error))
        return error
    if statement.row is None:
        return ()
    names = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
    row_type = statement.row
    transformer = Transformer(conn)
    transformer.set_pgresult(result)
    return tuple(
        transformer.load_rows(
            0, result.ntuples, lambda row: row_type(**dict(zip(names, row, strict=True)))
        )
    )
