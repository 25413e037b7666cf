"""`chatdb migrate status`: list applied and pending migrations."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import CONNECTED
from chatdb_cli.cli.render.status import render_status
from chatdb_cli.errors import Exit


@command(CONNECTED)
def status(
    context: Context,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit 1 if a migration is pending, 6 if there is a problem."),
    ] = False,
) -> None:
    """List applied and pending migrations, and any problem."""
    context.require_files()
    result = context.migrator(context.target()).status(check_downs=check)
    only_findings = check and context.settings.quiet
    context.out.result(render_status(result, only_findings=only_findings))
    context.out.warn(*result.warnings)
    if check and result.problems:
        raise typer.Exit(Exit.DISAGREE)
    if check and result.pending:
        raise typer.Exit(Exit.FOUND)
