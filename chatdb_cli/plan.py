"""Files against history and a request: the steps to take, or the problems in the way.

    Applied     what the history says of one version
    Problem     files and history disagree, and the way out
    Step        one migration in one direction
    Plan        steps in order, and problems

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: running a step
(`runner.py`), reading either side (`migrations.py`, `history.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import checksum
from chatdb_cli.history.model import number_of
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Direction, Files, Migration, Script
    from chatdb_cli.history.model import AppliedMigration
    from chatdb_cli.syntax.statements import Statement

AppliedState = Literal["applied", "changed", "missing", "unfinished"]
ProblemCode = Literal[
    "changed", "missing", "duplicate", "out-of-order", "unfinished", "refused", "yoyo-lock"
]


class Problem(NamedTuple):
    """Files and history disagree.

    Attributes:
        code: the kind.
        version: the version that it is about, or None.
        message: what is so, with both names.
        hint: the way out.
    """

    code: ProblemCode
    version: str | None
    message: str
    hint: str


class Step(NamedTuple):
    """One migration in one direction.

    Attributes:
        direction: up or down.
        version: as in the file name.
        name: what comes behind it.
        id: the name in the history.
        migration: the files, or None where only the history has it.
    """

    direction: Direction
    version: str
    name: str
    id: str
    migration: Migration | None

    @property
    def number(self) -> int:
        """The version as a number; -1 for an id that has none."""
        return number_of(self.version)

    @property
    def key(self) -> tuple[Direction, int]:
        """What tells one step of a run from the others."""
        return self.direction, self.number


class Plan(NamedTuple):
    """What a command would do, in order, or why it can't.

    Attributes:
        steps: in the order in which they run.
        problems: what stands in the way; nothing runs while there is one.
        warnings: what is worth saying and stops nothing.
    """

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


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
    found = [*_duplicates(files), *(_refused(error) for error in files.refused)]
    for row, state in states(files, applied):
        if state == "missing" and row.number >= 0:
            found.append(_missing(row))
        elif state == "changed":
            found.append(_changed_problem(on_disk[row.number], row))
        elif state == "unfinished":
            found.append(_unfinished(on_disk.get(row.number), row))
    found += [_out_of_order(m, newest) for m, newest in out_of_order(files, applied)]
    return tuple(found)


def goes_on_at(script: Script, row: AppliedMigration) -> Statement | None:
    """Return the statement at which a file without a transaction goes on; None behind its last.

    Args:
        script: the file as it is now.
        row: what the history says of it.

    Raises:
        ChatdbError: `HISTORY` when the statements that are done are not in the file as they were.
    """
    done = row.done or ()
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
    return (*files.warnings, *_changed_downs(files, applied), *unversioned)


def out_of_order(
    files: Files, applied: Sequence[AppliedMigration]
) -> tuple[tuple[Migration, Migration], ...]:
    """Return each pending migration that stands before the last applied one, with that one."""
    done = {a.number for a in applied}
    last = max((n for n, m in enumerate(files.migrations) if m.number in done), default=0)
    before = files.migrations[:last]
    return tuple((m, files.migrations[last]) for m in before if m.number not in done)


def up(
    files: Files,
    applied: Sequence[AppliedMigration],
    *,
    to: str | None = None,
    steps: int | None = None,
    allow_out_of_order: bool = False,
) -> Plan:
    """Plan to apply what is pending.

    Args:
        files: what is on disk.
        applied: what the history says.
        to: the last version to apply.
        steps: how many to apply at the most, from 1.
        allow_out_of_order: apply a file that is older than the newest applied one.

    Raises:
        ChatdbError: `USAGE` for a `to` that is unknown, or below the current version, and for
            `steps` below 1.
    """
    begun = {a.number for a in applied if a.unfinished == "up"}
    wanted = (*(m for m in files.migrations if m.number in begun), *pending(files, applied))
    if to is not None:
        target = _known(to, files)
        highest = max((a.number for a in applied), default=-1)
        if target.number < highest and target.number not in {m.number for m in wanted}:
            raise ChatdbError(
                Code.USAGE,
                f"version {to} is below the current version {current(applied)}",
                hint=f'to go back to it: "chatdb migrate down --to {to}"',
            )
        place = {m.number: n for n, m in enumerate(files.migrations)}
        wanted = tuple(m for m in wanted if place[m.number] <= place[target.number])
    wanted = wanted[: _at_least_one(steps)]
    versions = {m.version for m in wanted}
    found = tuple(
        p
        for p in problems(files, applied)
        if not _is_no_hindrance(p, versions, allow_out_of_order=allow_out_of_order)
    )
    return Plan(tuple(_up_step(m) for m in wanted), found, warnings(files, applied))


def baseline(files: Files, version: str) -> Plan:
    """Plan to take everything up to a version as applied, into an empty history.

    Raises:
        ChatdbError: `USAGE` for a version that is unknown.
    """
    target = _known(version, files)
    wanted = files.migrations[: files.migrations.index(target) + 1]
    return Plan(tuple(map(_up_step, wanted)), tuple(problems(files, ())), files.warnings)


def down(
    files: Files,
    applied: Sequence[AppliedMigration],
    *,
    to: str | None = None,
    steps: int | None = None,
    everything: bool = False,
) -> Plan:
    """Plan to take back the newest migration, or more.

    What changed or is missing on disk does not stop a way back: the history keeps the texts.  A down
    file that is there and can't be read does.  What yoyo applied without a version is left as it is.

    Args:
        files: what is on disk.
        applied: what the history says.
        to: take back all that was to be applied after this one, which stays; `0` is all.
        steps: how many to take back, from 1, which is the default.
        everything: take back all.

    Raises:
        ChatdbError: `USAGE` for an unknown `to` and for `steps` below 1; `REFUSED` for a migration
            without a way back.
    """
    place_of = _places(files)
    ours = (a for a in applied if a.number >= 0)
    newest_first = sorted(ours, key=lambda a: (place_of(a.number), a.id), reverse=True)
    if to is not None and _number(to) != 0:
        stays = place_of(_known_number(to, files, applied))
        wanted = [a for a in newest_first if place_of(a.number) > stays]
    elif everything or to is not None:
        wanted = newest_first
    else:
        wanted = newest_first[: _at_least_one(steps) or 1]
    on_disk = {m.number: m for m in files.migrations}
    chosen = tuple(Step("down", a.version, a.name, a.id, on_disk.get(a.number)) for a in wanted)
    found = (*_duplicates(files), *_refused_files(files, chosen, "down"))
    if not found:
        for step, row in zip(chosen, wanted, strict=True):
            _refuse_irreversible(files, step, row)
    return Plan(chosen, found, tuple(_changed_downs(files, wanted)))


def redo(files: Files, applied: Sequence[AppliedMigration]) -> Plan:
    """Plan to take back the newest migration and apply it again.

    An up file that is gone or can't be read is a problem of the plan.

    Args:
        files: what is on disk.
        applied: what the history says.

    Raises:
        ChatdbError: `REFUSED` when it has no way back.
    """
    back = down(files, applied)
    if back.problems or not back.steps:
        return back
    (step,) = back.steps
    if step.migration is None:
        return Plan((), tuple(_missing(a) for a in applied if a.id == step.id))
    again = (step, _up_step(step.migration))
    return Plan(again, _refused_files(files, again, "up"), back.warnings)


def _is_no_hindrance(problem: Problem, wanted: set[str], *, allow_out_of_order: bool) -> bool:
    """Return whether `up` may go on although files and history disagree so."""
    if problem.code == "out-of-order":
        return allow_out_of_order or problem.version not in wanted
    return problem.code == "unfinished" and problem.version in wanted


def _up_step(migration: Migration) -> Step:
    return Step("up", migration.version, migration.name, migration.id, migration)


def _places(files: Files) -> Callable[[int], tuple[int, int]]:
    """Return what gives a version its place in the order of applying.

    That is the order of the files, which follows dependencies.  A version without a file stands
    behind all files that are older.
    """
    place = {m.number: n for n, m in enumerate(files.migrations)}

    def place_of(number: int) -> tuple[int, int]:
        if number not in place:
            older = (n for other, n in place.items() if other < number)
            return max(older, default=-1), number
        return place[number], number

    return place_of


def _refuse_irreversible(files: Files, step: Step, row: AppliedMigration) -> None:
    m = step.migration
    if m is not None and m.up.directives.irreversible is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} is irreversible: {m.up.directives.irreversible}",
            hint="write a new migration that does what is needed",
        )
    if (m is None or m.down is None) and not row.has_down:
        path = files.folder.path / "down" / f"{step.id}.sql"
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} has no down file, on disk or in the history",
            hint=f"write {path}, or a new migration that does what is needed",
        )


def _at_least_one(steps: int | None) -> int | None:
    if steps is not None and steps < 1:
        raise ChatdbError(
            Code.USAGE, f"{steps} is no number of steps", hint="give --steps 1 or more"
        )
    return steps


def _changed_downs(files: Files, applied: Iterable[AppliedMigration]) -> Iterator[str]:
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


def _number(version: str) -> int:
    """Read what a user gave as a version.

    Raises:
        ChatdbError: `USAGE` when it is none.
    """
    # No file name is longer than that, and Python reads no number of 5,000 digits.
    if not re.fullmatch(r"[0-9]{1,255}", version):
        shown = version if len(version) <= 40 else version[:40] + "..."
        raise ChatdbError(
            Code.USAGE,
            f"{shown!r} is not a version",
            hint="a version is a number, such as 0007 or 7",
        )
    return int(version)


def _known(version: str, files: Files) -> Migration:
    number = _number(version)
    for migration in files.migrations:
        if migration.number == number:
            return migration
    raise ChatdbError(
        Code.USAGE,
        f"there is no version {version}",
        hint='"chatdb migrate status" lists the versions',
    )


def _known_number(version: str, files: Files, applied: Iterable[AppliedMigration]) -> int:
    number = _number(version)
    return number if number in {a.number for a in applied} else _known(version, files).number


def described(error: ChatdbError) -> str:
    """Return an error's message with the place in front of it, in one line."""
    place = error.place
    at = f"{place.file}{f':{place.line}' if place.line else ''}: " if place else ""
    return at + error.message


