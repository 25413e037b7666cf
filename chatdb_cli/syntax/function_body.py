"""Where in a file the body of a DO block or of a function is, and the lines of that body.

A server reports a failure in such a body by its own lines, the innermost call first:

    PL/pgSQL function inline_code_block line 4 at PERFORM
    PL/pgSQL function shop.add_order(integer) line 3 at assignment

The words are in the server's language; the names and the numbers are not.  What does not belong here:
the location of a statement that has a position (`location.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.syntax.statements import Statement

_CALL = re.compile(r"PL/pgSQL.*?(?P<name>inline_code_block|[^\s(]+\([^)]*\))\D*(?P<line>\d+)")
_BLOCK = "inline_code_block"
_LITERAL = ("'", "$")


class Body(NamedTuple):
    """A body in a file.

    Attributes:
        name: of the function, without its schema; None for a DO block.
        offset: where it begins in the file, in characters.
        text: the body, as it is written there.
    """

    name: str | None
    offset: int
    text: str


def find_failed_line(
    context: str,
    query: str | None,
    position: int,
    failed: Statement,
    statements: Sequence[Statement],
) -> tuple[int, bool] | None:
    """Return the offset in the file of what failed in a body, and whether that is exact.

    Args:
        context: the calls that the server reports.
        query: the statement in the body that failed, if the server reports it.
        position: where in that statement, in characters from 1; 0 if that is unknown.
        failed: the statement of the file that failed.
        statements: all statements of the file.

    Returns:
        The offset of the position in the file (True), or of the line (False); None if the innermost
        function that the file creates is not clear.
    """
    for call in context.splitlines():
        match = _CALL.search(call)
        if not match:
            continue
        name = match["name"]
        among = (failed,) if name == _BLOCK else statements
        short = None if name == _BLOCK else _short(name.partition("(")[0])
        bodies = [body for body in _bodies(among) if body.name == short]
        if len(bodies) != 1:
            if bodies:
                return None
            continue
        line = _line(bodies[0].text, int(match["line"]))
        if line is None:
            return None
        exact = _position(bodies[0].text, line, query, position) if query and position else None
        return bodies[0].offset + (line if exact is None else exact), exact is not None
    return None


def _position(body: str, line: int, query: str, position: int) -> int | None:
    """Return where in a body a position of one of its statements is; PL/pgSQL runs PERFORM as SELECT."""
    for written in (query, query.replace("SELECT", "PERFORM", 1)):
        found = body.find(written, line)
        if found >= 0:
            return found + position - 1 + len(written) - len(query)
    return None


def _bodies(statements: Sequence[Statement]) -> Iterator[Body]:
    for statement in statements:
        if not re.match(r"(?i)\s*(do|create)\b", statement.text):
            continue
        tokens = [
            token for token in scan_tokens(statement.text) if not token[1].startswith(("--", "/*"))
        ]
        words = [text.lower() for _, text in tokens]
        name: str | None = None
        first = 1
        if words[0] == "create":
            kind = 3 if words[1:3] == ["or", "replace"] else 1
            if words[kind : kind + 1] not in (["function"], ["procedure"]) or "(" not in words:
                continue
            name = _short(tokens[words.index("(") - 1][1])
            if "as" not in words[kind:]:
                continue
            first = words.index("as", kind) + 1
        literal = next((t for t in tokens[first:] if t[1].startswith(_LITERAL)), None)
        if literal:
            offset, text = literal
            mark = text[: text.index("$", 1) + 1] if text.startswith("$") else "'"
            start = statement.offset + offset + len(mark)
            yield Body(name, start, text[len(mark) : len(text) - len(mark)])


def _short(name: str) -> str:
    """Return the last part of a name as the catalog has it."""
    last: str = re.findall(r'"(?:""|[^"])*"|[^.]+', name)[-1]
    return last[1:-1].replace('""', '"') if last.startswith('"') else last.lower()


def _line(body: str, number: int) -> int | None:
    """Return where a line of a body begins; it is 1 where the body begins, after its quote."""
    position = 0
    for _ in range(number - 1):
        position = body.find("\n", position) + 1
        if not position:
            return None
    return position + len(body[position:]) - len(body[position:].lstrip(" \t"))
