"""Write the history: the statements that claim, record, log, mark and repair, filled with their values.

    HistoryWriter    returns each statement as the text that is sent
    Author           who runs chatdb
    find_author      find that out

What does not belong here: sending, the transaction around a statement (`migrate/transaction.py`), the
tables (`tables.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.files.model import checksum
from chatdb_cli.history import queries
from chatdb_cli.history.model import BEFORE_CORRELATION_ID, number_of, version_of
from chatdb_cli.history.prepared import execute_prepared, prepare_statements
from chatdb_cli.postgres.encodings import fit_comments, storable
from chatdb_cli.syntax.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatdb_cli.files.model import Direction, Migration, Script
    from chatdb_cli.history.model import AppliedMigration
    from chatdb_cli.postgres.quoting import Quoting

Values = dict[str, str | int | None]
# The width of yoyo's columns.
_LONGEST = 255
# The characters of the largest up file whose text the history keeps, which is also sent as a literal.
_LARGEST_KEPT = 8 << 20


class Author(NamedTuple):
    """Who runs chatdb.

    Attributes:
        user: the user on the client's machine.
        host: the name of that machine.
        chatdb_version: the version of chatdb.
        correlation_id: the id of the run, which is also in its logs.
    """

    user: str
    host: str
    chatdb_version: str
    correlation_id: str


def find_author(correlation_id: str) -> Author:
    """Find out who runs chatdb, and where.

    Args:
        correlation_id: the id of the run.
    """
    import os
    import socket

    from chatdb_cli._version import __version__

    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return Author(user, socket.gethostname(), __version__, correlation_id)


class HistoryWriter:
    """Return the statements that write the history of one schema.

    Args:
        quoting: quotes names and values for the connection that sends them.
        author: who runs chatdb.
        prepared: the session has executed `prepare`, so that claims and records can be executed by
            name.
        encoding: of the database, by PostgreSQL's name for it.
    """

    def __init__(
        self, quoting: Quoting, author: Author, *, prepared: bool = False, encoding: str = "UTF8"
    ) -> None:
        self._encoding = encoding
        self._quoting = quoting
        self._author = author
        self._prepared = prepared

    def prepare(self) -> list[str]:
        """Return the statements that prepare claims and records."""
        return prepare_statements(self._quoting)

    def lock_before_snapshot(self) -> str:
        """Return the statement that keeps other migrators out and takes no snapshot."""
        return self._fill(queries.LOCK_BEFORE_SNAPSHOT)

    # --- a migration that runs in a transaction ---------------------------------------------------

    def claim_up(
        self,
        migration_id: str,
        up: Script,
        down: Script | None,
        expected_version: int | None,
        settings: Mapping[str, str],
        *,
        nontransactional: bool = False,
    ) -> str:
        """Return the statement that claims a migration to apply, and has its file's settings.

        Args:
            migration_id: its file name without the suffix.
            up: the file that runs.
            down: the down file, which the history keeps.
            expected_version: the newest version that the history must hold, or None if it is empty.
            settings: the values of `lock_timeout`, `statement_timeout` and `search_path` (`path`).
            nontransactional: the file runs outside a transaction, so the claim is committed first.
        """
        values = self._row(migration_id, up, down)
        if nontransactional:
            values |= {"unfinished": "up", "statements_done": "{}"}
        values["expected_version"] = expected_version
        return self._execute(queries.CLAIM_UP, **values, **settings)

    def claim_down(
        self, migration_id: str, expected_version: int | None, settings: Mapping[str, str]
    ) -> str:
        """Return the statement that claims a migration to roll back; the arguments are as above."""
        return self._execute(
            queries.CLAIM_DOWN,
            migration_id=migration_id,
            expected_version=expected_version,
            **settings,
        )

    def record(
        self,
        migration_id: str,
        direction: Direction,
        *,
        has_yoyo_row: bool = True,
        prepared: bool = False,
    ) -> str:
        """Return the statement that records a migration as applied or as rolled back.

        Args:
            migration_id: its file name without the suffix.
            direction: up or down.
            has_yoyo_row: yoyo's table has a row for a migration that is rolled back; it has none for
                an up file that never ended.
            prepared: the prepared statements of the session still exist after the file.
        """
        values: Values = {
            "migration_id": migration_id,
            "user": self._author.user[:_LONGEST],
            "host": self._author.host[:_LONGEST],
            "comment": self._comment(f"chatdb {self._author.chatdb_version}"),
        }
        template = queries.RECORD_UP
        if direction == "down":
            template = queries.RECORD_DOWN
            values["least"] = int(not has_yoyo_row)
        else:
            values["version"] = number_of(version_of(migration_id))
        write = self._execute if prepared else self._fill
        return write(template, **values)

    # --- a file that runs outside a transaction ---------------------------------------------------

    def claim_nontransactional_down(self, migration_id: str, expected_version: int | None) -> str:
        """Return the statement that claims a migration whose down file runs outside a transaction."""
        return self._fill(
            queries.CLAIM_NONTRANSACTIONAL_DOWN,
            migration_id=migration_id,
            expected_version=expected_version,
        )

    def claim_resumed(
        self,
        migration_id: str,
        direction: Direction,
        statements_done: Sequence[str],
        script: Script,
    ) -> str:
        """Return the statement that claims a file which stopped part-way, to continue it.

        Args:
            migration_id: its file name without the suffix.
            direction: up or down.
            statements_done: the checksums of the statements that are done.
            script: the file as it is now.
        """
        up = direction == "up"
        return self._fill(
            queries.CLAIM_RESUMED,
            migration_id=migration_id,
            direction=direction,
            statements_done=_array(statements_done),
            up_checksum=script.checksum if up else None,
            up_text=self._shown(script) if up else None,
        )

    def journal_begun(
        self,
        migration_id: str,
        direction: Direction,
        number: int,
        statement: str,
        relations: Sequence[str],
    ) -> str:
        """Return the statement that records which statement on an index is about to run.

        Args:
            migration_id: the file name without the suffix.
            direction: up or down.
            number: the number of the statement in its file, from 0.
            statement: its text.
            relations: the OIDs of the relations that exist before it.
        """
        return self._fill(
            queries.JOURNAL_BEGUN,
            migration_id=migration_id,
            direction=direction,
            number=number,
            statement=statement,
            relations=_array(relations),
        )

    def journal_done(
        self, migration_id: str, direction: Direction, number: int, statement: str
    ) -> str:
        """Return the statement that records a statement as done; the arguments are as above."""
        return self._fill(
            queries.JOURNAL_DONE,
            migration_id=migration_id,
            direction=direction,
            number=number,
            checksum=checksum(statement),
        )

    def unclaim(self, migration_id: str) -> str:
        """Return the statement that removes a migration after its down file has ended."""
        return self._fill(queries.UNCLAIM, migration_id=migration_id)

    # --- the history alone ------------------------------------------------------------------------

    def log(self, operation: str, migration_id: str | None, comment: str) -> str:
        """Return the statement that writes a line into the audit log."""
        return self._fill(
            queries.LOG,
            migration_id=migration_id,
            operation=operation,
            user=self._author.user[:_LONGEST],
            host=self._author.host[:_LONGEST],
            comment=self._comment(comment),
        )

    def end_run(self, run: str) -> str:
        """Return the statement after which no transaction of a run passes `run_continues`.

        Args:
            run: the UUID of the run.
        """
        return self._fill(
            queries.END_RUN,
            run=run,
            migration_id=None,
            user=self._author.user[:_LONGEST],
            host=self._author.host[:_LONGEST],
            comment=self._comment("the run lost its connection"),
        )

    def run_continues(self, run: str) -> str:
        """Return the statement that fails if a run was ended.

        Args:
            run: the UUID of the run.
        """
        return self._fill(queries.RUN_CONTINUES, run=run)

    def flush(self) -> str:
        """Return a statement that changes nothing, but makes its COMMIT wait for the disk."""
        return self._fill(queries.FLUSH)

    def mark(self, migration: Migration, expected_version: int | None, request: str) -> list[str]:
        """Return the statements that mark a migration as applied without running it.

        Args:
            migration: its files.
            expected_version: the newest version that the history must hold, or None if it is empty.
            request: what was asked for, for the audit log: `baseline` or `mark`.
        """
        values = self._row(migration.id, migration.up, migration.down)
        comment = f"{request}, chatdb {self._author.chatdb_version}"
        return [
            self._fill(queries.MARK, **values, expected_version=expected_version),
            self.log("mark", migration.id, comment),
        ]

    def accept_changed(self, applied: AppliedMigration, migration: Migration) -> str:
        """Return the statement that accepts the files of an applied migration as they are now.

        Args:
            applied: the migration as the history holds it.
            migration: its files, which may have another name.
        """
        return self._fill(
            queries.REPAIR_CHANGED,
            migration_id=migration.id,
            **_file_values(migration.up, migration.down, self._encoding),
            old_id=applied.id,
            old_up_checksum=applied.up_checksum,
            old_down_checksum=applied.down_checksum,
        )

    def forget_missing(self, applied: AppliedMigration) -> str:
        """Return the statement that removes an applied migration whose file is missing."""
        return self._fill(
            queries.REPAIR_MISSING, old_id=applied.id, old_up_checksum=applied.up_checksum
        )

    def give_up(self, migration_id: str, direction: Direction) -> str:
        """Return the statement that undoes the claim of a file of which no statement is done."""
        if direction == "down":
            return self._fill(queries.GIVE_UP_DOWN, migration_id=migration_id)
        return self._fill(
            queries.FORGET_UNFINISHED, migration_id=migration_id, direction=direction, number=0
        )

    def forget_unfinished(self, applied: AppliedMigration) -> str:
        """Return the statement that removes a migration that stopped part-way."""
        assert applied.unfinished is not None  # noqa: S101
        return self._fill(
            queries.FORGET_UNFINISHED,
            migration_id=applied.id,
            direction=applied.unfinished.direction,
            number=len(applied.unfinished.statements_done),
        )

    def mend_versions(self, rows: Sequence[AppliedMigration]) -> list[str]:
        """Return the statements that give applied migrations the versions of their names."""
        versions = json.dumps([{"id": row.id, "version": row.version} for row in rows])
        return [
            self._fill(template, versions=versions, count=len(rows))
            for template in queries.REPAIR_VERSIONS
        ]

    def remove_yoyo_lock(self, pid: int | None) -> str:
        """Return the statement that removes the lock row of a yoyo client."""
        return self._fill(queries.REPAIR_YOYO_LOCK, pid=pid)

    def _row(self, migration_id: str, up: Script, down: Script | None) -> Values:
        """Return the values of a row of `chatdb_migration`: one for each inserted column."""
        user, host, version, _ = self._author
        return {
            "version": number_of(version_of(migration_id)),
            "migration_id": migration_id,
            **_file_values(up, down, self._encoding),
            "client": f"{user}@{host}",
            "chatdb_version": version,
            "unfinished": None,
            "statements_done": None,
        }

    def _shown(self, script: Script) -> str | None:
        text = _kept_up(script)
        return text and storable(text, self._encoding)

    def _comment(self, text: str) -> str:
        """Return a comment of the audit log, which has no column of its own for the id of the run."""
        end = f"{BEFORE_CORRELATION_ID}{self._author.correlation_id}"
        return text[: _LONGEST - len(end)] + end

    def _fill(self, template: str, **values: str | int | None) -> str:
        return self._quoting.fill(template, **values)

    def _execute(self, template: str, **values: str | int | None) -> str:
        """Return a statement with its values; by its name if it is prepared."""
        if self._prepared:
            return execute_prepared(self._quoting, template, **values)
        return self._quoting.fill(template, **values)


def _file_values(up: Script, down: Script | None, encoding: str) -> dict[str, str | None]:
    """Return the columns that hold the files of a migration.

    The text of a very large up file is not kept: it only shows what a changed file was, and would take
    several times its size in memory.

    A down text that holds a password is not kept: it could not run with the password masked.  Of a
    secret file only the checksum is kept, and so of the down file of a secret up file.
    """
    down_text = _kept(down) if down and not up.directives.secret else None
    up_text = _kept_up(up)
    runs = down is not None and down_text == down.text
    if runs and down_text is not None:
        down_text, lacking = fit_comments(down_text, encoding)
        runs = lacking is None  # it could not run without the character
    return {
        "up_checksum": up.checksum,
        "down_checksum": down.checksum if down else None,
        "up_text": up_text and storable(up_text, encoding),
        "down_text": down_text if runs else None,
    }


def _kept(script: Script) -> str | None:
    """Return the text of a file as the history keeps it, or None for a secret one."""
    return None if script.directives.secret else mask(script.text)


def _kept_up(script: Script) -> str | None:
    """Return the text of an up file as the history keeps it, or None for a very large one."""
    return None if len(script.text) > _LARGEST_KEPT else _kept(script)


def _array(values: Sequence[str]) -> str:
    """Return checksums or OIDs as the text of an array."""
    return f"{{{','.join(values)}}}"
