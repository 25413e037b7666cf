"""`chatdb tunnel`: hold the SSH tunnel open for other programs, or check the way hop by hop."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import Exit, Terminated

commands = Commands()


@commands.add("tunnel", NO_FILES)
def tunnel(
    session: Context,
    check: Annotated[
        Literal["check"] | None,
        typer.Argument(help="Walk the hops, print what each of them says, and end."),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, show_default=False,
                     help="Of the local end (default: one that the system chooses)."),
    ] = 0,
) -> None:  # fmt: skip
    """Hold the SSH tunnel open for other programs.

    Prints the URL for psql and others, and ends with Ctrl-C. No password is in the URL: ~/.pgpass
    serves; its line needs * for the port, or give --port. A tunnel that is lost is opened again;
    connections that went through it have ended then.
    """
    if check:
        _check(session)
        return
    from chatdb_cli.postgres.target import require_tunnel

    target = session.target(watch=session.out.say, port=port)
    opened = require_tunnel(target)
    opened.probe()
    session.out.say(f"target: {target}")
    session.out.tunnel(target, opened.url, (opened.host, opened.port))
    try:
        opened.keep_open()
    except KeyboardInterrupt as ending:
        session.close()
        session.out.say("the tunnel is closed")
        term = isinstance(ending, Terminated)
        raise typer.Exit(Exit.TERMINATED if term else Exit.INTERRUPTED) from None


def _check(session: Context) -> None:
    from chatdb_cli.postgres.target import check_tunnel

    steps, failure = check_tunnel(session.settings, ask=session.ask)
    session.out.steps(steps, failure)
    if failure:
        raise typer.Exit(failure.exit)
