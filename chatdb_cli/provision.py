"""Set a target up: the database where it is missing, its schema, every migration.

What belongs here: making what a migration needs to stand on.  What does not: starting the embedded
server (`connection.py` asks `server.py`), migrating (`migrator.py`).  Everything may be there already,
or be made by another at the same moment.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatdb_cli import queries
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrator import Migrator
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.target import open_target
from chatdb_cli.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.run import Event
    from chatdb_cli.settings.model import Settings

# A new database may have to wait for somebody who looks at the template.
_TEMPLATE_TRIES, _TEMPLATE_PAUSE_S = 20, 0.25
_DUPLICATE_DATABASE, _UNIQUE_VIOLATION, _OBJECT_IN_USE = "42P04", "23505", "55006"
_DUPLICATE_SCHEMA = "42P06"


def setup(
    settings: Settings, directory: str | Path | None = None
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Make database, schema and every migration, and return an open pool; idempotent.

    Args:
        settings: where; with nothing configured, the project's embedded server, made where missing.
        directory: the folder with `up/` and `down/`, as for `Migrator`.

    Raises:
        ChatdbError: whatever stands in the way.
    """
    target = open_target(settled(settings))
    try:
        migrator = Migrator(target, directory)  # a wrong folder is found before anything is made
        make_database(target)
        migrator.up()
        return open_pool(target, owned=True)
    except BaseException:
        target.close()
        raise


def settled(settings: Settings) -> Settings:
    """Return settings that name a database: with nothing configured, the project's embedded server."""
    if settings.database is None and settings.embeddable:
        return replace(settings, database=settings.embeddable)
    return settings


def make_database(target: Target, tell: Callable[[str], None] = ignore) -> None:
    """Make the database and the schema of a target where they are missing.

    Args:
        target: what has to be there.
        tell: called with a line for each thing that was made.

    Raises:
        ChatdbError: no connection, or not allowed.
    """
    with _connected(target, tell) as conn:
        _create_schema(conn, target, tell)


@contextmanager
def _connected(target: Target, tell: Callable[[str], None]) -> Iterator[psycopg.Connection[Any]]:
    """Connect to the target's database, made where it is missing."""
    with blame_tunnel(target), explain_failures(f"database {target.database!r} can't be set up"):
        try:
            conn = connect(target, tell)
        except ChatdbError as error:
            if error.code is not Code.MISSING_DATABASE:
                raise
            _create_database(target, tell)
            conn = connect(target, tell)
        with conn:
            yield conn


TEST_MARK = "chatdb: a test schema, reset by chatdb setup --test"


