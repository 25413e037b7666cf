"""A seed: the rows that it wrote.

What does not belong here: writing them (`seed/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.table import Table
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from chatdb_cli.seed.model import Seeded


def render_seed(seeded: Seeded) -> Rendered:
    """Render the rows that a seed wrote."""
    rows = [(table, str(count)) for table, count in seeded.tables]
    document = target_document(seeded.target) | seed_document(seeded)
    return Rendered(document, (Table(("table", "rows"), rows), seed_summary(seeded)))


def seed_document(seeded: Seeded) -> Document:
    """Return a seed as a document without its target."""
    tables = [{"table": table, "rows": rows} for table, rows in seeded.tables]
    return {"tables": tables, "duration_ms": seeded.duration_ms}


def seed_summary(seeded: Seeded) -> str:
    """Return a seed in one line."""
    if not seeded.tables:
        return "nothing to seed: the rows are there already"
    rows = sum(count for _, count in seeded.tables)
    return (
        f"{plural(rows, 'row')} in {plural(len(seeded.tables), 'table')} ({seeded.duration_ms} ms)"
    )
