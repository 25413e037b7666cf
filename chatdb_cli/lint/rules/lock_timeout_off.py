"""The lock timeout is turned off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import SetParameter, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_ZERO = re.compile(r"0+(?:\.0*)?\s*(?:us|ms|s|min|h|d)?")

RULE = Rule(
    id="lock-timeout-off",
    severity="error",
    title="The lock timeout is turned off",
    why=(
        "Without lock_timeout a statement waits for a lock for ever, and every later query of "
        "the table waits behind it: a report that runs for an hour becomes an outage of an "
        "hour. chatdb sets 5 seconds and tries again."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY);",
    bad="""\
SET LOCAL lock_timeout = 0;
ALTER TABLE users ADD COLUMN locale text;
""",
    safe="""\
SET LOCAL lock_timeout = '2s';
ALTER TABLE users ADD COLUMN locale text;
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    if file.directives.lock_timeout_ms == 0:
        at = file.text.lower().find("lock-timeout")
        yield Problem(
            "a statement of this file waits for a lock for ever",
            Span(at, at + len("lock-timeout")),
            "-- chatdb: lock-timeout: 5s",
        )
    for statement in file.statements:
        body = statement.body
        if not isinstance(body, SetParameter) or body.name != "lock_timeout" or body.reset:
            continue
        if any(_ZERO.fullmatch(value) for value in body.values):
            yield Problem(
                "every later query of the table waits for as long as this one waits",
                statement.span,
                "SET LOCAL lock_timeout = '5s';",
            )
