"""The server session of a run: its connection, and whether the session is the run's own.

    Session          the session of a run
    write_history    a transaction of the history alone, while other migrators are kept out

What does not belong here: what to do after the session is lost (`recovery.py`), what is sent
(`batches.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from chatdb_cli import log
from chatdb_cli.history.write import find_author
from chatdb_cli.migrate import queries
from chatdb_cli.migrate.mark import new_mark
from chatdb_cli.migrate.parts import Timeouts
from chatdb_cli.migrate.reading import read_target_history
from chatdb_cli.migrate.transaction import MigrationTransaction
from chatdb_cli.postgres.blockers import Waiting
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatdb_cli.history.model import History
    from chatdb_cli.migrate.model import Options, StatementWatch
    from chatdb_cli.postgres.model import Target


class Session:
    """The session in which a run works.

    Args:
        conn: an idle connection in autocommit mode.
        target: the database and schema.
        past: the history that `conn` has read.

    Attributes:
        conn: the connection; another one after it was lost.
        target: the database and schema.
        pid: the process ID of the session; 0 if a pooler hides it.
        pooled: a pooler gives each transaction another session.
        mark: marks the transactions of the run behind a pooler; None if the session is the run's own.
        read_at: when the session existed, by the server's clock, in seconds since 1970.
        keeps_prepared: statements that are prepared stay prepared, unless a file deallocates them.
        prepares: statements of the guard that are prepared beside those of the migrations.
    """

    def __init__(self, conn: psycopg.Connection[Any], target: Target, past: History) -> None:
        self.conn = conn
        self.target = target
        self.pooled = is_pooled(conn, target, past.pid)
        self.pid = 0 if self.pooled else past.pid
        self.read_at = past.read_at
        is_direct = conn.info.backend_pid == past.pid and not self.pooled
        self.mark = None if is_direct else new_mark()
        self.keeps_prepared = is_direct
        self.prepares: tuple[str, ...] = ()
        self._author = find_author(target.correlation_id)

    @property
    def waiting(self) -> Waiting:
        """How other connections know the session while it waits."""
        return Waiting(key=self.mark.key) if self.mark else Waiting(pid=self.pid)

    @property
    def lock_key(self) -> str:
        """The key of the migration lock, as SQL."""
        return Quoting(self.conn, self.target.schema).session_key

    def read_history(self) -> History:
        """Read the history of the target's schema."""
        return read_target_history(self.conn, self.target)

    def transaction(
        self, history: History, *, prepared: bool = False, watch: StatementWatch | None = None
    ) -> MigrationTransaction:
        """Return what writes the messages of transactions.

        Args:
            history: the history as it was last read.
            prepared: the statements that every migration needs are sent as prepared statements.
            watch: what is sent around the statements of each file, or None.
        """
        return MigrationTransaction(
            self.conn,
            self.target.schema,
            history,
            self._author,
            watched=log.enabled(log.DEBUG),
            application=self.target.application if self.pooled else None,
            prepared=prepared,
            watch=watch,
            mark=self.mark,
            prepares=self.prepares,
        )

    def roll_back(self) -> None:
        """Roll back the transaction that an error has left open, if there is one."""
        if self.conn.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            rollback = queries.ROLLBACK_POOLED if self.pooled else queries.ROLLBACK
            self.conn.pgconn.exec_(rollback.encode())


@contextmanager
def write_history(
    conn: psycopg.Connection[Any],
    target: Target,
    history: History,
    options: Options,
    report: Callable[[str], None],
) -> Iterator[tuple[MigrationTransaction, Timeouts]]:
    """Keep other migrators out while only the history is written.

    Args:
        conn: an idle connection in autocommit mode.
        target: the database and schema.
        history: the history as it was read.
        options: the timeouts.
        report: called with a line while another migrator holds the lock.

    Raises:
        ChatdbError: `LOCKED` if another migrator does not finish in time.
    """
    from chatdb_cli.postgres.advisory_lock import hold_lock

    wait_ms = options.wait_ms
    timeouts = Timeouts(wait_ms, options.statement_timeout_ms, max(1, wait_ms))
    transaction = MigrationTransaction(
        conn, target.schema, history, find_author(target.correlation_id)
    )
    if is_pooled(conn, target, history.pid):
        yield transaction, timeouts
    else:
        with hold_lock(conn, target.schema, wait_ms, report):
            yield transaction, timeouts
