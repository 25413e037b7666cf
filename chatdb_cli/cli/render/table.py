"""Tables: aligned columns of text.

What does not belong here: which columns a result has (the module of that result).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.cli.render.text import one_line, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NARROWEST = 16


class Table(NamedTuple):
    """A table; without rows it takes no room at all.

    Attributes:
        columns: their names.
        rows: the cells of each row.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def layout_table(
    table: Table, *, room: int | None = None, paint: Callable[[str], str] = str
) -> str:
    """Return a table as text; no cell is ever cut.

    Args:
        table: what to lay out.
        room: the width of a terminal in cells; the widest column shrinks to fit, so that one long
            cell does not move those of all other rows.
        paint: adds color to the cells of a column `state`, and of one without a name.
    """
    rows = table.rows
    if not rows:
        return ""
    measure: Callable[[str], int] = len
    text = "".join(map("".join, rows))
    if not (text.isascii() and text.isprintable()):  # one check for thousands of cells
        rows = [[one_line(cell) for cell in row] for row in rows]
        measure = width
    widths = [max(map(measure, column)) for column in zip(table.columns, *rows, strict=True)]
    if room is not None:
        excess = sum(widths) + 2 * len(widths) - 2 - room
        widest = widths.index(max(widths))
        widths[widest] = max(widths[widest] - max(excess, 0), _NARROWEST)

    def line(row: Sequence[str]) -> str:
        padded = (
            (paint(cell) if column in ("", "state") else cell) + " " * (wide - measure(cell))
            for column, cell, wide in zip(table.columns, row, widths, strict=True)
        )
        return "  ".join(padded).rstrip() + "\n"

    return "".join(map(line, (table.columns, *rows)))
