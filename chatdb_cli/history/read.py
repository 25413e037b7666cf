"""Read the history.

It is in yoyo's own tables (`_yoyo_migration`, `_yoyo_log`, `_yoyo_version`) in the target's schema, so
that any yoyo client can read it, and in `chatdb_migration` next to them, which holds what yoyo's tables
have no column for: checksums, texts, duration, author.  What does not belong here: writing it
(`write.py`), which migrations to run (`migrate/plan.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history import queries
from chatdb_cli.history.access import HistoryAccess, require_readable
from chatdb_cli.history.model import (
    HISTORY_TABLES,
    AppliedMigration,
    AppliedTexts,
    History,
    LogEntry,
    Unfinished,
    YoyoLock,
    number_of,
    version_of,
)
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Direction


class _Inspection(NamedTuple):
    """The row of `queries.INSPECT`."""

    pid: int
    server_version: int
    database: str
    user: str
    schema_exists: bool
    tables: Sequence[str]
    not_tables: Sequence[str]
    strangers: Sequence[str]
    unreadable: Sequence[str]
    other_relations: bool
    extension_schemas: Sequence[str]
    has_citus: bool
    read_at: float
    encoding: str
    is_standby: bool
    is_read_only: bool
    hidden: Sequence[str]
    forbidden: Sequence[str]
    is_old_yoyo: bool
    other_histories: Sequence[str]
    search_path: str | None


class HistoryRow(NamedTuple):
    """A row of `queries.READ`; `queries.READ_YOYO` has the first two columns alone."""

    yoyo_id: str | None
    applied_at: datetime | None
    chatdb_id: str | None = None
    version: Decimal | None = None
    duration_ms: int | None = None
    up_checksum: str | None = None
    down_checksum: str | None = None
    has_down: bool = False
    unfinished: Direction | None = None
    statements_done: Sequence[str] | None = None
    statement_begun: str | None = None
    relations_before: Sequence[str] | None = None

    @property
    def is_applied(self) -> bool:
        """Yoyo has a row for it, or it is an unfinished file, which yoyo gets a row for at its end."""
        return self.yoyo_id is not None or self.unfinished is not None

    @property
    def is_adopted(self) -> bool:
        """Both tables agree.  A yoyo id without digits has no version, and so no row of chatdb's."""
        if self.yoyo_id is None:
            return self.unfinished is not None
        return self.yoyo_id == self.chatdb_id or not self.yoyo_id[0].isdecimal()

    def to_model(self) -> AppliedMigration:
        """Return the migration of this row."""
        return AppliedMigration(
            self.yoyo_id or self.chatdb_id or "",
            self.applied_at,
            self.duration_ms,
            self.up_checksum,
            self.down_checksum,
            self.has_down,
            Unfinished(
                self.unfinished,
                self.statements_done or (),
                self.statement_begun,
                self.relations_before or (),
            )
            if self.unfinished
            else None,
            recorded=self.yoyo_id is not None,
            wrong_version=self._wrong_version,
        )

    @property
    def _wrong_version(self) -> str | None:
        """The version, if it is not the number that the id begins with."""
        if self.version is None or self.version == number_of(version_of(self.chatdb_id or "")):
            return None
        return str(self.version)


class _TextsRow(NamedTuple):
    """A row of `queries.READ_TEXTS`."""

    id: str
    up_text: str | None
    down_text: str | None


def read_history(
    conn: psycopg.Connection[Any], schema: str, lock_timeout_ms: int | None = None
) -> History:
    """Read the history in two round trips, or three if a yoyo client has ever locked its tables.

    Writes nothing, takes no lock, and needs no right but to read the tables.

    Args:
        conn: an idle connection.
        schema: the target's schema.
        lock_timeout_ms: how long to wait for another session that has locked one of the tables, in
            milliseconds; None is what the session has.

    Raises:
        ChatdbError: `REFUSED`, a view, for example, has the name of a table of the history, or a table
            of another role has types of its own; or the history would look empty, or can't be read
            (`access.py`).
        psycopg.errors.LockNotAvailable: another session held a lock for longer.
    """
    quoting = Quoting(conn, schema)
    (seen,) = fetch(conn, _Inspection, quoting.fill(queries.INSPECT, name=schema))
    tables = frozenset(seen.tables)
    history = History(
        seen.pid,
        seen.server_version,
        seen.database,
        seen.user,
        seen.schema_exists,
        tables & HISTORY_TABLES,
        seen.other_relations,
        tuple(seen.extension_schemas),
        has_citus=seen.has_citus,
        read_at=seen.read_at,
        strangers=tuple(seen.strangers),
        encoding=seen.encoding,
        is_standby=seen.is_standby,
        is_read_only=seen.is_read_only,
        access=HistoryAccess(seen.user, schema, seen.hidden, seen.forbidden, seen.is_old_yoyo),
        other_histories=tuple(seen.other_histories),
        search_path=seen.search_path,
    )
    if seen.not_tables:
        raise _not_tables_error(seen.not_tables, schema)
    if seen.unreadable:  # reading them would run functions of their owner
        raise strangers_error(history._replace(strangers=tuple(seen.unreadable)), schema)
    if not history.exists:
        return history
    require_readable(history.access)
    rows = fetch(conn, HistoryRow, quoting.fill(history_statement(tables)), lock_timeout_ms)
    lock = None
    if "yoyo_lock" in tables:
        query = quoting.fill(queries.READ_YOYO_LOCK)
        lock = next(iter(fetch(conn, YoyoLock, query, lock_timeout_ms)), None)
    return history._replace(
        applied=applied_migrations(rows),
        to_adopt=not all(row.is_adopted for row in rows),
        yoyo_lock=lock,
    )


