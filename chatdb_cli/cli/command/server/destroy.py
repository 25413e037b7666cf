"""`chatdb server destroy`: remove the embedded server."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.command.server._server import server_of
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_destroyed


@command(LOCAL)
def destroy(
    context: Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Stop the server, and remove all of its data."""
    server = server_of(context)
    home = context.settings.home
    existed = server.exists
    if existed and not yes:
        context.confirm(
            f"remove the embedded server in {home} with all of its data", server.database
        )
    server.destroy()  # also if it is only partly created, or partly removed
    context.out.result(render_destroyed(home, existed=existed))
