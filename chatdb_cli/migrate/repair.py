"""What changes the history alone, and runs no migration: repair and baseline.

    Repair    one thing in which the history is brought to agree with the files

A repair is shown first and carried out afterwards, and changes the very rows that were shown, or
nothing.  What does not belong here: finding out in what files and history disagree (`plan.py`), asking
(the command line).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history import queries
from chatdb_cli.history.model import AppliedTexts
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.model import Repair
from chatdb_cli.migrate.transaction import kept
from chatdb_cli.postgres.diagnosis import unexpected_error
from chatdb_cli.postgres.pipeline import Batch, run_pipeline
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.source import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Files, Migration
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.migrate.transaction import MigrationTransaction, Timeouts
    from chatdb_cli.postgres.pipeline import Message


def changed(files: Files, past: History) -> tuple[AppliedMigration, ...]:
    """Return what is applied and has other files now; their texts are needed for `repairs`."""
    on_disk = {m.number: m for m in files.migrations}
    return tuple(
        row
        for row, state in compare.states(files, past.applied)
        if (m := on_disk.get(row.number))
        and row.unfinished is None
        and (state == "changed" or (row.up_checksum and _other_down(m, row)))
    )


def _other_down(migration: Migration, row: AppliedMigration) -> bool:
    return (migration.down.checksum if migration.down else None) not in ("", row.down_checksum)


def repairs(files: Files, past: History, texts: Mapping[str, AppliedTexts]) -> tuple[Repair, ...]:
    """Return all that can be brought to agree.

    Args:
        files: what is on disk.
        past: the history.
        texts: the up and down text with which the `changed` ones were applied, by id.

    Raises:
        ChatdbError: `REFUSED` when no applied migration has a file: it is the wrong folder.
    """
    on_disk = {m.number: m for m in files.migrations}
    found = [
        Repair(
            "changed",
            row.version,
            _accepted(row, on_disk[row.number]),
            _diff(row, on_disk[row.number], texts.get(row.id, AppliedTexts(None, None))),
            row,
            on_disk[row.number],
        )
        for row in changed(files, past)
    ]
    missing = [
        row
        for row, state in compare.states(files, past.applied)
        if state == "missing" and row.number >= 0
    ]
    if missing and not on_disk.keys() & {a.number for a in past.applied}:
        raise ChatdbError(
            Code.REFUSED,
            f"none of the {len(missing)} applied migrations has a file in {files.folder.path}",
            hint="name the folder that they come from with --dir",
        )
    for row in missing:
        message = f"forget {row.id}, which has no file any more; what it made stays"
        found.append(Repair("missing", row.version, message, row=row))
    found.sort(key=lambda r: r.row.number if r.row else -1)
    if past.yoyo_lock:
        pid = past.yoyo_lock.pid
        message = f"remove the lock that a yoyo client with process id {pid} has left"
        found.append(Repair("yoyo-lock", None, message, pid=pid))
    return tuple(found)


def _accepted(row: AppliedMigration, migration: Migration) -> str:
    if compare.same_name(migration.id, row.id):
        return f"take {row.id} as applied the way its files are now"
    return f"take {row.id} as applied under the name {migration.id}, the way its files are now"


def _diff(row: AppliedMigration, migration: Migration, was: AppliedTexts) -> str:
    lines: list[str] = []
    for before, script, checksum in (
        (was.up, migration.up, row.up_checksum),
        (was.down, migration.down, row.down_checksum),
    ):
        if (script.checksum if script else None) == checksum:
            continue
        now = canonical(mask(script.text)) if script else ""
        name = str(script.path) if script else "no file"
        old = canonical(before or "")
        one = list(
            difflib.unified_diff(
                old.splitlines(), now.splitlines(), f"{row.id}, as applied", name, lineterm=""
            )
        )
        lines += one or [
            f"--- {row.id}, as applied",
            f"+++ {name}",
            "(only what is masked differs)",
        ]
    return "\n".join(lines)


def carry_out(
    conn: psycopg.Connection[Any],
    schema: str,
    frame: MigrationTransaction,
    past: History,
    chosen: Iterable[Repair],
    timeouts: Timeouts,
) -> None:
    """Do what was shown, in one transaction.

    Raises:
        ChatdbError: `HISTORY` when the history is not any more what it was.
    """
    names = Quoting(conn, schema)
    statements: list[str] = []
    for one in chosen:
        if one.kind == "yoyo-lock":
            statements += [names.fill(queries.REPAIR_YOYO_LOCK, pid=one.pid)]
            statements += [frame.log("unlock", None, f"repair: process {one.pid} had the lock")]
        elif one.migration and one.row:
            values = {"was": one.row.id, "id": one.migration.id, "up_was": one.row.up_checksum}
            values |= {"down_was": one.row.down_checksum} | kept(one.migration)
            statements += [names.fill(queries.REPAIR_CHANGED, **values)]
            statements += [frame.log("mark", one.migration.id, f"repair: {one.message}")]
        elif one.row:
            values = {"was": one.row.id, "up_was": one.row.up_checksum}
            statements += [names.fill(queries.REPAIR_MISSING, **values)]
            statements += [frame.log("unmark", one.row.id, f"repair: {one.message}")]
    _write(conn, frame, past, frame.alone(statements, timeouts), timeouts)


def baseline(
    conn: psycopg.Connection[Any],
    frame: MigrationTransaction,
    past: History,
    migrations: Sequence[Migration],
    timeouts: Timeouts,
) -> None:
    """Take migrations as applied without running them, in one transaction, into an empty history.

    Raises:
        ChatdbError: `HISTORY` when the history is not empty any more.
    """
    marks: list[str] = []
    head: int | None = None
    for m in migrations:
        marks += frame.mark(m, head)
        head = m.number if head is None else max(head, m.number)
    _write(conn, frame, past, frame.alone(marks, timeouts), timeouts)


def _write(
    conn: psycopg.Connection[Any],
    frame: MigrationTransaction,
    past: History,
    messages: list[Message],
    timeouts: Timeouts,
) -> None:
    """Send a transaction, behind the one that makes what the history lacks."""

    def batches() -> Iterator[Batch]:
        if not past.complete:
            yield Batch(frame.prepare(past, timeouts))
        yield Batch(messages)

    outcome = run_pipeline(conn, batches())
    if outcome.interrupt:
        raise outcome.interrupt
    if outcome.error:
        if outcome.error.sqlstate in ("22012", "23505"):
            raise ChatdbError(
                Code.HISTORY,
                "the history was changed in the meantime; nothing was written",
                hint='look at "chatdb migrate status" and decide again',
            )
        raise unexpected_error(outcome.error, "the history can't be written")
