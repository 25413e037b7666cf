"""Which statements a migration must not contain: transaction control, client COPY, psql commands.

What does not belong here: refusing for the sake of the data (`migrate/guards/`).
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens

if TYPE_CHECKING:
    from chatdb_cli.syntax.statements import Statement

_WORD = re.compile(r"[A-Za-z]+")
# The words that a statement of a refused kind can begin with.
_SUSPECT = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "COPY"))
# What a refused statement looks like as words, without comments and what stands in parentheses.
_COPY_CLIENT = re.compile(r"COPY .*\b(FROM|TO) (?:STDIN|STDOUT)\b")
_CONTROL = re.compile(
    r"(BEGIN|START TRANSACTION|COMMIT|END|ABORT|ROLLBACK|PREPARE TRANSACTION)\b"
    r"(?! PREPARED\b| (?:WORK |TRANSACTION )?TO\b)"
)


class Refusal(NamedTuple):
    """Why a statement can't be part of a migration.

    Attributes:
        offset: where in the text, in characters.
        message: what is wrong.
        hint: the way out.
    """

    offset: int
    message: str
    hint: str


def find_refusal(text: str, statements: tuple[Statement, ...] | None) -> Refusal | None:
    """Return the first thing in the file that no migration may hold, or None.

    Transaction control would end the transaction that makes a migration whole; COPY from or to the
    client has no client; a psql command is no SQL.

    Args:
        text: the file.
        statements: what `split` returned for it.
    """
    if statements is None:
        return _refusal_by_words(text, 0)
    for statement in statements:
        word = _WORD.match(statement.text)
        if (
            word
            and word[0].upper() in _SUSPECT
            and (found := _refusal_by_words(statement.text, statement.offset))
        ):
            return found
    return None


def _refusal_by_words(text: str, base: int) -> Refusal | None:
    """Return the first refused thing of a text that stands at offset `base` of its file.

    The scanner's words tell it without the parser, which may not know a newer server's syntax.
    """
    words: list[str] = []
    start = depth = 0
    for offset, piece in chain(scan_tokens(text), [(len(text), ";")]):
        if piece.startswith(("--", "/*")):
            continue
        if piece == "\\":
            return Refusal(base + offset, *_psql_command(text, offset))
        if piece == ";" and (depth == 0 or offset == len(text)):
            if found := _refused_statement(" ".join(words)):
                return Refusal(base + start, *found)
            words = []
            continue
        if not words:
            start = offset
        depth += _nesting(piece.upper(), words, depth)
        if depth == 0 or not words:
            # A literal or a quoted name is no word, whatever it holds.
            words.append(piece.upper() if len(piece) == 1 or piece.isidentifier() else "?")
    return None


def _nesting(word: str, before: list[str], depth: int) -> int:
    """Return by how much a word opens or closes parentheses or the body of BEGIN ATOMIC."""
    if word == "(" or (word == "ATOMIC" and before[-1:] == ["BEGIN"]) or (word == "CASE" and depth):
        return 1
    return -1 if depth and word in (")", "END") else 0


def _refused_statement(words: str) -> tuple[str, str] | None:
    """Return message and hint for a statement, given as words, that no migration may hold."""
    if found := _COPY_CLIENT.match(words):
        what = "FROM STDIN" if found[1] == "FROM" else "TO STDOUT"
        return (
            f"COPY {what} needs a client that sends or takes the rows",
            "write the rows as INSERT ... VALUES, or COPY from a file of the server",
        )
    if found := _CONTROL.match(words):
        return (
            f"{found[1]} would interfere with the transaction that makes a migration whole",
            "remove it: chatdb runs each file in one transaction; a SAVEPOINT is fine",
        )
    return None


def _psql_command(text: str, offset: int) -> tuple[str, str]:
    command = text[offset:].split(maxsplit=1)[0]
    return f"{command} is a command of psql, not SQL", "write what it does as SQL, or leave it out"
