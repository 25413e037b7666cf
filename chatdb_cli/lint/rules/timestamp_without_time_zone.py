"""A column of type timestamp without time zone."""

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
    id="timestamp-without-time-zone",
    severity="warning",
    title="A column of type timestamp without time zone",
    why=(
        "Such a value names no moment: what it means depends on the TimeZone of the session "
        "that wrote it, and nobody knows that later. timestamptz takes the same 8 bytes."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, sold_at timestamp);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, sold_at timestamptz);",
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
        if kind.name == "timestamp":
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} names no moment: it depends on the time zone of the session",
                part(statement, at.column.type),
                f"{column} timestamptz" + ("[]" if kind.array else ""),
            )
