"""`chatdb server url`: print the URL of the embedded server."""

from __future__ import annotations

from chatdb_cli.cli.command.server._server import Role, started_server
from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.render.server import render_url


@command(LOCAL)
def url(context: Context, user: Role = None) -> None:
    """Print the URL for psql and other programs, without password."""
    context.out.result(render_url(started_server(context).url(role=user)))
