"""`chatdb migrate snapshot`: write a schema as text that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.render.snapshot import render_snapshot


@command(NO_FILES)
def snapshot(
    context: Context,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write this file instead of stdout."),
    ] = None,
) -> None:
    """Print the live schema as canonical text.

    Each object is a block; the same schema gives the same text, so it diffs well.
    """
    from chatdb_cli.catalog.snapshot import read_snapshot
    from chatdb_cli.catalog.snapshot_file import save_snapshot
    from chatdb_cli.postgres.connect import blame_tunnel, connect

    target = context.target()
    with blame_tunnel(target), connect(target, context.out.say) as connection:
        result = read_snapshot(connection, [target.schema])
    written = output is not None and save_snapshot(output, result)
    context.out.result(render_snapshot(target, result, output, written=written))
    context.out.warn(*(f"this role may not read {unread}" for unread in result.unread))
