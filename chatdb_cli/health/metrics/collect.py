"""Read all metrics of a database in two round trips, however many objects it has.

    collect           all metrics
    read_migrations   how many migrations are applied and pending, and nothing else

What does not belong here: which metrics there are (`collectors.py`), the connection (`health/serve/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli.health.ask import ask, open_inquiry
from chatdb_cli.health.cursors import Unread, read_cursors, unread_statement
from chatdb_cli.health.history import history_question
from chatdb_cli.health.metrics.collectors import COLLECTORS, CURSORS, MIGRATIONS
from chatdb_cli.health.metrics.cursors import hidden_log, lag_rows
from chatdb_cli.health.metrics.migrations import Migrations, count_migrations, hidden
from chatdb_cli.health.metrics.model import Reading, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from chatdb_cli.health.definition import Server
    from chatdb_cli.health.metrics.files import MigrationFiles
    from chatdb_cli.health.metrics.model import Collector
    from chatdb_cli.postgres.model import Target

    Answer = tuple[Any, ...] | psycopg.Error
    Question = tuple[str, type[Any]]


def collect(
    conn: psycopg.Connection[Any], target: Target, files: MigrationFiles, *, top: int = 50
) -> Snapshot:
    """Read all metrics; what this role may not see, or what fails, is a reading without rows.

    Args:
        conn: an idle connection to the target, in autocommit mode.
        target: the database and schema.
        files: the files of the migrations.
        top: how many objects of a kind get series of their own.

    Raises:
        psycopg.Error: the server does not answer, or not in time; the connection is closed then.
    """
    latency: list[float] = []
    server = open_inquiry(conn, target.schema, latency.append)
    reason, history = hidden(server), history_question(server)
    asked: dict[Collector, Question] = {MIGRATIONS: history} if history and not reason else {}
    cursors, readings = read_cursors(target.settings), []
    if cursors and (hidden_cursors := hidden_log(server, cursors)):
        readings.append(Reading(CURSORS, None, hidden_cursors))
    elif cursors:
        asked[CURSORS] = unread_statement(cursors), Unread
    for collector in COLLECTORS:
        if not collector.applies(server):
            continue
        if collector.privileged and not server.sees_statistics:
            missing = f"role {server.user!r} is not a member of pg_monitor"
            readings.append(Reading(collector, None, missing))
        else:
            asked[collector] = _filled(collector.sql, server, top), dict
    seconds = [0.0] * len(asked)
    answers = _ask(conn, target, list(asked.values()), seconds.__setitem__)
    for collector, answer, took in zip(asked, answers, seconds, strict=True):
        reading = _reading(collector, answer, files)
        if collector is CURSORS and isinstance(answer, tuple):
            reading = Reading(CURSORS, lag_rows(cursors, answer))
        readings.append(reading._replace(seconds=took))
    if reason:
        readings.append(Reading(MIGRATIONS, None, reason))
    elif not history:
        readings.append(_reading(MIGRATIONS, (), files))
    return Snapshot(target, latency[0], tuple(readings))


def read_migrations(
    conn: psycopg.Connection[Any], target: Target, files: MigrationFiles
) -> Migrations | str:
    """Return how many migrations are applied and pending, or why that can't be read.

    Args:
        conn: an idle connection to the target, in autocommit mode.
        target: the database and schema.
        files: the files of the migrations.

    Raises:
        psycopg.Error: the server does not answer, or not in time; the connection is closed then.
    """
    server = open_inquiry(conn, target.schema)
    reason, history = hidden(server), history_question(server)
    questions = [history] if history and not reason else []
    answers = _ask(conn, target, questions)  # also ends the transaction
    if reason:
        return reason
    answer = answers[0] if answers else ()
    return count_migrations(answer, files.read()) if isinstance(answer, tuple) else _reason(answer)


def _ask(
    conn: psycopg.Connection[Any],
    target: Target,
    questions: Sequence[Question],
    note: Callable[[int, float], None] | None = None,
) -> Sequence[Answer]:
    """Ask all questions.

    Raises:
        psycopg.Error: the connection was lost, or the time is over.
    """
    answers = ask(conn, target.schema, questions, note=note)
    if conn.closed:
        for answer in answers:
            if not isinstance(answer, tuple):
                raise answer
    return answers


def _filled(sql: str, server: Server, top: int) -> str:
    schema = (
        (server.statements or "").replace("{", "{{").replace("}", "}}")
    )  # `ask` formats it again
    return sql.replace("{top}", str(top)).replace("{statements}", schema)


def _reading(collector: Collector, answer: Answer, files: MigrationFiles) -> Reading:
    if not isinstance(answer, tuple):
        return Reading(collector, None, _reason(answer))
    if collector is not MIGRATIONS:
        return Reading(collector, answer)
    counts = count_migrations(answer, files.read())
    row = {
        "migrations_applied": counts.applied,
        "migrations_pending": counts.pending,
        "migrations_unfinished": counts.unfinished,
    }
    return Reading(collector, (row,), counts.reason)


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip().partition("\n")[0]
