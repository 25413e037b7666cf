"""Verify a project: run the checks, and return the verdict.

    verify_project    what `chatdb verify` calls

What does not belong here: what a check looks at (the module of that check).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code, Exit
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.model import require_settings
from chatdb_cli.settings.parse import did_you_mean
from chatdb_cli.verify.codes import not_checked
from chatdb_cli.verify.database import SharedDatabase
from chatdb_cli.verify.model import CHECKS, CheckResult, Request, Verdict, has_other_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chatdb_cli.files.model import Migration
    from chatdb_cli.rehearse.model import Rehearsal
    from chatdb_cli.settings.model import Settings
    from chatdb_cli.verify.model import CheckName, Outcome

# After these there is nothing to verify any more.
_ENDS = (Exit.INTERNAL, Exit.INTERRUPTED, Exit.TERMINATED)
_OFFLINE: tuple[CheckName, ...] = ("files",)


def verify_project(
    settings: Settings,
    directory: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    since: str | None = None,
    offline: bool = False,
    allow_pending: bool = False,
    counts: Path | None = None,
    locks: bool = False,
    report: Callable[[str], None] = ignore,
    progress: Callable[[CheckResult], None] = ignore,
    ask: Callable[[str], str | None] = no_answer,
) -> Verdict:
    """Run every check that a CI job needs; writes nothing to the target.

    A check that can't be made has failed, and the others are still made.

    Args:
        settings: from `load_settings`; `settings.against` names a database to compare the rows with.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        only: the names of the checks to make; empty for all.
        skip: the names of checks to leave out.
        since: a commit, branch or tag of git: lint and rehearse only files that differ from it.
        offline: make only the checks that need no database.
        allow_pending: a pending migration is expected.
        counts: a file of `save_counts` to compare the rows with.
        locks: trace which locks the statements of the rehearsed files took, for a report.
        report: called with a line for what takes time.
        progress: called with the result of each check.
        ask: asks a person for the passphrase of an SSH key.

    Raises:
        ChatdbError: `USAGE`, a name of a check is unknown, the arguments contradict each other, or
            there is nothing to check; an interrupt.
    """
    require_settings(settings)
    named = str(directory) if directory is not None else settings.directory
    request = Request(settings, named, since, allow_pending, counts, locks, report)
    skipped = _choose(request, only, skip, offline=offline)
    migrations = _migrations(request) if since is not None else ()
    results, rehearsal = [], None
    with SharedDatabase(settings, report, ask) as database:
        for name in CHECKS:
            if name in skipped:
                result = CheckResult(name, skipped=skipped[name])
            else:
                result, found = _make(name, request, database)
                rehearsal = found or rehearsal
            results.append(result)
            progress(result)
        newest = _newest(request)
        return Verdict(database.opened, tuple(results), since, migrations, rehearsal, newest)


def _choose(
    request: Request, only: Sequence[str], skip: Sequence[str], *, offline: bool
) -> dict[CheckName, str]:
    """Return the checks that are not made, and why.

    Raises:
        ChatdbError: `USAGE`, a name is unknown, or names contradict each other.
    """
    _refuse_names(only, skip)
    compared = has_other_side(request)
    skipped: dict[CheckName, str] = {}
    for name in CHECKS:
        if name in skip or (only and name not in only):
            skipped[name] = "not asked for"
        elif offline and name not in _OFFLINE:
            skipped[name] = "it needs a database"
        elif name == "counts" and not compared:
            skipped[name] = "nothing to compare with"
    asked = {*only, *(("counts",) if request.counts is not None else ())}
    for name, why in skipped.items():
        if name in asked:
            hint = Advice("name what to compare with: {counts_file}, or {against}")
            raise ChatdbError(
                Code.USAGE,
                f"{name} can't be checked: {why}",
                hint=None if compared or offline else hint,
            )
    if len(skipped) == len(CHECKS):
        raise ChatdbError(
            Code.USAGE, "nothing is left to check", hint="leave out fewer of the checks"
        )
    return skipped


def _refuse_names(only: Sequence[str], skip: Sequence[str]) -> None:
    for name in (*only, *skip):
        if name not in CHECKS:
            raise ChatdbError(
                Code.USAGE,
                f"there is no check {name!r}{did_you_mean(name, CHECKS)}",
                hint=f"the checks are {', '.join(CHECKS)}",
            )
    if both := set(only) & set(skip):
        raise ChatdbError(
            Code.USAGE, f"{min(both)} can't be checked and left out", hint="name it once"
        )


def _migrations(request: Request) -> tuple[Migration, ...]:
    """Return the migrations whose files differ from the commit.

    Raises:
        ChatdbError: `USAGE`, there is no such commit: then `since` would leave out everything.
    """
    from chatdb_cli.files.since import files_since

    folder = choose_folder(request.directory)
    newer = files_since(request.since or "", folder.path)
    return tuple(
        migration
        for migration in read_migrations(folder).migrations
        if any(s.path.resolve() in newer for s in (migration.up, migration.down) if s)
    )


def _newest(request: Request) -> Path | None:
    """Return the newest up file; None if there is none, or if the folder can't be read."""
    try:
        files = read_migrations(choose_folder(request.directory), downs=False)
    except ChatdbError:
        return None
    return files.migrations[-1].up.path if files.migrations else None


def _make(
    name: CheckName, request: Request, database: SharedDatabase
) -> tuple[CheckResult, Rehearsal | None]:
    """Make a check; if it can't be made, that is what it has found.

    Raises:
        ChatdbError: an interrupt, or a bug.
    """
    start = time.monotonic()
    rehearsal = None
    try:
        outcome = _run(name, request, database)
    except ChatdbError as error:
        if error.exit in _ENDS:
            raise
        result = CheckResult(name, "could not be checked", (not_checked(error),), error=error)
    else:
        result = CheckResult(name, outcome.summary, outcome.findings)
        rehearsal = outcome.rehearsal
    return result._replace(duration_ms=round((time.monotonic() - start) * 1000)), rehearsal


def _run(name: CheckName, request: Request, database: SharedDatabase) -> Outcome:
    """Run a check; only those that are made are imported."""
    if name == "files":
        from chatdb_cli.verify.files import check_files

        return check_files(request)
    if name == "history":
        from chatdb_cli.verify.history import check_history

        return check_history(request, database)
    if name == "schema":
        from chatdb_cli.verify.schema import check_schema

        return check_schema(request, database)
    if name == "rollback":
        from chatdb_cli.verify.rollback import check_rollback

        return check_rollback(request, database)
    if name == "invariants":
        from chatdb_cli.verify.invariants import check_invariants

        return check_invariants(request, database)
    from chatdb_cli.verify.counts import check_counts

    return check_counts(request, database)
