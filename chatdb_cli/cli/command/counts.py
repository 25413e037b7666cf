"""`chatdb counts`: count the rows of tables."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import COUNTING
from chatdb_cli.cli.progress import count_progress
from chatdb_cli.cli.render.counts import render_counts


@command(COUNTING)
def counts(
    context: Context,
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Only these: TABLE, or SCHEMA.TABLE.",
                       show_default=False),
    ] = None,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Also compute a checksum of each table's rows.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="LIST",
                     help="What the checksum covers: COLUMN or TABLE.COLUMN, separated by commas."),
    ] = None,
    exclude_columns: Annotated[
        str | None,
        typer.Option("--exclude-columns", metavar="LIST", help="What the checksum leaves out."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Read the statistics, which takes no time.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", metavar="N", min=1, max=64, show_default=False,
                     help="How many connections share the work (default 4)."),
    ] = 4,
) -> None:  # fmt: skip
    """Count the rows of every table exactly, in one consistent snapshot.

    Nothing is changed. Foreign tables and views are counted only if they are named.
    """
    from chatdb_cli.counts.count import count_rows

    target = context.target()
    counted = count_rows(
        target,
        tables or (),
        checksum=checksum,
        columns=_names(columns),
        exclude_columns=_names(exclude_columns),
        estimate=estimate,
        jobs=jobs,
        progress=count_progress(context.out),
        report=context.out.say,
    )
    context.out.result(render_counts(counted))


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
