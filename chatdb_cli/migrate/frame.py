"""What is around the statements of every transaction: BEGIN, settings, the lock and the mark.

    Frame                returns these messages for the transactions of a run
    exclusive_settings   the same for a transaction of another package

What does not belong here: the claim, the file and the record (`transaction.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate import queries
from chatdb_cli.migrate.messages import START, to_message
from chatdb_cli.migrate.parts import Part, Timeouts

if TYPE_CHECKING:
    from chatdb_cli.history.model import History
    from chatdb_cli.history.write import HistoryWriter
    from chatdb_cli.migrate.mark import RunMark
    from chatdb_cli.postgres.pipeline import Message
    from chatdb_cli.postgres.quoting import Quoting

_TRANSACTION_TIMEOUT_SINCE = 170000


class Frame:
    """Returns the messages around the statements of each transaction of a run.

    Args:
        quoting: of the connection, for the target's schema.
        writer: returns the statements that write the history.
        history: the history that was read.
        application: the application_name to set again after each RESET ALL, or None.
        prepared: the record is a prepared statement.
        mark: marks each transaction as one of the run, or None.

    Attributes:
        search_path: that of the statements of a file; the server adds the schemas of extensions.
        clean: the statements that reset the session after a file.
    """

    def __init__(
        self,
        quoting: Quoting,
        writer: HistoryWriter,
        history: History,
        *,
        application: str | None,
        prepared: bool,
        mark: RunMark | None,
    ) -> None:
        self._quoting = quoting
        self._writer = writer
        self._application = application
        self._prepared = prepared
        self._mark = mark
        self._has_citus = history.has_citus
        self._server_version = history.server_version
        self.search_path = quoting.path(())
        self.clean = queries.CLEAN if application is None else queries.CLEAN_POOLED

    def begin(
        self, isolation: str, timeouts: Timeouts, *, wait_for_disk: bool, checked: bool = True
    ) -> list[Message]:
        """Return the messages before the claim: BEGIN, settings, and the lock of this target.

        Args:
            isolation: the isolation level.
            timeouts: those of the file.
            wait_for_disk: the COMMIT waits for the disk.
            checked: the audit log exists, so a run that was ended there can be told.
        """
        check = self._check_mark() if checked else []
        begin = [to_message(queries.BEGIN.format(isolation=isolation), Part.FRAME), *START[1:]]
        settings = self.settings(timeouts.for_claim, wait_for_disk=wait_for_disk)
        if isolation == "READ COMMITTED":
            lock = queries.LOCK.format(key=self._quoting.lock_key)
            return [*begin, settings, *self.mark(), to_message(lock, Part.LOCK), *check]
        limit = self._quoting.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [
            *begin,
            to_message(limit, Part.FRAME),
            to_message(self._writer.lock_before_snapshot(), Part.LOCK),
            settings,
            *self.mark(),
            *check,
        ]

    def mark(self) -> list[Message]:
        """Return the message that marks the transaction as one of the run; none in an own session."""
        if self._mark is None:
            return []
        return [to_message(queries.MARK.format(mark=self._mark.key), Part.FRAME)]

    def _check_mark(self) -> list[Message]:
        """Return the message that fails if the run was ended, because its connection was lost."""
        if self._mark is None:
            return []
        return [to_message(self._writer.run_continues(self._mark.run), Part.FRAME)]

    def settings(self, timeouts: Timeouts, *, wait_for_disk: bool) -> Message:
        """Return the message that has the transaction's settings."""
        waits = wait_for_disk or self._has_citus
        sql = queries.SETTINGS + (queries.WAIT if waits else queries.NO_WAIT)
        values = timeouts.settings
        if self._application is not None:
            sql += queries.APPLICATION
            values["application"] = self._application
        if self._server_version >= _TRANSACTION_TIMEOUT_SINCE:
            sql += queries.TRANSACTION_TIMEOUT
            values["transaction_timeout"] = "0"
        return to_message(self._quoting.fill(sql, **values), Part.FRAME)

    def file_settings(self, timeouts: Timeouts) -> dict[str, str]:
        """Return the values of the settings that a file starts with; its claim sets them."""
        return {**timeouts.settings, "path": self.search_path}

    def session_settings(self, timeouts: Timeouts) -> Message:
        """Return the message that has the session's settings for a file outside a transaction."""
        sql = self._quoting.fill(queries.SESSION_SETTINGS, **self.file_settings(timeouts))
        return to_message(sql, Part.FRAME)

    def settings_of_record(self, timeouts: Timeouts, *, wait_for_disk: bool) -> list[Message]:
        """Return the settings that the record needs after RESET ALL.

        In a session of its own three suffice, in place of the long SELECT: the record names its schema,
        and its other timeouts are the defaults.  `history/prepared.py` has the gain of both together.
        """
        if not self._prepared:
            return [self.settings(timeouts.for_claim, wait_for_disk=wait_for_disk)]
        waits = wait_for_disk or self._has_citus
        commit = queries.SYNCHRONOUS_COMMIT if waits else queries.ASYNCHRONOUS_COMMIT
        limit = self._quoting.fill(queries.LOCK_TIMEOUT, lock_timeout=f"{timeouts.claim_ms}ms")
        return [to_message(s, Part.FRAME) for s in (queries.PG_CATALOG_ONLY, limit, commit)]

    def wait_after_reset(self) -> list[Message]:
        """Return the message that has a COMMIT after RESET ALL wait for the disk, if each must."""
        return [to_message(queries.SYNCHRONOUS_COMMIT, Part.FRAME)] if self._has_citus else []

    @property
    def file_path(self) -> str:
        """The statement that sets the search path of a file."""
        return self._quoting.fill(queries.SEARCH_PATH, path=self.search_path)


def exclusive_settings(quoting: Quoting, path: str, timeouts: Timeouts) -> tuple[str, ...]:
    """Return the statements that give a transaction its settings, and keep migrators out until its end.

    Args:
        quoting: of the connection, for the target's schema.
        path: the search path of the statements that follow.
        timeouts: of these statements.
    """
    settings = quoting.fill(queries.SETTINGS, **timeouts.settings)
    lock = queries.LOCK.format(key=quoting.lock_key)
    return settings, lock, quoting.fill(queries.SEARCH_PATH, path=path)
