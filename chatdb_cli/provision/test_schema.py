"""A test schema: at the newest version, without rows; nothing outside it may change.

    setup_test_schema    create or reset it, and return a pool of connections to it
    drop_test_schema     drop it with all that belongs to it
    make_test_schema     the first, in detail, for the command line

What does not belong here: keeping the files inside (`migrate/confine/`), the schema's role
(`test_role.py`), deleting rows (`clear.py`), a test database (`test_database.py`).
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Confines, Run
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.sqlstates import ASSERTION_FAILED
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision import queries
from chatdb_cli.provision.clear import empty_schemas
from chatdb_cli.provision.database import connect_or_create, read_write, with_embedded_default
from chatdb_cli.provision.marks import TEST_MARK, is_test_schema, made_mark
from chatdb_cli.provision.model import SetupForTests
from chatdb_cli.provision.test_role import drop_made_roles, drop_role, find_role, read_rights
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.model import require_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.migrate.model import Progress
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.provision.test_role import Rights
    from chatdb_cli.settings.model import Settings

_WATCHED_ALONE = (
    "role {user!r} may create neither roles nor databases, so the files are only watched: a change "
    "outside is undone where it is seen; for more, give it CREATEROLE, or CREATEDB and use "
    "{setup_test_database}"
)


class _Schema(NamedTuple):
    """A row of `queries.SCHEMA_COMMENT`."""

    comment: str | None


class _Name(NamedTuple):
    """A row of `queries.EXTENSION_SCHEMAS`."""

    name: str


def setup_test_schema(
    settings: Settings,
    directory: str | Path | None = None,
    *,
    name: str = "test",
    report: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Create a schema at the newest version and without rows, and return an open pool on it.

    Everything in the schema is dropped.  If it is at the newest version and no file has changed since,
    its tables are only emptied.  Nothing outside of it changes: the files run with the rights of a role
    that owns nothing else.  It is in the database of `TEST_DATABASE_URL`, else in the usual one.

    Args:
        settings: from `load_settings`; if they name no database, the project's embedded server is used,
            and created if missing.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        name: the name of the schema.
        report: called with a line for each object that was created.
        progress: as for `Migrator`.

    Raises:
        ChatdbError: `REFUSED` for a schema that is not a test schema, for a file that changes something
            outside, and where no role can be created but a database can (`setup_test_database`); no
            connection, a missing privilege, or a migration that failed.
    """
    require_settings(settings)
    target = open_target(settings_for_tests(settings, name))
    try:
        make_test_schema(target, directory, home=settings.schema, report=report, progress=progress)
        return open_pool(target, owned=True, path=(name, *_extension_schemas(target)))
    except BaseException:
        target.close()
        raise


def make_test_schema(
    target: Target,
    directory: str | Path | None = None,
    *,
    home: str = "public",
    report: Callable[[str], None] = ignore,
    progress: Callable[[Progress], None] = ignore,
) -> SetupForTests:
    """Create or reset a test schema; the arguments are those of `setup_test_schema`.

    Args:
        target: the schema, from `settings_for_tests`.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        home: the schema of the real objects; extensions go where a migration of it would put them.
        report: called with a line for each object that was created.
        progress: as for `Migrator`.
    """
    require_target(target)
    _ = Migrator(target, directory).folder  # a wrong one is reported before anything is created
    with connect_or_create(target, report) as conn, _locked(conn, target, report):
        exists = _require_own(conn, target)
        rights = read_rights(conn, target)
        role = find_role(conn, target, rights, report)
        warnings = () if role else (_only_watched(rights),)
        confines = Confines(
            role,
            tuple(dict.fromkeys(s for s in (home, "public") if s != target.schema)),
            made_mark(target.database, target.schema),
        )
        migrator = Migrator(target, directory, progress=progress, confined=confines)
        status = migrator.status() if exists else None
        if status and status.is_whole:
            run = Run(target, "up", (), status.current)
        else:
            if exists:
                _drop(conn, target)
            drop_made_roles(conn, target)
            _create(conn, target, role)
            text = f"created schema {target.schema}"
            report(log.info("created", text, kind="schema", name=target.schema))
            run = migrator.up(allow_non_empty=True)
        with conn.transaction():
            _set_lock_timeout(conn, target)
            emptied = empty_schemas(conn, [target.schema])
        return SetupForTests(run, emptied, "rights" if role else "watch", warnings)


def drop_test_schema(
    settings: Settings, *, name: str = "test", report: Callable[[str], None] = ignore
) -> tuple[str, ...]:
    """Drop a test schema, its role, and the roles that its files created and nobody uses.

    Extensions that its files created stay, as others may use them by now.

    Args:
        settings: those that it was set up with.
        name: the name of the schema.
        report: called with a line before each retry of the connection.

    Returns:
        What was dropped, for people; nothing if there is no such schema.

    Raises:
        ChatdbError: `REFUSED`, the schema is not a test schema, or an object outside depends on it.
    """
    require_settings(settings)
    with open_target(settings_for_tests(settings, name)) as target:
        return remove_test_schema(target, report)


