"""A test database: the schema as in production, without rows, and nothing real in reach.

    setup_test_database    create or reset it, and return a pool of connections to it
    drop_test_database     drop it
    open_test_database     the target: `TEST_DATABASE_URL`, else `<database>_test` on the same server
    make_test_database     the first, in detail, for the command line

What does not belong here: a test schema (`test_schema.py`), deleting rows (`clear.py`), databases for
the time of one run (`scratch/`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Run
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision import queries
from chatdb_cli.provision.clear import empty_schemas, user_schemas
from chatdb_cli.provision.database import (
    create_database,
    maintenance_connection,
    read_write,
    with_embedded_default,
)
from chatdb_cli.provision.marks import DATABASE_MARK, is_test_database
from chatdb_cli.provision.model import SetupForTests
from chatdb_cli.scratch.place import read_form
from chatdb_cli.settings.model import require_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.migrate.model import Progress, Status
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.scratch.model import Form
    from chatdb_cli.settings.model import Settings

_SUFFIX = "_test"
_LONGEST = 63  # bytes of a name


class _Database(NamedTuple):
    """A row of `queries.DATABASE`.

    Attributes:
        comment: its comment.
        may_create: the role may create databases.
        owned: the role may drop this one.
        empty: it holds nothing but extensions.
    """

    comment: str | None
    may_create: bool
    owned: bool
    empty: bool


def setup_test_database(
    settings: Settings,
    directory: str | Path | None = None,
    *,
    report: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Create a test database at the newest version and without rows, and return an open pool on it.

    It is the database of `TEST_DATABASE_URL`; else one on the same server, with the encoding and locale
    of the usual one, whose name ends with `_test`.  Everything in it is dropped; if it is at the newest
    version and no file has changed since, its tables are only emptied.

    Args:
        settings: from `load_settings`; if they name no database, the project's embedded server is used,
            and created if missing.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        report: called with a line for each object that was created.
        progress: as for `Migrator`.

    Raises:
        ChatdbError: `REFUSED` for a database that holds something and is not a test database; no
            connection, a missing privilege, or a migration that failed.
    """
    require_settings(settings)
    target = open_test_database(settings)
    try:
        make_test_database(target, directory, settings, report=report, progress=progress)
        return open_pool(target, owned=True)
    except BaseException:
        target.close()
        raise


def drop_test_database(
    settings: Settings, *, report: Callable[[str], None] = ignore
) -> tuple[str, ...]:
    """Drop the test database, and end the sessions in it.

    Args:
        settings: those that it was set up with.
        report: called with a line before each retry of the connection.

    Returns:
        What was dropped, for people; nothing if there is no such database.

    Raises:
        ChatdbError: `REFUSED`, it is not a test database.
    """
    require_settings(settings)
    with open_test_database(settings) as target:
        return remove_test_database(target, report)


def open_test_database(settings: Settings) -> Target:
    """Return the target of the test database: `TEST_DATABASE_URL`, else `<database>_test`."""
    return in_test_database(open_target(settings_for_test_database(settings)))


def settings_for_test_database(settings: Settings) -> Settings:
    """Return settings that name the server of the test database, for `in_test_database`."""
    if settings.test_database is not None:
        return replace(settings, database=settings.test_database)
    return with_embedded_default(settings)


def in_test_database(target: Target) -> Target:
    """Return the test database of a target: itself if `TEST_DATABASE_URL` names it."""
    if target.settings.test_database is not None:
        return target
    name = target.database.encode()[: _LONGEST - len(_SUFFIX)].decode(errors="ignore") + _SUFFIX
    return replace(
        target,
        database=name,
        source=f"{target.source}, with {_SUFFIX}",
        params={**target.params, "dbname": name},
    )


