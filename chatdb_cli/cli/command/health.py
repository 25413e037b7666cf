"""`chatdb health`: check the health of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import SERVING, duration_option
from chatdb_cli.cli.render.health import health_document, render_health
from chatdb_cli.errors import ChatdbError, Code, Exit, Terminated

if TYPE_CHECKING:
    from chatdb_cli.health.model import Health


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
    wait: Annotated[
        int | None, duration_option("--wait", "How long to wait until the database answers.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[
        int | None,
        duration_option("--every", "The interval of --watch (default 2s, at least 100ms)."),
    ] = None,
) -> None:
    """Check the health of the database.

    The checks are about connections, locks, migrations, replication and more. It writes nothing, and
    needs no privilege but to connect. Exits with 1 if the status is error, 3 if the database can't be
    reached, 4 if that is because of the tunnel.
    """
    from chatdb_cli.health.thresholds import parse_pairs

    _require_one_way(context, strict=strict, watch=watch, every=every)
    limits = parse_pairs(thresholds or ())
    wait_ms = context.settings.wait_for_server_ms if wait is None else wait
    if context.settings.health_listen:
        _serve(context, *context.settings.health_listen, limits)
    elif watch:
        _watch(context, limits, wait_ms, max(2000 if every is None else every, 100))
    else:
        _finish(context, _check(context, limits, wait_ms), strict=strict)


def _require_one_way(context: Context, *, strict: bool, watch: bool, every: int | None) -> None:
    """Refuse options that would have no effect.

    Raises:
        ChatdbError: `USAGE`.
    """
    serve = context.settings.health_listen is not None
    if watch and serve:
        raise ChatdbError(
            Code.USAGE, "--watch and --serve contradict each other",
            hint="give one of them; CHATDB_HEALTH_LISTEN is the same as --serve",
        )  # fmt: skip
    if every is not None and not watch:
        raise ChatdbError(Code.USAGE, "--every is for --watch", hint="give both, or neither")
    if strict and (watch or serve):
        other = "--watch" if watch else "--serve"
        raise ChatdbError(Code.USAGE, f"--strict is for one check, {other} continues to check")


def _check(context: Context, limits: dict[str, str], wait_ms: int) -> Health:
    """Return the health, also if the target can't be opened, or does not answer in time."""
    from chatdb_cli.health.check import check_health, disconnected, require_usable

    require_usable(context.settings, limits)
    try:
        target = context.ready_target(wait_ms)
    except ChatdbError as error:
        return disconnected(error, context.out.about)
    return check_health(target, thresholds=limits)


def _finish(context: Context, result: Health, *, strict: bool) -> None:
    context.out.result(render_health(result, context.out.window))
    if result.error:
        if context.out.form == "json":
            context.out.explain(result.error)
        else:
            context.out.record(result.error)
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


def _watch(context: Context, limits: dict[str, str], wait_ms: int, every_ms: int) -> None:
    from chatdb_cli.health.watch import HealthWatch

    try:
        with HealthWatch(context.ready_target(wait_ms), limits) as watch:
            results = watch.every(every_ms / 1000)
            context.out.replace(render_health(result, context.out.window) for result in results)
    except KeyboardInterrupt as signal:  # the regular end
        terminated = isinstance(signal, Terminated)
        raise typer.Exit(Exit.TERMINATED if terminated else Exit.INTERRUPTED) from None
