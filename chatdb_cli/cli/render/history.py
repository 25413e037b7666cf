"""The audit log.

What does not belong here: reading it (`history/read.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.history.model import LogEntry
    from chatdb_cli.postgres.model import Target


# The comment of each entry that chatdb writes says nothing that a person looks for.
_USUAL = re.compile(r"chatdb [\w.+-]+")


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
    columns = ["at", "operation", "migration", "by", "comment"]
    rows = [
        [
            f"{entry.at:%Y-%m-%dT%H:%M:%SZ}" if entry.at else "",
            entry.operation,
            entry.id or "",
            "@".join(filter(None, (entry.user, entry.host))),
            "" if _USUAL.fullmatch(entry.comment or "") else entry.comment or "",
        ]
        for entry in entries
    ]
    if not any(row[-1] for row in rows):
        columns.pop()
        rows = [row[:-1] for row in rows]
    text = Table(columns, rows) if rows else "no migration has been applied here"
    return Rendered(target_document(target) | {"entries": documents}, (text,))
