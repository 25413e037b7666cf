"""CREATE INDEX CONCURRENTLY with IF NOT EXISTS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import CreateIndex, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement


_IF_NOT_EXISTS = re.compile(r"\s+IF\s+NOT\s+EXISTS", re.IGNORECASE)

RULE = Rule(
    id="concurrently-if-not-exists",
    severity="warning",
    title="CREATE INDEX CONCURRENTLY with IF NOT EXISTS",
    why=(
        "A build that failed leaves an index that is INVALID: it is maintained at every write "
        "and used by no query. IF NOT EXISTS sees an index of that name and does nothing, so "
        "the migration passes and the index stays invalid. Without it chatdb itself drops the "
        "invalid index and builds it again."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_email_idx ON users (email);
""",
    safe="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_idx ON users (email);
""",
    reads=(CreateIndex,),
    down=True,
)


def check(statement: Statement[CreateIndex], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    index = statement.body
    if index.concurrently and index.if_not_exists:
        yield Problem(
            f"an invalid index {sql_name(index.name)} of a failed build would pass as done",
            word(statement, index.name),
            _without(statement.text) + ";",
        )


def _without(text: str) -> str:
    return _IF_NOT_EXISTS.sub("", text, count=1)
