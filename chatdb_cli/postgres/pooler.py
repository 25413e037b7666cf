"""Whether a pooler stands between chatdb and the server.

What does not belong here: what each job does differently then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target


def is_pooled(conn: psycopg.Connection[Any], target: Target, pid: int) -> bool:
    """Return whether a pooler may give each transaction another session of the server.

    A pooler announces a process id of its own; it is taken for one in transaction mode, unless
    `--pooler session` says otherwise.

    Args:
        conn: a connection to the target.
        target: whose settings may know it.
        pid: what the server behind it says of itself.
    """
    said = target.settings.pooler
    return conn.info.backend_pid != pid if said is None else said == "transaction"
