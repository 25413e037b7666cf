"""An object is made in another schema than the project's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.names import made_names
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Create, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_SYSTEM = ("", "pg_temp", "pg_catalog", "information_schema")
# What has no schema of its own.
_WITHOUT = ("column", "constraint", "schema", "extension")

RULE = Rule(
    id="other-schema",
    severity="warning",
    title="An object is made in another schema than the project's",
    why=(
        "The same files are applied to the schema of the target, to a test schema, and by a "
        "rehearsal to a third. A name with a schema is the same in all of them, so tests change "
        "the real tables. Name no schema, or create the other schema in these files."
    ),
    bad="CREATE TABLE billing.invoices (id bigint PRIMARY KEY);",
    safe="CREATE TABLE invoices (id bigint PRIMARY KEY);",
    scope="file",
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for the first object of each other schema."""
    known = {*_SYSTEM, *context.schema.schemas}
    for statement in file.statements:
        if isinstance(statement.body, Create) and statement.body.kind == "schema":
            known.add(statement.body.name.name)
        for made in made_names(statement.body):
            schema = (made.table or made.name).schema
            if made.kind in _WITHOUT or schema in known:
                continue
            known.add(schema)
            yield Problem(
                f"{made.kind} {sql_name(made.name.name)} is made in {sql_name(schema)}, "
                "whatever schema chatdb applies the file to",
                word(statement, schema),
                f"{statement.text.replace(f'{sql_name(schema)}.', '')};",
                severity="note" if schema == context.schema.default else None,
            )
