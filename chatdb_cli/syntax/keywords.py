"""Keywords: which names have to be quoted because of them.

What does not belong here: quoting (`identifiers.py`).
"""

from __future__ import annotations

from functools import cache


def is_reserved(word: str) -> bool:
    """Return whether a word in lower case is a keyword that can't name a table or a column."""
    return _kind(word) in (3, 4)  # TYPE_FUNC_NAME_KEYWORD, RESERVED_KEYWORD


def keyword(word: str) -> bool:
    """Return whether a word in lower case is a keyword of any kind."""
    return _kind(word) > 0


@cache
def _kind(word: str) -> int:
    """Return the kind of a keyword, as the scanner numbers them; 0 for a name."""
    import postgast

    try:
        tokens = postgast.scan(word).tokens
    except postgast.PgQueryError:
        return 0
    return int(tokens[0].keyword_kind) if len(tokens) == 1 else 0
