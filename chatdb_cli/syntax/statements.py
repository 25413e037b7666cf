"""The statements of a SQL file, split by PostgreSQL's own grammar.

What does not belong here: effects of a statement (`effects.py`), refused statements (`refusal.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import skip_blanks

if TYPE_CHECKING:
    from collections.abc import Iterator


class Statement(NamedTuple):
    """One statement of a file.

    Attributes:
        text: the text of the statement, unchanged, without its semicolon.
        offset: its start in the text of the file, in characters.
    """

    text: str
    offset: int


def split_statements(text: str) -> tuple[Statement, ...] | None:
    """Split a file into its statements, as PostgreSQL's own grammar does.

    Returns:
        The statements, none for a file of comments only; or None if the grammar can't read the file:
        it has a syntax error, or the syntax of a server that is newer than the parser.
    """
    import postgast

    try:
        pieces = postgast.split(text)
    except postgast.PgQueryError:
        return None
    return tuple(_locate_pieces(text, pieces))


def _locate_pieces(text: str, pieces: list[str]) -> Iterator[Statement]:
    """Yield the pieces of a text as statements with their offsets."""
    # The splitter returns texts without offsets, but in order, and only blanks, comments and
    # semicolons are between two of them.
    position = 0
    for piece in pieces:
        stripped = piece[skip_blanks(piece, 0) :]
        position = skip_blanks(text, position)
        yield Statement(stripped, position)
        position += len(stripped)
