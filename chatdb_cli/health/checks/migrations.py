"""Migrations: pending, unfinished, at odds with their files; a migrator at work.

What does not belong here: comparing files and history (`migrate/compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import Question, Reading, check, unknown, unreadable, unseen
from chatdb_cli.health.history import (
    comparable_files,
    hidden_tables,
    history_question,
    replaced_tables,
)
from chatdb_cli.health.words import age, number, session, some
from chatdb_cli.history.model import YoyoLock
from chatdb_cli.history.read import HistoryRow, applied_migrations, yoyo_lock_statement
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.files.model import Files
    from chatdb_cli.health.definition import Facts
    from chatdb_cli.history.model import AppliedMigration


class Migrator(NamedTuple):
    """The row of `queries.MIGRATOR`."""

    pid: int
    age_ms: int | None
    application: str | None
    user: str | None
    client: str | None
    state: str | None
    query: str | None


def _hidden(facts: Facts) -> Reading | None:
    """Return why the history can't be read, or None."""
    server, schema = facts.server, facts.target.schema
    if not server.schema_exists:
        message = f"there is no schema {schema!r} in database {facts.target.database!r}"
        return unknown(message, Advice("run {setup} to create it, or name another with {schema}"))
    if replaced := replaced_tables(server):
        return unknown(replaced, Advice("{status} says what it is"))
    tables = hidden_tables(server)
    return unreadable("the history of migrations", tables, facts) if tables else None


def _statement(facts: Facts) -> str:
    question = history_question(facts.server)
    return question[0] if question else queries.NO_HISTORY


def _yoyo_statement(facts: Facts) -> str:
    # A role that may read the history alone still gets its other problems.
    return yoyo_lock_statement() if "yoyo_lock" in facts.server.readable else queries.NO_YOYO_LOCK


HISTORY = Question(_statement, HistoryRow, _hidden)
YOYO_LOCK = Question(_yoyo_statement, YoyoLock)
MIGRATOR = Question(queries.MIGRATOR, Migrator)


def _compared(
    facts: Facts, rows: Sequence[HistoryRow]
) -> Reading | tuple[Files, Sequence[AppliedMigration]]:
    """Return the files and the applied migrations, or why they can't be compared."""
    applied = applied_migrations(rows)
    files = comparable_files(facts.project, applied)
    return files if isinstance(files, Reading) else (files, applied)


@check("pending-migrations", "count", HISTORY, degraded=0)
def pending_migrations(facts: Facts, rows: Sequence[HistoryRow]) -> Reading:
    """Migrations that have a file and are not applied."""
    from chatdb_cli.migrate import compare

    compared = _compared(facts, rows)
    if isinstance(compared, Reading):
        return compared
    pending = compare.pending(*compared)
    current = compare.current(compared[1]) or "none"
    if not pending:
        return Reading(0, f"no migration is pending; current {current}")
    return Reading(
        len(pending),
        f"{number(len(pending), 'migration is', 'migrations are')} pending: "
        f"{some([m.id for m in pending])}; current {current}",
        Advice("run {up}"),
    )


@check("unfinished-migrations", "count", HISTORY, MIGRATOR, error=0)
def unfinished_migrations(
    _: Facts, rows: Sequence[HistoryRow], migrators: Sequence[Migrator]
) -> Reading:
    """Files without a transaction that stopped part-way, while no migrator is at work."""
    unfinished = [a for a in applied_migrations(rows) if a.unfinished]
    if not unfinished:
        return Reading(0, "every migration is finished")
    names = some([f"{a.id} ({a.unfinished.direction})" for a in unfinished if a.unfinished])
    if migrators:
        return Reading(0, f"running now: {names}")
    first = unfinished[0].unfinished
    return Reading(
        len(unfinished),
        f"{number(len(unfinished), 'migration')} stopped part-way: {names}",
        Advice(
            "continue with {down}" if first and first.direction == "down" else "continue with {up}"
        ),
    )


@check("history-problems", "count", HISTORY, YOYO_LOCK, degraded=0)
def history_problems(
    facts: Facts, rows: Sequence[HistoryRow], locks: Sequence[YoyoLock]
) -> Reading:
    """Differences between files and history that stop the next run; a lock that yoyo has left."""
    from chatdb_cli.migrate import compare

    compared = _compared(facts, rows)
    if isinstance(compared, Reading):
        return compared
    problems = [p for p in compare.problems(*compared) if p.code != "unfinished"]
    problems += map(compare.yoyo_lock_problem, locks)
    if not problems:
        return Reading(0, "files and history agree")
    more = f", and {number(len(problems) - 1, 'more problem')}" if problems[1:] else ""
    return Reading(len(problems), problems[0].message + more, problems[0].hint)


@check("migrator", "ms", MIGRATOR, degraded=600_000)
def migrator(facts: Facts, rows: Sequence[Migrator]) -> Reading:
    """How long another migrator has been at work on this target."""
    if not rows:
        return Reading(0, "no migrator is at work")
    (row,) = rows
    if row.age_ms is None:
        hidden = unseen("since when", facts.server)
        return hidden._replace(message=f"a migrator is at work (pid {row.pid}); {hidden.message}")
    return Reading(
        row.age_ms,
        f"a migrator has been at work for {age(row.age_ms)}: {session(row)}",
        f"wait for it; if it hangs, end it: SELECT pg_terminate_backend({row.pid})",
    )
