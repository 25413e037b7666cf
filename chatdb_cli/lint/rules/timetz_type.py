"""A column of type time with time zone."""

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
    id="timetz-type",
    severity="warning",
    title="A column of type time with time zone",
    why=(
        "A time of day with an offset but without a date can't follow daylight saving time. "
        "PostgreSQL has the type only because the SQL standard does. Use timestamptz, or time "
        "and the name of a time zone."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, opens timetz);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, opens time);",
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
        if kind.name == "timetz":
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} can not follow daylight saving time",
                part(statement, at.column.type),
                f"{column} time",
            )
