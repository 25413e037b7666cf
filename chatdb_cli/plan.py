"""Files against history and a request: the steps to take, or the problems in the way.

    Applied     what the history says of one version
    Problem     files and history disagree, and the way out
    Step        one migration in one direction
    Plan        steps in order, and problems

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: running a step
(`migrator.py`), reading either side (`migrations.py`, `history.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chatdb_cli.migrations import Direction, Files, Migration

AppliedState = Literal["applied", "changed", "missing", "unfinished"]
ProblemCode = Literal[
    "changed", "missing", "duplicate", "out-of-order", "unfinished", "refused", "yoyo-lock"
]


@dataclass(frozen=True, slots=True)
class Applied:
    """What the history says of one applied migration.

    Attributes:
        id: the file name without its suffix, as it was then.
        applied_at: when, in UTC.
        duration_ms: how long it took; None where yoyo applied it.
        up_checksum: of the up file as it was then; None where yoyo applied it.
        down_checksum: of the down file as it was then; None without one.
        has_down: the history keeps a down text.
    """

    id: str
    applied_at: datetime | None
    duration_ms: int | None = None
    up_checksum: str | None = None
    down_checksum: str | None = None
    has_down: bool = False

    @property
    def version(self) -> str:
        """The leading digits of the id, or the whole of an id that has none."""
        digits = re.match(r"[0-9]+", self.id)
        return digits[0] if digits else self.id

    @property
    def name(self) -> str:
        """What comes behind the version."""
        return self.id[len(self.version) :].lstrip("_-. ")

    @property
    def number(self) -> int:
        """The version as a number; -1 for an id that has none."""
        return int(self.version) if self.version.isdecimal() else -1


@dataclass(frozen=True, slots=True)
class Problem:
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


@dataclass(frozen=True, slots=True)
class Step:
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
        return int(self.version) if self.version.isdecimal() else -1

    @property
    def key(self) -> tuple[Direction, int]:
        """What tells one step of a run from the others."""
        return self.direction, self.number


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command would do, in order, or why it can't.

    Attributes:
        steps: in the order in which they run.
        problems: what stands in the way; nothing runs while there is one.
        warnings: what is worth saying and stops nothing.
    """

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def pending(files: Files, applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Return the migrations that are on disk and not in the history, in order."""
    done = {a.number for a in applied}
    return tuple(m for m in files.migrations if m.number not in done)


def current(applied: Sequence[Applied]) -> str | None:
    """Return the highest applied version, or None."""
    newest = max(applied, key=lambda a: a.number, default=None)
    return newest.version if newest else None


def states(files: Files, applied: Sequence[Applied]) -> tuple[tuple[Applied, AppliedState], ...]:
    """Return each applied migration with its state, in the order of versions."""
    on_disk = {m.number: m for m in files.migrations}
    result: list[tuple[Applied, AppliedState]] = []
    for row in sorted(applied, key=lambda a: (a.number, a.id)):
        migration = on_disk.get(row.number)
        if migration is None:
            result.append((row, "missing"))
        else:
            result.append((row, "changed" if _changed(migration, row) else "applied"))
    return tuple(result)


def problems(files: Files, applied: Sequence[Applied]) -> tuple[Problem, ...]:
    """Return everything in which files and history disagree."""
    on_disk = {m.number: m for m in files.migrations}
    found = [_duplicate(version, names) for version, names in files.duplicates.items()]
    found += [Problem("refused", None, described(e), e.hint or "") for e in files.refused]
    for row, state in states(files, applied):
        if state == "missing":
            found.append(_missing(row))
        elif state == "changed":
            found.append(_changed_problem(on_disk[row.number], row))
    found += [_out_of_order(m, newest) for m, newest in out_of_order(files, applied)]
    return tuple(found)


def warnings(files: Files, applied: Sequence[Applied]) -> tuple[str, ...]:
    """Return what is odd in files or history and stops nothing."""
    on_disk = {m.number: m for m in files.migrations}
    changed = [
        f"{on_disk[row.number].down.path} was changed since {row.id} was applied"  # type: ignore[union-attr]
        for row in applied
        if (m := on_disk.get(row.number))
        and m.down
        and row.up_checksum
        and m.down.checksum != row.down_checksum
    ]
    return (*files.warnings, *changed)


def out_of_order(
    files: Files, applied: Sequence[Applied]
) -> tuple[tuple[Migration, Migration], ...]:
    """Return each pending migration that stands before the newest applied one, with that one."""
    done = {a.number for a in applied}
    newest = next((m for m in reversed(files.migrations) if m.number in done), None)
    if newest is None:
        return ()
    before = files.migrations[: files.migrations.index(newest)]
    return tuple((m, newest) for m in before if m.number not in done)


def up(
    files: Files,
    applied: Sequence[Applied],
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
        steps: how many to apply at the most.
        allow_out_of_order: apply a file that is older than the newest applied one.

    Raises:
        ChatdbError: `USAGE` for a `to` that is unknown, or below the current version.
    """
    wanted = list(pending(files, applied))
    if to is not None:
        target = _known(to, files)
        if target.number not in {m.number for m in wanted} and target.number < max(
            (a.number for a in applied), default=-1
        ):
            raise ChatdbError(
                Code.USAGE,
                f"version {to} is below the current version {current(applied)}",
                hint=f"to go back to it: chatdb migrate down --to {to}",
            )
        reached = files.migrations.index(target)
        wanted = [m for m in wanted if files.migrations.index(m) <= reached]
    if steps is not None:
        wanted = wanted[:steps]
    found = [
        p
        for p in problems(files, applied)
        if p.code != "out-of-order"
        or (not allow_out_of_order and p.version in {m.version for m in wanted})
    ]
    return Plan(
        tuple(Step("up", m.version, m.name, m.id, m) for m in wanted),
        tuple(found),
        warnings(files, applied),
    )


def down(
    files: Files,
    applied: Sequence[Applied],
    *,
    to: str | None = None,
    steps: int | None = None,
    everything: bool = False,
) -> Plan:
    """Plan to take back the newest migration, or more.

    What changed or is missing on disk does not stop a way back: the history keeps the texts.

    Args:
        files: what is on disk.
        applied: what the history says.
        to: take back all that is newer; this one stays; `0` is all.
        steps: how many to take back; 1 by default.
        everything: take back all.

    Raises:
        ChatdbError: `USAGE` for an unknown `to`; `REFUSED` for a migration without a way back.
    """
    order = _applied_in_order(files, applied)
    if to is not None and int(_digits(to)) != 0:
        known = {a.number for a in applied}
        limit = int(_digits(to)) if int(_digits(to)) in known else _known(to, files).number
        wanted = [a for a in order if a.number > limit]
    elif everything or to is not None:
        wanted = order
    else:
        wanted = order[: steps if steps is not None else 1]
    duplicates = tuple(_duplicate(v, names) for v, names in files.duplicates.items())
    on_disk = {m.number: m for m in files.migrations}
    chosen = tuple(Step("down", a.version, a.name, a.id, on_disk.get(a.number)) for a in wanted)
    if not duplicates:
        for step, row in zip(chosen, wanted, strict=True):
            _refuse_irreversible(step, row)
    touched = {s.number for s in chosen}
    said = tuple(
        w for w in warnings(files, [a for a in applied if a.number in touched]) if "changed" in w
    )
    return Plan(chosen, duplicates, said)


def redo(files: Files, applied: Sequence[Applied]) -> Plan:
    """Plan to take back the newest migration and apply it again.

    Raises:
        ChatdbError: `REFUSED` when it has no way back, `HISTORY` when its up file is gone.
    """
    back = down(files, applied)
    if back.problems or not back.steps:
        return back
    step = back.steps[0]
    if step.migration is None:
        missing = next(a for a in applied if a.id == step.id)
        return Plan((), (_missing(missing),))
    m = step.migration
    return Plan((step, Step("up", m.version, m.name, m.id, m)), (), back.warnings)


def _applied_in_order(files: Files, applied: Sequence[Applied]) -> list[Applied]:
    """Return what is applied, newest first, each before those that it depends on."""
    newest_first = sorted(applied, key=lambda a: (a.number, a.id), reverse=True)
    if not any(m.up.directives.depends for m in files.migrations):
        return newest_first
    place = {m.number: n for n, m in enumerate(files.migrations)}
    # One without a file goes right behind the newest file that is older.
    last = -1
    keys: dict[str, tuple[int, int]] = {}
    for row in reversed(newest_first):
        last = place.get(row.number, last)
        keys[row.id] = (last, row.number)
    return sorted(newest_first, key=lambda a: keys[a.id], reverse=True)


def _refuse_irreversible(step: Step, row: Applied) -> None:
    m = step.migration
    if m is not None and m.up.directives.irreversible is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} is irreversible: {m.up.directives.irreversible}",
            hint="write a new migration that does what is needed",
        )
    if (m is None or m.down is None) and not row.has_down:
        raise ChatdbError(
            Code.REFUSED,
            f"{step.id} has no down file, on disk or in the history",
            hint=f"write sql/down/{step.id}.sql, or a new migration that does what is needed",
        )


