"""`chatdb migrate baseline`: mark migrations as applied."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, DryRunOfHistory, YesToAll
from chatdb_cli.cli.render.marks import marks_text, render_marks


@command(MIGRATING)
def baseline(
    context: Context,
    newest: Annotated[
        str, typer.Argument(metavar="VERSION", help="The last version that the database has.")
    ],
    dry_run: DryRunOfHistory = False,
    yes: YesToAll = False,
) -> None:
    """Mark migrations up to a version as applied; run nothing.

    For a database that has the schema and no history yet. It can be moved until a migration was run.
    """
    del yes  # nothing is asked: it is for an empty history, and can be moved
    context.require_files()
    target = context.target()
    if not dry_run:
        context.out.target(target)
    migrator = context.migrator(target)
    marks = migrator.marks("baseline", newest)
    if not dry_run:
        for line in marks_text(marks).splitlines():
            context.out.say(line)
    context.out.result(render_marks(marks, migrator.mark(marks, dry_run=dry_run), dry=dry_run))
