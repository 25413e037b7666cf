"""Set up a target: create its database and its schema if they are missing, and apply every migration.

Everything may exist already, or be created by another session at the same moment.  What does not belong
here: starting the embedded server (`postgres/target.py`), migrating (`migrate/`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.entry import Writability, require_writable
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.sqlstates import UNDEFINED_DATABASE
from chatdb_cli.provision import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

# The databases that exist on every server, unless an administrator has dropped them.
_MAINTENANCE_DATABASES = ("postgres", "template1")
# CREATE DATABASE fails while another session is connected to the template: how often and when to retry.
_TEMPLATE_TRIES, _TEMPLATE_PAUSE_S = 20, 0.25


def with_embedded_default(settings: Settings) -> Settings:
    """Return settings that name a database: by default the project's embedded server."""
    if settings.database is None and settings.embeddable:
        return replace(settings, database=settings.embeddable)
    return settings


def create_database(target: Target, report: Callable[[str], None] = ignore) -> None:
    """Create the database and the schema of a target if they are missing.

    Args:
        target: the target.
        report: called with a line for each object that was created.

    Raises:
        ChatdbError: no connection, or a missing privilege.
    """
    with connect_or_create(target, report) as conn:
        _create_schema(conn, target, report)


@contextmanager
def connect_or_create(
    target: Target, report: Callable[[str], None]
) -> Iterator[psycopg.Connection[Any]]:
    """Connect to the target's database; create it first if it is missing."""
    with blame_tunnel(target), explain_failures(f"database {target.database!r} can't be set up"):
        try:
            conn = connect(target, report)
        except ChatdbError as error:
            if error.code is not Code.MISSING_DATABASE:
                raise
            _create_database(target, report)
            conn = connect(target, report)
        with conn:
            yield conn


def _create_database(target: Target, report: Callable[[str], None]) -> None:
    from psycopg import errors

    with maintenance_connection(target, report) as conn, read_write(conn, target):
        sql = queries.CREATE_DATABASE.format(
            database=Quoting(conn, target.schema).identifier(target.database)
        )
        for _ in range(_TEMPLATE_TRIES):
            try:
                conn.execute(sql)
            except (errors.DuplicateDatabase, errors.UniqueViolation):
                return  # another session created it at the same moment
            except errors.ObjectInUse:
                time.sleep(_TEMPLATE_PAUSE_S)
            except errors.Error as error:
                if conn.closed:
                    raise
                what = f"database {target.database!r} does not exist, and can't be created"
                failure = server_error(error, Code.MISSING_DATABASE, what)
                if isinstance(error, errors.InsufficientPrivilege):
                    failure = failure.with_(
                        hint=f"give role {target.user!r} the attribute CREATEDB, or have an "
                        "administrator create the database"
                    )
                raise failure from None
            else:
                text = f"created database {target.database}"
                report(log.info("created", text, kind="database", name=target.database))
                return
        raise ChatdbError(
            Code.MISSING_DATABASE,
            f"database {target.database!r} can't be created: its template is in use",
            hint="end the sessions in template1, and try again",
        )


def maintenance_connection(
    target: Target, report: Callable[[str], None]
) -> psycopg.Connection[Any]:
    """Connect to a database that exists on every server.

    Raises:
        ChatdbError: `MISSING_DATABASE`, with the reason why none of them can be used.
    """
    refusals: list[str] = []
    for name in _MAINTENANCE_DATABASES:
        try:
            return connect(target, report, dbname=name)
        except ChatdbError as error:
            if error.code not in (Code.MISSING_DATABASE, Code.LOGIN):
                raise
            refusals.append(f"{name}: {error.message.partition(': ')[2]}")
    raise ChatdbError(
        Code.MISSING_DATABASE,
        f"database {target.database!r} does not exist, and it can't be created: role "
        f"{target.user!r} can't connect to a database from which to create it",
        hint=f"have an administrator create it (CREATE DATABASE), or allow {target.user!r} to connect "
        "to database postgres or template1 (GRANT CONNECT)",
        sqlstate=UNDEFINED_DATABASE,
        notes=tuple(refusals),
    )


@contextmanager
def read_write(conn: psycopg.Connection[Any], target: Target) -> Iterator[None]:
    """Let statements that run outside of a transaction write, if the settings allow that.

    Raises:
        ChatdbError: `STATEMENT` for a standby; `REFUSED` for a session that is read-only by default.
    """
    from psycopg.pq import TransactionStatus

    _require_writable(conn, target)
    conn.execute(queries.SESSION_READ_WRITE)
    try:
        yield
    finally:
        # A pooler would give the session to another client.
        if conn.info.transaction_status is TransactionStatus.IDLE:
            conn.execute(queries.SESSION_DEFAULT)


def _require_writable(conn: psycopg.Connection[Any], target: Target) -> None:
    (facts,) = fetch(conn, Writability, queries.WRITABILITY)
    require_writable(facts, override=target.settings.allow_read_only_override)


def _create_schema(
    conn: psycopg.Connection[Any], target: Target, report: Callable[[str], None]
) -> None:
    from psycopg import errors

    quoting = Quoting(conn, target.schema)
    if fetch(conn, dict, quoting.fill(queries.SCHEMA_EXISTS, name=target.schema)):
        return
    _require_writable(conn, target)
    create = f"{queries.READ_WRITE};\n{quoting.fill(queries.CREATE_SCHEMA)}"
    try:
        conn.execute(create.encode())
    except (errors.DuplicateSchema, errors.UniqueViolation):
        return  # another session created it at the same moment
    except errors.Error as error:
        if conn.closed:
            raise
        what = f"schema {target.schema!r} can't be created"
        raise server_error(error, Code.MISSING_SCHEMA, what) from None
    text = f"created schema {target.schema}"
    report(log.info("created", text, kind="schema", name=target.schema))
