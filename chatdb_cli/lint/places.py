"""Where a problem is: the part of a statement that a rule points at.

What does not belong here: lines and columns (`syntax/location.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.syntax.tree.locations import end_of_part, find_name
from chatdb_cli.syntax.tree.model import Column, Constraint, Name, Span, Type

if TYPE_CHECKING:
    from chatdb_cli.syntax.tree.model import Statement


def part(statement: Statement[object], what: Column | Constraint | Type) -> Span:
    """Return the place of a column, a constraint or a type, up to its end."""
    start = what.offset if what.offset >= 0 else statement.span.start
    return Span(start, end_of_part(statement, start))


def word(statement: Statement[object], name: Name | str) -> Span:
    """Return the place of a name in a statement."""
    start = find_name(statement, name)
    length = len(str(name) if isinstance(name, Name) else name) or 1
    return Span(start, min(start + length, statement.span.end))
