"""NOT VALID and VALIDATE: the safe way to add a constraint, as text and as an edit.

What does not belong here: which constraints need it (`rules/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Edit
from chatdb_cli.syntax.tree.model import Span, sql_name

if TYPE_CHECKING:
    from chatdb_cli.syntax.tree.model import Constraint, Name


def not_valid(table: Name, definition: str, name: str) -> str:
    """Return the two statements that add a constraint, and validate it later.

    Args:
        table: the table.
        definition: the constraint as the file has it.
        name: its name, also if PostgreSQL chooses it.
    """
    return (
        f"ALTER TABLE {table} ADD {definition} NOT VALID;\n"
        f"-- in the next migration:\n"
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {sql_name(name)};"
    )


def not_valid_edit(
    table: Name, span: Span, name: str, constraint: Constraint, text: str
) -> Edit | None:
    """Return the edit that adds NOT VALID, with a VALIDATE in the next migration.

    Args:
        table: the table.
        span: the constraint in the text of the file.
        name: its name.
        constraint: the constraint; one without a name gets none, because its VALIDATE would have to
            guess the name.
        text: the text of the file.
    """
    if not constraint.name:
        return None
    definition = text[span.start : span.end]
    quoted = sql_name(name)
    return Edit(
        ((Span(span.end, span.end), " NOT VALID"),),
        next_up=f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted};",
        next_down=f"ALTER TABLE {table} DROP CONSTRAINT {quoted};\n"
        f"ALTER TABLE {table} ADD {definition} NOT VALID;",
    )
