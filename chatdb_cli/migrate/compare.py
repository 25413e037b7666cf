"""Files against history: the state of each migration, and every problem.

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: the steps to run
(`plan.py`), reading either side (`files/`, `history/`).
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import checksum
from chatdb_cli.files.names import some_of
from chatdb_cli.findings import Finding
from chatdb_cli.history.read import strangers_error
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.secrets import mask
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Direction, Files, Migration, Script
    from chatdb_cli.history.model import AppliedMigration, History, Unfinished, YoyoLock
from chatdb_cli.migrate.model import AppliedState, Step

_FIRST_OF_CHAT = "0001_extensions"


def pending(files: Files, applied: Sequence[AppliedMigration]) -> tuple[Migration, ...]:
    """Return the migrations that are on disk and not in the history, in order."""
    done = {a.number for a in applied}
    return tuple(m for m in files.migrations if m.number not in done)


def current(applied: Sequence[AppliedMigration]) -> str | None:
    """Return the highest applied version, or None; one that is unfinished is not applied."""
    finished = (a for a in applied if a.unfinished is None)
    newest = max(finished, key=lambda a: a.number, default=None)
    return newest.version if newest else None


def states(
    files: Files, applied: Sequence[AppliedMigration]
) -> tuple[tuple[AppliedMigration, AppliedState], ...]:
    """Return each applied migration with its state, in the order of versions."""
    on_disk = {m.number: m for m in files.migrations}
    result: list[tuple[AppliedMigration, AppliedState]] = []
    for row in sorted(applied, key=lambda a: (a.number, a.id)):
        migration = on_disk.get(row.number)
        if row.unfinished:
            result.append((row, "unfinished"))
        elif migration is None:
            result.append((row, "missing"))
        else:
            result.append((row, "changed" if _changed(migration, row) else "applied"))
    return tuple(result)


def problems(files: Files, applied: Sequence[AppliedMigration]) -> tuple[Finding, ...]:
    """Return every difference between files and history that stops a run."""
    on_disk = {m.number: m for m in files.migrations}
    result = [*duplicate_problems(files), *(refused_problem(error) for error in files.refused)]
    result += invalid_problems(applied)
    if is_other_folder(files, applied):
        return (*result, _other_folder_problem(files, applied))
    for row, state in states(files, applied):
        if state == "missing" and row.number >= 0:
            result.append(missing_problem(row))
        elif state == "changed" or (
            row.unfinished and has_other_name(on_disk.get(row.number), row)
        ):
            result.append(_changed_problem(on_disk[row.number], row))
        elif row.unfinished and not (is_untouched(row) and row.number not in on_disk):
            result.append(_unfinished(on_disk.get(row.number), row, row.unfinished))
    result += [_out_of_order(m, newest) for m, newest in out_of_order(files, applied)]
    return tuple(result)


def is_other_folder(files: Files, applied: Iterable[AppliedMigration]) -> bool:
    """Return whether none of several applied migrations is in the folder, which is another project's.

    One that was only renamed, or only changed, is in it.
    """
    rows = [a for a in applied if a.number >= 0]
    on_disk = {m.number: m for m in files.migrations}
    return len(rows) > 1 and not any(
        (m := on_disk.get(a.number)) is not None
        and (same_name(m.name, a.name) or m.up.checksum in ("", a.up_checksum))
        for a in rows
    )


def _other_folder_problem(files: Files, applied: Iterable[AppliedMigration]) -> Finding:
    rows = sorted((a for a in applied if a.number >= 0), key=lambda a: a.number)
    hint = "wrong {directory}? name the folder that they come from"
    if rows[0].id == _FIRST_OF_CHAT:
        hint += (
            "; these are those of the chat schema that chatdb ships: {directory_shipped} names it, "
            "and {init_chat} copies it into this project"
        )
    return _problem(
        "missing",
        rows[-1].version,
        f"none of the {len(rows)} applied migrations ({rows[0].id} to {rows[-1].id}) is in "
        f"{files.folder.path / 'up'}",
        Advice(hint),
    )


def is_untouched(row: AppliedMigration) -> bool:
    """Return whether a file was begun outside a transaction, and none of its statements is done.

    It was killed in between, so its claim was not given up; it blocks no other file.
    """
    unfinished = row.unfinished
    return unfinished is not None and not (
        unfinished.direction == "down" or unfinished.statements_done or unfinished.statement_begun
    )


def resume_point(script: Script, row: AppliedMigration) -> Statement | None:
    """Return the statement at which a file outside of a transaction resumes; None after its last.

    Args:
        script: the file as it is now.
        row: the migration as the history has it.

    Raises:
        ChatdbError: `HISTORY` if the file has other statements in place of those that are done.
    """
    done = row.unfinished.statements_done if row.unfinished else ()
    statements = split_statements(script.text)
    if statements is None:
        statements = (Statement(script.text, 0),)
    if [checksum(s.text) for s in statements[: len(done)]] != list(done):
        raise ChatdbError(
            Code.HISTORY,
            f"{row.id} stopped after statement {len(done)} of its file, but {script.path} no longer "
            "begins with the statements that are done",
            hint="restore these statements; those after them may be changed",
        )
    return statements[len(done)] if len(done) < len(statements) else None


def unchecked_downs(files: Files, applied: Iterable[AppliedMigration]) -> tuple[Migration, ...]:
    """Return the migrations whose down file was never checked: pending ones, and changed down files."""
    row_of = {a.number: a for a in applied}

    def is_unchecked(migration: Migration) -> bool:
        if migration.down is None or not migration.down.checksum:  # the file was not read
            return False
        row = row_of.get(migration.number)
        if row is None:
            return True
        return bool(row.up_checksum) and migration.down.checksum != row.down_checksum

    return tuple(filter(is_unchecked, files.migrations))


def warnings(files: Files, applied: Sequence[AppliedMigration]) -> tuple[str, ...]:
    """Return what the user should know about files and history, but does not stop a run."""
    unversioned = (
        f"{row.id} was applied by yoyo and has no version, so it is ignored"
        for row in applied
        if row.number < 0
    )
    return (
        *files.warnings,
        *_empty_files(files, applied),
        *changed_downs(files, applied),
        *unversioned,
    )


def _empty_files(files: Files, applied: Sequence[AppliedMigration]) -> Iterator[str]:
    """Yield a warning of the pending up files without a statement, and one of such down files."""
    ups = [m.up.file for m in pending(files, applied) if m.up.checksum and m.up.is_empty]
    if ups:
        yield _some(ups, "has no statement", "up files have no statement")
    downs = [
        m.down.file
        for m in files.migrations
        if m.down
        and m.down.checksum
        and m.down.is_empty
        and not m.down.directives.nothing_to_undo
        and not m.up.is_empty
    ]
    if downs:
        one, many = (
            "has no statement: it undoes nothing",
            "down files have no statement: they undo nothing",
        )
        yield _some(downs, one, many)


def _some(paths: Sequence[str], one: str, many: str) -> str:
    if len(paths) == 1:
        return f"{paths[0]} {one}"
    return f"{len(paths)} {many} ({some_of([PurePath(path).name for path in paths])})"


def out_of_order(
    files: Files, applied: Sequence[AppliedMigration]
) -> tuple[tuple[Migration, Migration], ...]:
    """Return each pending migration that comes before the last applied one, with that one."""
    done = {a.number for a in applied if not is_untouched(a)}
    begun = {a.number for a in applied}
    last = max((n for n, m in enumerate(files.migrations) if m.number in done), default=0)
    before = files.migrations[:last]
    return tuple(
        (m, files.migrations[last])
        for m in before
        if m.number not in done and m.number not in begun
    )


def changed_downs(files: Files, applied: Iterable[AppliedMigration]) -> Iterator[str]:
    """Yield a warning for each down file that was changed since its migration was applied.

    Migrations that yoyo applied have no checksum to compare.
    """
    on_disk = {m.number: m for m in files.migrations}
    for row in applied:
        m = on_disk.get(row.number)
        if m and m.down and row.up_checksum and m.down.checksum not in ("", row.down_checksum):
            yield f"{m.down.path} was changed since {row.id} was applied"


def _changed(migration: Migration, row: AppliedMigration) -> bool:
    if not same_name(migration.id, row.id):
        return True
    return bool(row.up_checksum and migration.up.checksum not in ("", row.up_checksum))


def has_other_name(migration: Migration | None, row: AppliedMigration) -> bool:
    """Return whether a migration on disk has the version of a row, but another name."""
    return migration is not None and not same_name(migration.id, row.id)


def is_same(step: Step, row: AppliedMigration) -> bool:
    """Return whether a row of the history is of the migration of a step: version, name and checksum.

    Migrations that yoyo applied have no checksum to compare.
    """
    if step.migration is None:
        return same_name(step.id, row.id)
    return not _changed(step.migration, row)


def same_migration_problem(step: Step, row: AppliedMigration) -> Finding | None:
    """Return the problem of a step whose version another migration has in the history, or None."""
    if is_same(step, row):
        return None
    if step.migration is not None:
        return _changed_problem(step.migration, row)
    message = f"{row.id} is applied in place of {step.id}, which has the same version"
    return _problem("changed", row.version, message, Advice("look at {status} and decide again"))


def other_migration_problem(migration: Migration, row: AppliedMigration) -> Finding | None:
    """Return the problem of a migration to mark whose version the history has for another, or None.

    The text of one that stopped part-way may be corrected, but not its name.
    """
    is_other = has_other_name(migration, row) if row.unfinished else _changed(migration, row)
    return _changed_problem(migration, row) if is_other else None


def invalid_problems(applied: Iterable[AppliedMigration]) -> Iterator[Finding]:
    """Yield a problem for each row of the history whose version is not the one of its name."""
    for row in applied:
        if row.wrong_version is not None:
            yield _problem(
                "invalid-history",
                row.version,
                f"chatdb_migration holds version {row.wrong_version} for {row.id}",
                Advice("{repair} restores the version that the name begins with"),
            )


def same_name(one: str, other: str) -> bool:
    """Return whether two ids are equal, in any Unicode normalization; file systems differ in theirs."""
    return normalize("NFC", one) == normalize("NFC", other)


def describe(error: ChatdbError) -> str:
    """Return an error's message after its location, in one line."""
    place = error.place
    at = f"{place.file}{f':{place.line}' if place.line else ''}: " if place else ""
    return at + error.message


