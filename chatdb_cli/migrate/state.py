"""The state of a run: the history, the steps that remain, and the result of each other step.

    RunState    what a run knows; it needs no connection

What does not belong here: reading the history, sending a step (`runner.py`), choosing the steps
(`plan.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate.compare import is_same
from chatdb_cli.migrate.model import Plan, Run, StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Direction
    from chatdb_cli.history.model import AppliedMigration, History, Unfinished
    from chatdb_cli.migrate.model import LoadedStep, Loss, Request, Step, StepState
    from chatdb_cli.postgres.model import Target


class RunState:
    """What a run knows at any moment.

    Args:
        target: the database and schema to migrate.
        request: what the user asked for.
        plan: the first plan.
        history: the history that the plan was made for.
        replan: returns the plan for the remaining steps after another migrator changed the history.

    Attributes:
        history: the history as it was last read.
        applied: the version of each applied or unfinished migration, by number, now.
        unfinished: the migrations that stopped part-way, by number.
        steps: the steps of the current plan.
        was_empty: nothing was applied before the run.
        results: the result of each step that is done or failed, by its key.
        loaded: the file of each step, by its key.
    """

    def __init__(
        self,
        target: Target,
        request: Request,
        plan: Plan,
        history: History,
        replan: Callable[[History, Sequence[Step]], Plan],
    ) -> None:
        self.target = target
        self.request: Request = request
        self.plan = plan
        self._replan = replan
        self.steps = plan.steps
        self.was_empty = not history.applied
        self._had_tables = history.complete
        self.loaded: dict[tuple[Direction, int], LoadedStep] = {}
        self.results: dict[tuple[Direction, int], StepResult] = {}
        self.replace_history(history)

    def replace_history(self, history: History) -> None:
        """Replace the known history with one just read."""
        self.history = history
        self.applied: dict[int, str] = {a.number: a.version for a in history.applied}
        self._ids = {a.number: a.id for a in history.applied}
        self.unfinished: dict[int, AppliedMigration] = {
            a.number: a for a in history.applied if a.unfinished
        }

    def note_tables(self) -> None:
        """Note that all tables of the history exist now."""
        self.history = self.history._replace(tables=HISTORY_TABLES, to_adopt=False)

    @property
    def has_new_tables(self) -> bool:
        """Tables of the history were created since the run began; no rollback removes them."""
        return self.history.complete and not self._had_tables

    @property
    def remaining(self) -> tuple[Step, ...]:
        """The steps of the current plan that have no result yet, in order."""
        return tuple(s for s in self.steps if s.key not in self.results)

    @property
    def current(self) -> str | None:
        """The highest version that is applied now, or None; an unfinished one is not applied."""
        finished = self.applied.keys() - self.unfinished.keys()
        return self.applied[max(finished)] if finished else None

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Everything in the history that a plan depends on."""
        progress = sorted(
            (a.number, a.unfinished.direction, tuple(a.unfinished.statements_done))
            for a in self.history.applied
            if a.unfinished
        )
        return dict(self.applied), dict(self._ids), progress, self.history.complete

    def resumed_row(self, step: Step) -> AppliedMigration | None:
        """Return the history's row of a step that continues where it stopped, or None.

        An up step of a redo never resumes: its down step runs first.
        """
        row = self.unfinished.get(step.number)
        if row is None or row.unfinished is None or row.unfinished.direction != step.direction:
            return None
        if step.direction == "up" and ("down", step.number) in {s.key for s in self.remaining}:
            return None
        return row

    def unfinished_of(self, step: Step) -> Unfinished | None:
        """Return how far a step came that continues where it stopped, or None."""
        row = self.resumed_row(step)
        return row.unfinished if row else None

    def finish(self, step: Step, state: StepState, duration_ms: int | None = None) -> StepResult:
        """Note the result of a step, and the version that it applied or rolled back."""
        if state in ("applied", "reverted", "resumed"):
            if step.direction == "up":
                self.applied[step.number] = step.version
                self._ids[step.number] = step.id
            else:
                self.applied.pop(step.number, None)
                self._ids.pop(step.number, None)
            self.unfinished.pop(step.number, None)
        result = StepResult(step.direction, step.version, step.name, state, duration_ms)
        self.results[step.key] = result
        return result

    def done_since(self, before: History) -> tuple[Step, ...]:
        """Return the remaining steps that the history shows as done.

        Both steps of a redo have the same version.  They are done if the migration was applied again
        since (only the down step, if the up step stopped part-way); the up step can't be done while
        the down step is not.  A migration of another name or checksum that has the version of a step is
        not that step.

        Args:
            before: the history that the steps were sent for.
        """
        then = {a.number: a.applied_at for a in before.applied}
        now = {a.number: a.applied_at for a in self.history.applied}
        row_of = {a.number: a for a in self.history.applied}
        unfinished = {a.number for a in self.history.applied if a.unfinished}
        done, undone = [], set()
        for step in self.remaining:
            n = step.number
            again = self.request == "redo" and n in now and n in then and now[n] != then[n]
            matches = (n in now) == (step.direction == "up")
            if n in unfinished:
                matches, again = False, again and step.direction == "down"
            is_other = n in now and not is_same(step, row_of[n])
            if (again or (matches and n not in undone)) and not is_other:
                done.append(step)
            else:
                undone.add(n)
        return tuple(done)

    def replan(self) -> None:
        """Plan the remaining steps for the history as it is now.

        Raises:
            ChatdbError: `HISTORY` if files and history disagree now.
        """
        remaining = self.remaining
        plan = self._replan(self.history, remaining) if remaining else Plan(())
        if plan.problems:
            problem = plan.problems[0]
            raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
        self.steps = plan.steps
        for step in plan.steps:  # another migrator may have undone what this run did
            self.results.pop(step.key, None)

    def expected_versions(self, steps: Iterable[Step]) -> Iterator[tuple[Step, int | None]]:
        """Yield each step with the highest version that the history must have before it."""
        numbers = {n for n in self.applied if n >= 0}
        highest = max(numbers, default=None)
        for step in steps:
            yield step, highest
            if step.direction == "up":
                numbers.add(step.number)
                highest = step.number if highest is None else max(highest, step.number)
            else:
                numbers.discard(step.number)
                if step.number == highest:
                    highest = max(numbers, default=None)

    def report(self, losses: tuple[Loss, ...] | None = None) -> Run:
        """Return the run so far: the steps of the first plan, then those that were added.

        Args:
            losses: the rows that the run would delete, if that was checked.
        """
        planned = {s.key for s in self.plan.steps}
        steps = [
            self.results.get(s.key) or StepResult(s.direction, s.version, s.name, "not-run")
            for s in self.plan.steps
        ]
        steps += [result for key, result in self.results.items() if key not in planned]
        return Run(
            self.target,
            self.request,
            tuple(steps),
            self.current,
            self.plan.warnings,
            losses=losses,
        )
