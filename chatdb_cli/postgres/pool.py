"""A pool of connections to a target.

What does not belong here: single connections (`connect.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.through_tunnel import with_password

if TYPE_CHECKING:
    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.postgres.model import Target


def open_pool(target: Target, *, owned: bool = False) -> ConnectionPool[psycopg.Connection[Any]]:
    """Return an open pool whose connections look into the target's schema first.

    Its size and idle time are the settings' own; a connection that was lost is replaced when it is
    taken.

    Args:
        target: where to.
        owned: whether closing the pool closes the target.

    Raises:
        ChatdbError: `REFUSED` for a schema of its own behind a pooler in transaction mode, where one
            session's search_path would be another client's.
    """
    from psycopg_pool import ConnectionPool

    if target.schema != "public":
        with connect(target) as conn:
            (pid,) = conn.execute(queries.BACKEND_PID).fetchone() or (0,)
            if is_pooled(conn, target, pid):
                raise ChatdbError(
                    Code.REFUSED,
                    f"a pool can't keep to schema {target.schema!r} through a pooler in transaction "
                    "mode: other clients would meet its search_path",
                    hint="connect to the server itself, past the pooler; or say --pooler session, if "
                    "it keeps sessions",
                )

    class Pool(ConnectionPool[Any]):
        def close(self, timeout: float = 5.0) -> None:
            super().close(timeout)
            if owned:
                target.close()

    settings = target.settings

    def configure(conn: psycopg.Connection[Any]) -> None:
        (pid,) = conn.execute(queries.BACKEND_PID).fetchone() or (0,)
        if is_pooled(conn, target, pid):
            conn.prepare_threshold = None  # what is prepared stays with the pooler's own connection
        if target.schema != "public":
            path = ", ".join('"' + n.replace('"', '""') + '"' for n in (target.schema, "public"))
            conn.execute(queries.SET_SEARCH_PATH, (path,))
        conn.commit()

    return Pool(
        kwargs=with_password(target, dict(target.params)),
        min_size=0,
        max_size=settings.pool_size,
        max_idle=settings.pool_idle_ms / 1000,
        timeout=settings.connect_timeout_ms / 1000 + 3,
        configure=configure,
        check=ConnectionPool.check_connection,
        open=True,
        name=f"chatdb-{target.database}",
    )
