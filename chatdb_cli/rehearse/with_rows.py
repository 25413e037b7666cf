"""The rehearsal with rows: the seed is loaded at the top, every down runs on it, every up again.

What does not belong here: the rehearsal without rows (`rehearsal.py`), the seed (`seed/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError
from chatdb_cli.rehearse.choice import reason_to_skip
from chatdb_cli.rehearse.model import RehearsalFailure
from chatdb_cli.seed.files import seed_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from chatdb_cli.catalog.model import Snapshot
    from chatdb_cli.rehearse.stage import Stage


class FailedStep(NamedTuple):
    """A step with rows that failed, and the position of its version."""

    position: int
    failure: RehearsalFailure


def rehearse_with_rows(
    stage: Stage, first: int, snapshots: Mapping[int, Snapshot]
) -> FailedStep | None:
    """Load the seed, roll back to a version with its rows, and apply all again.

    It ends at the first version that fails, or that can't be rolled back.

    Args:
        stage: the scratch database.
        first: the position of the last version to roll back.
        snapshots: the schema after each version, by its position.
    """
    top = len(stage.migrations)
    if failed := stage.apply_before(top):
        position = stage.migrations.index(failed.migration)
        return FailedStep(position, RehearsalFailure("up", error=failed.error))
    expected = {**snapshots, top - 1: stage.snapshot()}
    try:
        seed_files(stage.target, stage.folder.path)
    except ChatdbError as error:
        return FailedStep(top - 1, RehearsalFailure("seed", error=error))
    return _roll_back(stage, first, expected) or _apply(stage, expected)


def _roll_back(stage: Stage, first: int, snapshots: Mapping[int, Snapshot]) -> FailedStep | None:
    for position in range(len(stage.migrations) - 1, first - 1, -1):
        if reason_to_skip(stage.migrations[position]):
            return None
        error = stage.down()
        failure = _judge(stage, "down with rows", error, snapshots.get(position - 1))
        if failure:
            return FailedStep(position, failure)
    return None


def _apply(stage: Stage, snapshots: Mapping[int, Snapshot]) -> FailedStep | None:
    while stage.applied < len(stage.migrations):
        position = stage.applied
        error = stage.up()
        failure = _judge(stage, "up after rows", error, snapshots.get(position))
        if failure:
            return FailedStep(position, failure)
    return None


def _judge(
    stage: Stage,
    step: Literal["down with rows", "up after rows"],
    error: ChatdbError | None,
    expected: Snapshot | None,
) -> RehearsalFailure | None:
    """Return what is wrong after a step, or None."""
    if error:
        return RehearsalFailure(step, error=error)
    differences = stage.compare(expected).differences if expected else ()
    return RehearsalFailure(step, tuple(differences)) if differences else None
