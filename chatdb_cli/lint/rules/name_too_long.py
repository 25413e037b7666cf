"""A name of more than 63 bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.locations import names_in
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_LONGEST = 63
_SUSPECT = re.compile(r'[\w$]{64}|"[^"\n]{64}')
_SUSPECT_UNICODE = re.compile(r'[\w$]{16}|"[^"\n]{16}')  # a character has up to 4 bytes

RULE = Rule(
    id="name-too-long",
    severity="error",
    title="A name of more than 63 bytes",
    why=(
        "PostgreSQL cuts it off with a notice that nobody sees, and two names with the same "
        "start become one: the second statement fails, or IF NOT EXISTS passes. The down file "
        "then has to name what is left."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text);",
    bad="CREATE INDEX users_email_and_name_for_the_search_in_the_administration_pages_idx ON users (email);",
    safe="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_idx ON users (email);
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    suspect = _SUSPECT if file.text.isascii() else _SUSPECT_UNICODE
    if not suspect.search(file.text):
        return
    for statement in file.statements:
        if not suspect.search(statement.text):
            continue
        for start, name in names_in(statement.text):
            size = len(name.encode())
            if size > _LONGEST:
                kept = name.encode()[:_LONGEST].decode(errors="ignore")
                at = statement.span.start + start
                yield Problem(
                    f"the name has {size} bytes; PostgreSQL keeps {kept}",
                    Span(at, at + len(name)),
                )
