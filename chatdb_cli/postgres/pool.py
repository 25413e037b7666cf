"""A pool of connections to a target.

What does not belong here: single connections (`connect.py`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres import queries
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.ping import require_answer
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.through_tunnel import with_password
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.postgres.model import Target

# Its records would else be printed to stderr, where no program has set up logging.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


def open_pool(
    target: Target, *, owned: bool = False, path: Sequence[str] = ()
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Return an open pool whose connections have the target's schema first in their search_path.

    The settings give its size and idle time; a connection that was lost is replaced when it is
    requested.

    Args:
        target: the database to connect to.
        owned: closing the pool also closes the target.
        path: the schemas of the search_path; by default the target's, then `public`.

    Raises:
        ChatdbError: `REFUSED` for a schema other than public through a pooler in transaction mode,
            where other clients would use the sessions with this search_path.
    """
    from psycopg_pool import ConnectionPool

    require_target(target)
    if target.schema != "public":
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

    class Pool(ConnectionPool[Any]):
        def close(self, timeout: float = 5.0) -> None:
            super().close(timeout)
            if owned:
                target.close()

    settings = target.settings

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

    def check(conn: psycopg.Connection[Any]) -> None:
        require_answer(conn, settings.connect_timeout_ms / 1000)

    return Pool(
        kwargs=with_password(target, dict(target.params)),
        min_size=0,
        max_size=settings.pool_size,
        max_idle=settings.pool_idle_ms / 1000,
        timeout=settings.connect_timeout_ms / 1000 + 3,
        configure=configure,
        check=check,
        open=True,
        name=f"chatdb-{target.database}",
    )
