"""Mark migrations as applied, or as not applied, and run nothing.

    plan_marks    the changes of the history, from files, history and a request
    carry_out     makes exactly these changes, or none
    report        the changes as a run

A change is shown first and carried out afterwards, as a repair is.  What does not belong here: making
the history agree with edited files (`repair.py`), asking the user (the command line).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history.model import number_of
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.model import Mark, Marks, Run, Step, StepResult
from chatdb_cli.migrate.repair import write_statements
from chatdb_cli.migrate.versions import known_migration, known_number, require_name
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Direction, Files, Migration
    from chatdb_cli.findings import Finding
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.migrate.model import MarkRequest, StepState
    from chatdb_cli.migrate.parts import Timeouts
    from chatdb_cli.migrate.transaction import MigrationTransaction
    from chatdb_cli.postgres.model import Target


def file_problems(files: Files, request: MarkRequest) -> list[Finding]:
    """Return why the files can't be marked: a version is used twice, or a file can't be a migration."""
    problems = [*compare.duplicate_problems(files)]
    if request != "unmark":
        problems += map(compare.refused_problem, files.refused)
    return problems


def plan_marks(
    target: Target, files: Files, past: History, request: MarkRequest, versions: Sequence[str]
) -> Marks:
    """Return the changes that a request makes; a migration that is as wanted already is left out.

    Args:
        target: the database and schema.
        files: the files on disk.
        past: the history.
        request: mark or unmark these versions; or a baseline up to the last of them.
        versions: numbers or names of migrations.

    Raises:
        ChatdbError: `USAGE` for an unknown version; `REFUSED` for a baseline of a database in which a
            migration was run; `HISTORY` if the files are those of another project, or the history has a
            version for another migration.
    """
    if request != "unmark" and compare.is_other_folder(files, past.applied):
        problem = compare.problems(files, past.applied)[-1]
        raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
    for problem in compare.invalid_problems(past.applied):
        raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
    row_of = {a.number: a for a in past.applied if a.number >= 0}
    if request == "unmark":
        numbers = {known_number(v, files, past.applied): v for v in versions}
        rows = [row_of[n] for n in numbers if n in row_of]
        for row in rows:
            require_name(numbers[row.number], row.id)
        marks = [_unmark(row) for row in sorted(rows, key=lambda a: a.number, reverse=True)]
    elif request == "mark":
        wanted = {m.number: m for v in versions for m in (known_migration(v, files),)}
        marks = list(_marks(files.migrations, wanted.keys(), row_of))
    else:
        marks = _baseline_marks(files, row_of, versions[-1])
    return Marks(target, request, tuple(marks), past)


def _baseline_marks(files: Files, row_of: dict[int, AppliedMigration], version: str) -> list[Mark]:
    """Return the changes to or of a baseline, which may move while nothing was run after it."""
    newest = known_migration(version, files)
    run = [row for row in row_of.values() if not is_marked(row)]
    if run:
        last = max(run, key=lambda a: a.number)
        raise ChatdbError(
            Code.REFUSED,
            f"the history is not empty: {last.id} was applied, not only marked",
            hint=Advice(
                "a baseline is for a database that has the schema but no history yet; {mark} and "
                "{unmark} change single versions, and {status} lists them"
            ),
        )
    until = files.migrations[: files.migrations.index(newest) + 1]
    wanted = {m.number for m in until}
    later = sorted((n for n in row_of if n not in wanted), reverse=True)
    return [*(_unmark(row_of[n]) for n in later), *_marks(until, wanted, row_of)]


def is_marked(row: AppliedMigration) -> bool:
    """Return whether a migration was only marked as applied: chatdb recorded it, and no duration."""
    return row.up_checksum is not None and row.duration_ms is None and row.unfinished is None


def _marks(
    migrations: Sequence[Migration],
    wanted: Collection[int],
    row_of: dict[int, AppliedMigration],
) -> Iterator[Mark]:
    for m in migrations:
        row = row_of.get(m.number)
        if m.number not in wanted:
            continue
        if row and (problem := compare.other_migration_problem(m, row)):
            raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
        if row is None or row.unfinished:
            before = "unfinished" if row else "pending"
            yield Mark(m.version, m.name, m.id, before, "applied", m, row)


def _unmark(row: AppliedMigration) -> Mark:
    before = "unfinished" if row.unfinished else "applied"
    return Mark(row.version, row.name, row.id, before, "pending", None, row)


def carry_out(
    conn: psycopg.Connection[Any],
    transaction: MigrationTransaction,
    marks: Marks,
    timeouts: Timeouts,
) -> None:
    """Change the history as planned, in one transaction.

    Args:
        conn: an idle connection that keeps other migrators out.
        transaction: returns the messages of the transaction.
        marks: the changes.
        timeouts: those of the transaction.

    Raises:
        ChatdbError: `HISTORY` if the history has changed since they were planned.
    """
    writer = transaction.writer
    numbers = {a.number for a in marks.past.applied if a.number >= 0}
    statements: list[str] = []
    for mark in marks.marks:
        if mark.row is not None:
            statements.append(
                writer.forget_unfinished(mark.row)
                if mark.row.unfinished
                else writer.forget_missing(mark.row)
            )
            numbers.discard(mark.row.number)
            if mark.migration is None:
                statements.append(writer.log("unmark", mark.id, marks.request))
    for mark in marks.marks:
        if mark.migration is not None:
            newest = max(numbers, default=None)
            statements += writer.mark(mark.migration, newest, marks.request)
            numbers.add(mark.migration.number)
    write_statements(conn, transaction, marks.past, statements, timeouts)


def report(marks: Marks, *, dry_run: bool) -> Run:
    """Return the changes as a run, and log each that was made."""
    steps = []
    applied = {a.number: a.version for a in marks.past.applied if not a.unfinished}
    for mark in marks.marks:
        direction: Direction = "up" if mark.migration else "down"
        state: StepState = "marked" if mark.migration else "unmarked"
        steps.append(
            StepResult(direction, mark.version, mark.name, "planned" if dry_run else state)
        )
        number = number_of(mark.version)
        if dry_run:
            continue
        if mark.migration:
            applied[number] = mark.version
        else:
            applied.pop(number, None)
        if log.enabled():
            from chatdb_cli.migrate.tracker import log_step

            log_step(Step(direction, mark.version, mark.name, mark.id, mark.migration), state)
    current = applied[max(applied)] if applied else None
    return Run(marks.target, marks.request, tuple(steps), current)
