"""A statement that can't run twice, in a file without a transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AddEnumValue, Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_AFTER = re.compile(r"CONCURRENTLY", re.IGNORECASE)
_VALUE = re.compile(r"ADD\s+VALUE", re.IGNORECASE)

RULE = Rule(
    id="missing-if-exists",
    severity="warning",
    title="A statement that can't run twice, in a file without a transaction",
    why=(
        "Such a file stops where it fails, and continues there. If chatdb is killed after a "
        "statement outside of a transaction and before it has noted it, the statement runs "
        "again. With IF EXISTS or IF NOT EXISTS that is harmless."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE INDEX users_email_idx ON users (email);
""",
    bad="""\
-- chatdb: transactional: false
DROP INDEX CONCURRENTLY users_email_idx;
""",
    safe="""\
-- chatdb: transactional: false
DROP INDEX CONCURRENTLY IF EXISTS users_email_idx;
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if context.transactional:
        return
    for statement in file.statements:
        body = statement.body
        if isinstance(body, Drop) and body.concurrently and not body.if_exists:
            safe = _AFTER.sub(r"\g<0> IF EXISTS", statement.text, count=1)
            what = "DROP INDEX CONCURRENTLY"
        elif isinstance(body, AddEnumValue) and not body.if_not_exists and _before_twelve(context):
            safe = _VALUE.sub(r"\g<0> IF NOT EXISTS", statement.text, count=1)
            what = "ADD VALUE"
        else:
            continue
        yield Problem(
            f"a second {what} fails, if the first one was not noted", statement.span, f"{safe};"
        )


def _before_twelve(context: Context) -> bool:
    """Return whether ADD VALUE runs outside of a transaction, as it has to before PostgreSQL 12."""
    return context.version_before(12)
