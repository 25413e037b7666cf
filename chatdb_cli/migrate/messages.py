"""Statements as messages: one of chatdb's own, those of a file, and a script for psql.

    to_message      one of chatdb's own statements
    START           BEGIN, and the reset of the session
    file_messages   the statements of a file
    split_pieces    the parts of a file that commit one after the other
    script_text     messages as text

What does not belong here: which messages a transaction has (`transaction.py`, `frame.py`), sending
(`postgres/pipeline.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from chatdb_cli.migrate import queries
from chatdb_cli.migrate.parts import Part
from chatdb_cli.postgres.messages import Lazy
from chatdb_cli.postgres.pipeline import Message
from chatdb_cli.syntax.effects import is_setting
from chatdb_cli.syntax.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatdb_cli.files.model import Script
    from chatdb_cli.syntax.statements import Statement

# The statements of a file, or of a part of it, with their numbers; None for one that could not be split.
Piece: TypeAlias = "Sequence[tuple[int, Statement]] | None"


def to_message(sql: str, part: Part) -> Message:
    """Return one of chatdb's own statements as a message."""
    return Message(sql.encode(), part)


# BEGIN, and the reset of what an earlier user of the session may have set.
START = (
    to_message(queries.BEGIN.format(isolation="READ COMMITTED"), Part.FRAME),
    *(to_message(s, Part.FRAME) for s in (*queries.RESETS, queries.NO_STATEMENT_TIMEOUT)),
)


def file_messages(
    script: Script, statements: Sequence[Statement] | None, *, flush: bool = False
) -> Sequence[Message]:
    """Return the statements of a file; a file that could not be split is one message.

    Args:
        script: the file.
        statements: its statements, or None if it could not be split.
        flush: the result of each statement is wanted as soon as it is there.
    """

    def make(number: int, statement: Statement) -> Message:
        return Message(statement.text.encode(), Part.FILE, number, flush=flush)

    if isinstance(statements, Statements):
        return Lazy(statements, make)
    if statements is not None:
        return [make(number, statement) for number, statement in enumerate(statements)]
    return [Message(script.text.encode(), Part.FILE, 0, simple_query=True)]


def split_pieces(script: Script, statements: Sequence[Statement] | None) -> list[Piece]:
    """Return the parts of a file that commit one after the other; the last one with its record.

    Only a file that needs no transaction, and that a guard runs in one, has more than one.  Each starts
    with the settings of those before it.
    """
    if not statements:
        return [None if statements is None else []]
    numbered = list(enumerate(statements))
    if script.directives.transactional:
        return [numbered]
    pieces: list[Piece] = []
    settings: list[tuple[int, Statement]] = []
    for number, statement in numbered:
        if is_setting(statement.text):
            settings.append((number, statement))
        else:
            pieces.append([*settings, (number, statement)])
    return pieces or [numbered]


def script_text(messages: Iterable[Message]) -> str:
    """Return messages as a script that psql can run."""
    return "".join(f"{m.sql.decode().rstrip()}\n;\n" for m in messages)
