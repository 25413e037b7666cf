"""The history as values.

    History             what a session, a database and its history tables tell about migrations
    AppliedMigration    one migration that the history holds
    Unfinished          how far a file that runs outside a transaction came
    LogEntry            one line of the audit log

What does not belong here: reading them (`read.py`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.history.access import HistoryAccess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chatdb_cli.files.model import Direction


YOYO_TABLES = frozenset(("_yoyo_migration", "_yoyo_log", "_yoyo_version"))
# What a comment of the audit log ends with, before the id of the run.
BEFORE_CORRELATION_ID = "; correlation id "
HISTORY_TABLES = YOYO_TABLES | {"chatdb_migration"}


# Called many times for each of thousands of migrations.
@cache
def version_of(migration_id: str) -> str:
    """Return the leading digits of an id, or the whole id if it has none."""
    digits = re.match(r"[0-9]+", migration_id)
    return digits[0] if digits else migration_id


@cache
def number_of(version: str) -> int:
    """Return a version as a number; -1 for an id that has none."""
    return int(version) if re.fullmatch(r"[0-9]+", version) else -1


class Unfinished(NamedTuple):
    """How far a file that runs outside a transaction came before it stopped.

    Attributes:
        direction: up or down.
        statements_done: the checksums of its statements that are done.
        statement_begun: its statement on an index that was running CONCURRENTLY, or None.
        relations_before: the OIDs of the relations that existed when that statement began.
    """

    direction: Direction
    statements_done: Sequence[str] = ()
    statement_begun: str | None = None
    relations_before: Sequence[str] = ()


class AppliedMigration(NamedTuple):
    """A migration that the history holds.

    Attributes:
        id: its file name without the suffix, when it was applied.
        applied_at: when, in UTC.
        duration_ms: how long it took; None if yoyo applied it.
        up_checksum: the checksum of the up file when it was applied; None if yoyo applied it.
        down_checksum: the checksum of the down file; None if it had none.
        has_down: the history keeps the text of the down file.
        unfinished: how far its file came if it stopped part-way, or None.
        recorded: yoyo's table has a row for it.
        wrong_version: the version that the row of chatdb's table holds, if it is not the one of the id.
    """

    id: str
    applied_at: datetime | None
    duration_ms: int | None = None
    up_checksum: str | None = None
    down_checksum: str | None = None
    has_down: bool = False
    unfinished: Unfinished | None = None
    recorded: bool = True
    wrong_version: str | None = None

    @property
    def version(self) -> str:
        """The leading digits of the id, or the whole of an id that has none."""
        return version_of(self.id)

    @property
    def name(self) -> str:
        """The id without its version."""
        return self.id[len(self.version) :].lstrip("_-. ")

    @property
    def number(self) -> int:
        """The version as a number; -1 for an id that has none."""
        return number_of(self.version)


class AppliedTexts(NamedTuple):
    """The texts of the files with which a migration was applied; None where none was kept."""

    up: str | None
    down: str | None


class YoyoLock(NamedTuple):
    """The row by which a yoyo client locks its tables; it stays if the client is killed."""

    pid: int
    since: datetime


class History(NamedTuple):
    """The history of a schema, and the session that read it.

    Attributes:
        pid: the process ID of the server's session.
        server_version: as a number, such as 180001.
        database: the name of the database.
        user: the session user.
        schema_exists: the target's schema exists.
        tables: which of the history's tables exist.
        other_relations: the schema holds a relation that belongs to neither the history nor an
            extension.
        extension_schemas: the schemas of the extensions, except `public` and `pg_catalog`.
        applied: the applied migrations, in no order.
        to_adopt: yoyo applied or rolled back a migration without chatdb.
        yoyo_lock: the lock row of a yoyo client, or None.
        has_citus: the extension `citus` is installed, so every COMMIT must wait for the disk: the other
            nodes keep what a coordinator forgets in a crash.
        strangers: the tables of the history that belong to a role which this session does not trust.
        read_at: when the session began to read, by the server's clock, in seconds since 1970.
        encoding: of the database, by PostgreSQL's name for it.
        is_standby: the server is a standby: nothing can be written.
        is_read_only: transactions are read-only unless they say otherwise.
        access: which tables of the history can be read.
        other_histories: the other schemas that hold a history, without chatdb's own test schemas.
        search_path: what the role or the database sets, or None.
    """

    pid: int
    server_version: int
    database: str
    user: str
    schema_exists: bool
    tables: frozenset[str]
    other_relations: bool
    extension_schemas: tuple[str, ...]
    applied: tuple[AppliedMigration, ...] = ()
    to_adopt: bool = False
    yoyo_lock: YoyoLock | None = None
    has_citus: bool = False
    read_at: float = 0.0
    strangers: tuple[str, ...] = ()
    encoding: str = "UTF8"
    is_standby: bool = False
    is_read_only: bool = False
    access: HistoryAccess = HistoryAccess("", "")
    other_histories: tuple[str, ...] = ()
    search_path: str | None = None

    @property
    def exists(self) -> bool:
        """Chatdb or yoyo has created its tables here."""
        return "_yoyo_migration" in self.tables

    @property
    def complete(self) -> bool:
        """Every table exists, and there is nothing to adopt from yoyo."""
        return self.tables >= HISTORY_TABLES and not self.to_adopt


class LogEntry(NamedTuple):
    """One line of the audit log.

    Attributes:
        at: when, in UTC.
        operation: apply, rollback, mark, unmark, unlock or failed; or ended, for a run that lost its
            connection through a pooler, and of which nothing more is executed.
        id: the id of the migration.
        user: the user who ran chatdb, on the client's machine.
        host: the name of that machine.
        comment: more about it, such as the SQLSTATE of a failure.
        correlation_id: the id of the run, which is also in its logs; None if yoyo wrote the line.
    """

    at: datetime | None
    operation: str
    id: str | None
    user: str | None
    host: str | None
    comment: str | None
    correlation_id: str | None = None
