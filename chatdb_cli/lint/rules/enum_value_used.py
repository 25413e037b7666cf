"""A value of an enum is used in the transaction that adds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AddEnumValue, Comment, CreateFunction, DoBlock, Name, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

RULE = Rule(
    id="enum-value-used",
    severity="error",
    title="A value of an enum is used in the transaction that adds it",
    why=(
        "PostgreSQL refuses it (unsafe use of new value, SQLSTATE 55P04): until the commit, "
        "an index could keep a value that does not exist. Use it in the next migration."
    ),
    before="""\
CREATE TYPE order_state AS ENUM ('new', 'paid');
CREATE TABLE orders (id bigint PRIMARY KEY, state order_state);
""",
    bad="""\
ALTER TYPE order_state ADD VALUE 'sent';
UPDATE orders SET state = 'sent' WHERE id = 1;
""",
    safe="""\
ALTER TYPE order_state ADD VALUE 'sent';
-- file: up/0003_use.sql
UPDATE orders SET state = 'sent' WHERE id = 1;
""",
    scope="file",
    since=12,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if not context.transactional:
        return
    added: dict[str, Name] = {}
    for statement in file.statements:
        body = statement.body
        if isinstance(body, AddEnumValue):
            made = context.schema.enums.get(context.schema.key(body.type))
            if made is None or made.file is not file:
                added[body.value] = body.type
            continue
        for value, enum in added.items():
            at = statement.text.find(f"'{value}'") if value else -1
            if at >= 0 and not isinstance(body, (Comment, CreateFunction, DoBlock)):
                start = statement.span.start + at
                yield Problem(
                    f"{value!r} is added to {enum} in this transaction, and can't be used before its commit",
                    Span(start, start + len(value) + 2),
                    f"-- in the next migration:\n{statement.text};",
                )
