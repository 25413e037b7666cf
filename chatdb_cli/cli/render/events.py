"""Change events: a line and a document for each.

What does not belong here: reading them (`events/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, target_document, timestamp
from chatdb_cli.cli.render.text import one_line

if TYPE_CHECKING:
    from chatdb_cli.events.model import Batch, Change
    from chatdb_cli.postgres.model import Target


def batch_documents(target: Target, batch: Batch) -> list[Document]:
    """Return a document for each event of a batch; first that events may be missing, if so."""
    head = target_document(target)
    documents = [head | _event_document(event) for event in batch.events]
    if batch.resync:
        notice = {"resync": True, "reason": batch.resync, "cursor": batch.cursor}
        documents.insert(0, head | notice)
    return documents


def batch_lines(batch: Batch) -> list[str]:
    """Return a line for each event of a batch; first that events may be missing, if so."""
    lines = [one_line(f"resync  {batch.resync}")] if batch.resync else []
    return [*lines, *map(_event_line, batch.events)]


def _event_document(event: Change) -> Document:
    return {
        "seq": event.seq,
        "table": event.table,
        "op": event.op,
        "row_id": event.row_id,
        "channel_id": event.channel_id,
        "user_id": event.user_id,
        "at": timestamp(event.at),
        "cursor": event.cursor,
    }


def _event_line(event: Change) -> str:
    about = [f"channel {event.channel_id}"] if event.channel_id else []
    about += [f"user {event.user_id}"] if event.user_id else []
    at = timestamp(event.at) or ""
    return one_line("  ".join((at, f"{event.op:<6}", f"{event.table:<18}", event.row_id, *about)))
