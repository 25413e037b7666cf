"""A privilege is granted to PUBLIC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

_PUBLIC = re.compile(r"\bPUBLIC\b", re.IGNORECASE)

RULE = Rule(
    id="grant-to-public",
    severity="warning",
    title="A privilege is granted to PUBLIC",
    why=(
        "PUBLIC is every role of the server, those that come later included. Grant to a role, "
        "and grant that role to users."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY);",
    bad="GRANT SELECT ON users TO PUBLIC;",
    safe="GRANT SELECT ON users TO app_readonly;",
    reads=(Grant,),
)


def check(statement: Statement[Grant], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    grant = statement.body
    if grant.grant and grant.public:
        what = ", ".join(grant.privileges) or "all privileges"
        names = ", ".join(map(str, grant.names))
        yield Problem(
            f"every role of the server gets {what} on {names or 'all ' + grant.kind + 's'}",
            word(statement, "public"),
            _PUBLIC.sub("a_role", statement.text) + ";",
        )
