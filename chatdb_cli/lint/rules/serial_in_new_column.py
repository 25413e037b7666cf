"""A serial or identity column is added to a table that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import new_columns
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="serial-in-new-column",
    severity="error",
    title="A serial or identity column is added to a table that exists",
    why=(
        "Every row gets the next number of the sequence: the table is rewritten under ACCESS "
        "EXCLUSIVE. Add a plain column, give new rows their number by a default, and fill old "
        "rows in batches."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
    safe="""\
CREATE SEQUENCE users_number_seq;
ALTER TABLE users ADD COLUMN number bigint;
ALTER TABLE users ALTER COLUMN number SET DEFAULT nextval('users_number_seq');
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for at in new_columns(statement):
        numbered = "serial" in at.column.type.name or at.column.has("identity") is not None
        if at.added and numbered and context.exists(at.table):
            column = sql_name(at.column.name)
            sequence = sql_name(f"{at.table.name}_{at.column.name}_seq")
            yield Problem(
                f"{at.table} is rewritten while reads and writes of it wait",
                part(statement, at.column),
                f"CREATE SEQUENCE {sequence};\n"
                f"ALTER TABLE {at.table} ADD COLUMN {column} bigint;\n"
                f"ALTER TABLE {at.table} ALTER COLUMN {column} SET DEFAULT nextval('{sequence}');\n"
                f"-- then fill the old rows in batches",
                at.table,
            )
