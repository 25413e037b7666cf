"""Allowances: `-- chatdb: allow: RULE, why`, in the head of a file or directly before a statement.

What does not belong here: checking that a directive is well formed (`files/directives.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import leading_comments
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.model import SqlFile

_ALLOW = re.compile(r"--\s*chatdb\s*:\s*allow\s*:\s*([\w-]+)\s*,\s*(\S.*)", re.IGNORECASE)


class Allowance(NamedTuple):
    """A directive that silences a rule.

    Attributes:
        rule: the id of the rule.
        span: the directive in the text of the file.
        covers: the part of the file in which it silences the rule.
    """

    rule: str
    span: Span
    covers: Span


def find_allowances(file: SqlFile) -> list[Allowance]:
    """Return the allowances of a file."""
    if "allow" not in file.text.lower():
        return []
    return list(_allowances(file))


def _allowances(file: SqlFile) -> Iterator[Allowance]:
    end = 0
    whole = Span(0, len(file.text) + 1)
    for number, statement in enumerate(file.statements):
        covers = statement.span if number else whole
        yield from _in_comments(file.text[: statement.span.start], end, covers)
        end = statement.span.end
    if not file.statements:
        yield from _in_comments(file.text, 0, whole)


def _in_comments(text: str, start: int, covers: Span) -> Iterator[Allowance]:
    for offset, comment in leading_comments(text[start:]):
        if match := _ALLOW.match(comment):
            place = Span(start + offset, start + offset + len(comment.rstrip()))
            yield Allowance(match[1].lower(), place, covers)
