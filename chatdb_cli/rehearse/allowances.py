"""`-- chatdb: allow-lock: MODE TABLE, why`: the locks that a file accepts.

In the leading comment it accepts the lock in every statement of the file, directly before a statement in
that one.  What does not belong here: whether such a comment is well formed (`files/directives.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.lock_modes import parse_lock
from chatdb_cli.syntax.scan import comments, leading_comments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.syntax.statements import Statement

_ALLOWANCE = re.compile(r"--\s*chatdb\s*:\s*allow-lock\s*:([^,]+),(.+)", re.IGNORECASE)


class Allowance(NamedTuple):
    """A lock that a file accepts.

    Attributes:
        strength: the position of its mode, from the weakest; weaker ones are accepted, too.
        relation: the relation as the file names it.
        why: the reason.
        statement: the number of the only statement in which it is accepted, or None for all.
        offset: the place of the directive in the text, in characters.
    """

    strength: int
    relation: str
    why: str
    statement: int | None
    offset: int


def read_allowances(text: str, statements: Sequence[Statement] | None) -> tuple[Allowance, ...]:
    """Return the locks that a file accepts.

    Args:
        text: the text of the file.
        statements: its statements, or None if it could not be split.
    """
    if "allow-lock" not in text.lower():  # most files accept none
        return ()
    head = {offset for offset, _ in leading_comments(text)}
    offsets = [statement.offset for statement in statements or ()]
    allowances = []
    for offset, comment in comments(text):
        match = _ALLOWANCE.match(comment)
        lock = parse_lock(match[1]) if match else None
        if match is None or lock is None:
            continue
        following = None
        if offset not in head:
            following = next((n for n, start in enumerate(offsets) if start > offset), None)
        allowances.append(Allowance(*lock, match[2].strip(), following, offset))
    return tuple(allowances)
