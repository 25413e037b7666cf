"""`chatdb migrate history`: print the audit log."""

from __future__ import annotations

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import CONNECTED
from chatdb_cli.cli.render.history import render_history


@command(CONNECTED)
def history(context: Context) -> None:
    """Print the audit log: what was done, when and by whom."""
    target = context.target()
    context.out.result(render_history(target, context.migrator(target).history()))
