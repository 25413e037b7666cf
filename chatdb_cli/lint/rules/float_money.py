"""Money in a column of a floating-point type."""

from __future__ import annotations

import re
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

_MONEY = re.compile(
    r"(?:^|_)(?:price|amount|cost|total|balance|fee|salary|tax|payment|revenue|discount|budget)s?"
    r"(?:$|_)"
)

RULE = Rule(
    id="float-money",
    severity="warning",
    title="Money in a column of a floating-point type",
    why=(
        "real and double precision can't hold 0.10 exactly, and sums drift. Use numeric, or "
        "whole cents in a bigint."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, price double precision);",
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
        if kind.name in ("float4", "float8") and _MONEY.search(at.column.name):
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} can not hold 0.10 exactly, and sums drift",
                part(statement, at.column.type),
                f"{column} numeric(12, 2)",
            )
