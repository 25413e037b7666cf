"""`chatdb server psql`: open psql on the embedded server."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.command.server._server import started_server
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
) -> None:
    """Open psql on the server."""
    import os

    from chatdb_cli.settings.libpq import environment_without_libpq

    server = started_server(context)
    program = server.programs / "psql"
    if not program.exists():
        raise ChatdbError(
            Code.SERVER,
            f"there is no psql beside the server's programs in {server.programs}",
            hint='pass the URL that "chatdb server url" prints to another psql',
        )
    release()
    # No PG* variable of the environment may name another server.
    os.execve(  # noqa: S606
        program, [str(program), server.url(), *(arguments or [])], environment_without_libpq()
    )
