"""Choose the server that gets scratch databases.

    choose_server    the one that is named, the target's own, or the embedded one
    read_form        how the target's database was made

Nothing is created on a server that is neither on this machine nor named for the purpose.  What does not
belong here: the databases (`database.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from psycopg.rows import class_row

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.target import is_on_this_machine, open_target
from chatdb_cli.remedy import Advice
from chatdb_cli.scratch import queries
from chatdb_cli.scratch.model import Form, Role, Server
from chatdb_cli.settings.database import embedded_database, holds_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Database

_T = TypeVar("_T")
WAYS_OUT = (
    "name a server for it with {scratch_url}; or let the role create databases on a server of this "
    "machine; or create the project's own server with {server_start}"
)
_TEMPLATE = "template1"  # what a database that does not exist yet will be a copy of


def read_form(target: Target, report: Callable[[str], None] = ignore) -> tuple[Form, bool]:
    """Return how the target's database was made, and whether a pooler is in between.

    Writes nothing.  If the database does not exist yet, it is how `setup` would make it.

    Raises:
        ChatdbError: no connection.
    """
    try:
        conn, name = connect(target, report), None
    except ChatdbError as error:
        if error.code is not Code.MISSING_DATABASE:
            raise
        conn, name = connect(target, report, dbname="postgres"), _TEMPLATE
    with conn, explain_failures("the encoding and locale of the target can't be read"):
        form = _ask(conn, Form, queries.FORM, name)
        return form, is_pooled(conn, target)


def choose_server(
    target: Target, form: Form, *, pooled: bool, report: Callable[[str], None] = ignore
) -> Server:
    """Return the server that gets the scratch databases of a target.

    Args:
        target: the target.
        form: how its database was made.
        pooled: a pooler is between chatdb and the target.
        report: called with a line when the embedded server is started, and before each retry.

    Raises:
        ChatdbError: `NO_SCRATCH`, no server may get one; no connection to the server that is named.
    """
    settings = target.settings
    if settings.scratch_database is not None:
        server = Server(_open(target, settings.scratch_database, report), "named", 0)
        reason, version = _inspect(server.target, report)
        if reason:
            raise _no_scratch(f"{server.target.where} can't get a scratch database: {reason}")
        return server._replace(version=version)
    database = settings.database
    own: Server | None = None
    if database is not None and database.embedded:
        own = Server(_maintenance(target, report), "embedded", form.server_version)
        reasons = []
    elif not is_on_this_machine(target):
        reasons = [f"the target's server is on another machine ({target.via or target.host})"]
    elif pooled:
        reasons = ["a pooler is between this machine and the target's server"]
    else:
        own = Server(_maintenance(target, report), "target", form.server_version)
        reason, _ = _inspect(own.target, report)
        reasons = [f"on the target's server {reason}"] if reason else []
    if own and not reasons:
        return own
    return _embedded(target, form, reasons, report)


def _embedded(
    target: Target, form: Form, reasons: list[str], report: Callable[[str], None]
) -> Server:
    """Return the embedded server of the project, if there is one of the target's major version."""
    settings = target.settings
    if not holds_server(settings.home):
        reasons.append(f"there is no embedded server in {settings.home}")
    else:
        opened = _open(target, embedded_database(settings.home), report)
        reason, version = _inspect(opened, report)
        if version // 10000 != form.major:
            reason = f"is PostgreSQL {version // 10000}, and the target {form.major}"
        elif reason:
            reason = f"can't be used: {reason}"
        else:
            return Server(_maintenance(opened, report), "embedded", version)
        reasons.append(f"the embedded server {reason}")
    raise _no_scratch("there is no place for a scratch database", *reasons)


def _no_scratch(message: str, *reasons: str) -> ChatdbError:
    return ChatdbError(Code.NO_SCRATCH, message, hint=Advice(WAYS_OUT), notes=reasons)


def _open(target: Target, database: Database, report: Callable[[str], None]) -> Target:
    """Open another database with the settings of a target."""
    settings = replace(target.settings, database=database, bastion=None, pooler=None)
    return open_target(settings, report)


def _maintenance(target: Target, report: Callable[[str], None]) -> Target:
    """Return a database of the target's server that is not the target itself, if it can be entered."""
    other = replace(target, database="postgres", params={**target.params, "dbname": "postgres"})
    try:
        connect(other, report, retries=0).close()
    except ChatdbError as error:
        if error.code not in (Code.MISSING_DATABASE, Code.LOGIN):
            raise
        return target
    return other


def _inspect(target: Target, report: Callable[[str], None]) -> tuple[str, int]:
    """Return why a server can't get a scratch database, or nothing, and its version."""
    with (
        connect(target, report) as conn,
        explain_failures("the privileges of the role can't be read"),
    ):
        role = _ask(conn, Role, queries.ROLE)
        if is_pooled(conn, target):
            return "a pooler is in between", role.server_version
    if role.in_recovery:
        return "nothing can be written: it is a standby", role.server_version
    if not role.can_create:
        return f'the role "{target.user}" lacks CREATEDB', role.server_version
    return "", role.server_version


def _ask(
    conn: psycopg.Connection[Any], row_type: type[_T], query: Any, *parameters: str | None
) -> _T:
    """Return the only row of a query, in a transaction that writes nothing."""
    conn.execute(queries.BEGIN_READ_ONLY)
    conn.execute(queries.PG_CATALOG_ONLY)
    (row,) = conn.cursor(row_factory=class_row(row_type)).execute(query, parameters or None)
    conn.execute(queries.COMMIT)
    return row