def yoyo_lock_statement() -> str:
    """Return the statement that reads the lock row of a yoyo client; its rows are `YoyoLock`s.

    For callers that send it in a pipeline of their own; `{schema}` in it is the schema's name as SQL.
    """
    return queries.READ_YOYO_LOCK


def history_statement(tables: Collection[str]) -> str:
    """Return the statement that reads the history, for callers that send it in a pipeline of their own.

    Its rows are `HistoryRow`s; `{schema}` in it is the schema's name as SQL.

    Args:
        tables: those of the history that exist.
    """
    return queries.READ if "chatdb_migration" in tables else queries.READ_YOYO


def applied_migrations(rows: Iterable[HistoryRow]) -> tuple[AppliedMigration, ...]:
    """Return the applied migrations that the rows of `history_statement` hold, in no order."""
    return tuple(row.to_model() for row in rows if row.is_applied)


def require_own_tables(past: History, schema: str) -> None:
    """Refuse to write the history if one of its tables belongs to a role that may have planted it.

    Raises:
        ChatdbError: `REFUSED`.
    """
    if past.strangers:
        raise strangers_error(past, schema)


def strangers_error(past: History, schema: str) -> ChatdbError:
    """Return why tables of the history are refused, and what to do about it."""
    return ChatdbError(
        Code.REFUSED,
        f"tables of the history in schema {schema!r} belong to another role: "
        + ", ".join(past.strangers),
        hint="a role that may create tables in the schema can plant one, and its triggers and types "
        f"would run with the rights of {past.user!r}: drop what is planted, and revoke CREATE on the "
        f"schema from PUBLIC; if the owner is to be trusted, grant that role to {past.user!r}, or "
        "change the owner",
    )


def _not_tables_error(not_tables: Sequence[str], schema: str) -> ChatdbError:
    """Return why views, for example, by the names of the history's tables are refused."""
    return ChatdbError(
        Code.REFUSED,
        f"the history in schema {schema!r} can't be used: "
        + ", ".join(f"{is_what}, not a table" for is_what in not_tables),
        hint=Advice(
            "rename it or move it into another schema, and give the table of the history its name back "
            "if it was renamed; or name the schema of the history with {schema}"
        ),
    )


def require_schema(past: History, schema: str) -> None:
    """Refuse to continue if the schema does not exist.

    Raises:
        ChatdbError: `MISSING_SCHEMA`.
    """
    if not past.schema_exists:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"there is no schema {schema!r} in database {past.database!r}",
            hint=Advice("run {setup} to create it"),
        )


def read_texts(
    conn: psycopg.Connection[Any],
    schema: str,
    ids: Sequence[str],
    lock_timeout_ms: int | None = None,
) -> dict[str, AppliedTexts]:
    """Return the up and down texts with which migrations were applied, by id."""
    import json

    query = Quoting(conn, schema).fill(queries.READ_TEXTS, ids=json.dumps(list(ids)))
    rows = fetch(conn, _TextsRow, query, lock_timeout_ms)
    return {row.id: AppliedTexts(row.up_text, row.down_text) for row in rows}


def read_log(
    conn: psycopg.Connection[Any],
    schema: str,
    limit: int | None = None,
    lock_timeout_ms: int | None = None,
) -> tuple[LogEntry, ...]:
    """Return the audit log, newest first.

    Args:
        conn: a connection to the target.
        schema: its schema.
        limit: how many entries at most; None for all.
        lock_timeout_ms: as for `read_history`.
    """
    statement = Quoting(conn, schema).fill(queries.READ_LOG, limit=limit)
    return tuple(fetch(conn, LogEntry, statement, lock_timeout_ms))
