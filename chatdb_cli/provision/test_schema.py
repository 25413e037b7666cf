"""A test schema: at the newest version, without rows, and nothing outside of it changes.

What does not belong here: noticing what a file changes outside (`migrate/guards/isolation.py`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate import queries as migrate_queries
from chatdb_cli.migrate.guards import queries as migrate_guards_queries
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Run
from chatdb_cli.postgres.diagnosis import server_error
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.provision import queries as provision_queries
from chatdb_cli.provision.database import connect_or_create, with_embedded_default

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import psycopg

    from chatdb_cli.migrate.model import Progress
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

TEST_MARK = "chatdb: a test schema, reset by chatdb setup --test"


def setup_test_schema(
    target: Target,
    directory: str | Path | None = None,
    *,
    tell: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> Run:
    """Make a schema at the newest version and without rows; nothing outside of it can change.

    What stands in it goes.  Where every file is applied as it is, it is only emptied.

    Args:
        target: the schema, as `settled_for_tests` names it.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        tell: called with a line for each thing that was made.
        progress: as for `Migrator`.

    Raises:
        ChatdbError: `REFUSED` for a schema that was made by somebody else, and for a file that
            reaches outside; whatever else stands in the way.
    """
    from chatdb_cli.history.read import read_history
    from chatdb_cli.postgres.advisory_lock import hold_lock

    migrator = Migrator(target, directory, progress=progress, confined=True)
    with connect_or_create(target, tell) as conn:
        pid = read_history(conn, target.schema).pid
        # Not the migration lock itself: the migrator takes it, on a connection of its own.
        alone = (
            nullcontext(False)
            if is_pooled(conn, target, pid)
            else hold_lock(conn, f"setup of {target.schema}", target.settings.wait_ms, tell)
        )
        with alone:
            found = conn.execute(migrate_guards_queries.TEST_SCHEMA, (target.schema,)).fetchone()
            exists, mark = found[:2] if found else (None, None)
            if exists and mark != TEST_MARK:
                raise ChatdbError(
                    Code.REFUSED,
                    f"schema {target.schema!r} is there, and chatdb did not make it as a test schema",
                    hint="choose another name with --name",
                )
            if exists and migrator.is_whole():
                run = Run(target, "up", (), migrator.status().current)
            else:
                _reset(conn, target, exists=bool(exists))
                tell(f"made schema {target.schema}")
                run = migrator.up()
            _empty(conn, target)
            return run


def settings_for_tests(settings: Settings, schema: str) -> Settings:
    """Return settings that name a test schema: in `TEST_DATABASE_URL`, else in the usual database."""
    database = settings.test_database or settings.database
    return with_embedded_default(replace(settings, database=database, schema=schema))


def _reset(conn: psycopg.Connection[Any], target: Target, *, exists: bool) -> None:
    """Make the schema anew and empty; what depends on it outside keeps it from going."""
    import psycopg

    from chatdb_cli.migrate.guards.isolation import Isolation

    names = Quoting(conn, target.schema)
    inside = Isolation(conn, target.schema)
    inside.begin()
    try:
        _limit_waiting(conn, target)
        if exists:
            conn.execute(inside.before.encode())
            before = inside.outside()
            conn.execute(names.fill(provision_queries.DROP_SCHEMA).encode())
            if reached := inside.reached(before):
                raise ChatdbError(
                    Code.REFUSED,
                    f"something outside depends on schema {target.schema!r}, which can't be reset"
                    + inside.end(reached),
                    hint="drop it, or choose another name with --name",
                )
        conn.execute(names.fill(provision_queries.CREATE_SCHEMA).encode())
        conn.execute(names.fill(provision_queries.MARK_SCHEMA, mark=TEST_MARK).encode())
        conn.execute(migrate_queries.COMMIT.encode())
    except psycopg.Error as error:
        if conn.closed:
            raise
        conn.execute(migrate_queries.ROLLBACK.encode())
        code = Code.LOCKED if error.sqlstate == "55P03" else Code.MISSING_SCHEMA
        raise server_error(error, code, f"schema {target.schema!r} can't be made anew") from None


def _empty(conn: psycopg.Connection[Any], target: Target) -> None:
    """Take all rows from the schema but for the history's; without a trigger, and by no CASCADE."""
    import psycopg

    names = Quoting(conn, target.schema)
    rows = conn.execute(provision_queries.TEST_TABLES, (target.schema,)).fetchall()
    if not rows:
        return
    tables = ", ".join(f"{names.schema}.{names.identifier(name)}" for (name,) in rows)
    try:
        with conn.transaction():
            _limit_waiting(conn, target)
            conn.execute(provision_queries.TRUNCATE.format(tables=tables).encode())
    except psycopg.Error as error:
        if conn.closed:
            raise
        code = Code.LOCKED if error.sqlstate == "55P03" else Code.REFUSED
        raise server_error(error, code, f"schema {target.schema!r} can't be emptied") from None


def _limit_waiting(conn: psycopg.Connection[Any], target: Target) -> None:
    limit = f"{target.settings.lock_timeout_ms}ms"
    conn.execute(
        Quoting(conn, target.schema).fill(migrate_queries.LOCK_TIMEOUT, lock_timeout=limit).encode()
    )
