"""Rehearse migrations: prove that each down is the exact inverse of its up.

    rehearse_migrations    up, snapshot, down, equal to before?, up, equal to the first up?

Everything happens in a scratch database.  A version that fails leaves it in a state of its own, so the
next version begins in a new one, and each is judged alone.  What does not belong here: choosing the
versions (`choice.py`), the scratch database as it is migrated (`stage.py`), rows (`with_rows.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations, read_seed_files
from chatdb_cli.postgres.model import require_target
from chatdb_cli.rehearse.choice import choose_versions, reason_to_skip, refuse_unfit_files
from chatdb_cli.rehearse.model import (
    Rehearsal,
    RehearsalFailure,
    RehearsalProgress,
    VersionRehearsal,
)
from chatdb_cli.rehearse.stage import Stage
from chatdb_cli.rehearse.with_rows import rehearse_with_rows
from chatdb_cli.scratch.database import scratch_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from chatdb_cli.catalog.model import Difference, Snapshot
    from chatdb_cli.files.model import Migration
    from chatdb_cli.postgres.model import Target


def rehearse_migrations(
    target: Target,
    directory: str | Path | None = None,
    *,
    first: str | None = None,
    last: str | None = None,
    since: str | None = None,
    seed: bool = False,
    locks: bool = False,
    column_order: bool = False,
    report: Callable[[str], None] = ignore,
    progress: Callable[[RehearsalProgress], None] = ignore,
) -> Rehearsal:
    """Prove in a scratch database that each down is the exact inverse of its up.

    Nothing is written to the target; the scratch database is dropped at the end.

    Args:
        target: the database that the migrations are for: its version, encoding and locale count.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        first: the first version to rehearse; those before it are only applied.
        last: the last version to rehearse.
        since: only versions whose files are not the same in this commit, branch or tag of git.
        seed: at the end, load the seed, roll everything back with its rows, and apply it again.
        locks: trace which locks each statement took.
        column_order: another order of the columns is a difference, too.
        report: called with a line for what takes time.
        progress: called when it begins, and with each version when that is done.

    Raises:
        ChatdbError: `USAGE`, a version or the commit is unknown; `NO_SCRATCH`; no connection; files that
            can't be migrations.
    """
    require_target(target)
    folder = choose_folder(str(directory) if directory is not None else target.settings.directory)
    files = read_migrations(folder)
    refuse_unfit_files(files)
    chosen = choose_versions(files, first=first, last=last, since=since)
    if seed:
        read_seed_files(folder)
    with scratch_place(target, report=report) as place, ExitStack() as stack:
        scripts = (s for m in files.migrations for s in (m.up, m.down) if s)
        place.refuse_server_effects(scripts)
        stage = stack.enter_context(Stage(place, folder, files.migrations, locks=locks))
        rehearser = _Rehearser(stage, chosen, column_order=column_order)
        results = []
        progress(RehearsalProgress(len(chosen)))
        for result in rehearser.versions():
            results.append(result)
            progress(RehearsalProgress(len(chosen), result))
        if seed and chosen and not rehearser.stopped:
            failed = rehearse_with_rows(stage, chosen[0], rehearser.snapshots)
            if failed is not None:
                if failed.position not in chosen:
                    migration = files.migrations[failed.position]
                    results.append(VersionRehearsal(migration.version, migration.name))
                n = chosen.index(failed.position) if failed.position in chosen else -1
                results[n] = replace(results[n], failures=(*results[n].failures, failed.failure))
        return Rehearsal(
            target, tuple(results), place.server.target.where, with_rows=seed, traced=locks
        )


class _Rehearser:
    """Rehearses the chosen versions in order.

    Args:
        stage: the scratch database.
        chosen: the positions of the versions.
        column_order: another order of the columns is a difference, too.

    Attributes:
        snapshots: the schema after the first up of each version, by its position.
        stopped: why no further version could be rehearsed, or None.
    """

    def __init__(self, stage: Stage, chosen: Sequence[int], *, column_order: bool) -> None:
        self._stage = stage
        self._chosen = chosen
        self._column_order = column_order
        self.snapshots: dict[int, Snapshot] = {}
        self.stopped: str | None = None

    def versions(self) -> Iterator[VersionRehearsal]:
        """Rehearse each version, and yield the result."""
        for position in self._chosen:
            migration = self._stage.migrations[position]
            if self.stopped is None:
                failed = self._stage.apply_before(position)
                if failed is not None:
                    self.stopped = f"{failed.migration.version} failed"
                    yield VersionRehearsal(
                        failed.migration.version, failed.migration.name,
                        failures=(RehearsalFailure("up", error=failed.error),),
                    )  # fmt: skip
            if self.stopped is not None:
                yield VersionRehearsal(
                    migration.version, migration.name, f"not rehearsed: {self.stopped}"
                )
                continue
            yield self._version(position, migration)

    def _version(self, position: int, migration: Migration) -> VersionRehearsal:
        stage = self._stage
        result = VersionRehearsal(migration.version, migration.name)
        before = stage.snapshot()
        if error := stage.up():
            self.stopped = f"{migration.version} failed"
            return replace(result, failures=(RehearsalFailure("up", error=error),))
        after = self.snapshots[position] = stage.snapshot()
        result = replace(result, locks=stage.locks(migration))
        if skipped := reason_to_skip(migration):
            return replace(result, skipped=skipped)
        failures: list[RehearsalFailure] = []
        notes: list[Difference] = []
        if error := stage.down():
            stage.renew(position + 1)
            return replace(result, failures=(RehearsalFailure("down", error=error),))
        comparison = stage.compare(before, column_order=self._column_order)
        notes += comparison.column_order
        if comparison.differences:
            failures.append(RehearsalFailure("down", tuple(comparison.differences)))
        if error := stage.up():
            stage.renew(position + 1)
            failures.append(RehearsalFailure("second up", error=error))
            return replace(result, failures=tuple(failures))
        comparison = stage.compare(after, column_order=self._column_order)
        notes += comparison.column_order
        if comparison.differences:
            failures.append(RehearsalFailure("second up", tuple(comparison.differences)))
            stage.renew(position + 1)
        return replace(result, failures=tuple(failures), notes=tuple(notes))
