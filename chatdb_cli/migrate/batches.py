"""Write the transactions of steps, each when the pipeline has room for it.

    Batches    writes batches that carry their step through the pipeline and back

What does not belong here: the messages of one transaction (`transaction.py`), a file outside of a
transaction (`nontransactional.py`), sending (`runner.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate.messages import file_messages
from chatdb_cli.migrate.nontransactional import NontransactionalFile
from chatdb_cli.migrate.parts import StepTag
from chatdb_cli.postgres.messages import join
from chatdb_cli.postgres.pipeline import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.parts import Guard
    from chatdb_cli.migrate.patience import Patience
    from chatdb_cli.migrate.session import Session
    from chatdb_cli.migrate.state import RunState
    from chatdb_cli.postgres.advisory_lock import AdvisoryLock


class Batches:
    """Writes what a run sends.

    Args:
        session: where it will be sent.
        state: the history and the loaded steps.
        patience: the timeouts.
        report: called with a line about a step.
    """

    def __init__(
        self,
        session: Session,
        state: RunState,
        patience: Patience,
        report: Callable[[str, Step], None],
    ) -> None:
        self._session = session
        self._state = state
        self._patience = patience
        self._report = report

    def write(
        self,
        steps: Sequence[Step],
        guard_of: Callable[[Step], Guard | None],
        *,
        prepared: bool = False,
        lock: AdvisoryLock | None = None,
    ) -> Iterator[Batch]:
        """Yield a batch for each step, after those that the steps need.

        Args:
            steps: the next steps; none only makes the tables of the history.
            guard_of: returns what guards a step.
            prepared: prepare the statements that every migration needs.
            lock: acquired before the first step if it is not held, and released after the last
                remaining step.
        """
        state, history = self._state, self._state.history
        watch = self._patience.options.watch
        writer = self._session.transaction(history, prepared=prepared, watch=watch)
        is_last = len(steps) == len(state.remaining)
        if lock and not lock.held:
            yield Batch(writer.acquire_lock(lock.acquire_sql))
        if not history.complete:
            yield Batch(writer.create_tables(history, self._patience.timeouts()))
        if prepared:
            yield Batch(writer.prepare_statements(self._patience.timeouts()))
        for n, (step, expected_version) in enumerate(state.expected_versions(steps), 1):
            loaded = state.loaded[step.key]
            if not loaded.transactional:  # only a dry run writes such a step here
                script = self.nontransactional(step).script(expected_version)
                yield Batch(script, StepTag(step, durable=True))
                continue
            durable = self._patience.options.sync_each or history.has_citus or n == len(steps)
            messages = writer.migration(
                step,
                loaded.script,
                loaded.down,
                loaded.statements,
                expected_version,
                self._patience.timeouts(loaded.script),
                wait_for_disk=durable,
                guard=guard_of(step),
            )
            if lock and is_last and n == len(steps):
                messages = join(messages, [writer.release_lock(lock.release_sql)])
            yield Batch(messages, StepTag(step, durable))

    def nontransactional(self, step: Step) -> NontransactionalFile:
        """Return what runs a file outside of a transaction."""
        loaded = self._state.loaded[step.key]
        return NontransactionalFile(
            self._session.conn,
            self._session.transaction(self._state.history),
            step,
            loaded.script,
            file_messages(loaded.script, loaded.statements),
            loaded.down,
            self._state.unfinished_of(step),
            self._patience.timeouts(loaded.script),
            lambda text: self._report(text, step),
        )

    def flush(self) -> Batch:
        """Return a transaction that only waits until all before it is on disk."""
        writer = self._session.transaction(self._state.history)
        return Batch(writer.flush(self._patience.timeouts()))

    def failure(self, step: Step, comment: str) -> Batch:
        """Return the transaction that notes a failure in the audit log, and waits for the disk."""
        writer = self._session.transaction(self._state.history)
        return Batch(writer.failure(step, comment, self._patience.timeouts()))
