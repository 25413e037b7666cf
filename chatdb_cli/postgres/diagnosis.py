"""From an exception of psycopg to an error of chatdb: message, location in the file, facts, hint.

What does not belong here: what to do next in a run (`migrate/`), rendering an error (`cli/render/`).
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import IN_FUNCTION, ChatdbError, Code, Location
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.secrets import hide, is_secret, mask_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from psycopg.errors import Diagnostic

    from chatdb_cli.syntax.statements import Statement


def statement_error(
    error: psycopg.Error,
    path: Path,
    text: str,
    statement: Statement,
    *,
    direction: str = "up",
    notes: tuple[str, ...] = (),
) -> ChatdbError:
    """Return the error of a statement of a file, with its location and the line.

    Args:
        error: psycopg's exception.
        path: the file.
        text: the whole text of the file.
        statement: the statement that failed.
        direction: up or down, which continues when the file is correct.
        notes: what happened to the run; the last notes of the error.
    """
    from chatdb_cli.postgres.hints import hint_for

    diag = error.diag
    position = diag.statement_position
    if position is not None:
        # PostgreSQL counts characters of what was sent, from 1.
        offset = statement.offset + int(position) - 1
        offset = min(offset, len(text.rstrip()))  # "at end of input" is after the last word
        place = locate(text, offset, path)
    else:
        offset = statement.offset
        at = locate(text, offset, path, context=0)
        place = Location(path, at.line, None, at.excerpt)
    secret = is_secret(text)
    server_facts = () if secret else (hide(fact, statement.text) for fact in _facts(diag))
    facts = [*server_facts, *notes]
    if position is not None and (character := _invisible_character(text, offset)):
        facts.insert(0, character)
    message = diag.message_primary or str(error).strip()
    message = hide(message, statement.text, everything=secret)
    return ChatdbError(
        Code.STATEMENT,
        message,
        place=place,
        inner=None if secret else _inner(diag),
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, diag)
        or Advice(f"correct the file and run {{{direction}}} again"),
        notes=tuple(facts),
    )


def server_error(error: psycopg.Error, code: Code, what: str) -> ChatdbError:
    """Return the error of a statement of chatdb's own.

    Args:
        error: psycopg's exception.
        code: the kind of error.
        what: what could not be done, the start of the message.
    """
    from chatdb_cli.postgres.hints import hint_for

    message = (
        error.diag.message_primary or str(error).strip().partition("\n")[0] or "no reason given"
    )
    return ChatdbError(
        code,
        f"{what}: {mask_message(message)}",
        inner=_inner(error.diag),
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, error.diag),
        notes=tuple(_facts(error.diag)),
    )


def unexpected_error(
    error: psycopg.Error,
    what: str = "a statement of chatdb's own failed",
    otherwise: Code = Code.HISTORY,
) -> ChatdbError:
    """Return the error of a statement that is not expected to fail, by its SQLSTATE.

    Without a SQLSTATE, or with one of class 08 or 57P, the connection is lost.

    Args:
        error: psycopg's exception.
        what: what could not be done, the start of the message.
        otherwise: the kind of error for all other SQLSTATEs.
    """
    from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE

    sqlstate = error.sqlstate or ""
    if not sqlstate or sqlstate.startswith(("08", "57P")):
        return server_error(error, Code.LOST, f"{what}, the connection was lost")
    codes = {INSUFFICIENT_PRIVILEGE: Code.LOGIN, LOCK_NOT_AVAILABLE: Code.LOCKED}
    return server_error(error, codes.get(sqlstate, otherwise), what)


@contextmanager
def explain_failures(what: str, otherwise: Code = Code.HISTORY) -> Iterator[None]:
    """Turn an exception of psycopg in the block into a `ChatdbError` that tells what failed.

    The arguments are those of `unexpected_error`.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise unexpected_error(error, what, otherwise) from None


def _facts(diag: Diagnostic) -> list[str]:
    facts = []
    if diag.message_detail:
        facts.append(f"server detail: {diag.message_detail}")
    if diag.message_hint:
        facts.append(f"server hint: {diag.message_hint}")
    if diag.internal_query:
        facts.append(f"{IN_FUNCTION}\n{diag.context or ''}".rstrip())
    elif diag.context:
        label = "in function" if "function" in diag.context else "server context"
        facts.append(f"{label}: {diag.context}")
    return [mask_message(fact) for fact in facts]


def _inner(diag: Diagnostic) -> Location | None:
    """Return the location in the statement of a function that failed."""
    if not diag.internal_query:
        return None
    position = int(diag.internal_position or 0)
    place = locate(diag.internal_query, max(position - 1, 0), Path(), context=0)
    return place if position else place._replace(column=None)


def _invisible_character(text: str, offset: int) -> str | None:
    """Return a note about an invisible character in the word at an error, or None."""
    for n, char in enumerate(text[offset : offset + 100]):
        if n > 1 and char.isascii() and not (char.isalnum() or char in "_$"):
            return None
        if ord(char) > 127 and unicodedata.category(char) in ("Cf", "Zs", "Zl", "Zp", "Co"):
            name = unicodedata.name(char, "unnamed")
            return f"there is an invisible character here: U+{ord(char):04X} {name}"
    return None
