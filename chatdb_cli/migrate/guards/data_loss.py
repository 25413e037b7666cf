"""Refuse down migrations that would delete rows.

    DataLossCheck    checks downs by trial before they run, and guards each of them when it runs

What does not belong here: one trial (`trial.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psycopg import errors

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate.failure import is_undone, what_stays
from chatdb_cli.migrate.guards.effects import find_traits
from chatdb_cli.migrate.guards.trial import DataLossTrial
from chatdb_cli.migrate.parts import Guard, Part, StepTag
from chatdb_cli.postgres.diagnosis import server_error
from chatdb_cli.postgres.pipeline import Batch, Outcome
from chatdb_cli.postgres.sqlstates import (
    ASSERTION_FAILED,
    LOCK_NOT_AVAILABLE,
    TRANSIENT,
    sqlstate_of,
)
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.effects import find_changes, find_lasting_effects, only_index
from chatdb_cli.syntax.location import locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Error

    from chatdb_cli.files.model import Direction
    from chatdb_cli.migrate.guards.effects import Traits
    from chatdb_cli.migrate.guards.unmeasured import Unmeasured
    from chatdb_cli.migrate.model import LoadedStep, Loss, Step
    from chatdb_cli.migrate.patience import Patience
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.postgres.pipeline import Message, OnIdle

_GROUP_SIZE = 50  # downs whose effects are recorded one by one in one transaction
_OBJECT = re.compile(r"\b(?:lo_unlink|lo_put|lo_truncate(?:64)?|lowrite)\b", re.IGNORECASE)
_DISCARD = re.compile(r"\bdiscard\s+(?:temp|temporary|all)\b", re.IGNORECASE)
_ALLOW_DATA_LOSS = Advice("check the file, and if its rows may be deleted, give {allow_data_loss}")


class DataLossCheck:
    """Checks by trial that downs delete no rows.

    Args:
        session: the session of the run.
        state: the steps and their files.
        patience: the timeouts, and whether rows may be deleted; then nothing is checked.
        on_idle: what to do while the server is silent.

    Attributes:
        retryable: see `RunGuard`; here they say that the trial no longer holds: rows were added, or a
            table or column is gone.
        losses: the rows that the run would delete; None if that was not checked.
    """

    prepare = None
    retryable: tuple[str, ...] = (
        ASSERTION_FAILED,
        sqlstate_of(errors.UndefinedTable),
        sqlstate_of(errors.UndefinedColumn),
        sqlstate_of(errors.UndefinedObject),
    )

    def __init__(
        self, session: Session, state: RunState, patience: Patience, on_idle: OnIdle
    ) -> None:
        self._session = session
        self._state = state
        self._patience = patience
        self._on_idle = on_idle
        self.losses: tuple[Loss, ...] | None = None
        self._guards: dict[tuple[Direction, int], Guard] = {}  # of the downs that delete no rows
        self._checked_together: set[tuple[Direction, int]] = set()

    def refuse(self, loaded: LoadedStep) -> ChatdbError | None:
        """Return why a down can't be run in a transaction that is rolled back, or None."""
        if self.is_safe(loaded.step):
            return None
        script = loaded.script
        lasting = find_lasting_effects(script.text, loaded.statements)
        # nextval only leaves a gap in a sequence.
        effect = next((e for e in lasting if e.what.lower() != "nextval"), None)
        if not loaded.transactional and not only_index(loaded.statements):
            reason, place = "the file runs outside of a transaction", Location(script.path)
        elif effect is not None:
            reason = f"ROLLBACK does not undo {effect.what}"
            place = locate(script.text, effect.offset, script.path)
        elif (changed := find_changes(script.text, HISTORY_TABLES)) is not None:
            reason, place = (
                "the file changes the history",
                locate(script.text, changed, script.path),
            )
        elif (where := _OBJECT.search(script.text)) and not find_traits(script.text).counted:
            reason = "the file switches the counting of rows"
            place = locate(script.text, where.start(), script.path)
        else:
            return None
        return _unknown_rows(reason, place)

    def is_safe(self, step: Step) -> bool:
        """Return whether a step may run: a down only if it deletes no rows, or may delete them."""
        allowed = self._patience.options.allow_data_loss
        return allowed or step.direction == "up" or step.key in self._guards

    def guard_of(self, step: Step) -> Guard | None:
        """Return the statements that watch a down; None for a step that was not checked."""
        return self._guards.get(step.key)

    def forget(self) -> None:
        """Forget what was checked: the database may have changed since."""
        self._checked_together.clear()
        self._guards.clear()

    def check(self) -> Outcome:
        """Check the downs that come next; then they are safe.

        Checking after every down is quadratic in their number, so first all of them are checked once
        together, then one by one in groups.

        Returns:
            The outcome; after an error the caller must send ROLLBACK.

        Raises:
            ChatdbError: `REFUSED` if rows would be deleted.
        """
        steps = self._state.remaining
        if self._resumes(steps[0]):
            self._guards[steps[0].key] = Guard()
            return Outcome()
        count = [*map(self.is_safe, steps), True].index(True)
        if count > _GROUP_SIZE and steps[0].key not in self._checked_together:
            checked, outcome, _ = self.try_group(steps[:count], each=False)
            self._checked_together = {s.key for s in checked}
            if outcome.is_bad:
                return outcome
        checked, outcome, guards = self.try_group(steps[: min(count, _GROUP_SIZE)], each=True)
        if not outcome.is_bad:
            self._guards |= zip((s.key for s in checked), guards, strict=True)
        return outcome

    def _resumes(self, step: Step) -> bool:
        """Return whether a step continues where it stopped: it was checked when it began."""
        loaded = self._state.loaded[step.key]
        return not loaded.transactional and self._state.resumed_row(step) is not None

    def try_group(
        self, steps: Sequence[Step], *, each: bool
    ) -> tuple[Sequence[Step], Outcome, tuple[Guard, ...]]:
        """Run some downs in one transaction that is rolled back, and find the rows that they delete.

        A down that fails after others may fail only because they share a transaction.  Then those
        before it are tried alone.

        Args:
            steps: the downs.
            each: record the effects of each, and not only those of all.

        Returns:
            The downs that were tried, the outcome, and the guard of each.
        """
        while True:
            trial = DataLossTrial(self._session.conn, self._session.target.schema, self._on_idle)
            traits = self._traits(steps, each=each)
            guards = [*map(trial.guard, traits)]
            guards = [Guard()] * (len(steps) - len(guards)) + guards
            outcome = trial.run(self._opening, self._batches(steps, guards), traits)
            if trial.lasting:
                raise self._refuse_lasting(trial.lasting, steps, traits)
            if not each and not outcome.is_bad and (trial.must_measure or trial.unmeasured):
                each = True
                continue
            if not outcome.is_bad and trial.unmeasured:
                raise self._refuse_unmeasured(trial.unmeasured[0], steps)
            if not outcome.is_bad and trial.must_measure:
                self._refuse_discard(steps)
            while not outcome.is_bad and (trial.must_measure or trial.must_cast):
                trial.must_measure = False
                batches = self._batches(steps, trial.measuring_guards(traits))
                outcome = trial.measure(self._opening, batches, traits)
            earlier = _steps_before_failure(outcome, steps)
            if not earlier:
                break
            self._session.roll_back()
            steps = earlier
        if not outcome.is_bad:
            self.losses = (*(self.losses or ()), *trial.losses)
            if trial.losses:
                raise self._refuse_loss(steps)
        return steps, outcome, () if outcome.is_bad else trial.guards

    def seen(self, outcome: Outcome, loaded: LoadedStep) -> Outcome:  # noqa: ARG002
        """Return the outcome: the statements are sent as they are."""
        return outcome

    def reword(self, failure: ChatdbError, outcome: Outcome) -> ChatdbError:  # noqa: ARG002
        """Return the error as it is."""
        return failure

    def explain(self, error: Error, loaded: LoadedStep, notes: tuple[str, ...]) -> ChatdbError:
        """Return the error of a down that failed at a statement of its guard, or of a trial."""
        code = Code.LOCKED if error.sqlstate == LOCK_NOT_AVAILABLE else Code.REFUSED
        failure = server_error(error, code, "could not determine which rows it would delete")
        return failure.with_(
            hint=_ALLOW_DATA_LOSS if code is Code.REFUSED else failure.hint,
            place=Location(loaded.script.path),
            notes=failure.notes + notes,
        )

    @property
    def _opening(self) -> Sequence[Message]:
        writer = self._session.transaction(self._state.history)
        return writer.begin_trial(self._patience.timeouts())

    def _traits(self, steps: Sequence[Step], *, each: bool) -> list[Traits]:
        """Return what the text of each file says, or of all together."""
        files = [self._state.loaded[step.key] for step in steps]
        if each:
            return [find_traits(f.script.text)._replace(tried=f.transactional) for f in files]
        together = find_traits("\n".join(f.script.text for f in files))
        return [together._replace(tried=all(f.transactional for f in files))]

    def _batches(self, steps: Sequence[Step], guards: Sequence[Guard]) -> Iterator[Batch]:
        writer = self._session.transaction(self._state.history)
        expected = self._state.expected_versions(steps)
        for (step, expected_version), guard in zip(expected, guards, strict=True):
            loaded = self._state.loaded[step.key]
            messages = writer.trial(
                step,
                loaded.script,
                # What runs outside of a transaction only builds or drops indexes.
                loaded.statements if loaded.transactional else (),
                expected_version,
                self._patience.timeouts(loaded.script),
                guard,
            )
            yield Batch(messages, StepTag(step, durable=False))

    def _refuse_lasting(
        self, function: str, steps: Sequence[Step], traits: Sequence[Traits]
    ) -> ChatdbError:
        at = next((n for n, trait in enumerate(traits) if function in trait.calls), 0)
        script = self._state.loaded[steps[at].key].script
        reason = f"ROLLBACK does not undo what the function {function!r} does"
        return _unknown_rows(reason, Location(script.path)).with_(
            notes=(what_stays(self._state) or "nothing was changed",)
        )

    def _refuse_discard(self, steps: Sequence[Step]) -> None:
        """Refuse a file that drops all temporary tables: the values to compare are kept in some."""
        for script in (self._state.loaded[step.key].script for step in steps):
            if where := _DISCARD.search(script.text):
                reason = "its DISCARD drops the values that are kept to be compared"
                place = locate(script.text, where.start(), script.path)
                raise _unknown_rows(reason, place).with_(notes=(self._what_changed(steps),))

    def _refuse_unmeasured(self, place: Unmeasured, steps: Sequence[Step]) -> ChatdbError:
        script = self._state.loaded[steps[place.file].key].script
        return _unknown_rows(place.what, Location(script.path)).with_(
            notes=(self._what_changed(steps),)
        )

    def _refuse_loss(self, steps: Sequence[Step]) -> ChatdbError:
        what = steps[0].id if len(steps) == 1 else f"{len(steps)} migrations"
        return ChatdbError(
            Code.REFUSED,
            f"rolling back {what} would delete rows",
            hint=Advice(
                "first copy the rows that are needed; if they may be deleted, give {allow_data_loss}"
            ),
            notes=(self._what_changed(steps),),
        )

    def _what_changed(self, steps: Sequence[Step]) -> str:
        """Return what is changed after a trial, which has run the files and was rolled back."""
        is_whole = all(is_undone(self._state, step, trust_triggers=True) for step in steps)
        unchanged = "nothing was changed" if is_whole else "no version was rolled back"
        return what_stays(self._state) or unchanged


def _unknown_rows(reason: str, place: Location) -> ChatdbError:
    return ChatdbError(
        Code.REFUSED,
        f"{reason}, so it is not possible to determine which rows the file would delete",
        hint=_ALLOW_DATA_LOSS,
        place=place,
    )


def _steps_before_failure(outcome: Outcome, steps: Sequence[Step]) -> Sequence[Step]:
    """Return the downs to try without the one that failed; none if it may be tried as it is."""
    if outcome.error is None or outcome.lost or outcome.batch is None or outcome.message is None:
        return ()
    if outcome.error.sqlstate in TRANSIENT or outcome.message.part is Part.CLAIM:
        return ()
    return steps[: steps.index(outcome.batch.tag.step)]
