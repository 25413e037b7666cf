"""REINDEX without CONCURRENTLY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Reindex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="reindex-without-concurrently",
    severity="error",
    title="REINDEX without CONCURRENTLY",
    why=(
        "REINDEX blocks writes to the table for as long as it builds, and reads that would "
        "use the index. Since PostgreSQL 12 CONCURRENTLY builds the new index beside the old "
        "one."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE INDEX users_email_idx ON users (email);
""",
    bad="REINDEX INDEX users_email_idx;",
    safe="""\
-- chatdb: transactional: false
REINDEX INDEX CONCURRENTLY users_email_idx;
""",
    reads=(Reindex,),
    since=12,
)


def check(statement: Statement[Reindex], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    reindex = statement.body
    if reindex.concurrently or context.version_before(12):
        return
    table = reindex.relation if reindex.kind == "table" else None
    if table is not None and not context.exists(table):
        return
    target = f" {reindex.relation}" if reindex.relation else ""
    yield Problem(
        f"writes wait until REINDEX {reindex.kind.upper()}{target} is done",
        safe="-- chatdb: transactional: false\n"
        f"REINDEX {reindex.kind.upper()} CONCURRENTLY{target};",
        table=table,
    )
