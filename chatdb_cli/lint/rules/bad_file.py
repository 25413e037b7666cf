"""A file that can't be a migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.lint.context import Context

RULE = Rule(
    id="bad-file",
    severity="error",
    title="A file that can't be a migration",
    why=(
        "Its name has no version, its bytes are no UTF-8, a directive is unknown, or up and "
        "down have different names. chatdb refuses the folder until it is corrected."
    ),
    bad="""\
-- chatdb: transactionl: false
CREATE TABLE items (id bigint PRIMARY KEY);
""",
    safe="""\
-- chatdb: transactional: false
CREATE TABLE items (id bigint PRIMARY KEY);
""",
    scope="refused",
)


def check(refused: Sequence[ChatdbError], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for error in refused:
        yield Problem(error.message, safe=str(error.hint or ""))
