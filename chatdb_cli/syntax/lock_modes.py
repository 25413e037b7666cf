"""The modes of locks on tables, by the names that LOCK TABLE and PostgreSQL's manual use.

What does not belong here: which statement takes which lock (`lint/`, `rehearse/`).
"""

from __future__ import annotations

import re
from typing import Literal

LockMode = Literal[
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
# From the weakest to the strongest, as in the manual, "Table-Level Locks".
LOCK_MODES: tuple[LockMode, ...] = LockMode.__args__  # type: ignore[attr-defined]
_LOCK = re.compile(
    "({})\\s+(\\S.*)".format(
        "|".join(m.replace(" ", r"\s+") for m in sorted(LOCK_MODES, key=len, reverse=True))
    ),
    re.IGNORECASE,
)


def parse_lock(text: str) -> tuple[int, str] | None:
    """Return the strength of a mode and the table after it, or None if a text is not of this form.

    Args:
        text: such as `ACCESS EXCLUSIVE public.users`.
    """
    match = _LOCK.fullmatch(text.strip())
    if match is None:
        return None
    mode = " ".join(match[1].upper().split())
    return [str(m) for m in LOCK_MODES].index(mode), match[2]
