"""The application's pool of connections, if there is one in this process.

What does not belong here: the connections of the server (`activity.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.health.definition import NOT_APPLICABLE, Reading, check
from chatdb_cli.health.words import number

if TYPE_CHECKING:
    from chatdb_cli.health.definition import Facts


@check("pool", "count", degraded=0)
def pool(facts: Facts) -> Reading:
    """How many requests wait for a connection of the pool; only checked if a pool is given."""
    if facts.pool is None:
        return NOT_APPLICABLE
    waiting = facts.pool.get("requests_waiting", 0)
    busy = facts.pool.get("pool_size", 0) - facts.pool.get("pool_available", 0)
    most = facts.pool.get("pool_max", 0)
    return Reading(
        waiting,
        f"{number(waiting, 'request waits', 'requests wait')} for a connection of the pool; "
        f"{busy} of {most} are in use",
        "look for transactions that stay open; then for a larger pool (CHATDB_POOL_SIZE)",
    )