def _changed(migration: Migration, row: Applied) -> bool:
    if migration.id != row.id:
        return True
    return bool(row.up_checksum and migration.up.checksum not in ("", row.up_checksum))


def _digits(version: str) -> str:
    if not re.fullmatch(r"[0-9]+", version):
        raise ChatdbError(
            Code.USAGE,
            f"{version!r} is not a version",
            hint="a version is a number, such as 0007 or 7",
        )
    return version


def _known(version: str, files: Files) -> Migration:
    number = int(_digits(version))
    for migration in files.migrations:
        if migration.number == number:
            return migration
    raise ChatdbError(
        Code.USAGE,
        f"there is no version {version}",
        hint="chatdb migrate status lists the versions",
    )


def described(error: ChatdbError) -> str:
    """Return an error's message with the place in front of it, in one line."""
    place = error.place
    at = f"{place.file}{f':{place.line}' if place.line else ''}: " if place else ""
    return at + error.message


def _duplicate(version: str, names: tuple[str, ...]) -> Problem:
    return Problem(
        "duplicate",
        version,
        f"version {version} is used by {' and '.join(names)}",
        "give one of them, up and down, a version of its own",
    )


def _missing(row: Applied) -> Problem:
    return Problem(
        "missing",
        row.version,
        f"{row.id} is applied, and there is no such file in the up folder",
        "bring the file back from version control, or check --dir; "
        f"`chatdb migrate down --to` a version below {row.version} takes it back without its file",
    )


def _changed_problem(migration: Migration, row: Applied) -> Problem:
    if migration.id != row.id:
        message = f"{migration.up.path} has the version of {row.id}, which is applied"
        hint = f"name it {row.id}.sql again, or give it a version of its own"
    else:
        message = f"{migration.up.path} was changed after {row.id} was applied"
        hint = (
            "bring the applied text back and put the change into a new migration; "
            "while developing, `chatdb migrate redo` applies the newest one anew"
        )
    return Problem("changed", row.version, message, hint)


def _out_of_order(migration: Migration, newest: Migration) -> Problem:
    return Problem(
        "out-of-order",
        migration.version,
        f"{migration.id} is pending, and the newer {newest.id} is applied",
        "rename it to a newer version, or apply it as it is with --allow-out-of-order",
    )
