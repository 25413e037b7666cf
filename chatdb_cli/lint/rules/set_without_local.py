"""SET without LOCAL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import SetParameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

_SET = re.compile(r"SET(?:\s+SESSION)?", re.IGNORECASE)

RULE = Rule(
    id="set-without-local",
    severity="warning",
    title="SET without LOCAL",
    why=(
        "SET without LOCAL is for the session, which a pooler hands to somebody else. chatdb "
        "resets the session after each file, psql and other tools do not. SET LOCAL ends with "
        "the transaction."
    ),
    bad="SET statement_timeout = '1h';",
    safe="SET LOCAL statement_timeout = '1h';",
    reads=(SetParameter,),
    down=True,
)


def check(statement: Statement[SetParameter], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    setting = statement.body
    if setting.where != "session" or setting.local or setting.reset or not context.transactional:
        return
    if not setting.name:
        return
    yield Problem(
        f"{setting.name} is set for the session, not for this transaction alone",
        safe=f"{_SET.sub('SET LOCAL', statement.text, count=1)};",
    )
