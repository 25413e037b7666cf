"""One transaction locks several tables that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.locks import ACCESS_EXCLUSIVE, strong_locks
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

RULE = Rule(
    id="several-strong-locks",
    severity="warning",
    title="One transaction locks several tables that exist",
    why=(
        "The first table stays locked while the file waits for the second, and a session that "
        "uses both in the other order makes it a deadlock. One table per migration keeps each "
        "lock short, and a retry cheap."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="""\
ALTER TABLE users ADD COLUMN locale text;
ALTER TABLE orders ADD COLUMN currency text;
""",
    safe="""\
ALTER TABLE users ADD COLUMN locale text;
-- file: up/0003_currency.sql
ALTER TABLE orders ADD COLUMN currency text;
""",
    scope="file",
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if not context.transactional:
        return
    first: Name | None = None
    seen: set[tuple[str, str]] = set()
    for statement in file.statements:
        for lock in strong_locks(statement.body):
            key = context.schema.key(lock.table)
            if (
                lock.mode != ACCESS_EXCLUSIVE
                or key in seen
                or not context.exists_before(lock.table)
            ):
                continue
            seen.add(key)
            if first is not None:
                yield Problem(
                    f"{first} stays locked ({ACCESS_EXCLUSIVE}) while this waits for {lock.table}",
                    word(statement, lock.table),
                    f"-- in a migration of its own:\n{statement.text};",
                    lock.table,
                )
                return
            first = lock.table
