"""Connections, transactions, locks.

What does not belong here: connecting itself (`connection.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import Question, Reading, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts


class Connections(NamedTuple):
    """The row of `queries.CONNECTIONS`."""

    usable: int
    used: int


CONNECTIONS = Question(queries.CONNECTIONS, Connections)


@check("connections", "percent", CONNECTIONS, degraded=80, error=95)
def connections(_: Facts, rows: Sequence[Connections]) -> Reading:
    """How many of the connections that ordinary roles may open are used."""
    (row,) = rows
    percent = round(100 * row.used / max(row.usable, 1))
    return Reading(
        percent,
        f"{row.used} of {row.usable} connections are used ({percent} %)",
        "close idle sessions, make pools smaller, or put a pooler before the server; raising "
        "max_connections needs a restart",
    )
