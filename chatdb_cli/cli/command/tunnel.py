"""`chatdb tunnel`: keep the SSH tunnel open, or check its route."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.render.tunnel import render_check, render_tunnel
from chatdb_cli.errors import Exit, Terminated


@command(NO_FILES)
def tunnel(
    context: Context,
    check: Annotated[
        Literal["check"] | None,
        typer.Argument(metavar="check", help="Check the route hop by hop, print each answer, and end."),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, show_default=False,
                     help="The local port (default: one that the system chooses)."),
    ] = 0,
) -> None:  # fmt: skip
    """Keep the SSH tunnel open for other programs.

    Prints the URL for psql and others, and ends with Ctrl-C. The URL contains no password: use
    ~/.pgpass, with * for the port in its line, or with the port that --port sets. A lost tunnel is
    opened again; the connections through it have ended by then.
    """
    if check:
        _check(context)
        return
    from chatdb_cli.postgres.target import require_tunnel

    target = context.target(watch=context.out.say, port=port)
    opened = require_tunnel(target)
    opened.probe()
    context.out.target(target)
    context.out.result(render_tunnel(target, opened))
    try:
        opened.keep_open()
    except KeyboardInterrupt as signal:
        context.close()
        context.out.line("the tunnel is closed")
        terminated = isinstance(signal, Terminated)
        raise typer.Exit(Exit.TERMINATED if terminated else Exit.INTERRUPTED) from None


def _check(context: Context) -> None:
    from chatdb_cli.postgres.target import check_tunnel

    steps, failure = check_tunnel(context.settings, ask=context.ask)
    context.out.result(render_check(steps, failure))
    if failure:
        context.out.explain(failure)
        raise typer.Exit(failure.exit)
