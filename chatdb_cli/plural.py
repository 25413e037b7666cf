"""A number with its noun, in the singular or the plural.

What does not belong here: any other sentence.
"""

from __future__ import annotations


def plural(number: int, noun: str, more: str | None = None) -> str:
    """Return a number and its noun: `1 row`, `2,000 rows`.

    Args:
        number: how many.
        noun: for one.
        more: for any other number; the noun with an `s` if it is not given.
    """
    return f"{number:,} {noun if number == 1 else more or f'{noun}s'}"
