"""Make a plan: the steps to run, from files, history and a request.

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: where files and
history disagree (`compare.py`), running a step (`runner.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.compare import (
    changed_downs,
    current,
    duplicate_problems,
    invalid_problems,
    is_untouched,
    missing_problem,
    pending,
    problems,
    refused_files,
    renamed_files,
    same_migration_problem,
    warnings,
)
from chatdb_cli.migrate.model import Plan, Step
from chatdb_cli.migrate.versions import known_migration, known_number, parse_version
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.files.model import Files, Migration
    from chatdb_cli.findings import Finding
    from chatdb_cli.history.model import AppliedMigration, History


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
        files: the files on disk.
        applied: the applied migrations.
        to: the last version to apply.
        steps: the highest number of migrations to apply, from 1.
        allow_out_of_order: also apply a file that is older than the newest applied one.

    Raises:
        ChatdbError: `USAGE` if `to` is unknown or below the current version, or `steps` is below 1.
    """
    untouched = [a for a in applied if is_untouched(a)]
    begun = {a.number for a in applied if a.unfinished and a.unfinished.direction == "up"}
    # A file of which something is done comes first; one of which nothing is has its place in the order.
    rest = {a.number for a in untouched} | {m.number for m in pending(files, applied)}
    wanted = tuple(m for m in files.migrations if m.number in begun - rest)
    wanted += tuple(m for m in files.migrations if m.number in rest)
    if to is not None:
        target = known_migration(to, files)
        highest = max((a.number for a in applied if not is_untouched(a)), default=-1)
        if target.number < highest and target.number not in {m.number for m in wanted}:
            raise ChatdbError(
                Code.USAGE,
                f"version {to} is below the current version {current(applied)}",
                hint=Advice("to return to it: {down_to}", to=to),
            )
        position = {m.number: n for n, m in enumerate(files.migrations)}
        wanted = tuple(m for m in wanted if position[m.number] <= position[target.number])
    wanted = wanted[: _at_least_one(steps)]
    versions = {m.version for m in wanted} | {a.version for a in untouched}
    remaining = tuple(
        p
        for p in problems(files, applied)
        if not _is_allowed(p, versions, allow_out_of_order=allow_out_of_order)
    )
    return Plan(tuple(_up_step(m) for m in wanted), remaining, warnings(files, applied))


def baseline(files: Files, version: str) -> Plan:
    """Plan to mark everything up to a version as applied, in an empty history.

    Raises:
        ChatdbError: `USAGE` if the version is unknown.
    """
    target = known_migration(version, files)
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
    """Plan to roll back the newest migration, or more.

    A file that was changed or is missing does not stop a down: the history keeps the texts.  A down
    file that can't be read does, and one of another name than the applied migration: it may undo
    something else.  A migration without a version, which yoyo applied, is ignored.

    Args:
        files: the files on disk.
        applied: the applied migrations.
        to: roll back everything that comes after this version, which stays; `0` is everything.
        steps: the number of migrations to roll back, from 1, which is the default.
        everything: roll back everything.

    Raises:
        ChatdbError: `USAGE` if `to` is unknown or `steps` is below 1; `REFUSED` if a migration has no
            down.
    """
    position_of = _positions(files)
    with_version = (a for a in applied if a.number >= 0 and not is_untouched(a))
    newest_first = sorted(with_version, key=lambda a: (position_of(a.number), a.id), reverse=True)
    if to is not None and parse_version(to) != 0:
        stays = position_of(known_number(to, files, applied))
        wanted = [a for a in newest_first if position_of(a.number) > stays]
    elif everything or to is not None:
        wanted = newest_first
    else:
        wanted = newest_first[: _at_least_one(steps) or 1]
    on_disk = {m.number: m for m in files.migrations}
    chosen = tuple(Step("down", a.version, a.name, a.id, on_disk.get(a.number)) for a in wanted)
    found_problems = (
        *duplicate_problems(files),
        *invalid_problems(applied),
        *refused_files(files, chosen, "down"),
        *renamed_files(files, wanted),
    )
    if not found_problems:
        for step, row in zip(chosen, wanted, strict=True):
            _refuse_irreversible(files, step, row)
    return Plan(chosen, found_problems, tuple(changed_downs(files, wanted)))


