"""`chatdb server start`: start the embedded server."""

from __future__ import annotations

from chatdb_cli import log
from chatdb_cli.cli.command.server._server import server_of
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_server


@command(LOCAL)
def start(context: Context) -> None:
    """Start the server; create it if there is none."""
    server = server_of(context)
    home = context.settings.home
    if server.start():
        log.info("server", f"started the embedded PostgreSQL in {home}", state="started", home=home)
    else:
        text = "the server was already running"
        context.out.say(log.info("server", text, state="running", home=home))
    context.out.result(render_server(server.status(), server.url()))
