"""Migrations that are marked as applied, or as not applied.

What does not belong here: choosing them (`migrate/marks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered
from chatdb_cli.cli.render.migrate import run_document, run_summary
from chatdb_cli.cli.render.table import Table, layout_table
from chatdb_cli.cli.render.text import printable

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Marks, Run


def render_marks(marks: Marks, run: Run, *, dry: bool) -> Rendered:
    """Render the changes of a history.

    Args:
        marks: the changes.
        run: their result.
        dry: they were not made: render all of them.
    """
    summary = run_summary(run)
    return Rendered(run_document(run), (_table(marks), summary) if dry else (summary,))


def marks_text(marks: Marks) -> str:
    """Return the changes as a person sees them before they are made."""
    return printable(layout_table(_table(marks)).rstrip("\n"))


def _table(marks: Marks) -> Table:
    rows = [(m.version, m.name, m.before, m.after) for m in marks.marks]
    return Table(("version", "name", "now", "then"), rows)
