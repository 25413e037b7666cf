"""A change event, and the events of one read of the change log.

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
    """An event: a row was changed.  It does not contain the row's values.

    Attributes:
        seq: the order of the events of one read; not a position to continue from.
        table: the table, one of `TABLES`.
        op: what was done; a soft delete is a delete.
        row_id: the id of the row; for a key of two columns, both joined by a colon.
        channel_id: the channel of the row, if it has one.
        user_id: the user of the row, if it has one.
        at: when, in UTC.
        cursor: where to continue after this event.
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
    """The events of one read.

    Attributes:
        events: the events in order; empty if no topic matches.
        cursor: where to continue after them.
        resync: why events may be missing before this cursor, or None.
    """

    events: tuple[Change, ...]
    cursor: str
    resync: str | None = None
