"""`chatdb migrate repair`: make the history agree with the files."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING
from chatdb_cli.cli.render.repair import render_repairs, repairs_text


@command(MIGRATING)
def repair(
    context: Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be changed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Make the history agree with the files; no migration is run.

    Accepts files that were changed after they were applied, removes missing ones from the history, and
    removes a lock that a killed yoyo left. Shows all of it first, and asks.
    """
    context.require_files()
    target = context.target()
    if not dry_run:
        context.out.target(target)
    migrator = context.migrator(target)
    repairs = migrator.repairs()
    if repairs.repairs and not dry_run:
        if not yes:
            context.out.ask(repairs_text(repairs))
            context.confirm(f"change the history of database {target.database!r}", target.database)
        repairs = migrator.repair(repairs)
    context.out.result(render_repairs(repairs))
