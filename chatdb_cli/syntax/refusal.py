"""Refusals: statements that a migration must not contain (transaction control, client COPY, psql).

What does not belong here: refusals that depend on the database (`migrate/guards/`).
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.syntax.statements import Statement

_WORD = re.compile(r"[A-Za-z]+")
# The first words of the statements that may be refused.
_SUSPECT = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "COPY"))
# Refused statements as words, without comments and without text in parentheses.
_COPY_CLIENT = re.compile(r"COPY .*\b(FROM|TO) (?:STDIN|STDOUT)\b")
_CONTROL = re.compile(
    r"(BEGIN|START TRANSACTION|COMMIT|END|ABORT|ROLLBACK|PREPARE TRANSACTION)\b"
    r"(?! PREPARED\b| (?:WORK |TRANSACTION )?TO\b)"
)


class Refusal(NamedTuple):
    """Why a statement can't be part of a migration.

    Attributes:
        offset: its place in the text, in characters.
        message: what is wrong.
        hint: what to do instead.
    """

    offset: int
    message: str
    hint: str


def find_refusal(text: str, statements: Sequence[Statement] | None) -> Refusal | None:
    """Return the first statement of a file that no migration may contain, or None.

    Transaction control would end the transaction that keeps a migration atomic; COPY from or to the
    client has no client; a psql command is not SQL.

    Args:
        text: the text of the file.
        statements: the result of `split_statements` for it.
    """
    if statements is None:
        return _refusal_by_words(text, 0)
    for statement in statements:
        word = _WORD.match(statement.text)
        if (
            word
            and word[0].upper() in _SUSPECT
            and (refusal := _refusal_by_words(statement.text, statement.offset))
        ):
            return refusal
    return None


def _refusal_by_words(text: str, base: int) -> Refusal | None:
    """Return the first refusal in a part of a file.

    This compares the scanner's words, because the parser may not know the syntax of a newer server.

    Args:
        text: the part.
        base: the offset of the part in its file.
    """
    words: list[str] = []
    start = depth = 0
    for offset, piece in chain(scan_tokens(text), [(len(text), ";")]):
        if piece.startswith(("--", "/*")):
            continue
        if piece == "\\":
            return Refusal(base + offset, *_psql_command(text, offset))
        if piece == ";" and (depth == 0 or offset == len(text)):
            if refusal := _refused_statement(" ".join(words)):
                return Refusal(base + start, *refusal)
            words = []
            continue
        if not words:
            start = offset
        depth += _nesting(piece.upper(), words, depth)
        if depth == 0 or not words:
            # A literal or a quoted name is not a word, whatever its content.
            words.append(piece.upper() if len(piece) == 1 or piece.isidentifier() else "?")
    return None


def _nesting(word: str, before: list[str], depth: int) -> int:
    """Return 1 if a word opens parentheses or a BEGIN ATOMIC body, -1 if it closes one, else 0."""
    if word == "(" or (word == "ATOMIC" and before[-1:] == ["BEGIN"]) or (word == "CASE" and depth):
        return 1
    return -1 if depth and word in (")", "END") else 0


def _refused_statement(words: str) -> tuple[str, str] | None:
    """Return message and hint for a refused statement, given as words, or None."""
    if match := _COPY_CLIENT.match(words):
        direction = "FROM STDIN" if match[1] == "FROM" else "TO STDOUT"
        return (
            f"COPY {direction} needs a client that sends or receives the rows",
            "write the rows as INSERT ... VALUES, or COPY from a file on the server",
        )
    if match := _CONTROL.match(words):
        return (
            f"{match[1]} would interfere with the transaction that keeps a migration atomic",
            "remove it: chatdb runs each file in one transaction; a SAVEPOINT is fine",
        )
    return None


def _psql_command(text: str, offset: int) -> tuple[str, str]:
    if text.startswith(("\\'", '\\"'), offset):
        return (
            "a backslash outside of a literal is not SQL",
            "double a quote inside of a literal, or write E'...' if a backslash escapes it: files are"
            " read with standard_conforming_strings on",
        )
    command = re.split(r"[\s'\"]", text[offset:], maxsplit=1)[0]
    return f"{command} is a command of psql, not SQL", "write the same in SQL, or remove it"
