"""`chatdb migrate drift`: compare the live schema with what its files build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import REHEARSING, ColumnOrder
from chatdb_cli.cli.render.rehearse import render_drift
from chatdb_cli.errors import Exit


@command(REHEARSING)
def drift(
    context: Context,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="Compare with this snapshot; needs no scratch database.",
        ),
    ] = None,
    column_order: ColumnOrder = False,
) -> None:
    """Compare the live schema with what its files build.

    The applied files are run in a scratch database, up to the version of the history. Nothing is
    written to the target.
    """
    from chatdb_cli.catalog.snapshot_file import load_snapshot
    from chatdb_cli.rehearse.drift import check_drift

    snapshot = load_snapshot(against) if against else None
    result = check_drift(
        context.target(), against=snapshot, column_order=column_order, report=context.out.say
    )
    context.out.result(render_drift(result, against))
    if not result.ok:
        raise typer.Exit(Exit.FOUND)
