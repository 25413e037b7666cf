"""The audit log.

What does not belong here: reading it (`history/read.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.history.model import LogEntry
    from chatdb_cli.postgres.model import Target


def render_history(target: Target, entries: Sequence[LogEntry]) -> Rendered:
    """Render the audit log of a target."""
    documents = [
        {
            "at": timestamp(entry.at),
            "operation": entry.operation,
            "migration": entry.id,
            "user": entry.user,
            "host": entry.host,
            "comment": entry.comment,
            "correlation_id": entry.correlation_id,
        }
        for entry in entries
    ]
    columns = ("at", "operation", "migration", "user", "host", "comment")
    rows = [[document[column] or "" for column in columns] for document in documents]
    text = Table(columns, rows) if rows else "no migration has been applied here"
    return Rendered(target_document(target) | {"entries": documents}, (text,))
