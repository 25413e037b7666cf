"""PostgreSQL's grammar can't read the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.refusal import find_refusal
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_LONGEST = 60

RULE = Rule(
    id="syntax",
    severity="error",
    title="PostgreSQL's grammar can't read the file",
    why=(
        "The server would refuse it too, unless it is newer than the parser. No other rule "
        "could look at the file."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY,);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY);",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    if file.unreadable is None or find_refusal(file.text, None) is not None:
        return
    at = min(file.unreadable.offset, len(file.text))
    # An unterminated literal is quoted up to the end of the file.
    message, near, quoted = file.unreadable.message.partition(" at or near ")
    if len(quoted) > _LONGEST or "\n" in quoted:
        near = quoted = ""
    yield Problem(message + near + quoted, Span(at, at + 1))
