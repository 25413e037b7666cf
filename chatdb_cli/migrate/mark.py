"""What tells the transactions of a run from all others, behind a pooler.

    RunMark     the UUID of a run, and the key of its advisory lock
    new_mark    one that no other run has

What does not belong here: the statements that use it (`transaction.py`), ending a run (`ending.py`).
"""

from __future__ import annotations

import uuid
from secrets import randbits
from typing import NamedTuple


class RunMark(NamedTuple):
    """What tells the transactions of a run from all others.

    Attributes:
        run: the UUID of the run.
        high: the first half of the key of its advisory lock.
        low: the second half.
    """

    run: str
    high: int
    low: int

    @property
    def key(self) -> str:
        """Both halves as SQL."""
        return f"{self.high}, {self.low}"


def new_mark() -> RunMark:
    """Return a mark that no other run has."""
    return RunMark(str(uuid.uuid4()), randbits(32) - 2**31, randbits(32) - 2**31)
