"""`chatdb migrate rehearse`: prove that each down is the inverse of its up."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import REHEARSING, ColumnOrder
from chatdb_cli.cli.progress import rehearsal_progress
from chatdb_cli.cli.render.rehearse import render_rehearsal
from chatdb_cli.errors import Exit


@command(REHEARSING)
def rehearse(
    context: Context,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="VERSION", help="The first version to rehearse."),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="The last version to rehearse.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="GITREF",
                     help="Only versions whose files differ from this commit, branch or tag."),
    ] = None,
    seed: Annotated[
        bool,
        typer.Option("--seed", help="Then load the seed, and roll back and apply all with its rows."),
    ] = False,
    locks: Annotated[
        bool, typer.Option("--locks", help="Show which lock each statement took on which table.")
    ] = False,
    column_order: ColumnOrder = False,
) -> None:  # fmt: skip
    """Prove that each down is the exact inverse of its up.

    In a scratch database, for each version: up, down, equal to before? up, equal to the first up?
    The target is not changed.
    """
    from chatdb_cli.rehearse.rehearsal import rehearse_migrations

    context.require_files()
    result = rehearse_migrations(
        context.scratch_target(),
        first=first,
        last=last,
        since=since,
        seed=seed,
        locks=locks,
        column_order=column_order,
        report=context.out.say,
        progress=rehearsal_progress(context.out),
    )
    context.out.result(render_rehearsal(result))
    if not result.ok:
        raise typer.Exit(Exit.FOUND)
