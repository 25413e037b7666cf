"""From a byte of the parse tree to a character of the text.

The grammar counts bytes of UTF-8, everything else here counts characters.  What does not belong here:
lines and columns (`syntax/location.py`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatdb_cli.syntax.tree.model import Name, Statement

# A literal, a quoted name, a comment, a word, or any other character.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\r\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|[^\W\d][\w$]*|\d[\w.]*|\s+|.""",
    re.DOTALL,
)


def character_offsets(text: str) -> Callable[[int], int]:
    """Return a function from an offset in bytes to the one in characters; -1 stays -1."""
    if text.isascii():
        return int
    # The bytes that continue a character: those before an offset are the difference.
    data = text.encode()
    continuing = [n for n, byte in enumerate(data) if byte & 0xC0 == 0x80]
    return lambda byte: byte - bisect_left(continuing, byte) if byte > 0 else byte


def find_name(statement: Statement[object], name: Name | str) -> int:
    """Return where a name is in the text of its file; the start of the statement if it is not found.

    Args:
        statement: the statement that contains it.
        name: a name whose offset the grammar gives is not looked up.
    """
    offset = -1 if isinstance(name, str) else name.offset
    if offset >= 0:
        return offset
    word = name if isinstance(name, str) else name.name
    if not word:
        return statement.span.start
    quoted = '"' + word.replace('"', '""') + '"'
    for token in _TOKEN.finditer(statement.text):
        if token[0].lower() == word or token[0] == quoted:
            return statement.span.start + token.start()
    return statement.span.start


def names_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, name) for each word and each quoted name; literals and comments are left out."""
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first == '"':
            yield token.start() + 1, token[0][1:-1].replace('""', '"')
        elif first.isalpha() or first == "_":
            yield token.start(), token[0]


def end_of_part(statement: Statement[object], start: int) -> int:
    """Return the end of the column, constraint or action that starts at an offset.

    It ends before the next comma, closing parenthesis or end of the statement.

    Args:
        statement: the statement that contains it.
        start: an offset in the text of the file.
    """
    depth = 0
    end = base = start - statement.span.start
    for token in _TOKEN.finditer(statement.text, base):
        text = token[0]
        if depth == 0 and text in ",)":
            break
        depth += (text == "(") - (text == ")")
        if not text.isspace() and not text.startswith(("--", "/*")):
            end = token.end()
    return statement.span.start + max(end, base)
