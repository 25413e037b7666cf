"""Statements that change the whole server, not only their database, as far as the text shows it.

What does not belong here: effects that are not rolled back (`effects.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CANDIDATE = re.compile(
    r"\b(?:role|user|group|tablespace|database|system|revoke|owned)\b", re.IGNORECASE
)
_CHANGES = ("DROP", "ALTER")
_SHARED = ("ROLE", "USER", "GROUP", "TABLESPACE", "DATABASE", "SYSTEM")
_BODY = re.compile(r"\$\w*\$")


class ServerEffect(NamedTuple):
    """A statement that changes or drops what the databases of a server share.

    Attributes:
        offset: its place in the text, in characters.
        what: the command, such as `DROP ROLE`.
    """

    offset: int
    what: str


def find_server_effects(
    text: str, statements: Sequence[Statement] | None
) -> Iterator[ServerEffect]:
    """Yield each statement that drops or alters a role, a tablespace, a database or the server.

    Creating one changes nothing that exists, so CREATE ROLE and GRANT are not among them.  DO blocks are
    searched, too; a command that a string of EXECUTE holds is not found.

    Args:
        text: the text of the file.
        statements: the result of `split_statements` for it.
    """
    for statement in (Statement(text, 0),) if statements is None else statements:
        if not _CANDIDATE.search(statement.text):
            continue
        tokens = [(o, t) for o, t in scan_tokens(statement.text) if not t.startswith(("--", "/*"))]
        for offset, what in _effects(tokens):
            yield ServerEffect(statement.offset + offset, what)


def _effects(tokens: Sequence[tuple[int, str]]) -> Iterator[ServerEffect]:
    words = [token.upper() for _, token in tokens]
    for n, (offset, token) in enumerate(tokens):
        first, second, third = [*words[n : n + 3], "", "", ""][:3]
        if first in _CHANGES and second in _SHARED and third != "MAPPING":
            yield ServerEffect(offset, f"{first} {second}")
        elif first == "REVOKE" and _is_membership(words[n + 1 :]):
            yield ServerEffect(offset, "REVOKE")
        elif words[0] == "DO" and (quote := _BODY.match(token)):
            body = token.removeprefix(quote[0]).removesuffix(quote[0])
            for inner in find_server_effects(body, None):
                yield inner._replace(offset=offset + len(quote[0]) + inner.offset)


def _is_membership(words: Sequence[str]) -> bool:
    """Return whether a REVOKE, from its second word on, takes a role and not a privilege away."""
    until = words.index("FROM") if "FROM" in words else len(words)
    return "ON" not in words[:until] and until < len(words)
