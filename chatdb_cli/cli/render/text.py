"""Text on a terminal: its width in cells, and control characters made harmless.

What does not belong here: what is written, streams (`cli/output.py`).
"""

from __future__ import annotations

import re
import unicodedata

# Control characters, which a terminal would obey; `printable` lets a line end and a tab pass.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# A text of this many characters is shown whole, of a longer one its start and its end.
_LONGEST_TEXT = 1000
_CONTROL_OR_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Escape the control characters of a text, except line ends and tabs."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)


def one_line(text: str) -> str:
    """Escape all control characters of a text, so that it stays on one line."""
    return _CONTROL_OR_BLANK.sub(lambda m: f"\\x{ord(m[0]):02x}", text)


def width(text: str) -> int:
    """Return how many cells a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    # rich counts the same; but it is imported only for a terminal.
    if char == "\u00ad":
        return 1
    # macOS decomposes Hangul in file names: these vowels and finals combine with the syllable before.
    if unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(before: str) -> str:
    """Return blanks as wide as a text; its tabs stay tabs."""
    return "".join("\t" if c == "\t" else " " * width(c) for c in before)


def shortened(text: str) -> str:
    """Return a text of the server without most of a long statement or value that is in it."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[: _LONGEST_TEXT - 200]}...{text[-100:]}"
