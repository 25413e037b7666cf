"""A text into statements.

What does not belong here: splitting without a tree (`syntax/statements.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import skip_blanks
from chatdb_cli.syntax.secrets import hide, is_secret
from chatdb_cli.syntax.tree.locations import character_offsets
from chatdb_cli.syntax.tree.model import Span, Statement
from chatdb_cli.syntax.tree.statements import read_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.syntax.tree.model import Body


class Unreadable(NamedTuple):
    """Why PostgreSQL's grammar can't read a text.

    Attributes:
        message: the words of the grammar.
        offset: where it stopped, in characters.
    """

    message: str
    offset: int


def parse_statements(text: str) -> tuple[Statement[Body], ...] | Unreadable:
    """Parse a file into its statements.

    Args:
        text: the text of the file.

    Returns:
        The statements, or why the grammar can't read the file: it has a syntax error, or the syntax of a
        server that is newer than the parser.
    """
    import postgast

    try:
        tree = postgast.parse(text)
    except postgast.PgQueryError as error:
        message = hide(str(error.message), text, everything=is_secret(text))
        return Unreadable(message, max(error.cursorpos - 1, 0))
    return tuple(_statements(text, tree))


def _statements(text: str, tree: object) -> Iterator[Statement[Body]]:
    offsets = character_offsets(text)
    for raw in tree.stmts:  # type: ignore[attr-defined]
        start = skip_blanks(text, offsets(raw.stmt_location))
        end = offsets(raw.stmt_location + raw.stmt_len) if raw.stmt_len else len(text)
        end = start + len(text[start:end].rstrip())
        body = read_statement(raw.stmt, offsets)
        yield Statement(Span(start, end), text[start:end], body)
