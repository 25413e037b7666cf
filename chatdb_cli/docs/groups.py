"""The groups of functions that a user names in the head of a document.

    <!-- chatdb docs functions
    Messages: send_message list_messages
    Internals: ring_doorbell
    -->

What does not belong here: how a group is written (`markdown.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.docs.model import Function

_COMMENT = re.compile(r"^<!-- chatdb docs functions\n(.*?)^-->", re.MULTILINE | re.DOTALL)
_OTHER = "Other functions"


def group_functions(
    head: str, functions: Sequence[Function]
) -> Iterator[tuple[str, list[Function]]]:
    """Yield each group that has functions: its title, and its functions in the order of the head.

    Those that the head does not name come last, in a group of their own.  Without groups in the head,
    there is one, whose title is empty.

    Args:
        head: the text of the user.
        functions: all functions.
    """
    match = _COMMENT.search(head)
    if match is None:
        yield "", list(functions)
        return
    rest = list(functions)
    for line in match[1].splitlines():
        title, _, names = line.partition(":")
        group = [function for name in names.split() for function in rest if function.name == name]
        rest = [function for function in rest if function not in group]
        if group:
            yield title.strip(), group
    if rest:
        yield _OTHER, rest
