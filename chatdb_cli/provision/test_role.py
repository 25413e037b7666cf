"""The role of a test schema: it owns what the schema holds, and nothing else.

    find_role          the role, created if it is missing; None where none can be made
    drop_role          drop it, once it owns nothing
    drop_made_roles    drop the roles that files of the test schema created, if nobody uses them

What does not belong here: running files with its rights (`migrate/confine/`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.provision import queries
from chatdb_cli.provision.marks import made_mark, owner_mark, role_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target

_OPTIONS_OF_GRANT_SINCE = 160000


class Rights(NamedTuple):
    """A row of `queries.RIGHTS`.

    Attributes:
        name: the role that is logged in.
        superuser: it is a superuser.
        may_create_roles: it has CREATEROLE.
        may_create_databases: it has CREATEDB, or is a superuser.
        server_version: as a number, such as 180001.
        exists: the role of the test schema exists.
        comment: its comment.
        usable: the role that is logged in has its rights.
    """

    name: str
    superuser: bool
    may_create_roles: bool
    may_create_databases: bool
    server_version: int
    exists: bool
    comment: str | None
    usable: bool


class _Name(NamedTuple):
    """A row of `queries.MADE_ROLES`."""

    name: str


def read_rights(conn: psycopg.Connection[Any], target: Target) -> Rights:
    """Return what the role that is logged in may do, and whether the role of the schema exists."""
    role = role_name(target.database, target.schema)
    query = Quoting(conn, target.schema).fill(queries.RIGHTS, role=role)
    (row,) = fetch(conn, Rights, query)
    return row


def find_role(
    conn: psycopg.Connection[Any], target: Target, rights: Rights, report: Callable[[str], None]
) -> str | None:
    """Return the role of a test schema, created if it is missing; None where none can be made.

    Args:
        conn: an idle connection in autocommit mode.
        target: the test schema.
        rights: from `read_rights`.
        report: called with a line when the role was created.

    Raises:
        ChatdbError: `REFUSED`, a role of that name exists and is not chatdb's.
    """
    from psycopg import errors

    role = role_name(target.database, target.schema)
    mark = owner_mark(target.database, target.schema)
    if rights.exists:
        if rights.comment != mark:
            raise ChatdbError(
                Code.REFUSED,
                f"role {role!r} exists, and is not that of a test schema of chatdb",
                hint="drop it, or rename it",
            )
        if not rights.usable and rights.may_create_roles:
            with suppress(errors.InsufficientPrivilege):
                _join(conn, target, rights, role)
                return role
        return role if rights.usable else None
    if not (rights.superuser or rights.may_create_roles):
        return None
    with conn.transaction():
        conn.execute(queries.PG_CATALOG_ONLY)
        _execute(conn, target, queries.CREATE_ROLE, role)
        _execute(conn, target, queries.MARK_ROLE, role, mark)
        if not rights.superuser:
            _join(conn, target, rights, role)
    with suppress(errors.InsufficientPrivilege, errors.UndefinedObject):
        _execute(conn, target, queries.READ_ALL, role)
    text = f"created role {role}, which the files of schema {target.schema} run as"
    report(log.info("created", text, kind="role", name=role))
    return role


def drop_role(conn: psycopg.Connection[Any], target: Target) -> str | None:
    """Drop the role of a test schema, and return its name; None if there is none."""
    rights = read_rights(conn, target)
    if not rights.exists or rights.comment != owner_mark(target.database, target.schema):
        return None
    role = role_name(target.database, target.schema)
    with conn.transaction():
        conn.execute(queries.PG_CATALOG_ONLY)
        _execute(conn, target, queries.DROP_OWNED, role)
        _execute(conn, target, queries.DROP_ROLE, role)
    return role


def drop_made_roles(conn: psycopg.Connection[Any], target: Target) -> tuple[str, ...]:
    """Drop the roles that files of the test schema created; return their names.

    A role that owns anything, has a privilege or a setting, or has members, is in use and stays.
    """
    from psycopg import errors

    mark = made_mark(target.database, target.schema)
    query = Quoting(conn, target.schema).fill(queries.MADE_ROLES, mark=mark)
    dropped: list[str] = []
    for row in fetch(conn, _Name, query):
        with suppress(errors.DependentObjectsStillExist, errors.InsufficientPrivilege):
            _execute(conn, target, queries.DROP_ROLE, row.name)
            dropped.append(row.name)
    return tuple(dropped)


def _join(conn: psycopg.Connection[Any], target: Target, rights: Rights, role: str) -> None:
    """Let the role that is logged in act for the role of the test schema."""
    has_options = rights.server_version >= _OPTIONS_OF_GRANT_SINCE
    _execute(conn, target, queries.JOIN_ROLE_16 if has_options else queries.JOIN_ROLE, role)


def _execute(
    conn: psycopg.Connection[Any], target: Target, template: str, role: str, mark: str = ""
) -> None:
    quoting = Quoting(conn, target.schema)
    sql = template.format(role=quoting.identifier(role), mark=quoting.literal(mark))
    conn.execute(sql.encode())
