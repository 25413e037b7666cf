"""An object is made in another schema than the project's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.names import made_names
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import (
    AlterTable,
    Create,
    CreateFunction,
    CreateIndex,
    CreatePolicy,
    CreateTable,
    CreateTrigger,
    sql_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

_SYSTEM = ("", "pg_temp", "pg_catalog", "information_schema")

RULE = Rule(
    id="other-schema",
    severity="warning",
    title="An object is made in another schema than the project's",
    why=(
        "chatdb applies the files to the schema of --schema, and to a test schema, and a "
        "rehearsal to a third. A name with a schema is the same one in all of them, so that "
        "tests change the real tables. Name no schema, or make the other schema in these "
        "files."
    ),
    bad="CREATE TABLE billing.invoices (id bigint PRIMARY KEY);",
    safe="CREATE TABLE invoices (id bigint PRIMARY KEY);",
    reads=(
        CreateTable,
        CreateIndex,
        CreateFunction,
        CreateTrigger,
        CreatePolicy,
        Create,
        AlterTable,
    ),
)


def check(
    statement: Statement[
        CreateTable
        | CreateIndex
        | CreateFunction
        | CreateTrigger
        | CreatePolicy
        | Create
        | AlterTable
    ],
    context: Context,
) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for made in made_names(statement.body):
        of = made.table or made.name
        if made.kind in ("column", "constraint", "schema", "extension") and made.kind != "table":
            continue
        schema = of.schema
        if schema in _SYSTEM or schema in context.schema.schemas:
            continue
        own = schema == context.schema.default
        yield Problem(
            f"{made.kind} {sql_name(made.name.name)} is made in {sql_name(schema)}, "
            "whatever schema chatdb applies the file to",
            word(statement, schema),
            f"{statement.text.replace(f'{sql_name(schema)}.', '')};",
            severity="note" if own else None,
        )
        return
