"""A unique or primary key constraint builds its index while the table is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Constraint, Statement

RULE = Rule(
    id="unique-without-index",
    severity="error",
    title="A unique or primary key constraint builds its index while the table is locked",
    why=(
        "ADD CONSTRAINT ... UNIQUE or PRIMARY KEY builds an index under ACCESS EXCLUSIVE: "
        "reads and writes wait until it is done. Build the index CONCURRENTLY in a migration "
        "of its own, then attach it: that takes milliseconds."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
    safe="""\
-- chatdb: transactional: false
CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);
-- file: up/0003_attach.sql
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    for constraint in _keys(alter):
        if constraint.using_index or not context.exists(alter.table):
            continue
        kind = constraint.kind.upper()
        suffix = "pkey" if constraint.kind == "primary key" else "key"
        columns = ", ".join(map(sql_name, constraint.columns))
        name = constraint.name or "_".join((alter.table.name, *constraint.columns, suffix))
        yield Problem(
            f"the index of the {constraint.kind} is built while reads and writes of {alter.table} wait",
            part(statement, constraint),
            f"-- chatdb: transactional: false\n"
            f"CREATE UNIQUE INDEX CONCURRENTLY {sql_name(name)} ON {alter.table} ({columns});\n"
            f"-- in the next migration:\n"
            f"ALTER TABLE {alter.table} ADD CONSTRAINT {sql_name(name)} {kind} USING INDEX {sql_name(name)};",
            alter.table,
        )


def _keys(alter: AlterTable) -> Iterator[Constraint]:
    """Yield the keys that a statement adds, also those written with a new column."""
    for action in alter.actions:
        if action.constraint is not None and action.constraint.kind in ("unique", "primary key"):
            yield action.constraint
        if action.column is not None and action.kind == "AddColumn":
            yield from (c for c in action.column.constraints if c.kind in ("unique", "primary key"))
