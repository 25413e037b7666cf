"""The primary key of a table that exists is dropped or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Table
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="primary-key-changed",
    severity="error",
    title="The primary key of a table that exists is dropped or changed",
    why=(
        "Foreign keys, replication and code rely on the key. Without it logical replication "
        "refuses UPDATE and DELETE, and the new key's index is built under ACCESS EXCLUSIVE. "
        "Build the new unique index CONCURRENTLY first, and exchange the keys in one "
        "statement."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="ALTER TABLE orders DROP CONSTRAINT orders_pkey;",
    safe="""\
-- chatdb: transactional: false
CREATE UNIQUE INDEX CONCURRENTLY orders_new_pkey ON orders (user_id, id);
""",
    reads=(AlterTable,),
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    table = context.table(alter.table)
    if alter.kind != "table" or not context.exists(alter.table):
        return
    for action in alter.actions:
        key = table.primary_key if table else ()
        drops_key = action.kind == "DropConstraint" and action.name in _names(alter, table)
        drops_column = action.kind == "DropColumn" and action.name in key
        if drops_key or drops_column:
            yield Problem(
                f"{alter.table} is without its primary key, for replication and foreign keys too",
                word(statement, action.name),
                f"-- chatdb: transactional: false\n"
                f"CREATE UNIQUE INDEX CONCURRENTLY {sql_name(alter.table.name + '_new_pkey')}"
                f" ON {alter.table} (...);\n"
                f"-- then drop the key and add PRIMARY KEY USING INDEX in one statement",
                alter.table,
            )


def _names(alter: AlterTable, table: Table | None) -> set[str]:
    """Return the names that the primary key has, or has if nobody named it."""
    named = {
        constraint.name
        for constraint, _ in (table.constraints if table else ())
        if constraint.kind == "primary key" and constraint.name
    }
    return named or {f"{alter.table.name}_pkey"}