def duplicate_problems(files: Files) -> Iterator[Finding]:
    """Yield a problem for each version that several files have."""
    for version, names in files.duplicates.items():
        yield _problem(
            "duplicate",
            version,
            f"version {version} is used by {' and '.join(names)}",
            "a version is the leading digits: give each migration, up and down, its own",
        )


def refused_problem(error: ChatdbError, version: str | None = None) -> Finding:
    """Return the problem of a file that can't be a migration.

    Args:
        error: why it can't.
        version: its version; by default the leading digits of its name.
    """
    place = error.place
    if version is None and place and (digits := re.match(r"[0-9]+", place.file.name)):
        version = digits[0]
    hint = error.hint or "correct the file"
    return Finding("refused", "error", describe(error), hint, place, version)


def refused_files(files: Files, steps: Iterable[Step], direction: Direction) -> tuple[Finding, ...]:
    """Return why the files of some steps can't be run in a direction."""
    numbers = {s.number for s in steps}
    problems = (
        refused_problem(e)
        for e in files.refused
        if e.place and e.place.file.parent.name == direction
    )
    return tuple(p for p in problems if p.version and int(p.version) in numbers)


def renamed_files(files: Files, applied: Iterable[AppliedMigration]) -> Iterator[Finding]:
    """Yield a problem for each applied migration whose version has files of another name on disk.

    Its down file would undo another migration than the one that was applied.

    Args:
        files: the files on disk.
        applied: the applied migrations.
    """
    on_disk = {m.number: m for m in files.migrations}
    for row in applied:
        if has_other_name(on_disk.get(row.number), row):
            yield _changed_problem(on_disk[row.number], row)


