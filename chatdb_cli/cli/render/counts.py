"""Counts: the rows of each table, and their checksums.

What does not belong here: counting (`counts/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import printable
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from chatdb_cli.counts.model import Counts, TableCount


def render_counts(counts: Counts) -> Rendered:
    """Render the counts of one database."""
    return Rendered(_document(counts), (_table(counts), _summary(counts)))


def _document(counts: Counts) -> Document:
    return target_document(counts.target) | {
        "ok": True,
        "tables": [_table_document(table) for table in counts.tables],
        "sequences": [],
        "rows": counts.rows,
        "snapshot": {
            "at": timestamp(counts.source.at),
            "server_version": counts.source.server_version,
            "standby": counts.source.standby,
        },
        "left_out": [item._asdict() for item in counts.left_out],
        "duration_ms": counts.duration_ms,
    }


def _table_document(table: TableCount) -> Document:
    return {
        "table": table.table,
        "rows": table.rows,
        "other_rows": None,
        "checksum": table.checksum.value if table.checksum else None,
        "other_checksum": None,
        "match": None,
        "differences": [],
        "checksum_form": table.checksum.form if table.checksum else None,
        "estimated": table.estimated,
        "kind": table.kind,
        "parent": table.parent,
    }


def _table(counts: Counts) -> Table:
    with_checksums = any(table.checksum for table in counts.tables)
    width = max((len(_number(table)) for table in counts.tables), default=0)
    rows = []
    depths: dict[str, int] = {}
    for table in counts.tables:  # a partition is after its table
        depth = depths[table.table] = depths.get(table.parent or "", -1) + 1
        cells = [f"{'  ' * depth}{table.table}", _number(table).rjust(width)]
        if with_checksums:
            cells.append(table.checksum.value if table.checksum else "")
        rows.append(cells)
    columns = ["table", "rows".rjust(width), *(["checksum"] if with_checksums else [])]
    return Table(columns, rows)


def _number(table: TableCount) -> str:
    return f"{'~' if table.estimated else ''}{table.rows:,}"


def _summary(counts: Counts) -> str:
    tables = sum(table.parent is None for table in counts.tables)
    about = "about " if any(table.estimated for table in counts.tables) else ""
    lines = [
        f"{about}{plural(counts.rows, 'row')} in {plural(tables, 'table')} ({counts.duration_ms} ms)"
    ]
    lines += [f"not counted: {item.table} ({item.reason})" for item in counts.left_out]
    return printable("\n".join(lines))
