"""Callbacks that do nothing: defaults of functions that report progress or ask a person.

What does not belong here: a callback that does something.
"""


def ignore(_: object) -> None:
    """Ignore a report."""


def no_answer(_: str) -> str | None:
    """Return None: no person can be asked."""
    return None
