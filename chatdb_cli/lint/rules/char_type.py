"""A column of type char(n)."""

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
    id="char-type",
    severity="warning",
    title="A column of type char(n)",
    why=(
        "char(n) fills every value with blanks up to n, compares without them, and gains "
        "neither space nor speed. Use text, with a check if the length matters."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, country char(2));",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, country text CHECK (length(country) = 2));",
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
        if kind.name == "bpchar":
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} is filled with blanks up to its length",
                part(statement, at.column.type),
                f"{column} text",
            )
