"""A SQL file cut into its statements, where PostgreSQL's own grammar cuts it.

What does not belong here: what a statement does (`effects.py`), which ones are refused (`refusal.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import skip_blanks

if TYPE_CHECKING:
    from collections.abc import Iterator


class Statement(NamedTuple):
    """One statement of a file.

    Attributes:
        text: the statement as it stands in the file, without its semicolon.
        offset: where it begins in the file's text, in characters.
    """

    text: str
    offset: int


def split_statements(text: str) -> tuple[Statement, ...] | None:
    """Cut a file into its statements where PostgreSQL's own grammar does.

    Returns:
        The statements, none for a file of comments alone, or None when the grammar can't read the
        file: a mistake in it, or the syntax of a server that is newer than the parser.
    """
    import postgast

    try:
        pieces = postgast.split(text)
    except postgast.PgQueryError:
        return None
    return tuple(_locate_pieces(text, pieces))


def _locate_pieces(text: str, pieces: list[str]) -> Iterator[Statement]:
    # The splitter gives texts without offsets, but in order, and nothing but blanks, comments and
    # semicolons stands between two of them.
    position = 0
    for piece in pieces:
        stripped = piece[skip_blanks(piece, 0) :]
        position = skip_blanks(text, position)
        yield Statement(stripped, position)
        position += len(stripped)
