"""Repairs: what a repair changed in the history, or would change.

What does not belong here: finding them (`migrate/repair.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.text import printable

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Repairs


def render_repairs(repairs: Repairs) -> Rendered:
    """Render repairs, carried out or not."""
    count = len(repairs.repairs)
    if not count:
        text = "nothing to repair"
    elif repairs.done:
        text = "\n".join((*(repair.message for repair in repairs.repairs), f"{count} repaired"))
    else:
        text = repairs_text(repairs)
    return Rendered(_document(repairs), (text,))


def _document(repairs: Repairs) -> Document:
    return target_document(repairs.target) | {
        "repairs": [
            {"code": r.kind, "version": r.version, "message": r.message, "diff": r.diff or None}
            for r in repairs.repairs
        ],
        "done": repairs.done,
    }


def repairs_text(repairs: Repairs) -> str:
    """Return each repair with its diff, as a person sees them before the confirmation."""
    parts = (f"{r.message}\n" + (f"{r.diff}\n" if r.diff else "") for r in repairs.repairs)
    return printable("\n".join(parts))
