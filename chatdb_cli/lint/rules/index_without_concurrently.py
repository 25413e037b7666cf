"""An index is built on a table that exists, without CONCURRENTLY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Edit, Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import CreateIndex, Drop, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="index-without-concurrently",
    severity="error",
    title="An index is built on a table that exists, without CONCURRENTLY",
    why=(
        "CREATE INDEX holds a SHARE lock until it has read the whole table: every INSERT, "
        "UPDATE and DELETE waits for it. CONCURRENTLY reads the table twice and blocks "
        "nobody; it can't run in a transaction, so its file needs the directive."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="CREATE INDEX users_email_idx ON users (email);",
    safe="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_idx ON users (email);
""",
    reads=(CreateIndex,),
    small_is_harmless=True,
)


def check(statement: Statement[CreateIndex], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    index = statement.body
    if index.concurrently or index.only or not context.exists(index.table):
        return
    start = statement.text.upper().index("INDEX") + len("INDEX")
    concurrently = f"{statement.text[:start]} CONCURRENTLY{statement.text[start:]}"
    at = statement.span.start + start
    alone = all(
        isinstance(other.body, (CreateIndex, Drop))
        and getattr(other.body, "kind", "index") == "index"
        for other in context.file.statements
    )
    yield Problem(
        f"the index is built while writes to {index.table} wait",
        safe=f"-- chatdb: transactional: false\n{concurrently};",
        table=index.table,
        edit=Edit(((Span(at, at), " CONCURRENTLY"),), nontransactional=True) if alone else None,
    )
