"""Open a connection to a target; failures that pass by themselves are tried again.

What does not belong here: what a failure means (`connect_failures.py`), pools (`pool.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.through_tunnel import with_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target

# What the tunnel may meet behind it that passes by itself.
_PASSING = (Code.BEHIND_REFUSED, Code.TUNNEL_LOST)


def connect(
    target: Target,
    tell: Callable[[str], None] = ignore,
    *,
    retries: int | None = None,
    **instead: str,
) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode; what passes by itself is tried again.

    Args:
        target: where to.
        tell: called with a line before each new try.
        retries: how often, in place of the settings' own.
        instead: libpq keywords in place of the target's, such as another `dbname`.

    Raises:
        ChatdbError: `UNREACHABLE`, `LOGIN` or `MISSING_DATABASE`; or what the tunnel met.
    """
    import psycopg

    from chatdb_cli.postgres.connect_failures import connection_failure

    settings = target.settings
    retries = settings.connect_retries if retries is None else retries
    params = with_password(target, {**target.params, **instead})
    tunnel = target.tunnel
    attempt = 0
    while True:
        attempt += 1
        if tunnel:
            tunnel.ensure()
            tunnel.begin()
        try:
            return psycopg.connect(
                **params,  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,  # a statement that is prepared stays with a pooler's server
            )
        except psycopg.Error as error:
            failure, transient = connection_failure(error, target.where)
            if tunnel and failure.sqlstate is None and (known := tunnel.explain()):
                failure, transient = known, known.code in _PASSING
        # Outside of `except`, so that no trace of psycopg's error keeps its socket open.
        if not transient or attempt > retries:
            raise failure
        delay = settings.connect_retry_delay_ms * attempt / 1000
        tell(f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})")
        time.sleep(delay)


def backoff_s(tries: int, first_s: float, most_s: float) -> float:
    """Return how long to wait, in seconds, after so many tries that failed.

    It doubles from the first to the most, and is spread by half, so that two who met do not meet again.
    """
    from secrets import randbelow

    doubled = first_s * 2.0 ** min(tries, 32)  # after thousands of tries no float would hold it
    return min(doubled, most_s) * (0.5 + randbelow(1000) / 1000)


@contextmanager
def blame_tunnel(target: Target) -> Iterator[None]:
    """Name the tunnel as the cause, where a connection was lost inside because the tunnel was."""
    # A loss that nobody has mended yet is also that of a connection which is used inside.
    before = target.tunnel.lost if target.tunnel and target.tunnel.alive else None
    try:
        yield
    except ChatdbError as error:
        if target.tunnel and error.code is Code.LOST:
            target.tunnel.explain()
            loss = target.tunnel.lost
            if loss and loss is not before:
                error.code, error.errno = loss.code, loss.errno
                error.message = f"{error.message.partition(': ')[0]}: {loss.message}"
        raise
