"""What a seed writes, what it has written, and its progress.

What does not belong here: writing (`files.py`, `scale.py`), generating (`chat_rows.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from chatdb_cli.postgres.model import Target


class Seeded(NamedTuple):
    """What a seed has written.

    Attributes:
        target: the target of the seed.
        tables: the name of each table that got rows, and their number.
        duration_ms: the time it took in milliseconds, connecting and checks included.
    """

    target: Target
    tables: tuple[tuple[str, int], ...]
    duration_ms: int


class SeedProgress(NamedTuple):
    """The progress of a seed.

    Attributes:
        what: what is being done, in words.
        done: how much of it is done.
        total: how much there is to do.
    """

    what: str
    done: int
    total: int


class Block(NamedTuple):
    """Some rows of one table, in COPY's binary format without its header and trailer.

    Attributes:
        table: the name of the table.
        rows: the number of rows.
        data: their bytes.
    """

    table: str
    rows: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """A generated channel and its members.

    Attributes:
        id: its id, as a field of a row.
        members: people by number; the owner first, and those who write more before those who write less.
        unread: how many messages each member has not read; the maximum for a member who has read none.
        recent: the ids of the newest messages.
    """

    id: bytes
    members: Sequence[int]
    unread: Sequence[int]
    recent: deque[bytes]
