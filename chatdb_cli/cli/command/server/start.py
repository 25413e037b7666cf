"""`chatdb server start`: start the embedded server."""

from __future__ import annotations

from chatdb_cli.cli.command.server._server import server_of
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_server


@command(LOCAL)
def start(context: Context) -> None:
    """Start the server; create it if there is none."""
    server = server_of(context)
    if not server.start():
        context.out.say("the server was already running")
    context.out.result(render_server(server.status(), server.url()))
