"""The transactions of a file that runs outside a transaction, message by message.

The journal is a part of the file's row in the history: it holds the statements that are done, and the
statement on an index that is running.

What does not belong here: the order in which they are sent, and what their results mean
(`nontransactional.py`); the statements that write the history (`history/write.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate import queries
from chatdb_cli.migrate.messages import START, to_message
from chatdb_cli.migrate.parts import Part
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.syntax.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.migrate.parts import Timeouts
    from chatdb_cli.migrate.transaction import MigrationTransaction


class Journal:
    """Returns the transactions around the statements of one file.

    Args:
        transaction: returns the parts that every transaction has.
        step: the migration, and its direction.
        script: the file that runs.
        timeouts: those of this file.

    Attributes:
        step: the migration, and its direction.
        script: the file that runs.
    """

    def __init__(
        self, transaction: MigrationTransaction, step: Step, script: Script, timeouts: Timeouts
    ) -> None:
        self._transaction = transaction
        self._writer = transaction.writer
        self.step = step
        self.script = script
        self._timeouts = timeouts

    def begin(
        self,
        down: Script | None,
        expected_version: int | None,
        statements_done: Sequence[str] | None,
    ) -> list[Message]:
        """Return the transaction that claims the file, or claims it again to continue it.

        Args:
            down: the down file that the history keeps with an up file.
            expected_version: the newest version that the history must hold.
            statements_done: the checksums of the statements that are done; None for a file that was
                not begun.
        """
        step, writer = self.step, self._writer
        if statements_done is not None:
            claim = writer.claim_resumed(step.id, step.direction, statements_done, self.script)
        elif step.direction == "down":
            claim = writer.claim_nontransactional_down(step.id, expected_version)
        else:
            settings = self._transaction.frame.file_settings(self._timeouts)
            claim = writer.claim_up(
                step.id, self.script, down, expected_version, settings, nontransactional=True
            )
        return [
            *self._transaction.frame.begin("READ COMMITTED", self._timeouts, wait_for_disk=True),
            to_message(claim, Part.CLAIM),
            self.session_settings(),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def give_up(self) -> list[Message]:
        """Return the transaction that undoes the claim, if no statement of the file is done."""
        return self._transaction.history_only(
            [self._writer.give_up(self.step.id, self.step.direction)], self._timeouts
        )

    def session_settings(self) -> Message:
        """Return the message that has the settings which the file starts with."""
        return self._transaction.frame.session_settings(self._timeouts)

    def statement(self, number: int, statement: Message) -> list[Message]:
        """Return the transaction of a statement and its line in the journal.

        Args:
            number: the number of the statement in its file, from 0.
            statement: the statement.
        """
        isolation = self.script.directives.isolation
        return [
            to_message(queries.BEGIN.format(isolation=isolation), Part.FRAME),
            *self._transaction.frame.mark(),
            statement,
            *(to_message(s, Part.SETTLE) for s in queries.SETTLE),
            *self.done(number, statement)[1:],
        ]

    def begun(
        self, number: int, statement: Message, relations: Sequence[str], *, unlimited: bool
    ) -> list[Message]:
        """Return the transaction that records a statement on an index before it runs.

        Args:
            number: the number of the statement in its file, from 0.
            statement: the statement.
            relations: the OIDs of the relations that exist before it.
            unlimited: the statement is to wait for locks without a limit.
        """
        text = journal_text(statement, self.script)
        begun = self._writer.journal_begun(
            self.step.id, self.step.direction, number, text, relations
        )
        return self._line(begun, queries.NO_LOCK_TIMEOUT if unlimited else None)

    def done(self, number: int, statement: Message, *, unlimited: bool = False) -> list[Message]:
        """Return the transaction that records a statement as done.

        Args:
            number: the number of the statement in its file, from 0.
            statement: the statement.
            unlimited: it waited for locks without a limit.
        """
        text = statement.sql.decode()
        done = self._writer.journal_done(self.step.id, self.step.direction, number, text)
        return self._line(done, queries.RESTORE_LOCK_TIMEOUT if unlimited else None)

    def _line(self, sql: str, lock_timeout: str | None) -> list[Message]:
        """Return the transaction of a line; the file may have set another role and another path."""
        return [
            START[0],
            *(to_message(s, Part.FRAME) for s in (*queries.OWN_ROLE, queries.PG_CATALOG_ONLY)),
            *self._transaction.frame.mark(),
            to_message(sql, Part.RECORD),
            *([to_message(lock_timeout, Part.FRAME)] if lock_timeout else []),
            to_message(queries.COMMIT, Part.COMMIT),
        ]

    def drop_index(self, index: str, *, unlimited: bool) -> list[Message]:
        """Return the messages that drop an invalid index which a statement has left.

        Args:
            index: its name as SQL.
            unlimited: wait for locks without a limit.
        """
        sql = queries.DROP_INDEX.format(index=index)
        drop = Message(sql.encode(), Part.FRAME, simple_query=True)
        if not unlimited:
            return [drop]
        return [
            to_message(queries.NO_LOCK_TIMEOUT, Part.FRAME),
            drop,
            to_message(queries.RESTORE_LOCK_TIMEOUT, Part.FRAME),
        ]

    def finish(self) -> list[Message]:
        """Return the transaction that resets the session and records the migration."""
        unclaim = self._writer.unclaim(self.step.id)
        return [
            *START,
            *(to_message(s, Part.FRAME) for s in queries.CLEAN[len(queries.RESETS) :]),
            self._transaction.frame.settings(self._timeouts, wait_for_disk=True),
            *self._transaction.frame.mark(),
            *([to_message(unclaim, Part.RECORD)] if self.step.direction == "down" else []),
            self._transaction.record(self.step),
            to_message(queries.COMMIT, Part.COMMIT),
        ]


def journal_text(statement: Message, script: Script) -> str:
    """Return a statement as the journal keeps it: without passwords, or literals of a secret file."""
    return mask(statement.sql.decode(), everything=script.directives.secret)
