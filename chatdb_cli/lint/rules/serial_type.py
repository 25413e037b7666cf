"""A column of type serial."""

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

_INTEGERS = {"smallserial": "smallint", "serial2": "smallint"}

RULE = Rule(
    id="serial-type",
    severity="warning",
    title="A column of type serial",
    why=(
        "The sequence of serial has an owner and rights of its own, anyone may overwrite the "
        "value, and the default is lost when the table is copied. An identity column is the "
        "same in the SQL standard, without these traps."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY, number bigserial);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY);",
    reads=(
        CreateTable,
        AlterTable,
    ),
    since=10,
)


def check(statement: Statement[CreateTable | AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for at in new_columns(statement):
        kind = at.column.type
        if "serial" in kind.name:
            column = sql_name(at.column.name)
            yield Problem(
                f"{column} is a serial; an identity column has no sequence with rights of its own",
                part(statement, at.column.type),
                f"{column} {_INTEGERS.get(kind.name, 'bigint')} GENERATED ALWAYS AS IDENTITY",
            )
