"""The check of rollbacks: each down is the exact inverse of its up, in a scratch database.

What does not belong here: the rehearsal (`rehearse/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import Location
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.rehearse.rehearsal import rehearse_migrations
from chatdb_cli.remedy import Advice
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome
from chatdb_cli.verify.schema import describe

if TYPE_CHECKING:
    from chatdb_cli.files.model import Migration
    from chatdb_cli.findings import Finding
    from chatdb_cli.rehearse.model import Rehearsal, RehearsalFailure
    from chatdb_cli.verify.database import SharedDatabase
    from chatdb_cli.verify.model import Request

# What a failure is called, and what its message begins with: after an error, after a difference.
_FAILED = {"down": "down-failed"}
_DIFFERS = {"down": "down-differs"}
_HINT = Advice("{rehearse} shows all of it")
# How many differences a message names.
_NAMED = 3


def check_rollback(request: Request, database: SharedDatabase) -> Outcome:
    """Rehearse the migrations, or those whose files differ from a commit.

    Raises:
        ChatdbError: as `rehearse_migrations` does.
    """
    rehearsal = rehearse_migrations(
        database.rehearsal_target(),
        request.directory,
        since=request.since,
        locks=request.locks,
        report=request.report,
    )
    migrations = {
        migration.version: migration
        for migration in read_migrations(choose_folder(request.directory)).migrations
    }
    findings = (
        _finding(migrations[version.version], failure)
        for version in rehearsal.versions
        for failure in version.failures
    )
    return Outcome(_summary(rehearsal), tuple(findings), rehearsal)


def _finding(migration: Migration, failure: RehearsalFailure) -> Finding:
    down = failure.step == "down" and migration.down is not None
    script = migration.down if down and migration.down else migration.up
    error, name = failure.error, migration.id
    if error is not None:
        code = _FAILED.get(failure.step, "up-failed")
        message = f"{name}: the {failure.step} fails: {error.message}"
        return found(
            code, message, error.hint or _HINT, error.place or Location(script.path),
            migration.version,
        )  # fmt: skip
    code = _DIFFERS.get(failure.step, "up-differs")
    sides = ("before it", "after it") if down else ("the first time", "the second time")
    differences = [
        describe(d, f"the schema {sides[0]}", f"the schema {sides[1]}")
        for d in failure.differences[:_NAMED]
    ]
    if more := len(failure.differences) - len(differences):
        differences.append(f"{more} more")
    what = (
        "the down does not undo the up" if down else "the second up builds not what the first built"
    )
    message = f"{name}: {what}: {'; '.join(differences)}"
    return found(code, message, _HINT, Location(script.path), migration.version)


def _summary(rehearsal: Rehearsal) -> str:
    skipped = sum(version.skipped is not None for version in rehearsal.versions)
    rehearsed = f"{len(rehearsal.versions) - skipped} rehearsed"
    return f"{rehearsed}, {skipped} passed over" if skipped else rehearsed
