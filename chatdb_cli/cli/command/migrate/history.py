"""`chatdb migrate history`: print the audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import CONNECTED, count
from chatdb_cli.cli.render.history import render_history


@command(CONNECTED)
def history(
    context: Context,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", parser=count, help="Print the newest N entries."),
    ] = None,
) -> None:
    """Print the audit log, newest first: who did what, and when."""
    target = context.target()
    context.out.result(render_history(target, context.migrator(target).history(limit)))
