"""A pool of connections to a target.

What does not belong here: single connections (`connect.py`).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.ping import ping
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.through_tunnel import with_password
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

# Its records would else be printed to stderr, where no program has set up logging.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
# What `connect_timeout` is at least, a limit of libpq.
_SHORTEST_MS = 2000


def open_pool(
    target: Target,
    *,
    wait: float | None = None,
    owned: bool = False,
    path: Sequence[str] = (),
    ready: int = 0,
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Return an open pool whose connections have the target's schema first in their search_path.

    The settings give its size and idle time; a connection that was lost is replaced when it is
    requested.

    Args:
        target: the database to connect to.
        wait: how long a caller waits for a connection, in seconds, before psycopg_pool.PoolTimeout;
            by default CHATDB_POOL_WAIT, or else CHATDB_CONNECT_TIMEOUT (2 s).  It includes the time in
            which connections that do not answer are replaced.
        owned: closing the pool also closes the target.
        path: the schemas of the search_path; by default the target's, then `public`.
        ready: how many connections are opened at once, in the background, and kept open.

    Raises:
        ValueError: `wait` is not more than 0.
        ChatdbError: `REFUSED` for a schema other than public through a pooler in transaction mode,
            where other clients would use the sessions with this search_path.
    """
    require_target(target)
    settings = target.settings
    timeout_s = _wait_s(settings, wait)
    if target.schema != "public":
        _require_own_sessions(target)

    def configure(conn: psycopg.Connection[Any]) -> None:
        if is_pooled(conn, target):
            conn.prepare_threshold = (
                None  # a prepared statement exists in one session of the server
            )
        if target.schema != "public":
            quoting = Quoting(conn, target.schema)
            schemas = ", ".join(map(quoting.identifier, path)) if path else quoting.path(())
            conn.execute(queries.SET_SEARCH_PATH, (schemas,))
        conn.commit()

    return _pool_class(target, owned=owned)(
        kwargs=with_password(target, dict(target.params)),
        min_size=ready,
        num_workers=ready or 3,  # each is a thread; so many are needed to open those at once
        max_size=settings.pool_size,
        max_idle=settings.pool_idle_ms / 1000,
        timeout=timeout_s,
        configure=configure,
        open=True,
        name=f"chatdb-{target.database}",
    )


def _wait_s(settings: Settings, wait: float | None) -> float:
    if wait is None:
        return (settings.pool_wait_ms or settings.connect_timeout_ms or _SHORTEST_MS) / 1000
    if not wait > 0:
        raise ValueError(f"wait is {wait}, and must be more than 0 seconds")
    return wait


def _require_own_sessions(target: Target) -> None:
    """Raise an error if other clients would use the sessions, too."""
    with connect(target) as conn:
        if is_pooled(conn, target):
            raise ChatdbError(
                Code.REFUSED,
                f"a pool can't set search_path to schema {target.schema!r} through a pooler in "
                "transaction mode: other clients would get it, too",
                hint=Advice(
                    "connect to the server itself, not to the pooler; or give {pooler_session}, "
                    "if it pools sessions"
                ),
            )


def _pool_class(target: Target, *, owned: bool) -> type[ConnectionPool[Any]]:
    from psycopg_pool import ConnectionPool, PoolTimeout

    connect_timeout_s = target.settings.connect_timeout_ms / 1000

    class Pool(ConnectionPool[Any]):
        # Not psycopg's own `check`: it has no limit, and pauses for a second after each failure.
        def getconn(self, timeout: float | None = None) -> psycopg.Connection[Any]:
            limit = self.timeout if timeout is None else timeout
            deadline = time.monotonic() + limit
            while True:
                try:
                    conn: psycopg.Connection[Any] = super().getconn(deadline - time.monotonic())
                except PoolTimeout:
                    raise PoolTimeout(f"couldn't get a connection after {limit:g} s") from None
                remaining = deadline - time.monotonic()
                try:
                    # Half of what is left: then there is time for another one.
                    if ping(conn, min(connect_timeout_s, remaining / 2)):
                        return conn
                except BaseException:
                    self.putconn(conn)
                    raise
                self.putconn(conn)  # it is closed; the pool replaces it

        def close(self, timeout: float = 5.0) -> None:
            super().close(timeout)
            if owned:
                target.close()

    return Pool
