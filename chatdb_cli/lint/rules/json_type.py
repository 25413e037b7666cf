"""A column of type json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import new_columns
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, CreateTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="json-type",
    severity="warning",
    title="A column of type json",
    why=(
        "json keeps the text, is parsed again at every use, and has no equality: SELECT "
        "DISTINCT and UNION on the table fail. jsonb has it, and can be indexed."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, detail json);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, detail jsonb);",
    reads=(
        CreateTable,
        AlterTable,
    ),
)


def check(statement: Statement[CreateTable | AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for at in new_columns(statement):
        kind = at.column.type
        if kind.name == "json":
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} has no equality: SELECT DISTINCT on the table fails",
                part(statement, at.column.type),
                f"{column} jsonb",
            )
