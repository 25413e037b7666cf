"""Promises about the state of a run: what is done, what remains, and what the run reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.findings import Finding
from chatdb_cli.history.model import HISTORY_TABLES, AppliedMigration, History, Unfinished
from chatdb_cli.migrate.model import Plan, Request, Step
from chatdb_cli.migrate.state import RunState
from chatdb_cli.postgres.model import Target

TARGET = cast("Target", None)  # the state only passes it on
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
STOPPED_UP, STOPPED_DOWN = Unfinished("up", ("one",)), Unfinished("down", ("one",))


def up(version: str) -> Step:
    return Step("up", version, "t", f"{version}_t", None)


def down(version: str) -> Step:
    return Step("down", version, "t", f"{version}_t", None)


def applied(version: str, at: datetime = EARLY, **more: Any) -> AppliedMigration:
    return AppliedMigration(f"{version}_t", at, **more)


def history(*rows: AppliedMigration | str) -> History:
    migrations = tuple(applied(row) if isinstance(row, str) else row for row in rows)
    return History(1, 180001, "d", "u", True, HISTORY_TABLES, False, (), migrations)


def state(
    steps: Sequence[Step] = (),
    before: History | None = None,
    request: Request = "up",
    replanned: Plan | None = None,
) -> RunState:
    plan = Plan(tuple(steps))
    return RunState(
        TARGET, request, plan, before or history(), lambda _, left: replanned or Plan(tuple(left))
    )


def reported(run: RunState) -> list[tuple[str, str, str]]:
    return [(s.direction, s.version, s.state) for s in run.report().steps]


def test_a_step_with_a_result_does_not_remain() -> None:
    run = state([up("1"), up("2"), up("3")])
    run.finish(up("1"), "applied", 7)
    run.finish(up("2"), "by-another")
    assert run.remaining == (up("3"),)
    assert reported(run) == [
        ("up", "1", "applied"), ("up", "2", "by-another"), ("up", "3", "not-run"),
    ]  # fmt: skip
    assert run.report().steps[0].duration_ms == 7


CURRENT: dict[str, tuple[History, Sequence[tuple[Step, Any]], str | None]] = {
    "nothing": (history(), [], None),
    "what the history has": (history("1", "2"), [], "2"),
    "a step up": (history("1"), [(up("2"), "applied")], "2"),
    "a step down": (history("1", "2"), [(down("2"), "reverted")], "1"),
    "the last step down": (history("1"), [(down("1"), "reverted")], None),
    "a step that failed": (history("1"), [(up("2"), "failed")], "1"),
    "a step that another did, before the history is read": (
        history("1"), [(up("2"), "by-another")], "1",
    ),
    "one that stopped part-way": (history("1", applied("2", unfinished=STOPPED_UP)), [], "1"),
    "one that stopped and was resumed": (
        history("1", applied("2", unfinished=STOPPED_UP)), [(up("2"), "resumed")], "2",
    ),
    "versions of several lengths": (history("9", "10"), [], "10"),
}  # fmt: skip


@pytest.mark.parametrize("name", CURRENT)
def test_the_current_version_follows_the_results(name: str) -> None:
    before, results, expected = CURRENT[name]
    run = state((), before)
    for step, result in results:
        run.finish(step, result)
    assert run.current == expected
    assert run.report().current == expected


VERSIONS: dict[str, tuple[History, Sequence[Step], Sequence[int | None]]] = {
    "into an empty history": (history(), [up("1"), up("2")], [None, 1]),
    "after others": (history("1", "3"), [up("4"), up("2"), up("5")], [3, 4, 4]),
    "down": (history("1", "2", "3"), [down("3"), down("2"), down("1")], [3, 2, 1]),
    "down out of order": (history("1", "2", "3"), [down("2"), down("3")], [3, 3]),
    "redo": (history("1", "2"), [down("2"), up("2")], [2, 1]),
    "the only one again": (history("1"), [down("1"), up("1")], [1, None]),
    "after what has no version": (history("odd"), [up("1")], [None]),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_each_step_expects_the_highest_version_before_it(name: str) -> None:
    before, steps, expected = VERSIONS[name]
    run = state(steps, before)
    assert list(run.expected_versions(steps)) == list(zip(steps, expected, strict=True))


DONE: dict[str, tuple[Request, Sequence[Step], History, History, Sequence[Step]]] = {
    "nothing": ("up", [up("1"), up("2")], history(), history(), []),
    "some of an up": ("up", [up("1"), up("2")], history(), history("1"), [up("1")]),
    "some of a down": ("down", [down("2"), down("1")], history("1", "2"), history("1"), [down("2")]),
    "an up that stopped part-way": (
        "up", [up("1")], history(), history(applied("1", unfinished=STOPPED_UP)), [],
    ),
    "a down that stopped part-way": (
        "down", [down("1")], history("1"), history(applied("1", unfinished=STOPPED_DOWN)), [],
    ),
    "a redo of which nothing happened": (
        "redo", [down("1"), up("1")], history("1"), history("1"), [],
    ),
    "a redo that came down": (
        "redo", [down("1"), up("1")], history("1"), history(), [down("1")],
    ),
    "a redo that came down and up": (
        "redo", [down("1"), up("1")], history("1"), history(applied("1", LATE)),
        [down("1"), up("1")],
    ),
    "a redo whose up stopped part-way": (
        "redo", [down("1"), up("1")], history("1"),
        history(applied("1", LATE, unfinished=STOPPED_UP)), [down("1")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DONE)
def test_the_history_tells_which_steps_are_done(name: str) -> None:
    request, steps, before, after, expected = DONE[name]
    run = state(steps, before, request)
    run.replace_history(after)
    assert list(run.done_since(before)) == expected


RESUMED: dict[str, tuple[Sequence[Step], Step, Unfinished | None, bool]] = {
    "an up that stopped": ([up("1")], up("1"), STOPPED_UP, True),
    "a down that stopped": ([down("1")], down("1"), STOPPED_DOWN, True),
    "a down of an up that stopped": ([down("1")], down("1"), STOPPED_UP, False),
    "an up after the down of a redo": ([down("1"), up("1")], up("1"), STOPPED_UP, False),
    "one that did not stop": ([down("1")], down("1"), None, False),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_step_resumes_in_the_direction_in_which_it_stopped(name: str) -> None:
    steps, step, unfinished, resumes = RESUMED[name]
    run = state(steps, history(applied("1", unfinished=unfinished)), "redo")
    assert run.unfinished_of(step) == (unfinished if resumes else None)


FINGERPRINTS: dict[str, tuple[History, bool]] = {
    "the same": (history("1"), True),
    "read again later": (history(applied("1", LATE)), True),
    "another version": (history("1", "2"), False),
    "one less": (history(), False),
    "stopped part-way": (history(applied("1", unfinished=STOPPED_UP)), False),
    "tables that lack": (history("1")._replace(tables=frozenset()), False),
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_fingerprint_changes_with_what_a_plan_depends_on(name: str) -> None:
    after, same = FINGERPRINTS[name]
    run = state((), history("1"))
    before = run.fingerprint
    run.replace_history(after)
    assert (run.fingerprint == before) is same


def test_more_statements_done_are_another_history() -> None:
    run = state((), history(applied("1", unfinished=STOPPED_UP)))
    before = run.fingerprint
    run.replace_history(history(applied("1", unfinished=Unfinished("up", ("one", "two")))))
    assert run.fingerprint != before


def test_a_new_plan_replaces_the_steps_and_runs_again_what_was_undone() -> None:
    run = state([up("1"), up("2")], replanned=Plan((up("1"), up("2"), up("3"))))
    run.finish(up("1"), "applied")
    run.replace_history(history())  # another migrator rolled it back
    run.replan()
    assert run.remaining == (up("1"), up("2"), up("3"))
    run.finish(up("3"), "applied")
    assert reported(run) == [
        ("up", "1", "not-run"), ("up", "2", "not-run"), ("up", "3", "applied"),
    ]  # fmt: skip


def test_a_new_plan_with_a_problem_ends_the_run() -> None:
    problem = Finding("changed", "error", "the file was changed", "repair it", version="1")
    run = state([up("1")], replanned=Plan((), (problem,)))
    with pytest.raises(ChatdbError) as caught:
        run.replan()
    assert (caught.value.code, caught.value.message) == (Code.HISTORY, "the file was changed")
    assert caught.value.hint == "repair it"


def test_nothing_is_planned_when_nothing_remains() -> None:
    run = state([up("1")], replanned=Plan((up("2"),)))
    run.finish(up("1"), "by-another")
    run.replan()
    assert run.remaining == ()


def test_tables_that_were_made_complete_the_history() -> None:
    run = state((), history()._replace(tables=frozenset(), to_adopt=True))
    assert not run.history.complete
    run.note_tables()
    assert run.history.complete
