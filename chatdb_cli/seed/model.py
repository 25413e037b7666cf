"""What a seed wrote, and how far it is.

What does not belong here: writing (`files.py`, `scale.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chatdb_cli.postgres.model import Target


class Seeded(NamedTuple):
    """What a seed has written.

    Attributes:
        target: where.
        tables: each table that got rows, and how many.
        duration_ms: how long it took, with the connection and the checks.
    """

    target: Target
    tables: tuple[tuple[str, int], ...]
    duration_ms: int


class SeedProgress(NamedTuple):
    """How far a seed is.

    Attributes:
        what: what is being done, in words.
        done: how much of it.
        total: how much there is.
    """

    what: str
    done: int
    total: int
