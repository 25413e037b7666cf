"""A change event, and what was read of the change log at once.

What does not belong here: reading it (`listener.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal


@dataclass(frozen=True, slots=True)
class Change:
    """An event: something has happened to a row.  What is in the row is not said.

    Attributes:
        seq: orders what was read at once; no position to go on from.
        table: one of `TABLES`.
        op: a soft delete is a delete.
        row_id: its id; both columns of a key of two, joined by a colon.
        channel_id: the channel that it is about, if there is one.
        user_id: the user whose row it is.
        at: when, in UTC.
        cursor: where to go on behind it.
    """

    seq: int
    table: str
    op: Literal["insert", "update", "delete"]
    row_id: str
    channel_id: str | None
    user_id: str | None
    at: datetime
    cursor: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read at once.

    Attributes:
        events: in their order; none where no topic wants any.
        cursor: where to go on behind them.
        resync: why events may be missing before this cursor, or None.
    """

    events: tuple[Change, ...]
    cursor: str
    resync: str | None = None
