"""Carry out a plan: every step one transaction, all of them one pipeline.

    Runner   carries out, and goes on when another migrator came between

A run never leaves anything between two versions: each migration commits together with its history,
or not at all, whatever is killed.  A failure is known for what it is by its part in the transaction
(the lock, the claim, the file, the record), never by SQLSTATE alone, since a file may raise the same.

What does not belong here: choosing the steps (`plan.py`, `migrator.py`), how the result looks as a value
(`run.py`), the SQL around a migration
(`frame.py`), the wire (`pipeline.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code, Location, Terminated
from chatdb_cli.files.model import Directives
from chatdb_cli.files.read import find_refused_statement, make_script
from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.history.read import read_history, read_texts
from chatdb_cli.history.write import find_author
from chatdb_cli.migrate import compare, queries, transaction
from chatdb_cli.migrate.guards.data_loss import (
    ALLOW_DATA_LOSS_HINT,
    DataLossTrial,
    refused,
    untried,
)
from chatdb_cli.migrate.model import MigrationError, Plan, Progress, Run, StepResult
from chatdb_cli.migrate.nontransactional import NontransactionalFile
from chatdb_cli.postgres.advisory_lock import AdvisoryLock, locked_error
from chatdb_cli.postgres.blockers import BlockerWatch
from chatdb_cli.postgres.connect import backoff_s, connect
from chatdb_cli.postgres.diagnosis import server_error, statement_error, unexpected_error
from chatdb_cli.postgres.pipeline import Batch, OnIdle, Outcome, run_pipeline
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from chatdb_cli.files.model import Direction, Script
    from chatdb_cli.history.model import AppliedTexts, History, Unfinished
    from chatdb_cli.migrate.model import Loss, Options, Request, Step, StepState
    from chatdb_cli.postgres.blockers import Backend
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.postgres.pipeline import Completed, Message

_LOCK_NOT_AVAILABLE, _DIVISION_BY_ZERO, _NO_SUCH_STATEMENT = "55P03", "22012", "26000"
# How long the server may be silent before it is asked whom the statement waits for, in seconds.
_SILENCE_S = 0.5
# Between two tries of a file.
_AGAIN_S, _AGAIN_AT_MOST_S = 0.1, 5.0
_PASSING = (_LOCK_NOT_AVAILABLE, "40P01", "40001")  # and deadlock, and serialization failure
# What was tried is not what it was any more: rows have come, a table or a column has gone.
_CHANGED = (_DIVISION_BY_ZERO, "42P01", "42703", "42704")
_TOGETHER = 50  # the downs that are looked at one by one in one transaction
_SESSION_ENDS_WITHIN_S = 10.0
_HISTORY_GONE = ("42P01", "3F000", _DIVISION_BY_ZERO)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A step's file, cut into statements, and the down file that the history keeps with it."""

    script: Script
    statements: tuple[Statement, ...] | None
    other: Script | None


