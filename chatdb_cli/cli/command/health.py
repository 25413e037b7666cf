"""`chatdb health`: check the health of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import SERVING
from chatdb_cli.cli.render.health import health_document, render_health
from chatdb_cli.errors import Exit, Terminated


@command(SERVING)
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
    if context.settings.health_listen:
        _serve(context, *context.settings.health_listen, given)
        return
    result = check_health(context.settings, thresholds=given)
    context.out.result(render_health(result))
    if result.error:
        raise typer.Exit(result.error.exit)
    if result.status == "error" or (strict and result.status == "degraded"):
        raise typer.Exit(Exit.FOUND)


def _serve(
    context: Context, host: str | None, port: int | None, thresholds: dict[str, str]
) -> None:
    from chatdb_cli.health.serve.address import is_loopback
    from chatdb_cli.health.serve.server import HealthServer

    try:
        with HealthServer(
            context.settings,
            host,
            port,
            thresholds=thresholds,
            report=context.out.say,
            ask=context.ask,
            document=health_document,
        ) as server:
            context.out.say(f"serving /health and /metrics at {server.url}")
            if not is_loopback(server.host):
                context.out.warn(
                    f"other machines can reach {server.url}: there is no password and no encryption"
                )
            server.wait()
    except KeyboardInterrupt as signal:  # the regular end
        terminated = isinstance(signal, Terminated)
        raise typer.Exit(Exit.TERMINATED if terminated else Exit.INTERRUPTED) from None
