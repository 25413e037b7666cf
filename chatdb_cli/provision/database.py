"""Set up a target: the database where it is missing, its schema, every migration.

What belongs here: creating what a migration needs.  What does not: starting the embedded server
(`postgres/target.py` asks for it), migrating (`migrate/`).  Everything may exist already, or be created
by another session at the same moment.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.postgres.model import Target
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
    target = open_target(with_embedded_default(settings))
    try:
        migrator = Migrator(target, directory)  # a wrong folder is found before anything is made
        create_database(target)
        migrator.up()
        return open_pool(target, owned=True)
    except BaseException:
        target.close()
        raise


def with_embedded_default(settings: Settings) -> Settings:
    """Return settings that name a database: with nothing configured, the project's embedded server."""
    if settings.database is None and settings.embeddable:
        return replace(settings, database=settings.embeddable)
    return settings


def create_database(target: Target, tell: Callable[[str], None] = ignore) -> None:
    """Make the database and the schema of a target where they are missing.

    Args:
        target: what has to be there.
        tell: called with a line for each thing that was made.

    Raises:
        ChatdbError: no connection, or not allowed.
    """
    with connect_or_create(target, tell) as conn:
        _create_schema(conn, target, tell)


@contextmanager
def connect_or_create(
    target: Target, tell: Callable[[str], None]
) -> Iterator[psycopg.Connection[Any]]:
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
