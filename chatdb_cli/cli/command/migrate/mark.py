"""`chatdb migrate mark`: mark migrations as applied."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, DryRunOfHistory, YesToAll
from chatdb_cli.cli.render.marks import marks_text, render_marks


@command(MIGRATING)
def mark(
    context: Context,
    versions: Annotated[
        list[str], typer.Argument(metavar="VERSION...", help="Numbers, or names of files.")
    ],
    dry_run: DryRunOfHistory = False,
    yes: YesToAll = False,
) -> None:
    """Mark migrations as applied; run nothing.

    For what was applied by hand, or by another tool.
    """
    context.require_files()
    target = context.target()
    if not dry_run:
        context.out.target(target)
    migrator = context.migrator(target)
    marks = migrator.marks("mark", *versions)
    if marks.marks and not (dry_run or yes):
        context.out.ask(marks_text(marks) + "\n")
        context.confirm(f"change the history of database {target.database!r}", target.database)
    context.out.result(render_marks(marks, migrator.mark(marks, dry_run=dry_run), dry=dry_run))
