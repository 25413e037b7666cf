"""Tokens and comments of SQL text, from PostgreSQL's own scanner.

What does not belong here: statements (`statements.py`), directives (`files/directives.py`).
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
    """Yield (offset, comment) for each `--` comment before the first statement."""
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
    """Yield (offset, comment) for each `--` comment, up to the first error of the scanner.

    Text inside a literal, a dollar-quoted function body or a block comment is not a comment.
    """
    return ((offset, token) for offset, token in scan_tokens(text) if token.startswith("--"))


def _block_comment_end(text: str, position: int) -> int:
    """Return the end of the block comment that starts at `position`; block comments nest."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def skip_blanks(text: str, position: int) -> int:
    """Return the first offset, from `position`, that is not a blank, a semicolon or a comment."""
    while True:
        if match := _BLANK.match(text, position) or _LINE_COMMENT.match(text, position):
            position = match.end()
        elif text.startswith("/*", position):
            position = _block_comment_end(text, position)
        else:
            return position


def scan_tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, token), including comments, up to the first error of the scanner."""
    import postgast

    scanned = None
    while scanned is None:
        try:
            scanned = postgast.scan(text)
        except postgast.PgQueryError as error:
            # The scanner returns no tokens at all, so scan the text before the error again.  The error
            # is at an unterminated literal or a wrong escape; its position counts characters from 1.
            text = text[: min(max(error.cursorpos - 1, 0), len(text) - 1)]
    data = text.encode()
    byte = offset = 0
    for token in scanned.tokens:
        offset += len(data[byte : token.start].decode())
        byte = token.start
        yield offset, data[token.start : token.end].decode()