def setup_test(
    target: Target,
    directory: str | Path | None = None,
    *,
    tell: Callable[[str], None] = ignore,
    progress: Callable[[Event], None] = ignore,
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
    with _connected(target, tell) as conn:
        pid = read_history(conn, target.schema).pid
        # Not the migration lock itself: the migrator takes it, on a connection of its own.
        alone = (
            nullcontext(False)
            if is_pooled(conn, target, pid)
            else hold_lock(conn, f"setup of {target.schema}", target.settings.wait_ms, tell)
        )
        with alone:
            found = conn.execute(queries.TEST_SCHEMA, (target.schema,)).fetchone()
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


def settled_for_tests(settings: Settings, schema: str) -> Settings:
    """Return settings that name a test schema: in `TEST_DATABASE_URL`, else in the usual database."""
    database = settings.test_database or settings.database
    return settled(replace(settings, database=database, schema=schema))


def _reset(conn: psycopg.Connection[Any], target: Target, *, exists: bool) -> None:
    """Make the schema anew and empty; what depends on it outside keeps it from going."""
    import psycopg

    from chatdb_cli.confinement import Confinement

    names = Quoting(conn, target.schema)
    inside = Confinement(conn, target.schema)
    inside.begin()
    try:
        _limit_waiting(conn, target)
        if exists:
            conn.execute(inside.before.encode())
            before = inside.outside()
            conn.execute(names.fill(queries.DROP_SCHEMA).encode())
            if reached := inside.reached(before):
                raise ChatdbError(
                    Code.REFUSED,
                    f"something outside depends on schema {target.schema!r}, which can't be reset"
                    + inside.end(reached),
                    hint="drop it, or choose another name with --name",
                )
        conn.execute(names.fill(queries.CREATE_SCHEMA).encode())
        conn.execute(names.fill(queries.MARK_SCHEMA, mark=TEST_MARK).encode())
        conn.execute(queries.COMMIT.encode())
    except psycopg.Error as error:
        if conn.closed:
            raise
        conn.execute(queries.ROLLBACK.encode())
        code = Code.LOCKED if error.sqlstate == "55P03" else Code.MISSING_SCHEMA
        raise server_error(error, code, f"schema {target.schema!r} can't be made anew") from None


def _empty(conn: psycopg.Connection[Any], target: Target) -> None:
    """Take all rows from the schema but for the history's; without a trigger, and by no CASCADE."""
    import psycopg

    names = Quoting(conn, target.schema)
    rows = conn.execute(queries.TEST_TABLES, (target.schema,)).fetchall()
    if not rows:
        return
    tables = ", ".join(f"{names.schema}.{names.identifier(name)}" for (name,) in rows)
    try:
        with conn.transaction():
            _limit_waiting(conn, target)
            conn.execute(queries.TRUNCATE.format(tables=tables).encode())
    except psycopg.Error as error:
        if conn.closed:
            raise
        code = Code.LOCKED if error.sqlstate == "55P03" else Code.REFUSED
        raise server_error(error, code, f"schema {target.schema!r} can't be emptied") from None


def _limit_waiting(conn: psycopg.Connection[Any], target: Target) -> None:
    limit = f"{target.settings.lock_timeout_ms}ms"
    conn.execute(
        Quoting(conn, target.schema).fill(queries.LOCK_TIMEOUT, lock_timeout=limit).encode()
    )


def _create_database(target: Target, tell: Callable[[str], None]) -> None:
    import psycopg

    with _maintenance_connection(target, tell) as conn:
        sql = queries.CREATE_DATABASE.format(
            database=Quoting(conn, target.schema).identifier(target.database)
        )
        for _ in range(_TEMPLATE_TRIES):
            try:
                conn.execute(sql)
            except psycopg.Error as error:
                if error.sqlstate in (_DUPLICATE_DATABASE, _UNIQUE_VIOLATION):
                    return  # another setup was quicker
                if conn.closed:
                    raise
                if error.sqlstate != _OBJECT_IN_USE:
                    what = f"database {target.database!r} can't be made"
                    raise server_error(error, Code.MISSING_DATABASE, what) from None
                time.sleep(_TEMPLATE_PAUSE_S)
            else:
                tell(f"made database {target.database}")
                return
        raise ChatdbError(
            Code.MISSING_DATABASE,
            f"database {target.database!r} can't be made: its template is in use",
            hint="end the sessions in template1, and try again",
        )


def _maintenance_connection(target: Target, tell: Callable[[str], None]) -> psycopg.Connection[Any]:
    """Connect to a database that every server has."""
    try:
        return connect(target, tell, dbname="postgres")
    except ChatdbError as error:
        if error.code not in (Code.MISSING_DATABASE, Code.LOGIN):
            raise
        return connect(target, tell, dbname="template1")


def _create_schema(
    conn: psycopg.Connection[Any], target: Target, tell: Callable[[str], None]
) -> None:
    import psycopg

    if conn.execute(queries.SCHEMA_EXISTS, (target.schema,)).fetchone() is not None:
        return
    try:
        conn.execute(Quoting(conn, target.schema).fill(queries.CREATE_SCHEMA))
    except psycopg.Error as error:
        if conn.closed:
            raise
        if error.sqlstate not in (_DUPLICATE_SCHEMA, _UNIQUE_VIOLATION):
            what = f"schema {target.schema!r} can't be made"
            raise server_error(error, Code.MISSING_SCHEMA, what) from None
    else:
        tell(f"made schema {target.schema}")
