"""Callbacks that do nothing: the defaults of functions that report progress or ask a person.

What does not belong here: a callback that does something.
"""


def ignore(_: object) -> None:
    """Ignore what is reported."""


def no_answer(_: str) -> str | None:
    """Answer no question, as where there is no person to ask."""
    return None
