"""The names that statements give to objects.

What does not belong here: rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.tree import model as sql

if TYPE_CHECKING:
    from collections.abc import Iterator


class MadeName(NamedTuple):
    """An object that a statement makes.

    Attributes:
        kind: its kind: `table`, `column`, `index`, `constraint`, `function`...
        name: its name; for a column, a constraint, a policy or a trigger with the schema of its table.
        table: the table that it belongs to, or None.
    """

    kind: str
    name: sql.Name
    table: sql.Name | None = None


def made_names(body: sql.Body) -> Iterator[MadeName]:
    """Yield what a statement makes; a name that PostgreSQL chooses is left out."""
    match body:
        case sql.CreateTable(temporary=False):
            yield MadeName("table", body.table)
            for column in body.columns:
                yield from _column(column, body.table)
            yield from _constraints(body.constraints, body.table)
        case sql.AlterTable(kind="table"):
            for action in body.actions:
                if action.column is not None and action.kind == "AddColumn":
                    yield from _column(action.column, body.table)
                elif action.constraint is not None and action.kind == "AddConstraint":
                    yield from _constraints((action.constraint,), body.table)
        case sql.Rename():
            yield MadeName(body.kind, sql.Name(body.new), body.relation)
        case _:
            yield from _simple(body)


def _simple(body: sql.Body) -> Iterator[MadeName]:
    """Yield the object that a statement makes, if it makes one."""
    match body:
        case sql.CreateIndex() if body.name:
            yield MadeName("index", sql.Name(body.name, body.table.schema), body.table)
        case sql.CreateFunction():
            yield MadeName("function", body.name)
        case sql.CreateTrigger():
            yield MadeName("trigger", sql.Name(body.name), body.table)
        case sql.CreatePolicy():
            yield MadeName("policy", sql.Name(body.name), body.table)
        case sql.Create():
            yield MadeName(body.kind, body.name)


def _column(column: sql.Column, table: sql.Name) -> Iterator[MadeName]:
    yield MadeName("column", sql.Name(column.name, "", column.offset), table)
    yield from _constraints(column.constraints, table)


def _constraints(constraints: tuple[sql.Constraint, ...], table: sql.Name) -> Iterator[MadeName]:
    for constraint in constraints:
        if constraint.name:
            yield MadeName("constraint", sql.Name(constraint.name, "", -1), table)