def make_test_database(
    target: Target,
    directory: str | Path | None,
    settings: Settings,
    *,
    report: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> SetupForTests:
    """Create or reset a test database; the other arguments are those of `setup_test_database`.

    Args:
        target: from `open_test_database`.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        settings: those that it was opened with; a new one gets the encoding and locale of the usual.
        report: called with a line for each object that was created.
        progress: as for `Migrator`.
    """
    migrator = Migrator(target, directory, progress=progress)
    _ = migrator.folder  # a wrong one is reported before anything is created
    with blame_tunnel(target), explain_failures(f"database {target.database!r} can't be set up"):
        state = _read(target, report)
        created = state is None
        if state is None:
            _create(target, _form(target, settings), report)
            state = _read(target, report)
        assert state is not None  # noqa: S101  (it was created)
        marked = is_test_database(state.comment)
        if not marked:
            _take(target, state)
        fresh = created or not marked
        status = None if fresh else _status(migrator)
        if status and status.is_whole:
            run = Run(target, "up", (), status.current)
        else:
            if not fresh:
                _reset(target, state, report)
            create_database(target, report)
            run = migrator.up(allow_non_empty=True)
        with connect(target, report) as conn, read_write(conn, target):
            emptied = empty_schemas(conn, user_schemas(conn))
        return SetupForTests(run, emptied, "database")


def remove_test_database(target: Target, report: Callable[[str], None] = ignore) -> tuple[str, ...]:
    """Drop a test database as `drop_test_database` does.

    Args:
        target: from `open_test_database`.
        report: called with a line before each retry of the connection.
    """
    with blame_tunnel(target), explain_failures(f"database {target.database!r} can't be dropped"):
        state = _read(target, report)
        if state is None:
            return ()
        if not is_test_database(state.comment):
            raise _not_ours(target)
        with maintenance_connection(target, report) as conn, read_write(conn, target):
            _execute(conn, target, queries.DROP_DATABASE)
        return (f"database {target.database}",)


def _read(target: Target, report: Callable[[str], None]) -> _Database | None:
    """Return what is known about the database; None if it does not exist."""
    try:
        conn = connect(target, report)
    except ChatdbError as error:
        if error.code is not Code.MISSING_DATABASE:
            raise
        return None
    with conn:
        (row,) = fetch(conn, _Database, queries.DATABASE)
        return row


def _form(target: Target, settings: Settings) -> Form:
    """Return how the usual database was made; that of TEST_DATABASE_URL is made as any new one."""
    if settings.test_database is None:
        with open_target(with_embedded_default(settings)) as real:
            return read_form(real)[0]
    return read_form(target)[0]


def _create(target: Target, form: Form, report: Callable[[str], None]) -> None:
    with maintenance_connection(target, report) as conn, read_write(conn, target):
        quoting = Quoting(conn, target.schema)
        options = form.locale_options(form.server_version)
        sql = queries.CREATE_LIKE.format(
            database=quoting.identifier(target.database),
            encoding=quoting.literal(form.encoding),
            collate=quoting.literal(form.collate),
            ctype=quoting.literal(form.ctype),
            options=" ".join(f"{key} {quoting.literal(value)}" for key, value in options.items()),
        )
        with explain_failures(
            f"database {target.database!r} can't be created", Code.MISSING_DATABASE
        ):
            conn.execute(sql.encode())
            _execute(conn, target, queries.MARK_DATABASE, DATABASE_MARK)
    text = f"created database {target.database}"
    report(log.info("created", text, kind="database", name=target.database))


def _take(target: Target, state: _Database) -> None:
    """Mark an empty database as a test database.

    Raises:
        ChatdbError: `REFUSED`, it is not empty, or can't be marked.
    """
    if not state.empty:
        raise _not_ours(target)
    if not state.owned:
        raise ChatdbError(
            Code.REFUSED,
            f"database {target.database!r} is empty, but role {target.user!r} does not own it, so it "
            "can't be marked as a test database",
            hint=f"have its owner run: COMMENT ON DATABASE ... IS '{DATABASE_MARK}'",
        )
    mark = f"{state.comment}\n{DATABASE_MARK}" if state.comment else DATABASE_MARK
    with connect(target) as conn, read_write(conn, target):
        _execute(conn, target, queries.MARK_DATABASE, mark)


def _not_ours(target: Target) -> ChatdbError:
    return ChatdbError(
        Code.REFUSED,
        f"database {target.database!r} is not a test database of chatdb, and is not empty",
        hint="set TEST_DATABASE_URL to an empty database, or to one that does not exist",
    )


def _status(migrator: Migrator) -> Status | None:
    """Return the files against the history; None if there is no schema yet."""
    try:
        return migrator.status()
    except ChatdbError as error:
        if error.code is not Code.MISSING_SCHEMA:
            raise
        return None


def _reset(target: Target, state: _Database, report: Callable[[str], None]) -> None:
    """Drop and create the database; or clear it, if the role may not create databases."""
    if state.owned and state.may_create:
        form = read_form(target)[0]
        with maintenance_connection(target, report) as conn, read_write(conn, target):
            _execute(conn, target, queries.DROP_DATABASE)
        _create(target, form, report)
        if state.comment != DATABASE_MARK:
            with connect(target) as conn, read_write(conn, target):
                _execute(conn, target, queries.MARK_DATABASE, state.comment or DATABASE_MARK)
        return
    with connect(target) as conn, read_write(conn, target):
        conn.execute(queries.CLEAR_DATABASE)


def _execute(conn: psycopg.Connection[Any], target: Target, template: str, mark: str = "") -> None:
    quoting = Quoting(conn, target.schema)
    sql = template.format(database=quoting.identifier(target.database), mark=quoting.literal(mark))
    conn.execute(sql.encode())
