"""Files against history: the state of each migration, and every problem.

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: the steps to run
(`plan.py`), reading either side (`files/`, `history/`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import checksum
from chatdb_cli.migrate.model import Problem
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Direction, Files, Migration, Script
    from chatdb_cli.history.model import AppliedMigration, Unfinished
    from chatdb_cli.migrate.model import AppliedState, Step


def pending(files: Files, applied: Sequence[AppliedMigration]) -> tuple[Migration, ...]:
    """Return the migrations that are on disk and not in the history, in order."""
    done = {a.number for a in applied}
    return tuple(m for m in files.migrations if m.number not in done)


def current(applied: Sequence[AppliedMigration]) -> str | None:
    """Return the highest applied version, or None; one that is unfinished is not applied."""
    whole = (a for a in applied if a.unfinished is None)
    newest = max(whole, key=lambda a: a.number, default=None)
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


def problems(files: Files, applied: Sequence[AppliedMigration]) -> tuple[Problem, ...]:
    """Return everything in which files and history disagree."""
    on_disk = {m.number: m for m in files.migrations}
    found = [*duplicate_problems(files), *(_refused(error) for error in files.refused)]
    for row, state in states(files, applied):
        if state == "missing" and row.number >= 0:
            found.append(missing_problem(row))
        elif state == "changed":
            found.append(_changed_problem(on_disk[row.number], row))
        elif row.unfinished:
            found.append(_unfinished(on_disk.get(row.number), row, row.unfinished))
    found += [_out_of_order(m, newest) for m, newest in out_of_order(files, applied)]
    return tuple(found)


def resume_point(script: Script, row: AppliedMigration) -> Statement | None:
    """Return the statement at which a file without a transaction goes on; None behind its last.

    Args:
        script: the file as it is now.
        row: what the history says of it.

    Raises:
        ChatdbError: `HISTORY` when the statements that are done are not in the file as they were.
    """
    done = row.unfinished.statements_done if row.unfinished else ()
    statements = split_statements(script.text)
    if statements is None:
        statements = (Statement(script.text, 0),)
    if [checksum(s.text) for s in statements[: len(done)]] != list(done):
        raise ChatdbError(
            Code.HISTORY,
            f"{row.id} stopped behind its statement {len(done)}, and what is done by then does not "
            f"stand in {script.path} as it was",
            hint="bring these statements back as they were; what comes behind them may change",
        )
    return statements[len(done)] if len(done) < len(statements) else None


def warnings(files: Files, applied: Sequence[AppliedMigration]) -> tuple[str, ...]:
    """Return what is odd in files or history and stops nothing."""
    unversioned = (
        f"{row.id} was applied by yoyo and has no version: it is left as it is"
        for row in applied
        if row.number < 0
    )
    return (*files.warnings, *changed_downs(files, applied), *unversioned)


def out_of_order(
    files: Files, applied: Sequence[AppliedMigration]
) -> tuple[tuple[Migration, Migration], ...]:
    """Return each pending migration that stands before the last applied one, with that one."""
    done = {a.number for a in applied}
    last = max((n for n, m in enumerate(files.migrations) if m.number in done), default=0)
    before = files.migrations[:last]
    return tuple((m, files.migrations[last]) for m in before if m.number not in done)


def changed_downs(files: Files, applied: Iterable[AppliedMigration]) -> Iterator[str]:
    """Yield a warning for each down file that is not as it was; what yoyo applied can't tell."""
    on_disk = {m.number: m for m in files.migrations}
    for row in applied:
        m = on_disk.get(row.number)
        if m and m.down and row.up_checksum and m.down.checksum not in ("", row.down_checksum):
            yield f"{m.down.path} was changed since {row.id} was applied"


def _changed(migration: Migration, row: AppliedMigration) -> bool:
    if not same_name(migration.id, row.id):
        return True
    return bool(row.up_checksum and migration.up.checksum not in ("", row.up_checksum))


def same_name(one: str, other: str) -> bool:
    """Compare two ids; file systems differ in the form of Unicode that they keep."""
    return normalize("NFC", one) == normalize("NFC", other)


def describe(error: ChatdbError) -> str:
    """Return an error's message with the place in front of it, in one line."""
    place = error.place
    at = f"{place.file}{f':{place.line}' if place.line else ''}: " if place else ""
    return at + error.message


def duplicate_problems(files: Files) -> Iterator[Problem]:
    """Yield a problem for each version that several files use."""
    for version, names in files.duplicates.items():
        yield Problem(
            "duplicate",
            version,
            f"version {version} is used by {' and '.join(names)}",
            "a version is the leading digits: give each, up and down, digits of its own",
        )


def _refused(error: ChatdbError) -> Problem:
    found = re.match(r"[0-9]+", error.place.file.name) if error.place else None
    return Problem(
        "refused", found[0] if found else None, describe(error), error.hint or "correct the file"
    )


def refused_files(files: Files, steps: Iterable[Step], direction: Direction) -> tuple[Problem, ...]:
    """Return why the files of some steps can't be run in a direction."""
    numbers = {s.number for s in steps}
    found = (
        _refused(e) for e in files.refused if e.place and e.place.file.parent.name == direction
    )
    return tuple(p for p in found if p.version and int(p.version) in numbers)


def missing_problem(row: AppliedMigration) -> Problem:
    """Return the problem of an applied migration that has no file."""
    hint = "bring the file back from version control, or check --dir"
    if row.has_down:
        hint += '; "chatdb migrate down" can take it back without its file'
    hint += '; "chatdb migrate repair" forgets it'
    message = f"{row.id} is applied, and there is no such file in the up folder"
    return Problem("missing", row.version, message, hint)


def _unfinished(
    migration: Migration | None, row: AppliedMigration, unfinished: Unfinished
) -> Problem:
    way, count = unfinished.direction, len(unfinished.statements_done)
    script = None if migration is None else migration.up if way == "up" else migration.down
    begin = f"{row.id} stopped on its way {way} with {count} of its statements done"
    hint = f'"chatdb migrate {way}" goes on there'
    if way == "up":
        if script is None:
            hint = "bring its file back, and " + hint
        hint += ', and "chatdb migrate down" takes back what is done'
    if script is None:
        return Problem("unfinished", row.version, begin, hint)
    try:
        statement = resume_point(script, row)
    except ChatdbError as error:
        return Problem("changed", row.version, error.message, error.hint or "")
    if statement is None:
        return Problem("unfinished", row.version, f"{begin}, which are all", hint)
    at = locate(script.text, statement.offset, script.path)
    first = mask(statement.text).splitlines()[0]
    message = f"{begin}; next is {script.path}:{at.line}: {first}"
    return Problem("unfinished", row.version, message, hint)


def _changed_problem(migration: Migration, row: AppliedMigration) -> Problem:
    if not same_name(migration.id, row.id):
        message = f"{migration.up.path} has the version of {row.id}, which is applied"
        hint = (
            f"name it {row.id}.sql again, or give it a version of its own; "
            'if it is the same one, "chatdb migrate repair" accepts the new name'
        )
    else:
        message = f"{migration.up.path} was changed after {row.id} was applied"
        hint = (
            "bring the applied text back and put the change into a new migration; "
            '"chatdb migrate repair" shows the difference and accepts it; '
            'while developing, "chatdb migrate redo" applies the newest one anew'
        )
    return Problem("changed", row.version, message, hint)


def _out_of_order(migration: Migration, newest: Migration) -> Problem:
    return Problem(
        "out-of-order",
        migration.version,
        f"{migration.id} is pending, and the newer {newest.id} is applied",
        "rename it to a newer version, or apply it as it is with --allow-out-of-order",
    )