class Runner:
    """Carries out one plan on one connection.

    Args:
        target: what is migrated.
        conn: an idle connection to it, in autocommit mode.
        past: the history that the plan was made for.
        first: the plan.
        request: what the user asked for.
        options: how to behave.
        replan: what is left to do, after another migrator changed the history.
        progress: called as things happen.

    Raises:
        ChatdbError: `BAD_FILE` for the first file that no migration may hold; nothing ran then.
    """

    def __init__(
        self,
        target: Target,
        conn: psycopg.Connection[Any],
        past: History,
        first: Plan,
        request: Request,
        options: Options,
        replan: Callable[[History, Sequence[Step]], Plan],
        progress: Callable[[Progress], None],
    ) -> None:
        self._target = target
        self._conn = conn
        self._first = first
        self._request: Request = request
        self._options = options
        self._replan = replan
        self._progress = progress
        self._steps = first.steps  # what is left to do
        self._loaded: dict[tuple[Direction, int], _Loaded] = {}
        self._results: dict[tuple[Direction, int], StepResult] = {}
        self._unflushed = False
        self._duration: int | None = None
        self._running: Step | None = None
        self._past = past
        self._believe(past)
        self._pooled = is_pooled(conn, target, past.pid)
        # Behind a pooler, where no session is ours, the claim alone keeps others out.
        self._lock = (
            None if self._pooled else AdvisoryLock(conn, target.schema, options.wait_ms, self._tell)
        )
        # A session that is ours alone keeps statements; a file may take them away.
        self._prepared = conn.info.backend_pid == past.pid and not self._pooled
        self._watch = BlockerWatch(
            lambda: connect(target, retries=0), target.application, 0 if self._pooled else past.pid
        )
        self._blockers: tuple[Backend, ...] = ()
        self._claimed = 0.0  # when, in milliseconds, by the server's clock
        self._author = find_author()
        self._guards: dict[
            tuple[Direction, int], transaction.Guard
        ] = {}  # of the downs that lose nothing
        self._confinement: Isolation | None = None
        if options.confined:
            from chatdb_cli.migrate.guards.isolation import Isolation

            self._confinement = Isolation(conn, target.schema)
        self._looked: set[tuple[Direction, int]] = set()  # downs that lose nothing together
        self._losses: tuple[Loss, ...] | None = None
        self._load(first.steps)
        self._made_progress()

    def dry_run(self) -> Run:
        """Return the plan with all that would be sent; takes no lock and writes nothing."""
        self._lock = None
        batches = (
            [
                transaction.script_text(b.messages)
                for b in self._batches(self._steps, prepared=False)
            ]
            if self._steps
            else []
        )
        prepare = batches.pop(0) if len(batches) > len(self._steps) else None
        steps = tuple(
            replace(_result(s, "planned"), sql=sql)
            for s, sql in zip(self._steps, batches, strict=True)
        )
        return Run(
            self._target, self._request, steps, self._current(), self._first.warnings, prepare
        )

    def run(self) -> Run:
        """Carry out the plan.

        Raises:
            MigrationError: a migration failed, or the run was cut short.
        """
        first, on_disk = self._conn, True
        self._progress(Progress("planned", total=len(self._steps)))
        try:
            try:
                self._carry_out()
            finally:
                on_disk = self._settle()  # what was applied before stays, whatever happens now
                if self._lock:
                    self._lock.release()
        except (ChatdbError, psycopg.Error, KeyboardInterrupt) as problem:
            raise MigrationError(_explained(problem), self._report()) from problem.__cause__
        finally:
            self._watch.close()
            if self._conn is not first:
                self._conn.close()
        if not on_disk:
            error = ChatdbError(
                Code.LOST,
                "every step is done, and the server did not confirm that it is on the disk",
                hint='look at "chatdb migrate status"',
            )
            raise MigrationError(error, self._report())
        return self._report()

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Have the server give no notice of what it will do once more."""
        self._conn.remove_notice_handler(self._notice)
        try:
            yield
        finally:
            self._conn.add_notice_handler(self._notice)

    def _carry_out(self) -> None:
        self._conn.add_notice_handler(self._notice)
        while self._steps:
            if self._lock and not self._lock.held and not self._goes_at_once(self._steps[0]):
                if self._lock.acquire():
                    self._come_after_another()
                continue
            outcome = self._send()
            if outcome.interrupt or (outcome.lost and self._left()):
                self._cut_short(outcome)
            if outcome.error is None or outcome.lost:
                self._steps = self._left()
                continue
            self._roll_back()
            self._failed(outcome)

    def _come_after_another(self) -> None:
        """Plan anew what is left when another migrator had its turn in between."""
        before = self._past
        self._believe(read_history(self._conn, self._target.schema))
        self._after_another(before)
        self._made_progress()

    # --- what is sent -----------------------------------------------------------------------------

    def _load(self, steps: Iterable[Step]) -> None:
        """Read and cut the file of every step, before anything runs."""
        new = [s for s in steps if s.key not in self._loaded]
        gone = [
            s.id for s in new if s.direction == "down" and not (s.migration and s.migration.down)
        ]
        texts = read_texts(self._conn, self._target.schema, gone) if gone else {}
        for step in new:
            script = _script(step, texts)
            statements = split_statements(script.text)
            if self._confinement:
                statements = self._confinement.inside(script, statements)
            if error := find_refused_statement(script, statements) or self._refused_here(
                step, script, statements
            ):
                raise error
            other = step.migration.down if step.direction == "up" and step.migration else None
            self._loaded[step.key] = _Loaded(script, statements, other)

    def _refused_here(
        self, step: Step, script: Script, statements: tuple[Statement, ...] | None
    ) -> ChatdbError | None:
        """Return why a file can't run on this connection, or go on where it stopped, or None."""
        if self._begun(step):
            compare.resume_point(script, self._stopped[step.number])
        piecewise = self._is_piecewise(step, script)
        if self._confinement and (error := self._confinement.refused(script, statements)):
            return error
        if not self._is_safe(step) and (error := untried(script, statements, piecewise=piecewise)):
            return error
        if not (self._pooled and piecewise):
            return None
        return ChatdbError(
            Code.REFUSED,
            "the file runs outside of a transaction, which needs a session of the server, and the "
            "pooler in between gives each transaction another",
            hint="connect to the server itself, past the pooler; or say --pooler session, if each "
            "client of it keeps its session",
            place=Location(script.path),
        )

    def _begun(self, step: Step) -> Unfinished | None:
        """Return what the history says of a step that stopped part-way.

        What a redo takes back first does not go on anywhere.
        """
        unfinished = self._unfinished_of(step)
        if unfinished is None or unfinished.direction != step.direction:
            return None
        taken_back_first = step.direction == "up" and any(
            s.key == ("down", step.number) for s in self._left()
        )
        return None if taken_back_first else unfinished

    def _unfinished_of(self, step: Step) -> Unfinished | None:
        row = self._stopped.get(step.number)
        return row.unfinished if row else None

    def _is_piecewise(self, step: Step, script: Script) -> bool:
        """Return whether a file runs statement by statement; what was begun so ends so."""
        if self._confinement:  # where it can be undone
            return False
        return not script.directives.transactional or self._begun(step) is not None

    def _goes_at_once(self, step: Step) -> bool:
        """Return whether a step can be sent together with others."""
        return self._is_safe(step) and not self._is_piecewise(step, self._loaded[step.key].script)

    def _send(self) -> Outcome:
        """Send the next steps: one without a transaction, or all that come before the next such."""
        if not self._is_safe(self._steps[0]):
            return self._try()
        at_once = tuple(takewhile(self._goes_at_once, self._steps))
        if at_once:
            return self._run(self._batches(at_once, prepared=self._prepared))
        outcome = self._make_tables()
        if outcome.is_bad:
            return outcome
        self._sent = self._steps[:1]
        ((step, head),) = self._with_heads(self._sent)
        return self._journal(step).run(head, self._done, self._idle())

    def _make_tables(self) -> Outcome:
        """Make what the history lacks."""
        if self._past.complete:
            return Outcome()
        return self._run(self._batches((), prepared=False))

    def _is_safe(self, step: Step) -> bool:
        """Return whether a step may run: a way back only when no rows go with it."""
        return step.direction == "up" or self._options.allow_data_loss or step.key in self._guards

    def _try(self) -> Outcome:
        """Try the downs that come next, and know then how to guard them in the run itself.

        What is looked at behind each of very many grows with their square: so all of them together
        are looked at once, and then some by some.

        Raises:
            ChatdbError: `REFUSED` when rows would be lost.
        """
        outcome = self._make_tables()
        safe = [*map(self._is_safe, self._steps), True].index(True)
        if safe > _TOGETHER and self._steps[0].key not in self._looked and not outcome.is_bad:
            outcome, _ = self._together(safe, each=False)
            self._looked = {s.key for s in self._steps[:safe]}
        if outcome.is_bad:
            return outcome
        outcome, guards = self._together(min(safe, _TOGETHER), each=True)
        if not outcome.is_bad:
            self._guards |= guards
        return outcome

    def _together(
        self, count: int, *, each: bool
    ) -> tuple[Outcome, dict[tuple[Direction, int], transaction.Guard]]:
        """Try some downs in one transaction, and see what rows they would destroy.

        One that fails behind others may do so because they are all one transaction now: they come
        first then.
        """
        while True:
            trial = DataLossTrial(self._conn, self._target.schema, self._idle())
            steps = self._steps[:count]
            writer = self._frame()
            files = (
                Batch(
                    writer.trial(
                        step,
                        loaded.script,
                        loaded.statements,
                        head,
                        self._timeouts(loaded.script),
                        trial.guard if each or n == count else transaction.Guard(),
                    ),
                    transaction.StepTag(step, durable=False),
                )
                for n, (step, head) in enumerate(self._with_heads(steps), 1)
                for loaded in [self._loaded[step.key]]
            )
            with self._unheard():
                outcome = trial.run(writer.begin_trial(self._timeouts()), files)
            passes = outcome.error is None or outcome.error.sqlstate in _PASSING
            claim = outcome.message is not None and outcome.message.part == transaction.Part.CLAIM
            failed = _step_of(outcome.batch)
            if failed in (None, steps[0]) or outcome.lost or passes or claim:
                break
            self._roll_back()
            count = steps.index(failed)
        if not outcome.is_bad:
            self._losses = (*(self._losses or ()), *trial.losses)
            if trial.losses:
                stays = self._stays() or "nothing was changed"
                raise refused([s.id for s in steps], stays)
        return outcome, dict(zip((s.key for s in steps), trial.guards, strict=False))

    def _run(self, batches: Iterator[Batch]) -> Outcome:
        return run_pipeline(self._conn, batches, self._done, self._idle())

    def _journal(self, step: Step) -> NontransactionalFile:
        loaded = self._loaded[step.key]
        return NontransactionalFile(
            self._conn,
            self._frame(),
            step,
            loaded.script,
            transaction.file_messages(loaded.script, loaded.statements),
            loaded.other,
            self._begun(step),
            self._timeouts(loaded.script),
            lambda text: self._tell(text, step),
        )

    def _batches(self, steps: tuple[Step, ...], *, prepared: bool) -> Iterator[Batch]:
        """Write each transaction when the pipeline has room for it."""
        writer = self._frame(prepared=prepared)
        self._sent = steps
        makes_tables = not self._past.complete
        takes_turn = self._lock is not None and not self._lock.held
        ends_turn = len(steps) == len(self._steps)
        if self._lock and takes_turn:
            yield Batch(writer.acquire_lock(self._lock.acquire_sql))
        if makes_tables:
            yield Batch(writer.create_tables(self._past, self._timeouts()))
        if prepared:
            yield Batch(writer.prepare_statements())
        for n, (step, head) in enumerate(self._with_heads(steps), 1):
            loaded = self._loaded[step.key]
            if self._is_piecewise(step, loaded.script):  # only a dry run comes here with one
                yield Batch(
                    self._journal(step).script(head), transaction.StepTag(step, durable=True)
                )
                continue
            durable = self._options.sync_each or n == len(steps)
            messages = writer.migration(
                step,
                loaded.script,
                loaded.other,
                loaded.statements,
                head,
                self._timeouts(loaded.script),
                wait_for_disk=durable,
                guard=self._confinement.guard if self._confinement else self._guards.get(step.key),
            )
            if self._lock and ends_turn and n == len(steps):
                messages.append(writer.release_lock(self._lock.release_sql))
            yield Batch(messages, transaction.StepTag(step, durable))

    def _with_heads(self, steps: Iterable[Step]) -> Iterator[tuple[Step, int | None]]:
        """Yield each step with the highest version that the history has to have before it."""
        numbers = {n for n in self._applied if n >= 0}
        head = max(numbers, default=None)
        for step in steps:
            yield step, head
            if step.direction == "up":
                numbers.add(step.number)
                head = step.number if head is None else max(head, step.number)
            else:
                numbers.discard(step.number)
                if step.number == head:
                    head = max(numbers, default=None)

    def _frame(self, *, prepared: bool = False) -> transaction.MigrationTransaction:
        return transaction.MigrationTransaction(
            self._conn,
            self._target.schema,
            self._past,
            self._author,
            watched=log.enabled(),
            application=self._target.application if self._pooled else None,
            prepared=prepared,
        )

    def _idle(self) -> OnIdle:
        """Look whom a statement waits for, well before it gives up."""
        patience = self._options.lock_timeout_ms / 4000 or _SILENCE_S
        return OnIdle(min(_SILENCE_S, patience), self._look)

    def _look(self) -> None:
        found = self._watch.look()
        if found and [b.pid for b in found] != [b.pid for b in self._blockers]:
            self._tell(f"waits for {'; '.join(map(str, found))}", self._running)
        self._blockers = found or self._blockers

    def _timeouts(self, script: Script | None = None) -> transaction.Timeouts:
        own = script.directives if script else Directives()
        lock = self._options.lock_timeout_ms
        left = max(1, round((self._deadline - time.monotonic()) * 1000))
        return transaction.Timeouts(
            lock if own.lock_timeout_ms is None else own.lock_timeout_ms,
            self._options.statement_timeout_ms
            if own.statement_timeout_ms is None
            else own.statement_timeout_ms,
            min(lock or left, left),
        )

    def _made_progress(self) -> None:
        """Begin to wait and to try anew: both count from the last progress of our own."""
        self._deadline = time.monotonic() + self._options.wait_ms / 1000
        self._tries = 0
        self._blockers = ()

    # --- what comes back --------------------------------------------------------------------------

    def _done(self, done: Completed) -> None:
        step = _step_of(done.batch)
        if self._lock and done.message.part == transaction.Part.ACQUIRE_LOCK:
            self._lock.held = True
        elif self._lock and done.message.part == transaction.Part.RELEASE_LOCK:
            self._lock.note_released(was_held=done.row == ("t",))
        elif step is None:
            if done.message.part == transaction.Part.COMMIT:
                self._past = self._past._replace(tables=HISTORY_TABLES, to_adopt=False)
        elif done.message.part == transaction.Part.CLAIM:
            self._running = step
            self._claimed = _milliseconds(done)
            self._progress(Progress("started", step))
        elif done.message.part == transaction.Part.FILE:
            self._log_statement(step, done)
        elif done.message.part == transaction.Part.RECORD:
            self._duration = round(_milliseconds(done) - self._claimed)
        elif done.message.part == transaction.Part.COMMIT:
            self._unflushed = not done.batch.tag.durable
            done_as: StepState = "applied" if step.direction == "up" else "reverted"
            self._finish(step, "resumed" if self._begun(step) else done_as, self._duration)
            self._running = None
            self._made_progress()

    def _finish(self, step: Step, state: StepState, duration_ms: int | None = None) -> None:
        if state in ("applied", "reverted", "resumed"):
            if step.direction == "up":
                self._applied[step.number] = step.version
            else:
                self._applied.pop(step.number, None)
            self._stopped.pop(step.number, None)
        self._results[step.key] = replace(_result(step, state), duration_ms=duration_ms)
        self._progress(Progress("done", step, state=state, duration_ms=duration_ms))

    def _log_statement(self, step: Step, done: Completed) -> None:
        if log.enabled():
            loaded = self._loaded[step.key]
            offset = loaded.statements[done.message.number].offset if loaded.statements else 0
            log.event(
                "statement",
                file=loaded.script.path,
                line=locate(loaded.script.text, offset, loaded.script.path).line,
                command=done.command,
                ms=round(done.milliseconds, 1),
            )

    def _tell(self, text: str, step: Step | None = None) -> None:
        self._progress(Progress("waiting", step, text=text))

    def _notice(self, diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity_nonlocalized in ("NOTICE", "WARNING"):
            text = f"{diag.severity_nonlocalized.lower()}: {diag.message_primary}"
            self._progress(Progress("notice", self._running, text=text))

    def _believe(self, past: History) -> None:
        """Take a history as what is true now."""
        self._past = past
        self._applied = {a.number: a.version for a in past.applied}
        self._stopped = {a.number: a for a in past.applied if a.unfinished}

    def _known(self) -> tuple[object, ...]:
        """Return all of the history by which a plan goes."""
        begun = [(a.number, a.unfinished[:2]) for a in self._past.applied if a.unfinished]
        return dict(self._applied), sorted(begun), self._past.complete

    def _current(self) -> str | None:
        whole = self._applied.keys() - self._stopped.keys()
        return self._applied[max(whole)] if whole else None

    def _report(self) -> Run:
        planned = {s.key for s in self._first.steps}
        steps = [self._results.get(s.key) or _result(s, "not-run") for s in self._first.steps] + [
            r for key, r in self._results.items() if key not in planned
        ]
        return Run(
            self._target,
            self._request,
            tuple(steps),
            self._current(),
            self._first.warnings,
            losses=self._losses,
        )

    # --- what went wrong --------------------------------------------------------------------------

    def _roll_back(self) -> None:
        if self._conn.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            rollback = queries.ROLLBACK_POOLED if self._pooled else queries.ROLLBACK
            self._conn.pgconn.exec_(rollback.encode())

    def _settle(self, transaction: list[Message] | None = None) -> bool:
        """Have all that was committed on the disk; False when the server did not confirm it.

        Args:
            transaction: one that waits for the disk; by default one that does nothing else.
        """
        if self._conn.closed:
            return not self._unflushed
        if transaction is None and not self._unflushed:
            return True
        waits = transaction or self._frame().flush(self._timeouts())
        outcome = run_pipeline(self._conn, [Batch(waits)])
        if outcome.error is not None or outcome.lost or outcome.interrupt:
            if not outcome.lost:
                self._roll_back()
            return False
        self._unflushed = False
        return True

    def _failed(self, outcome: Outcome) -> None:
        """Go on where another session came between; else tell what failed.

        Raises:
            ChatdbError: the migration failed, or nobody gave way in time.
        """
        assert outcome.message is not None  # noqa: S101  (an error has a message that it answers)
        assert outcome.error is not None  # noqa: S101
        part, sqlstate = outcome.message.part, outcome.error.sqlstate
        self._looked.clear()
        self._guards.clear()  # what was tried was tried on what may be another state now
        if self._lock and part == transaction.Part.ACQUIRE_LOCK:
            self._lock.acquire()
            self._come_after_another()
            return
        if sqlstate == _NO_SUCH_STATEMENT and self._prepared:
            self._prepared = False
            self._steps = self._left()
            return
        again = self._tries < self._options.retries and not self._confinement
        if part == transaction.Part.GUARD and sqlstate in _CHANGED and again:
            self._try_again(outcome)
            return
        if part not in (transaction.Part.LOCK, transaction.Part.CLAIM, transaction.Part.RECORD):
            if sqlstate not in _PASSING or self._tries >= self._options.retries:
                raise self._failure(outcome)
            self._try_again(outcome)
            return
        past, before = self._past, self._known()
        self._believe(read_history(self._conn, self._target.schema))
        if self._known() != before:
            self._after_another(past)
        elif sqlstate != _LOCK_NOT_AVAILABLE:
            raise self._failure(outcome)
        elif time.monotonic() >= self._deadline:
            raise locked_error(next(iter(self._blockers), None), sqlstate)
        else:
            self._tell("waiting for another migrator")
            self._steps = self._left()

    def _try_again(self, outcome: Outcome) -> None:
        """Wait a little before the whole file is tried again."""
        pause = backoff_s(self._tries, _AGAIN_S, _AGAIN_AT_MOST_S)
        self._tries += 1
        said = str(outcome.error).strip().splitlines()[0]
        if outcome.message and outcome.message.part == transaction.Part.GUARD and "zero" in said:
            said = "what it would destroy has changed meanwhile"
        tries = f"{self._tries} of {self._options.retries}"
        self._tell(f"{said}; trying again ({tries})", _step_of(outcome.batch))
        time.sleep(pause)
        self._believe(read_history(self._conn, self._target.schema))
        self._steps = self._left()

    def _left(self) -> tuple[Step, ...]:
        return tuple(s for s in self._steps if s.key not in self._results)

    def _done_by_now(self, before: History) -> set[tuple[Direction, int]]:
        """Return which of the steps that are left the history shows as done.

        In a redo both steps are of one version: both are done when it was applied anew since (its
        way down alone when that stopped part-way), and its way up can't be done while its way down
        is not.

        Args:
            before: the history that they were sent for.
        """
        then = {a.number: a.applied_at for a in before.applied}
        now = {a.number: a.applied_at for a in self._past.applied}
        stopped = {a.number for a in self._past.applied if a.unfinished}
        done, undone = set(), set()
        for step in self._left():
            n = step.number
            anew = self._request == "redo" and n in now and n in then and now[n] != then[n]
            here = (n in now) == (step.direction == "up")
            if n in stopped:
                here, anew = False, anew and step.direction == "down"
            if anew or (here and n not in undone):
                done.add(step.key)
            else:
                undone.add(n)
        return done

    def _after_another(self, before: History) -> None:
        """Plan what is left on the history as it is now."""
        done = self._done_by_now(before)
        left = self._left()
        for step in left:
            if step.key in done:
                self._finish(step, "by-another")
        left = tuple(s for s in left if s.key not in done)
        new = self._replan(self._past, left) if left else Plan(())
        if new.problems:
            problem = new.problems[0]
            raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint)
        self._load(new.steps)
        self._steps = new.steps

    def _failure(self, outcome: Outcome) -> ChatdbError:
        step = _step_of(outcome.batch)
        error = self._error(outcome, step)
        if step is not None:
            self._finish(step, "failed")
            at = error.place
            where = f" at {at.file.name}:{at.line}" if at and at.line else ""
            self._note(step, f"{error.sqlstate}{where}")
        log.event("failed", version=step.version if step else None, sqlstate=error.sqlstate)
        return error

    def _error(self, outcome: Outcome, step: Step | None) -> ChatdbError:
        error, message = outcome.error, outcome.message
        assert error is not None  # noqa: S101
        assert message is not None  # noqa: S101
        if step is None:
            what = f"the history's tables can't be made in schema {self._target.schema!r}"
            return server_error(error, Code.STATEMENT, what)
        loaded = self._loaded[step.key]
        piecewise = (
            self._is_piecewise(step, loaded.script) and message.part != transaction.Part.CLAIM
        )
        fate = (self._fate(step, self._done_of(step) if piecewise else None),)
        crossed = message.part == transaction.Part.GUARD and error.sqlstate == _DIVISION_BY_ZERO
        if self._confinement and crossed:
            return self._confinement.broken(loaded.script, loaded.statements, fate)
        if message.part == transaction.Part.FILE:
            cut = loaded.statements
            whole = Statement(loaded.script.text, 0)
            statement = cut[message.number] if cut is not None else whole
            script = loaded.script
            made = statement_error(
                error, script.path, script.text, statement, direction=step.direction, notes=fate
            )
            if error.sqlstate == _LOCK_NOT_AVAILABLE:
                made.code = Code.LOCKED
                made.notes = (*(f"it waited for {b}" for b in self._blockers), *made.notes)
            return made
        code, what = Code.STATEMENT, {
            transaction.Part.SETTLE: "a check that was put off to the end of the file failed",
            transaction.Part.COMMIT: "COMMIT failed",
            transaction.Part.GUARD: "what rows it would destroy can't be found out",
            transaction.Part.RECORD: "the history can't be written",
            transaction.Part.CLAIM: "the history can't be written",
        }.get(message.part, f"{message.sql.decode()!r} failed")  # fmt: skip
        if message.part == transaction.Part.CLAIM and error.sqlstate == _DIVISION_BY_ZERO:
            code = Code.HISTORY
            what = (
                "the history is not what the plan was made for, and reading it again shows no why"
            )
        if message.part == transaction.Part.RECORD and error.sqlstate in _HISTORY_GONE:
            what = "the file has dropped or emptied chatdb's own tables, which hold the history"
        if message.part == transaction.Part.GUARD:
            code = Code.LOCKED if error.sqlstate == _LOCK_NOT_AVAILABLE else Code.REFUSED
            if self._confinement:
                what = "what it changes outside of the test schema can't be found out"
        made = server_error(error, code, what)
        if code is Code.REFUSED and not self._confinement:
            made.hint = ALLOW_DATA_LOSS_HINT
        made.place = Location(loaded.script.path)
        made.notes += fate
        return made

    def _done_of(self, step: Step) -> int:
        """Ask the history how many statements of a file without a transaction are done."""
        with suppress(psycopg.Error):  # the file may have dropped it
            self._believe(read_history(self._conn, self._target.schema))
        begun = self._begun(step)
        return len(begun.statements_done) if begun else 0

    def _fate(self, step: Step, done: int | None = None) -> str:
        """Say what became of the transaction, and what stays.

        Args:
            step: what failed.
            done: how many statements of a file without a transaction are done.
        """
        fate = self._stays() or "nothing else was changed"
        if done is not None:
            return (
                f"{step.version} stopped part-way: of its statements {done or 'none'} "
                f"{'is' if done == 1 else 'are'} done; {fate}"
            )
        return f"{step.version} was rolled back; {fate}"

    def _stays(self) -> str:
        """Say what stays of the run so far."""
        stays = []
        for state, word in (("applied", "applied"), ("reverted", "taken back")):
            versions = [r.version for r in self._results.values() if r.state == state]
            if len(versions) == 1:
                stays.append(f"{versions[0]} stays {word}")
            elif versions:
                stays.append(f"{versions[0]} to {versions[-1]} stay {word}")
        return " and ".join(stays)

    def _note(self, step: Step, comment: str) -> None:
        """Note a failure in the log; its COMMIT waits for the disk, and so for all before it."""
        if self._past.complete:
            self._settle(self._frame().failure(step, comment, self._timeouts()))

    def _cut_short(self, outcome: Outcome) -> None:
        """Find out what is true after a connection was lost, or the user said stop.

        Raises:
            ChatdbError: always, with what the history says now.
        """
        before, running = self._past, self._running
        known = self._look_again(outcome)
        done = self._done_by_now(before) if known else set()
        undone = None
        for step in self._left():
            if step.key in done:
                self._finish(step, "applied" if step.direction == "up" else "reverted")
            elif undone is None:
                undone = step
        error = _cut_error(outcome, undone, known=known)
        if known:
            self._believe(self._past)  # it knows more than that steps are done
            begun = self._begun(undone) if undone else None
            done_by_now = len(begun.statements_done) if begun else None
            fate = self._fate(undone, done_by_now) if undone else "every step is done"
            error.notes += (fate,)
            if running is not None and undone is running:
                self._note(running, "interrupted" if outcome.interrupt else "connection lost")
        if not known:
            for step in self._left():
                if step in self._sent:
                    self._finish(step, "unknown")
        elif undone is not None and outcome.lost:
            self._finish(undone, "failed")
        raise error from outcome.interrupt

    def _look_again(self, outcome: Outcome) -> bool:
        """Read the history once more; False when what became of the run can't be known."""
        try:
            if outcome.lost:
                self._conn.close()
                self._conn = connect(self._target, self._tell)
                pid = 0 if self._pooled else self._past.pid
                if not _ended(self._conn, self._target.application, pid):
                    return False
            else:
                self._roll_back()
            self._believe(read_history(self._conn, self._target.schema))
        except (ChatdbError, psycopg.Error):
            return False
        return True


