"""From an error of psycopg to an error of chatdb: message, place in the file, facts and hint.

What does not belong here: what to do next in a run (`migrate/`), drawing an error (`cli/render/`).
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.cli.render.text import pad
from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.postgres.sqlstates import hint_for
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.location import locate

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
    """Return the error of a file's statement, with its place and its line.

    Args:
        error: what the server said.
        path: the file.
        text: its whole text.
        statement: the statement that failed.
        direction: which command goes on when the file is correct.
        notes: what became of the run, to be said last.
    """
    diag = error.diag
    position = diag.statement_position
    if position is not None:
        # PostgreSQL counts characters of what was sent, from 1.
        offset = statement.offset + int(position) - 1
        offset = min(offset, len(text.rstrip()))  # "at end of input" is where the last word ends
        place = locate(text, offset, path)
    else:
        offset = statement.offset
        at = locate(text, offset, path, context=0)
        place = Location(path, at.line, None, at.excerpt)
    facts = [*_facts(diag), *notes]
    if position is not None and (odd := _invisible(text, offset)):
        facts.insert(0, odd)
    message = mask(diag.message_primary or str(error).strip())
    return ChatdbError(
        Code.STATEMENT,
        message,
        place=place,
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, diag)
        or f'correct the file and run "chatdb migrate {direction}" again',
        notes=tuple(facts),
    )


def server_error(error: psycopg.Error, code: Code, what: str) -> ChatdbError:
    """Return the error of a statement that chatdb itself sent.

    Args:
        error: what the server said.
        code: the kind.
        what: what could not be done, to begin the message with.
    """
    message = (
        error.diag.message_primary or str(error).strip().partition("\n")[0] or "no reason given"
    )
    return ChatdbError(
        code,
        f"{what}: {mask(message)}",
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, error.diag),
        notes=tuple(_facts(error.diag)),
    )


def unexpected_error(
    error: psycopg.Error,
    what: str = "a statement of chatdb's own failed",
    otherwise: Code = Code.HISTORY,
) -> ChatdbError:
    """Return the error of a statement of which no failure is foreseen, by its SQLSTATE.

    Without one, or with one of class 08 or 57P, the connection is gone.

    Args:
        error: what psycopg raised.
        what: what could not be done, to begin the message with.
        otherwise: the kind of an error that says nothing else.
    """
    sqlstate = error.sqlstate or ""
    if not sqlstate or sqlstate.startswith(("08", "57P")):
        return server_error(error, Code.LOST, f"{what}, the connection was lost")
    code = {"42501": Code.LOGIN, "55P03": Code.LOCKED}.get(sqlstate, otherwise)
    return server_error(error, code, what)


@contextmanager
def explain_failures(what: str, otherwise: Code = Code.HISTORY) -> Iterator[None]:
    """Turn what psycopg raises inside into a `ChatdbError` that says what could not be done."""
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
        facts.append(f"in function:\n{_inner(diag)}\n{diag.context or ''}".rstrip())
    elif diag.context:
        label = "in function" if "function" in diag.context else "server context"
        facts.append(f"{label}: {diag.context}")
    return [mask(fact) for fact in facts]


def _inner(diag: Diagnostic) -> str:
    """Return the line of a function's own statement that failed, with a caret under the place."""
    at = int(diag.internal_position or 0)
    place = locate(diag.internal_query or "", max(at - 1, 0), Path(), context=0)
    line = place.excerpt[-1][1]
    caret = f"\n  {pad(line[: (place.column or 1) - 1])}^" if at else ""
    return f"  {line}{caret}"


def _invisible(text: str, offset: int) -> str | None:
    """Name a character in the word at the place of an error that no eye can see."""
    for n, char in enumerate(text[offset : offset + 100]):
        if n > 1 and char.isascii() and not (char.isalnum() or char in "_$"):
            return None
        if ord(char) > 127 and unicodedata.category(char) in ("Cf", "Zs", "Zl", "Zp", "Co"):
            name = unicodedata.name(char, "unnamed")
            return f"an invisible character stands here: U+{ord(char):04X} {name}"
    return None
