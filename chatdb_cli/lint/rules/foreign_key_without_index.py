"""A foreign key without an index on its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Index, Schema
    from chatdb_cli.syntax.tree.model import Constraint

RULE = Rule(
    id="foreign-key-without-index",
    severity="warning",
    title="A foreign key without an index on its columns",
    why=(
        "Each DELETE or UPDATE of a referenced row looks for rows that refer to it, and reads "
        "the whole table without an index: a delete of a thousand rows reads it a thousand "
        "times. PostgreSQL makes the index of the referenced side only."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY);",
    bad="CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id));",
    safe="""\
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id));
CREATE INDEX orders_user_id_idx ON orders (user_id);
""",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for table in schema.tables.values():
        indexes = schema.indexes_of(table.name)
        for constraint, made in table.constraints:
            if constraint.kind != "foreign key" or table.partition:
                continue
            columns = set(constraint.columns)
            if any(
                set(index.keys[: len(columns)]) == columns
                for index in indexes
                if index.method in ("btree", "hash") and not _skips_rows(index, constraint)
            ):
                continue
            names = ", ".join(map(sql_name, constraint.columns))
            index_name = sql_name("_".join((table.name.name, *constraint.columns, "idx")))
            yield Problem(
                f"{table.name} ({names}) refers to {constraint.references} and has no index",
                part(made.statement, constraint),
                f"CREATE INDEX {index_name} ON {table.name} ({names});",
                file=made.file,
            )


def _skips_rows(index: Index, constraint: Constraint) -> bool:
    """Return whether an index leaves out rows whose foreign key is not null."""
    if not index.partial:
        return False
    where = index.made.statement.text.upper().rpartition("WHERE")[2]
    return not any(f"{column.upper()} IS NOT NULL" in where for column in constraint.columns)
