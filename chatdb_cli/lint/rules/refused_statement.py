"""A statement that no migration may contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.refusal import find_refusal
from chatdb_cli.syntax.statements import Statement as TextStatement
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

RULE = Rule(
    id="refused-statement",
    severity="error",
    title="A statement that no migration may contain",
    why=(
        r"chatdb refuses the file before it runs anything: a command of psql (\i, \set, \copy) "
        "is no SQL, BEGIN and COMMIT would end the transaction that keeps a migration whole, "
        "and COPY FROM STDIN waits for a client that sends rows."
    ),
    bad="""\
\\set ON_ERROR_STOP on
CREATE TABLE items (id bigint PRIMARY KEY);
""",
    safe="CREATE TABLE items (id bigint PRIMARY KEY);",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    statements = None
    if file.unreadable is None:
        statements = tuple(
            TextStatement(statement.text, statement.span.start) for statement in file.statements
        )
    refusal = find_refusal(file.text, statements)
    if refusal is not None:
        end = file.text.find("\n", refusal.offset)
        yield Problem(
            refusal.message,
            Span(refusal.offset, end if end >= 0 else len(file.text)),
            refusal.hint,
        )
