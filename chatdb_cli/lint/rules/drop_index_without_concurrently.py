"""An index of a table that exists is dropped without CONCURRENTLY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="drop-index-without-concurrently",
    severity="warning",
    title="An index of a table that exists is dropped without CONCURRENTLY",
    why=(
        "DROP INDEX needs ACCESS EXCLUSIVE on the table: it waits for the longest running "
        "query, and everything that comes after waits for it. CONCURRENTLY waits without "
        "blocking."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE INDEX users_email_idx ON users (email);
""",
    bad="DROP INDEX users_email_idx;",
    safe="""\
-- chatdb: transactional: false
DROP INDEX CONCURRENTLY IF EXISTS users_email_idx;
""",
    reads=(Drop,),
)


def check(statement: Statement[Drop], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    drop = statement.body
    if drop.kind != "index" or drop.concurrently:
        return
    for name in drop.names:
        index = context.schema.index(name)
        if index is not None:
            table = context.schema.tables.get(index.table)
            if table is not None and not context.exists(table.name):
                continue
        yield Problem(
            f"dropping {name} waits for every query on its table, and all later ones wait for it",
            word(statement, name),
            f"-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS {name};",
        )
