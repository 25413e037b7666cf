"""A column of type money."""

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
    id="money-type",
    severity="warning",
    title="A column of type money",
    why=(
        "What a value of type money means depends on lc_monetary of the session: the same row "
        "is 10 dollars in one and 10 yen in another. Use numeric, and a column for the "
        "currency."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, price money);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, price numeric(12, 2));",
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
        if kind.name == "money":
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} depends on lc_monetary of the session",
                part(statement, at.column.type),
                f"{column} numeric(12, 2)",
            )
