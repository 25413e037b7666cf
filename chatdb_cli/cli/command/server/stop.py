"""`chatdb server stop`: stop the embedded server."""

from __future__ import annotations

from chatdb_cli import log
from chatdb_cli.cli.command.server._server import server_of
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_server


@command(LOCAL)
def stop(context: Context) -> None:
    """Stop the server; its data stays."""
    server = server_of(context)
    home = context.settings.home
    if server.stop():
        log.info("server", f"stopped the embedded PostgreSQL in {home}", state="stopped", home=home)
    else:
        text = "the server was not running"
        context.out.say(log.info("server", text, state="stopped", home=home))
    context.out.result(render_server(server.status(), None))
