"""Long work while a table that exists is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.locks import ACCESS_EXCLUSIVE, long_work, strong_locks, worked_on
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

RULE = Rule(
    id="long-work-behind-lock",
    severity="error",
    title="Long work while a table that exists is locked",
    why=(
        "ALTER TABLE takes milliseconds, but its lock is held until the transaction ends. An "
        "UPDATE, a CREATE INDEX or a VALIDATE after it keeps every reader waiting for as long "
        "as it takes. Put the long work into a migration of its own."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="""\
ALTER TABLE users ADD COLUMN locale text;
UPDATE users SET locale = 'en' WHERE locale IS NULL;
""",
    safe="""\
ALTER TABLE users ADD COLUMN locale text;
-- file: up/0003_locale.sql
UPDATE users SET locale = 'en' WHERE locale IS NULL;
""",
    scope="file",
    small_is_harmless=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if not context.transactional:
        return
    locked: Name | None = None
    for statement in file.statements:
        work = long_work(statement.body)
        target = worked_on(statement.body)
        if locked is not None and work and target is not None and context.exists_before(target):
            yield Problem(
                f"{work} works while {locked} stays locked ({ACCESS_EXCLUSIVE})",
                statement.span,
                f"-- in the next migration:\n{statement.text};",
                locked,
            )
            return
        for lock in strong_locks(statement.body):
            if lock.mode == ACCESS_EXCLUSIVE and context.exists_before(lock.table):
                locked = locked or lock.table