def remove_test_schema(target: Target, report: Callable[[str], None] = ignore) -> tuple[str, ...]:
    """Drop a test schema as `drop_test_schema` does.

    Args:
        target: the schema, from `settings_for_tests`.
        report: called with a line before each retry of the connection.
    """
    with (
        blame_tunnel(target),
        explain_failures(f"schema {target.schema!r} can't be dropped"),
        connect(target, report) as conn,
        _locked(conn, target, report),
    ):
        exists = _require_own(conn, target)
        if exists:
            _drop(conn, target)
        made = drop_made_roles(conn, target)
        role = drop_role(conn, target)
        roles = [f"role {name}" for name in (*made, *([role] if role else ()))]
        return (*([f"schema {target.schema}"] if exists else ()), *roles)


def settings_for_tests(settings: Settings, schema: str) -> Settings:
    """Return settings that name a test schema: in `TEST_DATABASE_URL`, else in the usual database."""
    database = settings.test_database or settings.database
    return with_embedded_default(
        replace(settings, database=database, schema=schema, schema_named=True)
    )


@contextmanager
def _locked(
    conn: psycopg.Connection[Any], target: Target, report: Callable[[str], None]
) -> Iterator[None]:
    """Keep other setups of the schema out; not the migration lock, which the migrator acquires."""
    from chatdb_cli.postgres.advisory_lock import hold_lock

    lock: AbstractContextManager[None] = (
        nullcontext()
        if is_pooled(conn, target)
        else hold_lock(conn, f"setup of {target.schema}", target.settings.wait_ms, report)
    )
    with lock, read_write(conn, target):
        yield


def _require_own(conn: psycopg.Connection[Any], target: Target) -> bool:
    """Return whether the schema exists.

    Raises:
        ChatdbError: `REFUSED`, it is not a test schema.
    """
    query = Quoting(conn, target.schema).fill(queries.SCHEMA_COMMENT, name=target.schema)
    row = next(iter(fetch(conn, _Schema, query)), None)
    if row is not None and not is_test_schema(row.comment):
        raise ChatdbError(
            Code.REFUSED,
            f"schema {target.schema!r} exists, and is not a test schema of chatdb",
            hint=Advice("choose another name with {test_schema_name}"),
        )
    return row is not None


def _only_watched(rights: Rights) -> str:
    """Return the warning that there is no role; where a database can be made, that is the way."""
    if rights.may_create_databases:
        raise ChatdbError(
            Code.REFUSED,
            f"role {rights.name!r} may not create roles, and without a role of its own a test schema "
            "can't keep a migration from changing what is outside",
            hint=Advice("use a test database: {setup_test_database}; or give the role CREATEROLE"),
        )
    return Advice(_WATCHED_ALONE, user=rights.name)


def _extension_schemas(target: Target) -> list[str]:
    with connect(target) as conn:
        return [row.name for row in fetch(conn, _Name, queries.EXTENSION_SCHEMAS)]


def _drop(conn: psycopg.Connection[Any], target: Target) -> None:
    """Drop the schema; fail if an object outside depends on it."""
    from psycopg import errors

    from chatdb_cli.migrate.confine.watch import Watch

    quoting = Quoting(conn, target.schema)
    watch = Watch(conn, target.schema, None)
    drop = quoting.fill(queries.DROP_SCHEMA).encode()
    try:
        watch.begin()
        _set_lock_timeout(conn, target)
        conn.execute(watch.keep.encode())
        conn.execute(drop)
        conn.execute(watch.unchanged.encode())
        conn.execute(queries.COMMIT.encode())
    except errors.Error as error:
        if conn.closed:
            raise
        conn.execute(queries.ROLLBACK.encode())
        if error.sqlstate == ASSERTION_FAILED:
            watch.begin()
            before = watch.outside()
            conn.execute(drop)
            raise ChatdbError(
                Code.REFUSED,
                f"an object outside depends on schema {target.schema!r}, which can't be dropped"
                + watch.roll_back(watch.outside() ^ before),
                hint=Advice("drop it, or choose another name with {test_schema_name}"),
            ) from None
        raise _failure(error, target, "reset") from None


def _create(conn: psycopg.Connection[Any], target: Target, role: str | None) -> None:
    """Create the schema, mark it, and let its role create objects in it."""
    from psycopg import errors

    quoting = Quoting(conn, target.schema)
    try:
        with conn.transaction():
            conn.execute(queries.PG_CATALOG_ONLY)
            conn.execute(quoting.fill(queries.CREATE_SCHEMA).encode())
            conn.execute(quoting.fill(queries.MARK_SCHEMA, mark=TEST_MARK).encode())
            if role:
                allow = queries.ALLOW_ROLE.format(
                    schema=quoting.schema, role=quoting.identifier(role)
                )
                conn.execute(allow.encode())
    except errors.Error as error:
        if conn.closed:
            raise
        raise _failure(error, target, "created") from None


def _failure(error: psycopg.Error, target: Target, done: str) -> ChatdbError:
    from psycopg import errors

    locked = isinstance(error, errors.LockNotAvailable)
    code = Code.LOCKED if locked else Code.MISSING_SCHEMA
    return server_error(error, code, f"schema {target.schema!r} can't be {done}")


def _set_lock_timeout(conn: psycopg.Connection[Any], target: Target) -> None:
    limit = f"{target.settings.lock_timeout_ms}ms"
    conn.execute(
        Quoting(conn, target.schema).fill(queries.LOCK_TIMEOUT, lock_timeout=limit).encode()
    )
