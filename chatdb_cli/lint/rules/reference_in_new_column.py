"""A new column of a table that exists has a foreign key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import new_columns, type_text
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="reference-in-new-column",
    severity="error",
    title="A new column of a table that exists has a foreign key",
    why=(
        "ADD COLUMN ... REFERENCES locks both tables, and with a default it looks up every "
        "row. Add the column alone, then the constraint NOT VALID, and validate it in a later "
        "migration."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="ALTER TABLE orders ADD COLUMN seller_id bigint DEFAULT 1 REFERENCES users (id);",
    safe="""\
ALTER TABLE orders ADD COLUMN seller_id bigint DEFAULT 1;
-- file: up/0003_index.sql
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY orders_seller_id_idx ON orders (seller_id);
-- file: up/0004_reference.sql
ALTER TABLE orders ADD CONSTRAINT orders_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES users (id) NOT VALID;
-- file: up/0005_validate.sql
ALTER TABLE orders VALIDATE CONSTRAINT orders_seller_id_fkey;
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for at in new_columns(statement):
        reference = at.column.has("foreign key")
        if not at.added or reference is None or not context.exists(at.table):
            continue
        has_value = at.column.has("default") is not None
        column = sql_name(at.column.name)
        name = sql_name(f"{at.table.name}_{at.column.name}_fkey")
        yield Problem(
            f"{at.table} and {reference.references} are locked together"
            + (", and every row is checked" if has_value else ""),
            part(statement, reference),
            f"ALTER TABLE {at.table} ADD COLUMN {column} {type_text(at.column.type)};\n"
            f"ALTER TABLE {at.table} ADD CONSTRAINT {name} FOREIGN KEY ({column})"
            f" REFERENCES {reference.references} NOT VALID;\n"
            f"-- in a later migration:\nALTER TABLE {at.table} VALIDATE CONSTRAINT {name};",
            at.table,
            severity=None if has_value else "note",
        )
