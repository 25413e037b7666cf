"""`chatdb server status`: print the state of the embedded server."""

from __future__ import annotations

from chatdb_cli.cli.command.server._server import server_of
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_server


@command(LOCAL)
def status(context: Context) -> None:
    """Print whether the server is running, and where its files are."""
    server = server_of(context)
    result = server.status()
    context.out.result(render_server(result, server.url() if result.running else None))
