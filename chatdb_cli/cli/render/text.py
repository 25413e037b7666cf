"""Text on a terminal: how many cells it takes.

What does not belong here: what is written.
"""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Return how many cells a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    # rich counts alike; but it is not imported where nothing is a terminal.
    if char == "\u00ad":
        return 1
    # A vowel of Hangul in pieces, as macOS names its files, stands in its syllable.
    if unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(before: str) -> str:
    """Return blanks as wide as a text; its tabs stay tabs."""
    return "".join("\t" if c == "\t" else " " * width(c) for c in before)
