"""Plans: files, history and a request as the steps to run.

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: where files and
history disagree (`compare.py`), running a step (`runner.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.compare import (
    changed_downs,
    current,
    duplicate_problems,
    missing_problem,
    pending,
    problems,
    refused_files,
    warnings,
)
from chatdb_cli.migrate.model import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chatdb_cli.files.model import Files, Migration
    from chatdb_cli.history.model import AppliedMigration
    from chatdb_cli.migrate.model import Problem


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
    begun = {a.number for a in applied if a.unfinished and a.unfinished.direction == "up"}
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
        if not _is_allowed(p, versions, allow_out_of_order=allow_out_of_order)
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
    found = (*duplicate_problems(files), *refused_files(files, chosen, "down"))
    if not found:
        for step, row in zip(chosen, wanted, strict=True):
            _refuse_irreversible(files, step, row)
    return Plan(chosen, found, tuple(changed_downs(files, wanted)))


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
        return Plan((), tuple(missing_problem(a) for a in applied if a.id == step.id))
    again = (step, _up_step(step.migration))
    return Plan(again, refused_files(files, again, "up"), back.warnings)


def _is_allowed(problem: Problem, wanted: set[str], *, allow_out_of_order: bool) -> bool:
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
