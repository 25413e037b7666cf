"""`chatdb server ...`: the PostgreSQL of this project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import LOCAL
from chatdb_cli.cli.output import FORMAT
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.embedded.server import EmbeddedServer

commands = Commands("The project's own PostgreSQL, with its data in ./.chatdb.")


def _server(session: Context) -> EmbeddedServer:
    from chatdb_cli.embedded.server import EmbeddedServer

    settings = session.settings
    return EmbeddedServer(settings.home, programs=settings.postgres_programs)


@commands.add("start", LOCAL)
def start(session: Context) -> None:
    """Start it, and make it where there is none."""
    server = _server(session)
    if not server.start():
        session.out.say("it was running already")
    session.out.server(server.status(), server.url())


@commands.add("stop", LOCAL)
def stop(session: Context) -> None:
    """Stop it; its data stays."""
    server = _server(session)
    if not server.stop():
        session.out.say("it was not running")
    session.out.server(server.status(), None)


@commands.add("status", LOCAL)
def status(session: Context) -> None:
    """Say whether it runs, and where it keeps what."""
    server = _server(session)
    found = server.status()
    session.out.server(found, server.url() if found.running else None)


@commands.add("url", LOCAL)
def url(session: Context) -> None:
    """Print the URL for psql and other programs; no password is in it."""
    server = _server(session)
    if server.exists and server.start():
        session.out.say(f"started the embedded PostgreSQL in {session.settings.home}")
    session.out.result({"format": FORMAT, "target": None, "url": server.url()}, server.url())


@commands.add("psql", LOCAL)
def psql(
    session: Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="For psql, behind --: chatdb server psql -- -l")
    ] = None,
) -> None:
    """Open psql on it."""
    import os

    from chatdb_cli.settings.libpq import environment_without_libpq

    server = _server(session)
    if server.exists and server.start():
        session.out.say(f"started the embedded PostgreSQL in {session.settings.home}")
    program = server.programs / "psql"
    if not program.exists():
        raise ChatdbError(
            Code.SERVER,
            f"there is no psql beside the server's programs in {server.programs}",
            hint="give the URL of chatdb server url to a psql of your own",
        )
    # No PG* variable of the environment may bend it elsewhere.
    os.execve(  # noqa: S606
        program, [str(program), server.url(), *(arguments or [])], environment_without_libpq()
    )


@commands.add("destroy", LOCAL)
def destroy(
    session: Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop it, and remove all of its data."""
    server = _server(session)
    home = session.settings.home
    existed = server.exists
    if existed and not yes:
        session.confirm(f"remove the embedded server in {home} with all of its data", "chat")
    server.destroy()  # also where one is half made, or half removed
    document = {"format": FORMAT, "target": None, "destroyed": str(home) if existed else None}
    session.out.result(document, f"removed {home}" if existed else f"no server in {home}")
