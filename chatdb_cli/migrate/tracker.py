"""Follow a run by what the server has executed: the running step, durations, results, progress.

What does not belong here: what is sent (`batches.py`), what a failure means (`failure.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.migrate.model import Progress
from chatdb_cli.migrate.parts import Part
from chatdb_cli.syntax.location import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg.errors import Diagnostic

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.migrate.model import StatementWatch, Step, StepState
    from chatdb_cli.migrate.parts import StepTag
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.postgres.advisory_lock import AdvisoryLock
    from chatdb_cli.postgres.blockers import Backend
    from chatdb_cli.postgres.pipeline import Completed


class StepTracker:
    """Turns completed messages into results and progress.

    Args:
        state: where results are noted.
        lock: the migration lock, whose messages are among the others; None behind a pooler.
        on_progress: called as things happen.
        on_step_done: called after each step of the run's own.
        watch: gets what its queries return, or None.

    Attributes:
        running: the step whose claim has succeeded and whose COMMIT has not, or None.
        unflushed: the last COMMIT did not wait for the disk.
    """

    def __init__(
        self,
        state: RunState,
        lock: AdvisoryLock | None,
        on_progress: Callable[[Progress], None],
        on_step_done: Callable[[], None],
        watch: StatementWatch | None = None,
    ) -> None:
        self._state = state
        self._lock = lock
        self._on_progress = on_progress
        self._on_step_done = on_step_done
        self._watch = watch
        self.running: Step | None = None
        self.unflushed = False
        self._claimed_ms = 0.0  # when the claim was executed, by the server's clock
        self._duration_ms: int | None = None
        self._muted = False

    def completed(self, done: Completed) -> None:
        """Note a message that the server has executed."""
        tag: StepTag | None = done.batch.tag
        part = done.message.part
        if part is Part.ACQUIRE_LOCK or part is Part.RELEASE_LOCK:
            self._note_lock(done)
        elif tag is None:
            if part is Part.COMMIT:
                self._state.note_tables()
        elif part is Part.CLAIM:
            self.running = tag.step
            self._claimed_ms = _milliseconds(done)
            if log.enabled():
                log_step(tag.step, "started")
            self._on_progress(Progress("started", tag.step))
        elif part is Part.FILE:
            self._log_statement(tag.step, done)
        elif part is Part.WATCH and self._watch:
            self._watch.note(tag.step, done.row[0] or "")
        elif part is Part.RECORD:
            self._duration_ms = round(_milliseconds(done) - self._claimed_ms)
        elif part is Part.COMMIT:
            self._note_commit(tag)

    def finish(
        self,
        step: Step,
        state: StepState,
        duration_ms: int | None = None,
        error: ChatdbError | None = None,
    ) -> None:
        """Note and report the result of a step; a failure has an error."""
        self._state.finish(step, state, duration_ms)
        if log.enabled():
            log_step(step, state, duration_ms, error)
        self._on_progress(Progress("done", step, state=state, duration_ms=duration_ms))

    def planned(self) -> None:
        """Report how many steps there are."""
        self._on_progress(Progress("planned", total=len(self._state.steps)))

    def waiting(self, text: str, step: Step | None = None) -> None:
        """Report what the run waits for."""
        self._on_progress(Progress("waiting", step, text=text))

    def blocked(self, blockers: tuple[Backend, ...]) -> None:
        """Report the sessions that block the running step."""
        text = f"waits for {'; '.join(map(str, blockers))}"
        if log.enabled():
            from dataclasses import asdict

            sessions = [asdict(blocker) for blocker in blockers]
            text = log.warning(
                "lock_wait", text, lock="statement", blockers=sessions, **_names(self.running)
            )
        self.waiting(text, self.running)

    def notice(self, diag: Diagnostic) -> None:
        """Report a notice of the server, unless notices are muted."""
        severity = diag.severity_nonlocalized
        if not self._muted and severity in ("NOTICE", "WARNING"):
            text = f"{severity.lower()}: {diag.message_primary}"
            record = log.warning if severity == "WARNING" else log.info
            text = record(
                "notice", text, severity=severity, sqlstate=diag.sqlstate, **_names(self.running)
            )
            self._on_progress(Progress("notice", self.running, text=text))

    @contextmanager
    def muted_notices(self) -> Iterator[None]:
        """Mute notices during a trial; the real run will repeat them."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def _note_lock(self, done: Completed) -> None:
        assert self._lock is not None  # noqa: S101  (its messages are sent only where it exists)
        if done.message.part is Part.ACQUIRE_LOCK:
            self._lock.held = True
        else:
            self._lock.note_released(was_held=done.row == ("t",))

    def _note_commit(self, tag: StepTag) -> None:
        self.unflushed = not tag.durable
        state: StepState = "applied" if tag.step.direction == "up" else "reverted"
        if self._state.unfinished_of(tag.step):
            state = "resumed"
        self.finish(tag.step, state, self._duration_ms)
        self.running = None
        self._on_step_done()

    def _log_statement(self, step: Step, done: Completed) -> None:
        if not log.enabled(log.DEBUG):
            return
        loaded = self._state.loaded[step.key]
        script = loaded.script
        offset = loaded.statements[done.message.number].offset if loaded.statements else 0
        line, ms = locate(script.text, offset, script.path).line, round(done.milliseconds, 1)
        text = f"{script.path}:{line}: {done.command} ({ms} ms)"
        log.debug("statement", text, file=script.path, line=line, command=done.command, ms=ms)


def log_step(
    step: Step, state: str, duration_ms: int | None = None, error: ChatdbError | None = None
) -> None:
    """Log that a step has started, or its result.

    Args:
        step: the migration.
        state: `started`, or the result.
        duration_ms: how long it took, in milliseconds.
        error: why it failed.
    """
    record = _RECORDS.get(state, log.info)
    place = error.place if error else None
    record(
        "schema_migration",
        f"{state} {step.id}" + ("" if duration_ms is None else f" ({duration_ms} ms)"),
        **_names(step),
        direction=step.direction,
        state=state,
        duration_ms=duration_ms,
        sqlstate=error.sqlstate if error else None,
        file=place.file if place else None,
        line=place.line if place else None,
    )


_RECORDS = {"failed": log.error, "unknown": log.warning}


def _names(step: Step | None) -> dict[str, str]:
    return {"version": step.version, "name": step.name} if step else {}


def _milliseconds(done: Completed) -> float:
    return float(done.row[0]) if done.row and done.row[0] else 0.0