def missing_problem(row: AppliedMigration) -> Finding:
    """Return the problem of an applied migration that has no file."""
    hint = "restore the file from version control, or check {directory}"
    if row.has_down:
        hint += "; {down} can roll it back without its file"
    hint += "; {repair} removes it from the history"
    message = f"{row.id} is applied, but it has no file in the up folder"
    return _problem("missing", row.version, message, Advice(hint))


def strangers_problem(past: History, schema: str) -> Finding:
    """Return the problem of tables of the history that another role may have planted."""
    error = strangers_error(past, schema)
    return _problem("history-owner", None, error.message, error.hint or "")


def yoyo_lock_problem(lock: YoyoLock) -> Finding:
    """Return the problem of a lock row that a yoyo client has left."""
    return _problem(
        "yoyo-lock",
        None,
        f"a yoyo client with process id {lock.pid} has held its lock since {lock.since} UTC",
        Advice("if that process has ended, {repair} removes the row; chatdb does not wait for it"),
    )


def _unfinished(
    migration: Migration | None, row: AppliedMigration, unfinished: Unfinished
) -> Finding:
    direction, count = unfinished.direction, len(unfinished.statements_done)
    script = None
    if migration is not None:
        script = migration.up if direction == "up" else migration.down
    stopped = f"{row.id} stopped part-way {direction}, with {count} of its statements done"
    hint = f"{{{direction}}} continues there"
    if direction == "up":
        if script is None:
            hint = f"restore its file, and {hint}"
        if not is_untouched(row):  # else a down passes it over
            hint += ", and {down} rolls back what is done"
    if script is None:
        return _problem("unfinished", row.version, stopped, Advice(hint))
    try:
        statement = resume_point(script, row)
    except ChatdbError as error:
        return _problem("changed", row.version, error.message, error.hint or "")
    if statement is None:
        return _problem("unfinished", row.version, f"{stopped}, which are all", Advice(hint))
    place = locate(script.text, statement.offset, script.path)
    message = f"{stopped}; next is {script.path}:{place.line}"
    if not script.directives.secret:
        message += f": {mask(statement.text).splitlines()[0]}"
    return _problem("unfinished", row.version, message, Advice(hint))


def _changed_problem(migration: Migration, row: AppliedMigration) -> Finding:
    if not same_name(migration.id, row.id):
        message = f"{migration.up.path} has the version of {row.id}, which is applied"
        hint = Advice(
            "rename it to {name}.sql, or give it a version of its own; if it is the same migration, "
            "{repair} accepts the new name",
            name=row.id,
        )
    else:
        message = f"{migration.up.path} was changed after {row.id} was applied"
        hint = Advice(
            "restore the applied text, and put the change into a new migration; {repair} shows the "
            "difference and accepts it; during development, {redo} applies the newest one again"
        )
    return _problem("changed", row.version, message, hint)


def _out_of_order(migration: Migration, newest: Migration) -> Finding:
    return _problem(
        "out-of-order",
        migration.version,
        f"{migration.id} is pending, but the newer {newest.id} is applied",
        Advice("rename it to a newer version, or apply it as it is with {allow_out_of_order}"),
    )


def _problem(code: str, version: str | None, message: str, hint: str) -> Finding:
    return Finding(code, "error", message, hint, version=version)
