"""Open a connection to a target; temporary failures are retried.

What does not belong here: what a failure means (`connect_failures.py`), pools (`pool.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.model import place, require_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target

# Failures of a connection through the tunnel that may be temporary.
_TEMPORARY = (Code.BEHIND_REFUSED, Code.TUNNEL_LOST)


def connect(
    target: Target,
    report: Callable[[str], None] = ignore,
    *,
    retries: int | None = None,
    **overrides: str,
) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode; temporary failures are retried.

    Args:
        target: the database to connect to.
        report: called with a line before each retry.
        retries: the number of retries, in place of the settings'.
        overrides: libpq keywords in place of the target's, such as another `dbname`.

    Raises:
        ChatdbError: `UNREACHABLE`, `LOGIN` or `MISSING_DATABASE`; or the failure of the tunnel.
    """
    import psycopg

    require_target(target)
    settings = target.settings
    retries = settings.connect_retries if retries is None else retries
    params = {**target.params, **overrides}
    tunnel = target.tunnel
    if tunnel:
        from chatdb_cli.postgres.through_tunnel import with_password

        params = with_password(target, params)
    attempt = 0
    while True:
        attempt += 1
        if tunnel:
            tunnel.ensure()
            tunnel.begin()
        start = time.monotonic()
        try:
            conn = psycopg.connect(
                **params,  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,  # a pooler may switch to another session
            )
        except psycopg.Error as error:
            from chatdb_cli.postgres.connect_code import refusal_sqlstate
            from chatdb_cli.postgres.connect_failures import connection_failure

            failure, transient = connection_failure(
                error, target.where, partial(refusal_sqlstate, params)
            )
            if tunnel and failure.sqlstate is None and (reason := tunnel.explain()):
                failure, transient = reason, reason.code in _TEMPORARY
        else:
            if len(target.hosts) > 1 and not tunnel:
                report(f"connected to {place(conn.info.host, conn.info.port)}")
            if log.enabled():
                from chatdb_cli.postgres.logged import log_connection

                log_connection(conn, target, start)
            return conn
        # Outside of `except`: the traceback of psycopg's error would keep its socket open.
        if not transient or attempt > retries:
            raise failure
        delay = settings.connect_retry_delay_ms * attempt / 1000
        text = f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})"
        report(
            log.warning(
                "retry", text, what="connection", attempt=attempt, retries=retries,
                delay_ms=round(delay * 1000), code=failure.code.slug, sqlstate=failure.sqlstate,
                errno=failure.errno,
            )
        )  # fmt: skip
        time.sleep(delay)


def backoff_s(tries: int, first_s: float, most_s: float) -> float:
    """Return how long to wait before the next try, in seconds.

    The pause doubles from `first_s` up to `most_s`.  It varies at random by half, so that two sessions
    that collided do not collide again.

    Args:
        tries: the number of tries that failed.
        first_s: the first pause, in seconds.
        most_s: the longest pause, in seconds.
    """
    from secrets import randbelow

    doubled = first_s * 2.0 ** min(tries, 32)  # after thousands of tries a float would overflow
    return min(doubled, most_s) * (0.5 + randbelow(1000) / 1000)


@contextmanager
def blame_tunnel(target: Target) -> Iterator[None]:
    """Report the tunnel as the cause, if a connection was lost in the block because the tunnel was.

    Raises:
        ChatdbError: `LOST` becomes the tunnel's own error.
    """
    tunnel = target.tunnel
    # A loss that is not repaired yet also applies to a connection that is used in the block.
    before = tunnel.lost if tunnel and tunnel.alive else None
    try:
        yield
    except ChatdbError as error:
        if tunnel is None or error.code is not Code.LOST:
            raise
        tunnel.explain()
        loss = tunnel.lost
        if loss is None or loss is before:
            raise
        summary = error.message.partition(": ")[0]
        raise error.with_(
            code=loss.code, errno=loss.errno, message=f"{summary}: {loss.message}"
        ) from error.__cause__
