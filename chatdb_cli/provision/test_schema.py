"""A test schema: at the newest version, without rows; nothing outside it may change.

What does not belong here: detecting changes outside (`migrate/guards/isolation.py`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Run
from chatdb_cli.postgres.diagnosis import server_error
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.provision import queries
from chatdb_cli.provision.database import connect_or_create, with_embedded_default
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    import psycopg

    from chatdb_cli.migrate.model import Progress
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

TEST_MARK = "chatdb: a test schema, reset by chatdb setup --test"


class _Schema(NamedTuple):
    """A row of `queries.SCHEMA_COMMENT`."""

    comment: str | None


class _Table(NamedTuple):
    """A row of `queries.TEST_TABLES`."""

    name: str


def setup_test_schema(
    target: Target,
    directory: str | Path | None = None,
    *,
    report: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> Run:
    """Create a schema at the newest version and without rows; nothing outside it can change.

    Everything in the schema is dropped.  If it is at the newest version and no file has changed since,
    its tables are only emptied.

    Args:
        target: the schema, from `settings_for_tests`.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        report: called with a line for each object that was created.
        progress: as for `Migrator`.

    Raises:
        ChatdbError: `REFUSED` for a schema that is not a test schema, and for a file that changes
            something outside; no connection, a missing privilege, or a migration that failed.
    """
    from chatdb_cli.postgres.advisory_lock import hold_lock

    require_target(target)
    migrator = Migrator(target, directory, progress=progress, confined=True)
    _ = migrator.folder  # a wrong one is reported before anything is created
    with connect_or_create(target, report) as conn:
        # Not the migration lock itself: the migrator acquires that on a connection of its own.
        lock: AbstractContextManager[None] = (
            nullcontext()
            if is_pooled(conn, target)
            else hold_lock(conn, f"setup of {target.schema}", target.settings.wait_ms, report)
        )
        with lock:
            quoting = Quoting(conn, target.schema)
            comment = quoting.fill(queries.SCHEMA_COMMENT, name=target.schema)
            row = next(iter(fetch(conn, _Schema, comment)), None)
            if row is not None and row.comment != TEST_MARK:
                raise ChatdbError(
                    Code.REFUSED,
                    f"schema {target.schema!r} exists, and is not a test schema of chatdb",
                    hint=Advice("choose another name with {test_schema_name}"),
                )
            if row is not None and migrator.is_whole():
                run = Run(target, "up", (), migrator.status().current)
            else:
                _reset(conn, target, exists=row is not None)
                text = f"created schema {target.schema}"
                report(log.info("created", text, kind="schema", name=target.schema))
                run = migrator.up(allow_non_empty=True)
            _empty(conn, target)
            return run


def settings_for_tests(settings: Settings, schema: str) -> Settings:
    """Return settings that name a test schema: in `TEST_DATABASE_URL`, else in the usual database."""
    database = settings.test_database or settings.database
    return with_embedded_default(
        replace(settings, database=database, schema=schema, schema_named=True)
    )


def _reset(conn: psycopg.Connection[Any], target: Target, *, exists: bool) -> None:
    """Drop the schema if it exists, and create it; fail if an object outside depends on it."""
    from psycopg import errors

    from chatdb_cli.migrate.guards.isolation import Isolation

    quoting = Quoting(conn, target.schema)
    isolation = Isolation(conn, target.schema)
    isolation.begin()
    try:
        _set_lock_timeout(conn, target)
        if exists:
            conn.execute(isolation.before.encode())
            before = isolation.outside()
            conn.execute(quoting.fill(queries.DROP_SCHEMA).encode())
            if changed := isolation.reached(before):
                raise ChatdbError(
                    Code.REFUSED,
                    f"an object outside depends on schema {target.schema!r}, which can't be reset"
                    + isolation.end(changed),
                    hint=Advice("drop it, or choose another name with {test_schema_name}"),
                )
        conn.execute(quoting.fill(queries.CREATE_SCHEMA).encode())
        conn.execute(quoting.fill(queries.MARK_SCHEMA, mark=TEST_MARK).encode())
        conn.execute(queries.COMMIT.encode())
    except errors.Error as error:
        if conn.closed:
            raise
        conn.execute(queries.ROLLBACK.encode())
        locked = isinstance(error, errors.LockNotAvailable)
        code = Code.LOCKED if locked else Code.MISSING_SCHEMA
        raise server_error(error, code, f"schema {target.schema!r} can't be reset") from None


def _empty(conn: psycopg.Connection[Any], target: Target) -> None:
    """Empty all tables of the schema but those of the history; fires no trigger, and no CASCADE."""
    from psycopg import errors

    quoting = Quoting(conn, target.schema)
    rows = fetch(conn, _Table, quoting.fill(queries.TEST_TABLES, name=target.schema))
    if not rows:
        return
    tables = ", ".join(f"{quoting.schema}.{quoting.identifier(row.name)}" for row in rows)
    try:
        with conn.transaction():
            _set_lock_timeout(conn, target)
            conn.execute(queries.TRUNCATE.format(tables=tables).encode())
    except errors.Error as error:
        if conn.closed:
            raise
        code = Code.LOCKED if isinstance(error, errors.LockNotAvailable) else Code.REFUSED
        raise server_error(error, code, f"schema {target.schema!r} can't be emptied") from None


def _set_lock_timeout(conn: psycopg.Connection[Any], target: Target) -> None:
    limit = f"{target.settings.lock_timeout_ms}ms"
    conn.execute(
        Quoting(conn, target.schema).fill(queries.LOCK_TIMEOUT, lock_timeout=limit).encode()
    )
