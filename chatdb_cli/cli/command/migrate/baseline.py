"""`chatdb migrate baseline`: mark migrations as applied."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING
from chatdb_cli.cli.render.migrate import render_run


@command(MIGRATING)
def baseline(
    context: Context,
    newest: Annotated[
        str, typer.Argument(metavar="VERSION", help="The last version that the database has.")
    ],
) -> None:
    """Mark migrations up to a version as applied; run nothing.

    For a database that has the schema and no history yet.
    """
    context.require_files()
    target = context.target()
    context.out.target(target)
    run = context.migrator(target).baseline(newest)
    context.out.warn(*run.warnings)
    context.out.result(render_run(run))
