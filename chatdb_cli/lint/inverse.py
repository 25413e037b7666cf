"""The inverse of a statement, as a proposal for a down file.

What does not belong here: which statements a down file lacks (`rules/`).
"""

from __future__ import annotations

from chatdb_cli.syntax.tree import model as sql


def inverse(body: sql.Body) -> str:
    """Return the statement that removes what a statement makes, or a comment that asks for it."""
    match body:
        case sql.CreateTable():
            return f"DROP TABLE {body.table};"
        case sql.CreateIndex() if body.name:
            return f"DROP INDEX {sql.Name(body.name, body.table.schema)};"
        case sql.CreateFunction():
            return f"DROP FUNCTION {body.name};"
        case sql.CreateTrigger():
            return f"DROP TRIGGER {sql.sql_name(body.name)} ON {body.table};"
        case sql.CreatePolicy():
            return f"DROP POLICY {sql.sql_name(body.name)} ON {body.table};"
        case sql.Create():
            return f"DROP {body.kind.upper()} {body.name};"
        case sql.AlterTable():
            return "\n".join(_inverse_actions(body))
    return ""


def _inverse_actions(alter: sql.AlterTable) -> list[str]:
    """Return the inverse of each command that adds something, the last one first."""
    inverses = []
    for action in reversed(alter.actions):
        if action.column is not None and action.kind == "AddColumn":
            column = sql.sql_name(action.column.name)
            inverses.append(f"ALTER TABLE {alter.table} DROP COLUMN {column};")
        elif action.constraint is not None and action.constraint.name:
            name = sql.sql_name(action.constraint.name)
            inverses.append(f"ALTER TABLE {alter.table} DROP CONSTRAINT {name};")
    return inverses
