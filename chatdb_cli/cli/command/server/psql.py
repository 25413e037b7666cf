"""`chatdb server psql`: open psql on the embedded server."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.command.server._server import Role, started_server
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.stderr import release
from chatdb_cli.errors import ChatdbError, Code


@command(LOCAL)
def psql(
    context: Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGUMENT]...", help="For psql, after --: chatdb server psql -- -l"
        ),
    ] = None,
    user: Role = None,
) -> None:
    """Open psql on the server."""
    import os

    from chatdb_cli.settings.libpq import environment_without_libpq

    if any(argument.startswith(("-U", "--user")) for argument in arguments or []):
        raise ChatdbError(
            Code.USAGE,
            "only the user who owns the server can log in to it, as postgres",
            hint='"chatdb server psql -U NAME", before --, acts as the role NAME',
        )

    server = started_server(context)
    program = server.programs / "psql"
    if not program.exists():
        raise ChatdbError(
            Code.SERVER,
            f"there is no psql beside the server's programs in {server.programs}",
            hint='pass the URL that "chatdb server url" prints to another psql',
        )
    keywords = server.params()
    # Not the URL: psql's own -d would make an argument of it the user.  No PG* variable of the
    # environment may name another server.
    environment = environment_without_libpq() | {
        "PGHOST": keywords["host"],
        "PGPORT": keywords["port"],
        "PGUSER": keywords["user"],
        "PGDATABASE": keywords["dbname"],
    }
    if user is not None:
        environment["PGOPTIONS"] = server.options(user)
    release()
    os.execve(program, [str(program), *(arguments or [])], environment)  # noqa: S606
