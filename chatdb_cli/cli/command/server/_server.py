"""The server of the settings and the option --user, for the commands of this group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli import log

if TYPE_CHECKING:
    from chatdb_cli.cli.context import Context
    from chatdb_cli.embedded.server import EmbeddedServer


Role = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-U",
        metavar="NAME",
        help="Act as this role, with its rights alone (chat_app: as the application).",
    ),
]


def server_of(context: Context) -> EmbeddedServer:
    """Return the server of a project."""
    from chatdb_cli.embedded.server import EmbeddedServer

    settings = context.settings
    return EmbeddedServer(settings.home, programs=settings.postgres_programs)


def started_server(context: Context) -> EmbeddedServer:
    """Return the server of a project, running if it exists."""
    server = server_of(context)
    if server.exists and server.start():
        home = context.settings.home
        text = f"started the embedded PostgreSQL in {home}"
        context.out.say(log.info("server", text, state="started", home=home))
    return server
