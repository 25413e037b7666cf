"""`chatdb migrate up`: apply pending migrations."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import APPLYING, AllowNonEmpty, DryRun, SyncEach, steps_option
from chatdb_cli.cli.render.migrate import render_dry_run, render_run


@command(APPLYING)
def up(
    context: Context,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="The last version to apply.")
    ] = None,
    steps: Annotated[int | None, steps_option("Apply at most N migrations.")] = None,
    dry_run: DryRun = False,
    allow_out_of_order: Annotated[
        bool,
        typer.Option(
            "--allow-out-of-order", help="Also apply a file older than the newest applied one."
        ),
    ] = False,
    allow_non_empty: AllowNonEmpty = False,
    sync_each: SyncEach = False,
) -> None:
    """Apply pending migrations."""
    context.require_files()
    target = context.ready_target(context.settings.wait_for_server_ms)
    if not dry_run:
        context.out.target(target)
    run = context.migrator(target, sync_each=sync_each).up(
        to=to,
        steps=steps,
        allow_out_of_order=allow_out_of_order,
        allow_non_empty=allow_non_empty,
        dry_run=dry_run,
    )
    context.out.warn(*run.warnings)
    if dry_run:
        # A pipe or a file gets the script as it is, for psql.
        folded = context.out.window is not None and not context.settings.verbose
        context.out.result(render_dry_run(run, folded=folded))
    else:
        context.out.result(render_run(run))
