"""`chatdb health`: check the health of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import CONNECTED
from chatdb_cli.cli.render.health import render_health
from chatdb_cli.errors import Exit


@command(CONNECTED)
def health(
    context: Context,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 also if the status is degraded.")
    ] = False,
    thresholds: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="NAME=VALUE", help="Another limit of a check; can be repeated."
        ),
    ] = None,
) -> None:
    """Check the health of the database: connections, locks, replication, migrations and more.

    Writes nothing, and needs no privilege but to connect.
    """
    from chatdb_cli.health.check import check_health
    from chatdb_cli.settings.parse import thresholds as parse

    given = parse(",".join(thresholds or ()))
    result = check_health(context.settings, thresholds=given)
    context.out.result(render_health(result))
    if result.error:
        raise typer.Exit(result.error.exit)
    if result.status == "error" or (strict and result.status == "degraded"):
        raise typer.Exit(Exit.FOUND)
