"""A statement that can't run in a transaction, in a file that is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Edit, Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import (
    AlterTable,
    CreateIndex,
    Drop,
    Maintain,
    Other,
    Reindex,
    SetParameter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile
    from chatdb_cli.syntax.tree.model import Body

RULE = Rule(
    id="concurrently-in-transaction",
    severity="error",
    title="A statement that can't run in a transaction, in a file that is one",
    why=(
        "PostgreSQL refuses CONCURRENTLY, VACUUM, CREATE DATABASE and ALTER SYSTEM inside a "
        "transaction, and chatdb runs each file in one. With the directive it runs the file "
        "statement by statement, and after a failure it continues at the statement that "
        "failed."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="CREATE INDEX CONCURRENTLY users_email_idx ON users (email);",
    safe="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_idx ON users (email);
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if not context.transactional:
        return
    for statement in file.statements:
        what = _refused_in_transaction(statement.body)
        if what:
            yield Problem(
                f"PostgreSQL refuses {what} in a transaction, and this file is one",
                statement.span,
                f"-- chatdb: transactional: false\n{statement.text};",
                edit=Edit(nontransactional=True) if len(file.statements) == 1 else None,
            )


def _refused_in_transaction(body: Body) -> str:
    """Return the words of a statement that needs to run outside of a transaction, or an empty text."""
    match body:
        case CreateIndex(concurrently=True):
            return "CREATE INDEX CONCURRENTLY"
        case Drop(concurrently=True):
            return "DROP INDEX CONCURRENTLY"
        case Reindex() if body.concurrently or body.kind in ("schema", "database", "system"):
            return f"REINDEX {'CONCURRENTLY' if body.concurrently else body.kind.upper()}"
        case AlterTable() if any(action.concurrently for action in body.actions):
            return "DETACH PARTITION CONCURRENTLY"
        case Maintain(verb="vacuum"):
            return "VACUUM"
        case SetParameter(where="system"):
            return "ALTER SYSTEM"
        case Drop(kind="database"):
            return "DROP DATABASE"
        case Other(kind="createdb_stmt"):
            return "CREATE DATABASE"
    return ""