def redo(files: Files, applied: Sequence[AppliedMigration]) -> Plan:
    """Plan to roll back the newest migration and apply it again.

    An up file that is missing or can't be read is a problem of the plan.

    Args:
        files: the files on disk.
        applied: the applied migrations.

    Raises:
        ChatdbError: `REFUSED` if it has no down.
    """
    rollback = down(files, applied)
    if rollback.problems or not rollback.steps:
        return rollback
    (step,) = rollback.steps
    if step.migration is None:
        return Plan((), tuple(missing_problem(a) for a in applied if a.id == step.id))
    steps = (step, _up_step(step.migration))
    return Plan(steps, refused_files(files, steps, "up"), rollback.warnings)


def remaining_downs(files: Files, history: History, remaining: Sequence[Step]) -> Plan:
    """Plan what remains of a down or a redo after another migrator changed the history.

    Nothing that the first plan did not show is ever rolled back.

    Args:
        files: the files on disk.
        history: the history as it is now.
        remaining: the steps that are not done.

    Raises:
        ChatdbError: `HISTORY` if another migrator has applied a newer migration, or another one of the
            same version.
    """
    applied = {a.number: a for a in history.applied}
    downs = {s.number for s in remaining if s.direction == "down"}
    for step in remaining:
        row = applied.get(step.number)
        if row and step.number not in downs and (problem := same_migration_problem(step, row)):
            raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
    steps = tuple(s for s in remaining if (s.number in applied) == (s.direction == "down"))
    if steps and steps[0].direction == "down":
        newest = down(files, history.applied).steps[0]
        if newest.id != steps[0].id:
            raise ChatdbError(
                Code.HISTORY,
                f"another migrator applied {newest.id} in the meantime, so {steps[0].id} is no longer "
                "the newest",
                hint=Advice("look at {status} and decide again"),
            )
    return Plan(steps)


def _is_allowed(problem: Finding, wanted: set[str], *, allow_out_of_order: bool) -> bool:
    """Return whether `up` may run although there is this problem."""
    if problem.code == "out-of-order":
        return allow_out_of_order or problem.version not in wanted
    return problem.code == "unfinished" and problem.version in wanted


def _up_step(migration: Migration) -> Step:
    return Step("up", migration.version, migration.name, migration.id, migration)


def _positions(files: Files) -> Callable[[int], tuple[int, int]]:
    """Return a function from a version to its position in the order of applying.

    That is the order of the files, which respects dependencies.  A version without a file comes after
    all files that are older.
    """
    positions = {m.number: n for n, m in enumerate(files.migrations)}

    def position_of(number: int) -> tuple[int, int]:
        if number not in positions:
            older = (n for other, n in positions.items() if other < number)
            return max(older, default=-1), number
        return positions[number], number

    return position_of


def _refuse_irreversible(files: Files, step: Step, row: AppliedMigration) -> None:
    m = step.migration
    if m is not None and m.up.directives.irreversible is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} is irreversible: {m.up.directives.irreversible}",
            hint="write a new migration that makes the change",
        )
    if (m is None or m.down is None) and not row.has_down:
        path = files.folder.path / "down" / f"{step.id}.sql"
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} has no down file, neither on disk nor in the history",
            hint=f"write {path}, or a new migration that makes the change",
        )


def _at_least_one(steps: int | None) -> int | None:
    if steps is not None and steps < 1:
        raise ChatdbError(
            Code.USAGE,
            f"the number of steps can't be {steps}",
            hint=Advice("give {steps} 1 or more"),
        )
    return steps
