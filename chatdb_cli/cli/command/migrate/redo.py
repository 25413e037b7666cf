"""`chatdb migrate redo`: roll the newest migration back and apply it again."""

from __future__ import annotations

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, AllowDataLoss, DryRun, Yes
from chatdb_cli.cli.render.migrate import render_dry_run, render_run


@command(MIGRATING)
def redo(
    context: Context,
    dry_run: DryRun = False,
    yes: Yes = False,
    allow_data_loss: AllowDataLoss = False,
) -> None:
    """Roll back the newest migration, and apply it again."""
    context.require_files()
    target = context.target()
    if not dry_run:
        context.out.target(target)
        context.confirm_in_production("redo the newest migration", target.database, yes=yes)
    run = context.migrator(target).redo(allow_data_loss=allow_data_loss, dry_run=dry_run)
    context.out.warn(*run.warnings)
    if dry_run:
        # A pipe or a file gets the script as it is, for psql.
        folded = context.out.window is not None and not context.settings.verbose
        context.out.result(render_dry_run(run, folded=folded))
    else:
        context.out.result(render_run(run))