def _duplicates(files: Files) -> Iterator[Problem]:
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
        "refused", found[0] if found else None, described(error), error.hint or "correct the file"
    )


def _refused_files(
    files: Files, steps: Iterable[Step], direction: Direction
) -> tuple[Problem, ...]:
    """Return why the files of some steps can't be run in a direction."""
    numbers = {s.number for s in steps}
    found = (
        _refused(e) for e in files.refused if e.place and e.place.file.parent.name == direction
    )
    return tuple(p for p in found if p.version and int(p.version) in numbers)


def _missing(row: AppliedMigration) -> Problem:
    hint = "bring the file back from version control, or check --dir"
    if row.has_down:
        hint += '; "chatdb migrate down" can take it back without its file'
    hint += '; "chatdb migrate repair" forgets it'
    message = f"{row.id} is applied, and there is no such file in the up folder"
    return Problem("missing", row.version, message, hint)


def _unfinished(migration: Migration | None, row: AppliedMigration) -> Problem:
    way = row.unfinished
    script = None if migration is None else migration.up if way == "up" else migration.down
    begin = f"{row.id} stopped on its way {way} with {len(row.done or ())} of its statements done"
    hint = f'"chatdb migrate {way}" goes on there'
    if way == "up":
        if script is None:
            hint = "bring its file back, and " + hint
        hint += ', and "chatdb migrate down" takes back what is done'
    if script is None:
        return Problem("unfinished", row.version, begin, hint)
    try:
        statement = goes_on_at(script, row)
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
