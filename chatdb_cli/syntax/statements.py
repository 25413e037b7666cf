"""The statements of a SQL file, split by PostgreSQL's own grammar.

    split_statements    all statements of a text
    Statement           one of them
    Statements          those of a large text, each made when it is asked for

The grammar needs about ten times the memory of the text that it reads.  So a large text is read in parts
that end after a statement.  What does not belong here: effects of a statement (`effects.py`), refused
statements (`refusal.py`).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from chatdb_cli.syntax.scan import skip_blanks

if TYPE_CHECKING:
    from collections.abc import Iterator

# A text of more characters than this is read in parts of about this size.
_PART = 1 << 20
# A single statement of more than this is not parsed, only scanned for its end.
_LARGEST_PARSED = 4 << 20
# What may hold semicolons outside of literals that do not end a statement.
_INNER_STATEMENTS = re.compile(r"create.{0,60}\brule\b|begin.{0,60}\batomic\b", re.I | re.DOTALL)
# Where a part may end: a semicolon at the end of a line.
_LINE_WITH_END = re.compile(r"^(.*);[ \t]*\r?$", re.MULTILINE)


class Statement(NamedTuple):
    """One statement of a file.

    Attributes:
        text: the text of the statement, unchanged, without its semicolon.
        offset: its start in the text of the file, in characters.
    """

    text: str
    offset: int


class Statements(Sequence[Statement]):
    """The statements of a large text, which takes little more memory than the text.

    Args:
        text: the text of the file.
        bounds: the start and the end of each statement, one after the other.
    """

    def __init__(self, text: str, bounds: array[int]) -> None:
        self._text = text
        self._bounds = bounds

    def __len__(self) -> int:
        """Return the number of statements."""
        return len(self._bounds) // 2

    @overload
    def __getitem__(self, index: int) -> Statement: ...

    @overload
    def __getitem__(self, index: slice) -> Statements: ...

    def __getitem__(self, index: int | slice) -> Statement | Statements:
        """Return a statement, or some of them."""
        if isinstance(index, slice):
            bounds = array("q")
            for n in range(*index.indices(len(self))):
                bounds.extend(self._bounds[2 * n : 2 * n + 2])
            return Statements(self._text, bounds)
        n = range(len(self))[index]
        start, end = self._bounds[2 * n : 2 * n + 2]
        return Statement(self._text[start:end], start)


def split_statements(text: str) -> Sequence[Statement] | None:
    """Split a file into its statements, as PostgreSQL's own grammar does.

    Returns:
        The statements, none for a file of comments only; or None if the grammar can't read the file:
        it has a syntax error, or the syntax of a server that is newer than the parser.
    """
    if len(text) > _PART:
        return _split_large(text)
    pieces = _split(text)
    return None if pieces is None else tuple(_locate_pieces(text, pieces))


def _split(text: str) -> list[str] | None:
    import postgast

    try:
        pieces: list[str] = postgast.split(text)
    except postgast.PgQueryError:
        return None
    return pieces


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


def _split_large(text: str) -> Statements | None:
    """Split a large text part by part."""
    bounds = array("q")
    start = 0
    while start < len(text):
        part = _next_part(text, start)
        if part is None:
            return None
        end, pieces = part
        for statement in _locate_pieces(text[start:end], pieces):
            offset = start + statement.offset
            bounds.extend((offset, offset + len(statement.text)))
        start = end
    return Statements(text, bounds)


def _next_part(text: str, start: int) -> tuple[int, list[str]] | None:
    """Return the end of the next part that holds whole statements, and these; None if there is none.

    The part is right if the grammar can read it, because the parser is deterministic: what it has read
    up to a semicolon that ends a statement does not depend on what follows.  A semicolon in a literal, a
    comment, parentheses or a body leaves a part that the grammar can't read; for one in a line comment,
    it can, so no line with `--` counts.
    """
    size = _PART
    while True:
        end = _find_end(text, start, start + size)
        part = text[start:end]
        scannable = len(part) > _LARGEST_PARSED and not _INNER_STATEMENTS.search(part)
        pieces = _scan(part) if scannable else _split(part)
        if pieces is not None:
            return end, pieces
        if end == len(text):
            return None
        size = max(2 * size, end - start)


def _scan(text: str) -> list[str] | None:
    """Split a text by its tokens alone, which is right where each semicolon ends a statement."""
    import postgast

    try:
        pieces: list[str] = postgast.split(text, method="scanner")
    except postgast.PgQueryError:
        return None
    return pieces


def _find_end(text: str, start: int, wanted: int) -> int:
    """Return the first place from `wanted` on where a statement may end, or the end of the text."""
    if wanted >= len(text):
        return len(text)
    position = text.rfind("\n", start, wanted) + 1
    for line in _LINE_WITH_END.finditer(text, max(position, start)):
        if "--" not in line[1]:
            return line.end()
    return len(text)
