"""How far listeners have read the change log.

What does not belong here: reading cursors and asking the server (`health/cursors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.health.cursors import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.health.cursors import Cursor, Unread
    from chatdb_cli.health.definition import Server


def hidden_log(server: Server, cursors: Sequence[Cursor]) -> str:
    """Return why the change log can't be compared with the cursors; empty if it can."""
    if not set(LOG) <= set(server.relations):
        return "there is no change log in this schema"
    if server.standby:
        return "this server is a standby, where no listener reads"
    if not set(LOG) <= set(server.readable):
        return f"role {server.user!r} may not read the change log"
    if not any(cursor.values for cursor in cursors):
        return "no cursor is known"
    return ""


def lag_rows(cursors: Sequence[Cursor], unread: Sequence[Unread]) -> list[dict[str, Any]]:
    """Return the row of each cursor.

    Args:
        cursors: all that the settings name.
        unread: what the server answers about those that are known.
    """
    lags = {row.number: (row.age_ms or 0) / 1000 for row in unread if row.lost is None}
    return [
        {
            "cursor": cursor.name,
            "event_cursor_valid": number in lags,
            "event_cursor_lag_seconds": lags.get(number),
        }
        for number, cursor in enumerate(cursors)
    ]
