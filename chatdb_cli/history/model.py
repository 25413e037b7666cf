"""The history as values.

    History             what the database says of itself and of its migrations
    AppliedMigration    what it says of one of them
    LogEntry            one line of the audit log

What does not belong here: reading them (`read.py`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chatdb_cli.files.model import Direction


YOYO_TABLES = frozenset(("_yoyo_migration", "_yoyo_log", "_yoyo_version"))
HISTORY_TABLES = YOYO_TABLES | {"chatdb_migration"}


# Each is asked for of thousands of migrations, again and again.
@cache
def _version_of(migration_id: str) -> str:
    digits = re.match(r"[0-9]+", migration_id)
    return digits[0] if digits else migration_id


@cache
def number_of(version: str) -> int:
    """Return a version as a number; -1 for an id that has none."""
    return int(version) if re.fullmatch(r"[0-9]+", version) else -1


class AppliedMigration(NamedTuple):
    """What the history says of one applied migration.

    Attributes:
        id: the file name without its suffix, as it was then.
        applied_at: when, in UTC.
        duration_ms: how long it took; None where yoyo applied it.
        up_checksum: of the up file as it was then; None where yoyo applied it.
        down_checksum: of the down file as it was then; None without one.
        has_down: the history keeps a down text.
        unfinished: the direction in which a file without a transaction stopped part-way, or None.
        done: the checksums of the statements of that file that are done.
        begun: the statement on an index that was under way outside of a transaction, or None.
        before: the relations that it met.
        recorded: yoyo has a row of it.
    """

    id: str
    applied_at: datetime | None
    duration_ms: int | None = None
    up_checksum: str | None = None
    down_checksum: str | None = None
    has_down: bool = False
    unfinished: Direction | None = None
    done: Sequence[str] | None = None
    begun: str | None = None
    before: Sequence[str] | None = None
    recorded: bool = True

    @property
    def version(self) -> str:
        """The leading digits of the id, or the whole of an id that has none."""
        return _version_of(self.id)

    @property
    def name(self) -> str:
        """What comes behind the version."""
        return self.id[len(self.version) :].lstrip("_-. ")

    @property
    def number(self) -> int:
        """The version as a number; -1 for an id that has none."""
        return number_of(self.version)


class YoyoLock(NamedTuple):
    """The row that a yoyo client leaves while it works, or when it was killed."""

    pid: int
    since: datetime


class History(NamedTuple):
    """What the database says of itself and of its migrations.

    Attributes:
        pid: the server process behind the connection.
        server_version: as a number, such as 180001.
        database: its name.
        user: who is logged in.
        schema_exists: the target's schema is there.
        tables: which of the history's tables are there.
        other_relations: the schema holds something that is neither history nor an extension's.
        extension_schemas: where extensions live, `public` and `pg_catalog` left out.
        applied: what was applied, in no order.
        to_adopt: what yoyo applied, or took back, without chatdb.
        yoyo_lock: a lock row of yoyo's that stands there.
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

    @property
    def exists(self) -> bool:
        """Something was ever applied here, by chatdb or by yoyo."""
        return "_yoyo_migration" in self.tables

    @property
    def complete(self) -> bool:
        """Every table is there and holds what it should: nothing has to be prepared."""
        return self.tables >= HISTORY_TABLES and not self.to_adopt


class LogEntry(NamedTuple):
    """One line of the audit log.

    Attributes:
        at: when, in UTC.
        operation: apply, rollback, mark, unmark or failed.
        id: the migration's name.
        user: who, on the client's machine.
        host: that machine.
        comment: what else was noted.
    """

    at: datetime | None
    operation: str
    id: str | None
    user: str | None
    host: str | None
    comment: str | None
