"""Whether there is a connection pooler between chatdb and the server.

What does not belong here: what each job does differently then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.postgres import queries

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target


def is_pooled(conn: psycopg.Connection[Any], target: Target, pid: int | None = None) -> bool:
    """Return whether a pooler may give each transaction another session of the server.

    A pooler reports a process id of its own in place of the server's; it is assumed to be in transaction
    mode, unless the setting `pooler` says otherwise.

    Args:
        conn: a connection to the target.
        target: the target; its settings may name the mode of the pooler.
        pid: the result of pg_backend_pid(), if it is known already; asked if needed.
    """
    pooler = target.settings.pooler
    if pooler is not None:
        return pooler == "transaction"
    if pid is None:
        (pid,) = conn.execute(queries.BACKEND_PID).fetchone() or (0,)
    return conn.info.backend_pid != pid
