"""A table without a primary key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Schema

RULE = Rule(
    id="no-primary-key",
    severity="warning",
    title="A table without a primary key",
    why=(
        "Without one, rows can't be told apart, logical replication refuses UPDATE and "
        "DELETE, and a duplicate can't be removed. Name the columns that identify a row, or "
        "add an identity column."
    ),
    bad="CREATE TABLE items (name text);",
    safe="CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for table in schema.tables.values():
        made = table.made
        if made is None or table.primary_key or table.temporary or table.partition or table.derived:
            continue
        unique = any(
            index.unique and not index.partial and set(index.keys) <= table.not_null
            for index in schema.indexes_of(table.name)
        )
        yield Problem(
            f"{table.name} has no primary key",
            word(made.statement, table.name),
            f"ALTER TABLE {table.name} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;",
            file=made.file,
            severity="note" if unique else None,
        )