def _ended(conn: psycopg.Connection[Any], application: str, pid: int) -> bool:
    """End the session that a lost connection has left behind; False when it goes on.

    The server may not know yet that its client is gone, and could still commit.
    """
    deadline = time.monotonic() + _SESSION_ENDS_WITHIN_S
    values = {"pid": pid, "name": application}
    while conn.execute(queries.END_SESSION, values).fetchall():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _explained(problem: BaseException) -> ChatdbError:
    if isinstance(problem, ChatdbError):
        return problem
    if isinstance(problem, KeyboardInterrupt):  # between two pipelines, or in front of the first
        return _cut_error(Outcome(interrupt=problem), None, known=True)
    assert isinstance(problem, psycopg.Error)  # noqa: S101
    return unexpected_error(problem)


def _step_of(batch: Batch | None) -> Step | None:
    """Return the step that a batch carries; None for one that only prepares."""
    return batch.tag.step if batch and batch.tag else None


def _milliseconds(done: Completed) -> float:
    return float(done.row[0]) if done.row and done.row[0] else 0.0


def _result(step: Step, state: StepState) -> StepResult:
    return StepResult(step.direction, step.version, step.name, state)


def _cut_error(outcome: Outcome, undone: Step | None, *, known: bool) -> ChatdbError:
    hint = "run the same command again to go on"
    if not known:
        hint = (
            'the server cannot be reached to ask what became of it: "chatdb migrate status" will '
            "tell; then run the same command again"
        )
    if outcome.interrupt is not None:
        term = isinstance(outcome.interrupt, Terminated)
        return ChatdbError(
            Code.TERMINATED if term else Code.INTERRUPTED,
            "terminated" if term else "interrupted",
            hint=hint,
        )
    said = str(outcome.error).strip().splitlines()
    during = f" while {undone.id} ran" if undone else ""
    return ChatdbError(
        Code.LOST,
        f"the connection was lost{during}: {said[0] if said else 'no reason given'}",
        hint=hint,
        sqlstate=outcome.error.sqlstate if outcome.error else None,
    )


def _script(step: Step, texts: dict[str, AppliedTexts]) -> Script:
    """Return the file that a step runs: on disk, or as the history keeps it."""
    m = step.migration
    found = m and (m.up if step.direction == "up" else m.down)
    if found:
        return found
    path = Path(f"{step.id}.sql (down, from the history)")
    return make_script(path, texts[step.id].down or "", "down")
