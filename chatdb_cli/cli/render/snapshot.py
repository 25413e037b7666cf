"""A snapshot of a schema, or the state of the file that holds it.

What does not belong here: the text of the file (`catalog/snapshot_text.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document
from chatdb_cli.cli.render.text import one_line, printable

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb_cli.catalog.model import Snapshot
    from chatdb_cli.postgres.model import Target


def render_snapshot(
    target: Target, snapshot: Snapshot, file: Path | None, *, written: bool = False
) -> Rendered:
    """Render a snapshot.

    Args:
        target: the schema.
        snapshot: its snapshot.
        file: the file that holds it; None to print it.
        written: the file was written; otherwise it was up to date.
    """
    document = target_document(target) | {
        "server_version": snapshot.server_version,
        "schemas": list(snapshot.schemas),
        "objects": [
            {
                "kind": item.kind,
                "name": item.name,
                "parent": item.parent or None,
                "attributes": dict(item.attributes),
            }
            for item in snapshot.objects
        ],
        "unread": [
            {
                "kind": unread.kind,
                "object": unread.object or None,
                "attribute": unread.attribute or None,
                "reason": unread.reason,
            }
            for unread in snapshot.unread
        ],
    }
    if file is None:
        from chatdb_cli.catalog.snapshot_text import format_snapshot

        return Rendered(document, (printable(format_snapshot(snapshot)),))
    state = "written" if written else "unchanged"
    document["file"] = {"path": str(file), "state": state}
    return Rendered(document, (one_line(f"{file}: {state}"),))
