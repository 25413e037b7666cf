"""Set a target up: the database where it is missing, its schema, every migration.

What belongs here: making what a migration needs to stand on.  What does not: starting the embedded
server (`connection.py` asks `server.py`), migrating (`migrator.py`).  Everything may be there already,
or be made by another at the same moment.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatdb_cli import queries
from chatdb_cli.connection import connect, open_pool, open_target
from chatdb_cli.diagnosis import server_error
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrator import Migrator
from chatdb_cli.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.connection import Target
    from chatdb_cli.settings import Settings

# A new database may have to wait for somebody who looks at the template.
_TEMPLATE_TRIES, _TEMPLATE_PAUSE_S = 20, 0.25
_DUPLICATE_DATABASE, _UNIQUE_VIOLATION, _OBJECT_IN_USE = "42P04", "23505", "55006"
_DUPLICATE_SCHEMA = "42P06"


def _nothing(_: str) -> None:
    pass


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
        make_database(target)
        Migrator(target, directory).up()
        return open_pool(target, owned=True)
    except BaseException:
        target.close()
        raise


def settled(settings: Settings) -> Settings:
    """Return settings that name a database: with nothing configured, the project's embedded server."""
    if settings.database is None and settings.embeddable:
        return replace(settings, database=settings.embeddable)
    return settings


def make_database(target: Target, tell: Callable[[str], None] = _nothing) -> None:
    """Make the database and the schema of a target where they are missing.

    Args:
        target: what has to be there.
        tell: called with a line for each thing that was made.

    Raises:
        ChatdbError: no connection, or not allowed.
    """
    try:
        conn = connect(target, tell)
    except ChatdbError as error:
        if error.code is not Code.MISSING_DATABASE:
            raise
        _create_database(target, tell)
        conn = connect(target, tell)
    with conn:
        _create_schema(conn, target, tell)


def _create_database(target: Target, tell: Callable[[str], None]) -> None:
    import psycopg

    with _maintenance_connection(target, tell) as conn:
        sql = queries.CREATE_DATABASE.format(
            database=Names(conn, target.schema).identifier(target.database)
        )
        for _ in range(_TEMPLATE_TRIES):
            try:
                conn.execute(sql)
            except psycopg.Error as error:
                if error.sqlstate in (_DUPLICATE_DATABASE, _UNIQUE_VIOLATION):
                    return  # another setup was quicker
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
        conn.execute(Names(conn, target.schema).fill(queries.CREATE_SCHEMA))
    except psycopg.Error as error:
        if error.sqlstate not in (_DUPLICATE_SCHEMA, _UNIQUE_VIOLATION):
            what = f"schema {target.schema!r} can't be made"
            raise server_error(error, Code.MISSING_SCHEMA, what) from None
    else:
        tell(f"made schema {target.schema}")
