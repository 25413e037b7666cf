"""Locations: the line and column of an offset in a text, with the lines to show.

Offsets count characters, as PostgreSQL's error positions do.  What does not belong here:
drawing the excerpt (`cli/render/`).
"""

from __future__ import annotations

import re
from pathlib import Path

from chatdb_cli.errors import Location
from chatdb_cli.syntax.secrets import is_secret, mask

LINE_END = re.compile(r"\r\n|\r|\n")


def locate(text: str, offset: int, path: Path | str, *, context: int = 1) -> Location:
    """Return the line and column of an offset, with the lines to show; none of a secret file.

    Args:
        text: the whole text of the file.
        offset: in characters, from 0; one after the end counts as the end.
        path: the file, for `Location.file`.
        context: the number of lines before that line to show.
    """
    offset = min(offset, len(text))
    if text[offset - 1 : offset + 1] == "\r\n":  # one line end, not two
        offset -= 1
    start = _line_start(text, offset)
    line = 1 + sum(text.count(end, 0, start) for end in "\r\n") - text.count("\r\n", 0, start)
    if is_secret(text):
        return Location(Path(path), line, offset - start + 1)
    # Masked as a whole: what a literal belongs to may be on another line.
    shown = mask(text)
    first = start
    for _ in range(context):
        first = _line_start(text, max(first - 1, 0)) if first else 0
    lines = LINE_END.split(shown[first : _line_end(text, start)])
    return Location(
        Path(path), line, offset - start + 1, tuple(enumerate(lines, line - len(lines) + 1))
    )


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _line_end(text: str, offset: int) -> int:
    match = LINE_END.search(text, offset)
    return match.start() if match else len(text)
