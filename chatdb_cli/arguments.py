"""The types of arguments, for callers that no type checker warns.

What does not belong here: the values of arguments (the function that takes them).
"""

from __future__ import annotations


def require_type(value: object, expected: type, remedy: str) -> None:
    """Raise an error that says what to pass, if a value is of another type.

    Args:
        value: the argument; the error does not show it, since it may contain a password.
        expected: its type.
        remedy: how to get a value of that type.

    Raises:
        TypeError: the value is of another type.
    """
    if not isinstance(value, expected):
        actual = "None" if value is None else f"of type {type(value).__name__}"
        raise TypeError(
            f"the argument must be of type {expected.__name__} and is {actual}: {remedy}"
        )
