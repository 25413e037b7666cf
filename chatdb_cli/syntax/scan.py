"""Tokens and comments of SQL text, by PostgreSQL's own scanner.

What does not belong here: statements (`statements.py`), what a directive means (`files/directives.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANK = re.compile(r"[ \t\r\n\f\v;]+")
_LINE_COMMENT = re.compile(r"--[^\r\n]*")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def leading_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, comment) for each `--` comment that stands before the first statement."""
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
        elif comment := _LINE_COMMENT.match(text, position):
            yield position, comment[0]
            position = comment.end()
        elif text.startswith("/*", position):
            position = _block_comment_end(text, position)
        else:
            return


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, comment) for each `--` comment, up to where the scanner can't read on.

    What looks like one inside a literal, a function body in dollar quotes or a block comment is
    none.
    """
    return ((offset, token) for offset, token in scan_tokens(text) if token.startswith("--"))


def _block_comment_end(text: str, position: int) -> int:
    """Return where the block comment that begins at `position` ends; they nest."""
    depth = 0
    for found in _COMMENT_MARK.finditer(text, position):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def skip_blanks(text: str, position: int) -> int:
    """Return the first offset from `position` on that is neither blank, semicolon nor comment."""
    while True:
        if found := _BLANK.match(text, position) or _LINE_COMMENT.match(text, position):
            position = found.end()
        elif text.startswith("/*", position):
            position = _block_comment_end(text, position)
        else:
            return position


def scan_tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, token), comments too, up to where the scanner can't read on."""
    import postgast

    scanned = None
    while scanned is None:
        try:
            scanned = postgast.scan(text)
        except postgast.PgQueryError as error:
            # All or nothing: what stands before the place that it names, in characters from 1, is
            # tried again.  A literal without an end begins there, or an escape inside one is wrong.
            text = text[: min(max(error.cursorpos - 1, 0), len(text) - 1)]
    data = text.encode()
    byte = offset = 0
    for token in scanned.tokens:
        offset += len(data[byte : token.start].decode())
        byte = token.start
        yield offset, data[token.start : token.end].decode()
