"""`chatdb migrate down`: roll migrations back."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, AllowDataLoss, DryRun, SyncEach, Yes, steps_option
from chatdb_cli.cli.render.migrate import render_dry_run, render_run


@command(MIGRATING)
def down(
    context: Context,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="VERSION", help="Roll back all newer versions; 0 rolls back all."
        ),
    ] = None,
    steps: Annotated[int | None, steps_option("Roll back N migrations (default 1).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Roll back all versions.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_data_loss: AllowDataLoss = False,
    sync_each: SyncEach = False,
) -> None:
    """Roll back the newest migration, or more."""
    context.require_files()
    target = context.target()
    if not dry_run:
        context.out.target(target)
        context.confirm_in_production("roll migrations back", target.database, yes=yes)
    run = context.migrator(target, sync_each=sync_each).down(
        to=to,
        steps=steps,
        everything=everything,
        allow_data_loss=allow_data_loss,
        dry_run=dry_run,
    )
    context.out.warn(*run.warnings)
    if dry_run:
        # A pipe or a file gets the script as it is, for psql.
        folded = context.out.window is not None and not context.settings.verbose
        context.out.result(render_dry_run(run, folded=folded))
    else:
        context.out.result(render_run(run))
