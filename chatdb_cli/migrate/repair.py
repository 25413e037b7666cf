"""Repair: make the history agree with the files, and run no migration.

A repair is shown first and carried out afterwards; it changes exactly the rows that were shown, or
nothing.  What does not belong here: finding the differences of files and history (`compare.py`), asking
the user (the command line).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history.model import AppliedTexts
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.model import Repair
from chatdb_cli.postgres.diagnosis import unexpected_error
from chatdb_cli.postgres.pipeline import Batch, run_pipeline
from chatdb_cli.postgres.sqlstates import ASSERTION_FAILED, UNIQUE_VIOLATION
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.secrets import mask
from chatdb_cli.syntax.source import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Files, Migration
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.migrate.parts import Timeouts
    from chatdb_cli.migrate.transaction import MigrationTransaction


def changed(files: Files, past: History) -> tuple[AppliedMigration, ...]:
    """Return the applied migrations whose files have changed; `repairs` needs their texts."""
    on_disk = {m.number: m for m in files.migrations}
    return tuple(
        row
        for row, state in compare.states(files, past.applied)
        if (migration := on_disk.get(row.number))
        and row.unfinished is None
        and (state == "changed" or (row.up_checksum and _is_down_changed(migration, row)))
    )


def _is_down_changed(migration: Migration, row: AppliedMigration) -> bool:
    checksum = migration.down.checksum if migration.down else None
    return checksum not in ("", row.down_checksum)  # empty: the file was not read


def repairs(files: Files, past: History, texts: Mapping[str, AppliedTexts]) -> tuple[Repair, ...]:
    """Return every repair that is possible.

    Args:
        files: the files on disk.
        past: the history.
        texts: the texts with which the `changed` migrations were applied, by id.

    Raises:
        ChatdbError: `REFUSED` if no applied migration has a file: it is the wrong folder.
    """
    on_disk = {m.number: m for m in files.migrations}
    result = [
        _accept(row, on_disk[row.number], texts.get(row.id, AppliedTexts(None, None)))
        for row in changed(files, past)
    ]
    missing = [
        row
        for row, state in compare.states(files, past.applied)
        if state == "missing" and row.number >= 0
    ]
    numbers = {a.number for a in past.applied if a.number >= 0}
    if (missing and not on_disk.keys() & numbers) or compare.is_other_folder(files, past.applied):
        raise ChatdbError(
            Code.REFUSED,
            f"none of the {len(numbers)} applied migrations has a file in {files.folder.path}",
            hint=Advice("name the folder that they come from with {directory}"),
        )
    for row in missing:
        message = f"remove {row.id} from the history, since it has no file; what it created stays"
        result.append(Repair("missing", row.version, message, row=row))
    for row in past.applied:
        if row.wrong_version is not None:
            message = f"restore version {row.number} of {row.id}, in place of {row.wrong_version}"
            result.append(Repair("invalid-history", row.version, message, row=row))
    result.sort(key=lambda r: r.row.number if r.row else -1)
    if past.yoyo_lock:
        pid = past.yoyo_lock.pid
        message = f"remove the lock that a yoyo client with process id {pid} has left"
        result.append(Repair("yoyo-lock", None, message, pid=pid))
    return tuple(result)


def _accept(row: AppliedMigration, migration: Migration, texts: AppliedTexts) -> Repair:
    """Return the repair that accepts changed files."""
    message = f"accept the files of {row.id} as they are now"
    if not compare.same_name(migration.id, row.id):
        message = f"accept the files of {row.id} as they are now, under the name {migration.id}"
    return Repair("changed", row.version, message, _diff(row, migration, texts), row, migration)


def _diff(row: AppliedMigration, migration: Migration, applied: AppliedTexts) -> str:
    """Return how the files of a migration differ from those with which it was applied."""
    lines: list[str] = []
    for applied_text, script, checksum in (
        (applied.up, migration.up, row.up_checksum),
        (applied.down, migration.down, row.down_checksum),
    ):
        if (script.checksum if script else None) == checksum:
            continue
        old_name = f"{row.id}, as applied"
        new_name = str(script.path) if script else "no file"
        if migration.up.directives.secret or (script and script.directives.secret):
            new = script.checksum if script else "none"
            lines += _headings(old_name, new_name)
            lines.append(f"(secret; the checksum was {checksum or 'none'}, and is {new})")
            continue
        old_lines = canonical(applied_text or "").splitlines()
        new_lines = canonical(mask(script.text)).splitlines() if script else []
        diff = list(difflib.unified_diff(old_lines, new_lines, old_name, new_name, lineterm=""))
        lines += diff or [*_headings(old_name, new_name), "(only masked passwords differ)"]
    return "\n".join(lines)


def _headings(old_name: str, new_name: str) -> list[str]:
    return [f"--- {old_name}", f"+++ {new_name}"]


def carry_out(
    conn: psycopg.Connection[Any],
    transaction: MigrationTransaction,
    past: History,
    repairs: Sequence[Repair],
    timeouts: Timeouts,
) -> None:
    """Carry out repairs in one transaction.

    Args:
        conn: an idle connection that keeps other migrators out.
        transaction: returns the messages of the transaction.
        past: the history for which the repairs were found.
        repairs: the repairs that were shown to the user.
        timeouts: those of the transaction.

    Raises:
        ChatdbError: `HISTORY` if the history has changed since then.
    """
    writer = transaction.writer
    statements: list[str] = []
    invalid = [r.row for r in repairs if r.kind == "invalid-history" and r.row]
    if invalid:
        statements += writer.mend_versions(invalid)
    for repair in repairs:
        row, comment = repair.row, f"repair: {repair.message}"
        if repair.kind == "yoyo-lock":
            statements.append(writer.remove_yoyo_lock(repair.pid))
            held = f"repair: process {repair.pid} held the lock"
            statements.append(writer.log("unlock", None, held))
        elif repair.kind == "invalid-history" and row:
            statements.append(writer.log("mark", row.id, comment))
        elif repair.migration and row:
            statements.append(writer.accept_changed(row, repair.migration))
            statements.append(writer.log("mark", repair.migration.id, comment))
        elif row:
            statements.append(writer.forget_missing(row))
            statements.append(writer.log("unmark", row.id, comment))
    write_statements(conn, transaction, past, statements, timeouts)


def write_statements(
    conn: psycopg.Connection[Any],
    transaction: MigrationTransaction,
    past: History,
    statements: list[str],
    timeouts: Timeouts,
) -> None:
    """Write the history in one transaction, after the one that creates missing tables."""

    def batches() -> Iterator[Batch]:
        if not past.complete:
            yield Batch(transaction.create_tables(past, timeouts))
        yield Batch(transaction.history_only(statements, timeouts))

    outcome = run_pipeline(conn, batches())
    if outcome.interrupt:
        raise outcome.interrupt
    if outcome.error:
        if outcome.error.sqlstate in (ASSERTION_FAILED, UNIQUE_VIOLATION):
            raise ChatdbError(
                Code.HISTORY,
                "the history was changed in the meantime, or a trigger on its tables keeps a row "
                "out; nothing was written",
                hint=Advice("look at {status} and decide again"),
            )
        raise unexpected_error(outcome.error, "the history can't be written")
